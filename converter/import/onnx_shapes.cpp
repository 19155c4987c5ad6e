// ONNX ops that move elements or compute shapes.
#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>

#include "import/onnx_graph.h"
#include "ir/batch.h"
#include "ir/builder.h"

namespace figment::converter {

namespace {

// Of a parameter, for training, a parameter of its own: exporters store tensors of equal values once, and name the
// others by their Identities.
void import_identity(const OnnxNode& node) {
  const ValueId x = node.tensor(0);
  const Value& value = node.graph[x];
  if (node.importer.purpose() == Purpose::kInference || !value.is_constant() || !value.constant->origin)
    return node.bind(x);
  node.expect_room(value.constant->bytes.size());
  Value copy = value;
  copy.name = node.proto.output(0);
  copy.constant->origin->name = copy.name;
  node.bind(node.graph.add_value(std::move(copy)));
}

void import_dropout(const OnnxNode& node) {
  if (node.is_read(1) && node.importer.purpose() == Purpose::kInference) node.fail("its mask output is not supported");
  if (node.importer.purpose() == Purpose::kInference && node.is_integers(2) &&
      node.numbers(2) != std::vector<int64_t>{0})
    node.fail("it drops values, as in training: export the model with model.eval() and training=TrainingMode.EVAL");
  const ValueId x = node.tensor(0);
  const float rate = node.has_input(1) ? node.scalar(1) : node.real("ratio", 0.5F);
  if (node.importer.purpose() == Purpose::kInference || rate == 0) return node.bind(x);
  if (!(rate > 0 && rate < 1)) node.fail("its ratio must be in [0, 1)");
  const DrawnInput mask = drawn_input(node, ".mask", node.graph[x].shape);
  if (!mask.per_batch) node.fail("its input does not depend on the batch");
  node.graph.inputs.back().dropout = rate;
  node.bind(node.add(OpKind::kMultiply, {}, {x, mask.value}));
}

void cast(const OnnxNode& node, bool integers, bool boolean) {
  const bool computed = !node.is_known(0) && !node.value(0).is_constant();
  if (!computed || !integers || (node.holds_integers(0) && !boolean)) return node.bind(node.tensor(0));
  Builder build(&node.graph, node.name);
  node.bind(boolean ? as_boolean(build, node.tensor(0)) : truncated(build, node.tensor(0)));
}

void import_cast(const OnnxNode& node) {
  const auto to = static_cast<int32_t>(node.integer("to", onnx::TensorProto::FLOAT));
  if (!is_float_type(to) && !is_integer_type(to)) node.fail("a cast to " + type_name(to) + " is not supported");
  cast(node, is_integer_type(to), to == onnx::TensorProto::BOOL);
}

// To the type of the second input.
void import_cast_like(const OnnxNode& node) {
  const bool boolean = node.is_integers(1) && node.integers(1).type == onnx::TensorProto::BOOL;
  const bool real = !node.is_integers(1) && !node.holds_integers(1);
  if (real && node.is_integers(0)) {
    // A length, for one, that values are divided by.
    KnownTensor known = node.integers(0);
    known.type = onnx::TensorProto::FLOAT;
    for (Number& number : known.values) {
      if (number.per_batch) node.fail("its input depends on the batch");
      number = {0, false, static_cast<double>(static_cast<float>(number.value))};
    }
    return node.bind(std::move(known));
  }
  cast(node, node.is_integers(1) || node.holds_integers(1), boolean);
}

void import_shape(const OnnxNode& node) {
  const Shape shape = node.value(0).shape;
  const auto rank = static_cast<int64_t>(shape.rank());
  const auto clamp = [rank](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank); };
  const int64_t start = clamp(node.integer("start", 0));
  const int64_t end = clamp(node.integer("end", rank));
  std::vector<Number> integers;
  for (int64_t i = start; i < end; ++i) {
    integers.push_back({shape[static_cast<size_t>(i)].extent, shape[static_cast<size_t>(i)].per_batch});
  }
  node.bind(known_list(std::move(integers)));
}

// Copies along each axis: a broadcast along a new dimension in front of it.
void import_tile(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  ValueId x = node.number(0);
  const std::vector<Number> repeats = node.integers(1).values;
  const size_t rank = build.shape(x).rank();
  if (repeats.size() != rank) node.fail("repeats does not name every dimension");
  for (size_t axis = 0; axis < rank; ++axis) {
    const auto [value, per_batch, real] = repeats[axis];
    if (value == 1 && !per_batch) continue;
    const Shape shape = build.shape(x);
    if (value < 1 || value > UINT16_MAX) node.fail("repeats are out of range");
    if (shape[axis].per_batch || (per_batch && shape[axis].extent != 1)) node.fail("cannot repeat the batch");
    const auto count = static_cast<uint32_t>(value);
    // What stands in front is one dimension, so that there is room for another.
    Shape split = {{}, {}, {}};
    Shape wide;
    Shape result = shape;
    for (size_t i = 0; i < rank; ++i) {
      Dimension& target = split[i < axis ? 0 : 2];
      target.extent *= shape[i].extent;
      target.per_batch = target.per_batch || shape[i].per_batch;
    }
    wide = {split[0], {count, per_batch}, split[2]};
    result[axis] = {result[axis].extent * count, per_batch};
    x = build.reshape(build.add_shaped(OpKind::kBroadcast, {build.reshape(x, split)}, wide), result);
  }
  node.bind(x);
}

uint32_t block_size(const OnnxNode& node, const Shape& image) {
  const int64_t given = node.integer("blocksize", 0);
  if (image.rank() != 4 || given < 1 || given > 256) node.fail("it needs an image and a blocksize");
  return static_cast<uint32_t>(given);
}

// Blocks of channels to blocks of pixels (Shi et al. 2016), and back.
void import_depth_to_space(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.tensor(0);
  const Shape shape = build.shape(x);
  const uint32_t block = block_size(node, shape);
  if (shape[1].extent % (block * block) != 0) node.fail("its blocksize does not divide the channels");
  const Dimension b = {block, false};
  const Dimension channels = {shape[1].extent / (block * block), false};
  const bool columns_first = node.text("mode", "DCR") == "CRD";
  const Shape split = columns_first ? Shape{shape[0], channels, b, b, shape[2], shape[3]}
                                    : Shape{shape[0], b, b, channels, shape[2], shape[3]};
  const Permutation order = columns_first ? Permutation{0, 1, 4, 2, 5, 3} : Permutation{0, 3, 4, 1, 5, 2};
  const ValueId moved = node.transpose(build.reshape(x, split), order);
  node.bind(
      build.reshape(moved, {shape[0], channels, {shape[2].extent * block, false}, {shape[3].extent * block, false}}));
}

void import_space_to_depth(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.tensor(0);
  const Shape shape = build.shape(x);
  const uint32_t block = block_size(node, shape);
  if (shape[2].extent % block != 0 || shape[3].extent % block != 0)
    node.fail("its blocksize does not divide the image");
  const Dimension b = {block, false};
  const Dimension height = {shape[2].extent / block, false};
  const Dimension width = {shape[3].extent / block, false};
  const ValueId split = build.reshape(x, {shape[0], shape[1], height, b, width, b});
  const ValueId moved = node.transpose(split, {0, 3, 5, 1, 2, 4});
  node.bind(build.reshape(moved, {shape[0], {shape[1].extent * block * block, false}, height, width}));
}

std::vector<int64_t> axes_of(const OnnxNode& node, size_t input) {
  return node.has_input(input) ? node.numbers(input) : node.integer_list("axes", {});
}

void import_unsqueeze(const OnnxNode& node) {
  const std::vector<int64_t> axes = axes_of(node, 1);
  const Shape shape = node.value(0).shape;
  const size_t rank = shape.rank() + axes.size();
  if (rank > kMaxRank) node.fail(fmt::format("its output has more than {} dimensions", kMaxRank));
  std::vector<bool> added(rank);
  for (int64_t axis : axes) {
    if (added[node.axis(axis, rank)]) node.fail("an axis is named twice");
    added[node.axis(axis, rank)] = true;
  }
  Shape result;
  size_t next = 0;
  for (size_t i = 0; i < rank; ++i) result.push_back(added[i] ? Dimension{} : shape[next++]);
  node.bind(node.reshaped(node.tensor(0), result));
}

void import_squeeze(const OnnxNode& node) {
  const std::vector<int64_t> axes = axes_of(node, 1);
  const Shape shape = node.value(0).shape;
  std::vector<bool> removed(shape.rank());
  for (int64_t axis : axes) {
    const size_t i = node.axis(axis, shape.rank());
    removed[i] = shape[i] == Dimension{};
    // PyTorch's squeeze keeps such a dimension, and its exporters write it so.
    if (!removed[i] && !node.importer.from_pytorch())
      node.fail(fmt::format("dimension {} of {} is not 1", i, to_string(shape)));
  }
  Shape result;
  for (size_t i = 0; i < shape.rank(); ++i) {
    if (!(axes.empty() ? shape[i] == Dimension{} : removed[i])) result.push_back(shape[i]);
  }
  node.bind(node.reshaped(node.tensor(0), result));
}

// The dimension that holds the batch in a shape `fixed`, of as many elements as x, of an exporter that had fixed it. In
// the order of x's elements, `before` stand before the batch: dimensions begin and end there. The batch is a dimension
// of its own, or else begins one, where what is behind has been split (as heads of attention), or ends one, or is
// inside.
std::optional<size_t> reopened_axis(const OnnxNode& node, ValueId x, const Shape& fixed, uint32_t batch) {
  const Shape& from = node.graph[x].shape;
  const std::optional<size_t> own = batch_axis(from);
  if (!own) return std::nullopt;
  const uint32_t extent = from[*own].extent;
  uint64_t before = extent / node.inner_of_batch(x).value_or(extent);
  for (size_t i = 0; i < *own; ++i) before *= from[i].extent;
  std::optional<size_t> alone;
  std::optional<size_t> begins;
  std::optional<size_t> spans;
  uint64_t passed = 1;
  for (size_t i = 0; i < fixed.rank(); ++i) {
    const uint64_t end = passed * fixed[i].extent;
    const bool divides = fixed[i].extent % batch == 0;
    if (passed == before && fixed[i].extent == batch && (!alone || i == *own)) alone = i;
    if (passed == before && fixed[i].extent > batch && divides && !begins) begins = i;
    if (!spans && before % passed == 0 && divides && end % (before * batch) == 0) spans = i;
    passed = end;
  }
  if (alone) return alone;
  // What is behind as it was, or merged, makes rows of samples.
  const bool splits = begins && fixed.rank() - *begins > from.rank() - *own - 1;
  return splits ? begins : spans;
}

// The shape that ONNX's Reshape means: 0 copies a dimension, -1 takes what is left.
void import_reshape(const OnnxNode& node) {
  const Shape shape = node.value(0).shape;
  const KnownTensor& wanted = node.integers(1);
  if (wanted.values.size() > kMaxRank) node.fail(fmt::format("its output has more than {} dimensions", kMaxRank));
  Shape result;
  int open = -1;
  CheckedSize known = 1;
  size_t known_batches = 0;
  for (size_t i = 0; i < wanted.values.size(); ++i) {
    const Number& extent = wanted.values[i];
    Dimension dimension{1, extent.per_batch};
    if (extent.value == -1 && !extent.per_batch) {
      if (open >= 0) node.fail("two dimensions of its shape are -1");
      open = static_cast<int>(i);
      result.push_back({});
      continue;
    }
    if (extent.value == 0 && node.integer("allowzero", 0) == 0) {
      if (i >= shape.rank()) node.fail("its shape copies a dimension that does not exist");
      dimension = shape[i];
    } else {
      if (extent.value < 1 || static_cast<uint64_t>(extent.value) > kMaxExtent)
        node.fail(fmt::format("its shape has a dimension of {}", extent.value));
      dimension.extent = static_cast<uint32_t>(extent.value);
    }
    known *= dimension.extent;
    known_batches += dimension.per_batch ? 1 : 0;
    result.push_back(dimension);
  }
  size_t batches = 0;
  for (const Dimension& dimension : shape) batches += dimension.per_batch ? 1 : 0;
  const uint64_t total = element_count(shape, 1).value();
  const uint32_t reopened = node.importer.reopened_batch();
  if (reopened != 0 && batches == 1 && known_batches == 0) {
    // The exporter's shape is of a batch that was fixed.
    const CheckedSize all = CheckedSize(total) * reopened;
    if (open >= 0) {
      if (!known.valid() || known.value() == 0 || all.value() % known.value() != 0)
        node.fail("its shape does not divide " + to_string(shape));
      result[static_cast<size_t>(open)].extent = static_cast<uint32_t>(all.value() / known.value());
      known = all;
    }
    const std::optional<size_t> axis = known.valid() && known.value() == all.value()
                                           ? reopened_axis(node, node.tensor(0), result, reopened)
                                           : std::nullopt;
    if (!axis) node.fail("its shape has no dimension for the batch");
    result[*axis] = {result[*axis].extent / reopened, true};
  } else if (open >= 0) {
    if (known.valid() && known.value() > total && known.value() % total == 0 && batches > known_batches)
      node.fail(
          fmt::format("it makes one sample of {0}, which an open batch may not be a multiple of: export with a "
                      "batch of {0}, and not open (no dynamic_axes or dynamic_shapes)",
                      known.value() / total));
    if (!known.valid() || known.value() == 0 || total % known.value() != 0)
      node.fail("its shape does not divide " + to_string(shape));
    result[static_cast<size_t>(open)] = {static_cast<uint32_t>(total / known.value()), batches > known_batches};
  } else if (batches == 1 && known_batches == 0 && result.rank() > 0 && shape[0].per_batch && known.valid() &&
             known.value() == total && result[0].extent == 1) {
    // A batch of one that was frozen into the shape while the input's stayed open.
    result[0].per_batch = true;
  }
  node.bind(node.reshaped(node.tensor(0), result));
}

void import_flatten(const OnnxNode& node) {
  const Shape shape = node.value(0).shape;
  const int64_t given = node.integer("axis", 1);
  const size_t axis = given == static_cast<int64_t>(shape.rank()) ? shape.rank() : node.axis(given, shape.rank());
  Shape result = {{}, {}};
  for (size_t i = 0; i < shape.rank(); ++i) {
    Dimension& target = result[i < axis ? 0 : 1];
    target.extent *= shape[i].extent;
    target.per_batch = target.per_batch || shape[i].per_batch;
  }
  node.bind(node.reshaped(node.tensor(0), result));
}

void import_transpose(const OnnxNode& node) {
  const ValueId x = node.tensor(0);
  const size_t rank = node.graph[x].shape.rank();
  std::vector<int64_t> reversed;
  for (size_t i = rank; i > 0; --i) reversed.push_back(static_cast<int64_t>(i - 1));
  Permutation permutation;
  const std::vector<int64_t> given = node.integer_list("perm", reversed);
  if (given.size() != rank) node.fail("perm does not name every dimension");
  for (int64_t axis : given) permutation.push_back(static_cast<uint32_t>(node.axis(axis, rank)));
  node.bind(node.transpose(x, permutation));
}

// Whether a constant [outer, batch, behind], flattened, is the same for each sample of the batch.
bool same_for_samples(std::span<const float> values, size_t batch, size_t behind) {
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t sample = i / behind % batch;
    if (values[i] != values[i - sample * behind]) return false;
  }
  return true;
}

