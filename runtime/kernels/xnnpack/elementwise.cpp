// f32 functions of one and two operands, and softmax over the last axis.
#include "kernels/team.h"
#include "kernels/xnnpack/operators.h"
#include "kernels/xnnpack/xnnpack_kernels.h"

namespace figment::kernels::xnnpack {

namespace {

// Owns an operator without weights.
class ElementwiseKernel : public PreparedKernel {
 public:
  ~ElementwiseKernel() override {
    if (operator_ != nullptr) xnn_delete_operator(operator_);
  }
  CheckedSize operator_bytes(const Step& /*step*/) const override { return LinearOperator::kPoolBytes; }
  void run() override { xnn_run_operator(operator_, now(threads_)); }

 protected:
  // Elementwise work is worth threads from a few hundred thousand elements on.
  static Team* choose_threads(const Step& step) { return threads_for(step.output.elements() * 4, step); }

  xnn_operator_t operator_ = nullptr;
  Team* threads_ = nullptr;
};

xnn_unary_operator unary_operator(OpKind kind) {
  switch (kind) {
    case OpKind::kClamp: return xnn_unary_clamp;
    case OpKind::kLeakyRelu: return xnn_unary_leaky_relu;
    case OpKind::kElu: return xnn_unary_elu;
    case OpKind::kSigmoid: return xnn_unary_sigmoid;
    case OpKind::kTanh: return xnn_unary_tanh;
    case OpKind::kAbs: return xnn_unary_abs;
    case OpKind::kNegate: return xnn_unary_negate;
    default: return xnn_unary_invalid;
  }
}

class Unary : public ElementwiseKernel {
 public:
  const char* name() const override { return "xnnpack unary"; }

  Status prepare(const Step& step, Packer* /*packer*/) override {
    threads_ = choose_threads(step);
    xnn_unary_params parameters{};
    if (step.kind == OpKind::kClamp) parameters.clamp = {step.attributes.clamp_min, step.attributes.clamp_max};
    if (step.kind == OpKind::kLeakyRelu) parameters.leaky_relu.negative_slope = step.attributes.alpha;
    if (step.kind == OpKind::kElu) parameters.elu.alpha = step.attributes.alpha;
    FIGMENT_RETURN_IF_ERROR(create_unary_operator(unary_operator(step.kind), parameters, &operator_));
    return reshape(operator_, step);
  }

  Status resize(const Step& step) override {
    FIGMENT_RETURN_IF_ERROR(reshape(operator_, step));
    return bind(step);
  }

  Status bind(const Step& step) override { return setup(operator_, step.inputs[0].data, step.output.data); }

 protected:
  static Status create_unary_operator(xnn_unary_operator type, const xnn_unary_params& parameters,
                                      xnn_operator_t* created) {
    return xnnpack_status(xnn_create_unary_elementwise_nc(type, xnn_datatype_fp32, xnn_datatype_fp32, &parameters,
                                                          nullptr, nullptr, 0, created),
                          "an elementwise operator");
  }
  Status reshape(xnn_operator_t created, const Step& step) const {
    const size_t elements = step.output.elements();
    return xnnpack_status(xnn_reshape_unary_elementwise_nc(created, 1, elements, elements, elements, pool_of(threads_)),
                          "an elementwise operator's shape");
  }
  static Status setup(xnn_operator_t created, const void* input, void* output) {
    return xnnpack_status(xnn_setup_unary_elementwise_nc(created, input, output), "an elementwise operator's operands");
  }
};

// XNNPACK's sigmoid is NaN where |x| is above about 2^126: its input is clamped to where the function is flat.
class Sigmoid final : public Unary {
 public:
  ~Sigmoid() override {
    if (clamp_ != nullptr) xnn_delete_operator(clamp_);
  }
  const char* name() const override { return "xnnpack clamp + sigmoid"; }
  bool reads_output() const override { return true; }
  CheckedSize operator_bytes(const Step& step) const override { return CheckedSize(2) * Unary::operator_bytes(step); }

  Status prepare(const Step& step, Packer* /*packer*/) override {
    FIGMENT_RETURN_IF_ERROR(Unary::prepare(step, nullptr));
    xnn_unary_params parameters{};
    parameters.clamp = {-kFlat, kFlat};
    FIGMENT_RETURN_IF_ERROR(create_unary_operator(xnn_unary_clamp, parameters, &clamp_));
    return reshape(clamp_, step);
  }

  Status resize(const Step& step) override {
    FIGMENT_RETURN_IF_ERROR(reshape(clamp_, step));
    return Unary::resize(step);
  }

  Status bind(const Step& step) override {
    FIGMENT_RETURN_IF_ERROR(setup(clamp_, step.inputs[0].data, step.output.data));
    return setup(operator_, step.output.data, step.output.data);
  }

