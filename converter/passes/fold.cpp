#include "passes/fold.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/checked.h"
#include "io/files.h"
#include "io/terminal.h"
#include "ir/batch.h"
#include "ir/builder.h"
#include "ir/cost.h"
#include "write/runner.h"
#include "write/write_model.h"

namespace figment::converter {

namespace {

bool is_fixed(const Value& value) { return value.is_constant() && !value.is_variable(); }

// The nodes that depend on constants alone, in order.
std::vector<size_t> fixed_nodes(const Graph& graph) {
  std::vector<bool> fixed(graph.values.size());
  for (ValueId id = 0; id < graph.values.size(); ++id) fixed[id] = is_fixed(graph[id]);
  std::vector<size_t> result;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const Value& output = graph[node.output];
    const bool batch = has_batch(output.shape);
    if (batch || output.type != DataType::kF32 || format::is_update(node.kind)) continue;
    if (!std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) { return fixed[id]; })) continue;
    fixed[node.output] = true;
    result.push_back(i);
  }
  return result;
}

// Throws Error if computing the nodes takes more memory or time than a file of the graph's size may.
void check_cost(const Graph& graph, const std::vector<size_t>& fixed) {
  constexpr uint64_t kCopies = 3;  // in the arena, read from it, and in the graph
  constexpr uint64_t kLeastOperations = 1000000000;
  const io::Budget budget(graph.source_bytes);
  const uint64_t most = budget.bytes() == UINT64_MAX ? UINT64_MAX : std::max(kLeastOperations, budget.bytes());
  uint64_t bytes = 0;
  uint64_t count = 0;
  for (size_t i : fixed) {
    const Node& node = graph.nodes[i];
    const std::string name = "node " + node.name + " (" + format::name_of(node.kind) + ")";
    bytes += kCopies * graph[node.output].elements() * sizeof(float);
    budget.check(bytes, name + ": what it and the nodes before it make of constants, here " +
                            to_string(graph[node.output].shape) + ",");
    if (__builtin_add_overflow(count, operations(graph, node), &count)) count = UINT64_MAX;
    if (count <= most) continue;
    throw Error(name + ": computing it and the nodes before it from constants takes " + io::format_count(count) +
                " operations, too many for a file of this size; --allow-large lifts this limit");
  }
}

}  // namespace

std::vector<std::string> fold_constants(Graph* graph, fig_kernels kernels) {
  const std::vector<size_t> fixed = fixed_nodes(*graph);
  if (fixed.empty()) return {};
  check_cost(*graph, fixed);
  Graph program;
  program.name = "fold";
  std::map<ValueId, ValueId> copies;
  const auto copy = [&](ValueId id) {
    const auto [entry, fresh] = copies.emplace(id, 0);
    if (fresh) entry->second = program.add_value((*graph)[id]);
    return entry->second;
  };
  // What others read of the results.
  std::vector<uint32_t> uses = graph->use_counts();
  for (size_t i : fixed) {
    Node node = graph->nodes[i];
    for (ValueId& id : node.inputs) {
      --uses[id];
      id = copy(id);
    }
    node.output = copy(node.output);
    program.nodes.push_back(std::move(node));
  }
  std::map<std::string, ValueId> wanted;
  for (size_t i : fixed) {
    const ValueId id = graph->nodes[i].output;
    if (uses[id] == 0) continue;
    const std::string name = std::to_string(id);
    PortDefinition port{name, copies.at(id), (*graph)[id].shape, {}, 0};
    for (uint32_t d = 0; d < port.shape.rank(); ++d) port.permutation.push_back(d);
    program.outputs.push_back(port);
    wanted[name] = id;
  }
  std::vector<std::string> notes;
  if (!wanted.empty()) {
    ModelDefinition model;
    model.name = "fold";
    model.programs.push_back(std::move(program));
    Runner runner(write_model(model), 1, kernels, false, 0, graph->source_bytes);
    for (const auto& [name, values] : runner.run("fold", {}, 1)) {
      Value& value = (*graph)[wanted.at(name)];
      const auto* bytes = reinterpret_cast<const uint8_t*>(values.data());
      value.constant = Constant{};
      value.constant->bytes.assign({bytes, bytes + values.size() * sizeof(float)});
    }
    notes.push_back(fmt::format("{} ops on constants computed while converting", fixed.size()));
  }
  std::set<ValueId> computed_values;
  for (size_t i : fixed) computed_values.insert(graph->nodes[i].output);
  std::erase_if(graph->nodes, [&](const Node& node) { return computed_values.contains(node.output); });
  for (const ValueId id : computed_values) {
    // An output of the program stays computed: it is a copy of the constant.
    for (PortDefinition& port : graph->outputs) {
      if (port.value != id) continue;
      const Value declared = (*graph)[id];
      Value computed = declared;
      computed.constant.reset();
      port.value = graph->add_node(OpKind::kBroadcast, declared.name, {}, {id}, &computed);
    }
  }
  return notes;
}

