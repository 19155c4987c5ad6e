#include "objectives/programs.h"

namespace figment::converter {

namespace {

void add_output(Graph* graph, const std::string& name, ValueId value, const Shape& shape,
                const Permutation& permutation) {
  graph->outputs.push_back({name, value, shape, permutation});
}

}  // namespace

void add_number_output(Builder& build, const std::string& name, ValueId value) {
  add_output(&build.graph(), name, build.reshape(value, {{}}), {{}}, {0});
}

const PortDefinition& only(const std::vector<PortDefinition>& ports, const Network& network, const char* what) {
  if (ports.size() == 1) return ports[0];
  throw Error(network.name + ": needs one " + what + ", has " + std::to_string(ports.size()));
}

uint32_t sample_size(const PortDefinition& port) { return static_cast<uint32_t>(element_count(port.shape, 1).value()); }

Graph inference_program(const std::string& name, const Network& network) {
  Graph graph;
  graph.name = name;
  Composer composer(&graph);
  std::vector<ValueId> inputs;
  for (const PortDefinition& port : network.graph.inputs)
    inputs.push_back(composer.add_input(port.name, network.graph, port));
  const std::vector<ValueId> outputs = composer.add(network, inputs, Composer::Mode::kInference, nullptr);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const PortDefinition& port = network.graph.outputs[i];
    add_output(&graph, port.name, outputs[i], port.shape, port.permutation);
  }
  return graph;
}

}  // namespace figment::converter
