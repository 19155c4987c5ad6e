#include <cstdio>

#include <jpeglib.h>
#include <png.h>

#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstring>

#include "io/files.h"

namespace figment::io {

namespace {

constexpr uint8_t kGapGrey = 40;
constexpr uint64_t kMostPixels = uint64_t{1} << 28;

void check_size(uint64_t width, uint64_t height, const std::string& path) {
  if (width * height > kMostPixels) throw Error(path + ": is too large a picture");
}

Picture read_png(const std::string& path, uint32_t channels) {
  const std::vector<uint8_t> bytes = read_file(path);
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()) == 0)
    throw Error(path + ": " + image.message);
  image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  Picture picture{{}, image.width, image.height, channels};
  if (uint64_t{image.width} * image.height > kMostPixels) png_image_free(&image);
  check_size(picture.width, picture.height, path);
  picture.pixels.resize(PNG_IMAGE_SIZE(image));
  const png_color black{0, 0, 0};
  if (png_image_finish_read(&image, &black, picture.pixels.data(), 0, nullptr) == 0)
    throw Error(path + ": " + image.message);
  return picture;
}

// libjpeg ends in error_exit, which must not return.
struct JpegError {
  jpeg_error_mgr manager;
  std::jmp_buf back;
  char message[JMSG_LENGTH_MAX];
};

// Only what setjmp allows: no C++ object is made or destroyed between it and longjmp.
bool decode_jpeg(const std::vector<uint8_t>& bytes, uint32_t channels, Picture* picture, JpegError* error) {
  jpeg_decompress_struct info{};
  info.err = jpeg_std_error(&error->manager);
  error->manager.error_exit = [](j_common_ptr common) {
    auto* failed = reinterpret_cast<JpegError*>(common->err);
    common->err->format_message(common, failed->message);
    std::longjmp(failed->back, 1);
  };
  error->manager.output_message = [](j_common_ptr) {};
  if (setjmp(error->back) != 0) {  // NOLINT(cert-err52-cpp): the library offers nothing else
    jpeg_destroy_decompress(&info);
    return false;
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, bytes.data(), bytes.size());
  jpeg_read_header(&info, TRUE);
  info.out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_start_decompress(&info);
  picture->width = info.output_width;
  picture->height = info.output_height;
  picture->channels = channels;
  if (uint64_t{info.output_width} * info.output_height <= kMostPixels) {
    picture->pixels.resize(size_t{picture->width} * picture->height * channels);
    while (info.output_scanline < info.output_height) {
      JSAMPROW row = picture->pixels.data() + size_t{info.output_scanline} * picture->width * channels;
      jpeg_read_scanlines(&info, &row, 1);
    }
  }
  jpeg_destroy_decompress(&info);
  return true;
}

bool ends_in(const std::string& path, const std::string& ending) {
  return path.size() >= ending.size() &&
         std::equal(ending.begin(), ending.end(), path.end() - static_cast<std::ptrdiff_t>(ending.size()),
                    [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); });
}

}  // namespace

bool is_picture(const std::string& path) {
  return ends_in(path, ".png") || ends_in(path, ".jpg") || ends_in(path, ".jpeg");
}

Picture read_picture(const std::string& path, uint32_t channels) {
  if (ends_in(path, ".png")) return read_png(path, channels);
  Picture picture;
  JpegError error{};
  const std::vector<uint8_t> bytes = read_file(path);
  if (!decode_jpeg(bytes, channels, &picture, &error)) throw Error(path + ": " + error.message);
  check_size(picture.width, picture.height, path);
  return picture;
}

