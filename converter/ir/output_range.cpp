#include "ir/output_range.h"

#include <limits>

namespace figment::converter {

std::pair<float, float> reach_of(const Graph& graph, ValueId id) {
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  const std::vector<int32_t> producers = graph.producers();
  while (producers[id] >= 0) {
    const Node& node = graph.nodes[static_cast<size_t>(producers[id])];
    if (node.kind == OpKind::kSigmoid) return {0.0F, 1.0F};
    if (node.kind == OpKind::kTanh) return {-1.0F, 1.0F};
    if (node.kind == OpKind::kExp || node.kind == OpKind::kSoftplus || node.kind == OpKind::kAbs ||
        node.kind == OpKind::kSqrt)
      return {0.0F, kInfinite};
    if (node.kind == OpKind::kReshape || node.kind == OpKind::kTranspose || node.kind == OpKind::kSlice) {
      id = node.inputs[0];
      continue;
    }
    return {node.attributes.clamp_min, node.attributes.clamp_max};
  }
  return {-kInfinite, kInfinite};
}

std::optional<std::pair<float, float>> range_of(const Graph& graph, ValueId id) {
  constexpr float kMost = 1e30F;
  const auto [low, high] = reach_of(graph, id);
  if (low > -kMost && high < kMost) return {{low, high}};
  return std::nullopt;
}

}  // namespace figment::converter
