// Fully connected, convolution, transposed convolution and matrix product.
#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "format/quantized.h"
#include "kernels/portable/dot.h"
#include "kernels/portable/portable.h"
#include "kernels/portable/taps.h"

namespace figment::kernels::portable {

namespace {

// Sums begin with the biases, if there are any.
template <size_t kCount, typename Sum>
[[gnu::always_inline]] inline void start_sums(const Sum* biases, size_t channel, Sum* sums) {
  if (biases == nullptr) {
    std::fill_n(sums, kCount, Sum{0});
  } else {
    std::memcpy(sums, biases + channel, kCount * sizeof(Sum));
  }
}

// Sums of one kind, and how those of some channels become what is stored from element `index` on.
class F32Output {
 public:
  using Input = float;
  using Weight = float;
  using Sum = float;

  explicit F32Output(const Step& step)
      : bias_(step.has_bias() ? step.inputs[2].f32() : nullptr),
        min_(step.attributes.clamp_min),
        max_(step.attributes.clamp_max),
        out_(static_cast<float*>(step.output.data)) {}

  template <size_t kCount>
  void start(size_t channel, float* sums) const {
    start_sums<kCount>(bias_, channel, sums);
  }
  template <size_t kCount>
  void find_ratios(size_t /*channel*/, float* /*ratios*/) const {}
  static float zero() { return 0; }
  template <size_t kCount>
  void store(size_t index, size_t /*channel*/, const float* /*ratios*/, const float* sums) const {
    for (size_t i = 0; i < kCount; ++i) {
      const float sum = sums[i] < min_ ? min_ : sums[i];
      out_[index + i] = sum > max_ ? max_ : sum;
    }
  }
  static const float* input(const Operand& operand) { return operand.f32(); }
  static const float* weights(const Operand& operand) { return operand.f32(); }

 private:
  const float* bias_;
  float min_;
  float max_;
  float* out_;
};

// f32 with weights in int8: sums are of x q, each scaled as a whole; then comes the bias.
class I8WeightsOutput : public F32Output {
 public:
  using Weight = int8_t;

  explicit I8WeightsOutput(const Step& step) : F32Output(step), scales_(step.inputs[1].quantization.scales.data()) {}

  template <size_t kCount>
  void start(size_t /*channel*/, float* sums) const {
    std::fill_n(sums, kCount, 0.0F);
  }
  template <size_t kCount>
  void find_ratios(size_t channel, float* ratios) const {
    std::memcpy(ratios, scales_ + channel, kCount * sizeof(float));
  }
  template <size_t kCount>
  void store(size_t index, size_t channel, const float* ratios, const float* sums) const {
    float results[kCount];
    F32Output::start<kCount>(channel, results);
    for (size_t i = 0; i < kCount; ++i) results[i] += sums[i] * ratios[i];
    F32Output::store<kCount>(index, channel, ratios, results);
  }
  static const int8_t* weights(const Operand& operand) { return operand.i8(); }

 private:
  const float* scales_;
};

class I8Output {
 public:
  using Input = int8_t;
  using Weight = int8_t;
  using Sum = int32_t;

  explicit I8Output(const Step& step)
      : bias_(step.has_bias() ? step.inputs[2].i32() : nullptr),
        input_zero_point_(step.inputs[0].quantization.zero_point),
        input_scale_(step.inputs[0].quantization.scale()),
        weight_scales_(step.inputs[1].quantization.scales.data()),
        output_scale_(step.output.quantization.scale()),
        zero_point_(step.output.quantization.zero_point),
        out_(static_cast<int8_t*>(step.output.data)) {
    const format::IntegerBounds bounds =
        format::integer_bounds(step.attributes.clamp_min, step.attributes.clamp_max, output_scale_, zero_point_);
    low_ = static_cast<float>(bounds.low - zero_point_);
    high_ = static_cast<float>(bounds.high - zero_point_);
  }

