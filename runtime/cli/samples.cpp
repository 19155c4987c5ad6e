#include "samples.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "commands.h"

namespace figment::cli {

Samples::Samples(const std::string& path, const std::string& input, size_t elements, float low, float high)
    : elements_(elements), low_(low), high_(high) {
  if (path.ends_with(".npy")) {
    floats_ = io::read_npy(path);
  } else {
    bytes_ = io::read_idx(path);
  }
  const std::vector<size_t>& shape = floats_ ? floats_->shape : bytes_->shape;
  const size_t values = floats_ ? floats_->values.size() : bytes_->values.size();
  if (shape.empty() || shape[0] == 0) throw Error(path + ": holds no samples");
  count_ = shape[0];
  if (floats_ && !std::all_of(floats_->values.begin(), floats_->values.end(), [](float x) { return x - x == 0; }))
    throw Error(path + ": has NaN or infinite values");
  labels_ = values == count_ && elements > 1;
  if (labels_) {
    check_labels(path);
  } else if (values != count_ * elements) {
    throw Error(path + ": a sample has " + std::to_string(values / count_) + " values, input " + input + " takes " +
                std::to_string(elements));
  }
}

float Samples::value(size_t i) const { return floats_ ? floats_->values[i] : static_cast<float>(bytes_->values[i]); }

void Samples::check_labels(const std::string& path) const {
  for (size_t i = 0; i < count_; ++i) {
    const float label = value(i);
    if (!(label >= 0) || label >= static_cast<float>(elements_) ||
        label != static_cast<float>(static_cast<size_t>(label))) {
      throw Error(path + ": label " + std::to_string(i) + " is " + std::to_string(label) + ", there are only " +
                  std::to_string(elements_) + " classes, from 0 on");
    }
  }
}

void Samples::copy(size_t i, float* out) const {
  if (labels_) {
    std::fill_n(out, elements_, 0.0F);
    out[static_cast<size_t>(value(i))] = 1;
  } else if (floats_) {
    std::copy_n(floats_->values.begin() + static_cast<std::ptrdiff_t>(i * elements_), elements_, out);
  } else {
    const float step = (high_ - low_) / 255;
    for (size_t j = 0; j < elements_; ++j) out[j] = low_ + step * value(i * elements_ + j);
  }
}

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

}  // namespace figment::cli
