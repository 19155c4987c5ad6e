// The shape and type rules of the ops that only training needs: gradients, batch normalization, updates.
#include <cmath>
#include <initializer_list>

#include "format/shape_rule.h"

namespace figment::format::shape_rule {

namespace {

// The gradient of an input with the declared shape, from f32 operands.
Result<TensorType> gradient(Inputs inputs, size_t count, const TensorType& declared) {
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, count, count));
  TensorType output = declared;
  output.type = DataType::kF32;
  return output;
}

// A backward op whose declared output, put through the rule of its forward op, gives a tensor of g's shape.
Status check_forward(Rule* rule, OpKind kind, const Attributes& attributes,
                     std::initializer_list<TensorType> forward_inputs, const TensorType& g) {
  const Result<TensorType> forward = rule(kind, attributes, {forward_inputs.begin(), forward_inputs.size()}, g);
  if (!forward.ok()) return forward.status();
  if (forward->shape != g.shape) return bad("the gradient does not have the shape of the forward op's output");
  return {};
}

TensorType plain(const Shape& shape, bool constant = false) {
  TensorType type;
  type.shape = shape;
  type.constant = constant;
  return type;
}

bool is_table_of(const Shape& shape, uint32_t least_rows, uint32_t most_rows, const Dimension& channels) {
  return shape.rank() == 2 && !shape[0].per_batch && shape[0].extent >= least_rows && shape[0].extent <= most_rows &&
         shape[1] == channels;
}

// What an update takes: the variables it changes or reads, and at index 1 what is computed. SGD may have no velocity.
size_t update_operands(OpKind kind, size_t given) {
  switch (kind) {
    case OpKind::kMovingAverageUpdate:
    case OpKind::kAssignUpdate: return 2;
    case OpKind::kAverageUpdate:
    case OpKind::kAccumulateUpdate: return 3;
    case OpKind::kSgdUpdate: return given == 3 ? 3 : 4;
    case OpKind::kAdamUpdate: return 5;
    default: return 1;  // count_step, clear_update
  }
}

}  // namespace

Result<TensorType> unary_backward(OpKind /*kind*/, const Attributes& attributes, Inputs inputs,
                                  const TensorType& /*declared*/) {
  FIGMENT_RETURN_IF_ERROR(expect_all_f32(inputs));
  if (!is_unary_function(attributes.function)) return bad("is not of a unary function");
  if (!std::isfinite(attributes.alpha)) return bad("alpha is not finite");
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 2, 2));
  if (inputs[0].shape != inputs[1].shape) return bad("the operands differ in shape");
  return gradient(inputs, 2, inputs[0]);
}

Result<TensorType> softmax_backward(OpKind /*kind*/, const Attributes& attributes, Inputs inputs,
                                    const TensorType& /*declared*/) {
  FIGMENT_RETURN_IF_ERROR(expect_all_f32(inputs));
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 2, 2));
  FIGMENT_RETURN_IF_ERROR(check_forward(softmax, OpKind::kSoftmax, attributes, {plain(inputs[0].shape)}, inputs[1]));
  return gradient(inputs, 2, inputs[0]);
}

namespace {

// Of ops whose gradient needs nothing but g and constants.
Result<TensorType> movement_backward(Rule* rule, OpKind forward, size_t count, const Attributes& attributes,
                                     Inputs inputs, const TensorType& declared) {
  // Indices are i32.
  for (const TensorType& input : inputs) {
    if (input.type == DataType::kI8) return bad("runs in f32 only");
  }
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, count, count));
  const TensorType x = plain(declared.shape);
  FIGMENT_RETURN_IF_ERROR(count == 1 ? check_forward(rule, forward, attributes, {x}, inputs[0])
                                     : check_forward(rule, forward, attributes, {x, inputs[1], inputs[2]}, inputs[0]));
  return gradient(inputs, count, declared);
}

}  // namespace

Result<TensorType> slice_backward(OpKind /*kind*/, const Attributes& attributes, Inputs inputs,
                                  const TensorType& declared) {
  return movement_backward(slice, OpKind::kSlice, 1, attributes, inputs, declared);
}

Result<TensorType> pad_backward(OpKind /*kind*/, const Attributes& attributes, Inputs inputs,
                                const TensorType& declared) {
  return movement_backward(pad, OpKind::kPad, 1, attributes, inputs, declared);
}

Result<TensorType> resize_nearest_backward(OpKind /*kind*/, const Attributes& attributes, Inputs inputs,
                                           const TensorType& declared) {
  return movement_backward(resize_nearest, OpKind::kResizeNearest, 3, attributes, inputs, declared);
}

Result<TensorType> average_pool2d_backward(OpKind /*kind*/, const Attributes& attributes, Inputs inputs,
                                           const TensorType& declared) {
  return movement_backward(pooling, OpKind::kAveragePool2d, 1, attributes, inputs, declared);
}

Result<TensorType> max_pool2d_backward(OpKind /*kind*/, const Attributes& attributes, Inputs inputs,
                                       const TensorType& /*declared*/) {
  FIGMENT_RETURN_IF_ERROR(expect_all_f32(inputs));
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 2, 2));
  FIGMENT_RETURN_IF_ERROR(check_forward(pooling, OpKind::kMaxPool2d, attributes, {inputs[0]}, inputs[1]));
  return gradient(inputs, 2, inputs[0]);
}

Result<TensorType> convolution_backward_input(OpKind kind, const Attributes& attributes, Inputs inputs,
                                              const TensorType& declared) {
  const OpKind forward = kind == OpKind::kConv2dBackwardInput ? OpKind::kConv2d : OpKind::kConvTranspose2d;
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 2, 2));
  FIGMENT_RETURN_IF_ERROR(expect_f32_and_weights(inputs));
  FIGMENT_RETURN_IF_ERROR(
      check_forward(convolution, forward, attributes, {plain(declared.shape), inputs[1]}, inputs[0]));
  return gradient(inputs, 2, declared);
}

