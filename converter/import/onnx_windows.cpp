// ONNX convolutions and pooling: images are transposed to NHWC around the op. One-dimensional ops run as
// two-dimensional ones of height 1.
#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "import/onnx_graph.h"
#include "import/window_axes.h"
#include "ir/batch.h"
#include "ir/builder.h"

namespace figment::converter {

namespace {

// x as [N, C, H, W]; [N, C, L] becomes [N, C, 1, L]. Returns whether it was one-dimensional.
bool to_two_dimensions(const OnnxNode& node, ValueId* x) {
  const Shape shape = node.graph[*x].shape;
  if (shape.rank() == 4) return false;
  if (shape.rank() != 3)
    node.fail("only inputs of one to three dimensions beside N and C are supported, this one has shape " +
              to_string(shape));
  *x = node.reshape(*x, {shape[0], shape[1], {}, shape[2]});
  return true;
}

ValueId from_two_dimensions(const OnnxNode& node, ValueId y, bool one_dimensional) {
  if (!one_dimensional) return y;
  const Shape shape = node.graph[y].shape;
  return node.reshape(y, {shape[0], shape[1], shape[3]});
}

// The window along height and width, of which a one-dimensional op has but the width.
std::array<WindowAxis, 2> image_axes(const OnnxNode& node, const std::vector<uint32_t>& kernel, const Shape& shape) {
  const std::vector<WindowAxis> axes = window_axes(node, kernel, shape);
  return axes.size() == 1 ? std::array{WindowAxis{}, axes[0]} : std::array{axes[0], axes[1]};
}

// Weights in ONNX's layout to [O, h, w, I/groups]. `permutation` takes the split ONNX shape there.
ValueId arrange_weights(const OnnxNode& node, ValueId id, const std::vector<uint32_t>& split,
                        const std::vector<uint8_t>& permutation, const std::vector<uint32_t>& shape) {
  const auto fixed = [](const std::vector<uint32_t>& extents) {
    Shape result;
    for (uint32_t extent : extents) result.push_back({extent, false});
    return result;
  };
  if (!node.graph[id].is_constant()) {
    // Computed: of other parameters, which fold_constants does, or of an input.
    Permutation order;
    for (uint8_t axis : permutation) order.push_back(axis);
    return node.reshaped(node.transpose(node.reshaped(id, fixed(split)), order), fixed(shape));
  }
  const Value& value = node.graph[id];
  const std::vector<float> to = transposed(value.f32(), split, {permutation.begin(), permutation.end()});
  std::optional<Origin> origin = value.constant->origin;
  if (origin) follow(&*origin, split, {permutation.begin(), permutation.end()});
  const ValueId arranged = node.graph.add_constant(value.name, shape, to);
  node.graph[arranged].constant->origin = origin;
  return arranged;
}

// x [N, H, W, I] with zeros between its pixels, as a transposed convolution sees it, and the padding that is left for a
// convolution of stride 1 with the kernel reversed.
ValueId spread(const OnnxNode& node, ValueId x, Window* window) {
  Builder build(&node.graph, node.name);
  const Shape shape = build.shape(x);
  std::array<uint32_t, 2> extent{};
  Attributes zeros;
  zeros.before = {0, 0, 0, 0, 0, 0};
  zeros.after = {0, 0, window->stride[0] - 1, 0, window->stride[1] - 1, 0};
  for (size_t axis = 0; axis < 2; ++axis) extent[axis] = shape[axis + 1].extent * window->stride[axis];
  if (window->stride != std::array<uint32_t, 2>{1, 1}) {
    const ValueId split = build.reshape(x, {shape[0], shape[1], {}, shape[2], {}, shape[3]});
    x = build.reshape(build.add(OpKind::kPad, {split}, zeros),
                      {shape[0], {extent[0], false}, {extent[1], false}, shape[3]});
  }
  Attributes around;
  around.before = {0, 0, 0, 0};
  around.after = {0, 0, 0, 0};
  for (size_t axis = 0; axis < 2; ++axis) {
    // Of the zeros behind the last pixel, stride - 1 count as padding already.
    const int64_t span = static_cast<int64_t>(window->span(axis)) - 1;
    const int64_t before = span - window->padding[axis];
    const int64_t after = span - window->padding[axis + 2] + window->output_padding[axis] - (window->stride[axis] - 1);
    const int64_t kept = extent[axis] + std::min<int64_t>(before, 0) + std::min<int64_t>(after, 0);
    if (kept < 1) node.fail("its padding leaves nothing");
    if (kept < extent[axis])
      x = build.slice(x, axis + 1, static_cast<uint32_t>(std::max<int64_t>(-before, 0)), static_cast<uint32_t>(kept));
    around.before[axis + 1] = static_cast<uint32_t>(std::max<int64_t>(before, 0));
    around.after[axis + 1] = static_cast<uint32_t>(std::max<int64_t>(after, 0));
  }
  window->padding = {};
  window->stride = {1, 1};
  window->output_padding = {};
  return build.add(OpKind::kPad, {x}, around);
}

// A convolution whose weights are another sample's in each place of the batch, as style-based generators modulate them
// (Karras et al. 2020): x [N, H, W, I] and weights [N, h, w, I, O] -> [N, H', W', O], as products of matrices.
ValueId convolve_each(const OnnxNode& node, ValueId x, ValueId weights, const Window& window) {
  Builder build(&node.graph, node.name);
  Attributes around;
  around.before = {0, window.padding[0], window.padding[1], 0};
  around.after = {0, window.padding[2], window.padding[3], 0};
  if (window.padding != std::array<uint32_t, 4>{}) x = build.add(OpKind::kPad, {x}, around);
  const Shape shape = build.shape(x);
  Shape taps = shape;
  for (size_t axis = 0; axis < 2; ++axis) {
    if (shape[axis + 1].extent < window.span(axis)) node.fail("its kernel does not fit into its input");
    taps[axis + 1].extent =
        static_cast<uint32_t>((shape[axis + 1].extent - window.span(axis)) / window.stride[axis]) + 1;
  }
  std::vector<ValueId> patches;
  for (uint32_t row = 0; row < window.kernel[0]; ++row) {
    for (uint32_t column = 0; column < window.kernel[1]; ++column) {
      Attributes from;
      from.starts = {0, row * window.dilation[0], column * window.dilation[1], 0};
      from.steps = {1, window.stride[0], window.stride[1], 1};
      patches.push_back(taps == shape ? x : build.add_shaped(OpKind::kSlice, {x}, taps, from));
    }
  }
  const ValueId gathered = node.concatenate(patches, 3);
  const uint32_t pixels = taps[1].extent * taps[2].extent;
  const Shape each = build.shape(weights);
  const uint32_t inner = each[1].extent * each[2].extent * each[3].extent;
  const ValueId rows = build.reshape(gathered, {shape[0], {pixels, false}, {inner, false}});
  const ValueId matrix = build.reshape(weights, {each[0], {inner, false}, each[4]});
  return build.reshape(build.matmul(rows, false, matrix, false), {shape[0], taps[1], taps[2], each[4]});
}

// With weights [O·N, I, h, w], or [I·N, O, h, w] of a transposed convolution.
void import_convolution_of_each(const OnnxNode& node, ValueId x, ValueId weights, bool one_dimensional,
                                bool transposed) {
  Builder build(&node.graph, node.name);
  Shape shape = node.graph[weights].shape;
  if (one_dimensional) shape = {shape[0], shape[1], {}, shape[2]};
  if (!shape[0].per_batch || !node.graph[x].shape[0].per_batch || node.graph[x].shape[0].extent != 1)
    node.fail("its weight depends on the batch, and not as one kernel for each sample");
  std::vector<uint32_t> kernel = {shape[2].extent, shape[3].extent};
  if (one_dimensional) kernel.erase(kernel.begin());
  const auto [rows, columns] = image_axes(node, kernel, node.value(0).shape);
  Window window = window_of(rows, columns);
  // Over an open batch such a node would convolve each sample with the kernels of all.
  if (node.importer.reopened_batch() != 1 || node.integer("group", 1) != 1)
    node.fail("its weight depends on the batch: export with a batch of 1, and not open, which is opened here");
  if (transposed && (node.text("auto_pad", "NOTSET") != "NOTSET" || node.attribute("output_shape") != nullptr))
    node.fail("its weight depends on the batch: auto_pad and output_shape are not supported then");
  const ValueId split = build.reshape(weights, {{1, true}, {shape[0].extent, false}, shape[1], shape[2], shape[3]});
  // [N, O, I, h, w] or [N, I, O, h, w] -> [N, h, w, I, O].
  ValueId kernels = node.transpose(split, transposed ? Permutation{0, 3, 4, 1, 2} : Permutation{0, 3, 4, 2, 1});
  ValueId image = node.transpose(x, nchw_to_nhwc());
  if (transposed) {
    for (uint32_t axis : {1U, 2U}) {
      Attributes along;
      along.axes = {axis};
      kernels = build.add(OpKind::kReverse, {kernels}, along);
    }
    image = spread(node, image, &window);
  }
  if (build.shape(kernels)[3] != build.shape(image)[3]) node.fail("its weight does not have its input's channels");
  ValueId y = convolve_each(node, image, kernels, window);
  if (node.has_input(2)) {
    const ValueId bias = node.tensor(2);
    const Shape& given = build.shape(bias);
    if (given.rank() != 1 || given[0].extent != build.shape(y)[3].extent)
      node.fail("its bias does not have one value per output channel");
    const Dimension batch = given[0].per_batch ? Dimension{1, true} : Dimension{};
    y = build.add(OpKind::kAdd, {y, build.reshape(bias, {batch, {}, {}, build.shape(y)[3]})});
  }
  node.bind(from_two_dimensions(node, node.transpose(y, nhwc_to_nchw()), one_dimensional));
}

void import_convolution(const OnnxNode& node, bool transposed) {
  if (node.value(0).shape.rank() == 5) return import_volume_convolution(node, transposed);
  ValueId x = node.tensor(0);
  const ValueId weights = node.tensor(1);
  const bool one_dimensional = to_two_dimensions(node, &x);
  const Shape shape = node.graph[x].shape;
  const Shape& weight_shape = node.graph[weights].shape;
  if (weight_shape.rank() != (one_dimensional ? 3 : 4)) node.fail("its weight has shape " + to_string(weight_shape));
  if (has_batch(weight_shape)) return import_convolution_of_each(node, x, weights, one_dimensional, transposed);
  std::vector<uint32_t> kernel_shape = extents_of(node.graph[weights].shape);
  if (one_dimensional) kernel_shape.insert(kernel_shape.begin() + 2, 1);
  const std::array<uint32_t, 2> kernel = {kernel_shape[2], kernel_shape[3]};
  const std::vector<uint32_t> taps(kernel_shape.begin() + (one_dimensional ? 3 : 2), kernel_shape.end());
  if (node.attribute("kernel_shape") != nullptr && window_list(node, "kernel_shape", taps.size(), 1) != taps)
    node.fail("its kernel_shape is not that of its weight");
  const auto [rows, columns] = image_axes(node, taps, node.value(0).shape);
  Attributes attributes;
  Window& window = attributes.window;
  window = window_of(rows, columns);
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
    const std::array<uint32_t, 2> output_padding = window.output_padding;
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
    const ValueId bias = node.tensor(2);
    const Value& value = node.graph[bias];
    if (value.shape != Shape{{outputs, false}}) node.fail("its bias does not have one value per output channel");
    // Exporters make a bias of zeros for a layer without one.
    const bool made = value.is_constant() && !value.constant->origin &&
                      std::ranges::all_of(value.f32(), [](float x) { return x == 0; });
    if (!made) inputs.push_back(bias);
  }
  const ValueId y = node.add(transposed ? OpKind::kConvTranspose2d : OpKind::kConv2d, attributes, inputs);
  node.bind(from_two_dimensions(node, node.transpose(y, nhwc_to_nchw()), one_dimensional));
}

void import_pool(const OnnxNode& node, OpKind kind) {
  if (node.is_read(1))
    node.fail(
        "its indices, as MaxUnpool takes them, are not supported; pool without return_indices, and enlarge by "
        "interpolate (Resize) or a transposed convolution");
  if (node.value(0).shape.rank() == 5) return import_volume_pool(node, kind);
  if (node.integer("storage_order", 0) != 0) node.fail("storage_order 1 is not supported");
  ValueId x = node.tensor(0);
  const bool one_dimensional = to_two_dimensions(node, &x);
  const Shape shape = node.graph[x].shape;
  const size_t count = one_dimensional ? 1 : 2;
  std::array<WindowAxis, 2> axes = image_axes(node, window_list(node, "kernel_shape", count, 1), node.value(0).shape);
  const bool counts_padding = node.integer("count_include_pad", 0) != 0;
  // By how much a window that reaches past the padding counts for less than it would.
  std::array<float, 2> last_share = {1, 1};
  for (size_t i = 0; i < 2 && node.integer("ceil_mode", 0) != 0; ++i) {
    const float share = reach_past_end(&axes[i], shape[i + 2].extent);
    if (counts_padding) last_share[i] = share;
  }
  Attributes attributes;
  attributes.window = window_of(axes[0], axes[1]);
  attributes.window.count_padding = counts_padding;
  ValueId y = node.add(kind, attributes, {node.transpose(x, nchw_to_nhwc())});
  for (uint32_t axis = 0; axis < 2; ++axis) y = last_scaled(node, y, axis + 1, 1 / last_share[axis]);
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
  // As one row of pixels.
  const CheckedSize pixels = element_count(shape, 1).value() / (uint64_t{shape[0].extent} * shape[1].extent);
  if (!pixels.within(UINT16_MAX)) node.fail(fmt::format("its input has more than {} pixels", UINT16_MAX));
  attributes.window.kernel = {1, static_cast<uint32_t>(pixels.value())};
  const ValueId row = node.reshape(x, {shape[0], shape[1], {}, {static_cast<uint32_t>(pixels.value()), false}});
  const ValueId y = node.transpose(node.add(kind, attributes, {node.transpose(row, nchw_to_nhwc())}), nhwc_to_nchw());
  Shape ones = {shape[0], shape[1]};
  for (size_t i = 2; i < shape.rank(); ++i) ones.push_back({});
  node.bind(node.reshaped(y, ones));
}

}  // namespace

