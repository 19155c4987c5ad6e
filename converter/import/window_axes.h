// The windows of convolutions and pooling along each dimension of space, as ONNX's attributes describe them.
#pragma once

#include <cstdint>
#include <vector>

#include "import/onnx_graph.h"

namespace figment::converter {

// Along one dimension, in elements; all up to 65535.
struct WindowAxis {
  uint32_t kernel = 1;
  uint32_t stride = 1;
  uint32_t dilation = 1;
  uint32_t before = 0;  // padding
  uint32_t after = 0;
  uint32_t output_padding = 0;

  uint64_t span() const { return (uint64_t{kernel} - 1) * dilation + 1; }
};

// A list attribute of `count` values from 0 to 65535. Fails otherwise.
std::vector<uint32_t> window_list(const OnnxNode& node, const char* attribute, size_t count, uint32_t fallback);

// By kernel, strides, dilations, pads or auto_pad, and output_padding, for an input [N, C, ...] of `shape`. Fails where
// an attribute does not fit, or is 0.
std::vector<WindowAxis> window_axes(const OnnxNode& node, const std::vector<uint32_t>& kernel, const Shape& shape);

// A window along rows and one along columns.
Window window_of(const WindowAxis& rows, const WindowAxis& columns);

// For pooling with ceil_mode: pads for a last window that reaches past the input's end. Returns the share of its taps
// that are in the input and its padding, and count where padding does.
float reach_past_end(WindowAxis* axis, uint32_t extent);
// y with the last elements along an axis times a factor, and the others as they are.
ValueId last_scaled(const OnnxNode& node, ValueId y, size_t axis, float factor);

}  // namespace figment::converter
