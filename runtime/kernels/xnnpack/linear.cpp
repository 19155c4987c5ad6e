// Fully connected and convolution steps as one XNNPACK operator each.
#include "kernels/xnnpack/few_rows.h"
#include "kernels/xnnpack/operators.h"
#include "kernels/xnnpack/xnnpack_kernels.h"

namespace figment::kernels::xnnpack {

namespace {

// How many of `rows` to leave to few_rows.h. XNNPACK's f32 kernel for AVX-512 computes tiles of 7 rows, and a tile
// takes as long with one row as with seven: 38.5 us for 400 -> 784, where reading the weights once takes 13.6 us. One
// or two rows that are left over are cheaper on their own. (Other kernels' tiles are smaller.)
size_t rows_left_over(DataType type, size_t rows) {
  constexpr size_t kTile = 7;
  return type == DataType::kF32 && rows > kTile && rows % kTile <= 2 && few_rows_supported() ? rows % kTile : 0;
}

class FullyConnected final : public Kernel {
 public:
  const char* name() const override { return "xnnpack fully connected"; }
  size_t pool_bytes(const Step& /*step*/) const override { return LinearOperator::kPoolBytes; }

  Status prepare(const Step& step, const Environment& environment) override {
    const size_t outputs = step.inputs[1].shape[0];
    const size_t inputs = step.inputs[1].shape[1];
    const size_t rows = step.inputs[0].elements() / inputs;
    left_over_ = rows_left_over(step.output.type, rows);
    tiled_ = rows - left_over_;
    operator_.packing().begin(environment.weights, {step.program, step.index, 0, 0});
    const Status created = operator_.create_fully_connected(weights_of(step), inputs, outputs);
    operator_.packing().end();
    FIGMENT_RETURN_IF_ERROR(created);
    return operator_.reshape_fully_connected(tiled_, threads_for(rows * inputs * outputs, environment));
  }

  Status bind(const Step& step) override {
    step_ = &step;
    return operator_.setup(step.inputs[0].data, step.output.data);
  }

  void run() override {
    operator_.run();
    if (left_over_ == 0) return;
    const size_t outputs = step_->inputs[1].shape[0];
    const size_t inputs = step_->inputs[1].shape[1];
    few_rows_fully_connected(step_->inputs[0].f32() + tiled_ * inputs, left_over_, inputs, step_->inputs[1].f32(),
                             step_->has_bias() ? step_->inputs[2].f32() : nullptr, outputs, step_->attributes.clamp_min,
                             step_->attributes.clamp_max, static_cast<float*>(step_->output.data) + tiled_ * outputs);
  }

 private:
  LinearOperator operator_;
  const Step* step_ = nullptr;
  size_t tiled_ = 0;
  size_t left_over_ = 0;
};

class Convolution final : public Kernel {
 public:
  const char* name() const override { return "xnnpack convolution"; }

  size_t pool_bytes(const Step& step) const override {
    // The indirection buffer: one pointer for each tap of each output pixel, the pixels rounded up to a tile.
    const Window& window = step.attributes.window;
    const size_t taps = size_t{window.kernel[0]} * window.kernel[1];
    const size_t pixels = step.output.shape[1] * step.output.shape[2] + 64;
    const size_t zeros = step.inputs[0].shape[3] * format::element_size(step.inputs[0].type) + 256;
    return LinearOperator::kPoolBytes + 2 * taps * pixels * sizeof(void*) + zeros + taps * 256;
  }

  Status prepare(const Step& step, const Environment& environment) override {
    const Extents& x = step.inputs[0].shape;
    const size_t outputs = step.output.shape[3];
    operator_.packing().begin(environment.weights, {step.program, step.index, 0, 0});
    const Status created =
        operator_.create_convolution(weights_of(step), step.attributes.window, x[3], outputs, outputs);
    operator_.packing().end();
    FIGMENT_RETURN_IF_ERROR(created);
    const size_t operations = step.output.elements() * step.inputs[1].elements() / outputs;
    return operator_.reshape_convolution(x[0], x[1], x[2], threads_for(operations, environment));
  }

  Status bind(const Step& step) override { return operator_.setup(step.inputs[0].data, step.output.data); }
  void run() override { operator_.run(); }

 private:
  LinearOperator operator_;
};

}  // namespace

bool accepts_fully_connected(const Step& step) { return bounds_supported(step); }

Kernel* create_fully_connected(void* memory) { return new (memory) FullyConnected; }

bool accepts_convolution(const Step& step) { return bounds_supported(step); }

Kernel* create_convolution(void* memory) { return new (memory) Convolution; }

static_assert(sizeof(FullyConnected) <= kMaxKernelBytes && sizeof(Convolution) <= kMaxKernelBytes);

}  // namespace figment::kernels::xnnpack
