// Fully connected, convolution, transposed convolution and matrix product.
#include "core/memory.h"
#include "format/quantized.h"
#include "kernels/portable/portable.h"

namespace figment::kernels::portable {

namespace {

using format::integer_bounds;
using format::IntegerBounds;

// Turns the sum of one output element into its stored value.
class F32Output {
 public:
  using Value = float;
  using Sum = float;

  explicit F32Output(const Step& step)
      : bias_(step.has_bias() ? step.inputs[2].f32() : nullptr),
        min_(step.attributes.clamp_min),
        max_(step.attributes.clamp_max),
        out_(static_cast<float*>(step.output.data)) {}

  float start(size_t channel) const { return bias_ == nullptr ? 0 : bias_[channel]; }
  static float product(float x, float weight) { return x * weight; }
  void store(size_t index, size_t /*channel*/, float sum) const {
    sum = sum < min_ ? min_ : sum;
    out_[index] = sum > max_ ? max_ : sum;
  }
  static const float* input(const Operand& operand) { return operand.f32(); }

 private:
  const float* bias_;
  float min_;
  float max_;
  float* out_;
};

class I8Output {
 public:
  using Value = int8_t;
  using Sum = int32_t;

  explicit I8Output(const Step& step)
      : bias_(step.has_bias() ? step.inputs[2].i32() : nullptr),
        input_zero_point_(step.inputs[0].quantization.zero_point),
        input_scale_(step.inputs[0].quantization.scale()),
        weight_scales_(step.inputs[1].quantization.scales.data()),
        output_scale_(step.output.quantization.scale()),
        zero_point_(step.output.quantization.zero_point),
        bounds_(integer_bounds(step.attributes.clamp_min, step.attributes.clamp_max, output_scale_, zero_point_)),
        out_(static_cast<int8_t*>(step.output.data)) {}

  int32_t start(size_t channel) const { return bias_ == nullptr ? 0 : bias_[channel]; }
  int32_t product(int8_t x, int8_t weight) const { return (x - input_zero_point_) * weight; }
  void store(size_t index, size_t channel, int32_t sum) const {
    const float ratio = input_scale_ * weight_scales_[channel] / output_scale_;
    out_[index] = format::requantize(sum, ratio, zero_point_, bounds_.low, bounds_.high);
  }
  static const int8_t* input(const Operand& operand) { return operand.i8(); }

 private:
  const int32_t* bias_;
  int32_t input_zero_point_;
  float input_scale_;
  const float* weight_scales_;
  float output_scale_;
  int32_t zero_point_;
  IntegerBounds bounds_;
  int8_t* out_;
};

template <typename Output>
void fully_connected_as(const Step& step) {
  const Output output(step);
  const auto* x = Output::input(step.inputs[0]);
  const auto* weights = Output::input(step.inputs[1]);
  const size_t outputs = step.inputs[1].shape[0];
  const size_t inputs = step.inputs[1].shape[1];
  const size_t rows = step.inputs[0].elements() / inputs;
  for (size_t row = 0; row < rows; ++row) {
    for (size_t o = 0; o < outputs; ++o) {
      auto sum = output.start(o);
      for (size_t k = 0; k < inputs; ++k) sum += output.product(x[row * inputs + k], weights[o * inputs + k]);
      output.store(row * outputs + o, o, sum);
    }
  }
}

// The shapes of a convolution or transposed convolution, and one axis' map from output and tap to input.
struct Geometry {
  explicit Geometry(const Step& step)
      : batch(step.inputs[0].shape[0]),
        in{step.inputs[0].shape[1], step.inputs[0].shape[2]},
        channels(step.inputs[0].shape[3]),
        out{step.output.shape[1], step.output.shape[2]},
        outputs(step.output.shape[3]),
        window(step.attributes.window),
        group_channels(channels / window.groups),
        group_outputs(outputs / window.groups) {}

