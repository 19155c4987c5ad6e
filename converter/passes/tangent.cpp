#include "passes/tangent.h"

#include <map>

#include "ir/builder.h"

namespace figment::converter {

namespace {

// Of what rounding (6e-8 of the value, over the step) and the third derivative (by the step squared) leave, the least.
constexpr float kStep = 0.002F;

class Tangents {
 public:
  Tangents(Graph* graph, const std::function<void(ValueId)>& hold)
      : graph_(*graph), build_(graph, "tangent"), hold_(hold) {}

  void set(ValueId value, ValueId tangent) { tangents_[value] = tangent; }
  bool moves(ValueId value) const { return tangents_.contains(value); }
  ValueId of(ValueId value) const { return tangents_.at(value); }

  // Appends the tangent of the node's output. Some input moves.
  void follow(const Node& node) {
    if (format::is_flat(node.kind)) return;
    ValueId result = rule(node);
    if (node.attributes.clamps() && node.kind != OpKind::kClamp) {
      Attributes clamp;
      clamp.function = OpKind::kClamp;
      clamp.clamp_min = node.attributes.clamp_min;
      clamp.clamp_max = node.attributes.clamp_max;
      result = build_.add(OpKind::kUnaryBackward, {node.output, result}, clamp);
    }
    tangents_[node.output] = result;
  }

 private:
  ValueId rule(const Node& node) {
    switch (node.kind) {
      case OpKind::kFullyConnected:
      case OpKind::kConv2d:
      case OpKind::kConvTranspose2d:
        if (moves(node.inputs[1]) || (node.inputs.size() > 2 && moves(node.inputs[2]))) return difference(node);
        return same(node, {of(node.inputs[0]), node.inputs[1]});
      case OpKind::kMatmul: return product(node);
      case OpKind::kAdd:
      case OpKind::kSubtract: return sum(node);
      case OpKind::kMultiply: return product(node);
      case OpKind::kDivide:
        return moves(node.inputs[1]) ? difference(node) : same(node, {of(node.inputs[0]), node.inputs[1]});
      case OpKind::kClamp:
      case OpKind::kLeakyRelu:
      case OpKind::kAbs: {
        Attributes attributes = node.attributes;
        attributes.function = node.kind;
        const ValueId read = format::backward_reads_input(node.kind) ? node.inputs[0] : node.output;
        return build_.add(OpKind::kUnaryBackward, {read, of(node.inputs[0])}, attributes);
      }
      case OpKind::kNegate:
      case OpKind::kSlice:
      case OpKind::kReshape:
      case OpKind::kTranspose:
      case OpKind::kAveragePool2d:
      case OpKind::kMean:
      case OpKind::kSum:
      case OpKind::kBroadcast:
      case OpKind::kReverse: return same(node, {of(node.inputs[0])});
      case OpKind::kPad: {
        Node zero = node;
        zero.attributes.pad_value = 0;
        return same(zero, {of(node.inputs[0])});
      }
      case OpKind::kResizeNearest:
      case OpKind::kMaskSequence: {
        std::vector<ValueId> inputs = node.inputs;
        inputs[0] = of(inputs[0]);
        return same(node, std::move(inputs));
      }
      case OpKind::kConcat: {
        std::vector<ValueId> inputs;
        for (ValueId input : node.inputs)
          inputs.push_back(moves(input) ? of(input) : build_.with_scalar(OpKind::kMultiply, input, 0));
        return same(node, std::move(inputs));
      }
      case OpKind::kMaxPool2d:
        throw Error("node " + node.name +
                    " (max_pool2d): a gradient penalty cannot be trained through it; use average pooling or strides");
      default: return difference(node);
    }
  }

  // The node's op on other inputs, without its bounds.
  ValueId same(const Node& node, std::vector<ValueId> inputs) {
    Attributes attributes = node.attributes;
    if (node.kind != OpKind::kClamp) {
      attributes.clamp_min = Attributes().clamp_min;
      attributes.clamp_max = Attributes().clamp_max;
    }
    const Value declared = graph_[node.output];
    return graph_.add_node(node.kind, node.name + ".tangent", attributes, std::move(inputs), &declared);
  }

