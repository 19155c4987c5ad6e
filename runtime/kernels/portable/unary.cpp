// Real functions of one value and their derivatives.
#include <cmath>

#include "core/clones.h"
#include "kernels/functions.h"
#include "kernels/portable/portable.h"

namespace figment::kernels::portable {

namespace {

// A loop over the elements. EXPRESSION is of x, and of alpha, low and high.
#define FIGMENT_UNARY_LOOP(NAME, EXPRESSION)                                                                         \
  FIGMENT_CLONES void NAME([[maybe_unused]] const float* in, float* out, size_t count, [[maybe_unused]] float alpha, \
                           [[maybe_unused]] float low, [[maybe_unused]] float high) {                                \
    FIGMENT_INDEPENDENT                                                                                              \
    for (size_t i = 0; i < count; ++i) {                                                                             \
      const float x = in[i];                                                                                         \
      out[i] = EXPRESSION;                                                                                           \
    }                                                                                                                \
  }

FIGMENT_UNARY_LOOP(clamp_loop, (x < low ? low : x) > high ? high : (x < low ? low : x))
FIGMENT_UNARY_LOOP(leaky_relu_loop, x < 0 ? alpha * x : x)
FIGMENT_UNARY_LOOP(exp_loop, exponential(x))
FIGMENT_UNARY_LOOP(sqrt_loop, std::sqrt(x))
FIGMENT_UNARY_LOOP(abs_loop, x < 0 ? -x : x)
FIGMENT_UNARY_LOOP(negate_loop, -x)
FIGMENT_UNARY_LOOP(softplus_loop, softplus(x))
FIGMENT_UNARY_LOOP(softsign_loop, x / (1.0F + (x < 0 ? -x : x)))
FIGMENT_UNARY_LOOP(erf_loop, error_function(x))

// The same for gradients: g of the output, v the function's output (its input where the op says kBackwardReadsInput).
#define FIGMENT_BACKWARD_LOOP(NAME, EXPRESSION)                                                                     \
  FIGMENT_CLONES void NAME(const float* values, const float* gradients, float* out, size_t count,                   \
                           [[maybe_unused]] float alpha, [[maybe_unused]] float low, [[maybe_unused]] float high) { \
    FIGMENT_INDEPENDENT                                                                                             \
    for (size_t i = 0; i < count; ++i) {                                                                            \
      [[maybe_unused]] const float v = values[i];                                                                   \
      const float g = gradients[i];                                                                                 \
      out[i] = EXPRESSION;                                                                                          \
    }                                                                                                               \
  }

FIGMENT_BACKWARD_LOOP(clamp_backward, v > low && v < high ? g : 0.0F)
FIGMENT_BACKWARD_LOOP(leaky_relu_backward, v < 0 ? alpha * g : g)
FIGMENT_BACKWARD_LOOP(elu_backward, v < 0 ? (v + alpha) * g : g)
FIGMENT_BACKWARD_LOOP(sigmoid_backward, g*(v * (1.0F - v)))
FIGMENT_BACKWARD_LOOP(tanh_backward, g * (1.0F - v * v))
FIGMENT_BACKWARD_LOOP(exp_backward, g* v)
FIGMENT_BACKWARD_LOOP(log_backward, g / v)
FIGMENT_BACKWARD_LOOP(sqrt_backward, g * 0.5F / v)
FIGMENT_BACKWARD_LOOP(abs_backward, v > 0 ? g : v < 0 ? -g : 0.0F)
FIGMENT_BACKWARD_LOOP(negate_backward, -g)
FIGMENT_BACKWARD_LOOP(softplus_backward, g* one_minus_exponential(v))
FIGMENT_BACKWARD_LOOP(softsign_backward, g * ((1.0F - (v < 0 ? -v : v)) * (1.0F - (v < 0 ? -v : v))))

FIGMENT_BACKWARD_LOOP(atan_backward, g / (1.0F + v * v))
FIGMENT_BACKWARD_LOOP(erf_backward, g * (1.12837917F * clamped_exponential(-v * v)))  // 2 / sqrt(pi) e^(-x^2)
FIGMENT_BACKWARD_LOOP(sin_backward, g* std::cos(v))
FIGMENT_BACKWARD_LOOP(cos_backward, -g* std::sin(v))

FIGMENT_BACKWARD_LOOP(step_backward, g * 0.0F)  // constant but for its steps

#undef FIGMENT_UNARY_LOOP
#undef FIGMENT_BACKWARD_LOOP

// A function that the C library computes.
template <typename Function>
void map(const Step& step, Function function) {
  const float* x = step.inputs[0].f32();
  auto* out = static_cast<float*>(step.output.data);
  const size_t count = step.output.elements();
  for (size_t i = 0; i < count; ++i) out[i] = function(x[i]);
}

template <typename Loop>
void apply(const Step& step, Loop loop) {
  const Attributes& a = step.attributes;
  loop(step.inputs[0].f32(), static_cast<float*>(step.output.data), step.output.elements(), a.alpha, a.clamp_min,
       a.clamp_max);
}

}  // namespace

template <>
void unary<OpKind::kClamp>(const Step& step) {
  apply(step, clamp_loop);
}
template <>
void unary<OpKind::kLeakyRelu>(const Step& step) {
  apply(step, leaky_relu_loop);
}
template <>
void unary<OpKind::kElu>(const Step& step) {
  map(step, [alpha = step.attributes.alpha](float x) { return x < 0 ? alpha * std::expm1(x) : x; });
}
template <>
void unary<OpKind::kSigmoid>(const Step& step) {
  map(step, [](float x) { return 1.0F / (1.0F + std::exp(-x)); });
}
template <>
void unary<OpKind::kTanh>(const Step& step) {
  map(step, [](float x) { return std::tanh(x); });
}
template <>
void unary<OpKind::kExp>(const Step& step) {
  apply(step, exp_loop);
}
template <>
void unary<OpKind::kLog>(const Step& step) {
  map(step, [](float x) { return std::log(x); });
}
template <>
void unary<OpKind::kSqrt>(const Step& step) {
  apply(step, sqrt_loop);
}
template <>
void unary<OpKind::kAbs>(const Step& step) {
  apply(step, abs_loop);
}
template <>
void unary<OpKind::kNegate>(const Step& step) {
  apply(step, negate_loop);
}
template <>
void unary<OpKind::kSoftplus>(const Step& step) {
  apply(step, softplus_loop);
}
template <>
void unary<OpKind::kSoftsign>(const Step& step) {
  apply(step, softsign_loop);
}

template <>
void unary<OpKind::kErf>(const Step& step) {
  apply(step, erf_loop);
}
template <>
void unary<OpKind::kSin>(const Step& step) {
  map(step, [](float x) { return std::sin(x); });
}
template <>
void unary<OpKind::kAtan>(const Step& step) {
  map(step, [](float x) { return std::atan(x); });
}
template <>
void unary<OpKind::kFloor>(const Step& step) {
  map(step, [](float x) { return std::floor(x); });
}
template <>
void unary<OpKind::kRound>(const Step& step) {
  map(step, [](float x) { return std::nearbyint(x); });
}
template <>
void unary<OpKind::kCos>(const Step& step) {
  map(step, [](float x) { return std::cos(x); });
}

void unary_backward(const Step& step) {
  const Attributes& a = step.attributes;
  const auto loop = [&](auto function) {
    function(step.inputs[0].f32(), step.inputs[1].f32(), static_cast<float*>(step.output.data), step.output.elements(),
             a.alpha, a.clamp_min, a.clamp_max);
  };
  switch (a.function) {
    case OpKind::kClamp: return loop(clamp_backward);
    case OpKind::kLeakyRelu: return loop(leaky_relu_backward);
    case OpKind::kElu: return loop(elu_backward);
    case OpKind::kSigmoid: return loop(sigmoid_backward);
    case OpKind::kTanh: return loop(tanh_backward);
    case OpKind::kExp: return loop(exp_backward);
    case OpKind::kLog: return loop(log_backward);
    case OpKind::kSqrt: return loop(sqrt_backward);
    case OpKind::kAbs: return loop(abs_backward);
    case OpKind::kNegate: return loop(negate_backward);
    case OpKind::kSoftsign: return loop(softsign_backward);
    case OpKind::kErf: return loop(erf_backward);
    case OpKind::kSin: return loop(sin_backward);
    case OpKind::kCos: return loop(cos_backward);
    case OpKind::kAtan: return loop(atan_backward);
    case OpKind::kFloor:
    case OpKind::kRound: return loop(step_backward);
    case OpKind::kSoftplus: return loop(softplus_backward);
    default: break;  // the shape rule admits the functions above alone
  }
}

}  // namespace figment::kernels::portable
