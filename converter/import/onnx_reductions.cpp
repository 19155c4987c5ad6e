// ONNX's reductions, over any axes.
#include <fmt/format.h>
#include <algorithm>
#include <map>

#include "import/onnx_graph.h"
#include "ir/builder.h"

namespace figment::converter {

namespace {

// What a reduction reduces: x, and its axes.
class Reduction {
 public:
  explicit Reduction(const OnnxNode& node) : node_(node), build_(&node.graph, node.name), x_(node.tensor(0)) {
    const Shape shape = build_.shape(x_);
    std::vector<int64_t> axes = node.has_input(1) ? node.numbers(1) : node.integer_list("axes", {});
    if (axes.empty() && node.integer("noop_with_empty_axes", 0) == 0) {
      for (size_t i = 0; i < shape.rank(); ++i) axes.push_back(static_cast<int64_t>(i));
    }
    reduced_.resize(shape.rank());
    for (int64_t axis : axes) reduced_[node.axis(axis, shape.rank())] = true;
    for (uint32_t i = 0; i < shape.rank(); ++i) {
      if (reduced_[i]) axes_.push_back(i);
    }
  }

  Builder& build() { return build_; }
  ValueId x() const { return x_; }
  // What is no whole number is cut, where the op computes integers.
  ValueId typed(ValueId y) { return node_.holds_integers(0) ? truncated(build_, y) : y; }
  // With no axes, the elements themselves are the sums.
  ValueId sum(ValueId x) { return axes_.rank() == 0 ? x : build_.sum(x, axes_); }
  ValueId mean(ValueId x) { return axes_.rank() == 0 ? x : build_.mean(x, axes_); }

  // x as [kept, reduced], in their orders.
  ValueId rows(ValueId x) {
    const Shape shape = build_.shape(x);
    Attributes order;
    Shape flat = {{}, {}};
    for (bool wanted : {false, true}) {
      for (uint32_t i = 0; i < shape.rank(); ++i) {
        if (reduced_[i] != wanted) continue;
        order.permutation.push_back(i);
        flat[wanted ? 1 : 0].extent *= shape[i].extent;
        flat[wanted ? 1 : 0].per_batch = flat[wanted ? 1 : 0].per_batch || shape[i].per_batch;
      }
    }
    if (flat[1].per_batch) node_.fail("it reduces the batch, whose extent is open");
    return build_.reshape(build_.add(OpKind::kTranspose, {x}, order), flat);
  }
  // Values [kept, 1] in the shape that the op returns, of axes that are 1.
  ValueId from_rows(ValueId values) {
    Shape shape = build_.shape(x_);
    for (size_t i = 0; i < shape.rank(); ++i) {
      if (reduced_[i]) shape[i] = {};
    }
    return build_.reshape(values, shape);
  }

  void bind(ValueId y) {
    if (node_.integer("keepdims", 1) == 0) {
      const Shape shape = build_.shape(x_);
      Shape kept;
      for (size_t i = 0; i < shape.rank(); ++i) {
        if (!reduced_[i]) kept.push_back(shape[i]);
      }
      y = build_.reshape(y, kept);
    }
    node_.bind(y);
  }

