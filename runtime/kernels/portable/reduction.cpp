// Pooling, means and softmax.
#include <algorithm>
#include <limits>

#include "core/clones.h"
#include "core/functions.h"
#include "format/quantized.h"
#include "kernels/portable/axes.h"
#include "kernels/portable/portable.h"

namespace figment::kernels::portable {

namespace {

// The taps [begin, end) of one output position along one axis that lie inside the input, and the input position of
// tap 0 (which may be negative).
struct Taps {
  int64_t origin;
  size_t begin;
  size_t end;
};

Taps taps_at(const Window& window, size_t axis, size_t position, size_t extent) {
  const auto dilation = static_cast<int64_t>(window.dilation[axis]);
  const int64_t origin = static_cast<int64_t>(position * window.stride[axis]) - window.padding[axis];
  Taps taps{origin, 0, 0};
  while (taps.begin < window.kernel[axis] && origin + static_cast<int64_t>(taps.begin) * dilation < 0) ++taps.begin;
  taps.end = taps.begin;
  while (taps.end < window.kernel[axis] &&
         origin + static_cast<int64_t>(taps.end) * dilation < static_cast<int64_t>(extent)) {
    ++taps.end;
  }
  return taps;
}

// How many taps of one output position count in the divisor when padding counts: those inside the padded input.
size_t padded_taps(const Window& window, size_t axis, int64_t origin, size_t extent) {
  size_t count = 0;
  for (size_t tap = 0; tap < window.kernel[axis]; ++tap) {
    const int64_t source = origin + static_cast<int64_t>(tap) * window.dilation[axis];
    if (source < static_cast<int64_t>(extent + window.padding[axis + 2])) ++count;
  }
  return count;
}

// Calls pixel(n, rows, columns, out_offset) for each output pixel of a pooling op.
template <typename Pixel>
void for_each_pixel(const Step& step, Pixel pixel) {
  const Extents& in = step.inputs[0].shape;
  const Extents& out = step.output.shape;
  size_t offset = 0;
  for (size_t n = 0; n < out[0]; ++n) {
    for (size_t y = 0; y < out[1]; ++y) {
      const Taps rows = taps_at(step.attributes.window, 0, y, in[1]);
      for (size_t x = 0; x < out[2]; ++x, offset += out[3]) {
        pixel(n, rows, taps_at(step.attributes.window, 1, x, in[2]), offset);
      }
    }
  }
}

// Combines channel `c` over the taps of a window.
template <typename T, typename Value, typename Combine>
Value fold(const Step& step, const T* x, size_t n, const Taps& rows, const Taps& columns, size_t c, Value value,
           Combine combine) {
  const Extents& in = step.inputs[0].shape;
  const Window& window = step.attributes.window;
  for (size_t ky = rows.begin; ky < rows.end; ++ky) {
    const auto iy = static_cast<size_t>(rows.origin + static_cast<int64_t>(ky * window.dilation[0]));
    for (size_t kx = columns.begin; kx < columns.end; ++kx) {
      const auto ix = static_cast<size_t>(columns.origin + static_cast<int64_t>(kx * window.dilation[1]));
      value = combine(value, x[((n * in[1] + iy) * in[2] + ix) * in[3] + c]);
    }
  }
  return value;
}

size_t divisor(const Step& step, const Taps& rows, const Taps& columns) {
  const Extents& in = step.inputs[0].shape;
  const Window& window = step.attributes.window;
  const size_t count = window.count_padding
                           ? padded_taps(window, 0, rows.origin, in[1]) * padded_taps(window, 1, columns.origin, in[2])
                           : (rows.end - rows.begin) * (columns.end - columns.begin);
  return std::max<size_t>(count, 1);
}

template <typename T>
void max_pool_as(const Step& step) {
  const auto* x = static_cast<const T*>(step.inputs[0].data);
  auto* out = static_cast<T*>(step.output.data);
  const size_t channels = step.output.shape[3];
  for_each_pixel(step, [&](size_t n, const Taps& rows, const Taps& columns, size_t offset) {
    for (size_t c = 0; c < channels; ++c) {
      out[offset + c] =
          fold(step, x, n, rows, columns, c, std::numeric_limits<T>::lowest(), [](T a, T b) { return a > b ? a : b; });
    }
  });
}

// Reduced and kept dimensions, with the input's strides.
struct ReduceGeometry {
  explicit ReduceGeometry(const Step& step) {
    const Extents& in = step.inputs[0].shape;
    std::array<bool, kMaxRank> reduced{};
    for (uint32_t axis : step.attributes.axes) reduced[axis] = true;
    std::array<size_t, kMaxRank> strides{};
    size_t size = 1;
    for (size_t i = in.rank(); i > 0; --i) {
      strides[i - 1] = size;
      size *= in[i - 1];
    }
    for (size_t i = 0; i < in.rank(); ++i) {
      Extents& extents = reduced[i] ? inner : outer;
      (reduced[i] ? inner_stride : outer_stride)[extents.rank()] = strides[i];
      extents.push_back(in[i]);
    }
  }

