#include "import/evaluate.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>

namespace figment::converter {

namespace {

using Inputs = std::vector<const KnownTensor*>;
using Known = std::optional<std::vector<KnownTensor>>;
using Extents = std::vector<size_t>;
constexpr int32_t kBool = onnx::TensorProto::BOOL;
constexpr int32_t kInt64 = onnx::TensorProto::INT64;

size_t count_of(const Extents& shape) {
  size_t count = 1;
  for (size_t extent : shape) {
    if (__builtin_mul_overflow(count, extent, &count)) return SIZE_MAX;
  }
  return count;
}

// Elements between neighbors of each dimension.
Extents strides_of(const Extents& shape) {
  Extents strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

// A tensor of that shape, still of zeros; the file must be large enough for it.
KnownTensor make(const OnnxNode& node, const Extents& shape, int32_t type) {
  const size_t count = count_of(shape);
  if (count > kMaxElements) node.fail("its output is too large");
  node.expect_room(count * sizeof(Number));
  return {shape, std::vector<Number>(count), type};
}

// Calls visit(place in row-major order, indices) for all elements of a shape.
template <typename Visit>
void for_each(const Extents& shape, const Visit& visit) {
  Extents at(shape.size());
  const size_t count = count_of(shape);
  for (size_t i = 0; i < count; ++i) {
    visit(i, at);
    for (size_t d = shape.size(); d-- > 0;) {
      if (++at[d] < shape[d]) break;
      at[d] = 0;
    }
  }
}

// out[at] = x[source(at)], `source` being a place in row-major order.
template <typename Source>
KnownTensor picked(const OnnxNode& node, const KnownTensor& x, const Extents& shape, const Source& source) {
  KnownTensor result = make(node, shape, x.type);
  for_each(shape, [&](size_t i, const Extents& at) { result.values[i] = x.values[source(at)]; });
  return result;
}

// To a float with so many bits behind the leading one, and exponents from `least` on.
double rounded_to(double real, int bits, int least, double largest) {
  if (real == 0 || !std::isfinite(real)) return real;
  int exponent = 0;
  std::frexp(real, &exponent);
  const int unit = std::max(exponent - 1, least) - bits;
  const double result = std::ldexp(std::nearbyint(std::ldexp(real, -unit)), unit);
  return std::fabs(result) > largest ? std::copysign(std::numeric_limits<double>::infinity(), real) : result;
}

Number rounded(double real, int32_t type) {
  switch (type) {
    case onnx::TensorProto::DOUBLE: break;
    case onnx::TensorProto::FLOAT16: real = rounded_to(real, 10, -14, 65504); break;
    case onnx::TensorProto::BFLOAT16: real = rounded_to(real, 7, -126, std::numeric_limits<float>::max()); break;
    default: real = static_cast<double>(static_cast<float>(real));
  }
  return {0, false, real};
}

// Beyond this, a tensor of floats is left to the program's constants, which take less memory.
constexpr size_t kManyFloats = 4096;

// The number itself, of which the batch is no factor.
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

// Integers of an input, or where it is not given, of an attribute.
std::vector<int64_t> integers_of(const OnnxNode& node, const Inputs& inputs, size_t i, const char* attribute) {
  if (const KnownTensor* given = optional(inputs, i)) return integers_of(node, *given);
  return node.integer_list(attribute, {});
}

size_t index_in(const OnnxNode& node, int64_t index, size_t extent) {
  const auto count = static_cast<int64_t>(extent);
  if (index < -count || index >= count) node.fail(fmt::format("index {} is out of range", index));
  return static_cast<size_t>(index < 0 ? index + count : index);
}

// Elementwise functions. Multiples of the batch stay such where they can.

Number sum(const OnnxNode& node, const Number& x, const Number& y, int32_t type, int64_t sign) {
  const auto is_zero = [](const Number& number) { return number.value == 0 && number.real == 0; };
  Number z;
  z.per_batch = x.per_batch || y.per_batch;
  if (x.per_batch != y.per_batch && !is_zero(x.per_batch ? y : x))
    node.fail("it adds a constant to a multiple of the batch");
  if (is_float_type(type)) {
    z.real = rounded(x.real + static_cast<double>(sign) * y.real, type).real;
  } else if (sign > 0 ? __builtin_add_overflow(x.value, y.value, &z.value)
                      : __builtin_sub_overflow(x.value, y.value, &z.value)) {
    node.fail("its integers overflow");
  }
  return z;
}

Number add(const OnnxNode& node, const Number& x, const Number& y, int32_t type) { return sum(node, x, y, type, 1); }
Number subtract(const OnnxNode& node, const Number& x, const Number& y, int32_t type) {
  return sum(node, x, y, type, -1);
}

Number multiply(const OnnxNode& node, const Number& x, const Number& y, int32_t type) {
  if (x.per_batch && y.per_batch) node.fail("it squares the batch");
  Number z;
  z.per_batch = x.per_batch || y.per_batch;
  if (is_float_type(type)) {
    z.real = rounded(x.real * y.real, type).real;
  } else if (__builtin_mul_overflow(x.value, y.value, &z.value)) {
    node.fail("its integers overflow");
  }
  return z;
}

Number divide(const OnnxNode& node, const Number& x, const Number& y, int32_t type) {
  if (y.per_batch && !x.per_batch) node.fail("it divides by the batch");
  Number z;
  z.per_batch = x.per_batch && !y.per_batch;
  if (is_float_type(type)) {
    z.real = rounded(x.real / y.real, type).real;
    return z;
  }
  if (y.value == 0 || (x.value == INT64_MIN && y.value == -1)) node.fail("it divides an integer by zero");
  z.value = x.value / y.value;
  if (z.per_batch && x.value % y.value != 0) node.fail("it rounds a part of the batch");
  return z;
}

// With the divisor's sign, or with the dividend's where the op says fmod.
Number modulo(const OnnxNode& node, const Number& x, const Number& y, int32_t type) {
  plain(node, x);
  plain(node, y);
  const bool dividend_sign = node.integer("fmod", 0) != 0;
  if (is_float_type(type)) {
    const double rest = std::fmod(x.real, y.real);
    return rounded(!dividend_sign && rest != 0 && (rest < 0) != (y.real < 0) ? rest + y.real : rest, type);
  }
  if (y.value == 0) node.fail("it divides an integer by zero");
  if (y.value == -1) return {};
  const int64_t rest = x.value % y.value;
  return {!dividend_sign && rest != 0 && (rest < 0) != (y.value < 0) ? rest + y.value : rest};
}

Number power(const OnnxNode& node, const Number& x, const Number& y, int32_t type) {
  plain(node, x);
  plain(node, y);
  if (is_float_type(type)) return rounded(std::pow(x.real, y.real + static_cast<double>(y.value)), type);
  if (y.value < 0 && x.value != 1 && x.value != -1) node.fail("an integer to a negative power is no integer");
  Number z{1};
  for (int64_t i = 0; i < std::min<int64_t>(std::abs(y.value), 64); ++i) {
    if (__builtin_mul_overflow(z.value, x.value, &z.value)) node.fail("its integers overflow");
  }
  if (y.value > 64 && std::abs(x.value) <= 1) z.value = x.value == -1 && y.value % 2 != 0 ? -1 : x.value * x.value;
  return z;
}

// -1, 0 or 1 as x is less than, equal to or greater than y, for all batches from 1 on.
int compare(const OnnxNode& node, const Number& x, const Number& y, int32_t type) {
  const bool real = is_float_type(type);
  const double a = real ? x.real : static_cast<double>(x.value);
  const double b = real ? y.real : static_cast<double>(y.value);
  if (x.per_batch == y.per_batch) {
    if (!real) return x.value < y.value ? -1 : x.value > y.value ? 1 : 0;
    return a < b ? -1 : a > b ? 1 : 0;
  }
  if (y.per_batch) return -compare(node, y, x, type);
  if (a > 0 && a > b) return 1;
  if (a < 0 && a < b) return -1;
  if (a == 0) return b > 0 ? -1 : b < 0 ? 1 : 0;
  node.fail("it asks whether the batch is of a certain size, which is open: export without the question");
}

Number equal(const OnnxNode& node, const Number& x, const Number& y, int32_t type) {
  if (x.per_batch != y.per_batch && !is_float_type(type)) {
    // A multiple of the batch, and a number that it is for some batch.
    const int64_t multiple = x.per_batch ? x.value : y.value;
    const int64_t number = x.per_batch ? y.value : x.value;
    if (multiple != 0 && (number % multiple != 0 || number / multiple < 1)) return {0};
  }
  return {compare(node, x, y, type) == 0 ? 1 : 0};
}

Number less(const OnnxNode& n, const Number& x, const Number& y, int32_t t) { return {compare(n, x, y, t) < 0}; }
Number greater(const OnnxNode& n, const Number& x, const Number& y, int32_t t) { return {compare(n, x, y, t) > 0}; }
Number at_most(const OnnxNode& n, const Number& x, const Number& y, int32_t t) { return {compare(n, x, y, t) <= 0}; }
Number at_least(const OnnxNode& n, const Number& x, const Number& y, int32_t t) { return {compare(n, x, y, t) >= 0}; }
Number larger(const OnnxNode& n, const Number& x, const Number& y, int32_t t) {
  return compare(n, x, y, t) < 0 ? y : x;
}
Number smaller(const OnnxNode& n, const Number& x, const Number& y, int32_t t) {
  return compare(n, x, y, t) > 0 ? y : x;
}

template <bool (*kFunction)(bool, bool)>
Number logical(const OnnxNode& node, const Number& x, const Number& y, int32_t /*type*/) {
  return {kFunction(plain(node, x).value != 0, plain(node, y).value != 0)};
}
bool both(bool x, bool y) { return x && y; }
bool either(bool x, bool y) { return x || y; }
bool one_of(bool x, bool y) { return x != y; }

using Binary = Number (*)(const OnnxNode&, const Number&, const Number&, int32_t type);
struct BinaryRule {
  Binary function;
  bool compares = false;  // the result is boolean
};

const std::map<std::string, BinaryRule>& binary_rules() {
  static const std::map<std::string, BinaryRule> table = {
      {"Add", {add}},
      {"And", {logical<both>, true}},
      {"Div", {divide}},
      {"Equal", {equal, true}},
      {"Greater", {greater, true}},
      {"GreaterOrEqual", {at_least, true}},
      {"Less", {less, true}},
      {"LessOrEqual", {at_most, true}},
      {"Max", {larger}},
      {"Min", {smaller}},
      {"Mod", {modulo}},
      {"Mul", {multiply}},
      {"Or", {logical<either>, true}},
      {"Pow", {power}},
      {"Sub", {subtract}},
      {"Sum", {add}},
      {"Xor", {logical<one_of>, true}},
  };
  return table;
}

// The shape that shapes broadcast to.
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

// The place in `x` that an index of a larger shape reads.
size_t broadcast_place(const KnownTensor& x, const Extents& at) {
  size_t place = 0;
  for (size_t i = 0; i < x.shape.size(); ++i) {
    const size_t index = at[at.size() - x.shape.size() + i];
    place = place * x.shape[i] + (x.shape[i] == 1 ? 0 : index);
  }
  return place;
}

KnownTensor apply(const OnnxNode& node, const BinaryRule& rule, const KnownTensor& x, const KnownTensor& y) {
  KnownTensor result = make(node, broadcast_shape(node, x.shape, y.shape), rule.compares ? kBool : x.type);
  for_each(result.shape, [&](size_t i, const Extents& at) {
    result.values[i] = rule.function(node, x.values[broadcast_place(x, at)], y.values[broadcast_place(y, at)], x.type);
  });
  return result;
}

Known binary(const OnnxNode& node, const Inputs& inputs) {
  if (node.attribute("axis") != nullptr)
    node.fail("broadcasting along an axis ended with opset 7; export with a newer opset");
  const BinaryRule& rule = binary_rules().at(node.proto.op_type());
  KnownTensor result = required(node, inputs, 0);
  for (size_t i = 1; i < inputs.size(); ++i) result = apply(node, rule, result, required(node, inputs, i));
  return {{std::move(result)}};
}

// What a function makes of a multiple of the batch.
enum class OfBatch : uint8_t {
  kFails,
  kMultiple,  // a multiple of the batch
  kWhole      // the same where the factor is a whole number
};

// Of floats, of integers, or of both.
struct UnaryRule {
  double (*real)(double) = nullptr;
  int64_t (*integer)(int64_t) = nullptr;
  OfBatch of_batch = OfBatch::kFails;
};

const std::map<std::string, UnaryRule>& unary_rules() {
  static const std::map<std::string, UnaryRule> table = {
      {"Abs", {[](double x) { return std::fabs(x); }, [](int64_t x) { return x < 0 ? -x : x; }, OfBatch::kMultiple}},
      {"Ceil", {[](double x) { return std::ceil(x); }, nullptr, OfBatch::kWhole}},
      {"Cos", {[](double x) { return std::cos(x); }}},
      {"Erf", {[](double x) { return std::erf(x); }}},
      {"Exp", {[](double x) { return std::exp(x); }}},
      {"Floor", {[](double x) { return std::floor(x); }, nullptr, OfBatch::kWhole}},
      {"Log", {[](double x) { return std::log(x); }}},
      {"Neg", {[](double x) { return -x; }, [](int64_t x) { return -x; }, OfBatch::kMultiple}},
      {"Not", {nullptr, [](int64_t x) { return int64_t{x == 0}; }}},
      {"Reciprocal", {[](double x) { return 1 / x; }}},
      {"Relu", {[](double x) { return std::max(x, 0.0); }, [](int64_t x) { return std::max<int64_t>(x, 0); }}},
      {"Round", {[](double x) { return std::nearbyint(x); }, nullptr, OfBatch::kWhole}},
      {"Sigmoid", {[](double x) { return 1 / (1 + std::exp(-x)); }}},
      {"Sign",
       {[](double x) { return x > 0   ? 1.0
                              : x < 0 ? -1.0
                                      : 0.0; }, [](int64_t x) { return int64_t{x > 0} - (x < 0); }}},
      {"Sin", {[](double x) { return std::sin(x); }}},
      {"Sqrt", {[](double x) { return std::sqrt(x); }}},
      {"Tanh", {[](double x) { return std::tanh(x); }}},
  };
  return table;
}

Known unary(const OnnxNode& node, const Inputs& inputs) {
  const UnaryRule& rule = unary_rules().at(node.proto.op_type());
  KnownTensor result = required(node, inputs, 0);
  for (Number& x : result.values) {
    const bool multiple =
        rule.of_batch == OfBatch::kMultiple || (rule.of_batch == OfBatch::kWhole && x.real == std::nearbyint(x.real));
    if (!multiple) plain(node, x);
    if (result.is_float()) {
      if (rule.real == nullptr) node.fail("it takes integers");
      x.real = rounded(rule.real(x.real), result.type).real;
    } else {
      if (rule.integer == nullptr || x.value == INT64_MIN) node.fail("it does not take this integer");
      x.value = rule.integer(x.value);
    }
  }
  return {{std::move(result)}};
}

Known where(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& condition = required(node, inputs, 0);
  const KnownTensor& x = required(node, inputs, 1);
  const KnownTensor& y = required(node, inputs, 2);
  const Extents shape = broadcast_shape(node, broadcast_shape(node, condition.shape, x.shape), y.shape);
  KnownTensor result = make(node, shape, x.type);
  for_each(shape, [&](size_t i, const Extents& at) {
    const bool chosen = plain(node, condition.values[broadcast_place(condition, at)]).value != 0;
    const KnownTensor& from = chosen ? x : y;
    result.values[i] = from.values[broadcast_place(from, at)];
  });
  return {{std::move(result)}};
}

Known clip(const OnnxNode& node, const Inputs& inputs) {
  KnownTensor result = required(node, inputs, 0);
  const KnownTensor* low = optional(inputs, 1);
  const KnownTensor* high = optional(inputs, 2);
  KnownTensor bound{{}, {{}}, result.type};
  if (low == nullptr && node.attribute("min") != nullptr) bound.values[0].real = node.real("min", 0), low = &bound;
  if (low != nullptr) result = apply(node, {larger}, result, *low);
  KnownTensor upper{{}, {{}}, result.type};
  if (high == nullptr && node.attribute("max") != nullptr) upper.values[0].real = node.real("max", 0), high = &upper;
  if (high != nullptr) result = apply(node, {smaller}, result, *high);
  return {{std::move(result)}};
}

KnownTensor cast_to(const OnnxNode& node, KnownTensor x, int32_t type) {
  if (!is_float_type(type) && !is_integer_type(type)) node.fail("a cast to " + type_name(type) + " is not supported");
  for (Number& number : x.values) {
    if (x.is_float() && is_float_type(type)) {
      number.real = rounded(number.real, type).real;
    } else if (x.is_float()) {
      if (type == kBool) {
        number.value = plain(node, number).real != 0 ? 1 : 0;
      } else {
        if (!(std::fabs(number.real) < 0x1p63)) node.fail(fmt::format("{} is no integer of 64 bits", number.real));
        if (number.per_batch && number.real != std::trunc(number.real)) node.fail("it rounds a part of the batch");
        number.value = static_cast<int64_t>(number.real);
      }
      number.real = 0;
    } else if (is_float_type(type)) {
      number.real = rounded(static_cast<double>(number.value), type).real;
      number.value = 0;
    } else if (type == kBool) {
      // No multiple of the batch but 0 is 0.
      number = {number.value != 0 ? 1 : 0};
    }
  }
  x.type = type;
  return x;
}

Known cast(const OnnxNode& node, const Inputs& inputs) {
  return {
      {cast_to(node, required(node, inputs, 0), static_cast<int32_t>(node.integer("to", onnx::TensorProto::FLOAT)))}};
}

Known cast_like(const OnnxNode& node, const Inputs& inputs) {
  return {{cast_to(node, required(node, inputs, 0), required(node, inputs, 1).type)}};
}

Known identity(const OnnxNode& node, const Inputs& inputs) { return {{required(node, inputs, 0)}}; }

// Movement.

// Extents from integers; nothing if one is a multiple of the batch.
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

Known shape(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  const auto rank = static_cast<int64_t>(x.shape.size());
  const auto clamp = [rank](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank); };
  std::vector<Number> extents;
  for (int64_t i = clamp(node.integer("start", 0)); i < clamp(node.integer("end", rank)); ++i) {
    extents.push_back({static_cast<int64_t>(x.shape[static_cast<size_t>(i)])});
  }
  return {{known_list(std::move(extents))}};
}

Known size(const OnnxNode& node, const Inputs& inputs) {
  return {{KnownTensor{{}, {{static_cast<int64_t>(required(node, inputs, 0).values.size())}}}}};
}

Known reshape(const OnnxNode& node, const Inputs& inputs) {
  KnownTensor result = required(node, inputs, 0);
  Extents shape;
  size_t known = 1;
  std::optional<size_t> open;
  const bool zeros = node.integer("allowzero", 0) != 0;
  for (int64_t extent : integers_of(node, inputs, 1, "shape")) {
    if (extent == -1 && !open) {
      open = shape.size();
      shape.push_back(1);
    } else if (extent == 0 && !zeros && shape.size() < result.shape.size()) {
      shape.push_back(result.shape[shape.size()]);
    } else if (extent >= 0) {
      shape.push_back(static_cast<size_t>(extent));
    } else {
      node.fail(fmt::format("its shape has a dimension of {}", extent));
    }
    if (__builtin_mul_overflow(known, shape.back(), &known)) node.fail("its shape is too large");
  }
  if (open && known > 0) shape[*open] = result.values.size() / known;
  if (count_of(shape) != result.values.size()) node.fail("the number of elements changes");
  result.shape = shape;
  return {{std::move(result)}};
}

Known flatten(const OnnxNode& node, const Inputs& inputs) {
  KnownTensor result = required(node, inputs, 0);
  const int64_t given = node.integer("axis", 1);
  const size_t rank = result.shape.size();
  const size_t axis = given == static_cast<int64_t>(rank) ? rank : node.axis(given, rank);
  const size_t rows = count_of({result.shape.begin(), result.shape.begin() + static_cast<ptrdiff_t>(axis)});
  result.shape = {rows, rows == 0 ? 0 : result.values.size() / rows};
  return {{std::move(result)}};
}

Known unsqueeze(const OnnxNode& node, const Inputs& inputs) {
  KnownTensor result = required(node, inputs, 0);
  std::vector<int64_t> axes = integers_of(node, inputs, 1, "axes");
  const size_t rank = result.shape.size() + axes.size();
  for (int64_t& axis : axes) axis = static_cast<int64_t>(node.axis(axis, rank));
  std::sort(axes.begin(), axes.end());
  for (int64_t axis : axes) {
    if (static_cast<size_t>(axis) > result.shape.size()) node.fail("an axis is named twice");
    result.shape.insert(result.shape.begin() + axis, 1);
  }
  return {{std::move(result)}};
}

Known squeeze(const OnnxNode& node, const Inputs& inputs) {
  KnownTensor result = required(node, inputs, 0);
  const std::vector<int64_t> axes = integers_of(node, inputs, 1, "axes");
  Extents kept;
  for (size_t i = 0; i < result.shape.size(); ++i) {
    const bool named =
        std::any_of(axes.begin(), axes.end(), [&](int64_t axis) { return node.axis(axis, result.shape.size()) == i; });
    if (named && result.shape[i] != 1) node.fail(fmt::format("dimension {} is not 1", i));
    if (result.shape[i] != 1 || !(axes.empty() || named)) kept.push_back(result.shape[i]);
  }
  result.shape = kept;
  return {{std::move(result)}};
}

Known transpose(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  const size_t rank = x.shape.size();
  std::vector<int64_t> order(rank);
  for (size_t i = 0; i < rank; ++i) order[i] = static_cast<int64_t>(rank - 1 - i);
  order = node.integer_list("perm", order);
  if (order.size() != rank) node.fail("perm does not name every dimension");
  const Extents strides = strides_of(x.shape);
  Extents shape;
  Extents from;
  for (int64_t axis : order) {
    shape.push_back(x.shape[node.axis(axis, rank)]);
    from.push_back(strides[node.axis(axis, rank)]);
  }
  if (count_of(shape) != x.values.size()) node.fail("perm does not name every dimension");
  return {{picked(node, x, shape, [&](const Extents& at) {
    return std::inner_product(at.begin(), at.end(), from.begin(), size_t{0});
  })}};
}

Known expand(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  const std::optional<Extents> wanted = extents_from(node, required(node, inputs, 1));
  if (!wanted || (x.is_float() && count_of(*wanted) > kManyFloats)) return std::nullopt;
  return {{picked(node, x, broadcast_shape(node, x.shape, *wanted),
                  [&](const Extents& at) { return broadcast_place(x, at); })}};
}

Known tile(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  const std::optional<Extents> repeats = extents_from(node, required(node, inputs, 1));
  if (!repeats) return std::nullopt;
  if (repeats->size() != x.shape.size()) node.fail("repeats does not name every dimension");
  Extents shape = x.shape;
  for (size_t i = 0; i < shape.size(); ++i) shape[i] *= (*repeats)[i];
  const Extents strides = strides_of(x.shape);
  return {{picked(node, x, shape, [&](const Extents& at) {
    size_t place = 0;
    for (size_t i = 0; i < at.size(); ++i) place += at[i] % x.shape[i] * strides[i];
    return place;
  })}};
}

Known concat(const OnnxNode& node, const Inputs& inputs) {
  KnownTensor first = required(node, inputs, 0);
  const size_t axis = node.axis(node.integer("axis", 0), first.shape.size());
  size_t extent = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Extents& shape = required(node, inputs, i).shape;
    if (shape.size() != first.shape.size()) node.fail("its operands differ in their dimensions");
    for (size_t d = 0; d < shape.size(); ++d) {
      if (d != axis && shape[d] != first.shape[d]) node.fail("its operands differ in their dimensions");
    }
    extent += shape[axis];
  }
  Extents shape = first.shape;
  shape[axis] = extent;
  KnownTensor result = make(node, shape, first.type);
  size_t outer = 1;
  for (size_t d = 0; d < axis; ++d) outer *= shape[d];
  size_t place = 0;
  for (size_t o = 0; o < outer; ++o) {
    for (const KnownTensor* input : inputs) {
      const size_t rows = input->values.size() / outer;
      std::copy_n(input->values.begin() + static_cast<ptrdiff_t>(o * rows), rows,
                  result.values.begin() + static_cast<ptrdiff_t>(place));
      place += rows;
    }
  }
  return {{std::move(result)}};
}

Known split(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  const size_t axis = node.axis(node.integer("axis", 0), x.shape.size());
  std::vector<int64_t> sizes = integers_of(node, inputs, 1, "split");
  const auto parts = static_cast<int64_t>(node.proto.output_size());
  const auto extent = static_cast<int64_t>(x.shape[axis]);
  if (sizes.empty()) {
    const int64_t part = (extent + parts - 1) / parts;
    for (int64_t left = extent; left > 0; left -= part) sizes.push_back(std::min(part, left));
  }
  if (static_cast<int64_t>(sizes.size()) != parts || std::accumulate(sizes.begin(), sizes.end(), int64_t{0}) != extent)
    node.fail("its parts do not make up the dimension");
  std::vector<KnownTensor> results;
  const Extents strides = strides_of(x.shape);
  size_t start = 0;
  for (int64_t part : sizes) {
    if (part < 0) node.fail("its parts do not make up the dimension");
    Extents shape = x.shape;
    shape[axis] = static_cast<size_t>(part);
    results.push_back(picked(node, x, shape, [&](const Extents& at) {
      return std::inner_product(at.begin(), at.end(), strides.begin(), start * strides[axis]);
    }));
    start += static_cast<size_t>(part);
  }
  return results;
}

Known slice(const OnnxNode& node, const Inputs& inputs) {
  KnownTensor x = required(node, inputs, 0);
  const std::vector<int64_t> starts = integers_of(node, inputs, 1, "starts");
  const std::vector<int64_t> ends = integers_of(node, inputs, 2, "ends");
  std::vector<int64_t> axes = integers_of(node, inputs, 3, "axes");
  std::vector<int64_t> steps(starts.size(), 1);
  if (const KnownTensor* given = optional(inputs, 4)) steps = integers_of(node, *given);
  if (axes.empty()) {
    for (size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  }
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    node.fail("starts, ends, axes and steps differ in length");
  for (size_t s = 0; s < starts.size(); ++s) {
    const size_t axis = node.axis(axes[s], x.shape.size());
    const SliceRange range = slice_range(node, starts[s], ends[s], steps[s], x.shape[axis]);
    Extents shape = x.shape;
    shape[axis] = range.extent;
    const Extents strides = strides_of(x.shape);
    x = picked(node, x, shape, [&](const Extents& at) {
      size_t place = 0;
      for (size_t d = 0; d < at.size(); ++d) {
        const auto index = static_cast<int64_t>(at[d]);
        place += static_cast<size_t>(d == axis ? range.start + index * range.step : index) * strides[d];
      }
      return place;
    });
  }
  return {{std::move(x)}};
}

Known gather(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  const KnownTensor& indices = required(node, inputs, 1);
  const size_t axis = node.axis(node.integer("axis", 0), x.shape.size());
  const std::vector<int64_t> numbers = integers_of(node, indices);
  Extents shape(x.shape.begin(), x.shape.begin() + static_cast<ptrdiff_t>(axis));
  shape.insert(shape.end(), indices.shape.begin(), indices.shape.end());
  shape.insert(shape.end(), x.shape.begin() + static_cast<ptrdiff_t>(axis) + 1, x.shape.end());
  const size_t count = numbers.size();
  size_t inner = 1;
  for (size_t d = axis + 1; d < x.shape.size(); ++d) inner *= x.shape[d];
  KnownTensor result = make(node, shape, x.type);
  for (size_t i = 0; i < result.values.size(); ++i) {
    const size_t index = index_in(node, numbers[i / inner % count], x.shape[axis]);
    result.values[i] = x.values[(i / inner / count * x.shape[axis] + index) * inner + i % inner];
  }
  return {{std::move(result)}};
}

// The place in x of the element at `at`, but for `index` along the axis.
size_t indexed_place(const OnnxNode& node, const KnownTensor& x, size_t axis, const Number& index, const Extents& at) {
  size_t place = 0;
  for (size_t d = 0; d < at.size(); ++d) {
    const int64_t wanted = d == axis ? plain(node, index).value : static_cast<int64_t>(at[d]);
    place = place * x.shape[d] + index_in(node, wanted, x.shape[d]);
  }
  return place;
}

Known gather_elements(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  const KnownTensor& indices = required(node, inputs, 1);
  const size_t axis = node.axis(node.integer("axis", 0), x.shape.size());
  if (indices.shape.size() != x.shape.size()) node.fail("its indices have other dimensions than its data");
  KnownTensor result = make(node, indices.shape, x.type);
  for_each(indices.shape, [&](size_t i, const Extents& at) {
    result.values[i] = x.values[indexed_place(node, x, axis, indices.values[i], at)];
  });
  return {{std::move(result)}};
}

// Calls visit(row, place of its first element in x, elements) for each row of indices [..., k] into x's first k
// dimensions.
template <typename Visit>
void for_each_row(const OnnxNode& node, const KnownTensor& x, const KnownTensor& indices, const Visit& visit) {
  if (indices.shape.empty() || indices.shape.back() > x.shape.size()) node.fail("its indices do not fit its data");
  const size_t depth = indices.shape.back();
  const Extents strides = strides_of(x.shape);
  size_t slice = 1;
  for (size_t d = depth; d < x.shape.size(); ++d) slice *= x.shape[d];
  const size_t rows = depth == 0 ? 0 : indices.values.size() / depth;
  for (size_t row = 0; row < rows; ++row) {
    size_t place = 0;
    for (size_t d = 0; d < depth; ++d)
      place += index_in(node, plain(node, indices.values[row * depth + d]).value, x.shape[d]) * strides[d];
    visit(row, place, slice);
  }
}

Known gather_nd(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  const KnownTensor& indices = required(node, inputs, 1);
  if (node.integer("batch_dims", 0) != 0) node.fail("batch_dims is not supported");
  if (indices.shape.empty() || indices.shape.back() > x.shape.size()) node.fail("its indices do not fit its data");
  Extents shape(indices.shape.begin(), indices.shape.end() - 1);
  shape.insert(shape.end(), x.shape.begin() + static_cast<ptrdiff_t>(indices.shape.back()), x.shape.end());
  KnownTensor result = make(node, shape, x.type);
  for_each_row(node, x, indices, [&](size_t row, size_t place, size_t slice) {
    std::copy_n(x.values.begin() + static_cast<ptrdiff_t>(place), slice,
                result.values.begin() + static_cast<ptrdiff_t>(row * slice));
  });
  return {{std::move(result)}};
}

Known scatter_nd(const OnnxNode& node, const Inputs& inputs) {
  KnownTensor x = required(node, inputs, 0);
  const KnownTensor& updates = required(node, inputs, 2);
  if (node.text("reduction", "none") != "none") node.fail("only assignments are supported, no reduction");
  for_each_row(node, x, required(node, inputs, 1), [&](size_t row, size_t place, size_t slice) {
    if ((row + 1) * slice > updates.values.size()) node.fail("its updates do not fit its indices");
    std::copy_n(updates.values.begin() + static_cast<ptrdiff_t>(row * slice), slice,
                x.values.begin() + static_cast<ptrdiff_t>(place));
  });
  return {{std::move(x)}};
}

Known scatter_elements(const OnnxNode& node, const Inputs& inputs) {
  KnownTensor x = required(node, inputs, 0);
  const KnownTensor& indices = required(node, inputs, 1);
  const KnownTensor& updates = required(node, inputs, 2);
  const size_t axis = node.axis(node.integer("axis", 0), x.shape.size());
  if (node.text("reduction", "none") != "none") node.fail("only assignments are supported, no reduction");
  if (indices.shape.size() != x.shape.size() || updates.values.size() != indices.values.size())
    node.fail("its indices, updates and data do not fit together");
  for_each(indices.shape, [&](size_t i, const Extents& at) {
    x.values[indexed_place(node, x, axis, indices.values[i], at)] = updates.values[i];
  });
  return {{std::move(x)}};
}

Known pad(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  if (node.text("mode", "constant") != "constant")
    node.fail("mode " + node.text("mode", "") + " is not supported here");
  const std::vector<int64_t> pads = integers_of(node, inputs, 1, "pads");
  const size_t rank = x.shape.size();
  std::vector<int64_t> axes = integers_of(node, inputs, 3, "axes");
  if (axes.empty()) {
    for (size_t i = 0; i < rank; ++i) axes.push_back(static_cast<int64_t>(i));
  }
  if (pads.size() != 2 * axes.size()) node.fail("pads needs two values for each dimension");
  std::vector<int64_t> before(rank);
  Extents shape = x.shape;
  for (size_t i = 0; i < axes.size(); ++i) {
    const size_t axis = node.axis(axes[i], rank);
    const int64_t extent = static_cast<int64_t>(x.shape[axis]) + pads[i] + pads[axes.size() + i];
    if (extent < 0) node.fail("its pads take more than there is");
    shape[axis] = static_cast<size_t>(extent);
    before[axis] = pads[i];
  }
  Number fill;
  if (const KnownTensor* value = optional(inputs, 2); value != nullptr && !value->values.empty())
    fill = value->values[0];
  if (node.attribute("value") != nullptr) fill.real = node.real("value", 0);
  KnownTensor result = make(node, shape, x.type);
  const Extents strides = strides_of(x.shape);
  for_each(shape, [&](size_t i, const Extents& at) {
    size_t place = 0;
    bool inside = true;
    for (size_t d = 0; d < rank; ++d) {
      const int64_t index = static_cast<int64_t>(at[d]) - before[d];
      inside = inside && index >= 0 && index < static_cast<int64_t>(x.shape[d]);
      place += static_cast<size_t>(index) * strides[d];
    }
    result.values[i] = inside ? x.values[place] : fill;
  });
  return {{std::move(result)}};
}

// Making and measuring.

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
      result.values[i] = {start.value + static_cast<int64_t>(i) * delta.value};
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
  const auto classes = depth.is_float() ? static_cast<int64_t>(count.real) : count.value;
  if (classes < 1) node.fail("its depth must be positive");
  Extents shape = indices.shape;
  const size_t axis = node.axis(node.integer("axis", -1), shape.size() + 1);
  shape.insert(shape.begin() + static_cast<ptrdiff_t>(axis), static_cast<size_t>(classes));
  KnownTensor result = make(node, shape, values.type);
  for_each(shape, [&](size_t i, const Extents& at) {
    Extents from = at;
    from.erase(from.begin() + static_cast<ptrdiff_t>(axis));
    const Number index = plain(node, indices.values[broadcast_place(indices, from)]);
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

// Reductions.

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
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const int relation = compare(node, x.values[place + a * stride], x.values[place + b * stride], x.type);
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
  const Extents strides = strides_of(x.shape);
  for_each(shape, [&](size_t i, const Extents& at) {
    const size_t place =
        std::inner_product(at.begin(), at.end(), strides.begin(), size_t{0}) - at[axis] * strides[axis];
    const std::vector<size_t> order =
        order_of(node, x, place, strides[axis], x.shape[axis], node.integer("largest", 1) != 0);
    values.values[i] = x.values[place + order[at[axis]] * strides[axis]];
    indices.values[i] = {static_cast<int64_t>(order[at[axis]])};
  });
  return {{std::move(values), std::move(indices)}};
}

using Evaluator = Known (*)(const OnnxNode&, const Inputs&);

const std::map<std::string, Evaluator>& evaluators() {
  static const std::map<std::string, Evaluator> table = [] {
    std::map<std::string, Evaluator> rules = {
        {"ArgMax", arg_extreme},
        {"ArgMin", arg_extreme},
        {"Cast", cast},
        {"CastLike", cast_like},
        {"Clip", clip},
        {"Concat", concat},
        {"ConstantOfShape", constant_of_shape},
        {"CumSum", cumulative_sum},
        {"Expand", expand},
        {"EyeLike", eye_like},
        {"Flatten", flatten},
        {"Gather", gather},
        {"GatherElements", gather_elements},
        {"GatherND", gather_nd},
        {"Identity", identity},
        {"NonZero", non_zero},
        {"OneHot", one_hot},
        {"Pad", pad},
        {"Range", range},
        {"Reshape", reshape},
        {"ScatterElements", scatter_elements},
        {"ScatterND", scatter_nd},
        {"Shape", shape},
        {"Size", size},
        {"Slice", slice},
        {"Split", split},
        {"Squeeze", squeeze},
        {"Tile", tile},
        {"TopK", top_k},
        {"Transpose", transpose},
        {"Trilu", triangle},
        {"Unsqueeze", unsqueeze},
        {"Where", where},
    };
    for (const auto& [name, rule] : binary_rules()) rules[name] = binary;
    for (const auto& [name, rule] : unary_rules()) rules[name] = unary;
    for (const auto& [name, rule] : reductions()) rules[name] = reduce;
    return rules;
  }();
  return table;
}

}  // namespace

SliceRange slice_range(const OnnxNode& node, int64_t start, int64_t end, int64_t step, size_t extent) {
  if (step == 0) node.fail("a step is 0");
  const auto count = static_cast<int64_t>(extent);
  // Backwards, the first position is at most count - 1 and the end may be before 0.
  const int64_t low = step > 0 ? 0 : -1;
  const int64_t high = step > 0 ? count : count - 1;
  const auto position = [&](int64_t i) {
    if (i < 0) i = i < -count ? -1 - count : i + count;
    return std::clamp(i < 0 ? -1 : i, low, high);
  };
  const int64_t first = position(start);
  const int64_t last = position(end);
  const int64_t distance = step > 0 ? last - first : first - last;
  if (distance <= 0) return {first < 0 ? 0 : first, 0, 1};
  const uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : uint64_t{0} - static_cast<uint64_t>(step);
  const uint64_t picked = (static_cast<uint64_t>(distance) - 1) / stride + 1;
  return {first, static_cast<size_t>(picked), picked == 1 ? (step > 0 ? 1 : -1) : step};
}

std::optional<std::vector<KnownTensor>> evaluate(const OnnxNode& node, const std::vector<const KnownTensor*>& inputs) {
  const auto rule = evaluators().find(node.proto.op_type());
  return rule == evaluators().end() ? std::nullopt : rule->second(node, inputs);
}

bool can_evaluate(const std::string& op) { return evaluators().contains(op); }

}  // namespace figment::converter
