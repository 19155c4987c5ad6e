// Gradients of the ops: of windows (convolution, pooling), and of what moves elements. Sums run in a
// fixed order.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>

#include "core/clones.h"
#include "kernels/portable/axes.h"
#include "kernels/portable/portable.h"
#include "kernels/portable/taps.h"

namespace figment::kernels::portable {

using format::PadMode;

namespace {

float* output_of(const Step& step) { return static_cast<float*>(step.output.data); }

void clear(const Step& step) { std::memset(step.output.data, 0, step.output.elements() * sizeof(float)); }

// A window between a large image and a small one: tap k of small position p lies at large position p*stride +
// k*dilation
// - padding. The small image is a convolution's output, or a transposed convolution's input.
struct WindowMap {
  const Window& window;
  const Extents& large;
  const Extents& small;

  // Calls tap(large_pixel, small_pixel, k) for every tap inside the large image: offsets of pixels, and the tap's
  // number.
  template <typename Tap>
  void for_each(Tap tap) const {
    for (size_t n = 0; n < small[0]; ++n) {
      for (size_t y = 0; y < small[1]; ++y) {
        for (size_t x = 0; x < small[2]; ++x) {
          const size_t small_pixel = (n * small[1] + y) * small[2] + x;
          for (size_t ky = 0; ky < window.kernel[0]; ++ky) {
            const int64_t large_y = position(0, y, ky);
            if (large_y < 0 || large_y >= static_cast<int64_t>(large[1])) continue;
            for (size_t kx = 0; kx < window.kernel[1]; ++kx) {
              const int64_t large_x = position(1, x, kx);
              if (large_x < 0 || large_x >= static_cast<int64_t>(large[2])) continue;
              tap((n * large[1] + static_cast<size_t>(large_y)) * large[2] + static_cast<size_t>(large_x), small_pixel,
                  ky * window.kernel[1] + kx);
            }
          }
        }
      }
    }
  }

