// ONNX's functions of one value, and what is composed of them.
#include <fmt/format.h>
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>
#include <optional>

#include "import/onnx_graph.h"
#include "ir/builder.h"
#include "ir/functions.h"

namespace figment::converter {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

void import_clip(const OnnxNode& node) {
  Attributes attributes;
  attributes.clamp_min = node.has_input(1) ? node.scalar(1) : node.real("min", -kInfinity);
  attributes.clamp_max = node.has_input(2) ? node.scalar(2) : node.real("max", kInfinity);
  // ONNX: all are the greatest then.
  if (attributes.clamp_min > attributes.clamp_max) attributes.clamp_min = attributes.clamp_max;
  node.bind(node.add(OpKind::kClamp, attributes, {node.tensor(0)}));
}

void import_relu(const OnnxNode& node) {
  Attributes attributes;
  attributes.clamp_min = 0;
  node.bind(node.add(OpKind::kClamp, attributes, {node.tensor(0)}));
}

void import_alpha(const OnnxNode& node, OpKind kind, float fallback) {
  Attributes attributes;
  attributes.alpha = node.real("alpha", fallback);
  node.bind(node.add(kind, attributes, {node.tensor(0)}));
}

// max(0, min(1, alpha x + beta)).
ValueId hard_sigmoid(const OnnxNode& node, ValueId x, float alpha, float beta) {
  const auto number = [&](const char* name, float value) {
    const std::vector<uint32_t> ones(node.graph[x].shape.rank(), 1);
    return node.graph.add_constant(node.name + name, ones, {&value, 1});
  };
  Attributes bounds;
  bounds.clamp_min = 0;
  bounds.clamp_max = 1;
  const ValueId scaled = node.add(OpKind::kMultiply, {}, {x, number(".alpha", alpha)});
  return node.add(OpKind::kAdd, bounds, {scaled, number(".beta", beta)});
}

void import_hard_sigmoid(const OnnxNode& node) {
  node.bind(hard_sigmoid(node, node.tensor(0), node.real("alpha", 0.2F), node.real("beta", 0.5F)));
}

// x hard_sigmoid(x) with a slope of 1/6 (Howard et al. 2019).
void import_hard_swish(const OnnxNode& node) {
  const ValueId x = node.tensor(0);
  node.bind(node.add(OpKind::kMultiply, {}, {x, hard_sigmoid(node, x, 1.0F / 6, 0.5F)}));
}

// The exponent, if it is one number that is known while converting.
std::optional<float> known_exponent(const OnnxNode& node) {
  if (node.is_integers(1)) {
    const std::vector<int64_t> numbers = node.numbers(1);
    if (numbers.empty()) node.fail("its exponent is empty");
    if (!std::ranges::all_of(numbers, [&](int64_t number) { return number == numbers[0]; })) return std::nullopt;
    return static_cast<float>(numbers[0]);
  }
  if (!node.is_known(1) && !node.value(1).is_constant()) return std::nullopt;
  const std::span<const float> values = node.value(1).f32();
  if (values.empty()) node.fail("its exponent is empty");
  if (!std::ranges::all_of(values, [&](float value) { return value == values[0]; })) return std::nullopt;
  return values[0];
}

// A power has the type of its base.
void bind_power(const OnnxNode& node, ValueId power) {
  Builder build(&node.graph, node.name);
  node.bind(node.holds_integers(0) ? truncated(build, power) : power);
}

// e^(b log |a|), whose sign is that of a for odd b, NaN for negative a and broken b, and 1 for b = 0.
void power_of_elements(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const auto [a, b] = equal_ranks(node, node.tensor(0), node.number(1));
  const size_t rank = build.shape(a).rank();
  const ValueId whole = build.add(OpKind::kEqual, {b, build.add(OpKind::kFloor, {b})});
  const ValueId half = build.with_scalar(OpKind::kMultiply, b, 0.5F);
  const ValueId even = build.add(OpKind::kEqual, {half, build.add(OpKind::kFloor, {half})});
  const ValueId base = build.add(OpKind::kSelect, {whole, build.add(OpKind::kAbs, {a}), a});
  const ValueId magnitude =
      build.add(OpKind::kExp, {build.add(OpKind::kMultiply, {b, build.add(OpKind::kLog, {base})})});
  const ValueId negative = build.add(OpKind::kGreater, {build.scalar(0, rank), a});
  const ValueId odd = build.add(OpKind::kSubtract, {whole, even});
  const ValueId sign = build.add(OpKind::kMultiply, {negative, odd});
  const ValueId factor = build.with_scalar(OpKind::kAdd, build.with_scalar(OpKind::kMultiply, sign, -2), 1);
  const ValueId none = build.with_scalar(OpKind::kEqual, b, 0);
  const ValueId power =
      build.add(OpKind::kSelect, {none, build.scalar(1, rank), build.add(OpKind::kMultiply, {magnitude, factor})});
  bind_power(node, power);
}

// x in the shape that it and the exponent are broadcast to.
ValueId widened_by_exponent(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const auto [x, exponent] = equal_ranks(node, node.tensor(0), node.number(1));
  Shape wide = build.shape(x);
  for (size_t i = 0; i < wide.rank(); ++i) {
    const Dimension other = build.shape(exponent)[i];
    if (other == Dimension{} || other == wide[i]) continue;
    if (wide[i] != Dimension{}) node.fail("its operands' shapes cannot be broadcast");
    wide[i] = other;
  }
  return wide == build.shape(x) ? x : build.add_shaped(OpKind::kBroadcast, {x}, wide);
}

// By multiplications for whole exponents, else e^(exponent log x), which is NaN for negative x as the power is. Whole
// exponents from 2^24 on are even in f32.
void import_pow(const OnnxNode& node) {
  constexpr float kMostMultiplied = 1 << 24;
  Builder build(&node.graph, node.name);
  const std::optional<float> known = known_exponent(node);
  if (!known) return power_of_elements(node);
  const ValueId x = widened_by_exponent(node);
  const float exponent = *known;
  const float magnitude = std::fabs(exponent);
  ValueId result = x;
  if (exponent == 0) {
    const Shape wide = build.shape(x);
    return node.bind(build.add_shaped(OpKind::kBroadcast, {build.scalar(1, wide.rank())}, wide));
  }
  if (magnitude == 0.5F) {
    result = build.add(OpKind::kSqrt, {x});
  } else if (magnitude == std::floor(magnitude) && magnitude <= kMostMultiplied) {
    // By squaring, from the highest bit on.
    const auto whole = static_cast<uint32_t>(magnitude);
    for (uint32_t bit = std::bit_floor(whole) >> 1; bit != 0; bit >>= 1) {
      result = build.add(OpKind::kMultiply, {result, result});
      if ((whole & bit) != 0) result = build.add(OpKind::kMultiply, {result, x});
    }
  } else {
    const ValueId base = magnitude == std::floor(magnitude) ? build.add(OpKind::kAbs, {x}) : x;
    const ValueId scaled = build.with_scalar(OpKind::kMultiply, build.add(OpKind::kLog, {base}), exponent);
    return bind_power(node, build.add(OpKind::kExp, {scaled}));
  }
  if (exponent < 0) result = build.add(OpKind::kDivide, {build.scalar(1, build.shape(x).rank()), result});
  bind_power(node, result);
}

// scale * x > 0 ? x : alpha (e^x - 1) (Klambauer et al. 2017).
void import_selu(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  Attributes attributes;
  attributes.alpha = node.real("alpha", 1.67326319F);
  const ValueId elu = node.add(OpKind::kElu, attributes, {node.tensor(0)});
  node.bind(build.with_scalar(OpKind::kMultiply, elu, node.real("gamma", 1.05070102F)));
}

// alpha elu(x / alpha) (Barron 2017).
void import_celu(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const float alpha = node.real("alpha", 1);
  if (alpha == 0) node.fail("its alpha is 0");
  Attributes attributes;
  attributes.alpha = 1;
  const ValueId scaled = build.with_scalar(OpKind::kMultiply, node.tensor(0), 1 / alpha);
  node.bind(build.with_scalar(OpKind::kMultiply, node.add(OpKind::kElu, attributes, {scaled}), alpha));
}

// The slope of all elements, where there is but one and it is not trained.
std::optional<float> only_slope(const OnnxNode& node, ValueId slope) {
  const Value& value = node.graph[slope];
  if (!value.is_constant() || node.importer.purpose() == Purpose::kTraining) return std::nullopt;
  const std::span<const float> values = value.f32();
  if (values.size() != 1 || !std::isfinite(values[0])) return std::nullopt;
  return values[0];
}

// max(x, 0) + slope min(x, 0).
void import_prelu(const OnnxNode& node) {
  ValueId given = node.tensor(1);
  const Shape wanted = node.value(0).shape;
  // Before opset 7, one slope a channel.
  if (node.opset < 7 && node.graph[given].shape.rank() == 1 && wanted.rank() > 1) {
    Shape channels;
    for (size_t i = 0; i < wanted.rank(); ++i) channels.push_back(i == 1 ? node.graph[given].shape[0] : Dimension{});
    given = node.reshaped(given, channels);
  }
  const auto [x, slope] = equal_ranks(node, node.tensor(0), given);
  // PyTorch's PReLU has one slope unless told otherwise.
  if (const std::optional<float> one = only_slope(node, slope)) {
    Attributes attributes;
    attributes.alpha = *one;
    return node.bind(node.add(OpKind::kLeakyRelu, attributes, {x}));
  }
  Attributes positive;
  positive.clamp_min = 0;
  Attributes negative;
  negative.clamp_max = 0;
  const ValueId scaled = node.add(OpKind::kMultiply, {}, {node.add(OpKind::kClamp, negative, {x}), slope});
  node.bind(node.add(OpKind::kAdd, {}, {node.add(OpKind::kClamp, positive, {x}), scaled}));
}

// x tanh(softplus(x)) (Misra 2019).
void import_mish(const OnnxNode& node) {
  const ValueId x = node.tensor(0);
  const ValueId gate = node.add(OpKind::kTanh, {}, {node.add(OpKind::kSoftplus, {}, {x})});
  node.bind(node.add(OpKind::kMultiply, {}, {x, gate}));
}

// x where it is greater than alpha, else 0.
void import_thresholded_relu(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.tensor(0);
  const ValueId above = build.with_scalar(OpKind::kGreater, x, node.real("alpha", 1));
  node.bind(build.add(OpKind::kSelect, {above, x, build.scalar(0, build.shape(x).rank())}));
}

// x - bias above lambda, x + bias below -lambda, else 0.
void import_shrink(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.tensor(0);
  const size_t rank = build.shape(x).rank();
  const float lambda = node.real("lambd", 0.5F);
  const float bias = node.real("bias", 0);
  const ValueId above = build.with_scalar(OpKind::kGreater, x, lambda);
  const ValueId below = build.add(OpKind::kGreater, {build.scalar(-lambda, rank), x});
  const ValueId lower =
      build.add(OpKind::kSelect, {below, build.with_scalar(OpKind::kAdd, x, bias), build.scalar(0, rank)});
  node.bind(build.add(OpKind::kSelect, {above, build.with_scalar(OpKind::kSubtract, x, bias), lower}));
}

// (e^x + e^-x) / 2.
ValueId hyperbolic_cosine(Builder& build, ValueId x) {
  const ValueId up = build.add(OpKind::kExp, {x});
  const ValueId down = build.add(OpKind::kExp, {build.add(OpKind::kNegate, {x})});
  return build.with_scalar(OpKind::kMultiply, build.add(OpKind::kAdd, {up, down}), 0.5F);
}

// 2 tanh(x / 2) cosh(x / 2)^2, which neither cancels nor overflows before its result does.
void import_sinh(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId half = build.with_scalar(OpKind::kMultiply, node.tensor(0), 0.5F);
  const ValueId cosine = hyperbolic_cosine(build, half);
  const ValueId twice = build.with_scalar(OpKind::kMultiply, build.add(OpKind::kTanh, {half}), 2);
  node.bind(build.add(OpKind::kMultiply, {build.add(OpKind::kMultiply, {twice, cosine}), cosine}));
}

// 2 cosh(x / 2)^2 - 1, likewise.
void import_cosh(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId cosine = hyperbolic_cosine(build, build.with_scalar(OpKind::kMultiply, node.tensor(0), 0.5F));
  const ValueId twice = build.with_scalar(OpKind::kMultiply, cosine, 2);
  node.bind(build.with_scalar(OpKind::kSubtract, build.add(OpKind::kMultiply, {twice, cosine}), 1));
}

// log(1 + y), with what the sum w = 1 + y has rounded off: log(w) + (y - (w - 1)) / w.
ValueId log_of_one_and(Builder& build, ValueId y) {
  constexpr float kLarge = 1e30F;
  const ValueId w = build.with_scalar(OpKind::kAdd, y, 1);
  const ValueId divisor = build.clamp(w, 1 / kLarge, kLarge);
  const ValueId kept = build.with_scalar(OpKind::kSubtract, divisor, 1);
  const ValueId lost = build.add(OpKind::kSubtract, {build.clamp(y, -1, kLarge), kept});
  return build.add(OpKind::kAdd, {build.add(OpKind::kLog, {w}), build.add(OpKind::kDivide, {lost, divisor})});
}

// atan(x / sqrt((1 - x) (1 + x))), and 2 atan(sqrt((1 - x) / (1 + x))): differences that are exact near 1.
void import_inverse_sine(const OnnxNode& node, bool cosine) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.tensor(0);
  const ValueId one = build.scalar(1, build.shape(x).rank());
  const ValueId below = build.add(OpKind::kSubtract, {one, x});
  const ValueId above = build.add(OpKind::kAdd, {one, x});
  if (cosine) {
    const ValueId root = build.add(OpKind::kSqrt, {build.add(OpKind::kDivide, {below, above})});
    return node.bind(build.with_scalar(OpKind::kMultiply, build.add(OpKind::kAtan, {root}), 2));
  }
  const ValueId root = build.add(OpKind::kSqrt, {build.add(OpKind::kMultiply, {below, above})});
  node.bind(build.add(OpKind::kAtan, {build.add(OpKind::kDivide, {x, root})}));
}