const Importers& window_importers() {
  static const Importers table = {
      {"AveragePool",
       {[](const OnnxNode& node) { import_pool(node, OpKind::kAveragePool2d); },
        6,
        {OpKind::kMultiply, OpKind::kAveragePool2d},
        "1-D to 3-D"}},
      {"Conv",
       {[](const OnnxNode& node) { import_convolution(node, false); },
        6,
        {OpKind::kConv2d, OpKind::kMatmul, OpKind::kAdd, OpKind::kConcat, OpKind::kSlice, OpKind::kPad},
        "1-D to 3-D; weights may be computed, for each sample too"}},
      {"ConvTranspose",
       {[](const OnnxNode& node) { import_convolution(node, true); },
        6,
        {OpKind::kConvTranspose2d, OpKind::kMatmul, OpKind::kAdd, OpKind::kConcat, OpKind::kSlice, OpKind::kPad,
         OpKind::kReverse},
        "1-D to 3-D; weights may be computed, for each sample too"}},
      {"GlobalAveragePool",
       {[](const OnnxNode& node) { import_global_pool(node, OpKind::kMean); }, 6, {OpKind::kMean}, ""}},
      {"GlobalMaxPool",
       {[](const OnnxNode& node) { import_global_pool(node, OpKind::kMaxPool2d); },
        6,
        {OpKind::kMaxPool2d},
        "65535 pixels at most"}},
      {"MaxPool",
       {[](const OnnxNode& node) { import_pool(node, OpKind::kMaxPool2d); },
        6,
        {OpKind::kMaxPool2d},
        "1-D to 3-D; without indices"}},
  };
  return table;
}

}  // namespace figment::converter
