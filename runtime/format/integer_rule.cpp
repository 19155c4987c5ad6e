#include "format/integer_rule.h"

#include <algorithm>

#include "format/quantized.h"

namespace figment::format::integer_rule {

namespace {

bool ratio_fits(float ratio) { return ratio >= kSmallestRatio && ratio < kLargestRatio; }

float scale_of(const TensorType& tensor) { return tensor.quantization.scale(); }

constexpr Message kNone = nullptr;
constexpr Message kScales = "input scale / output scale is outside [2^-32, 256)";
constexpr Message kOverflow = "its 32-bit sums can overflow";

}  // namespace

Message any(std::span<const TensorType> /*inputs*/, const TensorType& /*output*/, std::span<const int32_t> /*bias*/) {
  return nullptr;
}

Message linear(std::span<const TensorType> inputs, const TensorType& output, std::span<const int32_t> bias) {
  const TensorType& weights = inputs[1];
  for (float scale : weights.quantization.scales) {
    if (!ratio_fits(scale_of(inputs[0]) * scale / scale_of(output)))
      return "input scale * weight scale / output scale is outside [2^-32, 256)";
  }
  uint64_t terms = 1;
  for (size_t d = 1; d < weights.shape.rank(); ++d) terms *= weights.shape[d].extent;
  uint64_t largest_bias = 0;
  for (int32_t value : bias) {
    const uint64_t magnitude = value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
    largest_bias = std::max(largest_bias, magnitude);
  }
  return terms * 255 * 128 + largest_bias > INT32_MAX ? kOverflow : kNone;
}

Message sum(std::span<const TensorType> inputs, const TensorType& output, std::span<const int32_t> /*bias*/) {
  const float scale = scale_of(output);
  const bool fits = ratio_fits(scale_of(inputs[0]) / scale) && ratio_fits(scale_of(inputs[1]) / scale);
  return fits ? kNone : kScales;
}

Message product(std::span<const TensorType> inputs, const TensorType& output, std::span<const int32_t> /*bias*/) {
  constexpr Message kProduct = "the product of the input scales / output scale is outside [2^-32, 256)";
  return ratio_fits(scale_of(inputs[0]) * scale_of(inputs[1]) / scale_of(output)) ? kNone : kProduct;
}

Message rescale(std::span<const TensorType> inputs, const TensorType& output, std::span<const int32_t> /*bias*/) {
  return ratio_fits(scale_of(inputs[0]) / scale_of(output)) ? kNone : kScales;
}

Message mean(std::span<const TensorType> inputs, const TensorType& output, std::span<const int32_t> bias) {
  if (Message violation = rescale(inputs, output, bias)) return violation;
  return (element_count(inputs[0].shape, 1) * 255).within(INT32_MAX) ? kNone : kOverflow;
}

}  // namespace figment::format::integer_rule