void import_tan(const OnnxNode& node) {
  const ValueId x = node.tensor(0);
  node.bind(node.add(OpKind::kDivide, {}, {node.add(OpKind::kSin, {}, {x}), node.add(OpKind::kCos, {}, {x})}));
}

// Beyond this, asinh x and acosh x are log(2 x), and squares of x overflow.
constexpr float kLargeArgument = 1e9F;

ValueId log_of_twice(Builder& build, ValueId x) {
  return build.with_scalar(OpKind::kAdd, build.add(OpKind::kLog, {x}), std::numbers::ln2_v<float>);
}

// y with the sign of x.
ValueId with_sign_of(Builder& build, ValueId x, ValueId y) {
  const ValueId below = build.add(OpKind::kGreater, {build.scalar(0, build.shape(x).rank()), x});
  return build.add(OpKind::kSelect, {below, build.add(OpKind::kNegate, {y}), y});
}

// log(1 + m + m^2 / (1 + sqrt(m^2 + 1))) of the magnitude m, with the sign of x.
void import_asinh(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.tensor(0);
  const ValueId magnitude = build.add(OpKind::kAbs, {x});
  const ValueId m = build.clamp(magnitude, 0, kLargeArgument);
  const ValueId square = build.add(OpKind::kMultiply, {m, m});
  const ValueId root = build.add(OpKind::kSqrt, {build.with_scalar(OpKind::kAdd, square, 1)});
  const ValueId rest = build.add(OpKind::kDivide, {square, build.with_scalar(OpKind::kAdd, root, 1)});
  const ValueId small = log_of_one_and(build, build.add(OpKind::kAdd, {m, rest}));
  const ValueId large = build.with_scalar(OpKind::kGreater, magnitude, kLargeArgument);
  const ValueId y = build.add(OpKind::kSelect, {large, log_of_twice(build, magnitude), small});
  node.bind(with_sign_of(build, x, y));
}

