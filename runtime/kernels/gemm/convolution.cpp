// Convolutions and their gradients as products with columns: [small pixels, taps * channels of the large image], where
// the small image is a convolution's output or a transposed convolution's input (im2col; Chellapilla et al. 2006).
// With W the weights as [O, taps, I] of the forward op, and V the same as [taps, O, I]:
//   conv2d                             y = columns(x) W^T          conv_transpose2d            columns(y) = x V^T
//   conv2d_backward_input              columns(dx) = g W           ..._backward_input          dx = columns(g) V
//   conv2d_backward_weights            dW = g^T columns(x)         ..._backward_weights        dV = columns(g)^T x
// where writing columns(y) adds up the taps that land on each pixel. The batch is cut into parts whose columns stay in
// the cache; gradients of weights add up the parts in order.
#include <algorithm>
#include <cstring>

#include "kernels/gemm/finish.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/gemm_kernels.h"

namespace figment::kernels::gemm {

namespace {

constexpr size_t kColumnsBytes = 384 << 10;
constexpr size_t kManyOutputs = 32;  // from which a product for each tap is as fast as one for all

enum class Pass : uint8_t { kForward, kBackwardInput, kBackwardWeights };

struct Roles {
  bool transposed;
  Pass pass;
};

Roles roles_of(OpKind kind) {
  switch (kind) {
    case OpKind::kConv2d: return {false, Pass::kForward};
    case OpKind::kConvTranspose2d: return {true, Pass::kForward};
    case OpKind::kConv2dBackwardInput: return {false, Pass::kBackwardInput};
    case OpKind::kConv2dBackwardWeights: return {false, Pass::kBackwardWeights};
    case OpKind::kConvTranspose2dBackwardInput: return {true, Pass::kBackwardInput};
    default: return {true, Pass::kBackwardWeights};
  }
}

class Convolution {
 public:
  explicit Convolution(const Step& step) : step_(&step), threads_(step.threads) {
    const auto& [transposed, pass] = roles_of(step.kind);
    transposed_ = transposed;
    pass_ = pass;
    // x: the forward op's input; y: its output, or the gradient of that.
    const Operand& x = pass == Pass::kBackwardInput ? step.output : step.inputs[0];
    const Operand& y = pass == Pass::kForward         ? step.output
                       : pass == Pass::kBackwardInput ? step.inputs[0]
                                                      : step.inputs[1];
    const Extents& weights = pass == Pass::kBackwardWeights ? step.output.shape : step.inputs[1].shape;
    taps_ = weights[1] * weights[2];
    outputs_ = weights[0];
    inputs_ = weights[3];
    const Extents& large = transposed ? y.shape : x.shape;
    const Extents& small = transposed ? x.shape : y.shape;
    batch_ = small[0];
    for (size_t axis = 0; axis < 2; ++axis) {
      large_[axis] = large[axis + 1];
      small_[axis] = small[axis + 1];
    }
    large_channels_ = large[3];
    small_channels_ = small[3];
    const CheckedSize image = CheckedSize(small_[0]) * small_[1] * taps_ * large_channels_ * sizeof(float);
    part_ =
        image.within(kColumnsBytes)
            ? std::clamp<size_t>(static_cast<size_t>(kColumnsBytes / std::max<uint64_t>(image.value(), 1)), 1, batch_)
            : 1;
  }

  CheckedSize scratch_bytes() const {
    const CheckedSize columns = CheckedSize(part_) * small_[0] * small_[1] * taps_ * large_channels_;
    return (columns + permuted_floats() + product_floats()) * sizeof(float);
  }

  void run() {
    if (permutes() && pass_ != Pass::kBackwardWeights)
      permute(step_->inputs[1].data, permuted(), format::element_size(step_->inputs[1].type), true);
    for (size_t n = 0; n < batch_; n += part_) run_part(n, std::min(part_, batch_ - n));
    if (permutes() && pass_ == Pass::kBackwardWeights) {
      permute(permuted(), step_->output.data, sizeof(float), false);
    }
    if (transposed_ && pass_ == Pass::kForward) {
      finish_rows(*step_, static_cast<float*>(step_->output.data), batch_ * large_[0] * large_[1], outputs_);
    }
  }

