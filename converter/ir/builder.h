// Appends nodes to a program: what gradients and objectives are written in.
#pragma once

#include <string>
#include <vector>

#include "ir/graph.h"

namespace figment::converter {

// All nodes carry the builder's name. Shapes and types follow op.h's rules; a violation throws Error.
class Builder {
 public:
  Builder(Graph* graph, std::string name) : graph_(*graph), name_(std::move(name)) {}

  Graph& graph() { return graph_; }
  const Shape& shape(ValueId id) const { return graph_[id].shape; }

  ValueId add(OpKind kind, std::vector<ValueId> inputs, const Attributes& attributes = {}) {
    return graph_.add_node(kind, name_, attributes, std::move(inputs));
  }
  // Where the rule takes the shape from the declaration.
  ValueId add_shaped(OpKind kind, std::vector<ValueId> inputs, const Shape& shape, const Attributes& attributes = {});

  // A scalar as a tensor of `rank` dimensions of 1, which broadcasts.
  ValueId scalar(float value, size_t rank);
  // a op b with a scalar b.
  ValueId with_scalar(OpKind kind, ValueId a, float b) { return add(kind, {a, scalar(b, shape(a).rank())}); }

  // Not below `least`, and not above `greatest`.
  ValueId clamp(ValueId x, float least, float greatest);
  ValueId matmul(ValueId a, bool transpose_a, ValueId b, bool transpose_b);
  ValueId reshape(ValueId x, const Shape& shape);
  // [..., K] as [rows, K].
  ValueId rows(ValueId x);
  // Over the axes, which become 1.
  ValueId sum(ValueId x, const Permutation& axes) { return reduce(OpKind::kSum, x, axes); }
  ValueId mean(ValueId x, const Permutation& axes) { return reduce(OpKind::kMean, x, axes); }
  // Over everything, the batch too: [1, ..., 1].
  ValueId mean_all(ValueId x) { return mean(x, all_axes(x)); }
  ValueId sum_all(ValueId x) { return sum(x, all_axes(x)); }
  // Elements [start, start + extent) along an axis.
  ValueId slice(ValueId x, size_t axis, uint32_t start, uint32_t extent);
  // The sum of x over the dimensions in which `shape` is 1 and x is not.
  ValueId sum_to(ValueId x, const Shape& shape);

 private:
  ValueId reduce(OpKind kind, ValueId x, const Permutation& axes);
  Permutation all_axes(ValueId x) const;

  Graph& graph_;
  std::string name_;
};

}  // namespace figment::converter