// log(1 + t + sqrt(2 t + t^2)) with t = x - 1.
void import_acosh(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.tensor(0);
  const ValueId t =
      build.with_scalar(OpKind::kSubtract, build.clamp(x, -std::numeric_limits<float>::infinity(), kLargeArgument), 1);
  const ValueId square = build.add(OpKind::kMultiply, {t, build.with_scalar(OpKind::kAdd, t, 2)});
  const ValueId small = log_of_one_and(build, build.add(OpKind::kAdd, {t, build.add(OpKind::kSqrt, {square})}));
  const ValueId large = build.with_scalar(OpKind::kGreater, x, kLargeArgument);
  node.bind(build.add(OpKind::kSelect, {large, log_of_twice(build, x), small}));
}

// log(1 + 2 m / (1 - m)) / 2 of the magnitude m, with the sign of x.
void import_atanh(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.tensor(0);
  const ValueId m = build.add(OpKind::kAbs, {x});
  const ValueId rest = build.add(OpKind::kSubtract, {build.scalar(1, build.shape(x).rank()), m});
  const ValueId ratio = build.add(OpKind::kDivide, {build.with_scalar(OpKind::kMultiply, m, 2), rest});
  node.bind(with_sign_of(build, x, build.with_scalar(OpKind::kMultiply, log_of_one_and(build, ratio), 0.5F)));
}

