// Batch, group and layer normalization. Sums run over chunks of rows in f32 and over the chunks in double, in a fixed
// order.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/clones.h"
#include "core/functions.h"
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

float inverse_deviation(float variance, float epsilon) { return 1.0F / square_root(variance + epsilon); }

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

// Count, mean, and the sum of the squares of the distances from it.
struct Moments {
  double count = 0;
  double mean = 0;
  double squares = 0;

  // Those of both sets together (Chan, Golub and LeVeque 1979).
  void add(const Moments& other) {
    if (count == 0) {
      *this = other;
      return;
    }
    const double share = other.count / (count + other.count);
    const double distance = other.mean - mean;
    mean += distance * share;
    squares += other.squares + distance * distance * count * share;
    count += other.count;
  }
  double inverse_deviation(float epsilon) const {
    return 1 / square_root(squares / count + static_cast<double>(epsilon));
  }
};

// Moments of one of several sets of as many elements, whose number is kept once: they lie on the stack.
struct Spread {
  double mean = 0;
  double squares = 0;
};

// Those of several sets of `count` elements each: `rows` rows of `columns`, `stride` apart.
Moments together(const Spread* sets, double count, size_t stride, size_t rows, size_t columns) {
  const auto for_each = [&](auto take) {
    for (size_t r = 0; r < rows; ++r) {
      for (size_t c = 0; c < columns; ++c) take(sets[r * stride + c]);
    }
  };
  Moments result;
  const auto n = static_cast<double>(rows * columns);
  result.count = n * count;
  for_each([&](const Spread& set) {
    result.mean += set.mean;
    result.squares += set.squares;
  });
  result.mean /= n;
  double distances = 0;
  for_each([&](const Spread& set) { distances += (set.mean - result.mean) * (set.mean - result.mean); });
  result.squares += count * distances;
  return result;
}

// sums[c] += x[r][c] - x[0][c]
FIGMENT_CLONES void add_differences(const float* x, size_t stride, size_t rows, size_t channels, float* sums) {
  for (size_t r = 1; r < rows; ++r) {
    for (size_t c = 0; c < channels; ++c) sums[c] += x[r * stride + c] - x[c];
  }
}

// Finds those of each channel, of at most kBlock; not finite where a square has no f32. A chunk is read twice, while it
// is in the nearest cache, and as distances from its first row: equal values have no deviation.
void find_channels(const float* x, size_t stride, size_t rows, size_t channels, Spread* spreads) {
  for (size_t r = 0; r < rows; r += kChunk) {
    const size_t count = std::min(kChunk, rows - r);
    const float* chunk = x + r * stride;
    Floats sums{};
    add_differences(chunk, stride, count, channels, sums.data());
    Floats center{};
    for (size_t c = 0; c < channels; ++c) center[c] = chunk[c] + sums[c] / static_cast<float>(count);
    Floats squares{};
    add_squares(chunk, center.data(), stride, count, channels, squares.data());
    const auto n = static_cast<double>(count);
    for (size_t c = 0; c < channels; ++c) {
      const double mean = static_cast<double>(chunk[c]) + static_cast<double>(sums[c]) / n;
      const double rounded = mean - static_cast<double>(center[c]);
      const double about_mean = static_cast<double>(squares[c]) - n * rounded * rounded;
      Moments moments{static_cast<double>(r), spreads[c].mean, spreads[c].squares};
      moments.add({n, mean, about_mean < 0 ? 0 : about_mean});
      spreads[c] = {moments.mean, moments.squares};
    }
  }
}

// Elements x[r][c], `stride` from row to row; each `channels` of a row are a group.
struct Groups {
  const float* x;
  size_t stride;
  size_t rows;
  size_t channels;
  size_t count;  // 1, or as many as have kBlock channels together at most

  size_t width() const { return count * channels; }

  // Of group `g` in double precision: squares of large values have no f32.
  Moments exact_moments(size_t g) const {
    Moments result;
    result.count = static_cast<double>(rows * channels);
    for (size_t i = 0; i < rows * channels; ++i) result.mean += element(g, i);
    result.mean /= result.count;
    for (size_t i = 0; i < rows * channels; ++i) {
      const double distance = element(g, i) - result.mean;
      result.squares += distance * distance;
    }
    return result;
  }

