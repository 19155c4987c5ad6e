// ONNX's functions of one value, and what is composed of them.
#include <fmt/format.h>
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>

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

// The exponent of all elements.
float exponent_of(const OnnxNode& node) {
  std::vector<float> values;
  std::vector<size_t> shape;
  if (node.is_integers(1)) {
    for (int64_t value : node.numbers(1)) values.push_back(static_cast<float>(value));
    shape = node.integers(1).shape;
  } else {
    const Value& exponents = node.graph[node.constant(1, "exponent")];
    values.assign(exponents.f32().begin(), exponents.f32().end());
    for (const Dimension& dimension : exponents.shape) shape.push_back(dimension.extent);
  }
  if (values.empty()) node.fail("its exponent is empty");
  if (std::any_of(values.begin(), values.end(), [&](float value) { return value != values[0]; }))
    node.fail("its exponents differ: only one for all elements is supported");
  const Shape& x = node.value(0).shape;
  bool broadcasts = shape.size() > x.rank();
  for (size_t i = 0; !broadcasts && i < shape.size(); ++i) {
    const Dimension& dimension = x[x.rank() - shape.size() + i];
    broadcasts = shape[i] != 1 && (dimension.per_batch || dimension.extent != shape[i]);
  }
  if (broadcasts) node.fail("its exponent has a shape that enlarges its input; give one number");
  return values[0];
}

// By multiplications for whole exponents, else e^(exponent log x), which is NaN for negative x as the power is.
void import_pow(const OnnxNode& node) {
  constexpr float kMostMultiplied = 64;
  Builder build(&node.graph, node.name);
  const ValueId x = node.tensor(0);
  const float exponent = exponent_of(node);
  const float magnitude = std::fabs(exponent);
  ValueId result = x;
  if (exponent == 0) {
    const ValueId zero = build.with_scalar(OpKind::kMultiply, x, 0);
    return node.bind(build.with_scalar(OpKind::kAdd, zero, 1));
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
    const ValueId scaled = build.with_scalar(OpKind::kMultiply, build.add(OpKind::kLog, {x}), exponent);
    return node.bind(build.add(OpKind::kExp, {scaled}));
  }
  if (exponent < 0) result = build.add(OpKind::kDivide, {build.scalar(1, build.shape(x).rank()), result});
  node.bind(result);
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
    if (function.onnx != nullptr) table[function.onnx] = import_function;
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
      {"Ceil", import_ceil},
      {"Celu", import_celu},
      {"Clip", import_clip},
      {"Elu", [](const OnnxNode& node) { import_alpha(node, OpKind::kElu, 1.0F); }},
      {"Erfc", import_erfc},
      {"Gelu", import_gelu},
      {"HardSigmoid", import_hard_sigmoid},
      {"HardSwish", import_hard_swish},
      {"LeakyRelu", [](const OnnxNode& node) { import_alpha(node, OpKind::kLeakyRelu, 0.01F); }},
      {"Mish", import_mish},
      {"Pow", import_pow},
      {"PRelu", import_prelu},
      {"Reciprocal", import_reciprocal},
      {"Relu", import_relu},
      {"Selu", import_selu},
      {"Swish", import_swish},
  });
  return table;
}

}  // namespace figment::converter
