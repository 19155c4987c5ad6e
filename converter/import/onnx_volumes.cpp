// ONNX convolutions and pooling of volumes [N, C, D, H, W]: those of images for each slice, and what joins slices.
// Inside, volumes are [N, D, H, W, C], and slices [D·N, H, W, C].
#include <fmt/format.h>
#include <algorithm>

#include "import/onnx_graph.h"
#include "import/window_axes.h"
#include "ir/builder.h"

namespace figment::converter {

namespace {

// Along depth, height and width.
using Axes = std::vector<WindowAxis>;

ValueId to_slices(Builder& build, ValueId volume) {
  const Shape shape = build.shape(volume);
  return build.reshape(volume, {{shape[1].extent * shape[0].extent, shape[0].per_batch}, shape[2], shape[3], shape[4]});
}

ValueId from_slices(Builder& build, ValueId slices, Dimension batch) {
  const Shape shape = build.shape(slices);
  return build.reshape(slices, {batch, {shape[0].extent / batch.extent, false}, shape[1], shape[2], shape[3]});
}

ValueId padded_depth(Builder& build, ValueId volume, uint32_t before, uint32_t after) {
  if (before == 0 && after == 0) return volume;
  Attributes pad;
  pad.before = {0, before, 0, 0, 0};
  pad.after = {0, after, 0, 0, 0};
  return build.add(OpKind::kPad, {volume}, pad);
}

// Weights [O, I, d, h, w] at depth `tap` as [O, h, w, I].
ValueId weights_at(const OnnxNode& node, ValueId weights, uint32_t tap) {
  Builder build(&node.graph, node.name);
  const Shape shape = build.shape(weights);
  const ValueId slice = build.reshape(build.slice(weights, 2, tap, 1), {shape[0], shape[1], shape[3], shape[4]});
  return node.transpose(slice, {0, 2, 3, 1});
}

// The sum over the kernel's depth of convolutions of slices.
ValueId convolution(const OnnxNode& node, ValueId x, ValueId weights, std::optional<ValueId> bias, const Axes& axes,
                    uint32_t groups) {
  Builder build(&node.graph, node.name);
  x = padded_depth(build, x, axes[0].before, axes[0].after);
  const Shape shape = build.shape(x);
  if (shape[1].extent < axes[0].span()) node.fail("its kernel does not fit into its input");
  Shape taken = shape;
  taken[1].extent = static_cast<uint32_t>((shape[1].extent - axes[0].span()) / axes[0].stride) + 1;
  Attributes attributes;
  attributes.window = window_of(axes[1], axes[2]);
  attributes.window.groups = groups;
  std::optional<ValueId> sum;
  for (uint32_t tap = 0; tap < axes[0].kernel; ++tap) {
    Attributes from;
    from.starts = {0, tap * axes[0].dilation, 0, 0, 0};
    from.steps = {1, axes[0].stride, 1, 1, 1};
    const ValueId slices = to_slices(build, build.add_shaped(OpKind::kSlice, {x}, taken, from));
    std::vector<ValueId> inputs = {slices, weights_at(node, weights, tap)};
    if (!sum && bias) inputs.push_back(*bias);
    const ValueId y = build.add(OpKind::kConv2d, inputs, attributes);
    sum = sum ? build.add(OpKind::kAdd, {*sum, y}) : y;
  }
  return from_slices(build, *sum, shape[0]);
}

// The sum over the kernel's depth of transposed convolutions of slices, each moved along the depth.
ValueId transposed_convolution(const OnnxNode& node, ValueId x, ValueId weights, std::optional<ValueId> bias,
                               const Axes& axes, uint32_t groups) {
  Builder build(&node.graph, node.name);
  const Shape shape = build.shape(x);
  const Shape given = build.shape(weights);
  // [I, O/groups, d, h, w] -> [O, I/groups, d, h, w].
  const Dimension inputs = {given[0].extent / groups, false};
  const uint32_t outputs = given[1].extent * groups;
  const uint32_t area = given[2].extent * given[3].extent * given[4].extent;
  const ValueId split = node.reshaped(weights, {{groups, false}, inputs, given[1], {area, false}});
  const ValueId arranged =
      build.reshape(node.transpose(split, {0, 2, 1, 3}), {{outputs, false}, inputs, given[2], given[3], given[4]});
  Attributes attributes;
  attributes.window = window_of(axes[1], axes[2]);
  attributes.window.groups = groups;
  const WindowAxis& depth = axes[0];
  const uint32_t spread = shape[1].extent * depth.stride;
  const auto full = static_cast<uint32_t>((shape[1].extent - 1) * depth.stride + depth.span() + depth.output_padding);
  std::optional<ValueId> sum;
  for (uint32_t tap = 0; tap < depth.kernel; ++tap) {
    const ValueId slices =
        build.add(OpKind::kConvTranspose2d, {to_slices(build, x), weights_at(node, arranged, tap)}, attributes);
    ValueId y = from_slices(build, slices, shape[0]);
    const Shape image = build.shape(y);
    if (depth.stride > 1) {
      const Dimension row = {image[2].extent * image[3].extent * image[4].extent, false};
      Attributes zeros;
      zeros.before = {0, 0, 0, 0};
      zeros.after = {0, 0, depth.stride - 1, 0};
      const ValueId apart = build.add(OpKind::kPad, {build.reshape(y, {image[0], image[1], {}, row})}, zeros);
      y = build.reshape(apart, {image[0], {spread, false}, image[2], image[3], image[4]});
      y = build.slice(y, 1, 0, spread - (depth.stride - 1));
    }
    const uint32_t extent = build.shape(y)[1].extent;
    const uint32_t before = tap * depth.dilation;
    y = padded_depth(build, y, before, full - before - extent);
    sum = sum ? build.add(OpKind::kAdd, {*sum, y}) : y;
  }
  if (depth.before + depth.after >= full) node.fail("its padding leaves nothing");
  ValueId y = build.slice(*sum, 1, depth.before, full - depth.before - depth.after);
  if (bias) y = build.add(OpKind::kAdd, {y, node.reshaped(*bias, {{}, {}, {}, {}, {outputs, false}})});
  return y;
}

}  // namespace

void import_volume_convolution(const OnnxNode& node, bool transposed) {
  const ValueId weights = node.tensor(1);
  const Shape given = node.graph[weights].shape;
  const Shape shape = node.value(0).shape;
  if (given.rank() != 5 || given[0].per_batch) node.fail("its weight has shape " + to_string(given));
  const int64_t groups = node.integer("group", 1);
  if (groups < 1 || given[0].extent % groups != 0) node.fail("group is out of range");
  if (transposed && (node.text("auto_pad", "NOTSET") != "NOTSET" || node.attribute("output_shape") != nullptr))
    node.fail("auto_pad and output_shape are not supported for volumes");
  const Axes axes = window_axes(node, {given[2].extent, given[3].extent, given[4].extent}, shape);
  const ValueId x = node.transpose(node.tensor(0), {0, 2, 3, 4, 1});
  std::optional<ValueId> bias;
  if (node.has_input(2)) bias = node.tensor(2);
  const auto number = static_cast<uint32_t>(groups);
  const ValueId y = transposed ? transposed_convolution(node, x, weights, bias, axes, number)
                               : convolution(node, x, weights, bias, axes, number);
  node.bind(node.transpose(y, {0, 4, 1, 2, 3}));
}

// Over height and width, then over depth: maxima and means of boxes are those of their rows'.
void import_volume_pool(const OnnxNode& node, OpKind kind) {
  Builder build(&node.graph, node.name);
  const Shape given = node.value(0).shape;
  Axes axes = window_axes(node, window_list(node, "kernel_shape", 3, 1), given);
  const bool counts_padding = node.integer("count_include_pad", 0) != 0;
  std::array<float, 3> last_share = {1, 1, 1};
  for (size_t i = 0; i < 3 && node.integer("ceil_mode", 0) != 0; ++i) {
    const float share = reach_past_end(&axes[i], given[i + 2].extent);
    if (counts_padding) last_share[i] = share;
  }
  const ValueId x = node.transpose(node.tensor(0), {0, 2, 3, 4, 1});
  const Dimension batch = build.shape(x)[0];
  Attributes image;
  image.window = window_of(axes[1], axes[2]);
  image.window.count_padding = counts_padding;
  const ValueId slices = from_slices(build, build.add(kind, {to_slices(build, x)}, image), batch);
  const Shape shape = build.shape(slices);
  Attributes depth;
  depth.window = window_of(axes[0], {});
  depth.window.count_padding = image.window.count_padding;
  const ValueId rows =
      build.reshape(slices, {shape[0], shape[1], {shape[2].extent * shape[3].extent, false}, shape[4]});
  const ValueId joined = build.add(kind, {rows}, depth);
  ValueId y = build.reshape(joined, {shape[0], build.shape(joined)[1], shape[2], shape[3], shape[4]});
  for (uint32_t axis = 0; axis < 3; ++axis) y = last_scaled(node, y, axis + 1, 1 / last_share[axis]);
  node.bind(node.transpose(y, {0, 4, 1, 2, 3}));
}

}  // namespace figment::converter
