#include "passes/simplify.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "passes/sweep.h"

namespace figment::converter {

namespace {

// The values of a constant that is one number, or one number per element of the last dimension; else nothing.
std::vector<float> per_channel(const Value& value, uint32_t channels) {
  if (!value.is_constant() || value.type != DataType::kF32) return {};
  const std::span<const float> data = value.f32();
  if (data.size() == 1) return std::vector<float>(channels, data[0]);
  const bool last = data.size() == channels && value.shape.rank() > 0 && value.shape.from_end(0).extent == channels;
  return last ? std::vector<float>(data.begin(), data.end()) : std::vector<float>();
}

bool is_normalization(OpKind kind) { return kind == OpKind::kGroupNorm || kind == OpKind::kLayerNorm; }

// y = normalization(x) * scale + shift, per channel, folded into its gamma and beta.
void apply_affine_to_normalization(Graph* graph, Node* node, std::vector<float> scale, std::vector<float> shift) {
  const std::vector<float> gamma = per_channel((*graph)[node->inputs[1]], static_cast<uint32_t>(scale.size()));
  const std::vector<float> beta = per_channel((*graph)[node->inputs[2]], static_cast<uint32_t>(scale.size()));
  for (size_t c = 0; c < scale.size(); ++c) {
    shift[c] += beta[c] * scale[c];
    scale[c] *= gamma[c];
  }
  const auto replace_parameter = [&](size_t i, const std::vector<float>& values) {
    const ValueId old = node->inputs[i];
    const auto channels = static_cast<uint32_t>(values.size());
    node->inputs[i] = (*graph)[old].elements() == channels
                          ? replaced_constant(graph, old, values)
                          : graph->add_constant((*graph)[old].name, {channels}, values);
  };
  replace_parameter(1, scale);
  replace_parameter(2, shift);
}

// Whether a scale and a shift of each channel of what a node computes can be folded into its constants.
bool takes_affine(const Graph& graph, const Node& node, uint32_t channels) {
  const bool constant = std::all_of(node.inputs.begin() + 1, node.inputs.end(),
                                    [&](ValueId id) { return graph[id].is_constant() && !graph[id].is_variable(); });
  if (!constant || node.attributes.clamps()) return false;
  return is_normalization(node.kind) ||
         (format::is_linear(node.kind) && graph[node.inputs[1]].shape[0].extent % channels == 0);
}

// y = f(x) * scale + shift per output channel, folded into the constants of f: for a linear op, weights and bias.
void apply_affine(Graph* graph, Node* linear, std::vector<float> scale, std::vector<float> shift) {
  if (is_normalization(linear->kind)) return apply_affine_to_normalization(graph, linear, scale, shift);
  const ValueId weights = linear->inputs[1];
  const uint32_t outputs = (*graph)[weights].shape[0].extent;
  // A reshape in between may have split the outputs into groups of channels.
  const auto spread = [outputs](std::vector<float> values) {
    std::vector<float> result(outputs);
    for (uint32_t i = 0; i < outputs; ++i) result[i] = values[i % values.size()];
    return result;
  };
  scale = spread(std::move(scale));
  shift = spread(std::move(shift));
  std::vector<float> data((*graph)[weights].f32().begin(), (*graph)[weights].f32().end());
  const size_t row = data.size() / outputs;
  for (size_t i = 0; i < data.size(); ++i) data[i] *= scale[i / row];
  std::vector<float> bias(outputs, 0);
  if (linear->inputs.size() == 3)
    bias.assign((*graph)[linear->inputs[2]].f32().begin(), (*graph)[linear->inputs[2]].f32().end());
  for (uint32_t i = 0; i < outputs; ++i) bias[i] = bias[i] * scale[i] + shift[i];
  linear->inputs[1] = replaced_constant(graph, weights, data);
  if (linear->inputs.size() == 3) {
    linear->inputs[2] = replaced_constant(graph, linear->inputs[2], bias);
  } else {
    linear->inputs.push_back(graph->add_constant((*graph)[weights].name + ".bias", {outputs}, bias));
  }
}

}  // namespace

std::vector<std::string> fold_affine(Graph* graph) {
  std::vector<std::string> notes;
  Sweep sweep(graph);
  for (size_t i = 0; i < graph->nodes.size(); ++i) {
    const Node node = sweep.visit(i);
    if (!format::is_binary(node.kind) || format::is_flat(node.kind) || node.attributes.clamps()) continue;
    const size_t computed = (*graph)[node.inputs[0]].is_constant() ? 1 : 0;
    const ValueId x = node.inputs[computed];
    const Shape& shape = (*graph)[node.output].shape;
    Node* linear = sweep.producer(x);
    if ((*graph)[x].shape != shape || shape.rank() == 0 || linear == nullptr || !sweep.read_once(x)) continue;
    const uint32_t channels = shape.from_end(0).extent;
    const std::vector<float> constant = per_channel((*graph)[node.inputs[1 - computed]], channels);
    if (constant.empty() || shape.from_end(0).per_batch || (node.kind == OpKind::kDivide && computed == 1)) continue;
    // Back through at most one reshape that keeps channels innermost.
    if (linear->kind == OpKind::kReshape && sweep.read_once(linear->inputs[0])) {
      linear = sweep.producer(linear->inputs[0]);
      if (linear != nullptr && linear->kind != OpKind::kFullyConnected) linear = nullptr;
    }
    if (linear == nullptr || !takes_affine(*graph, *linear, channels)) continue;
    std::vector<float> scale(channels, 1);
    std::vector<float> shift(channels, 0);
    switch (node.kind) {
      case OpKind::kMultiply: scale = constant; break;
      case OpKind::kDivide:
        std::transform(constant.begin(), constant.end(), scale.begin(), [](float c) { return 1 / c; });
        break;
      case OpKind::kAdd: shift = constant; break;
      default:
        if (computed == 0) {
          std::transform(constant.begin(), constant.end(), shift.begin(), [](float c) { return -c; });
        } else {
          shift = constant;
          std::fill(scale.begin(), scale.end(), -1.0F);
        }
    }
    // A mask of infinite values is no part of a weight.
    const auto is_finite = [](float value) { return std::isfinite(value); };
    const bool finite = std::ranges::all_of(scale, is_finite) && std::ranges::all_of(shift, is_finite);
    if (!finite) continue;
    const std::string into = linear->name;
    (*graph)[linear->output].exporters.reset();
    (*graph)[linear->output].quantized.reset();
    apply_affine(graph, linear, scale, shift);
    if (notes.empty() || notes.back() != node.name + ": folded into " + into)
      notes.push_back(node.name + ": folded into " + into);
    sweep.replace(i, x);
  }
  sweep.finish();
  return notes;
}

namespace {

// The shape of `to`'s dimensions in the place of those of `from`, for a value that broadcasts to `from`.
std::vector<uint32_t> with_ones(const std::vector<uint32_t>& extents,
                                const std::vector<std::optional<uint32_t>>& kept) {
  std::vector<uint32_t> result;
  for (const std::optional<uint32_t>& dimension : kept) result.push_back(dimension ? extents[*dimension] : 1);
  return result;
}

// What `layout` of a value is for the value with dimensions of 1 added: the exporter's tensor gets them, too.
Permutation with_ones(const Permutation& layout, const std::vector<std::optional<uint32_t>>& kept) {
  Permutation result;
  for (const std::optional<uint32_t>& dimension : kept) {
    if (dimension) result.push_back(layout[*dimension]);
  }
  for (size_t i = kept.size(); i > 0; --i) {
    if (kept[i - 1]) continue;
    // Before the exporter's dimension that follows ours; behind all where none does.
    const size_t place = static_cast<size_t>(std::count_if(kept.begin(), kept.begin() + static_cast<ptrdiff_t>(i - 1),
                                                           [](const auto& d) { return d.has_value(); }));
    const uint32_t axis = place < result.rank() ? result[place] : static_cast<uint32_t>(result.rank());
    Permutation longer;
    for (uint32_t d = 0; d <= result.rank(); ++d) {
      if (d == place) longer.push_back(axis);
      if (d < result.rank()) longer.push_back(result[d] + (result[d] >= axis ? 1 : 0));
    }
    result = longer;
  }
  return result;
}

bool is_input(const Graph& graph, ValueId id) {
  return std::ranges::any_of(graph.inputs, [id](const PortDefinition& port) { return port.value == id; });
}

}  // namespace

void sink_reshapes(Graph* graph) {
  const std::vector<Node> nodes = std::move(graph->nodes);
  graph->nodes.clear();
  std::vector<int32_t> producers(graph->values.size(), -1);
  const auto append = [&](Node node) {
    producers.resize(graph->values.size(), -1);
    producers[node.output] = static_cast<int32_t>(graph->nodes.size());
    graph->nodes.push_back(std::move(node));
  };
  for (const Node& node : nodes) {
    append(node);
    const bool unary = format::is_unary_function(node.kind);
    if (!unary && !format::is_binary(node.kind)) continue;
    // Every computed operand is a value of one shape without some dimensions of 1.
    const Shape* shape = nullptr;
    bool same = true;
    for (ValueId id : node.inputs) {
      if ((*graph)[id].is_constant()) continue;
      const Node* reshape = producers[id] < 0 ? nullptr : &graph->nodes[static_cast<size_t>(producers[id])];
      same = same && reshape != nullptr && reshape->kind == OpKind::kReshape &&
             (*graph)[id].shape == (*graph)[node.output].shape &&
             (shape == nullptr || (*graph)[reshape->inputs[0]].shape == *shape);
      if (same) shape = &(*graph)[reshape->inputs[0]].shape;
    }
    if (!same || shape == nullptr) continue;
    const Shape before = *shape;
    const Shape after = (*graph)[node.output].shape;
    const auto kept = before.rank() > after.rank() ? added_ones(after, before) : std::nullopt;
    if (!kept) continue;
    std::vector<ValueId> inputs;
    for (ValueId id : node.inputs) {
      if (!(*graph)[id].is_constant()) {
        const ValueId source = graph->nodes[static_cast<size_t>(producers[id])].inputs[0];
        inputs.push_back(source);
        // Of the two, the one that stays has the exporter's name.
        Value& narrow = (*graph)[id];
        if (narrow.exporters && !(*graph)[source].exporters && !is_input(*graph, source)) {
          (*graph)[source].name = narrow.name;
          (*graph)[source].exporters = with_ones(*narrow.exporters, *kept);
          narrow.exporters.reset();
        }
        continue;
      }
      Value constant = (*graph)[id];
      if (constant.is_variable() || constant.shape.rank() != after.rank()) break;
      const std::vector<uint32_t> extents = extents_of(constant.shape);
      constant.shape = constant_shape(with_ones(extents, *kept));
      inputs.push_back(graph->add_value(std::move(constant)));
    }
    if (inputs.size() != node.inputs.size()) continue;
    Value wide = (*graph)[node.output];
    wide.shape = before;
    if (wide.exporters) wide.exporters = with_ones(*wide.exporters, *kept);
    const ValueId result = graph->add_value(std::move(wide));
    (*graph)[node.output].exporters.reset();
    graph->nodes.pop_back();
    append({node.kind, node.name, node.attributes, inputs, result, {}});
    append({OpKind::kReshape, node.name, {}, {result}, node.output, {}});
  }
  remove_dead(graph);
}

std::vector<std::string> fuse_clamps(Graph* graph) {
  std::vector<std::string> notes;
  Sweep sweep(graph);
  for (size_t i = 0; i < graph->nodes.size(); ++i) {
    const Node& node = sweep.visit(i);
    if (node.kind != OpKind::kClamp) continue;
    const ValueId x = node.inputs[0];
    Node* linear = sweep.producer(x);
    if (linear == nullptr || !format::is_linear(linear->kind) || !sweep.read_once(x)) continue;
    const float low = std::max(linear->attributes.clamp_min, node.attributes.clamp_min);
    const float high = std::min(linear->attributes.clamp_max, node.attributes.clamp_max);
    if (!(low < high)) continue;
    linear->attributes.clamp_min = low;
    linear->attributes.clamp_max = high;
    notes.push_back(node.name + ": fused into " + linear->name);
    sweep.replace(i, x);
  }
  sweep.finish();
  return notes;
}

namespace {

// Reshapes of reshapes, and those to the same shape.
void merge_reshapes(Graph* graph) {
  Sweep sweep(graph);
  for (size_t i = 0; i < graph->nodes.size(); ++i) {
    Node& node = sweep.visit(i);
    if (node.kind != OpKind::kReshape) continue;
    const Node* producer = sweep.producer(node.inputs[0]);
    if (producer != nullptr && producer->kind == OpKind::kReshape) node.inputs[0] = producer->inputs[0];
    const Value& same = (*graph)[node.inputs[0]];
    if (same.shape != (*graph)[node.output].shape) continue;
    if (same.exporters || same.is_constant()) {
      (*graph)[node.output].name = same.name;
      (*graph)[node.output].exporters = same.exporters;
      (*graph)[node.output].quantized = same.quantized;
    }
    sweep.replace(i, node.inputs[0]);
  }
  sweep.finish();
}

}  // namespace

void remove_dead(Graph* graph) {
  merge_reshapes(graph);
  // Backwards, so that what only dead nodes read dies too.
  std::vector<uint32_t> uses = graph->use_counts();
  std::vector<bool> written(graph->values.size());
  for (size_t i = graph->nodes.size(); i > 0; --i) {
    const Node& node = graph->nodes[i - 1];
    written[node.output] = uses[node.output] != 0;
    if (written[node.output]) continue;
    for (ValueId id : node.inputs) --uses[id];
  }
  std::erase_if(graph->nodes, [&](const Node& node) { return !written[node.output]; });
  // Renumber the values that are left.
  for (const PortDefinition& port : graph->inputs) ++uses[port.value];
  std::vector<Value> kept;
  std::vector<ValueId> renumbered(graph->values.size());
  for (ValueId id = 0; id < graph->values.size(); ++id) {
    if (uses[id] == 0 && !written[id]) continue;
    renumbered[id] = static_cast<ValueId>(kept.size());
    kept.push_back(std::move(graph->values[id]));
  }
  graph->values = std::move(kept);
  for (Node& node : graph->nodes) {
    for (ValueId& id : node.inputs) id = renumbered[id];
    node.output = renumbered[node.output];
  }
  for (PortDefinition& port : graph->inputs) port.value = renumbered[port.value];
  for (PortDefinition& port : graph->outputs) port.value = renumbered[port.value];
}

}  // namespace figment::converter