// A fixed value whose dimension `axis` an exporter had made as long as `like`, with `inner` elements of a sample
// together, for a batch that is open now.
ValueId for_each_sample(const OnnxNode& node, ValueId x, size_t axis, Dimension like, uint32_t inner) {
  Builder build(&node.graph, node.name);
  const uint32_t batch = node.importer.reopened_batch();
  const Shape shape = build.shape(x);
  if (shape.rank() + 2 > kMaxRank) node.fail(fmt::format("its input has more than {} dimensions", kMaxRank));
  Shape apart;  // [.., outer, batch, inner, ..]
  for (size_t d = 0; d < shape.rank(); ++d) {
    if (d != axis) {
      apart.push_back(shape[d]);
      continue;
    }
    for (uint32_t extent : {like.extent / inner, batch, inner}) apart.push_back({extent, false});
  }
  ValueId first = node.reshaped(x, apart);
  if (batch > 1) {
    size_t behind = 1;
    for (size_t d = axis + 2; d < apart.rank(); ++d) behind *= apart[d].extent;
    if (!node.graph[first].is_constant() || !same_for_samples(node.graph[first].f32(), batch, behind))
      node.fail("it joins samples with a constant that is another one for each");
    first = build.slice(first, axis + 1, 0, 1);
  }
  apart[axis + 1] = {1, true};
  Shape whole = shape;
  whole[axis] = like;
  return build.reshape(build.add_shaped(OpKind::kBroadcast, {first}, apart), whole);
}