// x sigmoid(alpha x) (Ramachandran et al. 2017).
void import_swish(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.tensor(0);
  const float alpha = node.real("alpha", 1);
  const ValueId scaled = alpha == 1 ? x : build.with_scalar(OpKind::kMultiply, x, alpha);
  node.bind(node.add(OpKind::kMultiply, {}, {x, node.add(OpKind::kSigmoid, {}, {scaled})}));
}

// x Phi(x), or its approximation by tanh (Hendrycks and Gimpel 2016).
void import_gelu(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.tensor(0);
  ValueId gate = 0;
  if (node.text("approximate", "none") == "tanh") {
    const ValueId cube = build.add(OpKind::kMultiply, {build.add(OpKind::kMultiply, {x, x}), x});
    const ValueId sum = build.add(OpKind::kAdd, {x, build.with_scalar(OpKind::kMultiply, cube, 0.044715F)});
    gate = build.add(OpKind::kTanh, {build.with_scalar(OpKind::kMultiply, sum, 0.797884561F)});  // sqrt(2 / pi)
  } else {
    gate = build.add(OpKind::kErf, {build.with_scalar(OpKind::kMultiply, x, std::numbers::sqrt2_v<float> / 2)});
  }
  const ValueId half = build.with_scalar(OpKind::kMultiply, build.with_scalar(OpKind::kAdd, gate, 1), 0.5F);
  node.bind(build.add(OpKind::kMultiply, {x, half}));
}

