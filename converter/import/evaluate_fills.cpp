// Ops that make tensors, of a number or of places.
#include <algorithm>
#include <cmath>

#include "import/evaluation.h"

namespace figment::converter::evaluation {

namespace {

Known constant_of_shape(const OnnxNode& node, const Inputs& inputs) {
  const std::optional<Extents> shape = extents_from(node, required(node, inputs, 0));
  if (!shape) return std::nullopt;
  KnownTensor one{{}, {{}}, onnx::TensorProto::FLOAT};
  if (const onnx::AttributeProto* value = node.attribute("value")) one = node.known(value->t());
  if (one.values.size() != 1) node.fail("its value must be one number");
  if (one.is_float() && count_of(*shape) > kManyFloats) return std::nullopt;
  KnownTensor result = make(node, *shape, one.type);
  std::fill(result.values.begin(), result.values.end(), one.values[0]);
  return {{std::move(result)}};
}

Known range(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& first = required(node, inputs, 0);
  const auto number = [&](size_t i) -> Number {
    const KnownTensor& x = required(node, inputs, i);
    if (x.values.size() != 1) node.fail("its limits must be numbers");
    return plain(node, x.values[0]);
  };
  const Number start = number(0);
  const Number limit = number(1);
  const Number delta = number(2);
  double count = 0;
  if (first.is_float()) {
    if (delta.real == 0) node.fail("its step is 0");
    count = std::ceil((limit.real - start.real) / delta.real);
  } else {
    if (delta.value == 0) node.fail("its step is 0");
    count = std::ceil((static_cast<double>(limit.value) - static_cast<double>(start.value)) /
                      static_cast<double>(delta.value));
  }
  if (!(count <= static_cast<double>(kMaxElements))) node.fail("its output is too large");
  KnownTensor result = make(node, {static_cast<size_t>(std::max(count, 0.0))}, first.type);
  for (size_t i = 0; i < result.values.size(); ++i) {
    if (first.is_float()) {
      result.values[i] = rounded(start.real + static_cast<double>(i) * delta.real, first.type);
    } else {
      int64_t value = 0;
      if (__builtin_mul_overflow(static_cast<int64_t>(i), delta.value, &value) ||
          __builtin_add_overflow(value, start.value, &value))
        node.fail("its integers overflow");
      result.values[i] = {value};
    }
  }
  return {{std::move(result)}};
}

Known one_hot(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& indices = required(node, inputs, 0);
  const KnownTensor& depth = required(node, inputs, 1);
  const KnownTensor& values = required(node, inputs, 2);
  if (depth.values.size() != 1 || values.values.size() != 2) node.fail("it needs a depth and two values");
  const Number count = plain(node, depth.values[0]);
  const double wanted_depth = depth.is_float() ? count.real : static_cast<double>(count.value);
  if (!(wanted_depth >= 1 && wanted_depth <= static_cast<double>(kMaxElements))) node.fail("its depth is out of range");
  const auto classes = static_cast<int64_t>(wanted_depth);
  Extents shape = indices.shape;
  const size_t axis = node.axis(node.integer("axis", -1), shape.size() + 1);
  shape.insert(shape.begin() + static_cast<ptrdiff_t>(axis), static_cast<size_t>(classes));
  KnownTensor result = make(node, shape, values.type);
  for_each(shape, [&](size_t i, const Extents& at) {
    Extents from = at;
    from.erase(from.begin() + static_cast<ptrdiff_t>(axis));
    const Number index = plain(node, indices.values[broadcast_place(indices, from)]);
    if (indices.is_float() && !(std::fabs(index.real) <= static_cast<double>(kMaxElements)))
      node.fail("its indices are out of range");
    int64_t wanted = indices.is_float() ? static_cast<int64_t>(index.real) : index.value;
    if (wanted < 0) wanted += classes;
    result.values[i] = values.values[wanted == static_cast<int64_t>(at[axis]) ? 1 : 0];
  });
  return {{std::move(result)}};
}

Known non_zero(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  std::vector<Extents> found;
  for_each(x.shape, [&](size_t i, const Extents& at) {
    const Number& number = x.values[i];
    if (number.value != 0 || number.real != 0) found.push_back(at);
  });
  KnownTensor result = make(node, {x.shape.size(), found.size()}, kInt64);
  for (size_t d = 0; d < x.shape.size(); ++d) {
    for (size_t i = 0; i < found.size(); ++i) result.values[d * found.size() + i] = {static_cast<int64_t>(found[i][d])};
  }
  return {{std::move(result)}};
}

Known triangle(const OnnxNode& node, const Inputs& inputs) {
  KnownTensor x = required(node, inputs, 0);
  if (x.shape.size() < 2) node.fail("it needs a matrix");
  int64_t k = 0;
  if (const KnownTensor* given = optional(inputs, 1); given != nullptr && !given->values.empty())
    k = plain(node, given->values[0]).value;
  const bool upper = node.integer("upper", 1) != 0;
  for_each(x.shape, [&](size_t i, const Extents& at) {
    const int64_t diagonal = static_cast<int64_t>(at[at.size() - 1]) - static_cast<int64_t>(at[at.size() - 2]);
    if (upper ? diagonal < k : diagonal > k) x.values[i] = {};
  });
  return {{std::move(x)}};
}

Known eye_like(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  if (x.shape.size() != 2) node.fail("it needs a matrix");
  const auto type = static_cast<int32_t>(node.integer("dtype", x.type));
  KnownTensor result = make(node, x.shape, type);
  const int64_t k = node.integer("k", 0);
  for_each(x.shape, [&](size_t i, const Extents& at) {
    if (static_cast<int64_t>(at[1]) - static_cast<int64_t>(at[0]) != k) return;
    result.values[i] = is_float_type(type) ? Number{0, false, 1} : Number{1};
  });
  return {{std::move(result)}};
}

}  // namespace

Rules fill_rules() {
  return {{"ConstantOfShape", constant_of_shape},
          {"EyeLike", eye_like},
          {"NonZero", non_zero},
          {"OneHot", one_hot},
          {"Range", range},
          {"Trilu", triangle}};
}

}  // namespace figment::converter::evaluation
