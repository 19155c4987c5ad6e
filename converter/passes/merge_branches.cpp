#include <algorithm>
#include <optional>

#include "passes/simplify.h"
#include "passes/sweep.h"

namespace figment::converter {

namespace {

// Multiply-adds that joining two layers may take: more is not what adapters are like.
constexpr uint64_t kMostOperations = uint64_t{1} << 34;

bool is_fixed(const Value& value) {
  return value.is_constant() && !value.is_variable() && value.type == DataType::kF32;
}

// What one linear layer, or two without anything between them, compute: of `source`, with weights [O, taps, I] in the
// window of `wide`, which is one of the two.
struct Branch {
  ValueId source = 0;
  const Node* outer = nullptr;
  const Node* inner = nullptr;  // or nullptr
  const Node* wide = nullptr;
};

const Value& weights_of(const Graph& graph, const Node* layer) { return graph[layer->inputs[1]]; }
size_t outputs_of(const Graph& graph, const Node* layer) { return weights_of(graph, layer).shape[0].extent; }
size_t inputs_of(const Graph& graph, const Node* layer) { return weights_of(graph, layer).shape.from_end(0).extent; }
size_t taps_of(const Graph& graph, const Node* layer) {
  return weights_of(graph, layer).elements() / (outputs_of(graph, layer) * inputs_of(graph, layer));
}

bool is_dense(const Node* layer) { return layer->kind == OpKind::kFullyConnected; }

// Whether each output is of the pixel in its place alone.
bool is_pointwise(const Node* layer) {
  return is_dense(layer) || (layer->kind == OpKind::kConv2d && layer->attributes.window == Window());
}

bool is_layer(const Graph& graph, const Node* node) {
  if (node == nullptr || !format::is_linear(node->kind) || node->attributes.clamps()) return false;
  if (!is_dense(node) && node->attributes.window.groups != 1) return false;
  return std::all_of(node->inputs.begin() + 1, node->inputs.end(), [&](ValueId id) { return is_fixed(graph[id]); });
}

// Whether one layer can compute what `outer` makes of `inner`, which has no bias: a border would not see it.
bool can_join(const Graph& graph, const Node* outer, const Node* inner) {
  if (!is_layer(graph, inner) || inner->inputs.size() == 3 || is_dense(outer) != is_dense(inner)) return false;
  if (!is_pointwise(outer) && !is_pointwise(inner)) return false;
  const uint64_t taps = std::max(taps_of(graph, outer), taps_of(graph, inner));
  return outputs_of(graph, outer) * taps * inputs_of(graph, inner) <= kMostOperations / outputs_of(graph, inner);
}

// [O, taps, I].
std::vector<float> computed_weights(const Graph& graph, const Branch& branch) {
  const std::span<const float> outer = weights_of(graph, branch.outer).f32();
  if (branch.inner == nullptr) return {outer.begin(), outer.end()};
  const std::span<const float> inner = weights_of(graph, branch.inner).f32();
  const size_t outputs = outputs_of(graph, branch.outer);
  const size_t inputs = inputs_of(graph, branch.inner);
  const size_t between = outputs_of(graph, branch.inner);
  const size_t outer_taps = taps_of(graph, branch.outer);
  const size_t inner_taps = taps_of(graph, branch.inner);
  const size_t taps = std::max(outer_taps, inner_taps);
  std::vector<float> result(outputs * taps * inputs);
  for (size_t o = 0; o < outputs; ++o) {
    for (size_t t = 0; t < taps; ++t) {
      float* to = result.data() + (o * taps + t) * inputs;
      for (size_t r = 0; r < between; ++r) {
        const float factor = outer[(o * outer_taps + (outer_taps > 1 ? t : 0)) * between + r];
        const float* from = inner.data() + (r * inner_taps + (inner_taps > 1 ? t : 0)) * inputs;
        for (size_t i = 0; i < inputs; ++i) to[i] += factor * from[i];
      }
    }
  }
  return result;
}

std::vector<float> bias_of(const Graph& graph, const Branch& branch) {
  if (branch.outer->inputs.size() < 3) return {};
  const std::span<const float> bias = graph[branch.outer->inputs[2]].f32();
  return {bias.begin(), bias.end()};
}

class Merger {
 public:
  explicit Merger(Graph* graph) : graph_(*graph), sweep_(graph) {}

  std::vector<std::string> run() {
    std::vector<std::string> notes;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node node = sweep_.visit(i);
      if (node.kind != OpKind::kAdd) continue;
      const std::optional<Branch> a = branch(node.inputs[0]);
      const std::optional<Branch> b = branch(node.inputs[1]);
      const Shape& shape = graph_[node.output].shape;
      if (!a || !b || graph_[node.inputs[0]].shape != shape || graph_[node.inputs[1]].shape != shape) continue;
      const std::optional<size_t> b_in_a = place(*a, *b);
      const std::optional<size_t> a_in_b = b_in_a ? std::nullopt : place(*b, *a);
      if (!b_in_a && !a_in_b) continue;
      const ValueId into = node.inputs[b_in_a ? 0 : 1];
      Node* kept = sweep_.producer(into);
      notes.push_back(node.name + ": what it adds is merged into " + kept->name);
      b_in_a ? put(*a, *b, *b_in_a, kept) : put(*b, *a, *a_in_b, kept);
      kept->attributes.clamp_min = node.attributes.clamp_min;
      kept->attributes.clamp_max = node.attributes.clamp_max;
      sweep_.replace(i, into);
    }
    sweep_.finish();
    return notes;
  }

