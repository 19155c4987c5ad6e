// Gradients of the ops: of windows (convolution, pooling), and of what moves elements. Sums run in a
// fixed order.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/clones.h"
#include "kernels/portable/axes.h"
#include "kernels/portable/portable.h"

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

// conv2d: the large image is its input; conv_transpose2d: its output. Weights are [O, taps, I / groups] of the forward
// op in both.
void convolution_backward_input(const Step& step) {
  clear(step);
  const bool transposed = step.kind == OpKind::kConvTranspose2dBackwardInput;
  const Operand& g = step.inputs[0];
  const float* weights = step.inputs[1].f32();
  float* out = output_of(step);
  const size_t inputs = step.output.shape[3];
  const size_t outputs = g.shape[3];
  const size_t groups = step.attributes.window.groups;
  const size_t group_inputs = inputs / groups;
  const size_t group_outputs = outputs / groups;
  const size_t taps = step.inputs[1].shape[1] * step.inputs[1].shape[2];
  const WindowMap map{step.attributes.window, transposed ? g.shape : step.output.shape,
                      transposed ? step.output.shape : g.shape};
  map.for_each([&](size_t large, size_t small, size_t k) {
    const float* from = g.f32() + (transposed ? large : small) * outputs;
    float* to = out + (transposed ? small : large) * inputs;
    for (size_t o = 0; o < outputs; ++o) {
      const float* row = weights + (o * taps + k) * group_inputs;
      float* target = to + o / group_outputs * group_inputs;
      for (size_t i = 0; i < group_inputs; ++i) target[i] += from[o] * row[i];
    }
  });
}

void convolution_backward_weights(const Step& step) {
  clear(step);
  const bool transposed = step.kind == OpKind::kConvTranspose2dBackwardWeights;
  const Operand& x = step.inputs[0];
  const Operand& g = step.inputs[1];
  float* out = output_of(step);
  const size_t inputs = x.shape[3];
  const size_t outputs = g.shape[3];
  const size_t groups = step.attributes.window.groups;
  const size_t group_inputs = inputs / groups;
  const size_t group_outputs = outputs / groups;
  const size_t taps = step.output.shape[1] * step.output.shape[2];
  const WindowMap map{step.attributes.window, transposed ? g.shape : x.shape, transposed ? x.shape : g.shape};
  map.for_each([&](size_t large, size_t small, size_t k) {
    const float* from = x.f32() + (transposed ? small : large) * inputs;
    const float* gradient = g.f32() + (transposed ? large : small) * outputs;
    for (size_t o = 0; o < outputs; ++o) {
      const float* source = from + o / group_outputs * group_inputs;
      float* row = out + (o * taps + k) * group_inputs;
      for (size_t i = 0; i < group_inputs; ++i) row[i] += gradient[o] * source[i];
    }
  });
}

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