void import_concat(const OnnxNode& node) {
  std::vector<ValueId> inputs;
  for (size_t i = 0; i < node.input_count(); ++i) inputs.push_back(node.tensor(i));
  const size_t axis = node.axis(node.integer("axis", 0), node.value(0).shape.rank());
  // What is the same for all samples is a constant of the batch that an exporter had fixed.
  const auto samples = std::ranges::find_if(inputs, [&](ValueId id) { return node.inner_of_batch(id).has_value(); });
  if (node.importer.reopened_batch() != 0 && samples != inputs.end()) {
    const ValueId like = *samples;
    const size_t place = *batch_axis(node.graph[like].shape);
    const Dimension dimension = node.graph[like].shape[place];
    const Dimension fixed = {dimension.extent * node.importer.reopened_batch(), false};
    for (ValueId& id : inputs) {
      const Shape& shape = node.graph[id].shape;
      if (place != axis && node.is_fixed(id) && place < shape.rank() && shape[place] == fixed)
        id = for_each_sample(node, id, place, dimension, *node.inner_of_batch(like));
    }
  }
  node.bind(node.concatenate(inputs, static_cast<uint32_t>(axis)));
}

std::vector<Number> numbers_of(const std::vector<int64_t>& values) {
  std::vector<Number> result;
  for (int64_t value : values) result.push_back({value});
  return result;
}

