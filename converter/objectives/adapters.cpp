#include "objectives/adapters.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>

#include "format/int8_parameters.h"
#include "ir/builder.h"

namespace figment::converter {

namespace {

// Whether a node is a layer with frozen weights in f32.
bool has_frozen_weights(const Graph& graph, const Node& node) {
  if (!format::is_linear(node.kind)) return false;
  const Value& weights = graph[node.inputs[1]];
  return weights.is_constant() && !weights.is_variable() && weights.type == DataType::kF32;
}

// The two factors of what is added to weights [O, ..., I].
struct Factors {
  bool window_first = true;
  std::vector<uint32_t> a;
  std::vector<uint32_t> b;

  size_t elements() const {
    const auto count = [](const std::vector<uint32_t>& shape) {
      size_t result = 1;
      for (uint32_t extent : shape) result *= extent;
      return result;
    };
    return count(a) + count(b);
  }
};

std::optional<Factors> factors_of(const Graph& graph, const Node& node, uint32_t rank) {
  const std::vector<uint32_t> weights = extents_of(graph[node.inputs[1]].shape);
  if (node.kind == OpKind::kFullyConnected) return Factors{true, {rank, weights[1]}, {weights[0], rank}};
  if (node.attributes.window.groups != 1) return std::nullopt;
  const Factors first{true, {rank, weights[1], weights[2], weights[3]}, {weights[0], 1, 1, rank}};
  const Factors last{false, {rank, 1, 1, weights[3]}, {weights[0], weights[1], weights[2], rank}};
  return first.elements() <= last.elements() ? first : last;
}

// The values that are those of an input, moved at most.
std::set<ValueId> moved_from(const Graph& graph, ValueId input) {
  std::set<ValueId> result = {input};
  for (const Node& node : graph.nodes) {
    const bool moves = node.kind == OpKind::kReshape || node.kind == OpKind::kTranspose ||
                       node.kind == OpKind::kBroadcast || node.kind == OpKind::kResizeNearest;
    if (moves && result.contains(node.inputs[0])) result.insert(node.output);
  }
  return result;
}

// A part of what a layer reads, along the last dimension, that is an input; maybe before what it is part of is
// transposed.
struct Part {
  ValueId value = 0;
  uint32_t channels = 0;
  const Node* transpose = nullptr;
};

std::vector<Part> parts_of(const Graph& graph, const std::vector<int32_t>& producers, const Node& layer,
                           const std::set<ValueId>& wanted) {
  std::vector<Part> result;
  const auto producer = [&](ValueId id) {
    return producers[id] < 0 ? nullptr : &graph.nodes[static_cast<size_t>(producers[id])];
  };
  const Node* concat = producer(layer.inputs[0]);
  const Node* transpose = nullptr;
  size_t axis = graph[layer.inputs[0]].shape.rank() - 1;
  if (concat != nullptr && concat->kind == OpKind::kTranspose) {
    transpose = concat;
    axis = transpose->attributes.permutation[axis];
    concat = producer(transpose->inputs[0]);
  }
  if (concat == nullptr || concat->kind != OpKind::kConcat || concat->attributes.axes[0] != axis) return result;
  for (ValueId id : concat->inputs) {
    if (wanted.contains(id)) result.push_back({id, graph[id].shape[axis].extent, transpose});
  }
  return result;
}

const PortDefinition& input_named(const std::string& network, const Graph& graph, const Adapters::Input& input) {
  std::string names;
  for (const PortDefinition& port : graph.inputs) {
    if (port.name == input.name) return port;
    if (port.dropout == 0) names += (names.empty() ? "" : ", ") + port.name;
  }
  throw Error("--adapters input:" + input.name + ": " + network + " has no such input; its inputs are " + names);
}

// Makes variables beside the weights of a network, and puts them into its graph.
class Inserter {
 public:
  Inserter(Network* network, const Adapters& adapters) : network_(*network), graph_(network->graph) {
    for (const Adapters::Input& input : adapters.inputs) {
      wanted_.emplace_back(input, moved_from(graph_, input_named(network->name, graph_, input).value));
    }
    producers_ = graph_.producers();
    original_ = graph_;
    graph_.nodes.clear();
    for (const Node& node : original_.nodes) insert(node, adapters.rank);
  }