Picture resized(const Picture& picture, uint32_t width, uint32_t height) {
  if (picture.width == width && picture.height == height) return picture;
  Picture result{{}, width, height, picture.channels};
  result.pixels.resize(size_t{width} * height * picture.channels);
  // The pixels [first, end) of the picture that a new one covers along one axis.
  const auto covered = [](uint32_t place, uint32_t count, uint32_t from) {
    const auto first = static_cast<uint32_t>(uint64_t{place} * from / count);
    const auto end = static_cast<uint32_t>((uint64_t{place} + 1) * from / count);
    return std::pair{first, std::max(end, first + 1)};
  };
  for (uint32_t y = 0; y < height; ++y) {
    const auto [top, bottom] = covered(y, height, picture.height);
    for (uint32_t x = 0; x < width; ++x) {
      const auto [left, right] = covered(x, width, picture.width);
      for (uint32_t c = 0; c < picture.channels; ++c) {
        uint64_t sum = 0;
        for (uint32_t v = top; v < bottom; ++v) {
          for (uint32_t u = left; u < right; ++u)
            sum += picture.pixels[(size_t{v} * picture.width + u) * picture.channels + c];
        }
        const uint64_t area = uint64_t{bottom - top} * (right - left);
        result.pixels[(size_t{y} * width + x) * picture.channels + c] = static_cast<uint8_t>((sum + area / 2) / area);
      }
    }
  }
  return result;
}

std::vector<uint8_t> encode_png(std::span<const uint8_t> pixels, uint32_t width, uint32_t height, uint32_t channels) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::vector<uint8_t> bytes(size);
  if (png_image_write_to_memory(&image, bytes.data(), &size, 0, pixels.data(), 0, nullptr) == 0) {
    throw Error(std::string("cannot encode the picture: ") + image.message);
  }
  bytes.resize(size);
  return bytes;
}

Picture make_grid(std::span<const float> samples, uint32_t channels, uint32_t height, uint32_t width, float low,
                  float high, uint32_t columns, uint32_t scale) {
  if (channels != 1 && channels != 3) throw Error("a picture needs 1 or 3 channels, not " + std::to_string(channels));
  const size_t sample = size_t{channels} * height * width;
  const auto count = static_cast<uint32_t>(samples.size() / sample);
  columns = std::min(columns, count);
  const uint32_t rows = (count + columns - 1) / columns;
  const uint32_t cell_width = width * scale + 1;
  const uint32_t cell_height = height * scale + 1;
  Picture picture{{}, columns * cell_width + 1, rows * cell_height + 1, channels};
  const uint64_t bytes = uint64_t{picture.width} * picture.height * channels;
  if (bytes > (uint64_t{1} << 30)) throw Error("the picture would be too large; ask for fewer samples");
  picture.pixels.assign(static_cast<size_t>(bytes), kGapGrey);
  for (uint32_t n = 0; n < count; ++n) {
    const uint32_t left = n % columns * cell_width + 1;
    const uint32_t top = n / columns * cell_height + 1;
    for (uint32_t y = 0; y < height * scale; ++y) {
      for (uint32_t x = 0; x < width * scale; ++x) {
        for (uint32_t c = 0; c < channels; ++c) {
          const float value = samples[n * sample + (size_t{c} * height + y / scale) * width + x / scale];
          const float unit = (value - low) / (high - low);
          const float byte = std::isnan(unit) ? 0 : std::clamp(unit, 0.0F, 1.0F) * 255;
          picture.pixels[((size_t{top} + y) * picture.width + left + x) * channels + c] =
              static_cast<uint8_t>(std::lround(byte));
        }
      }
    }
  }
  return picture;
}

Picture beside(const Picture& left, const Picture& right, uint32_t gap) {
  if (left.height != right.height || left.channels != right.channels) throw Error("the pictures differ in height");
  Picture both{{}, left.width + gap + right.width, left.height, left.channels};
  both.pixels.assign(size_t{both.width} * both.height * both.channels, 255);
  for (uint32_t y = 0; y < both.height; ++y) {
    const size_t row = size_t{y} * both.width * both.channels;
    const size_t left_row = size_t{left.width} * left.channels;
    const size_t right_row = size_t{right.width} * right.channels;
    std::memcpy(&both.pixels[row], &left.pixels[y * left_row], left_row);
    std::memcpy(&both.pixels[row + left_row + size_t{gap} * both.channels], &right.pixels[y * right_row], right_row);
  }
  return both;
}

}  // namespace figment::io
