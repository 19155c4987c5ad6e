// The shape and type rules of the ops; op.h documents the layouts. Those of training are in training_rule.cpp.
#include <cmath>

#include "format/op.h"
#include "format/quantized.h"
#include "format/shape_rule.h"

namespace figment::format::shape_rule {

namespace {

// Weights [O, ...] and an optional bias [O] of a fully connected or convolution op.
Status check_weights(Inputs inputs) {
  const TensorType& x = inputs[0];
  const TensorType& weights = inputs[1];
  FIGMENT_RETURN_IF_ERROR(expect_activation(x));
  if (weights.type != x.type && (x.type != DataType::kF32 || weights.type != DataType::kI8))
    return bad("the input and the weights differ in type");
  if (x.type == DataType::kI8 && inputs.size() == 3 && !inputs[2].constant)
    return bad("i8 weights and their bias must be constants");
  for (size_t i = 1; i < inputs.size(); ++i) {
    for (const Dimension& dimension : inputs[i].shape) {
      if (dimension.per_batch) return bad("weights and bias cannot depend on the batch");
    }
  }
  if (weights.type == DataType::kI8) FIGMENT_RETURN_IF_ERROR(expect_i8_weights(weights));
  const uint32_t outputs = weights.shape[0].extent;
  if (inputs.size() == 3) {
    const TensorType& bias = inputs[2];
    if (bias.shape.rank() != 1 || bias.shape[0].extent != outputs)
      return bad("the bias needs one value per output channel");
    if (bias.type != (x.type == DataType::kI8 ? DataType::kI32 : DataType::kF32))
      return bad("the bias has the wrong type");
  }
  return {};
}

Status check_window(const Window& window) {
  for (size_t axis = 0; axis < 2; ++axis) {
    if (window.kernel[axis] < 1 || window.stride[axis] < 1 || window.dilation[axis] < 1) {
      return bad("kernel, stride and dilation must be at least 1");
    }
    if (window.kernel[axis] > 65535 || window.stride[axis] > 65535 || window.dilation[axis] > 65535) {
      return bad("kernel, stride or dilation is larger than 65535");
    }
  }
  for (uint32_t padding : window.padding) {
    if (padding > 65535) return bad("padding is larger than 65535");
  }
  return {};
}

// Spatial extent of a convolution or pooling output along `axis`, or 0 when the kernel does not fit.
uint64_t window_extent(const Window& window, size_t axis, uint64_t input) {
  const uint64_t padded = input + window.padding[axis] + window.padding[axis + 2];
  if (padded < window.span(axis)) return 0;
  return (padded - window.span(axis)) / window.stride[axis] + 1;
}

Status expect_image(const TensorType& x) {
  if (x.shape.rank() != 4 || x.shape[1].per_batch || x.shape[2].per_batch || x.shape[3].per_batch) {
    return bad("needs an input [N, H, W, C] with constant H, W and C");
  }
  return {};
}

bool is_table(const TensorType& tensor, DataType type) {
  return tensor.constant && tensor.type == type && tensor.shape.rank() == 1 && tensor.shape[0].extent == 256 &&
         !tensor.shape[0].per_batch;
}

}  // namespace

Result<TensorType> fully_connected(OpKind /*kind*/, const Attributes& /*attributes*/, Inputs inputs,
                                   const TensorType& declared) {
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 2, 3));
  const Shape& x = inputs[0].shape;
  const Shape& weights = inputs[1].shape;
  if (x.rank() < 1 || weights.rank() != 2) return bad("needs an input of rank 1 or more and weights of rank 2");
  FIGMENT_RETURN_IF_ERROR(check_weights(inputs));
  if (x.from_end(0) != weights[1]) return bad("the input's last dimension is not the weights' second");
  TensorType output = declared;
  output.type = inputs[0].type;
  output.shape = x;
  output.shape[x.rank() - 1] = {weights[0].extent, false};
  return output;
}

