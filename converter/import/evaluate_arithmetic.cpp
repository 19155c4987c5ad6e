// Functions of each element, and casts. Multiples of the batch stay such where they can.
#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <map>

#include "import/evaluation.h"

namespace figment::converter::evaluation {

namespace {

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

}  // namespace

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

namespace {

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
  // The exponent may be a float: then its integer is 0.
  if (y.real != 0) {
    const double power = std::pow(static_cast<double>(x.value), y.real);
    if (!(std::fabs(power) < 0x1p63)) node.fail(fmt::format("{} is no integer of 64 bits", power));
    return {static_cast<int64_t>(power)};
  }
  if (y.value == 0 || x.value == 1) return {1};
  if (x.value == -1) return {y.value % 2 == 0 ? 1 : -1};
  if (y.value < 0) node.fail("an integer to a negative power is no integer");
  if (x.value == 0) return {0};
  Number z{1};
  for (int64_t i = 0; i < y.value; ++i) {
    if (__builtin_mul_overflow(z.value, x.value, &z.value)) node.fail("its integers overflow");
  }
  return z;
}

}  // namespace

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

Number larger(const OnnxNode& node, const Number& x, const Number& y, int32_t type) {
  return compare(node, x, y, type) < 0 ? y : x;
}

Number smaller(const OnnxNode& node, const Number& x, const Number& y, int32_t type) {
  return compare(node, x, y, type) > 0 ? y : x;
}

namespace {

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

template <bool (*kFunction)(bool, bool)>
Number logical(const OnnxNode& node, const Number& x, const Number& y, int32_t /*type*/) {
  return {kFunction(plain(node, x).value != 0, plain(node, y).value != 0)};
}
bool both(bool x, bool y) { return x && y; }
bool either(bool x, bool y) { return x || y; }
bool one_of(bool x, bool y) { return x != y; }

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

}  // namespace

Rules arithmetic_rules() {
  Rules rules = {{"Cast", cast}, {"CastLike", cast_like}, {"Clip", clip}, {"Identity", identity}, {"Where", where}};
  for (const auto& [name, rule] : binary_rules()) rules[name] = binary;
  for (const auto& [name, rule] : unary_rules()) rules[name] = unary;
  return rules;
}

}  // namespace figment::converter::evaluation
