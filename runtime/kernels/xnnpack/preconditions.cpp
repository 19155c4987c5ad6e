#include "kernels/xnnpack/preconditions.h"

#include "core/checked.h"
#include "format/quantized.h"

namespace figment::kernels {

namespace {

#if defined(__arm__)
constexpr bool kSinglePixelDefect = true;
#else
constexpr bool kSinglePixelDefect = false;
#endif

// Pixels that an operator computes together, at most: an indirection buffer is rounded up to them.
constexpr size_t kLargestTile = 64;

// Rows of output pixels are rounded up one by one, and in a transposed convolution once for each residue of the stride.
bool indirection_fits(const Window& window, const Plane& output) {
  const CheckedSize row = CheckedSize(output[1]) + kLargestTile;
  return indirection_bytes(window, CheckedSize(output[0]) * window.stride[1] * row).within(SIZE_MAX / 2);
}

}  // namespace

CheckedSize indirection_bytes(const Window& window, CheckedSize pixels) {
  const CheckedSize pointers = CheckedSize(window.kernel[0]) * window.kernel[1] * (pixels + kLargestTile);
  return CheckedSize(2) * pointers * sizeof(void*);
}

CheckedSize zero_bytes(DataType type, size_t channels) {
  constexpr size_t kAlignment = 256;
  return CheckedSize(channels) * format::element_size(type) + kAlignment;
}

const char* weights_violation(const Step& step) {
  if (step.any_batch) return "its batch changes";
  if (step.weights_alone_are_i8()) return "its weights alone are int8";
  for (const Operand& weights : step.inputs.subspan(1)) {
    if (!weights.constant || weights.variable) return "its weights change";
  }
  const Attributes& attributes = step.attributes;
  if (step.output.type == DataType::kF32) {
    return attributes.clamp_min < attributes.clamp_max ? nullptr : "its bounds are empty";
  }
  const Quantization& output = step.output.quantization;
  const format::IntegerBounds bounds =
      format::integer_bounds(attributes.clamp_min, attributes.clamp_max, output.scale(), output.zero_point);
  return bounds.low < bounds.high ? nullptr : "its bounds are empty";
}

const char* convolution_violation(DataType type, const Window& window, const Plane& input) {
  Plane output{};
  for (size_t axis = 0; axis < 2; ++axis) {
    const uint64_t padded = uint64_t{input[axis]} + window.padding[axis] + window.padding[axis + 2];
    if (padded < window.span(axis)) return "its kernel is larger than the padded image";
    output[axis] = static_cast<size_t>((padded - window.span(axis)) / window.stride[axis] + 1);
  }
  if (!indirection_fits(window, output)) return "its indirection buffer is too large";
  if (kSinglePixelDefect && type == DataType::kI8 && output[0] * output[1] == 1) return "its output is a single pixel";
  return nullptr;
}

const char* deconvolution_violation(DataType type, const Window& window, const Plane& input) {
  Plane output{};
  for (size_t axis = 0; axis < 2; ++axis) {
    const uint64_t span = window.span(axis);
    if (window.padding[axis] >= span || window.padding[axis + 2] >= span) return "its padding cuts off whole taps";
    if (window.output_padding[axis] >= window.stride[axis]) return "its output padding is no less than its stride";
    const uint64_t full = uint64_t{window.stride[axis]} * (input[axis] - 1) + span + window.output_padding[axis];
    const uint64_t cut = uint64_t{window.padding[axis]} + window.padding[axis + 2];
    if (full < cut + window.stride[axis]) return "its output is smaller than its stride";
    output[axis] = static_cast<size_t>(full - cut);
  }
  if (!indirection_fits(window, output)) return "its indirection buffer is too large";
  if (kSinglePixelDefect && type == DataType::kI8) return "it is int8 on a processor where single pixels go wrong";
  return nullptr;
}

}  // namespace figment::kernels