  template <size_t kCount>
  void start(size_t channel, int32_t* sums) const {
    start_sums<kCount>(bias_, channel, sums);
  }
  template <size_t kCount>
  void find_ratios(size_t channel, float* ratios) const {
    for (size_t i = 0; i < kCount; ++i) ratios[i] = input_scale_ * weight_scales_[channel + i] / output_scale_;
  }
  int32_t zero() const { return input_zero_point_; }
  template <size_t kCount>
  void store(size_t index, size_t /*channel*/, const float* ratios, const int32_t* sums) const {
    if constexpr (kCount == kDotRows) return requantize_rows(sums, ratios, low_, high_, zero_point_, out_ + index);
    out_[index] =
        static_cast<int8_t>(format::round_clamped(static_cast<float>(*sums) * *ratios, low_, high_) + zero_point_);
  }
  static const int8_t* input(const Operand& operand) { return operand.i8(); }
  static const int8_t* weights(const Operand& operand) { return operand.i8(); }

 private:
  const int32_t* bias_;
  int32_t input_zero_point_;
  float input_scale_;
  const float* weight_scales_;
  float output_scale_;
  int32_t zero_point_;
  float low_;
  float high_;
  int8_t* out_;
};

// Output channels [first, first + kRows), whose rows of weights lie `stride` apart.
template <typename Output, size_t kRows>
class Channels {
 public:
  using Weight = typename Output::Weight;

  Channels(const Output& output, size_t first, const Weight* weights, size_t stride)
      : output_(output), zero_(output.zero()), first_(first), weights_(weights + first * stride), stride_(stride) {
    output.template find_ratios<kRows>(first, ratios_);
  }

  void start() { output_.template start<kRows>(first_, sums_); }
  // The products of `count` inputs with the weights from `offset` on.
  void add(const typename Output::Input* x, size_t offset, size_t count) {
    dot<kRows>(x, zero_, weights_ + offset, stride_, count, sums_);
  }
  void store(size_t index) const { output_.template store<kRows>(index, first_, ratios_, sums_); }