void import_slice(const OnnxNode& node) {
  // Before opset 10 the ranges are attributes.
  const bool attributes = node.opset < 10;
  const std::vector<int64_t> starts = attributes ? node.integer_list("starts", {}) : node.numbers(1);
  const std::vector<Number> ends = attributes ? numbers_of(node.integer_list("ends", {})) : node.integers(2).values;
  const std::vector<int64_t> steps = node.has_input(4) ? node.numbers(4) : std::vector<int64_t>(starts.size(), 1);
  std::vector<int64_t> axes;
  if (node.has_input(3)) axes = node.numbers(3);
  if (attributes) axes = node.integer_list("axes", {});
  if (axes.empty()) {
    for (size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  }
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size()) {
    node.fail("starts, ends, axes and steps differ in length");
  }
  ValueId x = node.tensor(0);
  for (size_t i = 0; i < starts.size(); ++i) {
    const Shape shape = node.graph[x].shape;
    const size_t axis = node.axis(axes[i], shape.rank());
    if (shape[axis].per_batch) {
      const uint64_t reopened = uint64_t{node.importer.reopened_batch()} * shape[axis].extent;
      const bool to_the_end = ends[i].value >= INT32_MAX ||
                              (ends[i].per_batch && ends[i].value >= static_cast<int64_t>(shape[axis].extent)) ||
                              (reopened != 0 && ends[i].value >= static_cast<int64_t>(reopened));
      if (starts[i] == 0 && to_the_end && steps[i] == 1) continue;
      node.fail("cannot take a part of the batch");
    }
    if (ends[i].per_batch) node.fail("its end depends on the batch");
    const SliceRange range = slice_range(node, starts[i], ends[i].value, steps[i], shape[axis].extent);
    if (range.extent == 0) node.fail("the slice is empty");
    if (range.extent == shape[axis].extent && range.step == 1) continue;
    const auto count = static_cast<uint32_t>(range.extent);
    // Backwards: the same elements forwards, reversed.
    const int64_t first = range.step > 0 ? range.start : range.start + (int64_t{count} - 1) * range.step;
    x = slice_axis(node, x, axis, static_cast<uint32_t>(first), count, static_cast<uint32_t>(std::abs(range.step)));
    if (range.step < 0 && count > 1) {
      Attributes along;
      along.axes = {static_cast<uint32_t>(axis)};
      x = node.add(OpKind::kReverse, along, {x});
    }
  }
  node.bind(x);
}

