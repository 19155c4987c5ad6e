#include "passes/sample_runs.h"

#include <algorithm>
#include <utility>

#include "ir/batch.h"
#include "write/write_model.h"

namespace figment::converter {

namespace {

ModelDefinition single(Graph graph) {
  ModelDefinition model;
  model.name = "calibration";
  model.programs.push_back(std::move(graph));
  return model;
}

// A divisor of `samples` up to `most`: a program whose inner values are shown may take whole batches only.
size_t batch_for(size_t samples, size_t most) {
  size_t batch = std::min(most, samples);
  while (samples % batch != 0) --batch;
  return batch;
}

}  // namespace

PortDefinition batch_first(const PortDefinition& port) {
  PortDefinition result{port.name, port.value, {}, {}};
  uint32_t batch = 0;
  for (uint32_t i = 0; i < port.shape.rank(); ++i) batch = port.shape[i].per_batch ? i : batch;
  if (port.shape.rank() > 0) result.shape.push_back(port.shape[batch]);
  for (uint32_t i = 0; i < port.shape.rank(); ++i) {
    if (i != batch) result.shape.push_back(port.shape[i]);
  }
  for (uint32_t axis : port.permutation)
    result.permutation.push_back(axis == batch ? 0 : axis < batch ? axis + 1 : axis);
  return result;
}

TensorMap part_of(const TensorMap& inputs, size_t samples, size_t begin, size_t end) {
  TensorMap result;
  for (const auto& [name, values] : inputs) {
    const size_t size = values.size() / samples;
    result[name].assign(values.begin() + static_cast<std::ptrdiff_t>(begin * size),
                        values.begin() + static_cast<std::ptrdiff_t>(end * size));
  }
  return result;
}

uint64_t bytes_of_sample(const Graph& graph) {
  uint64_t bytes = 0;
  for (const Value& value : graph.values) {
    if (!value.is_constant()) bytes += uint64_t{value.elements()} * sizeof(float);
  }
  return bytes;
}

BatchedRun::BatchedRun(Graph graph, const TensorMap& inputs, size_t samples, size_t most, Outputs outputs,
                       fig_kernels kernels)
    : name_(graph.name), inputs_(inputs), samples_(samples), batch_(batch_for(samples, most)) {
  if (outputs == Outputs::kOfSamples)
    std::erase_if(graph.outputs, [](const PortDefinition& port) { return !has_batch(port.shape); });
  for (PortDefinition& port : graph.outputs) port = batch_first(port);
  runner_.emplace(write_model(single(std::move(graph))), static_cast<uint32_t>(batch_), kernels);
}

TensorMap BatchedRun::run(size_t begin) {
  return runner_->run(name_, part_of(inputs_, samples_, begin, begin + batch_), batch_);
}

TensorMap run_whole(const Graph& graph, const TensorMap& inputs, size_t samples, size_t most) {
  BatchedRun program(graph, inputs, samples, most);
  TensorMap result;
  for (size_t begin = 0; begin < samples; begin += program.batch()) {
    for (const auto& [name, values] : program.run(begin)) {
      std::vector<float>& all = result[name];
      if (begin == 0) all.reserve(values.size() / program.batch() * samples);
      all.insert(all.end(), values.begin(), values.end());
    }
  }
  return result;
}

}  // namespace figment::converter
