// Which formulation of transposed convolution a step gets: a pure function of its shape, made by measurement on x86-64
// with AVX-512, one thread. The layers of a 64x64 DCGAN at batch 16 (kernel 4, stride 2; 4x4x512 -> 256, 8x8x256 ->
// 128, 16x16x128 -> 64) took 17.1, 17.6, 14.1 ms in XNNPACK's operator and 12.6, 10.7, 11.6 ms by phases; at batch
// 1 2.0, 1.3, 1.5 against 0.8, 0.65, 0.76 ms.
#pragma once

#include <optional>

#include "kernels/kernel.h"

namespace figment::kernels::xnnpack {

enum class TransposedFormulation : uint8_t {
  kFullyConnected,  // 1x1 input, no padding: the kernel is the image
  kPhases,          // one stride-1 convolution per output phase, rows interleaved afterwards
  kMergedPhases,    // one convolution computes blocks of pixels as channels, which are then moved to their places
  kColumns,         // one matrix product, then the taps are added up (col2im)
  kOperator,        // XNNPACK's own
  kNone,            // only the portable kernel is safe
};

TransposedFormulation choose_transposed(const Step& step);

// One output phase along one axis of a transposed convolution of stride s: output positions s*m + phase read taps
// first_tap, first_tap + s, ... of the kernel. As a stride-1 convolution it has `taps` taps (the kernel's in reverse
// order) and pads the input by `before` and `after`.
struct Phase {
  uint32_t first_tap;
  uint32_t taps;
  uint32_t before;
  uint32_t after;
};

// The phases of one axis (0: height, 1: width); false if the formulation does not apply: the stride does not divide
// the output, a phase has no tap, or would need negative padding.
bool transposed_phase(const Step& step, size_t axis, uint32_t phase, Phase* out);

// The convolution of a phase of rows and one of columns.
Window phase_window(const Phase& rows, const Phase& columns);

// All phases as the channels of one convolution that computes a block of output pixels at each of its positions: the
// stride's, or that of several input pixels.
struct MergedPhases {
  std::array<uint32_t, 2> block{1, 1};  // height and width in output pixels; a multiple of the stride
  Window window;                        // of the convolution

  // The convolution's tap along `axis` that tap `k` of the transposed kernel is for pixel `pixel` of the block, if any.
  std::optional<uint32_t> tap(const Window& transposed, size_t axis, uint32_t pixel, uint32_t k) const;
};

// The block with the least arithmetic, channels counted in kernel tiles. The step must have phases.
MergedPhases merge_phases(const Step& step);

}  // namespace figment::kernels::xnnpack
