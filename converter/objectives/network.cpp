#include "objectives/network.h"

#include <fnmatch.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "ir/batch.h"
#include "objectives/adapters.h"
#include "passes/layout.h"
#include "passes/simplify.h"

namespace figment::converter {

namespace {

// A constant of the graph that training may change.
struct Parameter {
  ValueId id = 0;
  std::string name;   // the exporter's
  std::string layer;  // the name up to the last dot
  bool gradient = true;
  bool scale = false;  // of a normalization, or its shift
};

std::string layer_of(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? name : name.substr(0, dot);
}

// The parameters in the order of their use: what linear, recurrent and normalizing layers read, and all other
// initializers of the exporter's that are more than a number.
std::vector<Parameter> find_parameters(const Graph& graph) {
  std::vector<Parameter> result;
  std::set<ValueId> seen;
  for (const Node& node : graph.nodes) {
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId id = node.inputs[i];
      const Value& value = graph[id];
      if (!value.is_constant() || value.type != DataType::kF32 || seen.contains(id)) continue;
      const bool normalizes =
          node.kind == OpKind::kBatchNorm || node.kind == OpKind::kLayerNorm || node.kind == OpKind::kGroupNorm;
      const std::optional<Origin>& origin = value.constant->origin;
      if (origin && origin->fixed) continue;
      // A normalization without a scale or shift has one number for all channels, or what an exporter writes in place
      // of parameters: ones and zeros that are no initializers.
      const bool scales = normalizes && value.elements() > 1 && !(origin && origin->in_layers);
      const bool layer = i > 0 && (format::is_linear(node.kind) || scales);
      const bool named =
          origin && !origin->in_layers && (value.elements() > 1 || origin->name.find('.') != std::string::npos);
      if (!layer && !named) continue;
      seen.insert(id);
      Parameter parameter{id, origin ? origin->name : value.name, "", true, normalizes};
      parameter.layer = layer_of(parameter.name);
      parameter.gradient = node.kind != OpKind::kBatchNorm || i != 1;
      result.push_back(parameter);
    }
  }
  return result;
}

void make_variable(Network* network, const Parameter& parameter) {
  Value& value = network->graph[parameter.id];
  value.name = network->name + "." + parameter.name;
  for (const Value& other : network->graph.values) {
    if (other.is_variable() && other.name == value.name) {
      throw Error(network->name + ": parameter " + parameter.name + " is used in two layouts; give each layer its own");
    }
  }
  value.constant->variable = true;
  std::optional<Origin>& origin = value.constant->origin;
  if (origin) {
    if (origin->folded) {
      throw Error(network->name + ": parameter " + parameter.name + " has been combined with others by the exporter");
    }
    origin->name = value.name;
    for (std::string& part : origin->parts) part = network->name + "." + part;
  } else {
    const std::vector<uint32_t> shape = extents_of(value.shape);
    origin = Origin{value.name, shape, shape, {}, false, false, {}};
    for (size_t i = 0; i < shape.size(); ++i) origin->permutation.push_back(static_cast<uint8_t>(i));
  }
  if (parameter.gradient) network->trained.push_back(value.name);
}

// The last `count` layers that have matrices, with all that follows them.
std::set<std::string> last_layers(const Graph& graph, const std::vector<Parameter>& parameters, size_t count) {
  std::set<std::string> matrices;
  size_t first = parameters.size();
  for (size_t i = parameters.size(); i > 0; --i) {
    const Parameter& parameter = parameters[i - 1];
    if (!parameter.gradient || graph[parameter.id].shape.rank() < 2) continue;
    if (matrices.size() == count && !matrices.contains(parameter.layer)) break;
    matrices.insert(parameter.layer);
    first = i - 1;
  }
  std::set<std::string> result;
  for (size_t i = first; i < parameters.size(); ++i) result.insert(parameters[i].layer);
  return result;
}

// The parameters that an item "bias", "scale" or "last:K" of an option names; none for others.
std::set<ValueId> named_parameters(const Graph& graph, const std::vector<Parameter>& parameters, const ScopeItem& item,
                                   const char* option) {
  std::set<std::string> layers;
  if (item.kind == "last") {
    size_t count = 0;
    const std::string& text = item.argument;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc() || end != text.data() + text.size() || count < 1)
      throw Error(option + (" " + item.text) + ": give a number of layers, as in last:2");
    layers = last_layers(graph, parameters, count);
  }
  std::set<ValueId> result;
  for (const Parameter& parameter : parameters) {
    const bool bias = parameter.name.find("bias", parameter.layer.size()) != std::string::npos;
    if (item.kind == "bias" ? bias : item.kind == "scale" ? parameter.scale : layers.contains(parameter.layer))
      result.insert(parameter.id);
  }
  return result;
}