  int64_t position(size_t axis, size_t p, size_t k) const {
    return static_cast<int64_t>(p * window.stride[axis] + k * window.dilation[axis]) -
           static_cast<int64_t>(window.padding[axis]);
  }
};

}  // namespace

namespace {

// Channels that are computed together, so that their sums stay in registers.
constexpr size_t kBlock = 4;

// sums[o * kInputs + i] += gradient[o] x[i], written out: a loop of few turns is left as it is by -Os, with the sums in
// memory.
template <size_t kInputs, size_t... kAt>
[[gnu::always_inline]] inline void add_outer(const float* gradient, const float* x, float* sums,
                                             std::index_sequence<kAt...> /*all*/) {
  ((sums[kAt] += gradient[kAt / kInputs] * x[kAt % kInputs]), ...);
}

// sums[i] += gradient w[i], likewise.
template <typename W, size_t... kAt>
[[gnu::always_inline]] inline void add_scaled(float gradient, const W* w, float* sums,
                                              std::index_sequence<kAt...> /*all*/) {
  ((sums[kAt] += gradient * static_cast<float>(w[kAt])), ...);
}

// to[i] += gradient[0] w[i] + gradient[1] w[stride + i] + ... for i < kCount; of int8 weights, gradients are scaled
// before.
template <size_t kCount, typename W>
void add_products(const float* gradient, size_t outputs, const W* w, size_t stride, const float* scales, float* to) {
  float sums[kCount];
  std::memcpy(sums, to, sizeof sums);
  for (const float* const end = gradient + outputs; gradient < end; ++gradient, w += stride) {
    float scaled = *gradient;
    if constexpr (std::is_integral_v<W>) scaled *= *scales++;
    add_scaled(scaled, w, sums, std::make_index_sequence<kCount>());
  }
  std::memcpy(to, sums, sizeof sums);
}

// A convolution's gradient goes back through the transposed one, and the other way round. Weights are [O, taps, I /
// groups] of the forward op in both. Each element's sum runs over the taps, and at each over the outputs.
template <typename W>
[[gnu::noinline]] void convolution_backward_input_of(const Step& step, const W* weights) {
  const Window& window = step.attributes.window;
  const bool transposed = step.kind == OpKind::kConv2dBackwardInput;
  const Extents& in = step.inputs[0].shape;
  const Extents& out = step.output.shape;
  const float* g = step.inputs[0].f32();
  const size_t group_inputs = out[3] / window.groups;
  const size_t group_outputs = in[3] / window.groups;
  const size_t stride = size_t{window.kernel[0]} * window.kernel[1] * group_inputs;
  const Axis rows(window, 0, in[1], transposed);
  const Axis columns(window, 1, in[2], transposed);
  float* to = output_of(step);
  clear(step);
  for (size_t n = 0; n < in[0]; ++n, g += in[1] * in[2] * in[3]) {
    for (size_t y = 0; y < out[1]; ++y) {
      const Taps vertical = rows.at(static_cast<int32_t>(y));
      for (size_t x = 0; x < out[2]; ++x, to += out[3]) {
        const Taps horizontal = columns.at(static_cast<int32_t>(x));
        int32_t row = vertical.source;
        for (int32_t ky = vertical.tap; ky < vertical.end; ky += vertical.step, row += vertical.stride) {
          int32_t column = horizontal.source;
          for (int32_t kx = horizontal.tap; kx < horizontal.end; kx += horizontal.step, column += horizontal.stride) {
            const float* gradient = g + (static_cast<size_t>(row) * in[2] + static_cast<size_t>(column)) * in[3];
            const W* w =
                weights + (static_cast<size_t>(ky) * window.kernel[1] + static_cast<size_t>(kx)) * group_inputs;
            const float* scales = step.inputs[1].quantization.scales.data();
            for (size_t i = 0; i < out[3];) {
              const size_t left = group_inputs - i % group_inputs;
              if (left >= kBlock) {
                add_products<kBlock>(gradient, group_outputs, w, stride, scales, to + i);
                i += kBlock;
                w += kBlock;
              } else {
                add_products<1>(gradient, group_outputs, w, stride, scales, to + i);
                ++i;
                ++w;
              }
              // The next group's weights, of its outputs.
              if (i % group_inputs == 0) {
                gradient += group_outputs;
                w += group_outputs * stride - group_inputs;
                if constexpr (std::is_integral_v<W>) scales += group_outputs;
              }
            }
          }
        }
      }
    }
  }
}

}  // namespace

void convolution_backward_input(const Step& step) {
  const Operand& weights = step.inputs[1];
  weights.type == DataType::kI8 ? convolution_backward_input_of(step, weights.i8())
                                : convolution_backward_input_of(step, weights.f32());
}

namespace {

// What the gradient of a tap's weights sums over: pixels of the small image whose tap lies inside the large one.
class TapPixels {
 public:
  TapPixels(const WindowMap& map, size_t ky, size_t kx) : map_(map), rows_(range(0, ky)), columns_(range(1, kx)) {}

  // out[o * kInputs + i] = sum of gradient[o] x[i] over all pixels, in their order. `small` and `large` are channels of
  // the first pixels, of so many channels each; the gradient is the small image's, or the large one's of a
  // `transposed`.
  template <size_t kOutputs, size_t kInputs>
  void sum(const float* small, size_t small_channels, const float* large, size_t large_channels, bool transposed,
           float* out) const {
    float sums[kOutputs * kInputs] = {};
    for (size_t n = 0; n < map_.small[0]; ++n) {
      for (size_t y = rows_.first; y < rows_.end; ++y) {
        const size_t row = (n * map_.small[1] + y) * map_.small[2] + columns_.first;
        const size_t large_row = (n * map_.large[1] + rows_.start + y * map_.window.stride[0]) * map_.large[2] +
                                 columns_.start + columns_.first * map_.window.stride[1];
        const float* s = small + row * small_channels;
        const float* l = large + large_row * large_channels;
        const float* gradient = transposed ? l : s;
        const float* x = transposed ? s : l;
        const size_t large_step = map_.window.stride[1] * large_channels;
        const size_t gradient_step = transposed ? large_step : small_channels;
        const size_t x_step = transposed ? small_channels : large_step;
        for (size_t left = columns_.end - columns_.first; left > 0; --left, gradient += gradient_step, x += x_step)
          add_outer<kInputs>(gradient, x, sums, std::make_index_sequence<kOutputs * kInputs>());
      }
    }
    std::memcpy(out, sums, sizeof sums);
  }