void import_split(const OnnxNode& node) {
  const ValueId x = node.tensor(0);
  const Shape shape = node.graph[x].shape;
  const size_t axis = node.axis(node.integer("axis", 0), shape.rank());
  if (shape[axis].per_batch) node.fail("cannot split the batch");
  const auto parts = static_cast<size_t>(node.proto.output_size());
  std::vector<int64_t> sizes = node.has_input(1) ? node.numbers(1) : node.integer_list("split", {});
  if (sizes.empty()) {
    const int64_t part =
        (static_cast<int64_t>(shape[axis].extent) + static_cast<int64_t>(parts) - 1) / static_cast<int64_t>(parts);
    for (int64_t left = shape[axis].extent; left > 0; left -= part) sizes.push_back(std::min(part, left));
  }
  int64_t total = 0;
  for (int64_t size : sizes) {
    if (size < 1 || size > shape[axis].extent) node.fail("its parts do not make up the dimension");
    total += size;
  }
  if (sizes.size() != parts || total != shape[axis].extent) node.fail("its parts do not make up the dimension");
  uint32_t start = 0;
  for (size_t i = 0; i < parts; ++i) {
    const auto extent = static_cast<uint32_t>(sizes[i]);
    node.bind(slice_axis(node, x, axis, start, extent, 1), i);
    start += extent;
  }
}

