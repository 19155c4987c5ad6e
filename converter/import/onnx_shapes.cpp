// ONNX ops that move elements or compute shapes.
#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "import/onnx_graph.h"

namespace figment::converter {

namespace {

// Of a parameter, for training, a parameter of its own: exporters store tensors of equal values once, and name the
// others by their Identities.
void import_identity(const OnnxNode& node) {
  if (node.is_integers(0)) return node.bind(node.integers(0));
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
  const int64_t to = node.integer("to", onnx::TensorProto::FLOAT);
  const bool to_integer = to == onnx::TensorProto::INT64 || to == onnx::TensorProto::INT32;
  const bool to_float = to == onnx::TensorProto::FLOAT || to == onnx::TensorProto::DOUBLE;
  if (node.is_integers(0)) {
    if (to_integer) {
      IntegerTensor integers = node.integers(0);
      integers.type = static_cast<int32_t>(to);
      return node.bind(integers);
    }
    if (to_float) {
      std::vector<float> values;
      for (int64_t value : node.numbers(0)) values.push_back(static_cast<float>(value));
      const std::vector<uint32_t> shape(node.integers(0).shape.begin(), node.integers(0).shape.end());
      return node.bind(node.graph.add_constant(node.name, shape, values));
    }
  } else if (to_float) {
    return node.bind(node.tensor(0));
  } else if (to_integer && node.value(0).is_constant()) {
    IntegerTensor integers;
    integers.type = static_cast<int32_t>(to);
    for (const Dimension& dimension : node.value(0).shape) integers.shape.push_back(dimension.extent);
    for (float value : node.value(0).f32()) {
      if (!(std::fabs(value) < 0x1p63F)) node.fail(fmt::format("{} is no integer of 64 bits", value));
      integers.values.push_back({static_cast<int64_t>(value), false});
    }
    return node.bind(integers);
  }
  node.fail("only casts between float types, and of shapes, are supported");
}

// To the type of the second input, which is float wherever it is no integer.
void import_cast_like(const OnnxNode& node) {
  if (node.is_integers(0) != node.is_integers(1)) node.fail("only casts that change nothing are supported");
  import_identity(node);
}

void import_shape(const OnnxNode& node) {
  const Shape shape = node.value(0).shape;
  const auto rank = static_cast<int64_t>(shape.rank());
  const auto clamp = [rank](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank); };
  const int64_t start = clamp(node.integer("start", 0));
  const int64_t end = clamp(node.integer("end", rank));
  std::vector<SymbolicInteger> integers;
  for (int64_t i = start; i < end; ++i) {
    integers.push_back({shape[static_cast<size_t>(i)].extent, shape[static_cast<size_t>(i)].per_batch});
  }
  node.bind(integer_list(std::move(integers)));
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

void import_gather(const OnnxNode& node) {
  const IntegerTensor& indices = node.integers(1);
  if (node.is_integers(0)) {
    const IntegerTensor& from = node.integers(0);
    if (from.shape.size() != 1) node.fail("integers may be picked from one dimension only");
    IntegerTensor result;
    result.shape = indices.shape;
    for (int64_t index : node.numbers(1)) {
      const auto count = static_cast<int64_t>(from.values.size());
      if (index < -count || index >= count) node.fail(fmt::format("index {} is out of range", index));
      result.values.push_back(from.values[static_cast<size_t>(index < 0 ? index + count : index)]);
    }
    return node.bind(result);
  }
  const ValueId x = node.tensor(0);
  const Shape shape = node.graph[x].shape;
  const size_t axis = node.axis(node.integer("axis", 0), shape.rank());
  const std::vector<int64_t> numbers = node.numbers(1);
  if (!indices.scalar() || numbers.size() != 1) node.fail("only one index into a tensor is supported; use slicing");
  const int64_t extent = shape[axis].extent;
  if (shape[axis].per_batch) node.fail("cannot take a part of the batch");
  const int64_t index = numbers[0] < 0 ? numbers[0] + extent : numbers[0];
  if (index < 0 || index >= extent) node.fail(fmt::format("index {} is out of range", numbers[0]));
  const ValueId y = slice_axis(node, x, axis, static_cast<uint32_t>(index), 1, 1);
  Shape kept;
  for (size_t i = 0; i < shape.rank(); ++i) {
    if (i != axis) kept.push_back(shape[i]);
  }
  node.bind(node.reshape(y, kept));
}

std::vector<int64_t> axes_of(const OnnxNode& node, size_t input) {
  return node.has_input(input) ? node.numbers(input) : node.integer_list("axes", {});
}

void import_unsqueeze(const OnnxNode& node) {
  const std::vector<int64_t> axes = axes_of(node, 1);
  if (node.is_integers(0)) {
    IntegerTensor integers = node.integers(0);
    std::vector<int64_t> sorted = axes;
    const size_t rank = integers.shape.size() + axes.size();
    for (int64_t& axis : sorted) axis = static_cast<int64_t>(node.axis(axis, rank));
    std::sort(sorted.begin(), sorted.end());
    for (int64_t axis : sorted) {
      if (static_cast<size_t>(axis) > integers.shape.size()) node.fail("an axis is named twice");
      integers.shape.insert(integers.shape.begin() + axis, 1);
    }
    return node.bind(integers);
  }
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
  if (node.is_integers(0)) {
    IntegerTensor integers = node.integers(0);
    std::vector<size_t> kept;
    for (size_t i = 0; i < integers.shape.size(); ++i) {
      const bool named = std::any_of(axes.begin(), axes.end(),
                                     [&](int64_t axis) { return node.axis(axis, integers.shape.size()) == i; });
      if (integers.shape[i] != 1 || !(axes.empty() || named)) kept.push_back(integers.shape[i]);
    }
    integers.shape = kept;
    return node.bind(integers);
  }
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
  if (node.is_integers(0)) {
    IntegerTensor integers = node.integers(0);
    std::vector<size_t> shape;
    size_t known = 1;
    int open = -1;
    for (int64_t extent : node.numbers(1)) {
      if (extent == -1 && open < 0) {
        open = static_cast<int>(shape.size());
        shape.push_back(1);
      } else if (extent == 0 && shape.size() < integers.shape.size()) {
        shape.push_back(integers.shape[shape.size()]);
      } else if (extent >= 0) {
        shape.push_back(static_cast<size_t>(extent));
      } else {
        node.fail(fmt::format("its shape has a dimension of {}", extent));
      }
      if (extent != -1 && __builtin_mul_overflow(known, shape.back(), &known)) node.fail("its shape is too large");
    }
    if (open >= 0 && known > 0) shape[static_cast<size_t>(open)] = integers.values.size() / known;
    if (open >= 0 && known > 0) known *= shape[static_cast<size_t>(open)];
    if (known != integers.values.size()) node.fail("the number of integers changes");
    integers.shape = shape;
    return node.bind(integers);
  }
  const Shape shape = node.value(0).shape;
  const IntegerTensor& wanted = node.integers(1);
  if (wanted.values.size() > kMaxRank) node.fail(fmt::format("its output has more than {} dimensions", kMaxRank));
  Shape result;
  int open = -1;
  CheckedSize known = 1;
  size_t known_batches = 0;
  for (size_t i = 0; i < wanted.values.size(); ++i) {
    const SymbolicInteger& extent = wanted.values[i];
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
  if (open >= 0) {
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

// One dimension of integers at a time: out[i] = in[pick(i)].
struct IntegerAxis {
  size_t outer = 1;
  size_t extent = 1;
  size_t inner = 1;
};

IntegerAxis integer_axis(const IntegerTensor& integers, size_t axis) {
  IntegerAxis result;
  for (size_t i = 0; i < integers.shape.size(); ++i) {
    (i < axis ? result.outer : i == axis ? result.extent : result.inner) *= integers.shape[i];
  }
  return result;
}

void import_transpose(const OnnxNode& node) {
  if (node.is_integers(0)) {
    IntegerTensor integers = node.integers(0);
    const size_t integer_rank = integers.shape.size();
    if (integer_rank == 2 && node.integer_list("perm", {1, 0}) == std::vector<int64_t>{1, 0}) {
      const IntegerTensor from = integers;
      integers.shape = {from.shape[1], from.shape[0]};
      for (size_t i = 0; i < from.values.size(); ++i) {
        integers.values[i % from.shape[1] * from.shape[0] + i / from.shape[1]] = from.values[i];
      }
    } else if (integer_rank > 1) {
      node.fail("integers may be transposed in two dimensions only");
    }
    return node.bind(integers);
  }
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
  bool integers = true;
  for (size_t i = 0; i < node.input_count(); ++i) integers = integers && node.is_integers(i);
  if (integers) {
    std::vector<SymbolicInteger> values;
    for (size_t i = 0; i < node.input_count(); ++i) {
      const IntegerTensor& part = node.integers(i);
      if (part.shape.size() != 1) node.fail("integers may be joined in one dimension only");
      values.insert(values.end(), part.values.begin(), part.values.end());
    }
    return node.bind(integer_list(std::move(values)));
  }
  std::vector<ValueId> inputs;
  for (size_t i = 0; i < node.input_count(); ++i) inputs.push_back(node.tensor(i));
  Attributes attributes;
  attributes.axes = {static_cast<uint32_t>(node.axis(node.integer("axis", 0), node.value(0).shape.rank()))};
  node.bind(node.add(OpKind::kConcat, attributes, inputs));
}

// [start, start + step, ...) of an axis of `extent`, in ONNX's conventions. Throws for negative steps.
struct Range {
  uint32_t start;
  uint32_t extent;
  uint32_t step;
};

Range slice_range(const OnnxNode& node, int64_t start, int64_t end, int64_t step, int64_t extent) {
  if (step < 1) node.fail(fmt::format("steps must be positive, one is {}", step));
  start = std::clamp<int64_t>(start < 0 ? start + extent : start, 0, extent);
  end = std::clamp<int64_t>(end < 0 ? end + extent : end, 0, extent);
  if (end <= start) node.fail("the slice is empty");
  const int64_t count = (end - start - 1) / step + 1;
  return {static_cast<uint32_t>(start), static_cast<uint32_t>(count),
          static_cast<uint32_t>(std::min<int64_t>(step, extent))};
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
  if (node.is_integers(0)) {
    IntegerTensor integers = node.integers(0);
    for (size_t s = 0; s < starts.size(); ++s) {
      const size_t axis = node.axis(axes[s], integers.shape.size());
      const IntegerAxis from = integer_axis(integers, axis);
      const auto count = static_cast<int64_t>(from.extent);
      const int64_t step = steps[s];
      if (step == 0) node.fail("a step is 0");
      // Backwards, the first position is at most count - 1 and the end may be before 0.
      const int64_t low = step > 0 ? 0 : -1;
      const int64_t high = step > 0 ? count : count - 1;
      const auto position = [&](int64_t i) {
        return std::clamp<int64_t>(i < 0 ? (i < -count ? -count - 1 : i) + count : i, low, high);
      };
      const int64_t end = position(ends[s]);
      std::vector<size_t> picked;
      for (int64_t i = position(starts[s]); step > 0 ? i < end : i > end; i += step) {
        picked.push_back(static_cast<size_t>(i));
        if (std::abs(step) > count) break;
      }
      IntegerTensor result;
      result.shape = integers.shape;
      result.shape[axis] = picked.size();
      for (size_t o = 0; o < from.outer; ++o) {
        for (size_t i : picked) {
          for (size_t n = 0; n < from.inner; ++n)
            result.values.push_back(integers.values[(o * from.extent + i) * from.inner + n]);
        }
      }
      integers = std::move(result);
    }
    return node.bind(integers);
  }
  ValueId x = node.tensor(0);
  for (size_t i = 0; i < starts.size(); ++i) {
    const Shape shape = node.graph[x].shape;
    const size_t axis = node.axis(axes[i], shape.rank());
    if (shape[axis].per_batch) {
      if (starts[i] == 0 && ends[i] >= INT32_MAX && steps[i] == 1) continue;
      node.fail("cannot take a part of the batch");
    }
    // Backwards over all of it: a reversed sequence.
    if (steps[i] == -1 && (starts[i] == -1 || starts[i] >= int64_t{shape[axis].extent} - 1) &&
        ends[i] < -int64_t{shape[axis].extent}) {
      Attributes along;
      along.axes = {static_cast<uint32_t>(axis)};
      x = node.add(OpKind::kReverse, along, {x});
      continue;
    }
    const Range range = slice_range(node, starts[i], ends[i], steps[i], shape[axis].extent);
    if (range.extent == shape[axis].extent && range.step == 1) continue;
    x = slice_axis(node, x, axis, range.start, range.extent, range.step);
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
  const ValueId x = node.tensor(0);
  const size_t rank = node.graph[x].shape.rank();
  const std::vector<int64_t> pads = node.has_input(1) ? node.numbers(1) : node.integer_list("pads", {});
  std::vector<int64_t> axes;
  if (node.has_input(3)) axes = node.numbers(3);
  if (axes.empty()) {
    for (size_t i = 0; i < rank; ++i) axes.push_back(static_cast<int64_t>(i));
  }
  if (pads.size() != 2 * axes.size()) node.fail("pads needs two values for each dimension");
  Attributes attributes;
  for (size_t i = 0; i < rank; ++i) {
    attributes.before.push_back(0);
    attributes.after.push_back(0);
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    const size_t axis = node.axis(axes[i], rank);
    const int64_t before = pads[i];
    const int64_t after = pads[axes.size() + i];
    if (before < 0 || after < 0 || before > INT32_MAX || after > INT32_MAX)
      node.fail("negative pads are not supported; use Slice");
    attributes.before[axis] = static_cast<uint32_t>(before);
    attributes.after[axis] = static_cast<uint32_t>(after);
  }
  const std::string mode = node.text("mode", "constant");
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

Shape shape_of(const OnnxNode& node, const IntegerTensor& integers) {
  Shape shape;
  for (const SymbolicInteger& extent : integers.values) {
    if (extent.value < 1 || static_cast<uint64_t>(extent.value) > kMaxExtent || shape.full())
      node.fail(fmt::format("its shape has too many dimensions, or one of {}", extent.value));
    shape.push_back({static_cast<uint32_t>(extent.value), extent.per_batch});
  }
  return shape;
}

void import_expand(const OnnxNode& node) {
  if (node.is_integers(0)) {
    const IntegerTensor& from = node.integers(0);
    IntegerTensor result;
    CheckedSize count = 1;
    for (int64_t extent : node.numbers(1)) {
      if (extent < 1) node.fail(fmt::format("its shape has a dimension of {}", extent));
      result.shape.push_back(static_cast<size_t>(extent));
      count *= static_cast<uint64_t>(extent);
    }
    if (count.valid() && count.value() == 1) return node.bind(from);
    if (from.values.size() != 1 || !count.within(kMaxElements)) node.fail("only one integer may be expanded");
    node.expect_room(count.value() * sizeof(SymbolicInteger));
    result.values.assign(count.value(), from.values[0]);
    return node.bind(result);
  }
  const Shape wanted = shape_of(node, node.integers(1));
  ValueId x = node.tensor(0);
  const size_t rank = std::max(wanted.rank(), node.graph[x].shape.rank());
  Shape from;
  Shape to;
  for (size_t i = 0; i < rank; ++i) {
    const size_t skipped = rank - node.graph[x].shape.rank();
    const size_t missing = rank - wanted.rank();
    from.push_back(i < skipped ? Dimension{} : node.graph[x].shape[i - skipped]);
    const Dimension given = i < missing ? Dimension{} : wanted[i - missing];
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

void import_constant_of_shape(const OnnxNode& node) {
  const IntegerTensor& wanted = node.integers(0);
  if (std::any_of(wanted.values.begin(), wanted.values.end(), [](const SymbolicInteger& x) { return x.per_batch; })) {
    float value = 0;
    if (const onnx::AttributeProto* attribute = node.attribute("value")) {
      if (attribute->t().data_type() != onnx::TensorProto::FLOAT) node.fail("its value must be float32");
      if (attribute->t().float_data_size() == 1) value = attribute->t().float_data(0);
      if (attribute->t().raw_data().size() == sizeof value)
        std::memcpy(&value, attribute->t().raw_data().data(), sizeof value);
    }
    return node.bind(broadcast_number(node, value, shape_of(node, wanted)));
  }
  CheckedSize count = 1;
  std::vector<uint32_t> shape;
  for (int64_t extent : node.numbers(0)) {
    if (extent < 1 || static_cast<uint64_t>(extent) > kMaxExtent)
      node.fail(fmt::format("its shape has a dimension of {}", extent));
    shape.push_back(static_cast<uint32_t>(extent));
    count *= static_cast<uint64_t>(extent);
  }
  if (!count.within(kMaxElements)) node.fail("its output is too large");
  float real = 0;
  if (const onnx::AttributeProto* value = node.attribute("value")) {
    const onnx::TensorProto& tensor = value->t();
    if (tensor.data_type() == onnx::TensorProto::INT64 && shape.size() <= 1) {
      int64_t integer = 0;
      if (tensor.int64_data_size() == 1) integer = tensor.int64_data(0);
      if (tensor.raw_data().size() == sizeof integer) std::memcpy(&integer, tensor.raw_data().data(), sizeof integer);
      node.expect_room(count.value() * sizeof(SymbolicInteger));
      const IntegerTensor integers{{shape.begin(), shape.end()},
                                   std::vector<SymbolicInteger>(count.value(), {integer, false})};
      return node.bind(integers);
    }
    if (tensor.data_type() != onnx::TensorProto::FLOAT) node.fail("its value must be float32 or int64");
    if (tensor.float_data_size() == 1) real = tensor.float_data(0);
    if (tensor.raw_data().size() == sizeof real) std::memcpy(&real, tensor.raw_data().data(), sizeof real);
  }
  node.expect_room(count.value() * sizeof(float));
  node.bind(node.graph.add_constant(node.name, shape, std::vector<float>(count.value(), real)));
}

// Element i of integers that are as long as `count` or one number for all.
const SymbolicInteger& broadcast_at(const OnnxNode& node, const IntegerTensor& integers, size_t i, size_t count) {
  if (integers.values.size() != count && integers.values.size() != 1)
    node.fail("its integer operands differ in length");
  return integers.values[integers.values.size() == 1 ? 0 : i];
}

// Integer ops of shape arithmetic: each output element is function(elements of the inputs).
template <typename Function>
void import_integers(const OnnxNode& node, Function function) {
  IntegerTensor result;
  size_t count = 1;
  for (size_t i = 0; i < node.input_count(); ++i) {
    const IntegerTensor& operand = node.integers(i);
    if (operand.values.size() > count || result.scalar()) result.shape = operand.shape;
    if (i + 1 == node.input_count()) result.type = operand.type;
    count = std::max(count, operand.values.size());
  }
  for (size_t i = 0; i < count; ++i) {
    std::vector<SymbolicInteger> operands;
    for (size_t j = 0; j < node.input_count(); ++j) operands.push_back(broadcast_at(node, node.integers(j), i, count));
    result.values.push_back(function(operands));
  }
  node.bind(result);
}

void import_mod(const OnnxNode& node) {
  import_integers(node, [&](const std::vector<SymbolicInteger>& x) {
    if (x[0].per_batch || x[1].per_batch) node.fail("a remainder of the batch is not supported");
    if (x[1].value == 0) node.fail("it divides an integer by zero");
    if (x[1].value == -1) return SymbolicInteger{};
    const int64_t remainder = x[0].value % x[1].value;  // has the sign of the dividend, as fmod's
    if (remainder == 0 || (remainder < 0) == (x[1].value < 0) || node.integer("fmod", 0) != 0)
      return SymbolicInteger{remainder, false};
    return SymbolicInteger{remainder + x[1].value, false};
  });
}

void import_equal(const OnnxNode& node) {
  import_integers(node, [&](const std::vector<SymbolicInteger>& x) {
    if (x[0].per_batch != x[1].per_batch) {
      // A multiple of the batch, and a number that it is for some batch.
      const int64_t multiple = x[0].per_batch ? x[0].value : x[1].value;
      const int64_t number = x[0].per_batch ? x[1].value : x[0].value;
      const bool never = multiple == 0 ? number != 0 : number % multiple != 0 || number / multiple < 1;
      if (!never)
        node.fail("it asks whether the batch is of a certain size, which is open: export without the question");
      return SymbolicInteger{0, false};
    }
    return SymbolicInteger{x[0].value == x[1].value ? 1 : 0, false};
  });
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
  import_integers(node, [](const std::vector<SymbolicInteger>& x) { return x[0].value != 0 ? x[1] : x[2]; });
}

}  // namespace

const Importers& shape_importers() {
  static const Importers table = {
      {"Cast", import_cast},
      {"CastLike", import_cast_like},
      {"Concat", import_concat},
      {"ConstantOfShape", import_constant_of_shape},
      {"Dropout", import_dropout},
      {"Equal", import_equal},
      {"Expand", import_expand},
      {"Flatten", import_flatten},
      {"Gather", import_gather},
      {"Greater", import_greater},
      {"Identity", import_identity},
      {"Mod", import_mod},
      {"Pad", import_pad},
      {"Reshape", import_reshape},
      {"Shape", import_shape},
      {"Slice", import_slice},
      {"Split", import_split},
      {"Squeeze", import_squeeze},
      {"Transpose", import_transpose},
      {"Unsqueeze", import_unsqueeze},
      {"Where", import_where},
  };
  return table;
}

}  // namespace figment::converter
