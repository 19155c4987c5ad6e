// Batch and layer normalization. Sums run over chunks of rows in f32 and over the chunks in double, in a fixed order.
#include <algorithm>
#include <array>
#include <cmath>

#include "core/clones.h"
#include "kernels/portable/axes.h"
#include "kernels/portable/portable.h"

namespace figment::kernels::portable {

namespace {

constexpr size_t kBlock = 64;  // channels that are computed together
constexpr size_t kChunk = 64;  // rows

using Floats = std::array<float, kBlock>;
using Doubles = std::array<double, kBlock>;

// x [rows, channels] of a batch normalization.
struct Channels {
  explicit Channels(const Operand& x) : count(x.shape.from_end(0)), rows(x.elements() / count) {}
  size_t count;
  size_t rows;
};

float inverse_deviation(float variance, float epsilon) { return 1.0F / std::sqrt(variance + epsilon); }

// sums[c] += the squares of the distances of x[r][c] from center[c], over `rows` rows `stride` apart.

FIGMENT_CLONES void add_squares(const float* x, const float* center, size_t stride, size_t rows, size_t channels,
                                float* sums) {
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < channels; ++c) {
      const float difference = x[r * stride + c] - center[c];
      sums[c] += difference * difference;
    }
  }
}
// sums[c] += a[r][c] * (b[r][c] - center[c])
FIGMENT_CLONES void add_products(const float* a, const float* b, const float* center, size_t stride, size_t rows,
                                 size_t channels, float* sums) {
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < channels; ++c) sums[c] += a[r * stride + c] * (b[r * stride + c] - center[c]);
  }
}

// Calls add(first row, rows, sums) for every chunk, and returns the sums over all.
template <typename Add>
Doubles sum_chunks(size_t rows, size_t channels, Add add) {
  Doubles total{};
  for (size_t r = 0; r < rows; r += kChunk) {
    Floats sums{};
    add(r, std::min(kChunk, rows - r), sums.data());
    for (size_t c = 0; c < channels; ++c) total[c] += static_cast<double>(sums[c]);
  }
  return total;
}

// out = (x - center) * scale + shift
FIGMENT_CLONES void scale_rows(const float* x, float* out, size_t stride, size_t rows, size_t channels,
                               const float* center, const float* scale, const float* shift) {
  for (size_t r = 0; r < rows; ++r) {
    FIGMENT_INDEPENDENT
    for (size_t c = 0; c < channels; ++c) {
      out[r * stride + c] = (x[r * stride + c] - center[c]) * scale[c] + shift[c];
    }
  }
}

// out = scale * (g - mean_g - (x - center) * slope)
FIGMENT_CLONES void backward_rows(const float* x, const float* g, float* out, size_t stride, size_t rows,
                                  size_t channels, const float* center, const float* scale, const float* mean_g,
                                  const float* slope) {
  for (size_t r = 0; r < rows; ++r) {
    FIGMENT_INDEPENDENT
    for (size_t c = 0; c < channels; ++c) {
      const size_t i = r * stride + c;
      out[i] = scale[c] * (g[i] - mean_g[c] - (x[i] - center[c]) * slope[c]);
    }
  }
}

}  // namespace

// Two passes: a variance from sums of squares would cancel.
void batch_norm_statistics(const Step& step) {
  const Channels channels(step.inputs[0]);
  const float* x = step.inputs[0].f32();
  auto* out = static_cast<float*>(step.output.data);
  const auto count = static_cast<double>(channels.rows);
  const auto freedom = static_cast<double>(std::max<size_t>(channels.rows, 2) - 1);
  for (size_t first = 0; first < channels.count; first += kBlock) {
    const size_t block = std::min(kBlock, channels.count - first);
    const Doubles sums = sum_chunks(channels.rows, block, [&](size_t r, size_t rows, float* chunk) {
      add_rows(x + r * channels.count + first, channels.count, rows, block, chunk);
    });
    float* mean = out + first;
    for (size_t c = 0; c < block; ++c) mean[c] = static_cast<float>(sums[c] / count);
    const Doubles squares = sum_chunks(channels.rows, block, [&](size_t r, size_t rows, float* chunk) {
      add_squares(x + r * channels.count + first, mean, channels.count, rows, block, chunk);
    });
    for (size_t c = 0; c < block; ++c) {
      out[channels.count + first + c] = static_cast<float>(squares[c] / count);
      out[2 * channels.count + first + c] = static_cast<float>(squares[c] / freedom);
    }
  }
}

