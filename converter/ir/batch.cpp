#include "ir/batch.h"

#include <algorithm>

namespace figment::converter {

std::optional<size_t> batch_axis(const Shape& shape) {
  for (size_t i = 0; i < shape.rank(); ++i) {
    if (shape[i].per_batch) return i;
  }
  return std::nullopt;
}

namespace {

// Elements of the dimensions [first, end).
uint64_t product(const Shape& shape, size_t first, size_t end) {
  uint64_t result = 1;
  for (size_t i = first; i < end; ++i) result *= shape[i].extent;
  return result;
}

// Whether the op computes each place along the batch from the same place of its operands, if none of its axes is the
// batch and no operand is mixed.
bool keeps_samples_apart(OpKind kind) {
  switch (kind) {
    case OpKind::kFullyConnected:
    case OpKind::kConv2d:
    case OpKind::kConvTranspose2d:
    case OpKind::kMatmul:
    case OpKind::kLookup:
    case OpKind::kSoftmax:
    case OpKind::kLogSoftmax:
    case OpKind::kConcat:
    case OpKind::kSlice:
    case OpKind::kPad:
    case OpKind::kTranspose:
    case OpKind::kResizeNearest:
    case OpKind::kAveragePool2d:
    case OpKind::kMaxPool2d:
    case OpKind::kMean:
    case OpKind::kSum:
    case OpKind::kQuantize:
    case OpKind::kDequantize:
    case OpKind::kRequantize:
    case OpKind::kBroadcast:
    case OpKind::kMeanBackward:
    case OpKind::kUnaryBackward:
    case OpKind::kSoftmaxBackward:
    case OpKind::kSliceBackward:
    case OpKind::kPadBackward:
    case OpKind::kResizeNearestBackward:
    case OpKind::kAveragePool2dBackward:
    case OpKind::kMaxPool2dBackward:
    case OpKind::kConv2dBackwardInput:
    case OpKind::kConvTranspose2dBackwardInput:
    case OpKind::kBatchNorm:
    case OpKind::kLayerNorm:
    case OpKind::kGroupNorm:
    case OpKind::kLayerNormBackward:
    case OpKind::kLstm:
    case OpKind::kLstmBackward:
    case OpKind::kGru:
    case OpKind::kLstmI8:
    case OpKind::kGruI8:
    case OpKind::kGruBackward:
    case OpKind::kReverse:
    case OpKind::kSelect:
    case OpKind::kArgMax:
    case OpKind::kMaskSequence: return true;
    default: return format::is_unary_function(kind) || format::is_binary(kind);
  }
}

}  // namespace

BatchOrder::Dependence BatchOrder::dependence(const Node& node) const {
  Dependence result;
  bool has_uniform = false;
  for (ValueId id : node.inputs) {
    const Dependence& operand = values_[id];
    has_uniform = has_uniform || operand.kind == Kind::kUniform;
    if (operand.kind == Kind::kNone || operand.kind == Kind::kUniform) continue;
    const bool agrees = result.kind == Kind::kNone || (operand.kind == result.kind && operand.inner == result.inner);
    result = agrees ? operand : Dependence{Kind::kMixed, 1};
  }
  if (result.kind == Kind::kMixed) return result;
  const Shape& shape = graph_[node.output].shape;
  const std::optional<size_t> axis = batch_axis(shape);
  if (result.kind == Kind::kNone && !has_uniform) return {axis ? Kind::kUniform : Kind::kNone, 1};
  if (node.kind == OpKind::kReshape) {
    const Shape& from = graph_[node.inputs[0]].shape;
    if (result.kind == Kind::kNone) result = {Kind::kOwn, from[*batch_axis(from)].extent};
    return reshaped(result, from, shape);
  }
  // Without a dimension of the batch the samples have been summed up, or multiplied. Where they are all the same, the
  // sum is still their number's.
  if (!axis || !keeps_samples_apart(node.kind) || acts_along_batch(node)) return {Kind::kMixed, 1};
  return result.kind == Kind::kNone ? Dependence{Kind::kUniform, 1} : result;
}

// Whether the op combines, or moves, elements along the dimension of the batch.
bool BatchOrder::acts_along_batch(const Node& node) const {
  const Shape& in = graph_[node.inputs[0]].shape;
  const std::optional<size_t> axis = batch_axis(in);
  const Attributes& attributes = node.attributes;
  switch (node.kind) {
    case OpKind::kSoftmax:
    case OpKind::kLogSoftmax:
    case OpKind::kSoftmaxBackward:
    case OpKind::kMean:
    case OpKind::kSum:
      return axis &&
             std::any_of(attributes.axes.begin(), attributes.axes.end(), [&](uint32_t a) { return a == *axis; });
    case OpKind::kMatmul: {
      // Rows of a stay apart, and matrices of equal leading dimensions; the inner dimension is summed over.
      const Shape& b = graph_[node.inputs[1]].shape;
      const size_t last = in.rank() - 1;
      const bool inner_of_a = axis && *axis == (attributes.transpose_a ? last - 1 : last);
      const std::optional<size_t> axis_b = batch_axis(b);
      const bool inner_of_b = axis_b && *axis_b == (attributes.transpose_b ? last : last - 1);
      return inner_of_a || inner_of_b;
    }
    default: return false;
  }
}

// The same elements in another shape: [before, o, n, i, after] stays, or the order of samples is lost.
BatchOrder::Dependence BatchOrder::reshaped(const Dependence& from, const Shape& old_shape, const Shape& shape) {
  const std::optional<size_t> old_axis = batch_axis(old_shape);
  const std::optional<size_t> axis = batch_axis(shape);
  if (!old_axis || !axis) return {Kind::kMixed, 1};
  const uint64_t behind = from.inner * product(old_shape, *old_axis + 1, old_shape.rank());
  const uint64_t after = product(shape, *axis + 1, shape.rank());
  const uint64_t inner = behind / after;
  const uint32_t extent = shape[*axis].extent;
  if (behind % after != 0 || inner > extent || extent % inner != 0) return {Kind::kMixed, 1};
  return {Kind::kOwn, static_cast<uint32_t>(inner)};
}

void BatchOrder::follow() {
  values_.resize(graph_.values.size());
  for (; inputs_ < graph_.inputs.size(); ++inputs_) {
    const PortDefinition& port = graph_.inputs[inputs_];
    const std::optional<size_t> axis = batch_axis(graph_[port.value].shape);
    // An input without a batch is the same for all samples.
    if (axis) values_[port.value] = {Kind::kOwn, graph_[port.value].shape[*axis].extent};
  }
  for (; nodes_ < graph_.nodes.size(); ++nodes_) {
    const Node& node = graph_.nodes[nodes_];
    if (!format::is_update(node.kind)) values_[node.output] = dependence(node);
  }
}

bool BatchOrder::couples(ValueId output) {
  follow();
  const Dependence& value = values_[output];
  if (value.kind == Kind::kNone || value.kind == Kind::kUniform) return false;
  const std::optional<size_t> axis = batch_axis(graph_[output].shape);
  return value.kind == Kind::kMixed || !axis || value.inner != graph_[output].shape[*axis].extent;
}

std::optional<uint32_t> BatchOrder::inner(ValueId value) {
  follow();
  if (values_[value].kind != Kind::kOwn) return std::nullopt;
  return values_[value].inner;
}

bool couples_batch(const Graph& graph) {
  BatchOrder order(graph);
  return std::ranges::any_of(graph.outputs, [&](const PortDefinition& port) { return order.couples(port.value); });
}

}  // namespace figment::converter
