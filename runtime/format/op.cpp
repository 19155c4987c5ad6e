#include "format/op.h"

namespace figment::format {

namespace {

struct OpInfo {
  const char* name;
  AttributeGroup attributes;
};

using G = AttributeGroup;
constexpr std::array<OpInfo, kOpKindCount> kOps = {{
    {"fully_connected", G::kNone},
    {"conv2d", G::kWindow},
    {"conv_transpose2d", G::kWindow},
    {"matmul", G::kMatmul},
    {"add", G::kNone},
    {"subtract", G::kNone},
    {"multiply", G::kNone},
    {"divide", G::kNone},
    {"clamp", G::kNone},
    {"leaky_relu", G::kAlpha},
    {"elu", G::kAlpha},
    {"sigmoid", G::kNone},
    {"tanh", G::kNone},
    {"exp", G::kNone},
    {"log", G::kNone},
    {"sqrt", G::kNone},
    {"abs", G::kNone},
    {"negate", G::kNone},
    {"softplus", G::kNone},
    {"lookup", G::kNone},
    {"softmax", G::kAxes},
    {"concat", G::kAxes},
    {"slice", G::kSlice},
    {"pad", G::kPad},
    {"reshape", G::kNone},
    {"transpose", G::kTranspose},
    {"resize_nearest", G::kNone},
    {"average_pool2d", G::kWindow},
    {"max_pool2d", G::kWindow},
    {"mean", G::kAxes},
    {"quantize", G::kNone},
    {"dequantize", G::kNone},
    {"requantize", G::kNone},
    {"sum", G::kAxes},
    {"broadcast", G::kNone},
    {"mean_backward", G::kNone},
    {"unary_backward", G::kFunction},
    {"softmax_backward", G::kAxes},
    {"slice_backward", G::kSlice},
    {"pad_backward", G::kPad},
    {"resize_nearest_backward", G::kNone},
    {"average_pool2d_backward", G::kWindow},
    {"max_pool2d_backward", G::kWindow},
    {"conv2d_backward_input", G::kWindow},
    {"conv2d_backward_weights", G::kWindow},
    {"conv_transpose2d_backward_input", G::kWindow},
    {"conv_transpose2d_backward_weights", G::kWindow},
    {"batch_norm_statistics", G::kNone},
    {"batch_norm", G::kAlpha},
    {"batch_norm_backward_sums", G::kAlpha},
    {"batch_norm_backward", G::kAlpha},
    {"moving_average_update", G::kAlpha},
    {"sgd_update", G::kNone},
    {"adam_update", G::kNone},
    {"count_step", G::kNone},
    {"log_softmax", G::kAxes},
    {"layer_norm", G::kAlpha},
    {"layer_norm_backward_sums", G::kAlpha},
    {"layer_norm_backward", G::kAlpha},
    {"lstm", G::kNone},
    {"lstm_backward", G::kRecurrent},
    {"gru", G::kRecurrent},
    {"gru_backward", G::kRecurrent},
    {"reverse", G::kAxes},
    {"mask_sequence", G::kNone},
    {"squared_norm", G::kNone},
    {"assign_update", G::kNone},
    {"average_update", G::kNone},
    {"accumulate_update", G::kNone},
    {"clear_update", G::kNone},
}};

}  // namespace

const char* name_of(DataType type) {
  switch (type) {
    case DataType::kF32: return "f32";
    case DataType::kI8: return "i8";
    case DataType::kI32: return "i32";
  }
  return "?";
}

const char* name_of(OpKind kind) { return kOps[static_cast<size_t>(kind)].name; }

AttributeGroup attribute_group(OpKind kind) { return kOps[static_cast<size_t>(kind)].attributes; }

bool is_unary_function(OpKind kind) { return kind >= OpKind::kClamp && kind <= OpKind::kSoftplus; }

bool is_update(OpKind kind) {
  return (kind >= OpKind::kMovingAverageUpdate && kind <= OpKind::kCountStep) ||
         (kind >= OpKind::kAssignUpdate && kind <= OpKind::kClearUpdate);
}

bool backward_reads_input(OpKind function) { return function == OpKind::kLog || function == OpKind::kAbs; }

bool is_linear(OpKind kind) {
  return kind == OpKind::kFullyConnected || kind == OpKind::kConv2d || kind == OpKind::kConvTranspose2d;
}

bool is_binary(OpKind kind) { return kind >= OpKind::kAdd && kind <= OpKind::kDivide; }

}  // namespace figment::format