void batch_norm(const Step& step) {
  const Channels channels(step.inputs[0]);
  const float* mean = step.inputs[1].f32();
  const float* variance = mean + channels.count;
  const float* gamma = step.inputs[2].f32();
  const float* beta = step.inputs[3].f32();
  auto* out = static_cast<float*>(step.output.data);
  for (size_t first = 0; first < channels.count; first += kBlock) {
    const size_t block = std::min(kBlock, channels.count - first);
    Floats scale;
    for (size_t c = 0; c < block; ++c)
      scale[c] = gamma[first + c] * inverse_deviation(variance[first + c], step.attributes.alpha);
    scale_rows(step.inputs[0].f32() + first, out + first, channels.count, channels.rows, block, mean + first,
               scale.data(), beta + first);
  }
}

void batch_norm_backward_sums(const Step& step) {
  const Channels channels(step.inputs[0]);
  const float* x = step.inputs[0].f32();
  const float* mean = step.inputs[1].f32();
  const float* variance = mean + channels.count;
  const float* g = step.inputs[2].f32();
  auto* out = static_cast<float*>(step.output.data);
  for (size_t first = 0; first < channels.count; first += kBlock) {
    const size_t block = std::min(kBlock, channels.count - first);
    const Doubles beta = sum_chunks(channels.rows, block, [&](size_t r, size_t rows, float* chunk) {
      add_rows(g + r * channels.count + first, channels.count, rows, block, chunk);
    });
    const Doubles gamma = sum_chunks(channels.rows, block, [&](size_t r, size_t rows, float* chunk) {
      const size_t offset = r * channels.count + first;
      add_products(g + offset, x + offset, mean + first, channels.count, rows, block, chunk);
    });
    for (size_t c = 0; c < block; ++c) {
      const auto inverse = static_cast<double>(inverse_deviation(variance[first + c], step.attributes.alpha));
      out[first + c] = static_cast<float>(beta[c]);
      out[channels.count + first + c] = static_cast<float>(gamma[c] * inverse);
    }
  }
}

// dx = gamma / sigma * (g - mean(g) - xhat * mean(g * xhat)), Ioffe and Szegedy 2015, section 3.
void batch_norm_backward(const Step& step) {
  const Channels channels(step.inputs[0]);
  const float* mean = step.inputs[1].f32();
  const float* variance = mean + channels.count;
  const float* gamma = step.inputs[2].f32();
  const float* sums = step.inputs[4].f32();
  auto* out = static_cast<float*>(step.output.data);
  const auto rows = static_cast<float>(channels.rows);
  for (size_t first = 0; first < channels.count; first += kBlock) {
    const size_t block = std::min(kBlock, channels.count - first);
    Floats scale;
    Floats mean_g;
    Floats slope;
    for (size_t c = 0; c < block; ++c) {
      const float inverse = inverse_deviation(variance[first + c], step.attributes.alpha);
      scale[c] = gamma[first + c] * inverse;
      mean_g[c] = sums[first + c] / rows;
      slope[c] = inverse * (sums[channels.count + first + c] / rows);
    }
    backward_rows(step.inputs[0].f32() + first, step.inputs[3].f32() + first, out + first, channels.count,
                  channels.rows, block, mean + first, scale.data(), mean_g.data(), slope.data());
  }
}

