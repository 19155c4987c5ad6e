// Fully connected and convolution steps as one operator each.
#include "kernels/xnnpack/operators.h"
#include "kernels/xnnpack/preconditions.h"
#include "kernels/xnnpack/xnnpack_kernels.h"

namespace figment::kernels::xnnpack {

namespace {

// Also a convolution whose kernel covers its input: its weights [O, h, w, I] are those of [O, h*w*I].
class FullyConnected final : public PreparedKernel {
 public:
  const char* name() const override { return operator_.kernel_name(); }
  CheckedSize operator_bytes(const Step& step) const override {
    return LinearOperator::pool_bytes(step.output.type, step.inputs[1].shape[0]);
  }

  Status prepare(const Step& step, Packer* packer) override {
    const size_t outputs = step.inputs[1].shape[0];
    const size_t inputs = step.inputs[1].elements() / outputs;
    const size_t rows = step.inputs[0].elements() / inputs;
    FIGMENT_RETURN_IF_ERROR(operator_.packing().begin(packer, {step.program, step.index, 0, 0}));
    const Status created = operator_.create_fully_connected(weights_of(step), inputs, outputs, rows);
    operator_.packing().end();
    FIGMENT_RETURN_IF_ERROR(created);
    return operator_.reshape_fully_connected(threads_for(rows * inputs * outputs, step));
  }

  Status bind(const Step& step) override { return operator_.setup(step.inputs[0].data, step.output.data); }
  void run() override { operator_.run(); }

 private:
  LinearOperator operator_;
};

class Convolution final : public PreparedKernel {
 public:
  const char* name() const override { return operator_.kernel_name(); }

  CheckedSize operator_bytes(const Step& step) const override {
    const Window& window = step.attributes.window;
    const CheckedSize pixels = CheckedSize(step.output.shape[1]) * step.output.shape[2];
    const CheckedSize taps = CheckedSize(window.kernel[0]) * window.kernel[1];
    return LinearOperator::pool_bytes(step.output.type, step.output.shape[3]) + indirection_bytes(window, pixels) +
           taps * 256 + zero_bytes(step.inputs[0].type, step.inputs[0].shape[3]);
  }

  Status prepare(const Step& step, Packer* packer) override {
    const Extents& x = step.inputs[0].shape;
    const size_t outputs = step.output.shape[3];
    FIGMENT_RETURN_IF_ERROR(operator_.packing().begin(packer, {step.program, step.index, 0, 0}));
    const Status created =
        operator_.create_convolution(weights_of(step), step.attributes.window, x[3], outputs, outputs);
    operator_.packing().end();
    FIGMENT_RETURN_IF_ERROR(created);
    const size_t operations = step.output.elements() * step.inputs[1].elements() / outputs;
    return operator_.reshape_convolution(step.attributes.window, x[0], x[1], x[2], threads_for(operations, step));
  }

  Status bind(const Step& step) override { return operator_.setup(step.inputs[0].data, step.output.data); }
  void run() override { operator_.run(); }

 private:
  LinearOperator operator_;
};

bool accepts_fully_connected(const Step& step) { return weights_violation(step) == nullptr; }

bool accepts_convolution_as_fully_connected(const Step& step) {
  const Window& window = step.attributes.window;
  const Extents& x = step.inputs[0].shape;
  const bool covers = x[1] == window.kernel[0] && x[2] == window.kernel[1] && window.dilation[0] == 1 &&
                      window.dilation[1] == 1 && window.padding == std::array<uint32_t, 4>{};
  return covers && window.groups == 1 && weights_violation(step) == nullptr;
}

bool accepts_convolution(const Step& step) {
  const Extents& x = step.inputs[0].shape;
  return weights_violation(step) == nullptr &&
         convolution_violation(step.output.type, step.attributes.window, {x[1], x[2]}) == nullptr;
}

}  // namespace

const fig_op kFullyConnected = prepared_kernel<FullyConnected>(OpKind::kFullyConnected, accepts_fully_connected);
const fig_op kConvolutionAsFullyConnected =
    prepared_kernel<FullyConnected>(OpKind::kConv2d, accepts_convolution_as_fully_connected);
const fig_op kConvolution = prepared_kernel<Convolution>(OpKind::kConv2d, accepts_convolution);

}  // namespace figment::kernels::xnnpack
