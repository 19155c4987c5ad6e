#include "passes/recompute.h"

#include <algorithm>
#include <map>
#include <set>

namespace figment::converter {

namespace {

constexpr size_t kBatch = 64;  // at which bytes are weighed
constexpr double kWorth = 0.97;

size_t longest_chain(Recompute what) { return what == Recompute::kCheap ? 3 : 16; }

bool is_cheap(OpKind kind) {
  return format::is_unary_function(kind) || format::is_binary(kind) || kind == OpKind::kBatchNorm ||
         kind == OpKind::kReshape || kind == OpKind::kBroadcast;
}

// Where values of a program are made, read, and changed; positions are those of the nodes.
class Liveness {
 public:
  explicit Liveness(const Graph& graph) : graph_(graph), producer_(graph.producers()), reads_(graph.values.size()) {
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      const Node& node = graph.nodes[i];
      for (ValueId id : node.inputs) {
        if (reads_[id].empty() || reads_[id].back() != i) reads_[id].push_back(i);
      }
      if (format::is_update(node.kind)) updates_[node.output].push_back(i);
    }
    for (const PortDefinition& port : graph.outputs) reads_[port.value].push_back(graph.nodes.size());
  }

  const std::vector<size_t>& reads(ValueId id) const { return reads_[id]; }
  int32_t producer(ValueId id) const { return graph_[id].is_constant() ? -1 : producer_[id]; }
  size_t last(ValueId id) const { return reads_[id].empty() ? 0 : reads_[id].back(); }
  bool updated_between(ValueId id, size_t first, size_t last) const {
    const auto found = updates_.find(id);
    return found != updates_.end() &&
           std::any_of(found->second.begin(), found->second.end(), [&](size_t at) { return at > first && at < last; });
  }
  uint64_t bytes(ValueId id) const {
    return element_count(graph_[id].shape, kBatch).value() * format::element_size(graph_[id].type);
  }

  // The most bytes that are alive at once, and the sum over all positions.
  std::pair<uint64_t, uint64_t> weight() const {
    std::vector<int64_t> change(graph_.nodes.size() + 2);
    uint64_t sum = 0;
    for (ValueId id = 0; id < graph_.values.size(); ++id) {
      const bool input = std::any_of(graph_.inputs.begin(), graph_.inputs.end(),
                                     [id](const PortDefinition& port) { return port.value == id; });
      if (graph_[id].is_constant() || (producer_[id] < 0 && !input)) continue;
      const size_t first = input ? 0 : static_cast<size_t>(producer_[id]);
      const size_t end = std::max(first, last(id));
      change[first] += static_cast<int64_t>(bytes(id));
      change[end + 1] -= static_cast<int64_t>(bytes(id));
      sum += bytes(id) * (end - first + 1);
    }
    int64_t alive = 0;
    int64_t most = 0;
    for (int64_t step : change) {
      alive += step;
      most = std::max(most, alive);
    }
    return {static_cast<uint64_t>(most), sum};
  }

 private:
  const Graph& graph_;
  std::vector<int32_t> producer_;
  std::vector<std::vector<size_t>> reads_;
  std::map<ValueId, std::vector<size_t>> updates_;
};

// The nodes, in order, that make `id` again at position `at` from what is alive there; false if that cannot be.
bool chain_to(const Graph& graph, const Liveness& live, ValueId id, size_t at, Recompute what,
              std::set<size_t>* chain) {
  const int32_t producer = live.producer(id);
  if (producer < 0) return false;
  const auto position = static_cast<size_t>(producer);
  const Node& node = graph.nodes[position];
  if ((what == Recompute::kCheap && !is_cheap(node.kind)) || chain->size() >= longest_chain(what)) return false;
  chain->insert(position);
  return std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId input) {
    if (graph[input].is_constant()) return !live.updated_between(input, position, at);
    if (live.last(input) >= at) return true;
    return chain_to(graph, live, input, at, what, chain);
  });
}

// The read of `id` before which it lies unused for longest.
size_t longest_rest(const Liveness& live, ValueId id) {
  auto from = static_cast<size_t>(live.producer(id));
  size_t longest = 0;
  size_t result = 0;
  for (size_t read : live.reads(id)) {
    if (read - from > longest) {
      longest = read - from;
      result = read;
    }
    from = read;
  }
  return result;
}

// The program with the chain repeated before node `at`, whose result is read from there on.
Graph repeated(const Graph& graph, const std::set<size_t>& chain, size_t at) {
  Graph result = graph;
  std::map<ValueId, ValueId> copies;
  std::vector<Node> nodes;
  for (size_t position : chain) {
    Node node = graph.nodes[position];
    for (ValueId& input : node.inputs) {
      if (const auto found = copies.find(input); found != copies.end()) input = found->second;
    }
    copies[node.output] = result.add_value(graph[node.output]);
    node.output = copies[node.output];
    nodes.push_back(std::move(node));
  }
  for (size_t i = at; i < result.nodes.size(); ++i) {
    for (ValueId& input : result.nodes[i].inputs) {
      if (const auto found = copies.find(input); found != copies.end()) input = found->second;
    }
  }
  result.nodes.insert(result.nodes.begin() + static_cast<std::ptrdiff_t>(at), nodes.begin(), nodes.end());
  return result;
}

}  // namespace