// 1 - erf(x): TensorFlow's, which its exporters write as if it were an op of ONNX.
void import_erfc(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId erf = build.add(OpKind::kErf, {node.tensor(0)});
  node.bind(build.add(OpKind::kSubtract, {build.scalar(1, build.shape(erf).rank()), erf}));
}

// e^x - 1 = tanh(x / 2) (e^x + 1), without cancellation: TensorFlow's, likewise.
void import_expm1(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.tensor(0);
  const ValueId half = build.add(OpKind::kTanh, {build.with_scalar(OpKind::kMultiply, x, 0.5F)});
  const ValueId sum = build.with_scalar(OpKind::kAdd, build.add(OpKind::kExp, {x}), 1);
  node.bind(build.add(OpKind::kMultiply, {half, sum}));
}

// -floor(-x).
void import_ceil(const OnnxNode& node) {
  const ValueId down = node.add(OpKind::kFloor, {}, {node.add(OpKind::kNegate, {}, {node.tensor(0)})});
  node.bind(node.add(OpKind::kNegate, {}, {down}));
}

void import_reciprocal(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.tensor(0);
  node.bind(build.add(OpKind::kDivide, {build.scalar(1, build.shape(x).rank()), x}));
}

void import_function(const OnnxNode& node) {
  const auto found = std::find_if(functions().begin(), functions().end(), [&](const Function& function) {
    return function.onnx != nullptr && function.onnx == node.proto.op_type();
  });
  node.bind(node.add(found->kind, {}, {node.tensor(0)}));
}

// Adds the functions that are ONNX ops alone.
Importers with_functions(Importers table) {
  for (const Function& function : functions()) {
    if (function.onnx != nullptr) table[function.onnx] = {import_function, 6, {function.kind}, ""};
  }
  return table;
}

}  // namespace

// The operands of a broadcasting op with leading ones added so that their ranks agree.
std::pair<ValueId, ValueId> equal_ranks(const OnnxNode& node, ValueId a, ValueId b) {
  const size_t rank = std::max(node.graph[a].shape.rank(), node.graph[b].shape.rank());
  const auto extend = [&](ValueId x) {
    const Shape shape = node.graph[x].shape;
    Shape extended;
    for (size_t i = shape.rank(); i < rank; ++i) extended.push_back({});
    for (const Dimension& dimension : shape) extended.push_back(dimension);
    return node.reshaped(x, extended);
  };
  return {extend(a), extend(b)};
}