  // How many rows next to each other are computed as one, so that few channels fill a block.
  size_t fold() const { return stride == width() && rows > 0 ? std::clamp<size_t>(kBlock / width(), 1, rows) : 1; }

  void find_moments(Moments* moments) const {
    std::fill_n(moments, count, Moments{});
    const size_t folded = fold();
    const size_t whole = rows / folded;
    for (size_t first = 0; first < width(); first += kBlock) {
      const size_t block = std::min(kBlock, width() - first);
      add_block(x + first, stride * folded, whole, block, folded, &moments[first / channels]);
    }
    if (whole * folded < rows)
      add_block(x + whole * folded * stride, stride, rows - whole * folded, width(), 1, moments);
    for (size_t g = 0; g < count; ++g) {
      if (!std::isfinite(moments[g].squares)) moments[g] = exact_moments(g);
    }
  }

 private:
  // Of `row_count` rows of `folded` times `block` columns: whole groups, or a part of one.
  void add_block(const float* first, size_t row_stride, size_t row_count, size_t block, size_t folded,
                 Moments* moments) const {
    std::array<Spread, kBlock> each{};
    find_channels(first, row_stride, row_count, block * folded, each.data());
    const size_t share = std::min(channels, block);
    for (size_t c = 0; c < block; c += share) {
      moments[c / channels].add(together(&each[c], static_cast<double>(row_count), block, folded, share));
    }
  }

  double element(size_t g, size_t i) const {
    return static_cast<double>(x[i / channels * stride + g * channels + i % channels]);
  }
};

// A factor or a shift of each channel, or one for all.
class PerChannel {
 public:
  explicit PerChannel(const Operand& operand) : values_(operand.f32()), step_(operand.elements() == 1 ? 0 : 1) {}
  float operator[](size_t channel) const { return values_[channel * step_]; }
  const float* values() const { return values_; }
  bool one_for_all() const { return step_ == 0; }

 private:
  const float* values_;
  size_t step_;
};

// (x - mean) / deviation * gamma + beta as (x - center) * scale + shift, with all of them in f32.
struct Affine {
  Affine(const Moments& moments, double inverse, float gamma, float beta) : center(static_cast<float>(moments.mean)) {
    const double factor = inverse * static_cast<double>(gamma);
    scale = static_cast<float>(factor);
    shift = static_cast<float>(static_cast<double>(beta) - (moments.mean - static_cast<double>(center)) * factor);
  }
  // Whether distances have an f32: where their squares do.
  static bool suits(const Moments& moments) {
    return moments.squares < static_cast<double>(std::numeric_limits<float>::max());
  }

  float center;
  float scale;
  float shift;
};

float normalized(const Moments& moments, double inverse, float x) {
  return static_cast<float>((static_cast<double>(x) - moments.mean) * inverse);
}

// `first` is the channel of gamma and beta that x[0][0] has.
void normalize(const Groups& groups, const Moments* moments, float epsilon, const PerChannel& gamma,
               const PerChannel& beta, size_t first, float* out) {
  for (size_t start = 0; start < groups.width(); start += kBlock) {
    const size_t block = std::min(kBlock, groups.width() - start);
    Floats center;
    Floats scale;
    Floats shift;
    bool suits = true;
    for (size_t c = 0; c < block; ++c) {
      const Moments& own = moments[(start + c) / groups.channels];
      const size_t channel = first + start + c;
      const Affine affine(own, own.inverse_deviation(epsilon), gamma[channel], beta[channel]);
      center[c] = affine.center;
      scale[c] = affine.scale;
      shift[c] = affine.shift;
      suits = suits && Affine::suits(own);
    }
    if (suits) {
      const size_t folded = groups.fold();
      const size_t whole = groups.rows / folded;
      for (size_t c = block; c < block * folded; ++c) {
        center[c] = center[c - block];
        scale[c] = scale[c - block];
        shift[c] = shift[c - block];
      }
      scale_rows(groups.x + start, out + start, groups.stride * folded, whole, block * folded, center.data(),
                 scale.data(), shift.data());
      const size_t done = whole * folded;
      scale_rows(groups.x + start + done * groups.stride, out + start + done * groups.stride, groups.stride,
                 groups.rows - done, block, center.data(), scale.data(), shift.data());
      continue;
    }
    for (size_t c = start; c < start + block; ++c) {
      const Moments& own = moments[c / groups.channels];
      const double inverse = own.inverse_deviation(epsilon);
      for (size_t i = c; i < groups.rows * groups.stride; i += groups.stride)
        out[i] = normalized(own, inverse, groups.x[i]) * gamma[first + c] + beta[first + c];
    }
  }
}

