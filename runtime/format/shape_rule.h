// What the shape and type rules share.
#pragma once

#include "format/op.h"

namespace figment::format {

using Inputs = std::span<const TensorType>;

inline Status bad(const char* what) { return Status::error(StatusCode::kBadFile, "%s", what); }

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

// The rules of recurrent layers and other ops on sequences, and of layer normalisation.
Result<TensorType> sequence_rule(OpKind kind, const Attributes& attributes, Inputs inputs, const TensorType& declared);

// The rules of the ops that only training needs.
Result<TensorType> training_rule(OpKind kind, const Attributes& attributes, Inputs inputs, const TensorType& declared);

}  // namespace figment::format
