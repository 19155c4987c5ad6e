// What the shape and type rules share.
#pragma once

#include "format/bad.h"
#include "format/op.h"

namespace figment::format {

using Inputs = std::span<const TensorType>;

inline Status expect_inputs(Inputs inputs, size_t least, size_t most) {
  if (inputs.size() >= least && inputs.size() <= most) return {};
  return Status::error(StatusCode::kBadFile, "takes %zu to %zu inputs, has %zu", least, most, inputs.size());
}

inline bool same_quantization(const Quantization& a, const Quantization& b) {
  if (a.scales.size() != b.scales.size() || a.zero_point != b.zero_point) return false;
  for (size_t i = 0; i < a.scales.size(); ++i) {
    if (a.scales[i] != b.scales[i]) return false;
  }
  return true;
}

// Activations are f32, or i8 with one scale.
inline Status expect_activation(const TensorType& tensor) {
  if (tensor.type == DataType::kF32) return {};
  if (tensor.type == DataType::kI8 && tensor.quantization.scales.size() == 1) return {};
  return bad("an operand must be f32, or i8 with one scale");
}

inline Status expect_all_f32(Inputs inputs) {
  for (const TensorType& input : inputs) {
    if (input.type != DataType::kF32) return bad("runs in f32 only");
  }
  return {};
}

inline Status expect_all_i8(Inputs inputs) {
  for (const TensorType& input : inputs) {
    if (input.type != DataType::kI8) return bad("f32 and i8 operands are mixed");
  }
  return {};
}

inline Status expect_i8_weights(const TensorType& weights) {
  if (!weights.constant) return bad("i8 weights and their bias must be constants");
  if (weights.shape.rank() == 0 || weights.quantization.scales.size() != weights.shape[0].extent ||
      weights.quantization.zero_point != 0)
    return bad("i8 weights need one scale per output channel and zero point 0");
  return {};
}

// Of f32, the second maybe weights in i8.
inline Status expect_f32_and_weights(Inputs inputs) {
  FIGMENT_RETURN_IF_ERROR(expect_all_f32(inputs.first(1)));
  return inputs[1].type == DataType::kI8 ? expect_i8_weights(inputs[1]) : expect_all_f32(inputs.subspan(1));
}

// The rules that ops.def names: each checks the inputs and attributes of an op and says what its output is, as
// infer_output does.
namespace shape_rule {

using Rule = Result<TensorType>(OpKind kind, const Attributes& attributes, Inputs inputs, const TensorType& declared);
// shape_rule.cpp
Rule fully_connected;
Rule convolution;
Rule matmul;
Rule binary;
Rule select;
Rule unary_function;
Rule lookup;
Rule softmax;
Rule concat;
Rule slice;
Rule pad;
Rule reshape;
Rule transpose;
Rule resize_nearest;
Rule pooling;
Rule reduction;   // mean and sum
Rule conversion;  // between f32 and i8
// sequence_rule.cpp
Rule recurrent;
Rule recurrent_backward;
Rule recurrent_i8;
Rule layer_norm;
Rule group_norm;
Rule along_axis;  // log_softmax and reverse
Rule mask_sequence;
// training_rule.cpp
Rule unary_backward;
Rule softmax_backward;
Rule slice_backward;
Rule pad_backward;
Rule resize_nearest_backward;
Rule average_pool2d_backward;
Rule max_pool2d_backward;
Rule convolution_backward_input;
Rule convolution_backward_weights;
Rule batch_norm;
Rule broadcast;
Rule update;
Rule squared_norm;

}  // namespace shape_rule

}  // namespace figment::format
