// ONNX ops on two operands and more, matrix products and softmax.
#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

#include "import/onnx_graph.h"
#include "ir/builder.h"

namespace figment::converter {

namespace {

template <OpKind kKind>
void import_binary(const OnnxNode& node) {
  if (node.attribute("axis") != nullptr)
    node.fail("broadcasting along an axis ended with opset 7; export with a newer opset");
  const auto [a, b] = equal_ranks(node, node.tensor(0), node.tensor(1));
  const ValueId y = node.add(kKind, {}, {a, b});
  const bool integers = node.holds_integers(0) || node.holds_integers(1);
  Builder build(&node.graph, node.name);
  node.bind(kKind == OpKind::kDivide && integers ? truncated(build, y) : y);
}

ValueId sum_of_inputs(const OnnxNode& node) {
  ValueId sum = node.tensor(0);
  for (size_t i = 1; i < node.input_count(); ++i) {
    const auto [a, b] = equal_ranks(node, sum, node.tensor(i));
    sum = node.add(OpKind::kAdd, {}, {a, b});
  }
  return sum;
}

void import_mean(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  node.bind(build.with_scalar(OpKind::kMultiply, sum_of_inputs(node), 1.0F / static_cast<float>(node.input_count())));
}

// A bound that is one number is a clamp.
void import_extreme(const OnnxNode& node, bool greatest) {
  Builder build(&node.graph, node.name);
  ValueId x = node.tensor(0);
  for (size_t i = 1; i < node.input_count(); ++i) {
    auto [a, b] = equal_ranks(node, x, node.tensor(i));
    const auto is_number = [&](ValueId id) { return node.graph[id].is_constant() && node.graph[id].elements() == 1; };
    if (is_number(a)) std::swap(a, b);
    Attributes bounds;
    if (is_number(b)) {
      (greatest ? bounds.clamp_min : bounds.clamp_max) = node.graph[b].f32()[0];
      x = node.add(OpKind::kClamp, bounds, {a});
      continue;
    }
    x = extreme_of(build, a, b, greatest);
  }
  node.bind(x);
}

// Softmax or its logarithm over one axis; before opset 13 over the axis and all behind it.
ValueId softmax(const OnnxNode& node, OpKind kind) {
  const ValueId x = node.tensor(0);
  const Shape shape = node.graph[x].shape;
  const size_t axis = node.axis(node.integer("axis", node.opset < 13 ? 1 : -1), std::max<size_t>(shape.rank(), 1));
  Attributes attributes;
  if (node.opset >= 13 || axis + 1 == shape.rank()) {
    attributes.axes = {static_cast<uint32_t>(axis)};
    return node.add(kind, attributes, {x});
  }
  Shape flat;
  Dimension rows;
  uint32_t columns = 1;
  for (size_t i = 0; i < shape.rank(); ++i) {
    if (i >= axis) {
      if (shape[i].per_batch) node.fail("cannot normalize over the batch");
      columns *= shape[i].extent;
    } else {
      rows.extent *= shape[i].extent;
      rows.per_batch = rows.per_batch || shape[i].per_batch;
    }
  }
  flat.push_back(rows);
  flat.push_back({columns, false});
  attributes.axes = {1};
  return node.reshape(node.add(kind, attributes, {node.reshape(x, flat)}), shape);
}

// The transpose [K, O] -> [O, K] of a constant, its origin following; of a computed value, as an op.
ValueId transposed_matrix(const OnnxNode& node, ValueId id) {
  if (!node.graph[id].is_constant()) return node.transpose(id, {1, 0});
  const Value& value = node.graph[id];
  const uint32_t rows = value.shape[0].extent;
  const uint32_t columns = value.shape[1].extent;
  std::vector<float> result(value.f32().size());
  for (uint32_t i = 0; i < rows; ++i) {
    for (uint32_t j = 0; j < columns; ++j) result[size_t{j} * rows + i] = value.f32()[size_t{i} * columns + j];
  }
  std::optional<Origin> origin = value.constant->origin;
  if (origin) follow(&*origin, {rows, columns}, {1, 0});
  const ValueId transposed = node.graph.add_constant(value.name, {columns, rows}, result);
  node.graph[transposed].constant->origin = origin;
  return transposed;
}

ValueId scaled_constant(const OnnxNode& node, ValueId id, float factor) {
  if (factor == 1) return id;
  std::vector<float> values(node.graph[id].f32().begin(), node.graph[id].f32().end());
  for (float& value : values) value *= factor;
  const std::vector<uint32_t> shape = extents_of(node.graph[id].shape);
  std::optional<Origin> origin = node.graph[id].constant->origin;
  if (origin) origin->folded = true;
  const ValueId scaled = node.graph.add_constant(node.graph[id].name, shape, values);
  node.graph[scaled].constant->origin = origin;
  return scaled;
}

Attributes swap_last_two(size_t rank) {
  Attributes attributes;
  for (uint32_t i = 0; i < rank; ++i) attributes.permutation.push_back(i);
  std::swap(attributes.permutation[rank - 1], attributes.permutation[rank - 2]);
  return attributes;
}

void import_gemm(const OnnxNode& node) {
  ValueId a = node.tensor(0);
  const ValueId b = node.tensor(1);
  if (node.graph[a].shape.rank() != 2 || node.graph[b].shape.rank() != 2) node.fail("its operands must be matrices");
  const float alpha = node.real("alpha", 1);
  const float beta = node.real("beta", 1);
  if (node.integer("transA", 0) != 0) a = node.add(OpKind::kTranspose, swap_last_two(2), {a});
  const bool transposed = node.integer("transB", 0) != 0;
  ValueId y = 0;
  bool scaled = alpha == 1;
  if (node.is_fixed(b) && !node.is_fixed(a) && (node.graph[b].is_constant() || alpha == 1)) {
    const ValueId weights = scaled_constant(node, transposed ? b : transposed_matrix(node, b), alpha);
    scaled = true;
    const uint32_t outputs = node.graph[weights].shape[0].extent;
    std::vector<ValueId> inputs = {a, weights};
    if (node.has_input(2) && node.graph[node.tensor(2)].is_constant()) {
      const Value& c = node.value(2);
      const std::span<const float> values = c.f32();
      const bool row = values.size() == outputs && (c.shape.rank() < 2 || c.shape[0].extent == 1);
      if (row || values.size() == 1) {
        ValueId bias = node.tensor(2);
        if (values.size() == 1 && outputs != 1) {
          bias = node.graph.add_constant(c.name, {outputs}, std::vector<float>(outputs, values[0]));
        } else {
          bias = node.reshaped(bias, {{outputs, false}});
        }
        inputs.push_back(scaled_constant(node, bias, beta));
        return node.bind(node.add(OpKind::kFullyConnected, {}, inputs));
      }
    }
    y = node.add(OpKind::kFullyConnected, {}, inputs);
  } else {
    const ValueId right = transposed ? node.add(OpKind::kTranspose, swap_last_two(2), {b}) : b;
    y = node.add(OpKind::kMatmul, {}, {a, right});
  }
  const auto times = [&](ValueId x, float factor) {
    if (factor == 1) return x;
    const auto [left, right] = equal_ranks(node, x, node.graph.add_constant(node.name + ".factor", {}, {&factor, 1}));
    return node.add(OpKind::kMultiply, {}, {left, right});
  };
  if (!scaled) y = times(y, alpha);
  if (node.has_input(2)) {
    const auto [left, right] = equal_ranks(node, y, times(node.tensor(2), beta));
    y = node.add(OpKind::kAdd, {}, {left, right});
  }
  node.bind(y);
}

// a and b [.., rows, columns] with leading dimensions of one shape.
std::pair<ValueId, ValueId> equal_leading(const OnnxNode& node, ValueId a, ValueId b) {
  const auto [left, right] = equal_ranks(node, a, b);
  Shape leading = node.graph[left].shape;
  const Shape other = node.graph[right].shape;
  for (size_t i = 0; i + 2 < leading.rank(); ++i) {
    if (leading[i] == Dimension{}) leading[i] = other[i];
    if (other[i] != Dimension{} && other[i] != leading[i]) node.fail("its operands' leading dimensions differ");
  }
  const auto widened = [&](ValueId x) {
    Value declared;
    declared.shape = leading;
    for (size_t i = leading.rank() - 2; i < leading.rank(); ++i) declared.shape[i] = node.graph[x].shape[i];
    return declared.shape == node.graph[x].shape ? x : node.add(OpKind::kBroadcast, {}, {x}, &declared);
  };
  return {widened(left), widened(right)};
}

void import_matmul(const OnnxNode& node) {
  ValueId a = node.tensor(0);
  ValueId b = node.tensor(1);
  const size_t rank_a = node.graph[a].shape.rank();
  const size_t rank_b = node.graph[b].shape.rank();
  if (rank_a < 1 || rank_b < 1) node.fail("its operands need at least one dimension");
  if (rank_b == 2 && node.is_fixed(b) && !node.is_fixed(a)) {
    return node.bind(node.add(OpKind::kFullyConnected, {}, {a, transposed_matrix(node, b)}));
  }
  // Vectors are matrices of one row or column.
  if (rank_a == 1) a = node.reshaped(a, {{}, node.graph[a].shape[0]});
  if (rank_b == 1) b = node.reshaped(b, {node.graph[b].shape[0], {}});
  const auto [left, right] = equal_leading(node, a, b);
  const ValueId y = node.add(OpKind::kMatmul, {}, {left, right});
  const Shape shape = node.graph[y].shape;
  Shape result;
  for (size_t i = 0; i < shape.rank(); ++i) {
    if ((rank_a == 1 && i + 2 == shape.rank()) || (rank_b == 1 && i + 1 == shape.rank())) continue;
    result.push_back(shape[i]);
  }
  node.bind(node.reshaped(y, result));
}

// Sums of products over letters, of one operand or two: a product of matrices [batches, left, summed] and
// [batches, summed, right], the letters in both operands and the output being the batches.
class Einsum {
 public:
  explicit Einsum(const OnnxNode& node) : node_(node), build_(&node.graph, node.name) {
    std::string equation = node.text("equation", "");
    std::erase(equation, ' ');
    const size_t arrow = equation.find("->");
    std::string inputs = equation.substr(0, arrow);
    for (size_t begin = 0; begin <= inputs.size();) {
      const size_t end = std::min(inputs.find(',', begin), inputs.size());
      letters_.push_back(inputs.substr(begin, end - begin));
      begin = end + 1;
    }
    if (letters_.size() != node.input_count() || letters_.size() > 2) node.fail("it must have one operand or two");
    const std::string any = name_ellipses();
    if (arrow != std::string::npos) {
      output_ = equation.substr(arrow + 2);
      if (const size_t dots = output_.find("..."); dots != std::string::npos) output_.replace(dots, 3, any);
    } else {
      // Every letter that stands once, in the order of the alphabet: digits come first.
      output_ = any;
      std::erase(inputs, ',');
      std::erase(inputs, '.');
      for (char c : inputs) {
        if (std::count(inputs.begin(), inputs.end(), c) == 1) output_ += c;
      }
      std::sort(output_.begin(), output_.end());
    }
  }

