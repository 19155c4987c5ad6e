// ONNX convolutions and pooling: images are transposed to NHWC around the op. One-dimensional ops run as
// two-dimensional ones of height 1.
#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "import/onnx_graph.h"

namespace figment::converter {

namespace {

// x as [N, C, H, W]; [N, C, L] becomes [N, C, 1, L]. Returns whether it was one-dimensional.
bool to_two_dimensions(const OnnxNode& node, ValueId* x) {
  const Shape shape = node.graph[*x].shape;
  if (shape.rank() == 4) return false;
  if (shape.rank() != 3) node.fail("only 1-D and 2-D inputs are supported, this one has shape " + to_string(shape));
  *x = node.reshape(*x, {shape[0], shape[1], {}, shape[2]});
  return true;
}

ValueId from_two_dimensions(const OnnxNode& node, ValueId y, bool one_dimensional) {
  if (!one_dimensional) return y;
  const Shape shape = node.graph[y].shape;
  return node.reshape(y, {shape[0], shape[1], shape[3]});
}

// Two values (height, width) of a list attribute that may be one-dimensional.
std::array<uint32_t, 2> pair_of(const OnnxNode& node, const char* attribute, bool one_dimensional, uint32_t fallback) {
  const size_t rank = one_dimensional ? 1 : 2;
  const std::vector<int64_t> values = node.integer_list(attribute, std::vector<int64_t>(rank, fallback));
  if (values.size() != rank) node.fail(fmt::format("{} must have {} values", attribute, rank));
  std::array<uint32_t, 2> result = {fallback, fallback};
  for (size_t i = 0; i < rank; ++i) {
    if (values[i] < 0 || values[i] > 65535) node.fail(std::string(attribute) + " is out of range");
    result[i + 2 - rank] = static_cast<uint32_t>(values[i]);
  }
  return result;
}

// top, left, bottom, right from "pads" (all begins, then all ends).
std::array<uint32_t, 4> pads_of(const OnnxNode& node, bool one_dimensional) {
  const size_t rank = one_dimensional ? 1 : 2;
  const std::vector<int64_t> values = node.integer_list("pads", std::vector<int64_t>(2 * rank, 0));
  if (values.size() != 2 * rank) node.fail(fmt::format("pads must have {} values", 2 * rank));
  std::array<uint32_t, 4> result{};
  for (size_t i = 0; i < rank; ++i) {
    if (values[i] < 0 || values[i] > 65535 || values[rank + i] < 0 || values[rank + i] > 65535) {
      node.fail("negative or huge pads are not supported");
    }
    result[i + 2 - rank] = static_cast<uint32_t>(values[i]);
    result[2 + i + 2 - rank] = static_cast<uint32_t>(values[rank + i]);
  }
  return result;
}

// Kernel, stride, dilation and padding of a convolution or pooling node over an input of `height` x `width`.
Window window_of(const OnnxNode& node, std::array<uint32_t, 2> kernel, bool one_dimensional, const Shape& nchw) {
  Window window;
  window.kernel = kernel;
  window.stride = pair_of(node, "strides", one_dimensional, 1);
  window.dilation = pair_of(node, "dilations", one_dimensional, 1);
  window.padding = pads_of(node, one_dimensional);
  const std::string mode = node.text("auto_pad", "NOTSET");
  if (mode == "VALID") window.padding = {};
  if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
    for (size_t axis = 0; axis < 2; ++axis) {
      const uint64_t extent = nchw[axis + 2].extent;
      if (window.stride[axis] == 0) node.fail("its stride is 0");
      const uint64_t out = (extent + window.stride[axis] - 1) / window.stride[axis];
      const uint64_t needed = (out - 1) * window.stride[axis] + window.span(axis);
      const uint64_t total = needed > extent ? needed - extent : 0;
      const uint64_t before = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
      window.padding[axis] = static_cast<uint32_t>(before);
      window.padding[axis + 2] = static_cast<uint32_t>(total - before);
    }
  } else if (mode != "NOTSET" && mode != "VALID" && !mode.empty()) {
    node.fail("unknown auto_pad " + mode);
  }
  return window;
}

// Weights in ONNX's layout to [O, h, w, I/groups]. `permutation` takes the split ONNX shape there.
ValueId arrange_weights(const OnnxNode& node, ValueId id, const std::vector<uint32_t>& split,
                        const std::vector<uint8_t>& permutation, const std::vector<uint32_t>& shape) {
  const Value& value = node.graph[id];
  const std::vector<float> to = transposed(value.f32(), split, {permutation.begin(), permutation.end()});
  std::optional<Origin> origin = value.constant->origin;
  if (origin) follow(&*origin, split, {permutation.begin(), permutation.end()});
  const ValueId arranged = node.graph.add_constant(value.name, shape, to);
  node.graph[arranged].constant->origin = origin;
  return arranged;
}

void import_convolution(const OnnxNode& node, bool transposed) {
  ValueId x = node.tensor(0);
  const ValueId weights = node.constant(1, "weight");
  const bool one_dimensional = to_two_dimensions(node, &x);
  const Shape shape = node.graph[x].shape;
  std::vector<uint32_t> kernel_shape = extents_of(node.graph[weights].shape);
  if (kernel_shape.size() != (one_dimensional ? 3 : 4))
    node.fail("its weight has shape " + to_string(node.graph[weights].shape));
  if (one_dimensional) kernel_shape.insert(kernel_shape.begin() + 2, 1);
  const std::array<uint32_t, 2> kernel = {kernel_shape[2], kernel_shape[3]};
  if (node.attribute("kernel_shape") != nullptr && pair_of(node, "kernel_shape", one_dimensional, 1) != kernel) {
    node.fail("its kernel_shape is not that of its weight");
  }
  Attributes attributes;
  Window& window = attributes.window;
  window = window_of(node, kernel, one_dimensional, shape);
  const int64_t groups = node.integer("group", 1);
  if (groups < 1 || groups > kernel_shape[0]) node.fail("group is out of range");
  window.groups = static_cast<uint32_t>(groups);
  ValueId arranged = 0;
  uint32_t outputs = kernel_shape[0];
  if (transposed) {
    // [I, O/groups, h, w] = [groups, I/groups, O/groups, h, w] -> [groups, O/groups, h, w, I/groups].
    if (kernel_shape[0] % window.groups != 0) node.fail("group does not divide the input channels");
    outputs = kernel_shape[1] * window.groups;
    arranged = arrange_weights(node, weights,
                               {window.groups, kernel_shape[0] / window.groups, kernel_shape[1], kernel[0], kernel[1]},
                               {0, 2, 3, 4, 1}, {outputs, kernel[0], kernel[1], kernel_shape[0] / window.groups});
    const std::array<uint32_t, 2> output_padding = pair_of(node, "output_padding", one_dimensional, 0);
    window.output_padding = output_padding;
    const std::vector<int64_t> output_shape = node.integer_list("output_shape", {});
    const std::string mode = node.text("auto_pad", "NOTSET");
    const bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
    const size_t spatial = one_dimensional ? 1 : 2;
    if (same || !output_shape.empty()) {
      if (!output_shape.empty() && output_shape.size() < spatial) node.fail("output_shape is too short");
      for (size_t axis = 2 - spatial; axis < 2; ++axis) {
        const uint64_t extent = shape[axis + 2].extent;
        const uint64_t wanted = output_shape.empty()
                                    ? extent * window.stride[axis]
                                    : static_cast<uint64_t>(output_shape[output_shape.size() - 2 + axis]);
        const uint64_t full = window.stride[axis] * (extent - 1) + output_padding[axis] + window.span(axis);
        if (wanted < 1 || wanted > full + 65535) node.fail("output_shape is out of range");
        if (wanted > full) window.output_padding[axis] += static_cast<uint32_t>(wanted - full);
        const uint64_t total = full > wanted ? full - wanted : 0;
        const uint64_t before = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
        window.padding[axis] = static_cast<uint32_t>(before);
        window.padding[axis + 2] = static_cast<uint32_t>(total - before);
      }
    }
  } else {
    arranged = arrange_weights(node, weights, kernel_shape, {0, 2, 3, 1},
                               {kernel_shape[0], kernel[0], kernel[1], kernel_shape[1]});
  }
  std::vector<ValueId> inputs = {node.transpose(x, nchw_to_nhwc()), arranged};
  if (node.has_input(2)) {
    const ValueId bias = node.constant(2, "bias");
    const Value& value = node.graph[bias];
    if (value.elements() != outputs) node.fail("its bias does not have one value per output channel");
    // Exporters make a bias of zeros for a layer without one.
    const bool made = !value.constant->origin && std::ranges::all_of(value.f32(), [](float x) { return x == 0; });
    if (!made) inputs.push_back(bias);
  }
  const ValueId y = node.add(transposed ? OpKind::kConvTranspose2d : OpKind::kConv2d, attributes, inputs);
  node.bind(from_two_dimensions(node, node.transpose(y, nhwc_to_nchw()), one_dimensional));
}

void import_pool(const OnnxNode& node, OpKind kind) {
  if (node.is_read(1)) node.fail("its index output is not supported");
  if (node.integer("storage_order", 0) != 0) node.fail("storage_order 1 is not supported");
  ValueId x = node.tensor(0);
  const bool one_dimensional = to_two_dimensions(node, &x);
  const Shape shape = node.graph[x].shape;
  Attributes attributes;
  Window& window = attributes.window;
  window = window_of(node, pair_of(node, "kernel_shape", one_dimensional, 1), one_dimensional, shape);
  window.count_padding = node.integer("count_include_pad", 0) != 0;
  if (node.integer("ceil_mode", 0) != 0) {
    for (size_t axis = 0; axis < 2; ++axis) {
      const uint64_t padded = uint64_t{shape[axis + 2].extent} + window.padding[axis] + window.padding[axis + 2];
      if (padded < window.span(axis) || window.stride[axis] == 0) continue;
      const uint64_t rest = (padded - window.span(axis)) % window.stride[axis];
      // A last window that would begin in the padding behind the input is left out.
      const uint64_t next =
          (padded - window.span(axis)) / window.stride[axis] * window.stride[axis] + window.stride[axis];
      if (rest == 0 || next >= shape[axis + 2].extent + window.padding[axis]) continue;
      if (window.count_padding) node.fail("ceil_mode with count_include_pad is not supported");
      window.padding[axis + 2] += static_cast<uint32_t>(window.stride[axis] - rest);
    }
  }
  const ValueId y = node.add(kind, attributes, {node.transpose(x, nchw_to_nhwc())});
  node.bind(from_two_dimensions(node, node.transpose(y, nhwc_to_nchw()), one_dimensional));
}

void import_global_pool(const OnnxNode& node, OpKind kind) {
  const ValueId x = node.tensor(0);
  const Shape shape = node.graph[x].shape;
  if (shape.rank() < 3) node.fail("its input has no spatial dimensions");
  Attributes attributes;
  if (kind == OpKind::kMean) {
    for (uint32_t i = 2; i < shape.rank(); ++i) attributes.axes.push_back(i);
    return node.bind(node.add(kind, attributes, {x}));
  }
  if (shape.rank() != 4) node.fail("only 2-D inputs are supported");
  attributes.window.kernel = {shape[2].extent, shape[3].extent};
  node.bind(node.transpose(node.add(kind, attributes, {node.transpose(x, nchw_to_nhwc())}), nhwc_to_nchw()));
}

}  // namespace

const Importers& window_importers() {
  static const Importers table = {
      {"AveragePool", [](const OnnxNode& node) { import_pool(node, OpKind::kAveragePool2d); }},
      {"Conv", [](const OnnxNode& node) { import_convolution(node, false); }},
      {"ConvTranspose", [](const OnnxNode& node) { import_convolution(node, true); }},
      {"GlobalAveragePool", [](const OnnxNode& node) { import_global_pool(node, OpKind::kMean); }},
      {"GlobalMaxPool", [](const OnnxNode& node) { import_global_pool(node, OpKind::kMaxPool2d); }},
      {"MaxPool", [](const OnnxNode& node) { import_pool(node, OpKind::kMaxPool2d); }},
  };
  return table;
}

}  // namespace figment::converter
