#include "io/picture_folder.h"

#include <fmt/format.h>
#include <algorithm>
#include <filesystem>

#include "io/terminal.h"

namespace figment::io {

namespace {

constexpr size_t kMostKept = size_t{512} << 20;  // bytes

class Folder final : public SampleSource {
 public:
  Folder(const std::string& path, const SampleForm& form)
      : path_(path), low_(form.low), high_(form.high), options_(form.pictures) {
    if (form.shape.size() != 3 || (form.shape[0] != 1 && form.shape[0] != 3))
      throw Error(path + " is a folder of images, and " + form.input + " is no image of 1 or 3 channels");
    channels_ = static_cast<uint32_t>(form.shape[0]);
    height_ = static_cast<uint32_t>(form.shape[1]);
    width_ = static_cast<uint32_t>(form.shape[2]);
    try {
      find_files();
    } catch (const std::filesystem::filesystem_error& error) {
      throw Error(path + ": cannot be read whole: " + error.code().message());
    }
    std::sort(files_.begin(), files_.end());
    if (files_.empty()) throw Error(path + ": holds no .png, .jpg or .jpeg files");
    find_classes();
    decode_all();
  }

  size_t count() const override { return files_.size(); }
  void copy(size_t i, float* out) const override {
    const size_t pixels = size_t{width_} * height_;
    const Picture decoded = kept_.empty() ? decode(i) : Picture{};
    const uint8_t* picture = kept_.empty() ? decoded.pixels.data() : kept_.data() + i * pixels * channels_;
    for (size_t p = 0; p < pixels; ++p) {
      for (size_t c = 0; c < channels_; ++c)
        out[c * pixels + p] = low_ + (high_ - low_) / 255 * static_cast<float>(picture[p * channels_ + c]);
    }
  }
  std::string file(size_t i) const override { return files_[i]; }
  size_t label(size_t i) const override { return labels_.empty() ? 0 : labels_[i]; }
  std::vector<std::string> classes() const override { return classes_; }

  // "icons: 120 pictures in 3 classes, 16x16 to 64x48, 20 of them gray, 7 transparent (on white), cropped to 32x32"
  std::string description() const override {
    std::string text = fmt::format("{}: {} picture{}", path_, count(), count() == 1 ? "" : "s");
    if (!classes_.empty())
      text += fmt::format(" in {} class{} ({})", classes_.size(), classes_.size() == 1 ? "" : "es", list_of(classes_));
    if (!beside_.empty()) text += fmt::format(" of no classes, since {} lies beside the subfolders", beside_);
    text += fmt::format(", {}x{}", least_.first, least_.second);
    const bool one_size = least_ == most_ && same_size_;
    if (!one_size) text += fmt::format(" to {}x{}", most_.first, most_.second);
    if (gray_ != 0 && gray_ != count())
      text += fmt::format(", {} of them gray", gray_);
    else if (channels_ == 3 && gray_ != 0)
      text += ", all gray";
    else if (channels_ == 1 && gray_ == 0)
      text += ", colors become gray";
    if (transparent_ != 0) {
      const Color& b = options_.background;
      const bool white = b.red == 255 && b.green == 255 && b.blue == 255;
      text += fmt::format(", {} transparent (on {})", transparent_,
                          white ? "white" : fmt::format("#{:02x}{:02x}{:02x}", b.red, b.green, b.blue));
    }
    const bool reshaped = !one_size || least_ != std::pair{width_, height_};
    const char* how = !distorted_                  ? "resized"
                      : options_.fit == Fit::kCrop ? "cropped (--fit)"
                      : options_.fit == Fit::kPad  ? "padded (--fit)"
                                                   : "squeezed (--fit)";
    if (reshaped) text += fmt::format(", {} to {}x{}", how, width_, height_);
    if (enlarged_ != 0) text += fmt::format(", {} smaller than that", enlarged_);
    if (others_ != 0) text += fmt::format("; {} of other kinds left out (convert them to .png)", others_);
    return text;
  }

 private:
  Picture decode(size_t i) const {
    return fitted(read_picture(path_ + "/" + files_[i], channels_, options_.background), width_, height_, options_);
  }