void import_pad(const OnnxNode& node) {
  ValueId x = node.tensor(0);
  const size_t rank = node.graph[x].shape.rank();
  const std::vector<int64_t> pads = node.has_input(1) ? node.numbers(1) : node.integer_list("pads", {});
  std::vector<int64_t> axes;
  if (node.has_input(3)) axes = node.numbers(3);
  if (axes.empty()) {
    for (size_t i = 0; i < rank; ++i) axes.push_back(static_cast<int64_t>(i));
  }
  if (pads.size() != 2 * axes.size()) node.fail("pads needs two values for each dimension");
  const std::string mode = node.text("mode", "constant");
  Attributes attributes;
  for (size_t i = 0; i < rank; ++i) {
    attributes.before.push_back(0);
    attributes.after.push_back(0);
  }
  bool pads_any = false;
  for (size_t i = 0; i < axes.size(); ++i) {
    const size_t axis = node.axis(axes[i], rank);
    const int64_t before = pads[i];
    const int64_t after = pads[axes.size() + i];
    const int64_t extent = node.graph[x].shape[axis].extent;
    if (before > INT32_MAX || after > INT32_MAX || before < -extent || after < -extent)
      node.fail("its pads are out of range");
    if (before < 0 || after < 0) {
      // What is taken away is sliced off.
      const int64_t kept = extent + std::min<int64_t>(before, 0) + std::min<int64_t>(after, 0);
      if (kept < 1 || node.graph[x].shape[axis].per_batch)
        node.fail("its pads take away more than there is, or of the batch");
      x = slice_axis(node, x, axis, static_cast<uint32_t>(std::max<int64_t>(-before, 0)), static_cast<uint32_t>(kept),
                     1);
    }
    if (mode == "wrap" && (before > 0 || after > 0)) {
      if (std::max(before, after) > node.graph[x].shape[axis].extent) node.fail("it wraps around more than once");
      const uint32_t count = node.graph[x].shape[axis].extent;
      std::vector<ValueId> parts;
      if (before > 0)
        parts.push_back(
            slice_axis(node, x, axis, count - static_cast<uint32_t>(before), static_cast<uint32_t>(before), 1));
      parts.push_back(x);
      if (after > 0) parts.push_back(slice_axis(node, x, axis, 0, static_cast<uint32_t>(after), 1));
      x = node.concatenate(parts, static_cast<uint32_t>(axis));
      continue;
    }
    attributes.before[axis] = static_cast<uint32_t>(std::max<int64_t>(before, 0));
    attributes.after[axis] = static_cast<uint32_t>(std::max<int64_t>(after, 0));
    pads_any = pads_any || before > 0 || after > 0;
  }
  if (!pads_any) return node.bind(x);
  if (mode == "constant") {
    attributes.pad_mode = format::PadMode::kConstant;
    attributes.pad_value = node.has_input(2) ? node.scalar(2) : node.real("value", 0);
  } else if (mode == "reflect") {
    attributes.pad_mode = format::PadMode::kReflect;
  } else if (mode == "edge") {
    attributes.pad_mode = format::PadMode::kEdge;
  } else {
    node.fail("mode " + mode + " is not supported");
  }
  node.bind(node.add(OpKind::kPad, attributes, {x}));
}

