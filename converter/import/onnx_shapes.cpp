// ONNX ops that move elements or compute shapes.
#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "import/onnx_graph.h"
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
  // The mask is drawn sample by sample, the batch first.
  const Shape shape = node.graph[x].shape;
  Value mask;
  mask.name = node.name + ".mask";
  Permutation back;
  size_t batch = 0;
  while (batch < shape.rank() && !shape[batch].per_batch) ++batch;
  if (batch == shape.rank()) node.fail("its input does not depend on the batch");
  mask.shape.push_back(shape[batch]);
  for (uint32_t i = 0; i < shape.rank(); ++i) {
    if (i != batch) mask.shape.push_back(shape[i]);
    back.push_back(i == batch ? 0 : i < batch ? i + 1 : i);
  }
  PortDefinition port{mask.name, 0, mask.shape, {}, rate};
  for (uint32_t i = 0; i < shape.rank(); ++i) port.permutation.push_back(i);
  port.value = node.graph.add_value(std::move(mask));
  node.graph.inputs.push_back(port);
  node.bind(node.add(OpKind::kMultiply, {}, {x, batch == 0 ? port.value : node.transpose(port.value, back)}));
}

void import_cast(const OnnxNode& node) {
  const auto to = static_cast<int32_t>(node.integer("to", onnx::TensorProto::FLOAT));
  if (!is_float_type(to) && !(is_integer_type(to) && to != onnx::TensorProto::BOOL && node.holds_integers(0)))
    node.fail("a cast of floats to " + type_name(to) + " is supported for known tensors only");
  import_identity(node);
}