void lower_batch_norms(Graph* graph) {
  for (size_t i = 0; i < graph->nodes.size(); ++i) {
    const Node node = graph->nodes[i];
    if (node.kind != OpKind::kBatchNorm) continue;
    for (size_t j = 1; j < 4; ++j) {
      if (!is_fixed((*graph)[node.inputs[j]])) throw Error("node " + node.name + ": its parameters are computed");
    }
    const std::span<const float> statistics = (*graph)[node.inputs[1]].f32();
    const std::span<const float> gamma = (*graph)[node.inputs[2]].f32();
    const std::span<const float> beta = (*graph)[node.inputs[3]].f32();
    const size_t channels = gamma.size();
    std::vector<float> scale(channels);
    std::vector<float> shift(channels);
    for (size_t c = 0; c < channels; ++c) {
      const double factor = gamma[c] / std::sqrt(static_cast<double>(statistics[channels + c]) +
                                                 static_cast<double>(node.attributes.alpha));
      scale[c] = static_cast<float>(factor);
      shift[c] = static_cast<float>(beta[c] - statistics[c] * factor);
    }
    std::vector<uint32_t> shape((*graph)[node.output].shape.rank(), 1);
    shape.back() = static_cast<uint32_t>(channels);
    Value middle = (*graph)[node.output];
    middle.name = node.name + ".scaled";
    middle.exporters.reset();
    const ValueId scaled = graph->add_value(middle);
    const ValueId factors = graph->add_constant(node.name + ".scale", shape, scale);
    const ValueId shifts = graph->add_constant(node.name + ".shift", shape, shift);
    graph->nodes[i] = {OpKind::kMultiply, node.name, {}, {node.inputs[0], factors}, scaled};
    graph->nodes.insert(graph->nodes.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                        Node{OpKind::kAdd, node.name, {}, {scaled, shifts}, node.output});
  }
}

namespace {

// The linear layer whose output the node alone reads, through at most one reshape that keeps channels innermost;
// nullptr: there is none that takes a scale and a shift of each channel.
Node* linear_before(Graph* graph, const Node& node, uint32_t channels, const std::vector<uint32_t>& uses) {
  const std::vector<int32_t> producers = graph->producers();
  const auto producer = [&](ValueId id) {
    return producers[id] < 0 || uses[id] != 1 ? nullptr : &graph->nodes[static_cast<size_t>(producers[id])];
  };
  Node* linear = producer(node.inputs[0]);
  if (linear != nullptr && linear->kind == OpKind::kReshape) {
    linear = producer(linear->inputs[0]);
    if (linear != nullptr && linear->kind != OpKind::kFullyConnected) return nullptr;
  }
  const bool takes = linear != nullptr && format::is_linear(linear->kind) && !linear->attributes.clamps() &&
                     (*graph)[linear->inputs[1]].is_constant() &&
                     (*graph)[linear->inputs[1]].shape[0].extent % channels == 0;
  return takes ? linear : nullptr;
}

}  // namespace

void compute_batch_norms(Graph* graph) {
  const std::vector<uint32_t> uses = graph->use_counts();
  const std::vector<Node> nodes = std::move(graph->nodes);
  graph->nodes.clear();
  for (const Node& node : nodes) {
    if (node.kind != OpKind::kBatchNorm) {
      graph->nodes.push_back(node);
      continue;
    }
    const uint32_t channels = (*graph)[node.inputs[2]].shape[0].extent;
    Node* linear = linear_before(graph, node, channels, uses);
    // What is computed stands before what reads it.
    std::vector<Node> after;
    if (linear != nullptr) {
      const auto first = graph->nodes.begin() + (linear - graph->nodes.data());
      after.assign(first, graph->nodes.end());
      graph->nodes.erase(first, graph->nodes.end());
    }
    Builder builder(graph, node.name);
    const Shape flat = constant_shape({channels});
    const auto statistic = [&](uint32_t row) {
      return builder.reshape(builder.slice(node.inputs[1], 0, row, 1), flat);
    };
    const ValueId variance = builder.with_scalar(OpKind::kAdd, statistic(1), node.attributes.alpha);
    const ValueId factor = builder.add(OpKind::kDivide, {node.inputs[2], builder.add(OpKind::kSqrt, {variance})});
    const ValueId shift =
        builder.add(OpKind::kSubtract, {node.inputs[3], builder.add(OpKind::kMultiply, {statistic(0), factor})});
    if (linear == nullptr) {
      Shape last;
      for (size_t d = 1; d < (*graph)[node.output].shape.rank(); ++d) last.push_back({1, false});
      last.push_back({channels, false});
      const ValueId scaled = builder.add(OpKind::kMultiply, {node.inputs[0], builder.reshape(factor, last)});
      graph->nodes.push_back({OpKind::kAdd, node.name, {}, {scaled, builder.reshape(shift, last)}, node.output, {}});
      continue;
    }
    Node& product = after[0];
    const Shape shape = (*graph)[product.inputs[1]].shape;
    const auto outputs = shape[0].extent;
    const auto row = static_cast<uint32_t>((*graph)[product.inputs[1]].elements() / outputs);
    // Outputs may be groups of channels.
    const auto grouped = [&](ValueId id, uint32_t width) {
      return builder.reshape(id, constant_shape({outputs / channels, channels, width}));
    };
    const auto of_channels = [&](ValueId id) { return builder.reshape(id, constant_shape({1, channels, 1})); };
    const ValueId weights = builder.add(OpKind::kMultiply, {grouped(product.inputs[1], row), of_channels(factor)});
    ValueId bias = of_channels(shift);
    if (product.inputs.size() == 3) {
      const ValueId scaled = builder.add(OpKind::kMultiply, {grouped(product.inputs[2], 1), of_channels(factor)});
      bias = builder.add(OpKind::kAdd, {scaled, bias});
    } else if (outputs != channels) {
      bias = builder.add_shaped(OpKind::kBroadcast, {bias}, constant_shape({outputs / channels, channels, 1}));
    }
    product.inputs.resize(2);
    product.inputs[1] = builder.reshape(weights, shape);
    product.inputs.push_back(builder.reshape(bias, constant_shape({outputs})));
    // The output of what stood before the normalization becomes its own.
    std::ranges::find(after, node.inputs[0], &Node::output)->output = node.output;
    graph->nodes.insert(graph->nodes.end(), after.begin(), after.end());
  }
}

}  // namespace figment::converter
