// How much of a signal an error leaves.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

namespace figment::io {

inline constexpr double kExactDecibels = 200;  // of results without an error, or next to none

// NaN among the results leaves nothing of the signal.
inline double decibels(double signal, double noise) {
  if (noise == 0) return kExactDecibels;
  if (!(noise > 0) || !std::isfinite(noise)) return -std::numeric_limits<double>::infinity();
  return std::fmin(10 * std::log10(signal / noise), kExactDecibels);
}

// The power of what is expected around each element's mean over the samples, or around 0 if it hardly varies, over that
// of the error: what is the same in all samples tells nothing.
class SignalToNoise {
 public:
  explicit SignalToNoise(size_t elements = 0) : sums_(elements) {}

  // A value of an element of some sample.
  void add(size_t element, double actual, double expected) {
    sums_[element] += expected;
    squares_ += expected * expected;
    noise_ += (actual - expected) * (actual - expected);
  }
  void count_samples(size_t count) { samples_ += static_cast<double>(count); }
  // `count` samples, one behind the other.
  void add(std::span<const float> actual, std::span<const float> expected, size_t count) {
    if (count == 0) return;
    const size_t size = expected.size() / count;
    sums_.resize(size);
    for (size_t i = 0; i < expected.size(); ++i)
      add(i % size, static_cast<double>(actual[i]), static_cast<double>(expected[i]));
    count_samples(count);
  }

  double decibels() const {
    double variance = squares_;
    for (double sum : sums_) variance -= sum * sum / samples_;
    constexpr double kRounding = 1e-9;  // of the power: what float32 may make of equal values
    return io::decibels(variance > kRounding * squares_ ? variance : squares_, noise_);
  }

 private:
  std::vector<double> sums_;  // of each element
  double squares_ = 0;
  double noise_ = 0;
  double samples_ = 0;
};

}  // namespace figment::io