Result<TensorType> convolution(OpKind kind, const Attributes& attributes, Inputs inputs, const TensorType& declared) {
  const Window& window = attributes.window;
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 2, 3));
  FIGMENT_RETURN_IF_ERROR(expect_image(inputs[0]));
  FIGMENT_RETURN_IF_ERROR(check_window(window));
  const Shape& x = inputs[0].shape;
  const Shape& weights = inputs[1].shape;
  if (weights.rank() != 4) return bad("needs weights [O, h, w, I]");
  FIGMENT_RETURN_IF_ERROR(check_weights(inputs));
  const uint32_t channels = x[3].extent;
  const uint32_t outputs = weights[0].extent;
  if (window.groups < 1 || channels % window.groups != 0 || outputs % window.groups != 0) {
    return bad("groups must divide the input and output channels");
  }
  if (weights[1].extent != window.kernel[0] || weights[2].extent != window.kernel[1] ||
      weights[3].extent != channels / window.groups) {
    return bad("the weights' shape is not [O, kernel height, kernel width, input channels / groups]");
  }
  TensorType output = declared;
  output.type = inputs[0].type;
  output.shape = {x[0], {}, {}, {outputs, false}};
  for (size_t axis = 0; axis < 2; ++axis) {
    uint64_t extent = 0;
    if (kind == OpKind::kConvTranspose2d) {
      if (window.output_padding[axis] >= window.stride[axis] && window.output_padding[axis] >= window.dilation[axis]) {
        return bad("output padding must be smaller than the stride or the dilation");
      }
      const uint64_t full =
          uint64_t{window.stride[axis]} * (x[axis + 1].extent - 1) + window.span(axis) + window.output_padding[axis];
      const uint64_t cut = uint64_t{window.padding[axis]} + window.padding[axis + 2];
      extent = full > cut ? full - cut : 0;
    } else {
      extent = window_extent(window, axis, x[axis + 1].extent);
    }
    if (extent < 1 || extent > kMaxExtent) return bad("the output is empty or too large");
    output.shape[axis + 1].extent = static_cast<uint32_t>(extent);
  }
  return output;
}

Result<TensorType> pooling(OpKind kind, const Attributes& attributes, Inputs inputs, const TensorType& declared) {
  const Window& window = attributes.window;
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 1, 1));
  FIGMENT_RETURN_IF_ERROR(expect_image(inputs[0]));
  FIGMENT_RETURN_IF_ERROR(expect_activation(inputs[0]));
  FIGMENT_RETURN_IF_ERROR(check_window(window));
  TensorType output = declared;
  output.type = inputs[0].type;
  output.shape = inputs[0].shape;
  if (kind == OpKind::kMaxPool2d) output.quantization = inputs[0].quantization;
  for (size_t axis = 0; axis < 2; ++axis) {
    if (window.padding[axis] >= window.span(axis) || window.padding[axis + 2] >= window.span(axis)) {
      return bad("padding must be smaller than the kernel");
    }
    const uint64_t extent = window_extent(window, axis, inputs[0].shape[axis + 1].extent);
    if (extent < 1 || extent > kMaxExtent) return bad("the output is empty or too large");
    output.shape[axis + 1].extent = static_cast<uint32_t>(extent);
  }
  return output;
}

Result<TensorType> matmul(OpKind /*kind*/, const Attributes& attributes, Inputs inputs, const TensorType& declared) {
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 2, 2));
  FIGMENT_RETURN_IF_ERROR(expect_f32_and_weights(inputs));
  const Shape& a = inputs[0].shape;
  const Shape& b = inputs[1].shape;
  if (inputs[1].type == DataType::kI8 && b.rank() != 2) return bad("i8 weights need rank 2");
  if (a.rank() < 2 || a.rank() != b.rank()) return bad("needs operands of equal rank, 2 or more");
  for (size_t i = 0; i + 2 < a.rank(); ++i) {
    if (a[i] != b[i]) return bad("the operands' leading dimensions differ");
  }
  const size_t last = a.rank() - 1;
  const auto& [rows, inner] =
      attributes.transpose_a ? std::pair(a[last], a[last - 1]) : std::pair(a[last - 1], a[last]);
  const auto& [depth, columns] =
      attributes.transpose_b ? std::pair(b[last], b[last - 1]) : std::pair(b[last - 1], b[last]);
  if (inner != depth) return bad("the operands' inner dimensions differ");
  TensorType output = declared;
  output.type = DataType::kF32;
  output.shape = a;
  output.shape[last - 1] = rows;
  output.shape[last] = columns;
  return output;
}

