// The shape and type rules of recurrent layers, of other ops on sequences, and of layer normalization.
#include <cmath>

#include "format/shape_rule.h"

namespace figment::format::shape_rule {

namespace {

// [T, N, C] with constant T and C.
Status expect_sequence(const Shape& x) {
  if (x.rank() != 3 || x[0].per_batch || x[2].per_batch) return bad("needs a sequence [T, N, C] with constant T and C");
  return {};
}

Status expect_lengths(const TensorType& lengths, const Dimension& batch) {
  if (lengths.shape.rank() != 1 || lengths.shape[0] != batch) return bad("needs one length for each sequence");
  return {};
}

Status expect_initial(const TensorType& state, const Dimension& batch, const Dimension& hidden) {
  if (state.shape.rank() != 2 || state.shape[1] != hidden ||
      (state.shape[0] != batch && state.shape[0] != Dimension{})) {
    return bad("an initial state must be [N, H] or [1, H]");
  }
  return {};
}

}  // namespace

namespace {

// Gates [T, N, blocks H], R [blocks H, H], initial states and lengths: what all cells have.
Status expect_cell(bool lstm, Inputs inputs) {
  const uint32_t blocks = lstm ? 4 : 3;
  FIGMENT_RETURN_IF_ERROR(expect_sequence(inputs[0].shape));
  const Shape& recurrence = inputs[1].shape;
  if (recurrence.rank() != 2 || recurrence[1].per_batch ||
      recurrence[0] != Dimension{uint32_t{blocks} * recurrence[1].extent, false} ||
      uint64_t{blocks} * recurrence[1].extent > kMaxExtent) {
    return bad("the recurrent weights must be [gates H, H]");
  }
  const Dimension hidden = recurrence[1];
  const Dimension batch = inputs[0].shape[1];
  if (inputs[0].shape[2] != recurrence[0]) return bad("the gates do not have the recurrent weights' rows");
  if (lstm) {
    FIGMENT_RETURN_IF_ERROR(expect_initial(inputs[2], batch, hidden));
  } else if (inputs[2].shape.rank() != 1 || inputs[2].shape[0] != recurrence[0]) {
    return bad("the recurrent bias must be [gates H]");
  }
  FIGMENT_RETURN_IF_ERROR(expect_initial(inputs[3], batch, hidden));
  return inputs.size() == 5 ? expect_lengths(inputs[4], batch) : Status();
}

}  // namespace

// lstm and gru
Result<TensorType> recurrent(OpKind kind, const Attributes& /*attributes*/, Inputs inputs, const TensorType& declared) {
  const bool lstm = kind == OpKind::kLstm;
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 4, 5));
  FIGMENT_RETURN_IF_ERROR(expect_all_f32(inputs));
  FIGMENT_RETURN_IF_ERROR(expect_cell(lstm, inputs));
  TensorType output = declared;
  output.type = DataType::kF32;
  output.shape = {{lstm ? lstm_plane::kCount : gru_plane::kCount, false},
                  inputs[0].shape[0],
                  inputs[0].shape[1],
                  inputs[1].shape[1]};
  return output;
}

// lstm_i8 and gru_i8
Result<TensorType> recurrent_i8(OpKind kind, const Attributes& /*attributes*/, Inputs inputs,
                                const TensorType& declared) {
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 4, 5));
  if (inputs[0].type != DataType::kI8 || inputs[0].quantization.scales.size() != 1)
    return bad("the gates must be i8 with one scale");
  if (inputs[1].type != DataType::kI8 || !inputs[1].constant || inputs[1].quantization.zero_point != 0 ||
      inputs[1].shape.rank() != 2 || inputs[1].quantization.scales.size() != inputs[1].shape[0].extent) {
    return bad("the recurrent weights must be constant i8 with a scale for each row and zero point 0");
  }
  FIGMENT_RETURN_IF_ERROR(expect_all_f32(inputs.subspan(2)));
  FIGMENT_RETURN_IF_ERROR(expect_cell(kind == OpKind::kLstmI8, inputs));
  TensorType output = declared;
  output.type = DataType::kI8;
  output.shape = {inputs[0].shape[0], inputs[0].shape[1], inputs[1].shape[1]};
  return output;
}

Result<TensorType> recurrent_backward(OpKind kind, const Attributes& attributes, Inputs inputs,
                                      const TensorType& declared) {
  const bool lstm = kind == OpKind::kLstmBackward;
  const size_t least = lstm ? 5 : 4;
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, least, least + 1));
  FIGMENT_RETURN_IF_ERROR(expect_all_f32(inputs));
  const Shape& states = inputs[0].shape;
  const uint32_t planes = lstm ? lstm_plane::kCount : gru_plane::kCount;
  const uint32_t blocks = lstm ? 4 : 3;
  if (states.rank() != 4 || states[0] != Dimension{planes, false} || states[1].per_batch || states[3].per_batch) {
    return bad("needs the states of the forward op");
  }
  const Dimension hidden = states[3];
  const Dimension batch = states[2];
  if (uint64_t{4} * hidden.extent > kMaxExtent || inputs[1].shape.rank() != 2 ||
      inputs[1].shape[0] != Dimension{blocks * hidden.extent, false} || inputs[1].shape[1] != hidden) {
    return bad("the recurrent weights do not fit the states");
  }
  FIGMENT_RETURN_IF_ERROR(expect_initial(inputs[2], batch, hidden));
  const Shape gradient = {states[1], batch, hidden};
  if (inputs[3].shape != gradient) return bad("the gradient of the hidden states does not have their shape");
  if (lstm && (inputs[4].constant ? inputs[4].shape != Shape{{}, {}, {}} : inputs[4].shape != gradient)) {
    return bad("the gradient of the cell states does not have their shape");
  }
  if (inputs.size() == least + 1) FIGMENT_RETURN_IF_ERROR(expect_lengths(inputs[least], batch));
  TensorType output = declared;
  output.type = DataType::kF32;
  switch (attributes.recurrent_gradient) {
    case RecurrentGradient::kGates: output.shape = {states[1], batch, {4 * hidden.extent, false}}; return output;
    case RecurrentGradient::kInitialCell:
      if (!lstm) return bad("a GRU has no cell");
      [[fallthrough]];
    default: output.shape = {batch, hidden}; return output;
  }
}

