#include "objectives/network.h"

#include <algorithm>

#include "import/import_onnx.h"
#include "passes/layout.h"
#include "passes/simplify.h"

namespace figment::converter {

namespace {

void make_variable(Network* network, ValueId id, bool trained) {
  Value& value = network->graph[id];
  if (value.is_variable()) return;
  if (!value.is_constant()) throw Error(network->name + ": " + value.name + " is computed, not a parameter");
  const std::string name = value.constant->origin ? value.constant->origin->name : value.name;
  value.name = network->name + "." + name;
  for (const Value& other : network->graph.values) {
    if (other.is_variable() && other.name == value.name) {
      throw Error(network->name + ": parameter " + name + " is used in two layouts; give each layer its own");
    }
  }
  value.constant->variable = true;
  if (value.constant->origin) {
    if (value.constant->origin->folded) {
      throw Error(network->name + ": parameter " + name + " has been combined with others by the exporter");
    }
    value.constant->origin->name = value.name;
  } else {
    const std::vector<uint32_t> shape = extents_of(value.shape);
    Origin origin{value.name, shape, shape, {}, false};
    for (size_t i = 0; i < shape.size(); ++i) origin.permutation.push_back(static_cast<uint8_t>(i));
    value.constant->origin = origin;
  }
  if (trained) network->trained.push_back(value.name);
}

// The node that computes `id`, or nullptr.
Node* producer(Graph* graph, ValueId id) {
  const int32_t index = graph->producers()[id];
  return index < 0 ? nullptr : &graph->nodes[static_cast<size_t>(index)];
}

}  // namespace

Network load_network(const std::string& name, const std::string& path) {
  Network network{name, import_onnx_file(path, name, Purpose::kTraining), {}};
  assign_layouts(&network.graph);
  remove_dead(&network.graph);
  for (size_t i = 0; i < network.graph.nodes.size(); ++i) {
    const Node node = network.graph.nodes[i];
    for (size_t j = 1; format::is_linear(node.kind) && j < node.inputs.size(); ++j)
      make_variable(&network, node.inputs[j], true);
    if (node.kind != OpKind::kBatchNorm) continue;
    make_variable(&network, node.inputs[1], false);
    make_variable(&network, node.inputs[2], true);
    make_variable(&network, node.inputs[3], true);
  }
  if (network.trained.empty()) throw Error(path + ": has no parameters to train");
  return network;
}

bool strip_sigmoid(Graph* graph) {
  for (PortDefinition& port : graph->outputs) {
    ValueId* reader = &port.value;
    Node* node = producer(graph, *reader);
    while (node != nullptr && (node->kind == OpKind::kReshape || node->kind == OpKind::kTranspose)) {
      reader = node->inputs.data();
      node = producer(graph, *reader);
    }
    if (node == nullptr || node->kind != OpKind::kSigmoid || graph->use_counts()[node->output] != 1) return false;
    *reader = node->inputs[0];
  }
  remove_dead(graph);
  return true;
}

ValueId Composer::copy_constant(const Value& value) {
  if (value.is_variable()) {
    if (const auto found = variables_.find(value.name); found != variables_.end()) return found->second;
  }
  const ValueId id = program_.add_value(value);
  if (value.is_variable()) variables_[value.name] = id;
  return id;
}

ValueId Composer::add_variable(const std::string& name, const std::vector<uint32_t>& shape,
                               const std::vector<float>& values) {
  const ValueId id = program_.add_constant(name, shape, values);
  program_[id].constant->variable = true;
  variables_[name] = id;
  return id;
}

ValueId Composer::add_input(const std::string& name, const Graph& network, const PortDefinition& port) {
  Value value;
  value.name = name;
  value.shape = network[port.value].shape;
  PortDefinition input = port;
  input.name = name;
  input.value = program_.add_value(std::move(value));
  program_.inputs.push_back(input);
  return input.value;
}

std::vector<ValueId> Composer::add(const Network& network, const std::vector<ValueId>& inputs, Mode mode,
                                   std::vector<RunningStatistics>* statistics) {
  const Graph& graph = network.graph;
  std::vector<ValueId> copies(graph.values.size());
  for (ValueId id = 0; id < graph.values.size(); ++id) {
    if (graph[id].is_constant()) copies[id] = copy_constant(graph[id]);
  }
  for (size_t i = 0; i < graph.inputs.size(); ++i) copies[graph.inputs[i].value] = inputs[i];
  for (const Node& node : graph.nodes) {
    std::vector<ValueId> operands;
    for (ValueId id : node.inputs) operands.push_back(copies[id]);
    if (node.kind == OpKind::kBatchNorm && mode == Mode::kTraining) {
      const ValueId batch =
          program_.add_node(OpKind::kBatchNormStatistics, node.name + ".statistics", {}, {operands[0]});
      statistics->push_back({operands[1], batch});
      operands[1] = batch;
    }
    const Value& declared = graph[node.output];
    copies[node.output] = program_.add_node(node.kind, node.name, node.attributes, operands, &declared);
  }
  std::vector<ValueId> outputs;
  for (const PortDefinition& port : graph.outputs) outputs.push_back(copies[port.value]);
  return outputs;
}

ValueId Composer::connect(ValueId value, const PortDefinition& from, const PortDefinition& to,
                          const std::string& what) {
  const auto without_ones = [](const Shape& shape) {
    std::vector<std::pair<uint32_t, bool>> result;
    for (const Dimension& dimension : shape) {
      if (dimension != Dimension{}) result.emplace_back(dimension.extent, dimension.per_batch);
    }
    return result;
  };
  if (without_ones(from.shape) != without_ones(to.shape)) {
    throw Error(what + ": " + from.name + " is " + to_string(from.shape) + ", but " + to.name + " is " +
                to_string(to.shape));
  }
  Builder build(&program_, what);
  if (from.shape == to.shape && from.permutation == to.permutation) return value;
  Attributes back;
  back.permutation = from.permutation;
  for (uint32_t i = 0; i < from.permutation.rank(); ++i) back.permutation[from.permutation[i]] = i;
  Attributes forth;
  forth.permutation = to.permutation;
  const ValueId exporter = build.reshape(build.add(OpKind::kTranspose, {value}, back), to.shape);
  return build.add(OpKind::kTranspose, {exporter}, forth);
}

}  // namespace figment::converter
