// Real functions of one value and their derivatives.
#include "core/clones.h"
#include "core/functions.h"
#include "kernels/portable/portable.h"

namespace figment::kernels::portable {

namespace {

template <typename Loop>
void apply(const Step& step, Loop loop) {
  const Attributes& a = step.attributes;
  loop(step.inputs[0].f32(), static_cast<float*>(step.output.data), step.output.elements(), a.alpha, a.clamp_min,
       a.clamp_max);
}

}  // namespace

// A function of x, and of alpha, low and high, and its loop over the elements.
#define FIGMENT_UNARY(KIND, EXPRESSION)                                                              \
  FIGMENT_CLONES static void KIND##_loop([[maybe_unused]] const float* in, float* out, size_t count, \
                                         [[maybe_unused]] float alpha, [[maybe_unused]] float low,   \
                                         [[maybe_unused]] float high) {                              \
    FIGMENT_INDEPENDENT                                                                              \
    for (size_t i = 0; i < count; ++i) {                                                             \
      const float x = in[i];                                                                         \
      out[i] = EXPRESSION;                                                                           \
    }                                                                                                \
  }                                                                                                  \
  template <>                                                                                        \
  void unary<OpKind::k##KIND>(const Step& step) {                                                    \
    apply(step, KIND##_loop);                                                                        \
  }

FIGMENT_UNARY(Clamp, (x < low ? low : x) > high ? high : (x < low ? low : x))
FIGMENT_UNARY(LeakyRelu, x < 0 ? alpha * x : x)
FIGMENT_UNARY(Elu, x < 0 ? alpha * exponential_minus_one(x) : x)
FIGMENT_UNARY(Sigmoid, sigmoid(x))
FIGMENT_UNARY(Tanh, hyperbolic_tangent(x))
FIGMENT_UNARY(Exp, exponential(x))
FIGMENT_UNARY(Log, logarithm(x))
FIGMENT_UNARY(Sqrt, square_root(x))
FIGMENT_UNARY(Abs, x < 0 ? -x : x)
FIGMENT_UNARY(Negate, -x)
FIGMENT_UNARY(Softplus, softplus(x))
FIGMENT_UNARY(Softsign, x / (1.0F + (x < 0 ? -x : x)))
FIGMENT_UNARY(Erf, error_function(x))
FIGMENT_UNARY(Sin, sine(x))
FIGMENT_UNARY(Cos, cosine(x))
FIGMENT_UNARY(Atan, arc_tangent(x))
FIGMENT_UNARY(Floor, round_down(x))
FIGMENT_UNARY(Round, round_to_even(x))

#undef FIGMENT_UNARY

namespace {

// A loop over the elements for gradients: g of the output, v the function's output (its input where the op says
// kBackwardReadsInput).
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
FIGMENT_BACKWARD_LOOP(softplus_backward, -g* exponential_minus_one(-v))
FIGMENT_BACKWARD_LOOP(softsign_backward, g * ((1.0F - (v < 0 ? -v : v)) * (1.0F - (v < 0 ? -v : v))))

FIGMENT_BACKWARD_LOOP(atan_backward, g / (1.0F + v * v))
FIGMENT_BACKWARD_LOOP(erf_backward, g * (1.12837917F * clamped_exponential(-v * v)))  // 2 / sqrt(pi) e^(-x^2)
FIGMENT_BACKWARD_LOOP(sin_backward, g* cosine(v))
FIGMENT_BACKWARD_LOOP(cos_backward, -g* sine(v))

FIGMENT_BACKWARD_LOOP(step_backward, g * 0.0F)  // constant but for its steps

#undef FIGMENT_BACKWARD_LOOP

}  // namespace

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
