// ONNX ops that compare and choose: comparisons, booleans, the greatest elements.
// Booleans and indices that the program computes are f32: 0 and 1, and whole numbers.
#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <limits>

#include "import/onnx_graph.h"
#include "ir/builder.h"

namespace figment::converter {

namespace {

constexpr float kLargest = std::numeric_limits<float>::max();

ValueId negated(Builder& build, ValueId boolean) {
  return build.add(OpKind::kSubtract, {build.scalar(1, build.shape(boolean).rank()), boolean});
}

// a > b, b > a, or either with a == b.
void import_comparison(const OnnxNode& node, bool greater, bool or_equal) {
  Builder build(&node.graph, node.name);
  auto [a, b] = equal_ranks(node, node.number(0), node.number(1));
  if (!greater) std::swap(a, b);
  ValueId y = build.add(OpKind::kGreater, {a, b});
  if (or_equal) y = build.add(OpKind::kAdd, {y, build.add(OpKind::kEqual, {a, b})});
  node.bind(y);
}

// How many classes a comparison [..., 1] == [0, 1, ...] has, as PyTorch's exporter of graphs writes one-hot vectors;
// 0: it is another one.
uint32_t one_hot_classes(const Value& labels, const Value& places) {
  if (!places.is_constant() || places.type != DataType::kF32 || places.shape.rank() == 0 ||
      labels.shape.rank() != places.shape.rank() || labels.shape.rank() < 2)
    return 0;
  const uint32_t count = places.shape[places.shape.rank() - 1].extent;
  if (count < 2 || places.elements() != count || labels.shape[labels.shape.rank() - 1] != Dimension{}) return 0;
  for (uint32_t i = 0; i < count; ++i) {
    if (places.f32()[i] != static_cast<float>(i)) return 0;
  }
  return count;
}

void import_equal(const OnnxNode& node) {
  const auto [a, b] = equal_ranks(node, node.number(0), node.number(1));
  const uint32_t classes = one_hot_classes(node.graph[a], node.graph[b]);
  if (classes > 0 && node.importer.from_pytorch()) limit_input(node, a, classes);
  node.bind(node.add(OpKind::kEqual, {}, {a, b}));
}

void import_is_nan(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.number(0);
  node.bind(negated(build, build.add(OpKind::kEqual, {x, x})));
}

void import_is_infinite(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.number(0);
  const size_t rank = build.shape(x).rank();
  const bool negative = node.integer("detect_negative", 1) != 0;
  const bool positive = node.integer("detect_positive", 1) != 0;
  if (negative && positive)
    return node.bind(build.with_scalar(OpKind::kGreater, build.add(OpKind::kAbs, {x}), kLargest));
  if (negative) return node.bind(build.add(OpKind::kGreater, {build.scalar(-kLargest, rank), x}));
  if (positive) return node.bind(build.with_scalar(OpKind::kGreater, x, kLargest));
  node.bind(build.with_scalar(OpKind::kMultiply, build.add(OpKind::kEqual, {x, x}), 0));
}

void import_not(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  node.bind(negated(build, node.number(0)));
}

void import_and(const OnnxNode& node) {
  const auto [a, b] = equal_ranks(node, node.number(0), node.number(1));
  node.bind(node.add(OpKind::kMultiply, {}, {a, b}));
}

void import_or(const OnnxNode& node) {
  Attributes at_most_one;
  at_most_one.clamp_max = 1;
  const auto [a, b] = equal_ranks(node, node.number(0), node.number(1));
  node.bind(node.add(OpKind::kAdd, at_most_one, {a, b}));
}

void import_xor(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const auto [a, b] = equal_ranks(node, node.number(0), node.number(1));
  node.bind(negated(build, build.add(OpKind::kEqual, {a, b})));
}

// -1, 0 or 1.
void import_sign(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.number(0);
  const ValueId zero = build.scalar(0, build.shape(x).rank());
  node.bind(
      build.add(OpKind::kSubtract, {build.add(OpKind::kGreater, {x, zero}), build.add(OpKind::kGreater, {zero, x})}));
}

// A choice by Greater between x itself and softplus(x), which differ by less than e^-x where x is large, is softplus.
bool is_guarded_softplus(const OnnxNode& node) {
  constexpr float kLargeEnough = 15;  // e^-15 = 3e-7
  const ValueId x = node.number(1);
  const auto made_by = [&](ValueId value, OpKind kind) -> const Node* {
    const Node* producer = node.producer(value);
    return producer != nullptr && producer->kind == kind ? producer : nullptr;
  };
  const Node* comparison = made_by(node.number(0), OpKind::kGreater);
  const Node* softplus = made_by(node.number(2), OpKind::kSoftplus);
  if (comparison == nullptr || softplus == nullptr || softplus->inputs[0] != x || comparison->inputs[0] != x)
    return false;
  const Value& threshold = node.graph[comparison->inputs[1]];
  return threshold.is_constant() && threshold.elements() == 1 && threshold.f32()[0] >= kLargeEnough;
}

// The ranks of three operands made equal.
std::vector<ValueId> equal_ranks(const OnnxNode& node, std::vector<ValueId> operands) {
  for (ValueId& operand : operands) {
    for (ValueId other : operands) operand = figment::converter::equal_ranks(node, operand, other).first;
  }
  return operands;
}

void import_where(const OnnxNode& node) {
  const bool known = node.is_known(0);
  const std::vector<ValueId> operands = {node.number(0), node.number(1), node.number(2)};
  if (!known && is_guarded_softplus(node)) return node.bind(operands[2]);
  node.bind(node.add(OpKind::kSelect, {}, equal_ranks(node, operands)));
}

ValueId arg_max(Builder& build, ValueId x, size_t axis) {
  Attributes along;
  along.axes = {static_cast<uint32_t>(axis)};
  return build.add(OpKind::kArgMax, {x}, along);
}

void import_arg_extreme(const OnnxNode& node, bool greatest) {
  Builder build(&node.graph, node.name);
  ValueId x = node.number(0);
  const size_t axis = axis_within_sample(node, node.integer("axis", 0), node.value(0).shape);
  if (!greatest) x = build.add(OpKind::kNegate, {x});
  const Shape shape = build.shape(x);
  const bool last = node.integer("select_last_index", 0) != 0;
  Attributes along;
  along.axes = {static_cast<uint32_t>(axis)};
  if (last) x = build.add(OpKind::kReverse, {x}, along);
  ValueId y = arg_max(build, x, axis);
  if (last) {
    const ValueId end = build.scalar(static_cast<float>(shape[axis].extent - 1), shape.rank());
    y = build.add(OpKind::kSubtract, {end, y});
  }
  if (node.integer("keepdims", 1) == 0) {
    Shape kept;
    for (size_t i = 0; i < shape.rank(); ++i) {
      if (i != axis) kept.push_back(shape[i]);
    }
    y = build.reshape(y, kept);
  }
  node.bind(y);
}

// One greatest element after the other, which is then less than all that are left.
void import_top_k(const OnnxNode& node) {
  constexpr int64_t kMost = 64;
  Builder build(&node.graph, node.name);
  const ValueId x = node.number(0);
  const size_t axis = axis_within_sample(node, node.integer("axis", -1), node.value(0).shape);
  const size_t rank = build.shape(x).rank();
  const uint32_t extent = build.shape(x)[axis].extent;
  const std::vector<int64_t> given = node.has_input(1) ? node.numbers(1) : std::vector{node.integer("k", 0)};
  if (given.size() != 1 || given[0] < 1 || given[0] > extent) node.fail("its k is out of range");
  if (given[0] > kMost)
    node.fail(fmt::format("its k is {}, {} at most: return the values, and let the program that reads them sort",
                          given[0], kMost));
  const bool largest = node.integer("largest", 1) != 0;
  const ValueId places = counted_along(node, axis, rank, extent);
  const ValueId gone = build.scalar(-std::numeric_limits<float>::infinity(), rank);
  const ValueId zero = build.scalar(0, rank);
  Attributes finite;
  finite.clamp_min = std::numeric_limits<float>::lowest();
  ValueId left = build.add(OpKind::kClamp, {largest ? x : build.add(OpKind::kNegate, {x})}, finite);
  std::vector<ValueId> values;
  std::vector<ValueId> indices;
  for (int64_t k = 0; k < given[0]; ++k) {
    indices.push_back(arg_max(build, left, axis));
    const ValueId here = build.add(OpKind::kEqual, {indices.back(), places});
    values.push_back(build.sum(build.add(OpKind::kSelect, {here, x, zero}), {static_cast<uint32_t>(axis)}));
    if (k + 1 < given[0]) left = build.add(OpKind::kSelect, {here, gone, left});
  }
  node.bind(node.concatenate(values, static_cast<uint32_t>(axis)), 0);
  node.bind(node.concatenate(indices, static_cast<uint32_t>(axis)), 1);
}

}  // namespace

ValueId extreme_of(Builder& build, ValueId a, ValueId b, bool greatest) {
  const std::vector<ValueId> in_order = greatest ? std::vector{b, a} : std::vector{a, b};
  return build.add(OpKind::kSelect, {build.add(OpKind::kGreater, in_order), b, a});
}

ValueId counted_along(const OnnxNode& node, size_t axis, size_t rank, uint32_t count) {
  node.expect_room(uint64_t{count} * sizeof(float));
  std::vector<float> numbers(count);
  for (uint32_t i = 0; i < count; ++i) numbers[i] = static_cast<float>(i);
  std::vector<uint32_t> shape(rank, 1);
  shape[axis] = count;
  return node.graph.add_constant("places", shape, numbers);
}

ValueId as_boolean(Builder& build, ValueId x) { return negated(build, build.with_scalar(OpKind::kEqual, x, 0)); }

ValueId from_the_end(Builder& build, ValueId indices, uint32_t extent) {
  const ValueId below = build.add(OpKind::kGreater, {build.scalar(0, build.shape(indices).rank()), indices});
  return build.add(OpKind::kAdd, {indices, build.with_scalar(OpKind::kMultiply, below, static_cast<float>(extent))});
}

ValueId truncated(Builder& build, ValueId x) {
  Attributes positive;
  positive.clamp_min = 0;
  const ValueId up = build.add(OpKind::kFloor, {build.add(OpKind::kClamp, {x}, positive)});
  const ValueId down =
      build.add(OpKind::kFloor, {build.add(OpKind::kClamp, {build.add(OpKind::kNegate, {x})}, positive)});
  return build.add(OpKind::kSubtract, {up, down});
}

const Importers& logic_importers() {
  static const Importers table = {
      {"And", {import_and, 6, {OpKind::kMultiply}, ""}},
      {"ArgMax",
       {[](const OnnxNode& node) { import_arg_extreme(node, true); },
        6,
        {OpKind::kSubtract, OpKind::kReverse, OpKind::kArgMax},
        "not along the batch"}},
      {"ArgMin",
       {[](const OnnxNode& node) { import_arg_extreme(node, false); },
        6,
        {OpKind::kSubtract, OpKind::kNegate, OpKind::kReverse, OpKind::kArgMax},
        "not along the batch"}},
      {"Equal", {import_equal, 6, {OpKind::kEqual}, ""}},
      {"Greater", {[](const OnnxNode& node) { import_comparison(node, true, false); }, 6, {OpKind::kGreater}, ""}},
      {"GreaterOrEqual",
       {[](const OnnxNode& node) { import_comparison(node, true, true); },
        12,
        {OpKind::kAdd, OpKind::kGreater, OpKind::kEqual},
        ""}},
      {"IsInf", {import_is_infinite, 10, {OpKind::kAbs, OpKind::kGreater}, ""}},
      {"IsNaN", {import_is_nan, 9, {OpKind::kSubtract, OpKind::kEqual}, ""}},
      {"Less", {[](const OnnxNode& node) { import_comparison(node, false, false); }, 6, {OpKind::kGreater}, ""}},
      {"LessOrEqual",
       {[](const OnnxNode& node) { import_comparison(node, false, true); },
        12,
        {OpKind::kAdd, OpKind::kGreater, OpKind::kEqual},
        ""}},
      {"Not", {import_not, 6, {OpKind::kSubtract}, ""}},
      {"Or", {import_or, 6, {OpKind::kAdd}, ""}},
      {"Sign", {import_sign, 9, {OpKind::kSubtract, OpKind::kGreater}, ""}},
      {"TopK",
       {import_top_k,
        6,
        {OpKind::kNegate, OpKind::kConcat, OpKind::kSum, OpKind::kEqual, OpKind::kSelect, OpKind::kArgMax,
         OpKind::kClamp},
        "k up to 64"}},
      {"Where", {import_where, 9, {OpKind::kSelect}, ""}},
      {"Xor", {import_xor, 6, {OpKind::kSubtract, OpKind::kEqual}, ""}},
  };
  return table;
}

}  // namespace figment::converter