// A constant for a shape with the batch in it: one number, broadcast.
ValueId broadcast_number(const OnnxNode& node, float value, const Shape& shape) {
  const ValueId one = node.graph.add_constant(node.name, std::vector<uint32_t>(shape.rank(), 1), {&value, 1});
  Value declared;
  declared.shape = shape;
  return node.add(OpKind::kBroadcast, {}, {one}, &declared);
}

void import_expand(const OnnxNode& node) {
  const Shape wanted = shape_of(node, node.integers(1));
  ValueId x = node.number(0);
  const size_t rank = std::max(wanted.rank(), node.graph[x].shape.rank());
  Shape from;
  Shape to;
  for (size_t i = 0; i < rank; ++i) {
    const size_t skipped = rank - node.graph[x].shape.rank();
    const size_t missing = rank - wanted.rank();
    from.push_back(i < skipped ? Dimension{} : node.graph[x].shape[i - skipped]);
    Dimension given = i < missing ? Dimension{} : wanted[i - missing];
    const uint64_t reopened = node.importer.reopened_batch();
    if (reopened != 0 && from[i].per_batch &&
        given == Dimension{static_cast<uint32_t>(reopened * from[i].extent), false})
      given = from[i];
    if (from[i] != given && from[i] != Dimension{} && given != Dimension{}) node.fail("its shape does not fit");
    to.push_back(from[i] == Dimension{} ? given : from[i]);
  }
  x = node.reshaped(x, from);
  if (from == to) return node.bind(x);
  const bool batch = has_batch(to);
  if (node.graph[x].is_constant() && node.graph[x].elements() == 1 && !batch &&
      element_count(to, 1).within(kMaxElements)) {
    // One number: a constant at once, as exporters make biases of zeros.
    const auto count = static_cast<size_t>(element_count(to, 1).value());
    node.expect_room(count * sizeof(float));
    const std::vector<float> values(count, node.graph[x].f32()[0]);
    return node.bind(node.graph.add_constant(node.name, extents_of(to), values));
  }
  Value declared;
  declared.shape = to;
  node.bind(node.add(OpKind::kBroadcast, {}, {x}, &declared));
}

// Of a shape with the batch in it.
void import_constant_of_shape(const OnnxNode& node) {
  float number = 0;
  if (const onnx::AttributeProto* attribute = node.attribute("value")) {
    const KnownTensor value = node.known(attribute->t());
    if (value.values.size() != 1) node.fail("its value must be one number");
    number = static_cast<float>(value.is_float() ? value.values[0].real : static_cast<double>(value.values[0].value));
  }
  node.bind(broadcast_number(node, number, shape_of(node, node.integers(0))));
}

// Zeros above or below a diagonal of the last two dimensions.
void import_triangle(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.number(0);
  const Shape shape = build.shape(x);
  const size_t rank = shape.rank();
  if (rank < 2 || shape[rank - 2].per_batch || shape[rank - 1].per_batch)
    node.fail("its last two dimensions must be a matrix of each sample");
  const std::vector<int64_t> given = node.has_input(1) ? node.numbers(1) : std::vector<int64_t>{0};
  if (given.size() != 1) node.fail("its diagonal must be one number");
  const bool upper = node.integer("upper", 1) != 0;
  const uint32_t rows = shape[rank - 2].extent;
  const uint32_t columns = shape[rank - 1].extent;
  node.expect_room(uint64_t{rows} * columns * sizeof(float));
  std::vector<float> kept;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column)
      kept.push_back((upper ? column - row >= given[0] : column - row <= given[0]) ? 1 : 0);
  }
  std::vector<uint32_t> extents(rank, 1);
  extents[rank - 2] = rows;
  extents[rank - 1] = columns;
  const ValueId mask = node.graph.add_constant(node.name + ".mask", extents, kept);
  node.bind(build.add(OpKind::kSelect, {mask, x, build.scalar(0, rank)}));
}

}  // namespace

