#include "kernels/xnnpack/operators.h"

#include "format/quantized.h"
#include "kernels/team.h"

namespace figment::kernels {

Status xnnpack_status(xnn_status status, const char* what) {
  switch (status) {
    case xnn_status_success: return {};
    case xnn_status_out_of_memory: return Status::error(StatusCode::kOutOfMemory, "no memory for %s", what);
    default:
      return Status::error(StatusCode::kInternal, "XNNPACK refused %s (status %d)", what, static_cast<int>(status));
  }
}

Team* threads_for(size_t operations, const Step& step) {
  constexpr size_t kWorthThreads = 1000000;
  return operations < kWorthThreads ? nullptr : step.threads;
}

Weights weights_of(const Step& step) {
  Weights weights;
  weights.type = step.inputs[0].type;
  weights.kernel = step.inputs[1].data;
  weights.bias = step.has_bias() ? step.inputs[2].data : nullptr;
  weights.scales = step.inputs[1].quantization.scales.data();
  weights.input = step.inputs[0].quantization;
  weights.output = step.output.quantization;
  weights.min = step.attributes.clamp_min;
  weights.max = step.attributes.clamp_max;
  return weights;
}

namespace {

format::IntegerBounds bounds_of(const Weights& weights) {
  return format::integer_bounds(weights.min, weights.max, weights.output.scale(), weights.output.zero_point);
}

Status violated(const char* condition, const char* what) {
  return Status::error(StatusCode::kInternal, "XNNPACK cannot run %s: %s", what, condition);
}

}  // namespace

LinearOperator::~LinearOperator() {
  if (operator_ != nullptr) xnn_delete_operator(operator_);
}

Status LinearOperator::create_product(const Weights& weights, size_t inputs, size_t outputs) {
  kind_ = Kind::kProduct;
  if (!packing_.packed()) {
    auto* packed = static_cast<float*>(packing_.reserve(avx512::packed_size(inputs, outputs) * sizeof(float)));
    if (packed == nullptr) return Status::error(StatusCode::kOutOfMemory, "no memory for packed weights");
    avx512::pack(static_cast<const float*>(weights.kernel), static_cast<const float*>(weights.bias), inputs, outputs,
                 packed);
  }
  product_ = {nullptr,    static_cast<const float*>(packing_.weights()), nullptr, rows_, inputs, outputs, weights.min,
              weights.max};
  return {};
}

Status LinearOperator::create_fully_connected(const Weights& weights, size_t inputs, size_t outputs, size_t rows) {
  kind_ = Kind::kFullyConnected;
  type_ = weights.type;
  rows_ = rows;
  if (type_ == DataType::kF32) {
    if (avx512::available()) return create_product(weights, inputs, outputs);
    return xnnpack_status(
        xnn_create_fully_connected_nc_f32(inputs, outputs, inputs, outputs, static_cast<const float*>(weights.kernel),
                                          static_cast<const float*>(weights.bias), weights.min, weights.max, 0, nullptr,
                                          packing_.cache(), &operator_),
        "a fully connected operator");
  }
  const format::IntegerBounds bounds = bounds_of(weights);
  return xnnpack_status(
      xnn_create_fully_connected_nc_qs8_qc8w(
          inputs, outputs, inputs, outputs, static_cast<int8_t>(weights.input.zero_point), weights.input.scale(),
          weights.scales, static_cast<const int8_t*>(weights.kernel), static_cast<const int32_t*>(weights.bias),
          static_cast<int8_t>(weights.output.zero_point), weights.output.scale(), static_cast<int8_t>(bounds.low),
          static_cast<int8_t>(bounds.high), 0, nullptr, packing_.cache(), &operator_),
      "an int8 fully connected operator");
}

Status LinearOperator::reshape_fully_connected(Team* threads) {
  threads_ = threads;
  if (kind_ == Kind::kProduct) return {};
  const xnn_status status = type_ == DataType::kF32
                                ? xnn_reshape_fully_connected_nc_f32(operator_, rows_, pool_of(threads_))
                                : xnn_reshape_fully_connected_nc_qs8_qc8w(operator_, rows_, pool_of(threads_));
  return xnnpack_status(status, "the shape of a fully connected operator");
}

Status LinearOperator::create_convolution(const Weights& weights, const Window& window, size_t channels, size_t outputs,
                                          size_t output_stride) {
  kind_ = Kind::kConvolution;
  type_ = weights.type;
  const auto& [top, left, bottom, right] = window.padding;
  const size_t group_channels = channels / window.groups;
  const size_t group_outputs = outputs / window.groups;
  if (type_ == DataType::kF32) {
    return xnnpack_status(
        xnn_create_convolution2d_nhwc_f32(
            top, right, bottom, left, window.kernel[0], window.kernel[1], window.stride[0], window.stride[1],
            window.dilation[0], window.dilation[1], window.groups, group_channels, group_outputs, channels,
            output_stride, static_cast<const float*>(weights.kernel), static_cast<const float*>(weights.bias),
            weights.min, weights.max, 0, nullptr, packing_.cache(), &operator_),
        "a convolution operator");
  }
  const format::IntegerBounds bounds = bounds_of(weights);
  return xnnpack_status(
      xnn_create_convolution2d_nhwc_qs8_qc8w(
          top, right, bottom, left, window.kernel[0], window.kernel[1], window.stride[0], window.stride[1],
          window.dilation[0], window.dilation[1], window.groups, group_channels, group_outputs, channels, output_stride,
          static_cast<int8_t>(weights.input.zero_point), weights.input.scale(), weights.scales,
          static_cast<const int8_t*>(weights.kernel), static_cast<const int32_t*>(weights.bias),
          static_cast<int8_t>(weights.output.zero_point), weights.output.scale(), static_cast<int8_t>(bounds.low),
          static_cast<int8_t>(bounds.high), 0, nullptr, packing_.cache(), &operator_),
      "an int8 convolution operator");
}

Status LinearOperator::reshape_convolution(const Window& window, size_t batch, size_t height, size_t width,
                                           Team* threads) {
  threads_ = threads;
  if (const char* condition = convolution_violation(type_, window, {height, width})) {
    return violated(condition, "a convolution");
  }
  size_t workspace = 0;
  size_t alignment = 0;
  const auto reshape =
      type_ == DataType::kF32 ? xnn_reshape_convolution2d_nhwc_f32 : xnn_reshape_convolution2d_nhwc_qs8_qc8w;
  FIGMENT_RETURN_IF_ERROR(xnnpack_status(
      reshape(operator_, batch, height, width, &workspace, &alignment, nullptr, nullptr, pool_of(threads)),
      "a convolution's shape"));
  if (workspace != 0) return Status::error(StatusCode::kInternal, "XNNPACK wants a workspace for a convolution");
  return {};
}

Status LinearOperator::create_deconvolution(const Weights& weights, const Window& window, size_t channels,
                                            size_t outputs) {
  kind_ = Kind::kDeconvolution;
  type_ = weights.type;
  const auto& [top, left, bottom, right] = window.padding;
  const size_t group_channels = channels / window.groups;
  const size_t group_outputs = outputs / window.groups;
  if (type_ == DataType::kF32) {
    return xnnpack_status(
        xnn_create_deconvolution2d_nhwc_f32(
            top, right, bottom, left, window.kernel[0], window.kernel[1], window.stride[0], window.stride[1],
            window.dilation[0], window.dilation[1], window.groups, group_channels, group_outputs, channels, outputs,
            static_cast<const float*>(weights.kernel), static_cast<const float*>(weights.bias), weights.min,
            weights.max, 0, nullptr, packing_.cache(), &operator_),
        "a transposed convolution operator");
  }
  const format::IntegerBounds bounds = bounds_of(weights);
  return xnnpack_status(
      xnn_create_deconvolution2d_nhwc_qs8_qc8w(
          top, right, bottom, left, window.kernel[0], window.kernel[1], window.stride[0], window.stride[1],
          window.dilation[0], window.dilation[1], window.groups, group_channels, group_outputs, channels, outputs,
          static_cast<int8_t>(weights.input.zero_point), weights.input.scale(), weights.scales,
          static_cast<const int8_t*>(weights.kernel), static_cast<const int32_t*>(weights.bias),
          static_cast<int8_t>(weights.output.zero_point), weights.output.scale(), static_cast<int8_t>(bounds.low),
          static_cast<int8_t>(bounds.high), 0, nullptr, packing_.cache(), &operator_),
      "an int8 transposed convolution operator");
}

Status LinearOperator::reshape_deconvolution(const Window& window, size_t batch, size_t height, size_t width,
                                             Team* threads) {
  threads_ = threads;
  if (const char* condition = deconvolution_violation(type_, window, {height, width})) {
    return violated(condition, "a transposed convolution");
  }
  const auto reshape =
      type_ == DataType::kF32 ? xnn_reshape_deconvolution2d_nhwc_f32 : xnn_reshape_deconvolution2d_nhwc_qs8_qc8w;
  return xnnpack_status(reshape(operator_, batch, height, width, window.output_padding[0], window.output_padding[1],
                                nullptr, nullptr, pool_of(threads)),
                        "a transposed convolution's shape");
}

const char* LinearOperator::kernel_name() const {
  switch (kind_) {
    case Kind::kProduct: return "avx512 fully connected";
    case Kind::kFullyConnected: return "xnnpack fully connected";
    case Kind::kConvolution: return "xnnpack convolution";
    case Kind::kDeconvolution: return "xnnpack deconvolution";
  }
  return "";
}

Status LinearOperator::setup(const void* input, void* output) {
  const auto* f32_in = static_cast<const float*>(input);
  const auto* i8_in = static_cast<const int8_t*>(input);
  auto* f32_out = static_cast<float*>(output);
  auto* i8_out = static_cast<int8_t*>(output);
  const bool f32 = type_ == DataType::kF32;
  xnn_status status = xnn_status_success;
  switch (kind_) {
    case Kind::kProduct:
      product_.input = f32_in;
      product_.output = f32_out;
      break;
    case Kind::kFullyConnected:
      status = f32 ? xnn_setup_fully_connected_nc_f32(operator_, f32_in, f32_out)
                   : xnn_setup_fully_connected_nc_qs8_qc8w(operator_, i8_in, i8_out);
      break;
    case Kind::kConvolution:
      status = f32 ? xnn_setup_convolution2d_nhwc_f32(operator_, nullptr, f32_in, f32_out)
                   : xnn_setup_convolution2d_nhwc_qs8_qc8w(operator_, nullptr, i8_in, i8_out);
      break;
    case Kind::kDeconvolution:
      status = f32 ? xnn_setup_deconvolution2d_nhwc_f32(operator_, f32_in, f32_out)
                   : xnn_setup_deconvolution2d_nhwc_qs8_qc8w(operator_, i8_in, i8_out);
      break;
  }
  return xnnpack_status(status, "the operands of an operator");
}

void LinearOperator::run() {
  if (kind_ == Kind::kProduct) {
    avx512::multiply(product_, now(threads_));
  } else {
    xnn_run_operator(operator_, now(threads_));
  }
}

}  // namespace figment::kernels
