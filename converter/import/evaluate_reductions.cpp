// Ops that sum, fold or order elements along axes.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "import/evaluation.h"

namespace figment::converter::evaluation {

namespace {

Known cumulative_sum(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  const KnownTensor& along = required(node, inputs, 1);
  if (along.values.size() != 1) node.fail("its axis must be one number");
  const size_t axis = node.axis(plain(node, along.values[0]).value, x.shape.size());
  const bool exclusive = node.integer("exclusive", 0) != 0;
  const bool reverse = node.integer("reverse", 0) != 0;
  KnownTensor result = make(node, x.shape, x.type);
  const size_t stride = strides_of(x.shape)[axis];
  const size_t extent = x.shape[axis];
  for_each(x.shape, [&](size_t i, const Extents& at) {
    if (at[axis] != 0) return;
    Number sum;
    for (size_t k = 0; k < extent; ++k) {
      const size_t place = i + (reverse ? extent - 1 - k : k) * stride;
      if (exclusive) result.values[place] = sum;
      sum = k == 0 ? x.values[place] : add(node, sum, x.values[place], x.type);
      if (!exclusive) result.values[place] = sum;
    }
  });
  return {{std::move(result)}};
}

// The function that a reduction folds with, and whether it divides by the count.
struct Reduction {
  Binary function;
  bool mean = false;
};

const std::map<std::string, Reduction>& reductions() {
  static const std::map<std::string, Reduction> table = {
      {"ReduceMax", {larger}},    {"ReduceMean", {add, true}}, {"ReduceMin", {smaller}},
      {"ReduceProd", {multiply}}, {"ReduceSum", {add}},
  };
  return table;
}

Known reduce(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  const Reduction& reduction = reductions().at(node.proto.op_type());
  const std::vector<int64_t> axes = integers_of(node, inputs, 1, "axes");
  if (axes.empty() && node.integer("noop_with_empty_axes", 0) != 0) return {{x}};
  std::vector<bool> reduced(x.shape.size(), axes.empty());
  for (int64_t axis : axes) reduced[node.axis(axis, x.shape.size())] = true;
  Extents shape = x.shape;
  size_t count = 1;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (!reduced[d]) continue;
    count *= shape[d];
    shape[d] = 1;
  }
  if (count == 0) node.fail("it reduces no elements");
  KnownTensor result = make(node, shape, x.type);
  std::vector<bool> begun(result.values.size());
  for_each(x.shape, [&](size_t i, const Extents& at) {
    const size_t place = broadcast_place(result, at);
    result.values[place] =
        begun[place] ? reduction.function(node, result.values[place], x.values[i], x.type) : x.values[i];
    begun[place] = true;
  });
  if (reduction.mean) {
    const Number divisor{static_cast<int64_t>(count), false, static_cast<double>(count)};
    for (Number& number : result.values) number = divide(node, number, divisor, x.type);
  }
  if (node.integer("keepdims", 1) == 0) {
    result.shape.clear();
    for (size_t d = 0; d < x.shape.size(); ++d) {
      if (!reduced[d]) result.shape.push_back(x.shape[d]);
    }
  }
  return {{std::move(result)}};
}

// The order of an axis's elements, the greatest or the least first, equal ones by place.
std::vector<size_t> order_of(const OnnxNode& node, const KnownTensor& x, size_t place, size_t stride, size_t extent,
                             bool greatest) {
  std::vector<size_t> order(extent);
  std::iota(order.begin(), order.end(), size_t{0});
  const auto value = [&](size_t i) -> const Number& { return x.values[place + i * stride]; };
  // NaN compares with nothing: it comes last.
  const auto numbers_end =
      std::stable_partition(order.begin(), order.end(), [&](size_t i) { return !std::isnan(value(i).real); });
  std::stable_sort(order.begin(), numbers_end, [&](size_t a, size_t b) {
    const int relation = compare(node, value(a), value(b), x.type);
    return greatest ? relation > 0 : relation < 0;
  });
  return order;
}

Known arg_extreme(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  const size_t axis = node.axis(node.integer("axis", 0), x.shape.size());
  const size_t stride = strides_of(x.shape)[axis];
  Extents shape = x.shape;
  if (shape[axis] == 0) node.fail("it reduces no elements");
  shape[axis] = 1;
  KnownTensor result = make(node, shape, kInt64);
  const Extents strides = strides_of(x.shape);
  const bool greatest = node.proto.op_type() == "ArgMax";
  for_each(shape, [&](size_t i, const Extents& at) {
    const size_t place = std::inner_product(at.begin(), at.end(), strides.begin(), size_t{0});
    const std::vector<size_t> order = order_of(node, x, place, stride, x.shape[axis], greatest);
    size_t best = order[0];
    if (node.integer("select_last_index", 0) != 0) {
      for (size_t other : order) {
        if (compare(node, x.values[place + other * stride], x.values[place + best * stride], x.type) == 0)
          best = std::max(best, other);
      }
    }
    result.values[i] = {static_cast<int64_t>(best)};
  });
  if (node.integer("keepdims", 1) == 0) result.shape.erase(result.shape.begin() + static_cast<ptrdiff_t>(axis));
  return {{std::move(result)}};
}

Known top_k(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  const size_t axis = node.axis(node.integer("axis", -1), x.shape.size());
  const std::vector<int64_t> given = integers_of(node, inputs, 1, "k");
  const int64_t k = !given.empty() ? given[0] : node.integer("k", 0);
  if (k < 0 || k > static_cast<int64_t>(x.shape[axis])) node.fail("its k is out of range");
  Extents shape = x.shape;
  shape[axis] = static_cast<size_t>(k);
  KnownTensor values = make(node, shape, x.type);
  KnownTensor indices = make(node, shape, kInt64);
  const size_t stride = strides_of(x.shape)[axis];
  const size_t extent = x.shape[axis];
  const size_t rows = extent == 0 ? 0 : x.values.size() / extent;
  const bool largest = node.integer("largest", 1) != 0;
  for (size_t row = 0; row < rows; ++row) {
    const size_t outer = row / stride;
    const size_t inner = row % stride;
    const std::vector<size_t> order = order_of(node, x, outer * extent * stride + inner, stride, extent, largest);
    for (size_t i = 0; i < static_cast<size_t>(k); ++i) {
      const size_t place = (outer * static_cast<size_t>(k) + i) * stride + inner;
      values.values[place] = x.values[(outer * extent + order[i]) * stride + inner];
      indices.values[place] = {static_cast<int64_t>(order[i])};
    }
  }
  return {{std::move(values), std::move(indices)}};
}

}  // namespace

Rules reduction_rules() {
  Rules rules = {{"ArgMax", arg_extreme}, {"ArgMin", arg_extreme}, {"CumSum", cumulative_sum}, {"TopK", top_k}};
  for (const auto& [name, rule] : reductions()) rules[name] = reduce;
  return rules;
}

}  // namespace figment::converter::evaluation
