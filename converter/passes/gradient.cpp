#include "passes/gradient.h"

#include <map>
#include <optional>

#include "ir/builder.h"

namespace figment::converter {

namespace {

// One node being differentiated: g is the gradient of its output.
struct Backward {
  Builder& build;
  const Node& node;
  ValueId g;
  const std::vector<bool>& needed;
  std::map<ValueId, ValueId>& gradients;

  ValueId input(size_t i) const { return node.inputs[i]; }
  const Shape& shape(size_t i) const { return build.shape(node.inputs[i]); }
  bool needs(size_t i) const { return i < node.inputs.size() && needed[node.inputs[i]]; }

  // Adds `gradient` to that of input i.
  void give(size_t i, ValueId gradient) const {
    const auto [entry, fresh] = gradients.emplace(node.inputs[i], gradient);
    if (!fresh) entry->second = build.add(OpKind::kAdd, {entry->second, gradient});
  }
};

using Rule = void (*)(const Backward& b);

void binary(const Backward& b) {
  const ValueId x = b.input(0);
  const ValueId y = b.input(1);
  Builder& build = b.build;
  const auto give = [&](size_t i, ValueId gradient) { b.give(i, build.sum_to(gradient, b.shape(i))); };
  switch (b.node.kind) {
    case OpKind::kAdd:
      if (b.needs(0)) give(0, b.g);
      if (b.needs(1)) give(1, b.g);
      return;
    case OpKind::kSubtract:
      if (b.needs(0)) give(0, b.g);
      if (b.needs(1)) give(1, build.add(OpKind::kNegate, {b.g}));
      return;
    case OpKind::kMultiply:
      if (b.needs(0)) give(0, build.add(OpKind::kMultiply, {b.g, y}));
      if (b.needs(1)) give(1, build.add(OpKind::kMultiply, {b.g, x}));
      return;
    default: {  // x / y
      const ValueId quotient = build.add(OpKind::kDivide, {b.g, y});
      if (b.needs(0)) give(0, quotient);
      if (b.needs(1)) {
        const ValueId product = build.add(OpKind::kMultiply, {quotient, build.add(OpKind::kDivide, {x, y})});
        give(1, build.add(OpKind::kNegate, {product}));
      }
    }
  }
}

void select(const Backward& b) {
  const ValueId zero = b.build.scalar(0, b.build.shape(b.g).rank());
  if (b.needs(1)) b.give(1, b.build.sum_to(b.build.add(OpKind::kSelect, {b.input(0), b.g, zero}), b.shape(1)));
  if (b.needs(2)) b.give(2, b.build.sum_to(b.build.add(OpKind::kSelect, {b.input(0), zero, b.g}), b.shape(2)));
}

void unary(const Backward& b) {
  Attributes attributes = b.node.attributes;
  attributes.function = b.node.kind;
  if ((b.node.kind == OpKind::kLeakyRelu || b.node.kind == OpKind::kElu) && attributes.alpha < 0) {
    throw Error("node " + b.node.name + ": its gradient needs a slope (alpha) of at least 0");
  }
  const ValueId value = format::backward_reads_input(b.node.kind) ? b.input(0) : b.node.output;
  b.give(0, b.build.add(OpKind::kUnaryBackward, {value, b.g}, attributes));
}

// Of a gradient with respect to the gradient that it is computed from. Only of piecewise linear functions, whose slope
// does not change with what it is read from.
void unary_backward(const Backward& b) {
  const OpKind function = b.node.attributes.function;
  if (b.needs(0) && function != OpKind::kClamp && function != OpKind::kLeakyRelu && function != OpKind::kAbs) {
    throw Error("node " + b.node.name + " (unary_backward of " + format::name_of(function) +
                ") has no gradient: second derivatives are not supported");
  }
  if (b.needs(1)) b.give(1, b.build.add(OpKind::kUnaryBackward, {b.input(0), b.g}, b.node.attributes));
}

void fully_connected(const Backward& b) {
  const ValueId g = b.build.rows(b.g);
  if (b.needs(0)) b.give(0, b.build.reshape(b.build.matmul(g, false, b.input(1), false), b.shape(0)));
  if (b.needs(1)) b.give(1, b.build.matmul(g, true, b.build.rows(b.input(0)), false));
  if (b.needs(2)) b.give(2, b.build.reshape(b.build.sum(g, {0}), b.shape(2)));
}

// y = op(a) op(b), where op transposes or does not.
void matmul(const Backward& b) {
  const bool ta = b.node.attributes.transpose_a;
  const bool tb = b.node.attributes.transpose_b;
  const ValueId left = b.input(0);
  const ValueId right = b.input(1);
  if (b.needs(0)) b.give(0, ta ? b.build.matmul(right, tb, b.g, true) : b.build.matmul(b.g, false, right, !tb));
  if (b.needs(1)) b.give(1, tb ? b.build.matmul(b.g, true, left, ta) : b.build.matmul(left, !ta, b.g, false));
}

void convolution(const Backward& b) {
  const bool transposed = b.node.kind == OpKind::kConvTranspose2d;
  Attributes attributes;
  attributes.window = b.node.attributes.window;
  if (b.needs(0)) {
    const OpKind kind = transposed ? OpKind::kConvTranspose2dBackwardInput : OpKind::kConv2dBackwardInput;
    b.give(0, b.build.add_shaped(kind, {b.g, b.input(1)}, b.shape(0), attributes));
  }
  if (b.needs(1)) {
    const OpKind kind = transposed ? OpKind::kConvTranspose2dBackwardWeights : OpKind::kConv2dBackwardWeights;
    b.give(1, b.build.add_shaped(kind, {b.input(0), b.g}, b.shape(1), attributes));
  }
  if (b.needs(2)) b.give(2, b.build.reshape(b.build.sum(b.build.rows(b.g), {0}), b.shape(2)));
}

void softmax(const Backward& b) {
  b.give(0, b.build.add(OpKind::kSoftmaxBackward, {b.node.output, b.g}, b.node.attributes));
}

void concat(const Backward& b) {
  const size_t axis = b.node.attributes.axes[0];
  uint32_t start = 0;
  for (size_t i = 0; i < b.node.inputs.size(); ++i) {
    const uint32_t extent = b.shape(i)[axis].extent;
    if (b.needs(i)) b.give(i, b.build.slice(b.g, axis, start, extent));
    start += extent;
  }
}

void slice(const Backward& b) {
  b.give(0, b.build.add_shaped(OpKind::kSliceBackward, {b.g}, b.shape(0), b.node.attributes));
}

void pad(const Backward& b) {
  b.give(0, b.build.add_shaped(OpKind::kPadBackward, {b.g}, b.shape(0), b.node.attributes));
}

void reshape(const Backward& b) { b.give(0, b.build.reshape(b.g, b.shape(0))); }

void transpose(const Backward& b) {
  Attributes inverse;
  inverse.permutation = b.node.attributes.permutation;
  for (uint32_t i = 0; i < inverse.permutation.rank(); ++i) inverse.permutation[b.node.attributes.permutation[i]] = i;
  b.give(0, b.build.add(OpKind::kTranspose, {b.g}, inverse));
}

void resize_nearest(const Backward& b) {
  b.give(0, b.build.add_shaped(OpKind::kResizeNearestBackward, {b.g, b.input(1), b.input(2)}, b.shape(0)));
}

void average_pool2d(const Backward& b) {
  b.give(0, b.build.add_shaped(OpKind::kAveragePool2dBackward, {b.g}, b.shape(0), b.node.attributes));
}

void max_pool2d(const Backward& b) {
  b.give(0, b.build.add(OpKind::kMaxPool2dBackward, {b.input(0), b.g}, b.node.attributes));
}

void mean(const Backward& b) { b.give(0, b.build.add_shaped(OpKind::kMeanBackward, {b.g}, b.shape(0))); }

void sum(const Backward& b) { b.give(0, b.build.add_shaped(OpKind::kBroadcast, {b.g}, b.shape(0))); }

void broadcast(const Backward& b) { b.give(0, b.build.sum_to(b.g, b.shape(0))); }

// With the statistics of its own input, or with statistics that are constants.
void batch_norm(const Backward& b) {
  Builder& build = b.build;
  const ValueId x = b.input(0);
  const ValueId statistics = b.input(1);
  const ValueId gamma = b.input(2);
  Attributes epsilon;
  epsilon.alpha = b.node.attributes.alpha;
  const Dimension channels = b.shape(2)[0];
  const ValueId sums = build.add(OpKind::kBatchNormBackwardSums, {x, statistics, b.g}, epsilon);
  if (b.needs(3)) b.give(3, build.reshape(build.slice(sums, 0, 0, 1), {channels}));
  if (b.needs(2)) b.give(2, build.reshape(build.slice(sums, 0, 1, 1), {channels}));
  if (!b.needs(0)) return;
  if (!build.graph()[statistics].is_constant()) {
    const int32_t producer = build.graph().producers()[statistics];
    const bool own = producer >= 0 && build.graph().nodes[static_cast<size_t>(producer)].inputs[0] == x;
    if (!own) throw Error("node " + b.node.name + ": its statistics must be constants or those of its own input");
    b.give(0, build.add(OpKind::kBatchNormBackward, {x, statistics, gamma, b.g, sums}, epsilon));
    return;
  }
  const ValueId variance = build.reshape(build.slice(statistics, 0, 1, 1), {channels});
  const ValueId deviation = build.add(OpKind::kSqrt, {build.with_scalar(OpKind::kAdd, variance, epsilon.alpha)});
  Shape scale;
  for (size_t i = 0; i + 1 < b.shape(0).rank(); ++i) scale.push_back({});
  scale.push_back(channels);
  const ValueId factor = build.reshape(build.add(OpKind::kDivide, {gamma, deviation}), scale);
  b.give(0, build.add(OpKind::kMultiply, {b.g, factor}));
}

// g - softmax(x) * sum(g), with softmax(x) = exp(y).
void log_softmax(const Backward& b) {
  const ValueId sums = b.build.sum(b.g, b.node.attributes.axes);
  const ValueId share = b.build.add(OpKind::kMultiply, {b.build.add(OpKind::kExp, {b.node.output}), sums});
  b.give(0, b.build.add(OpKind::kSubtract, {b.g, share}));
}

void layer_norm(const Backward& b) {
  Attributes epsilon;
  epsilon.alpha = b.node.attributes.alpha;
  if (b.needs(1) || b.needs(2)) {
    const Dimension channels = b.shape(1)[0];
    const ValueId sums = b.build.add(OpKind::kLayerNormBackwardSums, {b.input(0), b.g}, epsilon);
    if (b.needs(2)) b.give(2, b.build.reshape(b.build.slice(sums, 0, 0, 1), {channels}));
    if (b.needs(1)) b.give(1, b.build.reshape(b.build.slice(sums, 0, 1, 1), {channels}));
  }
  if (b.needs(0)) b.give(0, b.build.add(OpKind::kLayerNormBackward, {b.input(0), b.input(1), b.g}, epsilon));
}

// By that of layer normalization, of rows that are the groups: x [N, ..., C] as [N, groups, C / groups * positions].
void group_norm(const Backward& b) {
  Builder& build = b.build;
  const ValueId x = b.input(0);
  const Shape shape = b.shape(0);
  const uint32_t channels = shape.from_end(0).extent;
  const uint32_t groups = b.node.attributes.groups;
  Attributes epsilon;
  epsilon.alpha = b.node.attributes.alpha;
  uint32_t positions = 1;
  for (size_t i = 1; i + 1 < shape.rank(); ++i) positions *= shape[i].extent;
  const ValueId one = build.scalar(1, 1);
  const auto of_channels = [&](ValueId parameter) {
    Shape broadcast;
    for (size_t i = 0; i + 1 < shape.rank(); ++i) broadcast.push_back({});
    broadcast.push_back(build.shape(parameter)[0]);
    return broadcast;
  };
  const auto give = [&](size_t i, ValueId gradient) {
    b.give(i, build.reshape(build.sum_to(gradient, of_channels(b.input(i))), b.shape(i)));
  };
  if (b.needs(2)) give(2, b.g);
  if (b.needs(1)) {
    Attributes attributes = epsilon;
    attributes.groups = groups;
    const ValueId normalized = build.add(OpKind::kGroupNorm, {x, one, build.scalar(0, 1)}, attributes);
    give(1, build.add(OpKind::kMultiply, {b.g, normalized}));
  }
  if (!b.needs(0)) return;
  Attributes channels_first;
  channels_first.permutation = {0, 2, 1};
  const auto rows = [&](ValueId value) {
    const ValueId flat = build.reshape(value, {shape[0], {positions, false}, {channels, false}});
    return build.reshape(build.add(OpKind::kTranspose, {flat}, channels_first),
                         {shape[0], {groups, false}, {channels / groups * positions, false}});
  };
  const ValueId scaled = build.add(OpKind::kMultiply, {b.g, build.reshape(b.input(1), of_channels(b.input(1)))});
  const ValueId gradient = build.add(OpKind::kLayerNormBackward, {rows(x), one, rows(scaled)}, epsilon);
  const ValueId moved = build.reshape(gradient, {shape[0], {channels, false}, {positions, false}});
  b.give(0, build.reshape(build.add(OpKind::kTranspose, {moved}, channels_first), shape));
}

// Both ops are their own inverses, or projections: the gradient moves as the values do.
void same_on_gradient(const Backward& b) {
  std::vector<ValueId> inputs = b.node.inputs;
  inputs[0] = b.g;
  b.give(0, b.build.add(b.node.kind, inputs, b.node.attributes));
}

// The gradient of one plane of a recurrent op's states [planes, T, N, H] as [T, N, H], out of that of all planes: of
// slices only what they took, without building all planes. Nothing if no part of it is of that plane.
std::optional<ValueId> plane_gradient(Builder& build, ValueId g, uint32_t plane) {
  const Shape shape = build.shape(g);
  const Shape rest = {shape[1], shape[2], shape[3]};
  const int32_t producer = build.graph().producers()[g];
  const Node node = producer < 0 ? Node{} : build.graph().nodes[static_cast<size_t>(producer)];
  if (producer >= 0 && node.kind == OpKind::kAdd) {
    const std::optional<ValueId> left = plane_gradient(build, node.inputs[0], plane);
    const std::optional<ValueId> right = plane_gradient(build, node.inputs[1], plane);
    if (left && right) return build.add(OpKind::kAdd, {*left, *right});
    return left ? left : right;
  }
  if (producer >= 0 && node.kind == OpKind::kSliceBackward && build.shape(node.inputs[0])[0].extent == 1) {
    if (node.attributes.starts[0] != plane) return {};
    const Shape taken = build.shape(node.inputs[0]);
    const ValueId part = build.reshape(node.inputs[0], {taken[1], taken[2], taken[3]});
    if (build.shape(part) == rest) return part;
    Attributes attributes;
    for (size_t i = 1; i < 4; ++i) {
      attributes.starts.push_back(node.attributes.starts[i]);
      attributes.steps.push_back(node.attributes.steps[i]);
    }
    return build.add_shaped(OpKind::kSliceBackward, {part}, rest, attributes);
  }
  return build.reshape(build.slice(g, 0, plane, 1), rest);
}

// What the gradients of lstm and gru share.
struct RecurrentBackward {
  const Backward& b;
  uint32_t steps;
  Dimension batch;
  uint32_t hidden;