 private:
  std::optional<Branch> branch(ValueId id) {
    const Node* outer = sweep_.producer(id);
    if (!sweep_.read_once(id) || !is_layer(graph_, outer)) return std::nullopt;
    const ValueId source = outer->inputs[0];
    const Node* inner = sweep_.producer(source);
    if (!sweep_.read_once(source) || inner == nullptr || !can_join(graph_, outer, inner))
      return Branch{source, outer, nullptr, outer};
    return Branch{inner->inputs[0], outer, inner, is_pointwise(inner) ? outer : inner};
  }

  // At which of the channels that `wide` reads those that `part` reads begin, if they are among them.
  std::optional<size_t> place(const Branch& wide, const Branch& part) {
    if (wide.wide->kind != part.wide->kind ||
        (!is_dense(wide.wide) && !(wide.wide->attributes.window == part.wide->attributes.window)) ||
        outputs_of(graph_, wide.outer) != outputs_of(graph_, part.outer))
      return std::nullopt;
    if (wide.source == part.source) return 0;
    ValueId source = part.source;
    size_t start = 0;
    if (const Node* slice = sweep_.producer(source); slice != nullptr && slice->kind == OpKind::kSlice) {
      const Shape& from = graph_[slice->inputs[0]].shape;
      const size_t last = from.rank() - 1;
      bool along = slice->attributes.steps[last] == 1;
      for (size_t d = 0; d < last; ++d) along = along && from[d] == graph_[source].shape[d];
      if (along) {
        start = slice->attributes.starts[last];
        source = slice->inputs[0];
      }
    }
    const Node* concat = sweep_.producer(wide.source);
    size_t axis = graph_[wide.source].shape.rank() - 1;
    if (concat != nullptr && concat->kind == OpKind::kTranspose) {
      // Then the part is transposed likewise.
      const Node* transpose = sweep_.producer(source);
      if (transpose == nullptr || transpose->kind != OpKind::kTranspose ||
          !(transpose->attributes.permutation == concat->attributes.permutation))
        return std::nullopt;
      axis = concat->attributes.permutation[axis];
      source = transpose->inputs[0];
      concat = sweep_.producer(concat->inputs[0]);
    }
    if (concat == nullptr || concat->kind != OpKind::kConcat || concat->attributes.axes[0] != axis) return std::nullopt;
    for (ValueId id : concat->inputs) {
      if (id == source) return start;
      start += graph_[id].shape[axis].extent;
    }
    return std::nullopt;
  }

  void put(const Branch& wide, const Branch& part, size_t start, Node* node) {
    std::vector<float> weights = computed_weights(graph_, wide);
    const std::vector<float> more = computed_weights(graph_, part);
    const Node* inner = wide.inner == nullptr ? wide.outer : wide.inner;
    const size_t inputs = inputs_of(graph_, inner);
    const size_t part_inputs = inputs_of(graph_, part.inner == nullptr ? part.outer : part.inner);
    for (size_t row = 0; row < weights.size() / inputs; ++row) {
      for (size_t i = 0; i < part_inputs; ++i) weights[row * inputs + start + i] += more[row * part_inputs + i];
    }
    std::vector<float> bias = bias_of(graph_, wide);
    const std::vector<float> more_bias = bias_of(graph_, part);
    if (bias.empty())
      bias = more_bias;
    else
      for (size_t o = 0; o < more_bias.size(); ++o) bias[o] += more_bias[o];
    std::vector<uint32_t> shape = extents_of(weights_of(graph_, wide.wide).shape);
    shape.front() = static_cast<uint32_t>(outputs_of(graph_, wide.outer));
    shape.back() = static_cast<uint32_t>(inputs);
    const ValueId old = node->inputs[1];
    const std::string name = graph_[old].name;
    const ValueId merged =
        wide.inner == nullptr ? replaced_constant(&graph_, old, weights) : graph_.add_constant(name, shape, weights);
    std::vector<ValueId> operands = {wide.source, merged};
    if (!bias.empty())
      operands.push_back(graph_.add_constant(name + ".bias", {static_cast<uint32_t>(bias.size())}, bias));
    node->kind = wide.wide->kind;
    node->attributes.window = wide.wide->attributes.window;
    node->inputs = std::move(operands);
    graph_[node->output].exporters.reset();
    graph_[node->output].quantized.reset();
  }

  Graph& graph_;
  Sweep sweep_;
};

}  // namespace

std::vector<std::string> merge_branches(Graph* graph) { return Merger(graph).run(); }

}  // namespace figment::converter