Result<TensorType> convolution_backward_weights(OpKind kind, const Attributes& attributes, Inputs inputs,
                                                const TensorType& declared) {
  const OpKind forward = kind == OpKind::kConv2dBackwardWeights ? OpKind::kConv2d : OpKind::kConvTranspose2d;
  FIGMENT_RETURN_IF_ERROR(expect_all_f32(inputs));
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 2, 2));
  const TensorType weights = plain(declared.shape, true);
  FIGMENT_RETURN_IF_ERROR(check_forward(convolution, forward, attributes, {inputs[0], weights}, inputs[1]));
  return gradient(inputs, 2, declared);
}

Result<TensorType> batch_norm(OpKind kind, const Attributes& attributes, Inputs inputs, const TensorType& declared) {
  const size_t count = kind == OpKind::kBatchNormStatistics     ? 1
                       : kind == OpKind::kBatchNorm             ? 4
                       : kind == OpKind::kBatchNormBackwardSums ? 3
                                                                : 5;
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, count, count));
  FIGMENT_RETURN_IF_ERROR(expect_all_f32(inputs));
  const Shape& x = inputs[0].shape;
  if (x.rank() < 2 || x.from_end(0).per_batch) return bad("needs an input of rank 2 or more with constant channels");
  const Dimension channels = x.from_end(0);
  TensorType output = declared;
  output.type = DataType::kF32;
  output.shape = x;
  if (kind == OpKind::kBatchNormStatistics) {
    output.shape = {{3, false}, channels};
    return output;
  }
  if (!(attributes.alpha > 0) || !std::isfinite(attributes.alpha)) return bad("epsilon must be positive");
  if (!is_table_of(inputs[1].shape, 2, 3, channels)) return bad("needs statistics [2, C] or [3, C]");
  const auto per_channel = [&](const TensorType& tensor) {
    return tensor.shape.rank() == 1 && tensor.shape[0] == channels;
  };
  switch (kind) {
    case OpKind::kBatchNorm:
      if (!per_channel(inputs[2]) || !per_channel(inputs[3])) return bad("gamma and beta need one value per channel");
      return output;
    case OpKind::kBatchNormBackwardSums:
      if (inputs[2].shape != x) return bad("the gradient does not have the input's shape");
      output.shape = {{2, false}, channels};
      return output;
    default:
      if (!per_channel(inputs[2]) || inputs[3].shape != x || !is_table_of(inputs[4].shape, 2, 2, channels)) {
        return bad("needs gamma [C], the gradient of the output, and sums [2, C]");
      }
      return output;
  }
}

Result<TensorType> broadcast(OpKind kind, const Attributes& /*attributes*/, Inputs inputs, const TensorType& declared) {
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 1, 1));
  FIGMENT_RETURN_IF_ERROR(kind == OpKind::kBroadcast ? expect_activation(inputs[0]) : expect_all_f32(inputs));
  const Shape& x = inputs[0].shape;
  if (x.rank() != declared.shape.rank()) return bad("the rank changes");
  for (size_t i = 0; i < x.rank(); ++i) {
    if (x[i] != declared.shape[i] && x[i] != Dimension{}) return bad("only dimensions of 1 can grow");
  }
  TensorType output = inputs[0];
  output.shape = declared.shape;
  return output;
}

Result<TensorType> update(OpKind kind, const Attributes& attributes, Inputs inputs, const TensorType& /*declared*/) {
  const size_t count = update_operands(kind, inputs.size());
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, count, count));
  FIGMENT_RETURN_IF_ERROR(expect_all_f32(inputs));
  for (size_t i = 0; i < count; ++i) {
    if (i != 1 && !inputs[i].variable) return bad("what it changes must be variables");
  }
  const TensorType& numbers = inputs[count - 1];
  const bool optimizer = kind == OpKind::kSgdUpdate || kind == OpKind::kAdamUpdate;
  if ((optimizer || kind == OpKind::kCountStep) &&
      (numbers.shape.rank() != 1 || numbers.shape[0].extent != kHyperParameters)) {
    return bad("the hyperparameters do not have their number");
  }
  for (size_t i = 1; optimizer && i + 1 < count; ++i) {
    if (inputs[i].shape != inputs[0].shape) return bad("the gradient or the state does not have the parameter's shape");
  }
  if (kind == OpKind::kMovingAverageUpdate) {
    if (!(attributes.alpha >= 0 && attributes.alpha <= 1)) return bad("the weight must be in [0, 1]");
    if (inputs[0].shape.rank() != 2 || inputs[0].shape[0].extent != 2 || inputs[1].shape.rank() != 2 ||
        inputs[1].shape[0].extent != 3 || inputs[0].shape[1] != inputs[1].shape[1]) {
      return bad("needs running statistics [2, C] and statistics [3, C]");
    }
    return inputs[0];
  }
  if (!optimizer && count > 1 && inputs[1].shape != inputs[0].shape) return bad("the operands differ in shape");
  return inputs[0];
}

Result<TensorType> squared_norm(OpKind /*kind*/, const Attributes& /*attributes*/, Inputs inputs,
                                const TensorType& declared) {
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 1, 1));
  FIGMENT_RETURN_IF_ERROR(expect_all_f32(inputs));
  TensorType output = declared;
  output.type = DataType::kF32;
  output.shape = {{}};
  return output;
}

}  // namespace figment::format::shape_rule