Result<TensorType> binary(OpKind kind, const Attributes& /*attributes*/, Inputs inputs, const TensorType& declared) {
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 2, 2));
  FIGMENT_RETURN_IF_ERROR(expect_activation(inputs[0]));
  FIGMENT_RETURN_IF_ERROR(expect_activation(inputs[1]));
  if (inputs[0].type == DataType::kI8 || inputs[1].type == DataType::kI8) {
    if (kind != OpKind::kAdd && kind != OpKind::kSubtract && kind != OpKind::kMultiply) return bad("runs in f32 only");
    FIGMENT_RETURN_IF_ERROR(expect_all_i8(inputs));
  }
  const Shape& a = inputs[0].shape;
  const Shape& b = inputs[1].shape;
  if (a.rank() != b.rank()) return bad("the operands differ in rank");
  TensorType output = declared;
  output.type = inputs[0].type;
  output.shape = a;
  for (size_t i = 0; i < a.rank(); ++i) {
    if (a[i] == b[i] || b[i] == Dimension{}) continue;
    if (a[i] != Dimension{}) return bad("the operands' shapes cannot be broadcast");
    output.shape[i] = b[i];
  }
  return output;
}

Result<TensorType> select(OpKind /*kind*/, const Attributes& /*attributes*/, Inputs inputs,
                          const TensorType& declared) {
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 3, 3));
  FIGMENT_RETURN_IF_ERROR(expect_all_f32(inputs));
  TensorType output = declared;
  output.type = DataType::kF32;
  output.shape = inputs[0].shape;
  for (const TensorType& input : inputs) {
    if (input.shape.rank() != output.shape.rank()) return bad("the operands differ in rank");
    for (size_t i = 0; i < output.shape.rank(); ++i) {
      if (input.shape[i] == output.shape[i] || input.shape[i] == Dimension{}) continue;
      if (output.shape[i] != Dimension{}) return bad("the operands' shapes cannot be broadcast");
      output.shape[i] = input.shape[i];
    }
  }
  return output;
}

Result<TensorType> lookup(OpKind /*kind*/, const Attributes& /*attributes*/, Inputs inputs,
                          const TensorType& declared) {
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 2, 2));
  FIGMENT_RETURN_IF_ERROR(expect_all_i8(inputs));
  FIGMENT_RETURN_IF_ERROR(expect_activation(inputs[0]));
  if (!is_table(inputs[1], DataType::kI8)) return bad("needs a constant table of 256 entries");
  TensorType output = declared;
  output.type = DataType::kI8;
  output.shape = inputs[0].shape;
  return output;
}

Result<TensorType> concat(OpKind /*kind*/, const Attributes& attributes, Inputs inputs,
                          const TensorType& /*declared*/) {
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 1, 64));
  TensorType output = inputs[0];
  output.constant = false;
  FIGMENT_RETURN_IF_ERROR(expect_activation(output));
  if (attributes.axes.rank() != 1 || attributes.axes[0] >= output.shape.rank()) return bad("the axis is out of range");
  const size_t axis = attributes.axes[0];
  if (output.shape[axis].per_batch) return bad("cannot join along the batch");
  uint64_t extent = 0;
  for (const TensorType& input : inputs) {
    if (input.type != output.type || !same_quantization(input.quantization, output.quantization)) {
      return bad("the operands differ in type or quantization");
    }
    if (input.shape.rank() != output.shape.rank() || input.shape[axis].per_batch)
      return bad("the operands differ in rank");
    for (size_t i = 0; i < output.shape.rank(); ++i) {
      if (i != axis && input.shape[i] != output.shape[i]) return bad("the operands' shapes differ off the axis");
    }
    extent += input.shape[axis].extent;
  }
  if (extent > kMaxExtent) return bad("the output is too large");
  output.shape[axis].extent = static_cast<uint32_t>(extent);
  return output;
}