  void import() {
    std::vector<ValueId> operands;
    for (size_t i = 0; i < letters_.size(); ++i) operands.push_back(operand(i));
    if (operands.size() == 1) return node_.bind(ordered(operands[0], letters_[0], output_));
    std::string batches;
    std::string left;
    std::string summed;
    std::string right;
    for (char c : letters_[0]) {
      const bool second = letters_[1].find(c) != std::string::npos;
      const bool kept = output_.find(c) != std::string::npos;
      (!second ? left : kept ? batches : summed) += c;
    }
    for (char c : letters_[1]) {
      if (letters_[0].find(c) == std::string::npos) right += c;
    }
    const ValueId a = grouped(ordered(operands[0], letters_[0], batches + left + summed),
                              {batches.size(), left.size(), summed.size()});
    const ValueId b = grouped(ordered(operands[1], letters_[1], batches + summed + right),
                              {batches.size(), summed.size(), right.size()});
    const ValueId product = build_.add(OpKind::kMatmul, {a, b});
    Shape shape;
    if (batches.size() + left.size() + right.size() > kMaxRank)
      node_.fail(fmt::format("its output has more than {} dimensions", kMaxRank));
    for (char c : batches + left + right) shape.push_back(dimension(c));
    node_.bind(ordered(build_.reshape(product, shape), batches + left + right, output_));
  }