 private:
  const OnnxNode& node_;
  Builder build_;
  ValueId x_;
  std::vector<bool> reduced_;
  Permutation axes_;
};

void import_mean(const OnnxNode& node) {
  Reduction reduction(node);
  reduction.bind(reduction.typed(reduction.mean(reduction.x())));
}

void import_sum(const OnnxNode& node) {
  Reduction reduction(node);
  reduction.bind(reduction.sum(reduction.x()));
}

void import_l1(const OnnxNode& node) {
  Reduction reduction(node);
  reduction.bind(reduction.sum(reduction.build().add(OpKind::kAbs, {reduction.x()})));
}

template <bool kRoot>
void import_squares(const OnnxNode& node) {
  Reduction reduction(node);
  const ValueId sum = reduction.sum(reduction.build().add(OpKind::kMultiply, {reduction.x(), reduction.x()}));
  reduction.bind(kRoot ? reduction.typed(reduction.build().add(OpKind::kSqrt, {sum})) : sum);
}

void import_log_sum(const OnnxNode& node) {
  Reduction reduction(node);
  reduction.bind(reduction.typed(reduction.build().add(OpKind::kLog, {reduction.sum(reduction.x())})));
}

// The greatest of each row, by max pooling: [rows, 1].
ValueId greatest_of_rows(const OnnxNode& node, Builder& build, ValueId rows) {
  const Shape shape = build.shape(rows);
  if (shape[1].extent > UINT16_MAX)
    node.fail(fmt::format("it reduces {} elements, {} at most", shape[1].extent, UINT16_MAX));
  Attributes pool;
  pool.window.kernel = {shape[1].extent, 1};
  const ValueId most = build.add(OpKind::kMaxPool2d, {build.reshape(rows, {shape[0], shape[1], {}, {}})}, pool);
  return build.reshape(most, {shape[0], {}});
}

// m + log(sum(e^(x - m))) with the greatest m, which is finite here where all that is left is not.
void import_log_sum_exp(const OnnxNode& node) {
  Reduction reduction(node);
  Builder& build = reduction.build();
  const ValueId rows = reduction.rows(reduction.x());
  Attributes finite;
  finite.clamp_min = std::numeric_limits<float>::lowest();
  finite.clamp_max = std::numeric_limits<float>::max();
  const ValueId greatest = build.add(OpKind::kClamp, {greatest_of_rows(node, build, rows)}, finite);
  const ValueId powers = build.add(OpKind::kExp, {build.add(OpKind::kSubtract, {rows, greatest})});
  const ValueId log = build.add(OpKind::kLog, {build.sum(powers, {1})});
  reduction.bind(reduction.from_rows(build.add(OpKind::kAdd, {greatest, log})));
}

// The least is the negative of the greatest negative.
template <bool kGreatest>
void import_extreme(const OnnxNode& node) {
  Reduction reduction(node);
  Builder& build = reduction.build();
  ValueId rows = reduction.rows(reduction.x());
  if (!kGreatest) rows = build.add(OpKind::kNegate, {rows});
  const ValueId values = greatest_of_rows(node, build, rows);
  reduction.bind(reduction.from_rows(kGreatest ? values : build.add(OpKind::kNegate, {values})));
}

// Halves times halves.
void import_product(const OnnxNode& node) {
  Reduction reduction(node);
  Builder& build = reduction.build();
  ValueId rows = reduction.rows(reduction.x());
  while (build.shape(rows)[1].extent > 1) {
    const uint32_t count = build.shape(rows)[1].extent;
    const uint32_t half = count / 2;
    ValueId product = build.add(OpKind::kMultiply, {build.slice(rows, 1, 0, half), build.slice(rows, 1, half, half)});
    if (count % 2 != 0) {
      Attributes along;
      along.axes = {1};
      product = build.add(OpKind::kConcat, {product, build.slice(rows, 1, count - 1, 1)}, along);
    }
    rows = product;
  }
  reduction.bind(reduction.from_rows(rows));
}

}  // namespace

const Importers& reduction_importers() {
  static const Importers table = {
      {"ReduceL1", {import_l1, 6, {OpKind::kAbs, OpKind::kSum}, ""}},
      {"ReduceL2", {import_squares<true>, 6, {OpKind::kMultiply, OpKind::kSqrt, OpKind::kSum}, ""}},
      {"ReduceLogSum", {import_log_sum, 6, {OpKind::kLog, OpKind::kSum}, ""}},
      {"ReduceLogSumExp",
       {import_log_sum_exp,
        6,
        {OpKind::kMaxPool2d, OpKind::kClamp, OpKind::kSubtract, OpKind::kExp, OpKind::kSum, OpKind::kLog, OpKind::kAdd},
        "65535 elements at most"}},
      {"ReduceMax", {import_extreme<true>, 6, {OpKind::kMaxPool2d}, "65535 elements at most"}},
      {"ReduceMean", {import_mean, 6, {OpKind::kMean}, ""}},
      {"ReduceMin", {import_extreme<false>, 6, {OpKind::kNegate, OpKind::kMaxPool2d}, "65535 elements at most"}},
      {"ReduceProd", {import_product, 6, {OpKind::kMultiply, OpKind::kConcat, OpKind::kSlice}, ""}},
      {"ReduceSum", {import_sum, 6, {OpKind::kSum}, ""}},
      {"ReduceSumSquare", {import_squares<false>, 6, {OpKind::kMultiply, OpKind::kSum}, ""}},
  };
  return table;
}

}  // namespace figment::converter