Result<TensorType> slice(OpKind /*kind*/, const Attributes& attributes, Inputs inputs, const TensorType& declared) {
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 1, 1));
  FIGMENT_RETURN_IF_ERROR(expect_activation(inputs[0]));
  const Shape& x = inputs[0].shape;
  if (declared.shape.rank() != x.rank() || attributes.starts.rank() != x.rank() ||
      attributes.steps.rank() != x.rank()) {
    return bad("needs a start, a step and an extent for each dimension");
  }
  TensorType output = inputs[0];
  output.constant = false;
  output.shape = declared.shape;
  for (size_t i = 0; i < x.rank(); ++i) {
    if (x[i].per_batch) {
      if (declared.shape[i] != x[i] || attributes.starts[i] != 0 || attributes.steps[i] != 1) {
        return bad("cannot take a part of the batch");
      }
      continue;
    }
    if (attributes.steps[i] < 1 || declared.shape[i].extent < 1 || declared.shape[i].per_batch)
      return bad("the slice is empty");
    const uint64_t last = attributes.starts[i] + (uint64_t{declared.shape[i].extent} - 1) * attributes.steps[i];
    if (last >= x[i].extent) return bad("the slice reaches past the end");
  }
  return output;
}

Result<TensorType> pad(OpKind /*kind*/, const Attributes& attributes, Inputs inputs, const TensorType& /*declared*/) {
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 1, 1));
  FIGMENT_RETURN_IF_ERROR(expect_activation(inputs[0]));
  TensorType output = inputs[0];
  output.constant = false;
  const size_t rank = output.shape.rank();
  if (attributes.before.rank() != rank || attributes.after.rank() != rank)
    return bad("needs two widths for each dimension");
  if (!std::isfinite(attributes.pad_value)) return bad("the padding value is not finite");
  for (size_t i = 0; i < rank; ++i) {
    const uint64_t before = attributes.before[i];
    const uint64_t after = attributes.after[i];
    if (before == 0 && after == 0) continue;
    if (output.shape[i].per_batch) return bad("cannot pad the batch");
    const uint64_t extent = output.shape[i].extent;
    if (attributes.pad_mode == PadMode::kReflect && (before >= extent || after >= extent)) {
      return bad("reflected padding must be smaller than the dimension");
    }
    if (extent + before + after > kMaxExtent) return bad("the output is too large");
    output.shape[i].extent = static_cast<uint32_t>(extent + before + after);
  }
  return output;
}

Result<TensorType> reshape(OpKind /*kind*/, const Attributes& /*attributes*/, Inputs inputs,
                           const TensorType& declared) {
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 1, 1));
  TensorType output = inputs[0];
  output.constant = false;
  FIGMENT_RETURN_IF_ERROR(expect_activation(output));
  output.shape = declared.shape;
  size_t batches_in = 0;
  size_t batches_out = 0;
  for (const Dimension& dimension : inputs[0].shape) batches_in += dimension.per_batch ? 1 : 0;
  for (const Dimension& dimension : declared.shape) batches_out += dimension.per_batch ? 1 : 0;
  const CheckedSize from = element_count(inputs[0].shape, 1);
  const CheckedSize to = element_count(declared.shape, 1);
  if (!from.valid() || !to.valid() || from.value() != to.value() || batches_in != batches_out) {
    return bad("the number of elements changes");
  }
  return output;
}

Result<TensorType> transpose(OpKind /*kind*/, const Attributes& attributes, Inputs inputs,
                             const TensorType& /*declared*/) {
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 1, 1));
  FIGMENT_RETURN_IF_ERROR(expect_activation(inputs[0]));
  TensorType output = inputs[0];
  output.constant = false;
  if (!is_permutation(attributes.permutation, output.shape.rank())) return bad("the permutation is not one");
  for (size_t i = 0; i < output.shape.rank(); ++i) output.shape[i] = inputs[0].shape[attributes.permutation[i]];
  return output;
}