 private:
  void insert(const Node& node, uint32_t rank) {
    if (!has_frozen_weights(original_, node)) {
      graph_.nodes.push_back(node);
      return;
    }
    Node base = node;
    base.attributes.clamp_min = Attributes().clamp_min;
    base.attributes.clamp_max = Attributes().clamp_max;
    base.output = graph_.add_value(graph_[node.output]);
    graph_.nodes.push_back(base);
    const size_t before = graph_.nodes.size();
    ValueId sum = base.output;
    for (const auto& [input, values] : wanted_) {
      for (const Part& part : parts_of(original_, producers_, node, values))
        sum = add(node, sum, of(node, input, part));
    }
    const std::optional<Factors> factors = rank > 0 ? factors_of(original_, node, rank) : std::nullopt;
    if (factors) sum = add(node, sum, low_rank(node, *factors));
    if (graph_.nodes.size() == before) {
      graph_.nodes.back() = node;
      return;
    }
    // The last sum gives what the layer gave, in its bounds.
    graph_.nodes.back().output = node.output;
    graph_.nodes.back().attributes.clamp_min = node.attributes.clamp_min;
    graph_.nodes.back().attributes.clamp_max = node.attributes.clamp_max;
  }

  ValueId add(const Node& node, ValueId sum, ValueId more) {
    return graph_.add_node(OpKind::kAdd, node.name + ".adapter.sum", {}, {sum, more});
  }

  ValueId linear(const Node& node, OpKind kind, const Window& window, ValueId x, ValueId weights, const char* what) {
    Attributes attributes;
    if (kind != OpKind::kFullyConnected) attributes.window = window;
    return graph_.add_node(kind, node.name + what, attributes, {x, weights});
  }

  ValueId low_rank(const Node& node, const Factors& factors) {
    const ValueId a = variable(node.inputs[1], ".lora_a", factors.a, true);
    const ValueId b = variable(node.inputs[1], ".lora_b", factors.b, false);
    const bool dense = node.kind == OpKind::kFullyConnected;
    const OpKind pixels = dense ? node.kind : OpKind::kConv2d;
    const Window& window = node.attributes.window;
    const ValueId inner = linear(node, factors.window_first ? node.kind : pixels,
                                 factors.window_first ? window : Window(), node.inputs[0], a, ".lora_a");
    return linear(node, factors.window_first ? pixels : node.kind, factors.window_first ? Window() : window, inner, b,
                  ".lora_b");
  }

  ValueId of(const Node& node, const Adapters::Input& input, const Part& part) {
    ValueId x = part.value;
    const uint32_t count = input.count == 0 ? part.channels : input.count;
    if (count > part.channels || input.first > part.channels - count)
      throw Error("--adapters input:" + input.name + ": it has " + std::to_string(part.channels) + " values");
    if (part.transpose != nullptr)
      x = graph_.add_node(OpKind::kTranspose, part.transpose->name + "." + input.name, part.transpose->attributes, {x});
    if (count < part.channels) {
      Builder build(&graph_, node.name + "." + input.name);
      x = build.slice(x, graph_[x].shape.rank() - 1, input.first, count);
    }
    std::vector<uint32_t> shape = extents_of(graph_[node.inputs[1]].shape);
    shape.back() = count;
    const ValueId weights = variable(node.inputs[1], "." + input.name, shape, false);
    return linear(node, node.kind, node.attributes.window, x, weights, ("." + input.name).c_str());
  }

