#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <limits>

#include "import/evaluation.h"

namespace figment::converter::evaluation {

size_t count_of(const Extents& shape) {
  size_t count = 1;
  for (size_t extent : shape) {
    if (__builtin_mul_overflow(count, extent, &count)) return SIZE_MAX;
  }
  return count;
}

Extents strides_of(const Extents& shape) {
  Extents strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

KnownTensor make(const OnnxNode& node, const Extents& shape, int32_t type) {
  const size_t count = count_of(shape);
  if (count > kMaxElements) node.fail("its output is too large");
  node.expect_room(count * sizeof(Number));
  return {shape, std::vector<Number>(count), type};
}

namespace {

// To a float with so many bits behind the leading one, and exponents from `least` on.
double rounded_to(double real, int bits, int least, double largest) {
  if (real == 0 || !std::isfinite(real)) return real;
  int exponent = 0;
  std::frexp(real, &exponent);
  const int unit = std::max(exponent - 1, least) - bits;
  const double result = std::ldexp(std::nearbyint(std::ldexp(real, -unit)), unit);
  return std::fabs(result) > largest ? std::copysign(std::numeric_limits<double>::infinity(), real) : result;
}

}  // namespace

Number rounded(double real, int32_t type) {
  switch (type) {
    case onnx::TensorProto::DOUBLE: break;
    case onnx::TensorProto::FLOAT16: real = rounded_to(real, 10, -14, 65504); break;
    case onnx::TensorProto::BFLOAT16: real = rounded_to(real, 7, -126, std::numeric_limits<float>::max()); break;
    default: real = static_cast<double>(static_cast<float>(real));
  }
  return {0, false, real};
}

Number plain(const OnnxNode& node, const Number& x) {
  if (x.per_batch) node.fail("its result depends on the batch, and not as a multiple of it");
  return x;
}

std::vector<int64_t> integers_of(const OnnxNode& node, const KnownTensor& x) {
  std::vector<int64_t> result;
  for (const Number& number : x.values) result.push_back(plain(node, number).value);
  return result;
}

const KnownTensor& required(const OnnxNode& node, const Inputs& inputs, size_t i) {
  if (i >= inputs.size() || inputs[i] == nullptr) node.fail(fmt::format("input {} is missing", i));
  return *inputs[i];
}

const KnownTensor* optional(const Inputs& inputs, size_t i) { return i < inputs.size() ? inputs[i] : nullptr; }

std::vector<int64_t> integers_of(const OnnxNode& node, const Inputs& inputs, size_t i, const char* attribute) {
  if (const KnownTensor* given = optional(inputs, i)) return integers_of(node, *given);
  return node.integer_list(attribute, {});
}

size_t index_in(const OnnxNode& node, int64_t index, size_t extent) {
  const auto count = static_cast<int64_t>(extent);
  if (index < -count || index >= count) node.fail(fmt::format("index {} is out of range", index));
  return static_cast<size_t>(index < 0 ? index + count : index);
}

Extents broadcast_shape(const OnnxNode& node, const Extents& a, const Extents& b) {
  Extents result(std::max(a.size(), b.size()), 1);
  for (const Extents* shape : {&a, &b}) {
    for (size_t i = 0; i < shape->size(); ++i) {
      size_t& extent = result[result.size() - shape->size() + i];
      if (extent != 1 && (*shape)[i] != 1 && extent != (*shape)[i])
        node.fail("its operands' shapes do not fit together");
      if ((*shape)[i] != 1) extent = (*shape)[i];
    }
  }
  return result;
}

size_t broadcast_place(const KnownTensor& x, const Extents& at) {
  size_t place = 0;
  for (size_t i = 0; i < x.shape.size(); ++i) {
    const size_t index = at[at.size() - x.shape.size() + i];
    place = place * x.shape[i] + (x.shape[i] == 1 ? 0 : index);
  }
  return place;
}

std::optional<Extents> extents_from(const OnnxNode& node, const KnownTensor& x) {
  Extents result;
  for (const Number& number : x.values) {
    if (number.per_batch) return std::nullopt;
    if (number.value < 0 || static_cast<uint64_t>(number.value) > kMaxElements)
      node.fail(fmt::format("its shape has a dimension of {}", number.value));
    result.push_back(static_cast<size_t>(number.value));
  }
  return result;
}

}  // namespace figment::converter::evaluation