  explicit RecurrentBackward(const Backward& backward)
      : b(backward),
        steps(backward.shape(0)[0].extent),
        batch(backward.shape(0)[1]),
        hidden(backward.shape(1)[1].extent) {}

  Shape sequence() const { return {{steps, false}, batch, {hidden, false}}; }
  ValueId zeros() const {
    const ValueId zero = b.build.scalar(0, 3);
    return b.build.add_shaped(OpKind::kBroadcast, {zero}, sequence());
  }
  ValueId plane(uint32_t index) const { return b.build.reshape(b.build.slice(b.node.output, 0, index, 1), sequence()); }
  // The states before each step: the initial one, then those after all but the last step.
  ValueId previous(size_t initial, uint32_t index) const {
    const Shape one = {{}, batch, {hidden, false}};
    const Shape from = b.shape(initial);
    const ValueId first =
        b.build.add_shaped(OpKind::kBroadcast, {b.build.reshape(b.input(initial), {{}, from[0], from[1]})}, one);
    if (steps == 1) return first;
    Attributes axis;
    axis.axes = {0};
    return b.build.add(OpKind::kConcat, {first, b.build.slice(plane(index), 0, 0, steps - 1)}, axis);
  }
  // a^T b over all steps and sequences: [columns of a, columns of b].
  ValueId outer(ValueId a, ValueId c) const { return b.build.matmul(b.build.rows(a), true, b.build.rows(c), false); }
  // The gradient of an initial state [N, H] or [1, H].
  void give_initial(size_t i, ValueId gradient) const { b.give(i, b.build.sum_to(gradient, b.shape(i))); }
};

void lstm(const Backward& b) {
  const RecurrentBackward r(b);
  Builder& build = b.build;
  const std::optional<ValueId> hidden = plane_gradient(build, b.g, format::lstm_plane::kHidden);
  const std::optional<ValueId> cell = plane_gradient(build, b.g, format::lstm_plane::kCell);
  std::vector<ValueId> inputs = {b.node.output, b.input(1), b.input(3), hidden ? *hidden : r.zeros(),
                                 cell ? *cell : build.scalar(0, 3)};
  if (b.node.inputs.size() == 5) inputs.push_back(b.input(4));
  Attributes attributes;
  const ValueId gates = build.add(OpKind::kLstmBackward, inputs, attributes);
  if (b.needs(0)) b.give(0, gates);
  if (b.needs(1)) b.give(1, r.outer(gates, r.previous(2, format::lstm_plane::kHidden)));
  attributes.recurrent_gradient = format::RecurrentGradient::kInitialHidden;
  if (b.needs(2)) r.give_initial(2, build.add(OpKind::kLstmBackward, inputs, attributes));
  attributes.recurrent_gradient = format::RecurrentGradient::kInitialCell;
  if (b.needs(3)) r.give_initial(3, build.add(OpKind::kLstmBackward, inputs, attributes));
}

void gru(const Backward& b) {
  const RecurrentBackward r(b);
  Builder& build = b.build;
  const std::optional<ValueId> hidden = plane_gradient(build, b.g, format::gru_plane::kHidden);
  std::vector<ValueId> inputs = {b.node.output, b.input(1), b.input(3), hidden ? *hidden : r.zeros()};
  if (b.node.inputs.size() == 5) inputs.push_back(b.input(4));
  Attributes attributes = b.node.attributes;
  const ValueId gates = build.add(OpKind::kGruBackward, inputs, attributes);
  const uint32_t h = r.hidden;
  if (b.needs(0)) b.give(0, build.slice(gates, 2, 0, 3 * h));
  if (b.needs(1) || b.needs(2)) {
    // Blocks z and r, and that of the linear map in the candidate.
    const bool linear_first = attributes.linear_before_reset;
    const ValueId zr = build.slice(gates, 2, 0, 2 * h);
    const ValueId candidate = build.slice(gates, 2, linear_first ? 3 * h : 2 * h, h);
    Attributes axis;
    axis.axes = {0};
    if (b.needs(1)) {
      const ValueId previous = r.previous(3, format::gru_plane::kHidden);
      const ValueId factor = linear_first ? previous : r.plane(format::gru_plane::kRecurrent);
      b.give(1, build.add(OpKind::kConcat, {r.outer(zr, previous), r.outer(candidate, factor)}, axis));
    }
    if (b.needs(2)) {
      const auto sum = [&](ValueId x, uint32_t columns) {
        return build.reshape(build.sum(build.rows(x), {0}), {{columns, false}});
      };
      b.give(2, build.add(OpKind::kConcat, {sum(zr, 2 * h), sum(candidate, h)}, axis));
    }
  }
  attributes.recurrent_gradient = format::RecurrentGradient::kInitialHidden;
  if (b.needs(3)) r.give_initial(3, build.add(OpKind::kGruBackward, inputs, attributes));
}

// A rule, or the reason why there is none.
struct Entry {
  Rule rule = nullptr;
  const char* reason = "";
};

Entry rule(Rule rule) { return {rule, ""}; }
Entry none(const char* reason) { return {nullptr, reason}; }

constexpr const char* kRounds = "it rounds to integers";

// Functions of one value have one rule; updates have none, nor has what is not here: ops of gradients themselves.
Entry entry_of(OpKind kind) {
  static const std::map<OpKind, Entry> rules = {
      {OpKind::kFullyConnected, rule(fully_connected)},
      {OpKind::kConv2d, rule(convolution)},
      {OpKind::kConvTranspose2d, rule(convolution)},
      {OpKind::kMatmul, rule(matmul)},
      {OpKind::kAdd, rule(binary)},
      {OpKind::kSubtract, rule(binary)},
      {OpKind::kMultiply, rule(binary)},
      {OpKind::kDivide, rule(binary)},
      {OpKind::kLookup, none(kRounds)},
      {OpKind::kSoftmax, rule(softmax)},
      {OpKind::kConcat, rule(concat)},
      {OpKind::kSlice, rule(slice)},
      {OpKind::kPad, rule(pad)},
      {OpKind::kReshape, rule(reshape)},
      {OpKind::kTranspose, rule(transpose)},
      {OpKind::kResizeNearest, rule(resize_nearest)},
      {OpKind::kAveragePool2d, rule(average_pool2d)},
      {OpKind::kMaxPool2d, rule(max_pool2d)},
      {OpKind::kMean, rule(mean)},
      {OpKind::kQuantize, none(kRounds)},
      {OpKind::kDequantize, none(kRounds)},
      {OpKind::kRequantize, none(kRounds)},
      {OpKind::kSum, rule(sum)},
      {OpKind::kBroadcast, rule(broadcast)},
      {OpKind::kUnaryBackward, rule(unary_backward)},
      {OpKind::kBatchNormStatistics, none("its gradient is part of batch_norm's")},
      {OpKind::kBatchNorm, rule(batch_norm)},
      {OpKind::kLogSoftmax, rule(log_softmax)},
      {OpKind::kLayerNorm, rule(layer_norm)},
      {OpKind::kGroupNorm, rule(group_norm)},
      {OpKind::kLstm, rule(lstm)},
      {OpKind::kGru, rule(gru)},
      {OpKind::kReverse, rule(same_on_gradient)},
      {OpKind::kSelect, rule(select)},
      {OpKind::kMaskSequence, rule(same_on_gradient)},
      {OpKind::kSquaredNorm, none("it measures gradients, and second derivatives are not supported")},
  };
  if (format::is_unary_function(kind)) return rule(unary);
  if (format::is_flat(kind)) return none("it is zero");
  if (format::is_update(kind)) return none("it changes a variable");
  const auto found = rules.find(kind);
  return found == rules.end() ? none("it is part of a gradient, and second derivatives are not supported")
                              : found->second;
}

}  // namespace

std::string no_gradient_reason(OpKind kind) { return entry_of(kind).reason; }

Gradients differentiate(Graph* graph, const Gradients& seeds, const std::set<ValueId>& wanted,
                        const std::set<ValueId>& fixed) {
  std::vector<bool> needed(graph->values.size());
  for (ValueId id : wanted) needed[id] = true;
  for (const Node& node : graph->nodes) {
    if (format::is_flat(node.kind)) continue;
    for (ValueId id : node.inputs) {
      if (needed[id] && !fixed.contains(node.output)) needed[node.output] = true;
    }
  }
  Gradients gradients;
  for (const auto& [value, gradient] : seeds) {
    if (needed[value]) gradients[value] = gradient;
  }
  for (size_t i = graph->nodes.size(); i > 0; --i) {
    const Node node = graph->nodes[i - 1];
    const auto found = gradients.find(node.output);
    if (found == gradients.end() || format::is_update(node.kind)) continue;
    // A wanted value that is computed: nothing behind it may be needed.
    bool any = false;
    for (ValueId id : node.inputs) any = any || needed[id];
    if (!any) continue;
    Builder build(graph, node.name + ".gradient");
    const Entry entry = entry_of(node.kind);
    if (entry.rule == nullptr) {
      throw Error("node " + node.name + " (" + format::name_of(node.kind) + ") has no gradient: " + entry.reason);
    }
    ValueId g = found->second;
    Node bare = node;
    // Bounds that are fused into an op; those of clamp, and of its gradient, are its own.
    if (node.attributes.clamps() && node.kind != OpKind::kClamp && node.kind != OpKind::kUnaryBackward) {
      Attributes clamp;
      clamp.function = OpKind::kClamp;
      clamp.clamp_min = node.attributes.clamp_min;
      clamp.clamp_max = node.attributes.clamp_max;
      g = build.add(OpKind::kUnaryBackward, {node.output, g}, clamp);
      bare.attributes.clamp_min = Attributes().clamp_min;
      bare.attributes.clamp_max = Attributes().clamp_max;
    }
    entry.rule({build, bare, g, needed, gradients});
  }
  Gradients result;
  for (ValueId id : wanted) {
    if (const auto found = gradients.find(id); found != gradients.end()) result.insert(*found);
  }
  return result;
}

}  // namespace figment::converter