  // Of weights that several layers share, one.
  ValueId variable(ValueId weights, const std::string& what, const std::vector<uint32_t>& shape, bool drawn) {
    const auto [found, fresh] = variables_.emplace(std::pair(weights, what), 0);
    if (!fresh) return found->second;
    const std::optional<Origin>& origin = graph_[weights].constant->origin;
    const std::string name = network_.name + "." + (origin ? origin->name : graph_[weights].name) + what;
    size_t elements = 1;
    for (uint32_t extent : shape) elements *= extent;
    std::vector<float> values(elements);
    if (drawn) {
      // On +-1/sqrt(fan in), as PyTorch's linear layers; each from a stream of its own.
      draw_latent(Prior::kUniform, 0, static_cast<uint32_t>(variables_.size()), 0, elements, values.data());
      const size_t fan_in = elements / shape[0];
      const float bound = 1 / std::sqrt(static_cast<float>(fan_in));
      for (float& value : values) value *= bound;
    }
    found->second = graph_.add_constant(name, shape, values);
    Constant& constant = *graph_[found->second].constant;
    constant.variable = true;
    constant.origin = Origin{name, shape, shape, {}, false, false, {}};
    for (size_t i = 0; i < shape.size(); ++i) constant.origin->permutation.push_back(static_cast<uint8_t>(i));
    network_.trained.push_back(name);
    return found->second;
  }

  Network& network_;
  Graph& graph_;
  Graph original_;
  std::vector<int32_t> producers_;
  std::vector<std::pair<Adapters::Input, std::set<ValueId>>> wanted_;
  std::map<std::pair<ValueId, std::string>, ValueId> variables_;
};

}  // namespace

std::set<ValueId> better_whole(const std::string& network, const Graph& graph, const Adapters& adapters) {
  std::set<ValueId> result;
  const std::vector<int32_t> producers = graph.producers();
  for (const Adapters::Input& input : adapters.inputs) {
    const std::set<ValueId> values = moved_from(graph, input_named(network, graph, input).value);
    bool read = false;
    for (const Node& node : graph.nodes) {
      if (!has_frozen_weights(graph, node)) continue;
      if (values.contains(node.inputs[0])) result.insert(node.inputs[1]);
      read = read || values.contains(node.inputs[0]) || !parts_of(graph, producers, node, values).empty();
    }
    if (!read) throw Error("--adapters input:" + input.name + ": no layer of " + network + " reads it as it is");
  }
  for (const Node& node : graph.nodes) {
    if (adapters.rank == 0 || !has_frozen_weights(graph, node)) continue;
    const std::optional<Factors> factors = factors_of(graph, node, adapters.rank);
    if (factors && factors->elements() >= graph[node.inputs[1]].elements()) result.insert(node.inputs[1]);
  }
  return result;
}

void add_adapters(Network* network, const Adapters& adapters) {
  if (adapters.rank > 0 || !adapters.inputs.empty()) Inserter(network, adapters);
}

size_t store_frozen_in_int8(Network* network) {
  Graph& graph = network->graph;
  // Only what is nothing but weights.
  std::set<ValueId> weights;
  for (const Node& node : graph.nodes) {
    if (has_frozen_weights(graph, node)) weights.insert(node.inputs[1]);
  }
  for (const Node& node : graph.nodes) {
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (i != 1 || !format::is_linear(node.kind)) weights.erase(node.inputs[i]);
    }
  }
  size_t elements = 0;
  for (ValueId id : weights) {
    Value& value = graph[id];
    const std::span<const float> values = value.f32();
    const size_t channels = value.shape[0].extent;
    const size_t row = values.size() / channels;
    std::vector<int8_t> integers(values.size());
    std::vector<float> scales(channels);
    for (size_t c = 0; c < channels; ++c) {
      const std::span<const float> channel = values.subspan(c * row, row);
      scales[c] = format::row_scale(channel);
      format::quantize_channel(channel, scales[c], integers.data() + c * row);
    }
    value.type = DataType::kI8;
    value.scales = std::move(scales);
    const auto* bytes = reinterpret_cast<const uint8_t*>(integers.data());
    value.constant->bytes.assign({bytes, bytes + integers.size()});
    elements += integers.size();
  }
  return elements;
}

}  // namespace figment::converter
