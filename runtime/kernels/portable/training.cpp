// Batch normalisation, and the updates of variables.
#include <cmath>
#include <cstring>

#include "kernels/portable/portable.h"

// A loop that is compiled for several instruction sets and chosen when the program is loaded. (Sanitizers run before
// such choices can be made.)
#if defined(__x86_64__) && defined(__linux__) && !defined(FIGMENT_SANITIZED)
#define FIGMENT_CLONES [[gnu::target_clones("avx512f", "avx2", "default")]]
#else
#define FIGMENT_CLONES
#endif

namespace figment::kernels::portable {

namespace {

// x [rows, channels] of a batch normalisation.
struct Channels {
  explicit Channels(const Operand& x) : count(x.shape.from_end(0)), rows(x.elements() / count) {}
  size_t count;
  size_t rows;
};

float inverse_deviation(float variance, float epsilon) { return 1.0F / std::sqrt(variance + epsilon); }

}  // namespace

// Two passes, in double: a variance from sums of squares would cancel.
void batch_norm_statistics(const Step& step) {
  const Channels channels(step.inputs[0]);
  const float* x = step.inputs[0].f32();
  auto* out = static_cast<float*>(step.output.data);
  for (size_t c = 0; c < channels.count; ++c) {
    double sum = 0;
    for (size_t r = 0; r < channels.rows; ++r) sum += x[r * channels.count + c];
    const double mean = sum / static_cast<double>(channels.rows);
    double squares = 0;
    for (size_t r = 0; r < channels.rows; ++r) {
      const double difference = x[r * channels.count + c] - mean;
      squares += difference * difference;
    }
    out[c] = static_cast<float>(mean);
    out[channels.count + c] = static_cast<float>(squares / static_cast<double>(channels.rows));
    const size_t freedom = channels.rows > 1 ? channels.rows - 1 : 1;
    out[2 * channels.count + c] = static_cast<float>(squares / static_cast<double>(freedom));
  }
}

void batch_norm(const Step& step) {
  const Channels channels(step.inputs[0]);
  const float* x = step.inputs[0].f32();
  const float* mean = step.inputs[1].f32();
  const float* variance = mean + channels.count;
  const float* gamma = step.inputs[2].f32();
  const float* beta = step.inputs[3].f32();
  auto* out = static_cast<float*>(step.output.data);
  for (size_t c = 0; c < channels.count; ++c) {
    const float scale = gamma[c] * inverse_deviation(variance[c], step.attributes.alpha);
    for (size_t i = c; i < channels.rows * channels.count; i += channels.count) {
      out[i] = (x[i] - mean[c]) * scale + beta[c];
    }
  }
}

void batch_norm_backward_sums(const Step& step) {
  const Channels channels(step.inputs[0]);
  const float* x = step.inputs[0].f32();
  const float* mean = step.inputs[1].f32();
  const float* variance = mean + channels.count;
  const float* g = step.inputs[2].f32();
  auto* out = static_cast<float*>(step.output.data);
  for (size_t c = 0; c < channels.count; ++c) {
    double beta = 0;
    double gamma = 0;
    const float inverse = inverse_deviation(variance[c], step.attributes.alpha);
    for (size_t i = c; i < channels.rows * channels.count; i += channels.count) {
      beta += g[i];
      gamma += static_cast<double>(g[i]) * ((x[i] - mean[c]) * inverse);
    }
    out[c] = static_cast<float>(beta);
    out[channels.count + c] = static_cast<float>(gamma);
  }
}

// dx = gamma / sigma * (g - mean(g) - xhat * mean(g * xhat)), Ioffe and Szegedy 2015, section 3.
void batch_norm_backward(const Step& step) {
  const Channels channels(step.inputs[0]);
  const float* x = step.inputs[0].f32();
  const float* mean = step.inputs[1].f32();
  const float* variance = mean + channels.count;
  const float* gamma = step.inputs[2].f32();
  const float* g = step.inputs[3].f32();
  const float* sums = step.inputs[4].f32();
  auto* out = static_cast<float*>(step.output.data);
  const auto rows = static_cast<float>(channels.rows);
  for (size_t c = 0; c < channels.count; ++c) {
    const float inverse = inverse_deviation(variance[c], step.attributes.alpha);
    const float mean_g = sums[c] / rows;
    const float mean_product = sums[channels.count + c] / rows;
    for (size_t i = c; i < channels.rows * channels.count; i += channels.count) {
      const float normalized = (x[i] - mean[c]) * inverse;
      out[i] = gamma[c] * inverse * (g[i] - mean_g - normalized * mean_product);
    }
  }
}

void moving_average_update(const Step& step) {
  auto* running = static_cast<float*>(step.output.data);
  const float* statistics = step.inputs[1].f32();
  const size_t channels = step.output.shape[1];
  const float weight = step.attributes.alpha;
  for (size_t c = 0; c < channels; ++c) {
    running[c] += weight * (statistics[c] - running[c]);
    running[channels + c] += weight * (statistics[2 * channels + c] - running[channels + c]);
  }
}

void sgd_update(const Step& step) {
  auto* p = static_cast<float*>(step.output.data);
  const float* g = step.inputs[1].f32();
  auto* velocity = static_cast<float*>(step.inputs[2].data);
  const float* hyper = step.inputs[3].f32();
  const size_t count = step.output.elements();
  for (size_t i = 0; i < count; ++i) {
    velocity[i] = hyper[format::kBeta1] * velocity[i] + g[i] + hyper[format::kWeightDecay] * p[i];
    p[i] -= hyper[format::kLearningRate] * velocity[i];
  }
}

namespace {

struct AdamNumbers {
  float beta1;
  float beta2;
  float epsilon;
  float rate;        // corrected for the bias of m
  float correction;  // of sqrt(v)
  float keep;        // what weight decay leaves of a parameter
};

// One IEEE operation at a time: the clones give the same bits.
FIGMENT_CLONES void adam_loop(float* p, const float* g, float* m, float* v, size_t count, AdamNumbers n) {
  for (size_t i = 0; i < count; ++i) {
    m[i] += (1 - n.beta1) * (g[i] - m[i]);
    v[i] = n.beta2 * v[i] + (1 - n.beta2) * g[i] * g[i];
    p[i] = n.keep * p[i] - n.rate * m[i] / (std::sqrt(v[i]) * n.correction + n.epsilon);
  }
}

}  // namespace

// The step has been counted. Weight decay is decoupled (Loshchilov and Hutter 2019, algorithm 2).
void adam_update(const Step& step) {
  auto* p = static_cast<float*>(step.output.data);
  const float* g = step.inputs[1].f32();
  auto* m = static_cast<float*>(step.inputs[2].data);
  auto* v = static_cast<float*>(step.inputs[3].data);
  const float* hyper = step.inputs[4].f32();
  const size_t count = step.output.elements();
  const float beta1 = hyper[format::kBeta1];
  const float beta2 = hyper[format::kBeta2];
  const double steps = hyper[format::kSteps];
  const auto rate =
      static_cast<float>(hyper[format::kLearningRate] / (1 - std::pow(static_cast<double>(beta1), steps)));
  const auto correction = static_cast<float>(1 / std::sqrt(1 - std::pow(static_cast<double>(beta2), steps)));
  const float keep = 1 - hyper[format::kLearningRate] * hyper[format::kWeightDecay];
  adam_loop(p, g, m, v, count, {beta1, beta2, hyper[format::kEpsilon], rate, correction, keep});
}

void count_step(const Step& step) { static_cast<float*>(step.output.data)[format::kSteps] += 1; }

}  // namespace figment::kernels::portable
