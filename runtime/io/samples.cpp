#include "io/samples.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <numeric>
#include <optional>
#include <random>

#include "io/picture_folder.h"

namespace figment::io {

namespace {

class Bytes final : public SampleSource {
 public:
  Bytes(ByteArray array, const SampleForm& form)
      : array_(std::move(array)), elements_(form.elements()), low_(form.low), step_((form.high - form.low) / 255) {}

  size_t count() const override { return array_.shape[0]; }
  void copy(size_t i, float* out) const override {
    for (size_t j = 0; j < elements_; ++j) out[j] = low_ + step_ * static_cast<float>(array_.values[i * elements_ + j]);
  }

 private:
  ByteArray array_;
  size_t elements_;
  float low_;
  float step_;
};

// Samples of `elements` values that begin `stride` values apart: less than a sample where they are windows.
class Floats final : public SampleSource {
 public:
  Floats(std::vector<float> values, size_t count, size_t stride, size_t elements, std::optional<Table> table)
      : values_(std::move(values)), count_(count), stride_(stride), elements_(elements), table_(std::move(table)) {}

  size_t count() const override { return count_; }
  void copy(size_t i, float* out) const override {
    std::copy_n(values_.begin() + static_cast<std::ptrdiff_t>(i * stride_), elements_, out);
  }
  size_t overlap() const override { return elements_ / stride_ - 1; }
  bool measured() const override { return true; }
  const Table* table() const override { return table_ ? &*table_ : nullptr; }
  std::string description() const override { return table_ ? table_->description : ""; }

 private:
  std::vector<float> values_;
  size_t count_;
  size_t stride_;
  size_t elements_;
  std::optional<Table> table_;
};

class Labels final : public SampleSource {
 public:
  Labels(std::vector<float> values, size_t classes, const std::string& path)
      : values_(std::move(values)), classes_(classes) {
    for (size_t i = 0; i < values_.size(); ++i) {
      const float label = values_[i];
      if (!(label >= 0) || label >= static_cast<float>(classes) || label != std::floor(label)) {
        throw Error(fmt::format("{}: label {} is {}, there are only {} classes, from 0 on", path, i, label, classes));
      }
    }
  }

  size_t count() const override { return values_.size(); }
  void copy(size_t i, float* out) const override {
    std::fill_n(out, classes_, 0.0F);
    out[static_cast<size_t>(values_[i])] = 1;
  }
  bool one_hot() const override { return true; }