 private:
  // Names the dimensions that "..." stands for by digits, the last one 9; returns those of the operand with most.
  std::string name_ellipses() {
    std::string most;
    for (size_t i = 0; i < letters_.size(); ++i) {
      const size_t dots = letters_[i].find("...");
      if (dots == std::string::npos) continue;
      const size_t rank = build_.shape(node_.tensor(i)).rank();
      const size_t named = letters_[i].size() - 3;
      if (named > rank) node_.fail("its equation names more dimensions than there are");
      const std::string digits = std::string("0123456789").substr(10 - (rank - named));
      letters_[i].replace(dots, 3, digits);
      if (digits.size() > most.size()) most = digits;
    }
    return most;
  }

  // Operand i, summed over the letters that stand nowhere else.
  ValueId operand(size_t i) {
    ValueId x = node_.tensor(i);
    std::string& letters = letters_[i];
    const Shape shape = build_.shape(x);
    if (letters.size() != shape.rank()) node_.fail("its equation does not name every dimension");
    Permutation gone;
    std::string kept;
    Shape rest;
    for (uint32_t d = 0; d < letters.size(); ++d) {
      const char c = letters[d];
      if (letters.find(c) != d) node_.fail("a diagonal is not supported");
      const bool elsewhere = output_.find(c) != std::string::npos ||
                             (letters_.size() == 2 && letters_[1 - i].find(c) != std::string::npos);
      if (!elsewhere) {
        gone.push_back(d);
        continue;
      }
      kept += c;
      rest.push_back(shape[d]);
      const auto [known, fresh] = extents_.emplace(c, shape[d]);
      if (!fresh && known->second != shape[d]) node_.fail(std::string("its operands differ in the extent of ") + c);
    }
    if (gone.rank() > 0) x = build_.reshape(build_.sum(x, gone), rest);
    letters = kept;
    return x;
  }

