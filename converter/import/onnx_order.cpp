#include "import/onnx_order.h"

#include <functional>
#include <map>

namespace figment::converter {

namespace {

// Graphs beside each other may use the same names.
using Producers = std::multimap<std::string, const onnx::NodeProto*>;

// The nodes of a graph and of the graphs inside its nodes, by what they compute.
void find_producers(const onnx::GraphProto& graph, Producers* producers) {
  for (const onnx::NodeProto& node : graph.node()) {
    for (const std::string& output : node.output()) producers->emplace(output, &node);
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_g()) find_producers(attribute.g(), producers);
    }
  }
}

}  // namespace

std::set<std::string> read_tensors(const onnx::GraphProto& graph) {
  std::set<std::string> result;
  Producers producers;
  find_producers(graph, &producers);
  std::vector<std::string> open;
  const auto read = [&](const std::string& name) {
    if (!name.empty() && result.insert(name).second) open.push_back(name);
  };
  for (const onnx::ValueInfoProto& output : graph.output()) read(output.name());
  while (!open.empty()) {
    const std::string name = open.back();
    open.pop_back();
    const auto [first, last] = producers.equal_range(name);
    for (auto found = first; found != last; ++found) {
      for (const std::string& input : found->second->input()) read(input);
      for (const onnx::AttributeProto& attribute : found->second->attribute()) {
        if (!attribute.has_g()) continue;
        for (const onnx::ValueInfoProto& output : attribute.g().output()) read(output.name());
      }
    }
  }
  return result;
}

std::vector<const onnx::NodeProto*> sorted_nodes(const onnx::GraphProto& graph) {
  std::map<std::string, int> producers;
  for (int i = 0; i < graph.node_size(); ++i) {
    for (const std::string& output : graph.node(i).output()) {
      if (!output.empty()) producers.emplace(output, i);
    }
  }
  std::vector<std::set<int>> readers(static_cast<size_t>(graph.node_size()));
  std::vector<size_t> waits(static_cast<size_t>(graph.node_size()));
  const std::function<void(const onnx::NodeProto&, int)> read = [&](const onnx::NodeProto& node, int reader) {
    for (const std::string& input : node.input()) {
      const auto found = producers.find(input);
      if (found != producers.end() && readers[static_cast<size_t>(found->second)].insert(reader).second)
        ++waits[static_cast<size_t>(reader)];
    }
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      for (const onnx::NodeProto& inner : attribute.g().node()) read(inner, reader);
    }
  };
  for (int i = 0; i < graph.node_size(); ++i) read(graph.node(i), i);
  std::set<int> ready;
  for (int i = 0; i < graph.node_size(); ++i) {
    if (waits[static_cast<size_t>(i)] == 0) ready.insert(i);
  }
  std::vector<const onnx::NodeProto*> order;
  std::vector<bool> done(waits.size());
  while (!ready.empty()) {
    const int next = *ready.begin();
    ready.erase(ready.begin());
    done[static_cast<size_t>(next)] = true;
    order.push_back(&graph.node(next));
    for (int reader : readers[static_cast<size_t>(next)]) {
      if (--waits[static_cast<size_t>(reader)] == 0) ready.insert(reader);
    }
  }
  for (int i = 0; i < graph.node_size(); ++i) {
    if (!done[static_cast<size_t>(i)]) order.push_back(&graph.node(i));
  }
  return order;
}

}  // namespace figment::converter