// The parameters that are not to be trained.
std::set<ValueId> frozen_parameters(const std::string& network, const Graph& graph,
                                    const std::vector<Parameter>& parameters, const TrainingScope& scope,
                                    std::set<std::string>* matched) {
  std::set<ValueId> frozen;
  for (const std::string& pattern : scope.freeze) {
    for (const Parameter& parameter : parameters) {
      if (fnmatch(pattern.c_str(), parameter.name.c_str(), 0) == 0 ||
          fnmatch(pattern.c_str(), (network + "." + parameter.name).c_str(), 0) == 0) {
        frozen.insert(parameter.id);
        matched->insert(pattern);
      }
    }
  }
  for (const ScopeItem& item : items_for(network, scope.train_only)) {
    if (item.kind != "bias" && item.kind != "scale" && item.kind != "last")
      throw Error("--train-only " + item.text + ": give bias, scale, or last:K, maybe behind NETWORK:");
    const std::set<ValueId> kept = named_parameters(graph, parameters, item, "--train-only");
    for (const Parameter& parameter : parameters) {
      if (!kept.contains(parameter.id)) frozen.insert(parameter.id);
    }
  }
  const std::vector<ScopeItem> adapters = items_for(network, scope.adapters);
  if (adapters.empty()) return frozen;
  std::set<ValueId> kept = better_whole(network, graph, adapters_of(adapters));
  for (const ScopeItem& item : adapters) kept.merge(named_parameters(graph, parameters, item, "--adapters"));
  for (const Parameter& parameter : parameters) {
    if (!kept.contains(parameter.id)) frozen.insert(parameter.id);
  }
  return frozen;
}

// The node that computes `id`, or nullptr.
Node* producer(Graph* graph, ValueId id) {
  const int32_t index = graph->producers()[id];
  return index < 0 ? nullptr : &graph->nodes[static_cast<size_t>(index)];
}

std::string spectral_name(const std::string& weights) { return weights + ".spectral"; }

}  // namespace

bool Network::couples_batch() const {
  return converter::couples_batch(graph) ||
         std::any_of(graph.nodes.begin(), graph.nodes.end(), [this](const Node& node) {
           return node.kind == OpKind::kBatchNorm && graph[node.inputs[1]].is_variable();
         });
}

namespace {

// A weight that several layers read in one layout is one value: it trains as one, on the sum of the gradients.
void share_equal_parameters(Graph* graph) {
  std::map<std::string, std::vector<ValueId>> known;  // by the exporter's name
  for (Node& node : graph->nodes) {
    for (ValueId& id : node.inputs) {
      const Value& value = (*graph)[id];
      if (!value.is_constant() || !value.constant->origin || value.constant->origin->folded) continue;
      const Origin& origin = *value.constant->origin;
      std::vector<ValueId>& others = known[origin.name];
      const auto same = std::find_if(others.begin(), others.end(), [&](ValueId other_id) {
        const Value& other = (*graph)[other_id];
        return other.shape == value.shape && other.constant->origin->split == origin.split &&
               other.constant->origin->permutation == origin.permutation &&
               other.constant->origin->parts == origin.parts && other.constant->bytes == value.constant->bytes;
      });
      if (same == others.end()) {
        others.push_back(id);
      } else {
        id = *same;
      }
    }
  }
}

}  // namespace