  ValueId sum(const Node& node) {
    const bool subtracts = node.kind == OpKind::kSubtract;
    if (moves(node.inputs[0]) && moves(node.inputs[1])) return same(node, {of(node.inputs[0]), of(node.inputs[1])});
    const bool first = moves(node.inputs[0]);
    ValueId t = of(node.inputs[first ? 0 : 1]);
    if (!first && subtracts) t = build_.add(OpKind::kNegate, {t});
    const Shape& shape = graph_[node.output].shape;
    return build_.shape(t) == shape ? t : build_.add_shaped(OpKind::kBroadcast, {t}, shape);
  }

  // Of a product, of elements or of matrices.
  ValueId product(const Node& node) {
    std::optional<ValueId> result;
    for (size_t i = 0; i < 2; ++i) {
      if (!moves(node.inputs[i])) continue;
      std::vector<ValueId> inputs = node.inputs;
      inputs[i] = of(inputs[i]);
      const ValueId term = same(node, std::move(inputs));
      result = result ? build_.add(OpKind::kAdd, {*result, term}) : term;
    }
    return *result;
  }

  // (op(x + h t) - op(x - h t)) / (2 h), with an h for each entry of the batch.
  ValueId difference(const Node& node) {
    std::vector<ValueId> ahead = node.inputs;
    std::vector<ValueId> behind = node.inputs;
    std::optional<ValueId> step;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (!moves(node.inputs[i])) continue;
      if (!step) step = step_along(of(node.inputs[i]));
      const ValueId move = build_.add(OpKind::kMultiply, {of(node.inputs[i]), fitted(*step, of(node.inputs[i]))});
      ahead[i] = build_.add(OpKind::kAdd, {node.inputs[i], move});
      behind[i] = build_.add(OpKind::kSubtract, {node.inputs[i], move});
    }
    const ValueId change = build_.add(OpKind::kSubtract, {same(node, std::move(ahead)), same(node, std::move(behind))});
    const ValueId doubled = build_.with_scalar(OpKind::kMultiply, *step, 2);
    return build_.add(OpKind::kDivide, {change, fitted(doubled, change)});
  }

  // The step for which the tangent's root mean square becomes kStep, one value for each entry of the batch.
  ValueId step_along(ValueId t) {
    Permutation axes;
    for (uint32_t i = 0; i < build_.shape(t).rank(); ++i) {
      if (!build_.shape(t)[i].per_batch) axes.push_back(i);
    }
    const ValueId square = build_.add(OpKind::kMultiply, {t, t});
    const ValueId mean = axes.rank() == 0 ? square : build_.mean(square, axes);
    const ValueId size = build_.with_scalar(OpKind::kAdd, build_.add(OpKind::kSqrt, {mean}), 1e-20F);
    const ValueId step = build_.add(OpKind::kDivide, {build_.scalar(kStep, build_.shape(size).rank()), size});
    hold_(step);
    return step;
  }

  // A step in the form in which it multiplies `x`: the batch where x has it.
  ValueId fitted(ValueId step, ValueId x) {
    Shape shape;
    bool batch = false;
    for (const Dimension& dimension : build_.shape(x)) {
      shape.push_back(dimension.per_batch ? dimension : Dimension{});
      batch = batch || dimension.per_batch;
    }
    if (!batch || build_.shape(step) == shape) return step;
    return build_.reshape(step, shape);
  }

  Graph& graph_;
  Builder build_;
  const std::function<void(ValueId)>& hold_;
  std::map<ValueId, ValueId> tangents_;
};

}  // namespace

ValueId tangent(Graph* graph, ValueId of, ValueId direction, ValueId value, const std::function<void(ValueId)>& hold) {
  // What `value` is computed from: only that is followed.
  const size_t nodes = graph->nodes.size();
  std::vector<bool> needed(graph->values.size());
  needed[value] = true;
  for (size_t i = nodes; i > 0; --i) {
    const Node& node = graph->nodes[i - 1];
    if (!needed[node.output] || node.output == of) continue;
    for (ValueId input : node.inputs) needed[input] = true;
  }
  Tangents tangents(graph, hold);
  tangents.set(of, direction);
  for (size_t i = 0; i < nodes; ++i) {
    const Node node = graph->nodes[i];
    if (!needed[node.output] || node.output == of || format::is_update(node.kind)) continue;
    bool moves = false;
    for (ValueId input : node.inputs) moves = moves || tangents.moves(input);
    if (moves) tangents.follow(node);
  }
  if (!tangents.moves(value)) throw Error((*graph)[value].name + " does not depend on " + (*graph)[of].name);
  return tangents.of(value);
}

}  // namespace figment::converter