 private:
  // Positions [first, end) of the small image; position p's tap lies at start + p * stride, modulo 2^32 below 0.
  struct Range {
    size_t first;
    size_t end;
    size_t start;
  };
  Range range(size_t axis, size_t k) const {
    const auto start = static_cast<int32_t>(map_.position(axis, 0, k));
    const auto stride = static_cast<int32_t>(map_.window.stride[axis]);
    const auto large = static_cast<int32_t>(map_.large[axis + 1]);
    const auto small = static_cast<int32_t>(map_.small[axis + 1]);
    const int32_t first = start < 0 ? (stride - 1 - start) / stride : 0;
    const int32_t end = start < large ? std::min(small, (large - start + stride - 1) / stride) : 0;
    return {static_cast<size_t>(first), static_cast<size_t>(std::max(first, end)), static_cast<size_t>(start)};
  }

  const WindowMap& map_;
  Range rows_;
  Range columns_;
};

// Gradients of convolution weights, a block of channels at a time.
class WeightGradients {
 public:
  explicit WeightGradients(const Step& step)
      : step_(step),
        transposed_(step.kind == OpKind::kConvTranspose2dBackwardWeights),
        inputs_(step.inputs[0].shape[3]),
        outputs_(step.inputs[1].shape[3]),
        group_inputs_(inputs_ / step.attributes.window.groups),
        map_{step.attributes.window, step.inputs[transposed_ ? 1 : 0].shape, step.inputs[transposed_ ? 0 : 1].shape} {}

  void run() const {
    const Window& window = step_.attributes.window;
    const size_t group_outputs = outputs_ / window.groups;
    for (size_t ky = 0; ky < window.kernel[0]; ++ky) {
      for (size_t kx = 0; kx < window.kernel[1]; ++kx) {
        const TapPixels pixels(map_, ky, kx);
        const size_t k = ky * window.kernel[1] + kx;
        for (size_t group = 0; group < window.groups; ++group) {
          size_t o = group * group_outputs;
          const size_t end = o + group_outputs;
          for (; o + kBlock <= end; o += kBlock) sum_row<kBlock>(pixels, k, group, o);
          for (; o < end; ++o) sum_row<1>(pixels, k, group, o);
        }
      }
    }
  }

 private:
  template <size_t kOutputs>
  void sum_row(const TapPixels& pixels, size_t k, size_t group, size_t o) const {
    size_t i = 0;
    for (; i + kBlock <= group_inputs_; i += kBlock) sum_block<kOutputs, kBlock>(pixels, k, group, o, i);
    for (; i < group_inputs_; ++i) sum_block<kOutputs, 1>(pixels, k, group, o, i);
  }

  template <size_t kOutputs, size_t kInputs>
  void sum_block(const TapPixels& pixels, size_t k, size_t group, size_t o, size_t i) const {
    const float* x = step_.inputs[0].f32() + group * group_inputs_ + i;
    const float* gradient = step_.inputs[1].f32() + o;
    float sums[kOutputs * kInputs];
    if (transposed_)
      pixels.sum<kOutputs, kInputs>(x, inputs_, gradient, outputs_, true, sums);
    else
      pixels.sum<kOutputs, kInputs>(gradient, outputs_, x, inputs_, false, sums);
    const size_t taps = step_.output.shape[1] * step_.output.shape[2];
    for (size_t r = 0; r < kOutputs; ++r) {
      float* row = output_of(step_) + ((o + r) * taps + k) * group_inputs_ + i;
      std::memcpy(row, sums + r * kInputs, kInputs * sizeof(float));
    }
  }