  // The input position that tap `tap` of output position `position` reads, or -1.
  int64_t source(bool transposed, size_t axis, size_t position, size_t tap) const {
    const auto offset = static_cast<int64_t>(tap * window.dilation[axis]);
    const auto pad = static_cast<int64_t>(window.padding[axis]);
    const auto stride = static_cast<int64_t>(window.stride[axis]);
    int64_t source = 0;
    if (transposed) {
      const int64_t scaled = static_cast<int64_t>(position) + pad - offset;
      if (scaled < 0 || scaled % stride != 0) return -1;
      source = scaled / stride;
    } else {
      source = static_cast<int64_t>(position) * stride - pad + offset;
    }
    return source >= 0 && source < static_cast<int64_t>(in[axis]) ? source : -1;
  }

  size_t batch;
  size_t in[2];
  size_t channels;
  size_t out[2];
  size_t outputs;
  const Window& window;
  size_t group_channels;
  size_t group_outputs;
};

template <typename Output>
void convolve(const Step& step, bool transposed) {
  const Output output(step);
  const Geometry g(step);
  const auto* x = Output::input(step.inputs[0]);
  const auto* weights = Output::input(step.inputs[1]);
  const size_t taps = size_t{g.window.kernel[0]} * g.window.kernel[1];
  size_t index = 0;
  for (size_t n = 0; n < g.batch; ++n) {
    for (size_t oy = 0; oy < g.out[0]; ++oy) {
      for (size_t ox = 0; ox < g.out[1]; ++ox) {
        for (size_t o = 0; o < g.outputs; ++o, ++index) {
          const size_t first = o / g.group_outputs * g.group_channels;
          auto sum = output.start(o);
          for (size_t ky = 0; ky < g.window.kernel[0]; ++ky) {
            const int64_t iy = g.source(transposed, 0, oy, ky);
            if (iy < 0) continue;
            for (size_t kx = 0; kx < g.window.kernel[1]; ++kx) {
              const int64_t ix = g.source(transposed, 1, ox, kx);
              if (ix < 0) continue;
              const auto* pixel =
                  x + ((n * g.in[0] + static_cast<size_t>(iy)) * g.in[1] + static_cast<size_t>(ix)) * g.channels +
                  first;
              const auto* tap = weights + (o * taps + ky * g.window.kernel[1] + kx) * g.group_channels;
              for (size_t i = 0; i < g.group_channels; ++i) sum += output.product(pixel[i], tap[i]);
            }
          }
          output.store(index, o, sum);
        }
      }
    }
  }
}

bool is_i8(const Step& step) { return step.inputs[0].type == DataType::kI8; }

}  // namespace

void fully_connected(const Step& step) {
  is_i8(step) ? fully_connected_as<I8Output>(step) : fully_connected_as<F32Output>(step);
}

void conv2d(const Step& step) { is_i8(step) ? convolve<I8Output>(step, false) : convolve<F32Output>(step, false); }

void conv_transpose2d(const Step& step) {
  is_i8(step) ? convolve<I8Output>(step, true) : convolve<F32Output>(step, true);
}

void matmul(const Step& step) {
  const Extents& a_shape = step.inputs[0].shape;
  const size_t rows = step.output.shape.from_end(1);
  const size_t columns = step.output.shape.from_end(0);
  const size_t inner = a_shape.from_end(step.attributes.transpose_a ? 1 : 0);
  const size_t a_row = step.attributes.transpose_a ? 1 : inner;
  const size_t a_inner = step.attributes.transpose_a ? rows : 1;
  const size_t b_inner = step.attributes.transpose_b ? 1 : columns;
  const size_t b_column = step.attributes.transpose_b ? inner : 1;
  const size_t matrices = a_shape.elements() / (rows * inner);
  const float* a = step.inputs[0].f32();
  const float* b = step.inputs[1].f32();
  auto* out = static_cast<float*>(step.output.data);
  for (size_t m = 0; m < matrices; ++m, a += rows * inner, b += inner * columns, out += rows * columns) {
    for (size_t i = 0; i < rows; ++i) {
      for (size_t j = 0; j < columns; ++j) {
        float sum = 0;
        for (size_t k = 0; k < inner; ++k) sum += a[i * a_row + k * a_inner] * b[k * b_inner + j * b_column];
        out[i * columns + j] = sum;
      }
    }
  }
}

}  // namespace figment::kernels::portable
