#include "kernels/xnnpack/operators.h"

#include <cpuinfo.h>

#include "format/quantized.h"

namespace figment::kernels {

Status xnnpack_status(xnn_status status, const char* what) {
  switch (status) {
    case xnn_status_success: return {};
    case xnn_status_out_of_memory: return Status::error(StatusCode::kOutOfMemory, "no memory for %s", what);
    default:
      return Status::error(StatusCode::kInternal, "XNNPACK refused %s (status %d)", what, static_cast<int>(status));
  }
}

pthreadpool* threads_for(size_t operations, const Environment& environment) {
  constexpr size_t kWorthThreads = 1000000;
  return operations < kWorthThreads ? nullptr : environment.threads;
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

}  // namespace

bool bounds_supported(const Step& step) {
  if (step.output.type == DataType::kF32) return step.attributes.clamp_min < step.attributes.clamp_max;
  const format::IntegerBounds bounds = bounds_of(weights_of(step));
  return bounds.low < bounds.high;
}

LinearOperator::~LinearOperator() {
  if (operator_ != nullptr) xnn_delete_operator(operator_);
  if (single_ != nullptr) xnn_delete_operator(single_);
}

namespace {

// How many of `rows` a fully connected operator should compute one by one. The f32 kernel for AVX-512 computes tiles of
// 7 rows, and a tile takes as long with one row as with seven: 38.5 us for 400 -> 784, where the one-row kernel takes
// 13.6 us. One or two rows that are left over are cheaper one by one, three are not.
size_t rows_one_by_one(DataType type, size_t rows) {
#if defined(__x86_64__)
  constexpr size_t kTile = 7;
  if (type == DataType::kF32 && cpuinfo_has_x86_avx512f() && rows > kTile && rows % kTile <= 2) return rows % kTile;
#else
  (void)type;
  (void)rows;
#endif
  return 0;
}

}  // namespace

Status LinearOperator::create_fully_connected(const Weights& weights, size_t inputs, size_t outputs, size_t rows) {
  kind_ = Kind::kFullyConnected;
  type_ = weights.type;
  single_rows_ = rows_one_by_one(type_, rows);
  tiled_rows_ = rows - single_rows_;
  input_bytes_ = inputs * format::element_size(type_);
  output_bytes_ = outputs * format::element_size(type_);
  FIGMENT_RETURN_IF_ERROR(create_fully_connected(weights, inputs, outputs, &operator_));
  return single_rows_ == 0 ? Status() : create_fully_connected(weights, inputs, outputs, &single_);
}

Status LinearOperator::create_fully_connected(const Weights& weights, size_t inputs, size_t outputs,
                                              xnn_operator_t* out) {
  if (type_ == DataType::kF32) {
    return xnnpack_status(
        xnn_create_fully_connected_nc_f32(inputs, outputs, inputs, outputs, static_cast<const float*>(weights.kernel),
                                          static_cast<const float*>(weights.bias), weights.min, weights.max, 0, nullptr,
                                          packing_.cache(), out),
        "a fully connected operator");
  }
  const format::IntegerBounds bounds = bounds_of(weights);
  return xnnpack_status(
      xnn_create_fully_connected_nc_qs8_qc8w(
          inputs, outputs, inputs, outputs, static_cast<int8_t>(weights.input.zero_point), weights.input.scale(),
          weights.scales, static_cast<const int8_t*>(weights.kernel), static_cast<const int32_t*>(weights.bias),
          static_cast<int8_t>(weights.output.zero_point), weights.output.scale(), static_cast<int8_t>(bounds.low),
          static_cast<int8_t>(bounds.high), 0, nullptr, packing_.cache(), out),
      "an int8 fully connected operator");
}

Status LinearOperator::reshape_fully_connected(pthreadpool* threads) {
  threads_ = threads;
  FIGMENT_RETURN_IF_ERROR(reshape_fully_connected(operator_, tiled_rows_));
  return single_ == nullptr ? Status() : reshape_fully_connected(single_, 1);
}

Status LinearOperator::reshape_fully_connected(xnn_operator_t op, size_t rows) {
  const xnn_status status = type_ == DataType::kF32 ? xnn_reshape_fully_connected_nc_f32(op, rows, threads_)
                                                    : xnn_reshape_fully_connected_nc_qs8_qc8w(op, rows, threads_);
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

Status LinearOperator::reshape_convolution(size_t batch, size_t height, size_t width, pthreadpool* threads) {
  threads_ = threads;
  size_t workspace = 0;
  size_t alignment = 0;
  const auto reshape =
      type_ == DataType::kF32 ? xnn_reshape_convolution2d_nhwc_f32 : xnn_reshape_convolution2d_nhwc_qs8_qc8w;
  FIGMENT_RETURN_IF_ERROR(
      xnnpack_status(reshape(operator_, batch, height, width, &workspace, &alignment, nullptr, nullptr, threads),
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

Status LinearOperator::reshape_deconvolution(size_t batch, size_t height, size_t width, const Window& window,
                                             pthreadpool* threads) {
  threads_ = threads;
  const auto reshape =
      type_ == DataType::kF32 ? xnn_reshape_deconvolution2d_nhwc_f32 : xnn_reshape_deconvolution2d_nhwc_qs8_qc8w;
  return xnnpack_status(reshape(operator_, batch, height, width, window.output_padding[0], window.output_padding[1],
                                nullptr, nullptr, threads),
                        "a transposed convolution's shape");
}

Status LinearOperator::setup(const void* input, void* output) {
  input_ = static_cast<const uint8_t*>(input);
  output_ = static_cast<uint8_t*>(output);
  FIGMENT_RETURN_IF_ERROR(xnnpack_status(setup(operator_, input, output), "the operands of an operator"));
  return single_ == nullptr ? Status() : xnnpack_status(setup(single_, input, output), "the operands of an operator");
}

xnn_status LinearOperator::setup(xnn_operator_t op, const void* input, void* output) const {
  const auto* f32_in = static_cast<const float*>(input);
  const auto* i8_in = static_cast<const int8_t*>(input);
  auto* f32_out = static_cast<float*>(output);
  auto* i8_out = static_cast<int8_t*>(output);
  const bool f32 = type_ == DataType::kF32;
  switch (kind_) {
    case Kind::kFullyConnected:
      return f32 ? xnn_setup_fully_connected_nc_f32(op, f32_in, f32_out)
                 : xnn_setup_fully_connected_nc_qs8_qc8w(op, i8_in, i8_out);
    case Kind::kConvolution:
      return f32 ? xnn_setup_convolution2d_nhwc_f32(op, nullptr, f32_in, f32_out)
                 : xnn_setup_convolution2d_nhwc_qs8_qc8w(op, nullptr, i8_in, i8_out);
    case Kind::kDeconvolution:
      return f32 ? xnn_setup_deconvolution2d_nhwc_f32(op, f32_in, f32_out)
                 : xnn_setup_deconvolution2d_nhwc_qs8_qc8w(op, i8_in, i8_out);
  }
  return xnn_status_invalid_state;
}

void LinearOperator::run() {
  xnn_run_operator(operator_, threads_);
  for (size_t row = tiled_rows_; row < tiled_rows_ + single_rows_; ++row) {
    // Only the addresses differ from the setup that succeeded.
    (void)setup(single_, input_ + row * input_bytes_, output_ + row * output_bytes_);
    xnn_run_operator(single_, threads_);
  }
}

}  // namespace figment::kernels