  void run() override {
    xnn_run_operator(clamp_, now(threads_));
    xnn_run_operator(operator_, now(threads_));
  }

 private:
  static constexpr float kFlat = 128;

  xnn_operator_t clamp_ = nullptr;
};

class Binary final : public ElementwiseKernel {
 public:
  const char* name() const override { return "xnnpack binary"; }

  Status prepare(const Step& step, Packer* /*packer*/) override {
    threads_ = choose_threads(step);
    xnn_binary_operator type = xnn_binary_divide;
    if (step.kind == OpKind::kAdd) type = xnn_binary_add;
    if (step.kind == OpKind::kSubtract) type = xnn_binary_subtract;
    if (step.kind == OpKind::kMultiply) type = xnn_binary_multiply;
    FIGMENT_RETURN_IF_ERROR(xnnpack_status(
        xnn_create_binary_elementwise_nd(type, xnn_datatype_fp32, nullptr, nullptr, nullptr, 0, &operator_),
        "a binary operator"));
    return reshape(step);
  }

  Status resize(const Step& step) override {
    FIGMENT_RETURN_IF_ERROR(reshape(step));
    return bind(step);
  }

  Status bind(const Step& step) override {
    return xnnpack_status(
        xnn_setup_binary_elementwise_nd(operator_, step.inputs[0].data, step.inputs[1].data, step.output.data),
        "a binary operator's operands");
  }

 private:
  Status reshape(const Step& step) {
    const Extents& a = step.inputs[0].shape;
    const Extents& b = step.inputs[1].shape;
    return xnnpack_status(
        xnn_reshape_binary_elementwise_nd(operator_, a.rank(), a.begin(), b.rank(), b.begin(), pool_of(threads_)),
        "a binary operator's shape");
  }
};

class Softmax final : public ElementwiseKernel {
 public:
  const char* name() const override { return "xnnpack softmax"; }

  Status prepare(const Step& step, Packer* /*packer*/) override {
    const size_t channels = step.output.shape.from_end(0);
    threads_ = choose_threads(step);
    FIGMENT_RETURN_IF_ERROR(xnnpack_status(xnn_create_softmax_nc_f32(0, &operator_), "a softmax operator"));
    return xnnpack_status(xnn_reshape_softmax_nc_f32(operator_, channels, channels, channels,
                                                     step.output.elements() / channels, pool_of(threads_)),
                          "a softmax operator's shape");
  }

  Status bind(const Step& step) override {
    return xnnpack_status(
        xnn_setup_softmax_nc_f32(operator_, step.inputs[0].f32(), static_cast<float*>(step.output.data)),
        "a softmax operator's operands");
  }
};

bool accepts_unary(const Step& step) {
  const Attributes& attributes = step.attributes;
  switch (step.kind) {
    case OpKind::kClamp: return attributes.clamp_min < attributes.clamp_max;
    case OpKind::kLeakyRelu: return attributes.alpha != 0 && attributes.alpha != 1;
    case OpKind::kElu: return attributes.alpha > 0;
    default: return true;
  }
}

bool accepts_binary(const Step& step) {
  return step.output.type == DataType::kF32 && !step.attributes.clamps() && step.output.shape.rank() > 0;
}

// Prepared for one batch.
bool accepts_softmax(const Step& step) {
  return !step.any_batch && step.output.type == DataType::kF32 &&
         step.attributes.axes[0] + 1 == step.output.shape.rank();
}

constexpr fig_op unary(OpKind kind) { return prepared_kernel<Unary>(kind, accepts_unary, InPlace::kFirstInput); }
constexpr fig_op binary(OpKind kind) { return prepared_kernel<Binary>(kind, accepts_binary, InPlace::kEitherInput); }

}  // namespace

const fig_op kClamp = unary(OpKind::kClamp);
const fig_op kLeakyRelu = unary(OpKind::kLeakyRelu);
const fig_op kElu = unary(OpKind::kElu);
const fig_op kSigmoid = prepared_kernel<Sigmoid>(OpKind::kSigmoid, accepts_unary, InPlace::kFirstInput);
const fig_op kTanh = unary(OpKind::kTanh);
const fig_op kAbs = unary(OpKind::kAbs);
const fig_op kNegate = unary(OpKind::kNegate);
const fig_op kAdd = binary(OpKind::kAdd);
const fig_op kSubtract = binary(OpKind::kSubtract);
const fig_op kMultiply = binary(OpKind::kMultiply);
const fig_op kDivide = binary(OpKind::kDivide);
const fig_op kSoftmax = prepared_kernel<Softmax>(OpKind::kSoftmax, accepts_softmax);

}  // namespace figment::kernels::xnnpack
