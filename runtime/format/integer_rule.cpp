#include "format/integer_rule.h"

#include <algorithm>

#include "format/quantized.h"

namespace figment::format {

namespace {

bool ratio_fits(float ratio) { return ratio >= kSmallestRatio && ratio < kLargestRatio; }

}  // namespace

const char* integer_violation(OpKind kind, std::span<const TensorType> inputs, const TensorType& output,
                              std::span<const int32_t> bias) {
  const float output_scale = output.quantization.scale();
  const auto input_scale = [&](size_t i) { return inputs[i].quantization.scale(); };
  switch (kind) {
    case OpKind::kFullyConnected:
    case OpKind::kConv2d:
    case OpKind::kConvTranspose2d: {
      const TensorType& weights = inputs[1];
      for (float scale : weights.quantization.scales) {
        if (!ratio_fits(input_scale(0) * scale / output_scale))
          return "input scale * weight scale / output scale is outside [2^-32, 256)";
      }
      const uint64_t terms = element_count(weights.shape, 1).value() / weights.shape[0].extent;
      uint64_t largest_bias = 0;
      for (int32_t value : bias) {
        const uint64_t magnitude = value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
        largest_bias = std::max(largest_bias, magnitude);
      }
      return terms * 255 * 128 + largest_bias > INT32_MAX ? "its 32-bit sums can overflow" : nullptr;
    }
    case OpKind::kAdd:
    case OpKind::kSubtract:
      if (!ratio_fits(input_scale(0) / output_scale) || !ratio_fits(input_scale(1) / output_scale))
        return "input scale / output scale is outside [2^-32, 256)";
      return nullptr;
    case OpKind::kMultiply:
      if (!ratio_fits(input_scale(0) * input_scale(1) / output_scale))
        return "the product of the input scales / output scale is outside [2^-32, 256)";
      return nullptr;
    case OpKind::kMean:
    case OpKind::kAveragePool2d:
    case OpKind::kRequantize:
      if (!ratio_fits(input_scale(0) / output_scale)) return "input scale / output scale is outside [2^-32, 256)";
      if (kind != OpKind::kRequantize && !(element_count(inputs[0].shape, 1) * 255).within(INT32_MAX))
        return "its 32-bit sums can overflow";
      return nullptr;
    default: return nullptr;
  }
}

}  // namespace figment::format
