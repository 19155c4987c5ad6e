// What passes that fold nodes into others have in common.
#pragma once

#include <numeric>
#include <vector>

#include "ir/graph.h"

namespace figment::converter {

// A pass over the nodes in their order, in the course of which some are removed, each of which gave what another value
// holds.
class Sweep {
 public:
  explicit Sweep(Graph* graph)
      : graph_(*graph),
        producers_(graph->producers()),
        uses_(graph->use_counts()),
        removed_(graph->nodes.size()),
        holder_(graph->values.size()) {
    std::iota(holder_.begin(), holder_.end(), ValueId{0});
  }

  // Node i, which reads what is left. The nodes in front must have been visited.
  Node& visit(size_t i) {
    for (ValueId& id : graph_.nodes[i].inputs) {
      if (id < holder_.size()) id = holder_[id];
    }
    return graph_.nodes[i];
  }
  // The node that gives a value, which is a visited one; nullptr for inputs and constants.
  Node* producer(ValueId id) {
    if (id >= producers_.size() || producers_[id] < 0) return nullptr;
    return &graph_.nodes[static_cast<size_t>(producers_[id])];
  }
  bool read_once(ValueId id) const { return uses_[id] == 1; }
  // What node i gives is what `to` holds: its readers read that, and the node goes.
  void replace(size_t i, ValueId to) {
    const ValueId from = graph_.nodes[i].output;
    graph_[to].name = graph_[from].name;
    graph_[to].exporters = graph_[from].exporters;
    graph_[to].quantized = graph_[from].quantized;
    holder_[from] = to;
    uses_[to] += uses_[from] - 1;
    removed_[i] = true;
  }
  void finish() {
    for (PortDefinition& port : graph_.outputs) port.value = holder_[port.value];
    std::vector<Node> kept;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (!removed_[i]) kept.push_back(std::move(graph_.nodes[i]));
    }
    graph_.nodes = std::move(kept);
  }

 private:
  Graph& graph_;
  std::vector<int32_t> producers_;
  std::vector<uint32_t> uses_;
  std::vector<bool> removed_;
  std::vector<ValueId> holder_;  // of what each value of the program held
};

// A constant of other values in the place of another.
inline ValueId replaced_constant(Graph* graph, ValueId id, const std::vector<float>& values) {
  const Value old = (*graph)[id];
  const ValueId result = graph->add_constant(old.name, extents_of(old.shape), values);
  if (old.constant->origin) {
    (*graph)[result].constant->origin = old.constant->origin;
    (*graph)[result].constant->origin->folded = true;
  }
  return result;
}

}  // namespace figment::converter
