// A network to be trained, and copies of it inside train programs.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ir/builder.h"

namespace figment::converter {

// A network whose parameters are variables, named NETWORK.PARAMETER.
struct Network {
  std::string name;
  Graph graph;
  std::vector<std::string> trained;  // variables that gradients train, in the order of their use
};

// Imports the ONNX file at `path` for training: parameters of linear layers and batch normalisations become variables.
// Throws Error.
Network load_network(const std::string& name, const std::string& path);

// Takes a final sigmoid off, through reshapes: losses work on logits. Returns whether there was one.
bool strip_sigmoid(Graph* graph);

// Batch statistics that a running statistic is to follow.
struct RunningStatistics {
  ValueId running = 0;
  ValueId batch = 0;
};

// Puts networks into one program. A variable appears in it once, however often its network does.
class Composer {
 public:
  explicit Composer(Graph* program) : program_(*program) {}

  enum class Mode : uint8_t { kInference, kTraining };  // of batch normalisation

  // An input of the program like `port` of a network, whose shape and layout it takes.
  ValueId add_input(const std::string& name, const Graph& network, const PortDefinition& port);

  // A copy of the network on the given inputs, in the order of its ports and in their layouts; returns its outputs.
  // In training mode the batch statistics it computes are appended to `statistics`.
  std::vector<ValueId> add(const Network& network, const std::vector<ValueId>& inputs, Mode mode,
                           std::vector<RunningStatistics>* statistics);

  // Output `from` of one network as input `to` of another: in its layout and, if only dimensions of 1 differ, shape.
  ValueId connect(ValueId value, const PortDefinition& from, const PortDefinition& to, const std::string& what);

  // The program's value for a variable of that name. It has been added before.
  ValueId variable(const std::string& name) const { return variables_.at(name); }
  // A new variable, zeros if `values` is empty.
  ValueId add_variable(const std::string& name, const std::vector<uint32_t>& shape, const std::vector<float>& values);

 private:
  ValueId copy_constant(const Value& value);

  Graph& program_;
  std::map<std::string, ValueId> variables_;
};

}  // namespace figment::converter
