#include "kernels/xnnpack/transposed_choice.h"

#include <algorithm>
#include <limits>

#include "kernels/xnnpack/operators.h"
#include "kernels/xnnpack/xnnpack_kernels.h"

namespace figment::kernels::xnnpack {

bool transposed_phase(const Step& step, size_t axis, uint32_t phase, Phase* out) {
  const Window& window = step.attributes.window;
  const uint32_t stride = window.stride[axis];
  const uint32_t kernel = window.kernel[axis];
  const uint32_t padding = window.padding[axis];
  const auto input = static_cast<int64_t>(step.inputs[0].shape[axis + 1]);
  const size_t output = step.output.shape[axis + 1];
  if (window.dilation[axis] != 1 || output % stride != 0) return false;
  // Output s*m + phase takes tap k from input (s*m + phase + padding - k) / s, for k = first_tap + s*j.
  const uint32_t first_tap = (phase + padding) % stride;
  if (first_tap >= kernel) return false;
  const uint32_t taps = (kernel - first_tap + stride - 1) / stride;
  const int64_t shift = (static_cast<int64_t>(phase) + padding - first_tap) / stride;
  const int64_t before = taps - 1 - shift;
  const int64_t after = static_cast<int64_t>(output / stride) + shift - input;
  if (before < 0 || after < 0 || before + after + input < taps) return false;
  *out = {first_tap, taps, static_cast<uint32_t>(before), static_cast<uint32_t>(after)};
  return true;
}

Window phase_window(const Phase& rows, const Phase& columns) {
  Window window;
  window.kernel = {rows.taps, columns.taps};
  window.padding = {rows.before, columns.before, rows.after, columns.after};
  return window;
}

std::optional<uint32_t> MergedPhases::tap(const Window& transposed, size_t axis, uint32_t pixel, uint32_t k) const {
  // Output block*m + pixel takes tap k from input (block*m + pixel + padding - k) / s.
  const int64_t stride = transposed.stride[axis];
  const int64_t shifted = int64_t{pixel} + transposed.padding[axis] - k;
  if (shifted % stride != 0) return std::nullopt;
  return static_cast<uint32_t>(shifted / stride + window.padding[axis]);
}

namespace {

Plane input_of(const Step& step) { return {step.inputs[0].shape[1], step.inputs[0].shape[2]}; }

constexpr size_t kChannelTile = 16;  // output channels that an int8 kernel computes together

size_t in_tiles(size_t channels) { return (channels + kChannelTile - 1) / kChannelTile * kChannelTile; }

// Sets the block and window along `axis` for blocks of `inputs` input pixels; false if the output is not whole blocks
// or rows would be cut off the input.
bool merge_axis(const Step& step, size_t axis, uint32_t inputs, MergedPhases* out) {
  const Window& window = step.attributes.window;
  const uint32_t stride = window.stride[axis];
  const uint32_t block = stride * inputs;
  const auto output = static_cast<int64_t>(step.output.shape[axis + 1]);
  if (output % block != 0) return false;
  // Over all pixels and taps, the inputs that are read, relative to the block's first.
  int64_t first = 0;
  int64_t last = 0;
  for (int64_t pixel = 0; pixel < block; ++pixel) {
    for (int64_t k = 0; k < window.kernel[axis]; ++k) {
      const int64_t shifted = pixel + window.padding[axis] - k;
      if (shifted % stride != 0) continue;
      first = std::min(first, shifted / stride);
      last = std::max(last, shifted / stride);
    }
  }
  const int64_t taps = last - first + 1;
  const auto input = static_cast<int64_t>(step.inputs[0].shape[axis + 1]);
  const int64_t behind = (output / block - 1) * inputs + taps - input + first;
  if (behind < 0) return false;
  out->block[axis] = block;
  out->window.kernel[axis] = static_cast<uint32_t>(taps);
  out->window.stride[axis] = inputs;
  out->window.padding[axis] = static_cast<uint32_t>(-first);
  out->window.padding[axis + 2] = static_cast<uint32_t>(behind);
  return true;
}

}  // namespace

MergedPhases merge_phases(const Step& step) {
  MergedPhases best;
  double least = std::numeric_limits<double>::infinity();
  for (uint32_t rows : {1U, 2U}) {
    for (uint32_t columns : {1U, 2U}) {
      MergedPhases merged;
      if (!merge_axis(step, 0, rows, &merged) || !merge_axis(step, 1, columns, &merged)) continue;
      const size_t pixels = size_t{merged.block[0]} * merged.block[1];
      const size_t positions = step.output.shape[1] * step.output.shape[2] / pixels;
      if (convolution_violation(step.output.type, merged.window, input_of(step)) != nullptr) continue;
      const double work = static_cast<double>(positions * merged.window.kernel[0] * merged.window.kernel[1]) *
                          static_cast<double>(in_tiles(pixels * step.output.shape[3]));
      if (work >= least) continue;
      least = work;
      best = merged;
    }
  }
  return best;
}

namespace {

bool phases_apply(const Step& step) {
  const Window& window = step.attributes.window;
  if (window.groups != 1 || window.stride[0] * window.stride[1] > 4 || window.stride[0] * window.stride[1] == 1)
    return false;
  for (uint32_t y = 0; y < window.stride[0]; ++y) {
    for (uint32_t x = 0; x < window.stride[1]; ++x) {
      Phase rows{};
      Phase columns{};
      if (!transposed_phase(step, 0, y, &rows) || !transposed_phase(step, 1, x, &columns)) return false;
      if (convolution_violation(step.output.type, phase_window(rows, columns), input_of(step)) != nullptr) return false;
    }
  }
  return true;
}

}  // namespace

TransposedFormulation choose_transposed(const Step& step) {
  if (weights_violation(step) != nullptr) return TransposedFormulation::kNone;
  const Window& window = step.attributes.window;
  const Extents& in = step.inputs[0].shape;
  const size_t outputs = step.output.shape[3];
  const bool unpadded = window.padding == std::array<uint32_t, 4>{};
  if (in[1] == 1 && in[2] == 1 && unpadded && window.groups == 1 && window.dilation == std::array<uint32_t, 2>{1, 1} &&
      window.output_padding == std::array<uint32_t, 2>{}) {
    return TransposedFormulation::kFullyConnected;
  }
  const bool f32 = step.output.type == DataType::kF32;
  if (f32 && window.groups == 1 && outputs <= 4) return TransposedFormulation::kColumns;
  if (phases_apply(step)) {
    // Few int8 outputs: all phases fit the tile of one convolution's channels.
    const size_t merged = outputs * window.stride[0] * window.stride[1];
    return !f32 && merged <= kChannelTile ? TransposedFormulation::kMergedPhases : TransposedFormulation::kPhases;
  }
  if (deconvolution_violation(step.output.type, window, input_of(step)) != nullptr) return TransposedFormulation::kNone;
  return TransposedFormulation::kOperator;
}

}  // namespace figment::kernels::xnnpack