 private:
  size_t row() const { return taps_ * large_channels_; }  // of columns
  size_t columns_floats() const { return part_ * small_[0] * small_[1] * row(); }
  // A transposed convolution's products take a tap at a time, or all from a copy of the weights as V.
  bool by_taps() const { return transposed_ && pass_ != Pass::kBackwardInput && outputs_ >= kManyOutputs; }
  bool permutes() const { return transposed_ && !by_taps(); }
  size_t permuted_floats() const {
    if (!permutes()) return 0;
    const size_t bytes = taps_ * outputs_ * inputs_ * format::element_size(step_->inputs[1].type);
    return (bytes + sizeof(float) - 1) / sizeof(float);
  }
  CheckedSize product_floats() const {
    const CheckedSize pixels = CheckedSize(part_) * small_[0] * small_[1];
    if (pass_ == Pass::kBackwardWeights) {
      return by_taps() ? packed_floats(pixels, inputs_) : scratch_floats(pixels, threads_);
    }
    const bool from_columns = transposed_ == (pass_ == Pass::kBackwardInput);
    return scratch_floats(from_columns ? CheckedSize(taps_) * large_channels_ : CheckedSize(small_channels_), threads_);
  }
  float* columns() const { return static_cast<float*>(step_->scratch); }
  float* permuted() const { return columns() + columns_floats(); }
  float* product_scratch() const { return permuted() + permuted_floats(); }

  // [O, taps, I] to [taps, O, I], or back, of elements of so many bytes.
  void permute(const void* from, void* to, size_t element, bool forth) const {
    const size_t row = inputs_ * element;
    for (size_t t = 0; t < taps_; ++t) {
      for (size_t o = 0; o < outputs_; ++o) {
        const size_t plain = (o * taps_ + t) * row;
        const size_t moved = (t * outputs_ + o) * row;
        std::memcpy(static_cast<char*>(to) + (forth ? moved : plain),
                    static_cast<const char*>(from) + (forth ? plain : moved), row);
      }
    }
  }

  // b of a product with the weights, or V if those are permuted, from `offset` on.
  void set_weights(size_t offset, Product* product) const {
    Operand weights = step_->inputs[1];
    if (permutes()) weights.data = permuted();
    gemm::set_weights(weights, offset, pass_ == Pass::kBackwardInput, product);
  }

  // Images [n, n + count).
  void run_part(size_t n, size_t count) {
    const size_t pixels = count * small_[0] * small_[1];
    const size_t small_offset = n * small_[0] * small_[1] * small_channels_;
    const size_t large_offset = n * large_[0] * large_[1] * large_channels_;
    Product product{};
    product.rows = pixels;
    if (pass_ == Pass::kBackwardWeights) {
      // dW [O, taps * I] = g^T columns(x), or dV [taps * O, I] = columns(g)^T x.
      const float* small = step_->inputs[transposed_ ? 0 : 1].f32() + small_offset;
      gather(step_->inputs[transposed_ ? 1 : 0].f32() + large_offset, count);
      product.a = transposed_ ? Matrix{columns(), 1, row()} : Matrix{small, 1, small_channels_};
      product.b = transposed_ ? Matrix{small, small_channels_, 1} : Matrix{columns(), row(), 1};
      product.rows = transposed_ ? row() : small_channels_;
      product.columns = transposed_ ? small_channels_ : row();
      product.depth = pixels;
      product.c = transposed_ ? permuted() : static_cast<float*>(step_->output.data);
      product.c_row = product.columns;
      product.accumulate = n > 0;
      if (!by_taps()) {
        multiply(product, product_scratch(), threads_);
        return;
      }
      pack(product, product_scratch());
      product.rows = outputs_;
      product.c_row = taps_ * inputs_;
      for (size_t t = 0; t < taps_; ++t) {
        product.a.data = columns() + t * outputs_;
        product.c = static_cast<float*>(step_->output.data) + t * inputs_;
        multiply_packed(product, product_scratch(), threads_);
      }
      return;
    }
    const bool from_columns = transposed_ == (pass_ == Pass::kBackwardInput);
    if (from_columns) {
      // conv2d: columns(x) W^T, W [O, row]; conv_transpose2d_backward_input: columns(g) V, V [row, I].
      gather(step_->inputs[0].f32() + large_offset, count);
      float* out = static_cast<float*>(step_->output.data) + small_offset;
      product.a = {columns(), row(), 1};
      product.b = transposed_ ? Matrix{nullptr, inputs_, 1} : Matrix{nullptr, 1, row()};
      set_weights(0, &product);
      product.depth = row();
      product.columns = small_channels_;
      product.c = out;
      product.c_row = small_channels_;
      multiply(product, product_scratch(), threads_);
      if (pass_ == Pass::kForward) finish_rows(*step_, out, pixels, small_channels_);
      return;
    }
    // conv_transpose2d: x V^T, V [row, I]; conv2d_backward_input: g W, W [O, row].
    product.a = {step_->inputs[0].f32() + small_offset, small_channels_, 1};
    product.b = transposed_ ? Matrix{nullptr, 1, inputs_} : Matrix{nullptr, row(), 1};
    set_weights(0, &product);
    product.depth = small_channels_;
    product.columns = row();
    product.c = columns();
    product.c_row = row();
    if (by_taps()) {
      product.b.column = taps_ * inputs_;
      product.columns = outputs_;
      for (size_t t = 0; t < taps_; ++t) {
        set_weights(t * inputs_, &product);
        product.c = columns() + t * outputs_;
        multiply(product, product_scratch(), threads_);
      }
    } else {
      multiply(product, product_scratch(), threads_);
    }
    scatter(static_cast<float*>(step_->output.data) + large_offset, count);
  }

