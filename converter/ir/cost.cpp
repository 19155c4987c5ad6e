#include "ir/cost.h"

#include <algorithm>

#include "core/checked.h"

namespace figment::converter {

uint64_t operations(const Graph& graph, const Node& node) {
  const auto elements = [&](ValueId id) { return CheckedSize(graph[id].elements()); };
  CheckedSize most = elements(node.output);
  for (ValueId id : node.inputs) most = std::max(most.value(), elements(id).value());
  const auto extent = [&](size_t input, bool last) -> uint64_t {
    const Shape& shape = graph[node.inputs[input]].shape;
    return shape.rank() == 0 ? 1 : shape[last ? shape.rank() - 1 : 0].extent;
  };
  CheckedSize each = 1;
  if (format::is_linear(node.kind)) {
    each = elements(node.inputs[1]).value() / std::max<uint64_t>(extent(1, false), 1);
  } else if (node.kind == OpKind::kMatmul) {
    each = extent(0, true);
  } else if (node.kind == OpKind::kAveragePool2d || node.kind == OpKind::kMaxPool2d) {
    each = uint64_t{node.attributes.window.kernel[0]} * node.attributes.window.kernel[1];
  } else if (node.kind == OpKind::kLstm || node.kind == OpKind::kGru || node.kind == OpKind::kLstmI8 ||
             node.kind == OpKind::kGruI8) {
    each = extent(1, true);
  }
  const CheckedSize total = most * each.value();
  return total.valid() ? total.value() : UINT64_MAX;
}

uint64_t operations(const Graph& graph) {
  CheckedSize total = 0;
  for (const Node& node : graph.nodes) total += operations(graph, node);
  return total.valid() ? total.value() : UINT64_MAX;
}

}  // namespace figment::converter