Network make_network(const std::string& name, Graph graph, const TrainingScope& scope) {
  Network network{name, std::move(graph), {}, {}};
  assign_layouts(&network.graph);
  share_equal_parameters(&network.graph);
  remove_dead(&network.graph);
  const std::vector<Parameter> parameters = find_parameters(network.graph);
  if (parameters.empty()) throw Error(name + ": has no parameters to train");
  std::set<ValueId> frozen = frozen_parameters(name, network.graph, parameters, scope, &network.matched);
  for (const Node& node : network.graph.nodes) {
    if (node.kind != OpKind::kBatchNorm) continue;
    if (frozen.contains(node.inputs[2]) && frozen.contains(node.inputs[3])) {
      frozen.insert(node.inputs[1]);
    } else {
      frozen.erase(node.inputs[1]);
    }
  }
  for (const Parameter& parameter : parameters) {
    if (!frozen.contains(parameter.id)) make_variable(&network, parameter);
  }
  const std::vector<ScopeItem> adapters = items_for(name, scope.adapters);
  network.adapted = !adapters.empty();
  add_adapters(&network, adapters_of(adapters));
  if (scope.int8_base) network.int8_elements = store_frozen_in_int8(&network);
  return network;
}

bool strip_sigmoid(Graph* graph, size_t output) {
  ValueId* reader = &graph->outputs[output].value;
  Node* node = producer(graph, *reader);
  while (node != nullptr && (node->kind == OpKind::kReshape || node->kind == OpKind::kTranspose)) {
    reader = node->inputs.data();
    node = producer(graph, *reader);
  }
  if (node == nullptr || node->kind != OpKind::kSigmoid || graph->use_counts()[node->output] != 1) return false;
  *reader = node->inputs[0];
  remove_dead(graph);
  return true;
}

void add_sigmoid(Graph* graph, size_t output) {
  ValueId& value = graph->outputs[output].value;
  value = graph->add_node(OpKind::kSigmoid, "sigmoid", {}, {value});
}

ValueId Composer::copy_constant(const Value& value, const std::string& suffix) {
  if (!value.is_variable()) return program_.add_value(value);
  if (const auto found = variables_.find(value.name + suffix); found != variables_.end()) return found->second;
  Value copy = value;
  copy.name += suffix;
  if (!suffix.empty()) {
    copy.constant->origin->name += suffix;
    copy.constant->origin->derived = true;
    for (std::string& part : copy.constant->origin->parts) part += suffix;
  }
  const ValueId id = program_.add_value(copy);
  variables_[copy.name] = id;
  return id;
}

ValueId Composer::variable(const Network& network, const std::string& name) {
  for (const Value& value : network.graph.values) {
    if (value.is_variable() && value.name == name) return copy_constant(value, "");
  }
  return variables_.at(name);
}

ValueId Composer::add_variable(const std::string& name, const std::vector<uint32_t>& shape,
                               const std::vector<float>& values, bool transient) {
  if (const auto found = variables_.find(name); found != variables_.end()) return found->second;
  const ValueId id = program_.add_constant(name, shape, values);
  program_[id].constant->variable = true;
  program_[id].constant->transient = transient;
  variables_[name] = id;
  return id;
}

ValueId Composer::add_input(const std::string& name, const Graph& network, const PortDefinition& port) {
  for (const PortDefinition& input : program_.inputs) {
    if (input.name == name) return input.value;
  }
  Value value;
  value.name = name;
  value.shape = network[port.value].shape;
  PortDefinition input = port;
  input.name = name;
  input.dropout = 0;
  input.value = program_.add_value(std::move(value));
  program_.inputs.push_back(input);
  return input.value;
}