  void find_files() {
    for (auto place = std::filesystem::recursive_directory_iterator(path_); place != end(place); ++place) {
      const auto& entry = *place;
      std::error_code none;  // of a link that leads nowhere
      if (entry.path().filename().string().starts_with('.')) {
        // What programs keep beside people's files.
        place.disable_recursion_pending();
        continue;
      }
      if (!entry.is_regular_file(none)) continue;
      if (is_picture(entry.path().string()))
        files_.push_back(entry.path().lexically_relative(path_).string());
      else
        others_ += is_other_picture(entry.path().string()) ? 1 : 0;
    }
  }

  void find_classes() {
    const auto lies_beside = [](const std::string& file) { return file.find('/') == std::string::npos; };
    const auto beside = std::ranges::find_if(files_, lies_beside);
    if (beside != files_.end()) {
      if (!std::ranges::all_of(files_, lies_beside)) beside_ = *beside;
      return;
    }
    for (const std::string& file : files_) classes_.push_back(file.substr(0, file.find('/')));
    // Sorted paths keep a folder's files together, but for names that continue another's.
    std::sort(classes_.begin(), classes_.end());
    classes_.erase(std::unique(classes_.begin(), classes_.end()), classes_.end());
    for (const std::string& file : files_) {
      const auto found = std::lower_bound(classes_.begin(), classes_.end(), file.substr(0, file.find('/')));
      labels_.push_back(static_cast<size_t>(found - classes_.begin()));
    }
  }

  void decode_all() {
    const size_t sample = size_t{width_} * height_ * channels_;
    const bool keeps = files_.size() <= kMostKept / sample;
    if (keeps) kept_.resize(files_.size() * sample);
    ProgressLine line("reading pictures");
    for (size_t i = 0; i < files_.size(); ++i) {
      line.update(static_cast<double>(i) / static_cast<double>(files_.size()));
      const Picture picture = read_picture(path_ + "/" + files_[i], channels_, options_.background);
      see(picture);
      if (!keeps) continue;
      const Picture sample_picture = fitted(picture, width_, height_, options_);
      std::copy(sample_picture.pixels.begin(), sample_picture.pixels.end(),
                kept_.begin() + static_cast<std::ptrdiff_t>(i * sample));
    }
  }

  void see(const Picture& picture) {
    const std::pair size{picture.width, picture.height};
    const auto area = [](const auto& of) { return uint64_t{of.first} * of.second; };
    if (least_.first == 0) least_ = most_ = size;
    same_size_ = same_size_ && size == least_;
    if (area(size) < area(least_)) least_ = size;
    if (area(size) > area(most_)) most_ = size;
    distorted_ = distorted_ || uint64_t{picture.width} * height_ != uint64_t{picture.height} * width_;
    enlarged_ += picture.width < width_ || picture.height < height_ ? 1 : 0;
    gray_ += picture.color ? 0 : 1;
    transparent_ += picture.transparent ? 1 : 0;
  }

  std::string path_;
  std::vector<std::string> files_;    // below the path
  std::vector<std::string> classes_;  // names
  std::vector<size_t> labels_;        // by file
  uint32_t channels_ = 0;
  uint32_t height_ = 0;
  uint32_t width_ = 0;
  float low_;
  float high_;
  PictureOptions options_;
  std::vector<uint8_t> kept_;  // [files, height, width, channels], or empty
  std::pair<uint32_t, uint32_t> least_{0, 0};
  std::pair<uint32_t, uint32_t> most_{0, 0};
  bool same_size_ = true;
  bool distorted_ = false;  // some have other proportions
  size_t gray_ = 0;
  size_t transparent_ = 0;
  size_t enlarged_ = 0;  // smaller than a sample
  size_t others_ = 0;    // pictures that are not read
  std::string beside_;   // a picture beside the subfolders, which therefore are no classes
};

}  // namespace

std::unique_ptr<SampleSource> open_picture_folder(const std::string& path, const SampleForm& form) {
  return std::make_unique<Folder>(path, form);
}

}  // namespace figment::io