  Dimension dimension(char letter) const {
    const auto found = extents_.find(letter);
    if (found == extents_.end()) node_.fail(std::string("its output has ") + letter + ", which no operand has");
    return found->second;
  }

  ValueId ordered(ValueId x, const std::string& from, const std::string& to) const {
    if (from == to) return x;
    Permutation order;
    for (char c : to) {
      if (from.find(c) == std::string::npos || order.full())
        node_.fail("its output names a dimension that is not there");
      order.push_back(static_cast<uint32_t>(from.find(c)));
    }
    if (to.size() != from.size()) node_.fail("its output does not name every dimension once");
    return node_.transpose(x, order);
  }

  // Groups of so many dimensions as one each.
  ValueId grouped(ValueId x, const std::array<size_t, 3>& sizes) {
    const Shape shape = build_.shape(x);
    Shape result;
    size_t next = 0;
    for (size_t size : sizes) {
      Dimension group;
      for (size_t i = 0; i < size; ++i, ++next) {
        group.extent *= shape[next].extent;
        group.per_batch = group.per_batch || shape[next].per_batch;
      }
      result.push_back(group);
    }
    return build_.reshape(x, result);
  }

  const OnnxNode& node_;
  Builder build_;
  std::vector<std::string> letters_;
  std::string output_;
  std::map<char, Dimension> extents_;
};

template <OpKind kKind>
void import_softmax(const OnnxNode& node) {
  node.bind(softmax(node, kKind));
}

// Products with a triangle of ones.
void import_cumulative_sum(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.number(0);
  const Shape shape = build.shape(x);
  const std::vector<int64_t> axes = node.numbers(1);
  if (axes.size() != 1) node.fail("its axis must be one number");
  const size_t axis = axis_within_sample(node, axes[0], shape);
  const uint32_t count = shape[axis].extent;
  const bool exclusive = node.integer("exclusive", 0) != 0;
  const bool reverse = node.integer("reverse", 0) != 0;
  node.expect_room(uint64_t{count} * count * sizeof(float));
  std::vector<float> triangle(size_t{count} * count);
  for (uint32_t to = 0; to < count; ++to) {
    for (uint32_t from = 0; from < count; ++from) {
      const bool before = reverse ? from > to : from < to;
      triangle[size_t{to} * count + from] = before || (from == to && !exclusive) ? 1 : 0;
    }
  }
  Permutation swap;
  for (uint32_t i = 0; i < shape.rank(); ++i) swap.push_back(i);
  std::swap(swap[axis], swap[shape.rank() - 1]);
  const bool moves = axis + 1 != shape.rank();
  const ValueId weights = node.graph.add_constant(node.name + ".triangle", {count, count}, triangle);
  const ValueId sums = build.add(OpKind::kFullyConnected, {moves ? node.transpose(x, swap) : x, weights});
  node.bind(moves ? node.transpose(sums, swap) : sums);
}

// a - b floor(a / b), which has the sign of b, or a - b trunc(a / b), which has that of a.
void import_modulo(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const auto [a, b] = equal_ranks(node, node.number(0), node.number(1));
  const ValueId quotient = build.add(OpKind::kDivide, {a, b});
  const ValueId whole =
      node.integer("fmod", 0) != 0 ? truncated(build, quotient) : build.add(OpKind::kFloor, {quotient});
  node.bind(build.add(OpKind::kSubtract, {a, build.add(OpKind::kMultiply, {whole, b})}));
}

}  // namespace

const Importers& arithmetic_importers() {
  static const Importers table = {
      {"Add", {import_binary<OpKind::kAdd>, 6, {OpKind::kAdd}, ""}},
      {"CumSum", {import_cumulative_sum, 11, {OpKind::kFullyConnected}, "not along the batch"}},
      {"Div",
       {import_binary<OpKind::kDivide>,
        6,
        {OpKind::kSubtract, OpKind::kDivide, OpKind::kClamp, OpKind::kNegate, OpKind::kFloor},
        ""}},
      {"Einsum",
       {[](const OnnxNode& node) { Einsum(node).import(); },
        12,
        {OpKind::kMatmul, OpKind::kSum},
        "one operand or two, no diagonals"}},
      {"Gemm", {import_gemm, 6, {OpKind::kFullyConnected, OpKind::kMatmul, OpKind::kAdd, OpKind::kMultiply}, ""}},
      {"LogSoftmax", {import_softmax<OpKind::kLogSoftmax>, 6, {OpKind::kLogSoftmax}, "not over the batch"}},
      {"MatMul", {import_matmul, 6, {OpKind::kFullyConnected, OpKind::kMatmul, OpKind::kBroadcast}, ""}},
      {"Max",
       {[](const OnnxNode& node) { import_extreme(node, true); },
        6,
        {OpKind::kClamp, OpKind::kGreater, OpKind::kSelect},
        ""}},
      {"Mean", {import_mean, 6, {OpKind::kAdd, OpKind::kMultiply}, ""}},
      {"Min",
       {[](const OnnxNode& node) { import_extreme(node, false); },
        6,
        {OpKind::kClamp, OpKind::kGreater, OpKind::kSelect},
        ""}},
      {"Mod",
       {import_modulo,
        10,
        {OpKind::kSubtract, OpKind::kMultiply, OpKind::kDivide, OpKind::kClamp, OpKind::kNegate, OpKind::kFloor},
        "exact for quotients up to 2^22"}},
      {"Mul", {import_binary<OpKind::kMultiply>, 6, {OpKind::kMultiply}, ""}},
      {"Softmax", {import_softmax<OpKind::kSoftmax>, 6, {OpKind::kSoftmax}, "not over the batch"}},
      {"Sub", {import_binary<OpKind::kSubtract>, 6, {OpKind::kSubtract}, ""}},
      {"Sum", {[](const OnnxNode& node) { node.bind(sum_of_inputs(node)); }, 6, {OpKind::kAdd}, ""}},
  };
  return table;
}

}  // namespace figment::converter