  // Offset of position `index` of the row-major `extents`.
  static size_t offset(const Extents& extents, const std::array<size_t, kMaxRank>& stride, size_t index) {
    size_t result = 0;
    for (size_t i = extents.rank(); i > 0; --i) {
      result += index % extents[i - 1] * stride[i - 1];
      index /= extents[i - 1];
    }
    return result;
  }

  Extents outer;
  Extents inner;
  std::array<size_t, kMaxRank> outer_stride{};
  std::array<size_t, kMaxRank> inner_stride{};
};

// store(i, sum, count) for each output element i, `sum` being over value(x).
template <typename T, typename Sum, typename Value, typename Store>
void reduce(const Step& step, Value value, Store store) {
  const ReduceGeometry g(step);
  const auto* x = static_cast<const T*>(step.inputs[0].data);
  const size_t outputs = g.outer.elements();
  const size_t count = g.inner.elements();
  for (size_t i = 0; i < outputs; ++i) {
    const T* base = x + ReduceGeometry::offset(g.outer, g.outer_stride, i);
    Sum sum = 0;
    for (size_t j = 0; j < count; ++j) sum += value(base[ReduceGeometry::offset(g.inner, g.inner_stride, j)]);
    store(i, sum, count);
  }
}

}  // namespace

void average_pool2d(const Step& step) {
  const size_t channels = step.output.shape[3];
  if (step.output.type == DataType::kF32) {
    const float* x = step.inputs[0].f32();
    auto* out = static_cast<float*>(step.output.data);
    for_each_pixel(step, [&](size_t n, const Taps& rows, const Taps& columns, size_t offset) {
      const auto count = static_cast<float>(divisor(step, rows, columns));
      for (size_t c = 0; c < channels; ++c) {
        const float sum = fold(step, x, n, rows, columns, c, 0.0F, [](float a, float b) { return a + b; });
        out[offset + c] = sum / count;
      }
    });
    return;
  }
  const int8_t* x = step.inputs[0].i8();
  auto* out = static_cast<int8_t*>(step.output.data);
  const Quantization& from = step.inputs[0].quantization;
  const Quantization& to = step.output.quantization;
  for_each_pixel(step, [&](size_t n, const Taps& rows, const Taps& columns, size_t offset) {
    const float ratio = from.scale() / to.scale() / static_cast<float>(divisor(step, rows, columns));
    for (size_t c = 0; c < channels; ++c) {
      const int32_t sum = fold(step, x, n, rows, columns, c, int32_t{0},
                               [zero = from.zero_point](int32_t a, int8_t b) { return a + b - zero; });
      out[offset + c] = format::requantize(sum, ratio, to.zero_point, -128, 127);
    }
  });
}

void max_pool2d(const Step& step) {
  step.output.type == DataType::kI8 ? max_pool_as<int8_t>(step) : max_pool_as<float>(step);
}

namespace {

constexpr size_t kLanes = 16;

FIGMENT_CLONES void add_lanes(const float* x, size_t count, float* lanes) {
  for (size_t i = 0; i + kLanes <= count; i += kLanes) {
    for (size_t j = 0; j < kLanes; ++j) lanes[j] += x[i + j];
  }
  for (size_t i = count / kLanes * kLanes; i < count; ++i) lanes[i % kLanes] += x[i];
}

FIGMENT_CLONES void add_square_lanes(const float* x, size_t count, float* lanes) {
  for (size_t i = 0; i + kLanes <= count; i += kLanes) {
    for (size_t j = 0; j < kLanes; ++j) lanes[j] += x[i + j] * x[i + j];
  }
  for (size_t i = count / kLanes * kLanes; i < count; ++i) lanes[i % kLanes] += x[i] * x[i];
}

// The sum of `count` values: of chunks in f32, and of these in double.
template <typename Add>
double chunked_sum(const float* x, size_t count, Add add) {
  constexpr size_t kChunk = 4096;
  double total = 0;
  for (size_t start = 0; start < count; start += kChunk) {
    float lanes[kLanes] = {};
    add(x + start, std::min(kChunk, count - start), lanes);
    for (float lane : lanes) total += static_cast<double>(lane);
  }
  return total;
}

// Sums, each times `factor`, over the axes.
void sum_f32(const Step& step, double factor) {
  const float* x = step.inputs[0].f32();
  auto* out = static_cast<float*>(step.output.data);
  const AxisRange range = grown_axes(step.output.shape, step.inputs[0].shape);
  if (!range.contiguous) {
    reduce<float, double>(
        step, [](float value) { return static_cast<double>(value); },
        [&](size_t i, double total, size_t /*count*/) { out[i] = static_cast<float>(total * factor); });
    return;
  }
  constexpr size_t kBlock = 64;
  constexpr size_t kRows = 64;
  for (size_t o = 0; o < range.outer; ++o, x += range.middle * range.inner, out += range.inner) {
    if (range.inner == 1) {
      *out = static_cast<float>(chunked_sum(x, range.middle, add_lanes) * factor);
      continue;
    }
    for (size_t first = 0; first < range.inner; first += kBlock) {
      const size_t block = std::min(kBlock, range.inner - first);
      double totals[kBlock] = {};
      for (size_t r = 0; r < range.middle; r += kRows) {
        float sums[kBlock] = {};
        add_rows(x + r * range.inner + first, range.inner, std::min(kRows, range.middle - r), block, sums);
        for (size_t c = 0; c < block; ++c) totals[c] += static_cast<double>(sums[c]);
      }
      for (size_t c = 0; c < block; ++c) out[first + c] = static_cast<float>(totals[c] * factor);
    }
  }
}

}  // namespace

void sum(const Step& step) { sum_f32(step, 1); }

void squared_norm(const Step& step) {
  const double total = chunked_sum(step.inputs[0].f32(), step.inputs[0].elements(), add_square_lanes);
  *static_cast<float*>(step.output.data) = static_cast<float>(total);
}

void arg_max(const Step& step) {
  const size_t axis = step.attributes.axes[0];
  const Extents& in = step.inputs[0].shape;
  const size_t outer = in.product(0, axis);
  const size_t count = in[axis];
  const size_t inner = in.product(axis + 1, in.rank());
  auto* out = static_cast<float*>(step.output.data);
  for (size_t o = 0; o < outer; ++o) {
    const float* x = step.inputs[0].f32() + o * count * inner;
    for (size_t i = 0; i < inner; ++i) {
      size_t best = 0;
      for (size_t k = 1; k < count; ++k) {
        if (x[k * inner + i] > x[best * inner + i]) best = k;
      }
      out[o * inner + i] = static_cast<float>(best);
    }
  }
}

void mean(const Step& step) {
  if (step.output.type == DataType::kF32) {
    return sum_f32(step, static_cast<double>(step.output.elements()) / static_cast<double>(step.inputs[0].elements()));
  }
  auto* out = static_cast<int8_t*>(step.output.data);
  const Quantization& from = step.inputs[0].quantization;
  const Quantization& to = step.output.quantization;
  reduce<int8_t, int32_t>(
      step, [zero = from.zero_point](int8_t q) { return q - zero; },
      [&](size_t i, int32_t sum, size_t count) {
        const float ratio = from.scale() / to.scale() / static_cast<float>(count);
        out[i] = format::requantize(sum, ratio, to.zero_point, -128, 127);
      });
}

namespace {

// Calls line(base, stride, count) for every line of elements along the axis: element i is at base + i * stride.
template <typename Line>
void for_each_line(const Step& step, Line line) {
  const size_t axis = step.attributes.axes[0];
  const Extents& shape = step.output.shape;
  const size_t count = shape[axis];
  const size_t stride = shape.product(axis + 1, shape.rank());
  const size_t outer = shape.product(0, axis);
  for (size_t o = 0; o < outer; ++o) {
    for (size_t s = 0; s < stride; ++s) line(o * count * stride + s, stride, count);
  }
}

void softmax_f32(const Step& step) {
  const float* x = step.inputs[0].f32();
  auto* out = static_cast<float*>(step.output.data);
  for_each_line(step, [&](size_t base, size_t stride, size_t count) {
    float largest = x[base];
    for (size_t i = 1; i < count; ++i) largest = std::max(largest, x[base + i * stride]);
    float sum = 0;
    for (size_t i = 0; i < count; ++i) {
      const float value = exponential(x[base + i * stride] - largest);
      out[base + i * stride] = value;
      sum += value;
    }
    for (size_t i = 0; i < count; ++i) out[base + i * stride] /= sum;
  });
}

void softmax_i8(const Step& step) {
  const int8_t* x = step.inputs[0].i8();
  const int32_t* table = step.inputs[1].i32();
  auto* out = static_cast<int8_t*>(step.output.data);
  for_each_line(step, [&](size_t base, size_t stride, size_t count) {
    int32_t largest = x[base];
    for (size_t i = 1; i < count; ++i) largest = std::max<int32_t>(largest, x[base + i * stride]);
    const auto part = [&](size_t i) { return static_cast<uint32_t>(table[largest - x[base + i * stride]]); };
    uint64_t sum = 0;
    for (size_t i = 0; i < count; ++i) sum += part(i);
    sum = std::max<uint64_t>(sum, 1);
    for (size_t i = 0; i < count; ++i) out[base + i * stride] = format::softmax_share(part(i), sum);
  });
}

}  // namespace

void log_softmax(const Step& step) {
  const float* x = step.inputs[0].f32();
  auto* out = static_cast<float*>(step.output.data);
  for_each_line(step, [&](size_t base, size_t stride, size_t count) {
    float largest = x[base];
    for (size_t i = 1; i < count; ++i) largest = std::max(largest, x[base + i * stride]);
    float sum = 0;
    for (size_t i = 0; i < count; ++i) sum += exponential(x[base + i * stride] - largest);
    const float log_sum = logarithm(sum);
    for (size_t i = 0; i < count; ++i) out[base + i * stride] = x[base + i * stride] - largest - log_sum;
  });
}

void softmax(const Step& step) { step.output.type == DataType::kI8 ? softmax_i8(step) : softmax_f32(step); }

}  // namespace figment::kernels::portable