 private:
  std::vector<float> values_;
  size_t classes_;
};

// How the samples of an array go with an input.
enum class Match {
  kSame,          // in the order of the input's elements
  kChannelsLast,  // images [H, W, C] for [C, H, W]
  kLabels,        // class numbers for one 1 among zeros
  kWindows,       // rows of one long sequence
};

std::vector<size_t> without_ones(std::vector<size_t> shape) {
  std::erase(shape, size_t{1});
  return shape;
}

// Shapes decide, dimensions of 1 apart. A vector stands for any shape of as many elements, and any sample for a vector.
Match match_of(const std::vector<size_t>& array, const std::string& path, const SampleForm& form) {
  if (array.empty() || array[0] == 0) throw Error(path + ": holds no samples, its shape is " + to_string(array));
  const std::vector<size_t> sample(array.begin() + 1, array.end());
  const std::vector<size_t> given = without_ones(sample);
  const std::vector<size_t> wanted = without_ones(form.shape);
  const std::vector<size_t>& shape = form.shape;
  if (sample == shape) return Match::kSame;
  if (shape.size() == 3 && sample == std::vector<size_t>{shape[1], shape[2], shape[0]}) return Match::kChannelsLast;
  if (given == wanted) return Match::kSame;
  size_t count = 1;
  for (size_t extent : given) count *= extent;
  if (count == form.elements() && (given.size() == 1 || wanted.size() == 1)) return Match::kSame;
  if (shape.size() == 2 && sample.size() < 2 && count == shape[1]) return Match::kWindows;
  if (given.empty() && wanted.size() == 1 && !form.generated) return Match::kLabels;
  throw Error(path + ": has the shape " + to_string(array) + ", that is samples of " + to_string(sample) + "; input " +
              form.input + " takes samples of " + to_string(form.shape));
}

// [N, H, W, C] as [N, C, H, W].
template <typename T>
std::vector<T> channels_first(const std::vector<T>& values, const std::vector<size_t>& shape) {
  const size_t channels = shape[3];
  const size_t pixels = shape[1] * shape[2];
  std::vector<T> result(values.size());
  for (size_t n = 0; n < shape[0]; ++n) {
    for (size_t i = 0; i < pixels; ++i) {
      for (size_t c = 0; c < channels; ++c)
        result[(n * channels + c) * pixels + i] = values[(n * pixels + i) * channels + c];
    }
  }
  return result;
}

// That what is learned from lies where the model's samples do.
void check_range(const std::vector<float>& values, size_t elements, const std::string& path, const SampleForm& form) {
  if (!form.bounded) return;
  const float slack = 1e-3F * (form.high - form.low);
  const auto outside = std::find_if(values.begin(), values.end(),
                                    [&](float x) { return x < form.low - slack || x > form.high + slack; });
  if (outside == values.end()) return;
  const auto place = static_cast<size_t>(outside - values.begin());
  char text[96];
  std::snprintf(text, sizeof text, "has the value %g, the model's samples lie in [%g, %g]",
                static_cast<double>(*outside), static_cast<double>(form.low), static_cast<double>(form.high));
  throw Error(fmt::format("{}: sample {} {}: {}", path, place / elements, text, form.advice));
}

std::unique_ptr<SampleSource> from_floats(Array array, const std::string& path, const SampleForm& form,
                                          std::optional<Table> table = {});

std::unique_ptr<SampleSource> from_bytes(ByteArray array, const std::string& path, const SampleForm& form) {
  if (form.integers) {
    return from_floats({array.shape, std::vector<float>(array.values.begin(), array.values.end())}, path, form);
  }
  if (!form.ranged) {
    throw Error(path + ": holds 8-bit pixels, and the model does not say which range they are to become: save floats " +
                "as input " + form.input + " was trained on");
  }
  switch (match_of(array.shape, path, form)) {
    case Match::kLabels:
      return std::make_unique<Labels>(std::vector<float>(array.values.begin(), array.values.end()), form.elements(),
                                      path);
    case Match::kWindows: throw Error(path + ": holds bytes; a long sequence is read from .npy and .csv files");
    case Match::kChannelsLast: array.values = channels_first(array.values, array.shape); break;
    case Match::kSame: break;
  }
  return std::make_unique<Bytes>(std::move(array), form);
}

std::unique_ptr<SampleSource> from_floats(Array array, const std::string& path, const SampleForm& form,
                                          std::optional<Table> table) {
  const Match match = match_of(array.shape, path, form);
  const size_t elements = form.elements();
  // Bytes are pixels where samples or images go; labels, and one 1 among zeros, are numbers like others.
  const bool pictures = form.generated || form.shape.size() == 3;
  if (array.bytes && pictures && !form.integers && (match == Match::kSame || match == Match::kChannelsLast) &&
      elements > 1)
    return from_bytes({array.shape, {array.values.begin(), array.values.end()}}, path, form);
  if (!std::all_of(array.values.begin(), array.values.end(), [](float x) { return std::isfinite(x); }))
    throw Error(path + ": has NaN or infinite values");
  if (match == Match::kLabels) return std::make_unique<Labels>(std::move(array.values), elements, path);
  if (match == Match::kChannelsLast) array.values = channels_first(array.values, array.shape);
  const size_t rows = array.shape[0];
  const size_t features = form.shape.back();
  const size_t steps = match == Match::kWindows ? form.shape[0] : 0;
  if (rows < steps) {
    throw Error(fmt::format("{}: has {} rows, a sequence has {} steps", path, rows, steps));
  }
  check_range(array.values, array.values.size() / rows, path, form);
  if (match != Match::kWindows)
    return std::make_unique<Floats>(std::move(array.values), rows, elements, elements, std::move(table));
  return std::make_unique<Floats>(std::move(array.values), rows - steps + 1, features, elements, std::move(table));
}

std::unique_ptr<SampleSource> open_source(const std::string& path, const SampleForm& form) {
  std::error_code none;
  if (std::filesystem::is_directory(path, none)) return open_picture_folder(path, form);
  if (path.ends_with(".csv")) {
    Table table = read_table(path, form.table);
    Array values = std::move(table.values);
    return from_floats(std::move(values), path, form, std::move(table));
  }
  if (form.table.any()) throw Error(path + ": --columns, --time-column, --skip-rows and --fill are for .csv files");
  const bool floats = path.ends_with(".npy") || path.ends_with(".npz") || path.find(".npz:") != std::string::npos;
  if (floats) return from_floats(read_array(path), path, form);
  return from_bytes(read_idx(path), path, form);
}

}  // namespace

size_t SampleForm::elements() const {
  return std::accumulate(shape.begin(), shape.end(), size_t{1}, std::multiplies<>());
}

Samples::Samples(const std::string& path, const SampleForm& form) : source_(open_source(path, form)) {}

Samples::Samples(Array array, const std::string& origin, const SampleForm& form)
    : source_(from_floats(std::move(array), origin, form)) {}

size_t Shuffle::at(uint64_t position) {
  const uint64_t pass = position / order_.size();
  if (pass != pass_) {
    pass_ = pass;
    std::iota(order_.begin(), order_.end(), size_t{0});
    std::mt19937_64 random(seed_ * 0x9E3779B97F4A7C15 + pass);
    // std::shuffle differs between standard libraries.
    for (size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random() % i]);
  }
  return order_[position % order_.size()];
}

}  // namespace figment::io