// To the type of the second input, which is float wherever it is no integer.
void import_cast_like(const OnnxNode& node) {
  if (node.is_integers(1)) node.fail("a cast of floats to integers is supported for known tensors only");
  import_identity(node);
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

// [..., 1] integers against 0, 1, ... along a new last dimension: 1 where they are equal, else 0.
ValueId one_hot(Builder& build, ValueId indices, uint32_t classes) {
  Shape shape = build.shape(indices);
  shape.push_back({});
  std::vector<float> numbers(classes);
  for (uint32_t i = 0; i < classes; ++i) numbers[i] = static_cast<float>(i);
  Shape row;
  for (size_t i = 1; i < shape.rank(); ++i) row.push_back({});
  row.push_back({classes, false});
  const ValueId counted = build.reshape(build.graph().add_constant("classes", {classes}, numbers), row);
  const ValueId distance =
      build.add(OpKind::kAbs, {build.add(OpKind::kSubtract, {build.reshape(indices, shape), counted})});
  Attributes bounds;
  bounds.clamp_min = 0;
  return build.add(OpKind::kSubtract, {build.scalar(1, shape.rank()), distance}, bounds);
}

// Rows of a table by integers that the program is given: one-hot vectors times the table, whose gradient that has, too.
void import_embedding(const OnnxNode& node) {
  constexpr uint32_t kMostRows = 4096;
  Builder build(&node.graph, node.name);
  const ValueId table = node.tensor(0);
  const Shape shape = node.graph[table].shape;
  const ValueId indices = node.tensor(1);
  if (shape.rank() < 1 || node.axis(node.integer("axis", 0), shape.rank()) != 0 || !node.is_fixed(table))
    node.fail("indices that are computed may pick rows of a constant table only");
  if (shape[0].extent > kMostRows)
    node.fail(fmt::format("its table has {} rows, {} at most", shape[0].extent, kMostRows));
  if (build.shape(indices).rank() + shape.rank() - 1 > kMaxRank || build.shape(indices).full())
    node.fail(fmt::format("its output has more than {} dimensions", kMaxRank));
  uint32_t columns = 1;
  for (size_t i = 1; i < shape.rank(); ++i) columns *= shape[i].extent;
  const ValueId flat = node.reshaped(table, {shape[0], {columns, false}});
  const ValueId rows =
      build.add(OpKind::kFullyConnected, {one_hot(build, indices, shape[0].extent), node.transpose(flat, {1, 0})});
  Shape result = build.shape(indices);
  for (size_t i = 1; i < shape.rank(); ++i) result.push_back(shape[i]);
  node.bind(build.reshape(rows, result));
}

void import_one_hot(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId indices = node.tensor(0);
  if (!node.is_known(1) && !node.value(1).is_constant()) node.fail("its depth must be known while converting");
  std::vector<int64_t> classes;
  if (node.is_integers(1)) classes = node.numbers(1);
  if (node.is_integers(1) && classes.size() != 1) node.fail("its depth must be one number");
  const double depth = classes.empty() ? static_cast<double>(node.scalar(1)) : static_cast<double>(classes[0]);
  if (!(depth >= 1 && depth <= 65536)) node.fail("its depth is out of range");
  std::vector<float> values;
  if (node.is_integers(2)) {
    for (int64_t value : node.numbers(2)) values.push_back(static_cast<float>(value));
  } else {
    const std::span<const float> given = node.graph[node.constant(2, "values")].f32();
    values.assign(given.begin(), given.end());
  }
  const size_t rank = build.shape(indices).rank();
  if (values.size() != 2 || rank == kMaxRank) node.fail("it needs two values, and a dimension for them");
  ValueId y = one_hot(build, indices, static_cast<uint32_t>(depth));
  if (values[1] - values[0] != 1) y = build.with_scalar(OpKind::kMultiply, y, values[1] - values[0]);
  if (values[0] != 0) y = build.with_scalar(OpKind::kAdd, y, values[0]);
  const size_t axis = node.axis(node.integer("axis", -1), rank + 1);
  if (axis < rank) {
    Permutation order;
    for (uint32_t i = 0; i <= rank; ++i)
      order.push_back(i < axis ? i : i == axis ? static_cast<uint32_t>(rank) : i - 1);
    y = node.transpose(y, order);
  }
  node.bind(y);
}

// By indices that are known while converting: slices of what stands in a row there, one behind the other.
void import_gather(const OnnxNode& node) {
  if (!node.is_integers(1)) return import_embedding(node);
  const KnownTensor& indices = node.integers(1);
  const ValueId x = node.tensor(0);
  const Shape shape = node.graph[x].shape;
  const size_t axis = node.axis(node.integer("axis", 0), shape.rank());
  if (shape[axis].per_batch) node.fail("cannot take a part of the batch");
  if (shape.rank() - 1 + indices.shape.size() > kMaxRank)
    node.fail(fmt::format("its output has more than {} dimensions", kMaxRank));
  const int64_t extent = shape[axis].extent;
  std::vector<uint32_t> picked;
  for (int64_t index : node.numbers(1)) {
    if (index < -extent || index >= extent) node.fail(fmt::format("index {} is out of range", index));
    picked.push_back(static_cast<uint32_t>(index < 0 ? index + extent : index));
  }
  if (picked.empty()) node.fail("its output is empty");
  std::vector<ValueId> parts;
  for (size_t i = 0; i < picked.size();) {
    size_t end = i + 1;
    const int64_t step = end < picked.size() && picked[end] + 1 == picked[i] ? -1 : 1;
    while (end < picked.size() && int64_t{picked[end]} == int64_t{picked[end - 1]} + step) ++end;
    const auto count = static_cast<uint32_t>(end - i);
    const uint32_t first = step > 0 ? picked[i] : picked[end - 1];
    ValueId part = count == shape[axis].extent ? x : slice_axis(node, x, axis, first, count, 1);
    if (step < 0) {
      Attributes along;
      along.axes = {static_cast<uint32_t>(axis)};
      part = node.add(OpKind::kReverse, along, {part});
    }
    parts.push_back(part);
    i = end;
  }
  const ValueId y = node.concatenate(parts, static_cast<uint32_t>(axis));
  Shape result;
  for (size_t i = 0; i < shape.rank(); ++i) {
    if (i != axis) {
      result.push_back(shape[i]);
      continue;
    }
    for (size_t extent_of_index : indices.shape) {
      result.push_back({static_cast<uint32_t>(extent_of_index), false});
    }
  }
  node.bind(node.reshaped(y, result));
}

// Copies along each axis: a broadcast along a new dimension in front of it.
void import_tile(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  ValueId x = node.tensor(0);
  const std::vector<int64_t> repeats = node.numbers(1);
  const size_t rank = build.shape(x).rank();
  if (repeats.size() != rank) node.fail("repeats does not name every dimension");
  for (size_t axis = 0; axis < rank; ++axis) {
    if (repeats[axis] == 1) continue;
    const Shape shape = build.shape(x);
    if (repeats[axis] < 1 || repeats[axis] > UINT16_MAX) node.fail("repeats are out of range");
    if (shape[axis].per_batch) node.fail("cannot repeat the batch");
    const auto count = static_cast<uint32_t>(repeats[axis]);
    // What stands in front is one dimension, so that there is room for another.
    Shape split = {{}, {}, {}};
    Shape wide;
    Shape result = shape;
    for (size_t i = 0; i < rank; ++i) {
      Dimension& target = split[i < axis ? 0 : 2];
      target.extent *= shape[i].extent;
      target.per_batch = target.per_batch || shape[i].per_batch;
    }
    wide = {split[0], {count, false}, split[2]};
    result[axis].extent *= count;
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
    if (shape[i] != Dimension{}) node.fail(fmt::format("dimension {} of {} is not 1", i, to_string(shape)));
    removed[i] = true;
  }
  Shape result;
  for (size_t i = 0; i < shape.rank(); ++i) {
    if (!(axes.empty() ? shape[i] == Dimension{} : removed[i])) result.push_back(shape[i]);
  }
  node.bind(node.reshaped(node.tensor(0), result));
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
  if (reopened != 0 && batches == 1 && known_batches == 0 && shape[0].per_batch) {
    // The exporter's shape is of a batch that was fixed: what leads is the batch.
    const CheckedSize all = CheckedSize(total) * reopened;
    if (open >= 0) {
      if (!known.valid() || known.value() == 0 || all.value() % known.value() != 0)
        node.fail("its shape does not divide " + to_string(shape));
      result[static_cast<size_t>(open)].extent = static_cast<uint32_t>(all.value() / known.value());
      known = all;
    }
    if (result.rank() == 0 || result[0].extent % reopened != 0 || !known.valid() || known.value() != all.value())
      node.fail("its shape has no batch in front");
    result[0] = {result[0].extent / reopened, true};
  } else if (open >= 0) {
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

void import_concat(const OnnxNode& node) {
  std::vector<ValueId> inputs;
  for (size_t i = 0; i < node.input_count(); ++i) inputs.push_back(node.tensor(i));
  Attributes attributes;
  attributes.axes = {static_cast<uint32_t>(node.axis(node.integer("axis", 0), node.value(0).shape.rank()))};
  node.bind(node.add(OpKind::kConcat, attributes, inputs));
}

void import_slice(const OnnxNode& node) {
  // Before opset 10 the ranges are attributes.
  const bool attributes = node.opset < 10;
  const std::vector<int64_t> starts = attributes ? node.integer_list("starts", {}) : node.numbers(1);
  const std::vector<int64_t> ends = attributes ? node.integer_list("ends", {}) : node.numbers(2);
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
      const bool to_the_end = ends[i] >= INT32_MAX || (reopened != 0 && ends[i] >= static_cast<int64_t>(reopened));
      if (starts[i] == 0 && to_the_end && steps[i] == 1) continue;
      node.fail("cannot take a part of the batch");
    }
    const SliceRange range = slice_range(node, starts[i], ends[i], steps[i], shape[axis].extent);
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
  for (int64_t size : sizes) total += size < 1 ? INT32_MIN : size;
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

Shape shape_of(const OnnxNode& node, const KnownTensor& integers) {
  Shape shape;
  for (const Number& extent : integers.values) {
    if (extent.value < 1 || static_cast<uint64_t>(extent.value) > kMaxExtent || shape.full())
      node.fail(fmt::format("its shape has too many dimensions, or one of {}", extent.value));
    shape.push_back({static_cast<uint32_t>(extent.value), extent.per_batch});
  }
  return shape;
}

void import_expand(const OnnxNode& node) {
  const Shape wanted = shape_of(node, node.integers(1));
  ValueId x = node.tensor(0);
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
  const bool batch = std::any_of(to.begin(), to.end(), [](const Dimension& dimension) { return dimension.per_batch; });
  if (node.graph[x].is_constant() && node.graph[x].elements() == 1 && !batch &&
      element_count(to, 1).within(kMaxElements)) {
    // One number: a constant at once, as exporters make biases of zeros.
    node.expect_room(element_count(to, 1).value() * sizeof(float));
    const std::vector<float> values(element_count(to, 1).value(), node.graph[x].f32()[0]);
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
    if (!value.is_float() || value.values.size() != 1) node.fail("its value must be one float");
    number = static_cast<float>(value.values[0].real);
  }
  node.bind(broadcast_number(node, number, shape_of(node, node.integers(0))));
}

void import_greater(const OnnxNode& node) { node.bind(Comparison{node.tensor(0), node.scalar(1)}); }

// A choice by Greater between x itself and softplus(x), which differ by less than e^-x where x is large, is softplus.
bool is_guarded_softplus(const OnnxNode& node, const Comparison& comparison) {
  constexpr float kLargeEnough = 15;  // e^-15 = 3e-7
  if (comparison.threshold < kLargeEnough || node.tensor(1) != comparison.x) return false;
  const ValueId softplus = node.tensor(2);
  return std::any_of(node.graph.nodes.begin(), node.graph.nodes.end(), [&](const Node& other) {
    return other.output == softplus && other.kind == OpKind::kSoftplus && other.inputs[0] == comparison.x;
  });
}

void import_where(const OnnxNode& node) {
  if (const Comparison* comparison = node.comparison(0)) {
    if (is_guarded_softplus(node, *comparison)) return node.bind(node.tensor(2));
    node.fail("a choice by the values of a tensor is supported in the form of a guarded softplus only");
  }
  node.fail("a choice by a condition that is not known while converting is not supported");
}

}  // namespace

const Importers& shape_importers() {
  static const Importers table = {
      {"Cast", import_cast},
      {"CastLike", import_cast_like},
      {"Concat", import_concat},
      {"ConstantOfShape", import_constant_of_shape},
      {"DepthToSpace", import_depth_to_space},
      {"Dropout", import_dropout},
      {"Expand", import_expand},
      {"Flatten", import_flatten},
      {"Gather", import_gather},
      {"Greater", import_greater},
      {"Identity", import_identity},
      {"OneHot", import_one_hot},
      {"Pad", import_pad},
      {"Reshape", import_reshape},
      {"Shape", import_shape},
      {"Slice", import_slice},
      {"SpaceToDepth", import_space_to_depth},
      {"Split", import_split},
      {"Squeeze", import_squeeze},
      {"Tile", import_tile},
      {"Transpose", import_transpose},
      {"Unsqueeze", import_unsqueeze},
      {"Where", import_where},
  };
  return table;
}

}  // namespace figment::converter