Result<TensorType> resize_nearest(OpKind /*kind*/, const Attributes& /*attributes*/, Inputs inputs,
                                  const TensorType& /*declared*/) {
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 3, 3));
  FIGMENT_RETURN_IF_ERROR(expect_image(inputs[0]));
  FIGMENT_RETURN_IF_ERROR(expect_activation(inputs[0]));
  TensorType output = inputs[0];
  output.constant = false;
  for (size_t axis = 0; axis < 2; ++axis) {
    const TensorType& index = inputs[axis + 1];
    if (!index.constant || index.type != DataType::kI32 || index.shape.rank() != 1 || index.shape[0].extent < 1) {
      return bad("needs constant i32 row and column indices");
    }
    output.shape[axis + 1] = index.shape[0];
  }
  return output;
}

// mean and sum.
Result<TensorType> reduction(OpKind kind, const Attributes& attributes, Inputs inputs, const TensorType& declared) {
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 1, 1));
  if (kind == OpKind::kSum) FIGMENT_RETURN_IF_ERROR(expect_all_f32(inputs));
  FIGMENT_RETURN_IF_ERROR(expect_activation(inputs[0]));
  TensorType output = declared;
  output.type = inputs[0].type;
  output.shape = inputs[0].shape;
  if (attributes.axes.rank() == 0) return bad("needs an axis");
  for (uint32_t axis : attributes.axes) {
    if (axis >= output.shape.rank()) return bad("an axis is out of range");
    if (output.shape[axis].per_batch && output.type != DataType::kF32) return bad("the batch is reduced in f32 only");
    output.shape[axis] = {};
  }
  return output;
}

Result<TensorType> softmax(OpKind /*kind*/, const Attributes& attributes, Inputs inputs, const TensorType& declared) {
  if (inputs.empty()) return bad("needs an input");
  FIGMENT_RETURN_IF_ERROR(expect_activation(inputs[0]));
  const bool i8 = inputs[0].type == DataType::kI8;
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, i8 ? 2 : 1, i8 ? 2 : 1));
  if (i8 && !is_table(inputs[1], DataType::kI32)) return bad("needs a constant i32 table of 256 entries");
  if (attributes.axes.rank() != 1 || attributes.axes[0] >= inputs[0].shape.rank())
    return bad("the axis is out of range");
  if (inputs[0].shape[attributes.axes[0]].per_batch) return bad("cannot normalize over the batch");
  TensorType output = declared;
  output.type = inputs[0].type;
  if (i8 && (!output.quantization.present() || output.quantization.scale() != kSoftmaxScale ||
             output.quantization.zero_point != kSoftmaxZeroPoint)) {
    return bad("an int8 softmax has scale 1/256 and zero point -128");
  }
  output.shape = inputs[0].shape;
  return output;
}

Result<TensorType> conversion(OpKind kind, const Attributes& /*attributes*/, Inputs inputs,
                              const TensorType& declared) {
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 1, 1));
  FIGMENT_RETURN_IF_ERROR(expect_activation(inputs[0]));
  const DataType from = kind == OpKind::kQuantize ? DataType::kF32 : DataType::kI8;
  if (inputs[0].type != from) return bad("the input has the wrong type");
  TensorType output = declared;
  output.type = kind == OpKind::kDequantize ? DataType::kF32 : DataType::kI8;
  output.shape = inputs[0].shape;
  return output;
}

Result<TensorType> unary_function(OpKind kind, const Attributes& attributes, Inputs inputs,
                                  const TensorType& declared) {
  FIGMENT_RETURN_IF_ERROR(expect_inputs(inputs, 1, 1));
  FIGMENT_RETURN_IF_ERROR(expect_all_f32(inputs));
  if (attribute_group(kind) == AttributeGroup::kAlpha && !std::isfinite(attributes.alpha))
    return bad("alpha is not finite");
  TensorType output = declared;
  output.type = DataType::kF32;
  output.shape = inputs[0].shape;
  return output;
}

}  // namespace figment::format::shape_rule