namespace {

// Orders the nodes [first, end) of a program: no updates are among them.
class SegmentOrder {
 public:
  SegmentOrder(const Graph& graph, size_t first, size_t end) : graph_(graph), first_(first), end_(end), live_(graph) {
    for (size_t i = first; i < end; ++i) {
      for (ValueId id : std::set<ValueId>(graph.nodes[i].inputs.begin(), graph.nodes[i].inputs.end())) {
        readers_[id].push_back(i);
        const int32_t producer = live_.producer(id);
        if (producer >= static_cast<int32_t>(first)) ++waits_[i];
      }
    }
  }

  std::vector<Node> run() {
    std::set<size_t> ready;
    for (size_t i = first_; i < end_; ++i) {
      if (waits_[i] == 0) ready.insert(i);
    }
    std::map<ValueId, size_t> left;
    for (const auto& [id, readers] : readers_) left[id] = readers.size();
    std::vector<Node> result;
    while (!ready.empty()) {
      size_t best = *ready.begin();
      int64_t least = INT64_MAX;
      for (size_t i : ready) {
        const int64_t cost = growth(i, left);
        if (cost < least) {
          least = cost;
          best = i;
        }
      }
      ready.erase(best);
      const Node& node = graph_.nodes[best];
      for (ValueId id : std::set<ValueId>(node.inputs.begin(), node.inputs.end())) --left[id];
      for (size_t reader : readers_[node.output]) {
        if (--waits_[reader] == 0) ready.insert(reader);
      }
      result.push_back(node);
    }
    return result;
  }

 private:
  // Bytes that running node `i` next would add to those alive.
  int64_t growth(size_t i, const std::map<ValueId, size_t>& left) const {
    const Node& node = graph_.nodes[i];
    auto bytes = static_cast<int64_t>(live_.bytes(node.output));
    for (ValueId id : std::set<ValueId>(node.inputs.begin(), node.inputs.end())) {
      const bool dies = !graph_[id].is_constant() && left.at(id) == 1 && live_.last(id) < end_;
      if (dies) bytes -= static_cast<int64_t>(live_.bytes(id));
    }
    return bytes;
  }

  const Graph& graph_;
  size_t first_;
  size_t end_;
  Liveness live_;
  std::map<ValueId, std::vector<size_t>> readers_;  // in the segment
  std::map<size_t, size_t> waits_;                  // operands that are yet to be computed, by node
};

}  // namespace

Graph ordered_for_memory(const Graph& program) {
  Graph result = program;
  result.nodes.clear();
  for (size_t i = 0; i < program.nodes.size();) {
    if (format::is_update(program.nodes[i].kind)) {
      result.nodes.push_back(program.nodes[i++]);
      continue;
    }
    size_t end = i;
    while (end < program.nodes.size() && !format::is_update(program.nodes[end].kind)) ++end;
    const std::vector<Node> ordered = SegmentOrder(program, i, end).run();
    result.nodes.insert(result.nodes.end(), ordered.begin(), ordered.end());
    i = end;
  }
  return Liveness(result).weight() < Liveness(program).weight() ? result : program;
}

std::optional<Graph> with_recomputation(const Graph& program, Recompute what) {
  Graph best = program;
  const uint64_t before = Liveness(program).weight().first;
  std::set<ValueId> tried;
  while (true) {
    const Liveness live(best);
    const auto weight = live.weight();
    // The value that takes most for longest, of those that can be made again.
    std::optional<ValueId> choice;
    std::set<size_t> chain;
    size_t at = 0;
    uint64_t gain = 0;
    for (ValueId id = 0; id < best.values.size(); ++id) {
      if (best[id].is_constant() || tried.contains(id) || live.producer(id) < 0 || live.reads(id).size() < 2) continue;
      const size_t read = longest_rest(live, id);
      const uint64_t rest = live.bytes(id) * (read - static_cast<size_t>(live.producer(id)));
      std::set<size_t> nodes;
      if (read >= best.nodes.size() || rest <= gain || !chain_to(best, live, id, read, what, &nodes)) continue;
      choice = id;
      chain = std::move(nodes);
      at = read;
      gain = rest;
    }
    if (!choice) break;
    tried.insert(*choice);
    Graph trial = repeated(best, chain, at);
    if (Liveness(trial).weight() >= weight) continue;
    best = std::move(trial);
    // What did not help at another peak may do so now.
    tried.clear();
  }
  best = ordered_for_memory(best);
  const auto after = static_cast<double>(Liveness(best).weight().first);
  if (after > kWorth * static_cast<double>(before)) return std::nullopt;
  return best;
}

}  // namespace figment::converter
