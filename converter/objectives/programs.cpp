#include "objectives/programs.h"

#include <fmt/format.h>
#include <algorithm>
#include <map>

#include "passes/gradient.h"
#include "passes/recompute.h"
#include "passes/simplify.h"

namespace figment::converter {

namespace {

void add_output(Graph* graph, const std::string& name, ValueId value, const Shape& shape,
                const Permutation& permutation) {
  graph->outputs.push_back({name, value, shape, permutation});
}

}  // namespace

void add_metric(Builder& build, const std::string& name, ValueId value) {
  add_output(&build.graph(), name, build.reshape(value, {{}}), {{}}, {0});
}

const PortDefinition& only(const std::vector<PortDefinition>& ports, const Network& network, const char* what) {
  if (ports.size() == 1) return ports[0];
  throw Error(fmt::format("{}: needs one {}, has {}", network.name, what, ports.size()));
}

std::vector<PortDefinition> data_inputs(const Network& network) {
  std::vector<PortDefinition> result;
  for (const PortDefinition& port : network.graph.inputs) {
    if (port.dropout == 0) result.push_back(port);
  }
  return result;
}

void check_batch(const Network& network) {
  for (const PortDefinition& port : data_inputs(network)) {
    if (port.shape.rank() > 0 && port.shape[0].per_batch) continue;
    throw Error(
        network.name + ": input " + port.name + " is " + to_string(port.shape) +
        ", and training needs an open batch as its first dimension: export with dynamic_axes={'" + port.name +
        "': {0: 'batch'}} (dynamo: dynamic_shapes; Keras: a batch of None; recurrent layers: batch_first=True)");
  }
}

uint32_t sample_size(const PortDefinition& port) { return static_cast<uint32_t>(element_count(port.shape, 1).value()); }

Graph inference_program(const std::string& name, const Network& network, const std::string& suffix) {
  Graph graph;
  graph.name = name;
  Composer composer(&graph);
  std::vector<ValueId> inputs;
  for (const PortDefinition& port : data_inputs(network))
    inputs.push_back(composer.add_input(port.name, network.graph, port));
  const std::vector<ValueId> outputs = composer.add(network, inputs, Composer::Mode::kInference, name, nullptr, suffix);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const PortDefinition& port = network.graph.outputs[i];
    add_output(&graph, port.name, outputs[i], port.shape, port.permutation);
  }
  remove_dead(&graph);
  return graph;
}

Graph projection_program(const Network& generator, const PortDefinition& latent, const std::string& suffix) {
  Graph graph;
  graph.name = "project";
  Composer composer(&graph);
  std::vector<ValueId> inputs;
  ValueId searched = 0;
  for (const PortDefinition& port : data_inputs(generator)) {
    inputs.push_back(composer.add_input(port.name, generator.graph, port));
    if (port.name == latent.name) searched = inputs.back();
  }
  const PortDefinition& generated = generator.graph.outputs[0];
  const ValueId sample = composer.add_input(generated.name, generator.graph, generated);
  const ValueId output = composer.add(generator, inputs, Composer::Mode::kInference, "project", nullptr, suffix)[0];
  Builder build(&graph, "project");
  const ValueId difference = build.add(OpKind::kSubtract, {output, sample});
  const Gradients gradients = differentiate(&graph, {{output, difference}}, {searched});
  add_output(&graph, "reconstruction", output, generated.shape, generated.permutation);
  add_output(&graph, "gradient", gradients.at(searched), latent.shape, latent.permutation);
  remove_dead(&graph);
  return graph;
}

uint32_t Streams::of(const std::string& input) {
  const auto found = std::find(names_.begin(), names_.end(), input);
  if (found != names_.end()) return static_cast<uint32_t>(found - names_.begin()) + 1;
  names_.push_back(input);
  return static_cast<uint32_t>(names_.size());
}

uint32_t next_level(const ModelDefinition& model) {
  uint32_t next = 0;
  for (const ScheduleDefinition& entry : model.schedule) next = std::max(next, entry.level + 1);
  return next;
}

namespace {

// One level more: the train programs of `entries` with recomputation, where that takes less memory.
void add_recomputing_level(const std::vector<ScheduleDefinition>& entries, Recompute what, const std::string& suffix,
                           ModelDefinition* model) {
  const uint32_t level = next_level(*model);
  std::map<std::string, std::string> names;
  for (size_t i = 0, count = model->programs.size(); i < count; ++i) {
    const Graph& program = model->programs[i];
    const bool trains = std::any_of(entries.begin(), entries.end(),
                                    [&](const ScheduleDefinition& entry) { return entry.program == program.name; });
    std::optional<Graph> lean = trains ? with_recomputation(program, what) : std::nullopt;
    if (!lean) continue;
    names[program.name] = program.name + suffix;
    lean->name += suffix;
    model->programs.push_back(std::move(*lean));
  }
  if (names.empty()) return;
  for (ScheduleDefinition entry : entries) {
    entry.level = level;
    if (names.contains(entry.program)) entry.program = names[entry.program];
    for (LatentDefinition& latent : entry.latents) latent.program = entry.program;
    model->schedule.push_back(std::move(entry));
  }
}

}  // namespace

void add_recomputing_levels(ModelDefinition* model) {
  const std::vector<ScheduleDefinition> fastest = model->schedule;
  add_recomputing_level(fastest, Recompute::kCheap, ".recomputing", model);
  add_recomputing_level(fastest, Recompute::kAny, ".recomputing_more", model);
}

void add_train_program(Composer* composer, ScheduleDefinition entry, Streams* streams, ModelDefinition* model) {
  Graph program = composer->program();
  entry.program = program.name;
  for (const auto& [port, rate] : composer->masks()) {
    entry.latents.push_back({"", port.name, sample_size(port), Prior::kDropout, rate, 0, {}});
  }
  for (LatentDefinition& latent : entry.latents) {
    latent.program = program.name;
    latent.stream = streams->of(latent.input);
  }
  remove_dead(&program);
  model->programs.push_back(ordered_for_memory(program));
  model->schedule.push_back(std::move(entry));
}

}  // namespace figment::converter
