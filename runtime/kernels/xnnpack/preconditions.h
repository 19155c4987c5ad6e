// What XNNPACK's operators need of a step, in one place. XNNPACK (2024-11-08, Debian 13) checks little of it: a step
// that does not meet it makes XNNPACK read or write outside its buffers. A kernel takes a step only if no condition is
// violated, and the operators check once more before they create and reshape.
#pragma once

#include <array>
#include <cstddef>

#include "core/checked.h"
#include "kernels/kernel.h"

namespace figment::kernels {

// Height and width.
using Plane = std::array<size_t, 2>;

// Each returns the violated condition, or nullptr if the operator takes the step.

// Of a linear step: weights are packed once, so that neither they nor the batch may change, and the bounds of the
// result must not be empty.
const char* weights_violation(const Step& step);

// A convolution over images of `input`:
//  - the kernel fits into the padded image (else the output extent underflows),
//  - sizes of indirection buffers fit into size_t,
//  - on 32-bit ARM an int8 output has more than one pixel: on Cortex-A5 and A7 XNNPACK computes a single one by a
//    kernel whose parameters are laid out otherwise.
const char* convolution_violation(DataType type, const Window& window, const Plane& input);

// A transposed convolution over images of `input`:
//  - the output extent is at least the stride (its slices, one for each residue of the stride, must not be empty),
//  - padding is smaller than the dilated kernel, output padding than the stride,
//  - sizes of indirection buffers fit into size_t,
//  - on 32-bit ARM it is not int8: its slices may be single pixels.
const char* deconvolution_violation(DataType type, const Window& window, const Plane& input);

// What an operator over `pixels` output pixels takes beside its weights, at most: the indirection buffer, which has a
// pointer for each tap of each pixel, rows of pixels rounded up to a tile, while it is made twice; and the zeros that
// padding reads, for pixels of `channels`.
CheckedSize indirection_bytes(const Window& window, CheckedSize pixels);
CheckedSize zero_bytes(DataType type, size_t channels);

}  // namespace figment::kernels