  const Step& step_;
  bool transposed_;
  size_t inputs_;
  size_t outputs_;
  size_t group_inputs_;
  WindowMap map_;
};

}  // namespace

// Each element's sum runs over the small image's pixels.
void convolution_backward_weights(const Step& step) { WeightGradients(step).run(); }

void average_pool2d_backward(const Step& step) {
  clear(step);
  const Window& window = step.attributes.window;
  const Operand& g = step.inputs[0];
  float* out = output_of(step);
  const size_t channels = g.shape[3];
  const WindowMap map{window, step.output.shape, g.shape};
  // The divisor of the forward op: taps inside the image, or inside the padded image.
  const auto counted = [&](size_t axis, size_t p) {
    size_t count = 0;
    const auto end =
        static_cast<int64_t>(step.output.shape[axis + 1] + (window.count_padding ? window.padding[axis + 2] : 0));
    for (size_t k = 0; k < window.kernel[axis]; ++k) {
      const int64_t at = map.position(axis, p, k);
      if (at < end && (at >= 0 || window.count_padding)) ++count;
    }
    return count;
  };
  map.for_each([&](size_t large, size_t small, size_t /*k*/) {
    const size_t y = small / g.shape[2] % g.shape[1];
    const size_t x = small % g.shape[2];
    const float share = 1.0F / static_cast<float>(std::max<size_t>(counted(0, y) * counted(1, x), 1));
    for (size_t c = 0; c < channels; ++c) out[large * channels + c] += g.f32()[small * channels + c] * share;
  });
}

void max_pool2d_backward(const Step& step) {
  clear(step);
  const Operand& x = step.inputs[0];
  const Operand& g = step.inputs[1];
  float* out = output_of(step);
  const size_t channels = g.shape[3];
  const WindowMap map{step.attributes.window, x.shape, g.shape};
  for (size_t c = 0; c < channels; ++c) {
    size_t pixel = SIZE_MAX;
    size_t best = 0;
    const auto flush = [&] {
      if (pixel != SIZE_MAX) out[best * channels + c] += g.f32()[pixel * channels + c];
    };
    map.for_each([&](size_t large, size_t small, size_t /*k*/) {
      if (small != pixel) {
        flush();
        pixel = small;
        best = large;
      } else if (x.f32()[large * channels + c] > x.f32()[best * channels + c]) {
        best = large;
      }
    });
    flush();
  }
}

void softmax_backward(const Step& step) {
  const float* y = step.inputs[0].f32();
  const float* g = step.inputs[1].f32();
  float* out = output_of(step);
  const size_t axis = step.attributes.axes[0];
  const Extents& shape = step.output.shape;
  const size_t count = shape[axis];
  const size_t stride = shape.product(axis + 1, shape.rank());
  const size_t lines = shape.elements() / count;
  for (size_t line = 0; line < lines; ++line) {
    const size_t base = line / stride * count * stride + line % stride;
    float dot = 0;
    for (size_t i = 0; i < count; ++i) dot += y[base + i * stride] * g[base + i * stride];
    for (size_t i = 0; i < count; ++i) {
      const size_t at = base + i * stride;
      out[at] = y[at] * (g[at] - dot);
    }
  }
}

namespace {

// Calls element(index, position) for every element of `shape`, row-major.
template <typename Element>
void for_each_element(const Extents& shape, Element element) {
  std::array<size_t, kMaxRank> position{};
  const size_t count = shape.elements();
  for (size_t index = 0; index < count; ++index) {
    element(index, position);
    for (size_t i = shape.rank(); i > 0; --i) {
      if (++position[i - 1] < shape[i - 1]) break;
      position[i - 1] = 0;
    }
  }
}

}  // namespace

void slice_backward(const Step& step) {
  clear(step);
  const Extents& shape = step.output.shape;
  const float* g = step.inputs[0].f32();
  float* out = output_of(step);
  for_each_element(step.inputs[0].shape, [&](size_t index, const std::array<size_t, kMaxRank>& position) {
    size_t offset = 0;
    for (size_t i = 0; i < shape.rank(); ++i) {
      offset = offset * shape[i] + step.attributes.starts[i] + position[i] * step.attributes.steps[i];
    }
    out[offset] += g[index];
  });
}

void pad_backward(const Step& step) {
  clear(step);
  const Extents& shape = step.output.shape;
  const float* g = step.inputs[0].f32();
  float* out = output_of(step);
  const PadMode mode = step.attributes.pad_mode;
  for_each_element(step.inputs[0].shape, [&](size_t index, const std::array<size_t, kMaxRank>& position) {
    size_t offset = 0;
    for (size_t i = 0; i < shape.rank(); ++i) {
      auto source = static_cast<int64_t>(position[i]) - static_cast<int64_t>(step.attributes.before[i]);
      const auto last = static_cast<int64_t>(shape[i]) - 1;
      if (source < 0 || source > last) {
        if (mode == PadMode::kConstant) return;
        if (mode == PadMode::kEdge) source = std::clamp<int64_t>(source, 0, last);
        if (mode == PadMode::kReflect) source = source < 0 ? -source : 2 * last - source;
      }
      offset = offset * shape[i] + static_cast<size_t>(source);
    }
    out[offset] += g[index];
  });
}

void resize_nearest_backward(const Step& step) {
  clear(step);
  const Extents& in = step.output.shape;
  const Extents& shape = step.inputs[0].shape;
  const int32_t* rows = step.inputs[1].i32();
  const int32_t* columns = step.inputs[2].i32();
  const float* g = step.inputs[0].f32();
  float* out = output_of(step);
  const size_t channels = shape[3];
  for (size_t n = 0; n < shape[0]; ++n) {
    for (size_t y = 0; y < shape[1]; ++y) {
      for (size_t x = 0; x < shape[2]; ++x, g += channels) {
        float* pixel =
            out + ((n * in[1] + static_cast<size_t>(rows[y])) * in[2] + static_cast<size_t>(columns[x])) * channels;
        for (size_t c = 0; c < channels; ++c) pixel[c] += g[c];
      }
    }
  }
}

namespace {

// out[i] = x[i] / divisor
FIGMENT_CLONES void copy_divided(const float* x, float* out, size_t count, float divisor) {
  for (size_t i = 0; i < count; ++i) out[i] = x[i] / divisor;
}

}  // namespace

namespace {

// Calls move(index of the output, index of the input) for all elements.
template <typename Move>
void for_broadcast(const Step& step, Move move) {
  const Extents& in = step.inputs[0].shape;
  for_each_element(step.output.shape, [&](size_t index, const std::array<size_t, kMaxRank>& position) {
    size_t offset = 0;
    for (size_t i = 0; i < in.rank(); ++i) offset = offset * in[i] + (in[i] == 1 ? 0 : position[i]);
    move(index, offset);
  });
}

}  // namespace

void broadcast(const Step& step) {
  const Operand& in = step.inputs[0];
  if (in.type == DataType::kI8) {
    auto* moved = static_cast<int8_t*>(step.output.data);
    return for_broadcast(step, [&](size_t index, size_t offset) { moved[index] = in.i8()[offset]; });
  }
  const float* x = in.f32();
  float* out = output_of(step);
  const float copies = static_cast<float>(step.output.elements()) / static_cast<float>(in.elements());
  const float divisor = step.kind == OpKind::kMeanBackward ? copies : 1.0F;
  const AxisRange range = grown_axes(in.shape, step.output.shape);
  if (!range.contiguous) {
    for_broadcast(step, [&](size_t index, size_t offset) { out[index] = x[offset] / divisor; });
    return;
  }
  for (size_t o = 0; o < range.outer; ++o) {
    if (range.inner == 1) {
      std::fill_n(out + o * range.middle, range.middle, x[o] / divisor);
      continue;
    }
    for (size_t m = 0; m < range.middle; ++m) {
      copy_divided(x + o * range.inner, out + (o * range.middle + m) * range.inner, range.inner, divisor);
    }
  }
}

}  // namespace figment::kernels::portable