ValueId Composer::spectrally_normalized(const Value& weights, const std::string& suffix) {
  const ValueId stored = copy_constant(weights, suffix);
  if (const auto found = normalized_.find(weights.name + suffix); found != normalized_.end()) return found->second;
  Builder build(&program_, spectral_name(weights.name));
  const Shape shape = weights.shape;
  const uint32_t rows = shape[0].extent;
  const auto columns = static_cast<uint32_t>(weights.elements() / rows);
  // Any vector that is not orthogonal to the singular one will do.
  std::vector<float> start(rows);
  draw_latent(Prior::kNormal, 0, 0, 0, rows, start.data());
  const ValueId u = add_variable(spectral_name(weights.name), {1, rows}, start);
  const ValueId matrix = build.reshape(stored, {{rows, false}, {columns, false}});
  const auto normalized = [&](ValueId x) {
    const ValueId norm = build.add(OpKind::kSqrt, {build.sum_all(build.add(OpKind::kMultiply, {x, x}))});
    return build.add(OpKind::kDivide, {x, build.with_scalar(OpKind::kAdd, norm, 1e-12F)});
  };
  const ValueId v = normalized(build.matmul(u, false, matrix, false));
  fixed_.insert(v);
  const ValueId product = build.matmul(v, false, matrix, true);
  const ValueId next = normalized(product);
  fixed_.insert(next);
  const ValueId sigma = build.sum_all(build.add(OpKind::kMultiply, {next, product}));
  Shape one;
  for (size_t i = 0; i < shape.rank(); ++i) one.push_back({});
  const ValueId result = build.add(OpKind::kDivide, {stored, build.reshape(sigma, one)});
  spectral_vectors_.push_back({u, next});
  normalized_[weights.name + suffix] = result;
  return result;
}

std::vector<SpectralVector> Composer::take_spectral_vectors() {
  normalized_.clear();
  return std::exchange(spectral_vectors_, {});
}

std::vector<ValueId> Composer::add(const Network& network, const std::vector<ValueId>& inputs, Mode mode,
                                   const std::string& label, std::vector<RunningStatistics>* statistics,
                                   const std::string& suffix) {
  const Graph& graph = network.graph;
  std::vector<ValueId> copies(graph.values.size());
  std::vector<bool> masks(graph.values.size());  // dropout masks, where they are not used
  for (ValueId id = 0; id < graph.values.size(); ++id) {
    if (graph[id].is_constant()) copies[id] = copy_constant(graph[id], suffix);
  }
  size_t next = 0;
  for (const PortDefinition& port : graph.inputs) {
    if (port.dropout == 0) {
      copies[port.value] = inputs[next++];
    } else if (mode == Mode::kInference) {
      masks[port.value] = true;
    } else {
      const std::string name = label + "." + network.name + "." + port.name;
      const size_t inputs_before = program_.inputs.size();
      copies[port.value] = add_input(name, graph, port);
      // Copies of one label share their masks.
      if (program_.inputs.size() > inputs_before) masks_.emplace_back(program_.inputs.back(), port.dropout);
    }
  }
  for (const Node& node : graph.nodes) {
    const auto masked = std::find_if(node.inputs.begin(), node.inputs.end(), [&](ValueId id) { return masks[id]; });
    if (masked != node.inputs.end()) {
      if (node.kind == OpKind::kMultiply) {
        copies[node.output] = copies[node.inputs[masked == node.inputs.begin() ? 1 : 0]];
      } else {
        masks[node.output] = true;
      }
      continue;
    }
    std::vector<ValueId> operands;
    for (ValueId id : node.inputs) operands.push_back(copies[id]);
    if (node.kind == OpKind::kBatchNorm && mode == Mode::kTraining && graph[node.inputs[1]].is_variable()) {
      const ValueId batch =
          program_.add_node(OpKind::kBatchNormStatistics, node.name + ".statistics", {}, {operands[0]});
      const std::optional<Origin>& origin = graph[node.inputs[1]].constant->origin;
      statistics->push_back({operands[1], batch, origin ? origin->batch_weight : std::nullopt});
      operands[1] = batch;
    }
    if (network.spectral_norm && format::is_linear(node.kind) && graph[node.inputs[1]].is_variable()) {
      operands[1] = spectrally_normalized(graph[node.inputs[1]], suffix);
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