FIGMENT_CLONES void scale_row(const float* x, float* out, size_t count, float center, float scale, float shift) {
  FIGMENT_INDEPENDENT
  for (size_t i = 0; i < count; ++i) out[i] = (x[i] - center) * scale + shift;
}

// out may not be gamma's or beta's memory.
FIGMENT_CLONES void apply_channels(float* out, size_t count, const float* gamma, const float* beta) {
  FIGMENT_INDEPENDENT
  for (size_t i = 0; i < count; ++i) out[i] = out[i] * gamma[i] + beta[i];
}

// Those of a row of elements next to each other, which are taken for several rows of kLanes.
struct RowStatistics {
  RowStatistics(const float* x, size_t count, float epsilon) {
    constexpr size_t kLanes = 16;
    if (count >= kLanes) Groups{x, kLanes, count / kLanes, kLanes, 1}.find_moments(&moments);
    for (size_t i = count / kLanes * kLanes; i < count; ++i) moments.add({1, static_cast<double>(x[i]), 0});
    inverse = moments.inverse_deviation(epsilon);
  }
  float normalized(float x) const { return portable::normalized(moments, inverse, x); }

  Moments moments;
  double inverse;
};

}  // namespace

void group_norm(const Step& step) {
  const Operand& x = step.inputs[0];
  const PerChannel gamma(step.inputs[1]);
  const PerChannel beta(step.inputs[2]);
  const size_t channels = x.shape.from_end(0);
  const size_t samples = x.shape[0];
  const size_t rows = x.elements() / channels / samples;
  const size_t own = channels / step.attributes.groups;
  const size_t width = own > kBlock ? own : kBlock / own * own;
  std::array<Moments, kBlock> moments;
  for (size_t n = 0; n < samples; ++n) {
    for (size_t first = 0; first < channels; first += width) {
      const size_t offset = n * rows * channels + first;
      const Groups groups{x.f32() + offset, channels, rows, own, std::min(width, channels - first) / own};
      groups.find_moments(moments.data());
      normalize(groups, moments.data(), step.attributes.alpha, gamma, beta, first,
                static_cast<float*>(step.output.data) + offset);
    }
  }
}

void layer_norm(const Step& step) {
  const Channels channels(step.inputs[0]);
  const PerChannel gamma(step.inputs[1]);
  const PerChannel beta(step.inputs[2]);
  const bool one_for_all = gamma.one_for_all() && beta.one_for_all();
  for (size_t r = 0; r < channels.rows; ++r) {
    const float* x = step.inputs[0].f32() + r * channels.count;
    auto* out = static_cast<float*>(step.output.data) + r * channels.count;
    const RowStatistics row(x, channels.count, step.attributes.alpha);
    if (!Affine::suits(row.moments) || gamma.one_for_all() != beta.one_for_all()) {
      for (size_t c = 0; c < channels.count; ++c) out[c] = row.normalized(x[c]) * gamma[c] + beta[c];
      continue;
    }
    const Affine affine(row.moments, row.inverse, one_for_all ? gamma[0] : 1, one_for_all ? beta[0] : 0);
    scale_row(x, out, channels.count, affine.center, affine.scale, affine.shift);
    if (!one_for_all) apply_channels(out, channels.count, gamma.values(), beta.values());
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
