#include "format/int8_parameters.h"

#include <algorithm>
#include <limits>

#include "core/functions.h"
#include "format/quantized.h"

namespace figment::format {

namespace {

// To the nearest integer, ties to even, for |x| < 2^51: the sum's last bit is worth 1.
double rounded(double x) {
  constexpr double kMagic = 0x1.8p52;
  return (x + kMagic) - kMagic;
}

double magnitude(double x) { return x < 0 ? -x : x; }

// Scales are normal numbers, and so are their products with others of use.
constexpr double kLeastScale = 1e-30;
// The bias fits the 32-bit sum beside so many products of 255 and 128 at most.
double most_of_bias(size_t terms) {
  const double beside = static_cast<double>(INT32_MAX) - static_cast<double>(terms) * 255 * 128;
  return std::clamp(beside, 1.0, 0x1p30);
}

}  // namespace

QuantParameters parameters_for(double low, double high) {
  low = std::min(low, 0.0);
  high = std::max(high, 0.0);
  const double scale = high > low ? (high - low) / 255 : 1;
  const double zero = rounded(-128 - low / scale);
  return {static_cast<float>(scale), static_cast<int32_t>(std::clamp(zero, -128.0, 127.0))};
}

QuantParameters parameters_of(std::span<const float> values) {
  double low = 0;
  double high = 0;
  for (float value : values) {
    low = std::min<double>(low, value);
    high = std::max<double>(high, value);
  }
  // Of values that are nearly nothing they are 0.
  return high - low < 255 * kLeastScale ? parameters_for(0, 0) : parameters_for(low, high);
}

double expected_extreme(std::span<const float> greatest, size_t samples) {
  constexpr float kMore = 16;
  const size_t tail = tail_size(samples);
  const double threshold = greatest[std::min(tail, greatest.size() - 1)];
  double excess = 0;
  for (size_t i = 0; i < std::min(tail, greatest.size()); ++i)
    excess += (greatest[i] - threshold) / static_cast<double>(tail);
  const auto further = static_cast<double>(logarithm(kMore * static_cast<float>(tail)));
  return std::max<double>(greatest[0], threshold + excess * further);
}

float channel_scale(std::span<const float> weights, double wanted, float bias, double input_scale,
                    double output_scale) {
  // Below this the ratio of scales could not be represented.
  const double smallest = 4.0 * kSmallestRatio * output_scale / input_scale;
  double largest = 0;
  for (float w : weights) largest = std::max(largest, magnitude(w));
  double scale = std::max(wanted > 0 ? wanted : largest / 127, std::max(smallest, kLeastScale));
  scale = std::max(scale, magnitude(bias) / (input_scale * most_of_bias(weights.size())));
  return static_cast<float>(std::min(scale, double{std::numeric_limits<float>::max()}));
}

void quantize_channel(std::span<const float> weights, float scale, int8_t* integers) {
  for (size_t i = 0; i < weights.size(); ++i) {
    const double q = rounded(weights[i] / static_cast<double>(scale));
    integers[i] = static_cast<int8_t>(std::clamp(q, -127.0, 127.0));
  }
}

int32_t quantize_bias(float bias, double input_scale, float weight_scale, size_t terms) {
  const double most = most_of_bias(terms);
  return static_cast<int32_t>(std::clamp(rounded(bias / (input_scale * weight_scale)), -most, most));
}

float row_scale(std::span<const float> weights) {
  float largest = 0;
  for (float w : weights) largest = std::max(largest, w < 0 ? -w : w);
  return std::max(largest / 127.0F, static_cast<float>(kLeastScale));
}

void quantize_all(std::span<const float> values, QuantParameters quantization, int8_t* integers) {
  for (size_t i = 0; i < values.size(); ++i)
    integers[i] = quantize(values[i], quantization.scale, quantization.zero_point);
}

void softmax_table(float input_scale, int32_t* table) {
  for (int below = 0; below < 256; ++below) {
    table[below] = static_cast<int32_t>(
        round_to_even(static_cast<float>(kSoftmaxOne) * exponential(static_cast<float>(-below) * input_scale)));
  }
}

}  // namespace figment::format