  // Calls tap(columns, pixel): the place in the columns of a tap, and its pixel in `count` large images or SIZE_MAX.
  template <typename Tap>
  void for_each_tap(size_t count, Tap tap) const {
    const Window& window = step_->attributes.window;
    float* place = columns();
    for (size_t n = 0; n < count; ++n) {
      for (size_t y = 0; y < small_[0]; ++y) {
        for (size_t x = 0; x < small_[1]; ++x) {
          for (size_t ky = 0; ky < window.kernel[0]; ++ky) {
            const int64_t large_y =
                static_cast<int64_t>(y * window.stride[0] + ky * window.dilation[0]) - window.padding[0];
            const bool row_inside = large_y >= 0 && large_y < static_cast<int64_t>(large_[0]);
            for (size_t kx = 0; kx < window.kernel[1]; ++kx, place += large_channels_) {
              const int64_t large_x =
                  static_cast<int64_t>(x * window.stride[1] + kx * window.dilation[1]) - window.padding[1];
              const bool inside = row_inside && large_x >= 0 && large_x < static_cast<int64_t>(large_[1]);
              tap(place, inside
                             ? (n * large_[0] + static_cast<size_t>(large_y)) * large_[1] + static_cast<size_t>(large_x)
                             : SIZE_MAX);
            }
          }
        }
      }
    }
  }

  void gather(const float* large, size_t count) const {
    const size_t channels = large_channels_;
    for_each_tap(count, [=](float* place, size_t pixel) {
      if (pixel == SIZE_MAX) {
        for (size_t c = 0; c < channels; ++c) place[c] = 0;
      } else {
        for (size_t c = 0; c < channels; ++c) place[c] = large[pixel * channels + c];
      }
    });
  }

  void scatter(float* large, size_t count) const {
    const size_t channels = large_channels_;
    std::memset(large, 0, count * large_[0] * large_[1] * channels * sizeof(float));
    for_each_tap(count, [=](const float* place, size_t pixel) {
      if (pixel == SIZE_MAX) return;
      for (size_t c = 0; c < channels; ++c) large[pixel * channels + c] += place[c];
    });
  }

  const Step* step_;
  Team* threads_;
  bool transposed_ = false;
  Pass pass_{};
  size_t taps_ = 0;
  size_t outputs_ = 0;
  size_t inputs_ = 0;
  size_t batch_ = 0;
  size_t part_ = 1;
  size_t large_[2] = {};
  size_t small_[2] = {};
  size_t large_channels_ = 0;
  size_t small_channels_ = 0;
};

bool accepts_gradient(const Step& step) {
  return step.output.type == DataType::kF32 && step.attributes.window.groups == 1;
}
bool accepts_forward(const Step& step) { return accepts_gradient(step) && packs_each_run(step); }

CheckedSize scratch(const Step& step) { return Convolution(step).scratch_bytes(); }
void run(const Step& step) { Convolution(step).run(); }

constexpr fig_op forward(OpKind kind) { return plain_kernel(kind, "gemm convolution", accepts_forward, run, scratch); }
constexpr fig_op backward(OpKind kind) {
  return plain_kernel(kind, "gemm convolution", accepts_gradient, run, scratch);
}

}  // namespace

const fig_op kConvolution = forward(OpKind::kConv2d);
const fig_op kTransposedConvolution = forward(OpKind::kConvTranspose2d);
const fig_op kConvolutionBackwardInput = backward(OpKind::kConv2dBackwardInput);
const fig_op kConvolutionBackwardWeights = backward(OpKind::kConv2dBackwardWeights);
const fig_op kTransposedConvolutionBackwardInput = backward(OpKind::kConvTranspose2dBackwardInput);
const fig_op kTransposedConvolutionBackwardWeights = backward(OpKind::kConvTranspose2dBackwardWeights);

}  // namespace figment::kernels::gemm