namespace {

// Mean and inverse deviation of a row, in double precision: squares of large values have no f32.
struct RowStatistics {
  RowStatistics(const float* x, size_t count, float epsilon) {
    double sum = 0;
    for (size_t i = 0; i < count; ++i) sum += static_cast<double>(x[i]);
    mean = sum / static_cast<double>(count);
    double squares = 0;
    for (size_t i = 0; i < count; ++i) {
      const double difference = static_cast<double>(x[i]) - mean;
      squares += difference * difference;
    }
    inverse = 1 / std::sqrt(squares / static_cast<double>(count) + static_cast<double>(epsilon));
  }
  float normalized(float x) const { return static_cast<float>((static_cast<double>(x) - mean) * inverse); }

  double mean;
  double inverse;
};

}  // namespace

// A factor or a shift of each channel, or one for all.
class PerChannel {
 public:
  explicit PerChannel(const Operand& operand) : values_(operand.f32()), step_(operand.elements() == 1 ? 0 : 1) {}
  float operator[](size_t channel) const { return values_[channel * step_]; }
  bool one_for_all() const { return step_ == 0; }

 private:
  const float* values_;
  size_t step_;
};

void layer_norm(const Step& step) {
  const Channels channels(step.inputs[0]);
  const PerChannel gamma(step.inputs[1]);
  const PerChannel beta(step.inputs[2]);
  for (size_t r = 0; r < channels.rows; ++r) {
    const float* x = step.inputs[0].f32() + r * channels.count;
    auto* out = static_cast<float*>(step.output.data) + r * channels.count;
    const RowStatistics row(x, channels.count, step.attributes.alpha);
    if (gamma.one_for_all() && beta.one_for_all()) {
      const float factor = gamma[0];
      const float shift = beta[0];
      for (size_t c = 0; c < channels.count; ++c) out[c] = row.normalized(x[c]) * factor + shift;
      continue;
    }
    for (size_t c = 0; c < channels.count; ++c) out[c] = row.normalized(x[c]) * gamma[c] + beta[c];
  }
}

void layer_norm_backward_sums(const Step& step) {
  const Channels channels(step.inputs[0]);
  auto* beta = static_cast<float*>(step.output.data);
  float* gamma = beta + channels.count;
  std::fill_n(beta, 2 * channels.count, 0.0F);
  for (size_t r = 0; r < channels.rows; ++r) {
    const float* x = step.inputs[0].f32() + r * channels.count;
    const float* g = step.inputs[1].f32() + r * channels.count;
    const RowStatistics row(x, channels.count, step.attributes.alpha);
    for (size_t c = 0; c < channels.count; ++c) {
      beta[c] += g[c];
      gamma[c] += g[c] * row.normalized(x[c]);
    }
  }
}

// With h = g gamma: dx = 1 / sigma * (h - mean(h) - xhat * mean(h * xhat)), the means over the row.
void layer_norm_backward(const Step& step) {
  const Channels channels(step.inputs[0]);
  const PerChannel gamma(step.inputs[1]);
  const auto count = static_cast<double>(channels.count);
  for (size_t r = 0; r < channels.rows; ++r) {
    const float* x = step.inputs[0].f32() + r * channels.count;
    const float* g = step.inputs[2].f32() + r * channels.count;
    auto* out = static_cast<float*>(step.output.data) + r * channels.count;
    const RowStatistics row(x, channels.count, step.attributes.alpha);
    double sum = 0;
    double product = 0;
    for (size_t c = 0; c < channels.count; ++c) {
      const float h = g[c] * gamma[c];
      sum += static_cast<double>(h);
      product += static_cast<double>(h * row.normalized(x[c]));
    }
    const double mean_h = sum / count;
    const double mean_product = product / count;
    for (size_t c = 0; c < channels.count; ++c) {
      const auto h = static_cast<double>(g[c] * gamma[c]);
      const auto normalized = static_cast<double>(row.normalized(x[c]));
      out[c] = static_cast<float>(row.inverse * (h - mean_h - normalized * mean_product));
    }
  }
}

}  // namespace figment::kernels::portable
