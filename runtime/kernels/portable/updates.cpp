// Updates of variables.
#include <algorithm>
#include <cstring>
#include <limits>

#include "core/clones.h"
#include "core/functions.h"
#include "format/learning_rate.h"
#include "kernels/portable/portable.h"

namespace figment::kernels::portable {

namespace {

float* target_of(const Step& step) { return static_cast<float*>(step.output.data); }

// What the loops of the optimizers share.
struct Bounds {
  float gradient;  // gradients are clipped to [-gradient, gradient]
  float weight;    // and the new parameters to [-weight, weight]
};

Bounds bounds_of(const float* hyper) {
  const auto bound = [](float value) { return value > 0 ? value : std::numeric_limits<float>::infinity(); };
  return {bound(hyper[format::kClipValue]), bound(hyper[format::kClipWeights])};
}

inline float clipped(float x, float bound) {
  x = x < -bound ? -bound : x;
  return x > bound ? bound : x;
}

}  // namespace

void moving_average_update(const Step& step) {
  float* running = target_of(step);
  const float* statistics = step.inputs[1].f32();
  const size_t channels = step.output.shape[1];
  const float weight = step.attributes.alpha;
  for (size_t c = 0; c < channels; ++c) {
    running[c] += weight * (statistics[c] - running[c]);
    running[channels + c] += weight * (statistics[2 * channels + c] - running[channels + c]);
  }
}

namespace {

struct SgdNumbers {
  float rate;
  float momentum;
  float decay;
  Bounds bounds;
};

FIGMENT_CLONES void sgd_loop(float* p, const float* g, float* velocity, size_t count, SgdNumbers n) {
  FIGMENT_INDEPENDENT
  for (size_t i = 0; i < count; ++i) {
    velocity[i] = n.momentum * velocity[i] + clipped(g[i], n.bounds.gradient) + n.decay * p[i];
    p[i] = clipped(p[i] - n.rate * velocity[i], n.bounds.weight);
  }
}

FIGMENT_CLONES void plain_sgd_loop(float* p, const float* g, size_t count, SgdNumbers n) {
  for (size_t i = 0; i < count; ++i) {
    const float gradient = clipped(g[i], n.bounds.gradient) + n.decay * p[i];
    p[i] = clipped(p[i] - n.rate * gradient, n.bounds.weight);
  }
}

struct AdamNumbers {
  float beta1;
  float beta2;
  float epsilon;
  float rate;        // corrected for the bias of m
  float correction;  // of sqrt(v)
  float keep;        // what weight decay leaves of a parameter
  Bounds bounds;
};

FIGMENT_CLONES void adam_loop(float* p, const float* g, float* m, float* v, size_t count, AdamNumbers n) {
  FIGMENT_INDEPENDENT
  for (size_t i = 0; i < count; ++i) {
    const float gradient = clipped(g[i], n.bounds.gradient);
    m[i] += (1 - n.beta1) * (gradient - m[i]);
    v[i] = n.beta2 * v[i] + (1 - n.beta2) * gradient * gradient;
    p[i] = clipped(n.keep * p[i] - n.rate * m[i] / (square_root(v[i]) * n.correction + n.epsilon), n.bounds.weight);
  }
}

FIGMENT_CLONES void average_loop(float* average, const float* value, size_t count, float weight) {
  for (size_t i = 0; i < count; ++i) average[i] += weight * (value[i] - average[i]);
}

FIGMENT_CLONES void accumulate_loop(float* sum, const float* g, size_t count, float weight) {
  for (size_t i = 0; i < count; ++i) sum[i] += weight * g[i];
}

}  // namespace

void sgd_update(const Step& step) {
  const float* hyper = step.inputs.back().f32();
  const SgdNumbers numbers = {format::learning_rate(hyper), hyper[format::kBeta1], hyper[format::kWeightDecay],
                              bounds_of(hyper)};
  const size_t count = step.output.elements();
  if (step.inputs.size() == 3) return plain_sgd_loop(target_of(step), step.inputs[1].f32(), count, numbers);
  sgd_loop(target_of(step), step.inputs[1].f32(), static_cast<float*>(step.inputs[2].data), count, numbers);
}

// The step has been counted. Weight decay is decoupled (Loshchilov and Hutter 2019, algorithm 2).
void adam_update(const Step& step) {
  const float* hyper = step.inputs[4].f32();
  const float beta1 = hyper[format::kBeta1];
  const float beta2 = hyper[format::kBeta2];
  const uint32_t steps = format::updates_made(hyper);
  const float rate = format::learning_rate(hyper);
  // Callers may set the numbers to what has no sense: nothing divides by zero.
  const auto bias = [steps](float beta) { return std::max(1 - power(static_cast<double>(beta), steps), 1e-12); };
  const auto corrected = static_cast<float>(rate / bias(beta1));
  const auto correction = static_cast<float>(1 / square_root(bias(beta2)));
  const float epsilon = std::max(hyper[format::kEpsilon], 1e-30F);
  adam_loop(target_of(step), step.inputs[1].f32(), static_cast<float*>(step.inputs[2].data),
            static_cast<float*>(step.inputs[3].data), step.output.elements(),
            {beta1, beta2, epsilon, corrected, correction, 1 - rate * hyper[format::kWeightDecay], bounds_of(hyper)});
}

void count_step(const Step& step) { target_of(step)[format::kSteps] += 1; }

void assign_update(const Step& step) {
  std::memcpy(step.output.data, step.inputs[1].data, step.output.elements() * sizeof(float));
}

void average_update(const Step& step) {
  average_loop(target_of(step), step.inputs[1].f32(), step.output.elements(), 1 - step.inputs[2].f32()[0]);
}

void accumulate_update(const Step& step) {
  accumulate_loop(target_of(step), step.inputs[1].f32(), step.output.elements(), step.inputs[2].f32()[0]);
}

void clear_update(const Step& step) { std::memset(step.output.data, 0, step.output.elements() * sizeof(float)); }

}  // namespace figment::kernels::portable
