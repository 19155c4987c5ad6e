#include <algorithm>
#include <optional>

#include "passes/simplify.h"
#include "passes/sweep.h"

namespace figment::converter {

namespace {

// Multiply-adds that joining two layers may take: more is not what adapters are like.
constexpr uint64_t kMostOperations = uint64_t{1} << 34;

// What one linear layer, or two without anything between them, compute: of `source`, by weights [O, taps, I] in the
// window, and a bias, which may be missing.
struct Branch {
  ValueId source = 0;
  OpKind kind{};
  Window window;
  std::vector<uint32_t> shape;  // of the weights
  std::vector<float> weights;
  std::vector<float> bias;

  size_t outputs() const { return shape.front(); }
  size_t inputs() const { return shape.back(); }
  size_t taps() const { return weights.size() / (outputs() * inputs()); }
};

bool is_fixed(const Value& value) {
  return value.is_constant() && !value.is_variable() && value.type == DataType::kF32;
}

std::optional<Branch> layer(const Graph& graph, const Node* node) {
  if (node == nullptr || !format::is_linear(node->kind) || node->attributes.clamps()) return std::nullopt;
  const bool dense = node->kind == OpKind::kFullyConnected;
  if (!dense && node->attributes.window.groups != 1) return std::nullopt;
  if (!std::all_of(node->inputs.begin() + 1, node->inputs.end(), [&](ValueId id) { return is_fixed(graph[id]); }))
    return std::nullopt;
  Branch branch{node->inputs[0], node->kind, dense ? Window() : node->attributes.window, {}, {}, {}};
  const Value& weights = graph[node->inputs[1]];
  branch.shape = extents_of(weights.shape);
  branch.weights.assign(weights.f32().begin(), weights.f32().end());
  if (node->inputs.size() == 3)
    branch.bias.assign(graph[node->inputs[2]].f32().begin(), graph[node->inputs[2]].f32().end());
  return branch;
}

// Whether each output is of the pixel in its place alone.
bool is_pointwise(const Branch& branch) {
  return branch.kind == OpKind::kFullyConnected || (branch.kind == OpKind::kConv2d && branch.window == Window());
}

// `outer` of `inner`, which has no bias: a border would not see it.
std::optional<Branch> joined(const Branch& outer, const Branch& inner) {
  const bool dense = outer.kind == OpKind::kFullyConnected;
  if (!inner.bias.empty() || dense != (inner.kind == OpKind::kFullyConnected)) return std::nullopt;
  if (!is_pointwise(outer) && !is_pointwise(inner)) return std::nullopt;
  const Branch& wide = is_pointwise(inner) ? outer : inner;
  Branch result{inner.source, wide.kind, wide.window, outer.shape, {}, outer.bias};
  for (size_t d = 1; d < result.shape.size(); ++d) result.shape[d] = wide.shape[d];
  result.shape.back() = inner.shape.back();
  const size_t taps = wide.taps();
  const size_t inputs = inner.inputs();
  const size_t between = inner.outputs();
  if (uint64_t{outer.outputs()} * taps * inputs > kMostOperations / between) return std::nullopt;
  result.weights.assign(outer.outputs() * taps * inputs, 0);
  const size_t outer_taps = outer.taps();
  for (size_t o = 0; o < outer.outputs(); ++o) {
    for (size_t t = 0; t < taps; ++t) {
      float* to = result.weights.data() + (o * taps + t) * inputs;
      for (size_t r = 0; r < between; ++r) {
        const float factor = outer.weights[(o * outer_taps + (outer_taps > 1 ? t : 0)) * between + r];
        const float* from = inner.weights.data() + (r * inner.taps() + (inner.taps() > 1 ? t : 0)) * inputs;
        for (size_t i = 0; i < inputs; ++i) to[i] += factor * from[i];
      }
    }
  }
  return result;
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
    const Node* node = sweep_.producer(id);
    std::optional<Branch> result = sweep_.read_once(id) ? layer(graph_, node) : std::nullopt;
    if (!result || !sweep_.read_once(result->source)) return result;
    const std::optional<Branch> inner = layer(graph_, sweep_.producer(result->source));
    std::optional<Branch> both = inner ? joined(*result, *inner) : std::nullopt;
    return both ? both : result;
  }

  // At which of the channels that `wide` reads those that `part` reads begin, if they are among them.
  std::optional<size_t> place(const Branch& wide, const Branch& part) {
    if (wide.kind != part.kind || !(wide.window == part.window) || wide.outputs() != part.outputs())
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

  void put(Branch wide, const Branch& part, size_t start, Node* node) {
    const size_t rows = wide.outputs() * wide.taps();
    for (size_t row = 0; row < rows; ++row) {
      for (size_t i = 0; i < part.inputs(); ++i)
        wide.weights[row * wide.inputs() + start + i] += part.weights[row * part.inputs() + i];
    }
    const std::string name = graph_[node->inputs[1]].name;
    const ValueId weights = graph_.add_constant(name, wide.shape, wide.weights);
    std::vector<ValueId> inputs = {wide.source, weights};
    if (!wide.bias.empty() || !part.bias.empty()) {
      wide.bias.resize(wide.outputs());
      for (size_t o = 0; o < part.bias.size(); ++o) wide.bias[o] += part.bias[o];
      inputs.push_back(graph_.add_constant(name + ".bias", {static_cast<uint32_t>(wide.outputs())}, wide.bias));
    }
    node->kind = wide.kind;
    node->attributes.window = wide.window;
    node->inputs = std::move(inputs);
    graph_[node->output].exporters.reset();
    graph_[node->output].quantized.reset();
  }

  Graph& graph_;
  Sweep sweep_;
};

}  // namespace

std::vector<std::string> merge_branches(Graph* graph) { return Merger(graph).run(); }

}  // namespace figment::converter