const Importers& function_importers() {
  static const Importers table = with_functions({
      {"Acosh",
       {import_acosh,
        9,
        {OpKind::kAdd, OpKind::kSubtract, OpKind::kMultiply, OpKind::kDivide, OpKind::kClamp, OpKind::kLog,
         OpKind::kSqrt, OpKind::kGreater, OpKind::kSelect},
        ""}},
      {"Acos",
       {[](const OnnxNode& node) { import_inverse_sine(node, true); },
        7,
        {OpKind::kSqrt, OpKind::kAdd, OpKind::kSubtract, OpKind::kMultiply, OpKind::kDivide, OpKind::kAtan},
        ""}},
      {"Asin",
       {[](const OnnxNode& node) { import_inverse_sine(node, false); },
        7,
        {OpKind::kSqrt, OpKind::kAdd, OpKind::kSubtract, OpKind::kMultiply, OpKind::kDivide, OpKind::kAtan},
        ""}},
      {"Asinh",
       {import_asinh,
        9,
        {OpKind::kAdd, OpKind::kSubtract, OpKind::kMultiply, OpKind::kDivide, OpKind::kClamp, OpKind::kLog,
         OpKind::kSqrt, OpKind::kAbs, OpKind::kNegate, OpKind::kGreater, OpKind::kSelect},
        ""}},
      {"Atanh",
       {import_atanh,
        9,
        {OpKind::kAdd, OpKind::kSubtract, OpKind::kMultiply, OpKind::kDivide, OpKind::kClamp, OpKind::kLog,
         OpKind::kAbs, OpKind::kNegate, OpKind::kGreater, OpKind::kSelect},
        ""}},
      {"Ceil", {import_ceil, 6, {OpKind::kNegate, OpKind::kFloor}, ""}},
      {"Celu", {import_celu, 12, {OpKind::kMultiply, OpKind::kElu}, ""}},
      {"Clip", {import_clip, 6, {OpKind::kClamp}, ""}},
      {"Cosh",
       {import_cosh, 9, {OpKind::kAdd, OpKind::kSubtract, OpKind::kMultiply, OpKind::kExp, OpKind::kNegate}, ""}},
      {"Elu", {[](const OnnxNode& node) { import_alpha(node, OpKind::kElu, 1.0F); }, 6, {OpKind::kElu}, ""}},
      {"Erfc", {import_erfc, 6, {OpKind::kSubtract, OpKind::kErf}, ""}},
      {"Expm1", {import_expm1, 6, {OpKind::kTanh, OpKind::kMultiply, OpKind::kAdd, OpKind::kExp}, "TensorFlow's"}},
      {"Gelu", {import_gelu, 20, {OpKind::kAdd, OpKind::kMultiply, OpKind::kTanh, OpKind::kErf}, ""}},
      {"HardSigmoid", {import_hard_sigmoid, 6, {OpKind::kAdd, OpKind::kMultiply}, ""}},
      {"HardSwish", {import_hard_swish, 14, {OpKind::kAdd, OpKind::kMultiply}, ""}},
      {"LeakyRelu",
       {[](const OnnxNode& node) { import_alpha(node, OpKind::kLeakyRelu, 0.01F); }, 6, {OpKind::kLeakyRelu}, ""}},
      {"Mish", {import_mish, 18, {OpKind::kMultiply, OpKind::kTanh, OpKind::kSoftplus}, ""}},
      {"PRelu", {import_prelu, 6, {OpKind::kAdd, OpKind::kMultiply, OpKind::kClamp, OpKind::kLeakyRelu}, ""}},
      {"Pow",
       {import_pow,
        6,
        {OpKind::kAdd, OpKind::kSubtract, OpKind::kMultiply, OpKind::kExp, OpKind::kLog, OpKind::kAbs, OpKind::kFloor,
         OpKind::kGreater, OpKind::kEqual, OpKind::kSelect, OpKind::kSqrt, OpKind::kDivide, OpKind::kBroadcast},
        ""}},
      {"Reciprocal", {import_reciprocal, 6, {OpKind::kDivide}, ""}},
      {"Relu", {import_relu, 6, {OpKind::kClamp}, ""}},
      {"Selu", {import_selu, 6, {OpKind::kMultiply, OpKind::kElu}, ""}},
      {"Shrink", {import_shrink, 9, {OpKind::kAdd, OpKind::kSubtract, OpKind::kGreater, OpKind::kSelect}, ""}},
      {"Sinh", {import_sinh, 9, {OpKind::kAdd, OpKind::kMultiply, OpKind::kExp, OpKind::kNegate, OpKind::kTanh}, ""}},
      {"Swish", {import_swish, 24, {OpKind::kMultiply, OpKind::kSigmoid}, ""}},
      {"Tan", {import_tan, 7, {OpKind::kDivide, OpKind::kSin, OpKind::kCos}, ""}},
      {"ThresholdedRelu", {import_thresholded_relu, 10, {OpKind::kGreater, OpKind::kSelect}, ""}},
  });
  return table;
}

}  // namespace figment::converter