ValueId slice_axis(const OnnxNode& node, ValueId x, size_t axis, uint32_t start, uint32_t extent, uint32_t step) {
  Attributes attributes;
  Value declared;
  declared.shape = node.graph[x].shape;
  for (size_t i = 0; i < declared.shape.rank(); ++i) {
    attributes.starts.push_back(i == axis ? start : 0);
    attributes.steps.push_back(i == axis ? step : 1);
  }
  declared.shape[axis] = {extent, false};
  return node.add(OpKind::kSlice, attributes, {x}, &declared);
}

size_t axis_within_sample(const OnnxNode& node, int64_t axis, const Shape& shape) {
  const size_t found = node.axis(axis, shape.rank());
  if (shape[found].per_batch) node.fail("it runs along the batch, whose samples are computed apart");
  return found;
}

Shape shape_of(const OnnxNode& node, const KnownTensor& integers) {
  Shape shape;
  for (const Number& extent : integers.values) {
    if (extent.value < 1 || static_cast<uint64_t>(extent.value) > kMaxExtent || shape.full())
      node.fail(fmt::format("its shape has too many dimensions, or one of {}", extent.value));
    shape.push_back({static_cast<uint32_t>(extent.value), extent.per_batch});
  }
  return shape;
}

const Importers& shape_importers() {
  static const Importers table = {
      {"Cast",
       {import_cast, 6, {OpKind::kSubtract, OpKind::kClamp, OpKind::kNegate, OpKind::kFloor, OpKind::kEqual}, ""}},
      {"CastLike",
       {import_cast_like,
        15,
        {OpKind::kSubtract, OpKind::kClamp, OpKind::kNegate, OpKind::kFloor, OpKind::kEqual},
        ""}},
      {"Concat", {import_concat, 6, {OpKind::kConcat, OpKind::kBroadcast, OpKind::kSlice}, "not along the batch"}},
      {"ConstantOfShape", {import_constant_of_shape, 9, {OpKind::kBroadcast}, ""}},
      {"DepthToSpace", {import_depth_to_space, 6, {OpKind::kReshape, OpKind::kTranspose}, ""}},
      {"Dropout", {import_dropout, 6, {OpKind::kMultiply}, "left out for inference"}},
      {"Expand", {import_expand, 8, {OpKind::kBroadcast}, ""}},
      {"Flatten", {import_flatten, 6, {OpKind::kReshape}, ""}},
      {"Identity", {import_identity, 6, {}, ""}},
      {"Pad", {import_pad, 6, {OpKind::kConcat, OpKind::kSlice, OpKind::kPad}, "not of the batch"}},
      {"Reshape", {import_reshape, 6, {OpKind::kReshape}, ""}},
      {"Shape", {import_shape, 6, {}, "computed while converting"}},
      {"Slice", {import_slice, 6, {OpKind::kSlice, OpKind::kReverse}, "not of the batch"}},
      {"SpaceToDepth", {import_space_to_depth, 6, {OpKind::kReshape, OpKind::kTranspose}, ""}},
      {"Split", {import_split, 6, {OpKind::kSlice}, "not of the batch"}},
      {"Squeeze", {import_squeeze, 6, {OpKind::kReshape}, ""}},
      {"Tile", {import_tile, 6, {OpKind::kBroadcast}, "not of the batch"}},
      {"Transpose", {import_transpose, 6, {OpKind::kTranspose}, ""}},
      {"Trilu", {import_triangle, 14, {OpKind::kSelect}, ""}},
      {"Unsqueeze", {import_unsqueeze, 6, {OpKind::kReshape}, ""}},
  };
  return table;
}

}  // namespace figment::converter
