// Programs of the IR run on many samples, a batch at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "ir/graph.h"
#include "write/runner.h"

namespace figment::converter {

// The same output with the batch first, so that it can be computed in parts.
PortDefinition batch_first(const PortDefinition& port);

// Samples [begin, end) of all inputs.
TensorMap part_of(const TensorMap& inputs, size_t samples, size_t begin, size_t end);

// The bytes of everything that a sample makes the program compute.
uint64_t bytes_of_sample(const Graph& graph);

enum class Outputs : uint8_t {
  kAll,
  kOfSamples  // without those that are the same for all samples, as a parameter that the network returns
};

// Runs a program on `samples` of inputs, which outlive it, in batches of up to `most`. Outputs have the samples first.
class BatchedRun {
 public:
  BatchedRun(Graph graph, const TensorMap& inputs, size_t samples, size_t most, Outputs outputs = Outputs::kOfSamples,
             fig_kernels kernels = FIG_KERNELS_BEST);
  size_t batch() const { return batch_; }
  // Of the batch() samples from `begin` on.
  TensorMap run(size_t begin);

 private:
  std::string name_;
  const TensorMap& inputs_;
  size_t samples_;
  size_t batch_;
  std::optional<Runner> runner_;
};

// The outputs for all samples.
TensorMap run_whole(const Graph& graph, const TensorMap& inputs, size_t samples, size_t most);

}  // namespace figment::converter