 private:
  const Output& output_;
  typename Output::Sum zero_;
  size_t first_;
  const Weight* weights_;
  size_t stride_;
  typename Output::Sum sums_[kRows];
  float ratios_[kRows];
};

// Calls compute(first channel, its Channels) for all channels in [begin, end), as many together as can be.
template <typename Output, typename Compute>
void for_channels(const Output& output, size_t begin, size_t end, const typename Output::Weight* weights, size_t stride,
                  Compute compute) {
  size_t o = begin;
  for (; o + kDotRows <= end; o += kDotRows) {
    Channels<Output, kDotRows> channels(output, o, weights, stride);
    compute(o, channels);
  }
  for (; o < end; ++o) {
    Channels<Output, 1> channels(output, o, weights, stride);
    compute(o, channels);
  }
}

// Outputs [first, first + kRows) of a row of inputs.
template <size_t kRows, typename Output>
[[gnu::always_inline]] inline void connect(const Output& output, const typename Output::Input* x,
                                           const typename Output::Weight* weights, size_t inputs, size_t first,
                                           size_t index) {
  typename Output::Sum sums[kRows];
  float ratios[kRows];
  output.template start<kRows>(first, sums);
  dot<kRows>(x, output.zero(), weights + first * inputs, inputs, inputs, sums);
  output.template find_ratios<kRows>(first, ratios);
  output.template store<kRows>(index, first, ratios, sums);
}

template <typename Output>
[[gnu::noinline]] void fully_connected_as(const Step& step) {
  const Output output(step);
  const auto* x = Output::input(step.inputs[0]);
  const auto* weights = Output::weights(step.inputs[1]);
  const size_t outputs = step.inputs[1].shape[0];
  const size_t inputs = step.inputs[1].shape[1];
  const size_t rows = step.inputs[0].elements() / inputs;
  for (size_t row = 0; row < rows; ++row, x += inputs) {
    size_t o = 0;
    for (; o + kDotRows <= outputs; o += kDotRows) connect<kDotRows>(output, x, weights, inputs, o, row * outputs + o);
    for (; o < outputs; ++o) connect<1>(output, x, weights, inputs, o, row * outputs + o);
  }
}

// The widest window, and stride, of which add_windows() holds the sums.
constexpr uint32_t kWidestWindow = 8;

// One channel of a transposed convolution, whose taps take the place of channels: they are rows of weights of the same
// inputs. Each input of a row, in their order, adds to a window of outputs, of which the first ones are whole then.
[[gnu::noinline]] void add_windows(const Step& step, const I8Output& output, const Axis& rows, size_t channel) {
  const Window& window = step.attributes.window;
  const Extents& in = step.inputs[0].shape;
  const Extents& out = step.output.shape;
  const size_t width = window.kernel[1];
  const size_t stride = window.stride[1];
  const size_t depth = in[3];
  const int8_t* x = step.inputs[0].i8();
  const int8_t* const weights = step.inputs[1].i8() + channel * window.kernel[0] * width * depth;
  int32_t bias = 0;
  float ratio = 0;
  output.start<1>(channel, &bias);
  output.find_ratios<1>(channel, &ratio);
  size_t index = channel;
  for (size_t n = 0; n < in[0]; ++n, x += in[1] * in[2] * depth) {
    for (size_t oy = 0; oy < out[1]; ++oy, index += out[2] * out[3]) {
      const Taps y = rows.at(static_cast<int32_t>(oy));
      int32_t sums[kWidestWindow];
      std::fill_n(sums, kWidestWindow, bias);
      // Where the window is, from the left of the padding.
      size_t place = 0;
      const size_t end = out[2] + window.padding[1];
      const auto store = [&](size_t at, int32_t sum) {
        if (at >= window.padding[1] && at < end)
          output.store<1>(index + (at - window.padding[1]) * out[3], channel, &ratio, &sum);
      };
      for (size_t ix = 0; ix < in[2]; ++ix, place += stride) {
        int32_t iy = y.source;
        for (int32_t ky = y.tap; ky < y.end; ky += y.step, iy += y.stride) {
          const int8_t* pixel = x + (static_cast<size_t>(iy) * in[2] + ix) * depth;
          const int8_t* w = weights + static_cast<size_t>(ky) * width * depth;
          size_t kx = 0;
          for (; kx + kDotRows <= width; kx += kDotRows)
            dot_rows(pixel, output.zero(), w + kx * depth, depth, depth, sums + kx);
          for (; kx < width; ++kx) dot_row(pixel, output.zero(), w + kx * depth, depth, sums + kx);
        }
        for (size_t i = 0; i < stride; ++i) store(place + i, sums[i]);
        for (size_t i = 0; i < kWidestWindow; ++i) sums[i] = i + stride < kWidestWindow ? sums[i + stride] : bias;
      }
      for (size_t i = 0; place + i < end; ++i) store(place + i, i < kWidestWindow ? sums[i] : bias);
    }
  }
}

bool has_narrow_windows(const Window& window) {
  return window.groups == 1 && window.dilation[1] == 1 && window.kernel[1] <= kWidestWindow &&
         window.stride[1] <= kWidestWindow;
}

template <typename Output>
void convolve(const Step& step, bool transposed) {
  const Output output(step);
  const Window& window = step.attributes.window;
  const Extents& in = step.inputs[0].shape;
  const Extents& out = step.output.shape;
  const size_t group_channels = in[3] / window.groups;
  const size_t group_outputs = out[3] / window.groups;
  const size_t row = size_t{window.kernel[0]} * window.kernel[1] * group_channels;
  const Axis rows(window, 0, in[1], transposed);
  const Axis columns(window, 1, in[2], transposed);
  // Neighbouring taps of a row that read neighbouring pixels are one dot product.
  const bool joined = !transposed && window.dilation[1] == 1 && window.groups == 1;
  const auto compute = [&](size_t first, auto& channels) {
    const auto* x = Output::input(step.inputs[0]) + first / group_outputs * group_channels;
    size_t index = first;
    for (size_t n = 0; n < in[0]; ++n, x += in[1] * in[2] * in[3]) {
      for (size_t oy = 0; oy < out[1]; ++oy) {
        const Taps y = rows.at(static_cast<int32_t>(oy));
        for (size_t ox = 0; ox < out[2]; ++ox, index += out[3]) {
          const Taps horizontal = columns.at(static_cast<int32_t>(ox));
          channels.start();
          int32_t iy = y.source;
          for (int32_t ky = y.tap; ky < y.end; ky += y.step, iy += y.stride) {
            const auto* line = x + static_cast<size_t>(iy) * in[2] * in[3];
            size_t weights = static_cast<size_t>(ky) * window.kernel[1] * group_channels;
            int32_t ix = horizontal.source;
            int32_t kx = horizontal.tap;
            if (joined && kx < horizontal.end) {
              channels.add(line + static_cast<size_t>(ix) * in[3], weights + static_cast<size_t>(kx) * group_channels,
                           static_cast<size_t>(horizontal.end - kx) * group_channels);
              continue;
            }
            for (; kx < horizontal.end; kx += horizontal.step, ix += horizontal.stride) {
              channels.add(line + static_cast<size_t>(ix) * in[3], weights + static_cast<size_t>(kx) * group_channels,
                           group_channels);
            }
          }
          channels.store(index);
        }
      }
    }
  };
  if constexpr (std::is_same_v<Output, I8Output>) {
    if (transposed && has_narrow_windows(window)) {
      const size_t whole = out[3] / kDotRows * kDotRows;
      for_channels(output, 0, whole, Output::weights(step.inputs[1]), row, compute);
      for (size_t o = whole; o < out[3]; ++o) add_windows(step, output, rows, o);
      return;
    }
  }
  for (size_t group = 0; group < window.groups; ++group) {
    for_channels(output, group * group_outputs, (group + 1) * group_outputs, Output::weights(step.inputs[1]), row,
                 compute);
  }
}

// An int8 input less its zero point; f32 has none.
inline int32_t centered(int8_t element, int32_t zero) { return element - zero; }
inline float centered(float element, float /*zero*/) { return element; }

// sums[r] += (x[r] - zero) w[r stride], written out: a loop of few turns is left as it is by -Os.
template <typename T, typename W, typename Sum, size_t... kAt>
[[gnu::always_inline]] inline void add_own(const T* x, Sum zero, const W* w, size_t stride, Sum* sums,
                                           std::index_sequence<kAt...> /*all*/) {
  ((sums[kAt] += centered(x[kAt], zero) * w[kAt * stride]), ...);
}

// Channels [first, first + kRows), each of its own input channel alone.
template <size_t kRows, typename Output>
void convolve_own(const Step& step, const Output& output, const Axis& rows, const Axis& columns, size_t first) {
  const Extents& in = step.inputs[0].shape;
  const Extents& out = step.output.shape;
  const Window& window = step.attributes.window;
  const size_t taps = size_t{window.kernel[0]} * window.kernel[1];
  const auto depth = static_cast<ptrdiff_t>(in[3]);
  const auto* x = Output::input(step.inputs[0]) + first;
  const auto* weights = Output::weights(step.inputs[1]) + first * taps;
  float ratios[kRows];
  output.template find_ratios<kRows>(first, ratios);
  size_t index = first;
  for (size_t n = 0; n < in[0]; ++n, x += in[1] * in[2] * in[3]) {
    for (size_t oy = 0; oy < out[1]; ++oy) {
      const Taps vertical = rows.at(static_cast<int32_t>(oy));
      for (size_t ox = 0; ox < out[2]; ++ox, index += out[3]) {
        const Taps horizontal = columns.at(static_cast<int32_t>(ox));
        typename Output::Sum sums[kRows];
        output.template start<kRows>(first, sums);
        int32_t iy = vertical.source;
        for (int32_t ky = vertical.tap; ky < vertical.end; ky += vertical.step, iy += vertical.stride) {
          const auto* w = weights + static_cast<size_t>(ky) * window.kernel[1];
          // An offset, not a pointer: where no tap falls on the input, and after the last one, it may lie outside.
          ptrdiff_t pixel = (static_cast<ptrdiff_t>(iy) * static_cast<ptrdiff_t>(in[2]) + horizontal.source) * depth;
          for (int32_t kx = horizontal.tap; kx < horizontal.end;
               kx += horizontal.step, pixel += horizontal.stride * depth)
            add_own(x + pixel, output.zero(), w + kx, taps, sums, std::make_index_sequence<kRows>());
        }
        output.template store<kRows>(index, first, ratios, sums);
      }
    }
  }
}

template <typename Output>
void convolve_channels(const Step& step, bool transposed) {
  const Output output(step);
  const Axis rows(step.attributes.window, 0, step.inputs[0].shape[1], transposed);
  const Axis columns(step.attributes.window, 1, step.inputs[0].shape[2], transposed);
  const size_t channels = step.output.shape[3];
  size_t c = 0;
  for (; c + kDotRows <= channels; c += kDotRows) convolve_own<kDotRows>(step, output, rows, columns, c);
  for (; c < channels; ++c) convolve_own<1>(step, output, rows, columns, c);
}

// Whether each channel of the output reads one of its own.
bool is_depthwise(const Step& step) {
  const uint32_t groups = step.attributes.window.groups;
  return groups > 1 && step.inputs[0].shape[3] == groups && step.output.shape[3] == groups;
}

template <typename Output>
void any_convolution_as(const Step& step, bool transposed) {
  is_depthwise(step) ? convolve_channels<Output>(step, transposed) : convolve<Output>(step, transposed);
}

bool is_i8(const Step& step) { return step.inputs[0].type == DataType::kI8; }

}  // namespace

void fully_connected(const Step& step) {
  if (is_i8(step)) return fully_connected_as<I8Output>(step);
  step.weights_alone_are_i8() ? fully_connected_as<I8WeightsOutput>(step) : fully_connected_as<F32Output>(step);
}

namespace {

void any_convolution(const Step& step, bool transposed) {
  if (is_i8(step)) return any_convolution_as<I8Output>(step, transposed);
  step.weights_alone_are_i8() ? any_convolution_as<I8WeightsOutput>(step, transposed)
                              : any_convolution_as<F32Output>(step, transposed);
}

}  // namespace

void conv2d(const Step& step) { any_convolution(step, false); }

void conv_transpose2d(const Step& step) { any_convolution(step, true); }

namespace {

// Row i of dimension 0 of what is multiplied, in f32 or of i8 with scales.
float weight(float value, const float* /*scales*/, size_t /*i*/) { return value; }
float weight(int8_t value, const float* scales, size_t i) { return scales[i] * static_cast<float>(value); }

template <typename B>
[[gnu::noinline]] void matmul_with(const Step& step, const B* b, const float* scales) {
  const Extents& a_shape = step.inputs[0].shape;
  const size_t rows = step.output.shape.from_end(1);
  const size_t columns = step.output.shape.from_end(0);
  const size_t inner = a_shape.from_end(step.attributes.transpose_a ? 1 : 0);
  const size_t a_row = step.attributes.transpose_a ? 1 : inner;
  const size_t a_inner = step.attributes.transpose_a ? rows : 1;
  const size_t b_inner = step.attributes.transpose_b ? 1 : columns;
  const size_t b_column = step.attributes.transpose_b ? inner : 1;
  const size_t matrices = a_shape.elements() / (rows * inner);
  const bool by_column = step.attributes.transpose_b;
  const float* a = step.inputs[0].f32();
  auto* out = static_cast<float*>(step.output.data);
  for (size_t m = 0; m < matrices; ++m, a += rows * inner, b += inner * columns, out += rows * columns) {
    for (size_t i = 0; i < rows; ++i) {
      for (size_t j = 0; j < columns; ++j) {
        float sum = 0;
        for (size_t k = 0; k < inner; ++k)
          sum += a[i * a_row + k * a_inner] * weight(b[k * b_inner + j * b_column], scales, by_column ? j : k);
        out[i * columns + j] = sum;
      }
    }
  }
}

}  // namespace

void matmul(const Step& step) {
  const Operand& b = step.inputs[1];
  b.type == DataType::kI8 ? matmul_with(step, b.i8(), b.quantization.scales.data())
                          : matmul_with(step, b.f32(), nullptr);
}

}  // namespace figment::kernels::portable