namespace {

Status expect_epsilon(const Attributes& attributes) {
  if (!(attributes.alpha > 0) || !std::isfinite(attributes.alpha)) return bad("epsilon must be positive");
  return {};
}

// A factor or a shift of each channel of x, or one for all.
bool is_per_channel(const TensorType& tensor, const Shape& x) {
  return tensor.shape.rank() == 1 && (tensor.shape[0] == x.from_end(0) || tensor.shape[0] == Dimension{});
}

}  // namespace

Result<TensorType> group_norm(OpKind /*kind*/, const Attributes& attributes, Inputs inputs,
                              const TensorType& declared) {
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 3, 3));
  FIGMENT_RETURN_IF_ERROR(expect_all_f32(inputs));
  const Shape& x = inputs[0].shape;
  if (x.rank() < 3) return bad("needs samples, positions and channels");
  for (size_t i = 1; i < x.rank(); ++i) {
    if (x[i].per_batch) return bad("the batch must be dimension 0");
  }
  if (attributes.groups < 1 || x.from_end(0).extent % attributes.groups != 0)
    return bad("the groups do not divide the channels");
  FIGMENT_RETURN_IF_ERROR(expect_epsilon(attributes));
  if (!is_per_channel(inputs[1], x) || !is_per_channel(inputs[2], x))
    return bad("gamma and beta need one value, or one per channel");
  TensorType output = declared;
  output.type = DataType::kF32;
  output.shape = x;
  return output;
}

Result<TensorType> layer_norm(OpKind kind, const Attributes& attributes, Inputs inputs, const TensorType& declared) {
  const size_t count = kind == OpKind::kLayerNormBackwardSums ? 2 : 3;
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, count, count));
  FIGMENT_RETURN_IF_ERROR(expect_all_f32(inputs));
  const Shape& x = inputs[0].shape;
  if (x.rank() < 1 || x.from_end(0).per_batch) return bad("needs constant channels in the last dimension");
  FIGMENT_RETURN_IF_ERROR(expect_epsilon(attributes));
  if (kind != OpKind::kLayerNormBackwardSums && !is_per_channel(inputs[1], x))
    return bad("gamma needs one value, or one per channel");
  if (kind == OpKind::kLayerNorm ? !is_per_channel(inputs[2], x) : inputs[count - 1].shape != x) {
    return bad("beta or the gradient does not have its shape");
  }
  TensorType output = declared;
  output.type = DataType::kF32;
  output.shape = x;
  if (kind == OpKind::kLayerNormBackwardSums) output.shape = {{2, false}, x.from_end(0)};
  return output;
}

// An op that keeps the shape, along one axis; arg_max, all but the axis. Reverse also moves i8.
Result<TensorType> along_axis(OpKind kind, const Attributes& attributes, Inputs inputs, const TensorType& declared) {
  const bool moves = kind == OpKind::kReverse;
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 1, moves ? 2 : 1));
  FIGMENT_RETURN_IF_ERROR(expect_activation(inputs[0]));
  FIGMENT_RETURN_IF_ERROR(expect_all_f32(inputs.subspan(moves ? 1 : 0)));
  const Shape& x = inputs[0].shape;
  if (attributes.axes.rank() != 1 || attributes.axes[0] >= x.rank()) return bad("the axis is out of range");
  if (x[attributes.axes[0]].per_batch) return bad("cannot run along the batch");
  if (inputs.size() == 2) {
    if (attributes.axes[0] != 0 || x.rank() < 2) return bad("lengths need the steps in dimension 0");
    FIGMENT_RETURN_IF_ERROR(expect_lengths(inputs[1], x[1]));
  }
  TensorType output = moves ? inputs[0] : declared;
  if (!moves) output.type = DataType::kF32;
  output.shape = x;
  if (kind == OpKind::kArgMax) output.shape[attributes.axes[0]] = {};
  return output;
}

Result<TensorType> mask_sequence(OpKind /*kind*/, const Attributes& /*attributes*/, Inputs inputs,
                                 const TensorType& /*declared*/) {
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 2, 2));
  FIGMENT_RETURN_IF_ERROR(expect_activation(inputs[0]));
  FIGMENT_RETURN_IF_ERROR(expect_all_f32(inputs.subspan(1)));
  const Shape& x = inputs[0].shape;
  if (x.rank() < 2 || x[0].per_batch) return bad("needs a sequence [T, N, ...] with constant T");
  FIGMENT_RETURN_IF_ERROR(expect_lengths(inputs[1], x[1]));
  return inputs[0];
}

}  // namespace figment::format::shape_rule
