// A network to be trained, and copies of it inside train programs.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ir/builder.h"
#include "objectives/scope.h"

namespace figment::converter {

// A network whose trained parameters are variables, named NETWORK.PARAMETER. Other parameters stay constants.
struct Network {
  std::string name;
  Graph graph;
  std::vector<std::string> trained;  // variables that gradients train, in the order of their use
  std::set<std::string> matched;     // the scope's patterns of what to freeze that fit a parameter
  bool spectral_norm = false;        // of the weights of linear layers, in every copy
  bool adapted = false;              // it is frozen but for adapters
  size_t int8_elements = 0;          // frozen weights that are int8

  // Whether samples of a training copy depend on each other: by what it computes, or by statistics over the batch.
  bool couples_batch() const;
};

// Makes a network of a graph that was imported for training: parameters become variables, frozen ones apart. Batch
// normalizations whose scale and shift are frozen keep their running statistics. Throws Error.
Network make_network(const std::string& name, Graph graph, const TrainingScope& scope);

// Takes a final sigmoid of an output off, through reshapes: losses work on logits. Returns whether there was one.
bool strip_sigmoid(Graph* graph, size_t output);
// Puts one behind an output.
void add_sigmoid(Graph* graph, size_t output);

// Batch statistics that a running statistic is to follow.
struct RunningStatistics {
  ValueId running = 0;
  ValueId batch = 0;
  std::optional<float> weight;  // of the batch, as the exporter says
};

// A stored singular vector, and its value after the power iteration of this step.
struct SpectralVector {
  ValueId variable = 0;
  ValueId value = 0;
};

// Puts networks into one program. A variable appears in it once, however often its network does.
class Composer {
 public:
  explicit Composer(Graph* program) : program_(*program) {}

  enum class Mode : uint8_t { kInference, kTraining };  // of batch normalization and dropout

  Graph& program() { return program_; }

  // An input of the program like `port` of a network, whose shape and layout it takes.
  ValueId add_input(const std::string& name, const Graph& network, const PortDefinition& port);

  // A copy of the network on the given inputs, in the order of its ports (dropout masks apart) and in their layouts;
  // returns its outputs. In training mode the batch statistics it computes are appended to `statistics`, and dropout
  // masks become inputs of the program named after `label`. Variables are read under their names with `suffix`.
  std::vector<ValueId> add(const Network& network, const std::vector<ValueId>& inputs, Mode mode,
                           const std::string& label, std::vector<RunningStatistics>* statistics,
                           const std::string& suffix = "");

  // Output `from` of one network as input `to` of another: in its layout and, if only dimensions of 1 differ, shape.
  ValueId connect(ValueId value, const PortDefinition& from, const PortDefinition& to, const std::string& what);

  // The program's value for a variable of that name, added if it is one of the network's.
  ValueId variable(const Network& network, const std::string& name);
  // A variable of the model's, zeros if `values` is empty.
  ValueId add_variable(const std::string& name, const std::vector<uint32_t>& shape, const std::vector<float>& values,
                       bool transient = false);

  // Spectral normalization (Miyato et al. 2018): the weights divided by their largest singular value, by one power
  // iteration from the stored vector. The iteration's vectors count as constants in gradients.
  ValueId spectrally_normalized(const Value& weights, const std::string& suffix);
  // What the iterations since the last call found, to be stored.
  std::vector<SpectralVector> take_spectral_vectors();
  // A value that counts as a constant in gradients.
  void hold(ValueId value) { fixed_.insert(value); }
  const std::set<ValueId>& fixed() const { return fixed_; }

  // Dropout masks among the program's inputs, with their rates.
  const std::vector<std::pair<PortDefinition, float>>& masks() const { return masks_; }

 private:
  ValueId copy_constant(const Value& value, const std::string& suffix);

  Graph& program_;
  std::map<std::string, ValueId> variables_;
  std::map<std::string, ValueId> normalized_;  // weights by name, of the present sub-step
  std::vector<SpectralVector> spectral_vectors_;
  std::set<ValueId> fixed_;
  std::vector<std::pair<PortDefinition, float>> masks_;
};

}  // namespace figment::converter
