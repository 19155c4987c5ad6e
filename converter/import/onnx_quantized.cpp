// Files that another tool has quantized: with QuantizeLinear and DequantizeLinear around ops, with ops on integers, or
// with activations that are quantized as they come. Weights take the values that their integers stand for; activations
// stay floats, clamped to what their integers could hold: what was fused into that, such as a ReLU, is kept, and the
// rounding is left to --int8.
#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "import/onnx_graph.h"
#include "ir/builder.h"

namespace figment::converter {

namespace {

// Fails where scales cannot be meant.
void check(const OnnxNode& node, const Scales& scales) {
  if (scales.scales.empty() || scales.zero_points.empty()) node.fail("it has no scale, or no zero point");
  if (scales.zero_points.size() != 1 && scales.zero_points.size() != scales.scales.size())
    node.fail("it does not have a zero point for each scale");
  for (double scale : scales.scales) {
    if (!(scale > 0)) node.fail("its scales must be positive");
  }
}

// The scale in input `i`, with the zero point behind it. `axis`: of several scales, on a tensor of `rank`.
Scales scales_of(const OnnxNode& node, size_t i, size_t rank, int64_t axis) {
  Scales result;
  if (node.is_known(i)) {
    for (float scale : node.graph[node.tensor(i)].f32()) result.scales.push_back(static_cast<double>(scale));
  } else {
    const Value& scales = node.graph[node.constant(i, "scale")];
    for (float scale : scales.f32()) result.scales.push_back(static_cast<double>(scale));
    if (scales.shape.rank() > 1) node.fail("scales of blocks are not supported");
  }
  if (node.integer("block_size", 0) != 0) node.fail("scales of blocks are not supported");
  result.zero_points = {0};
  if (node.has_input(i + 1)) {
    result.zero_points = node.numbers(i + 1);
    result.type = node.integers(i + 1).type;
  } else if (const int64_t type = node.integer("output_dtype", 0); type != 0) {
    result.type = static_cast<int32_t>(type);
  }
  check(node, result);
  if (result.scales.size() > 1) result.axis = node.axis(axis, rank);
  return result;
}

std::pair<int64_t, int64_t> bounds_of(const OnnxNode& node, int32_t type) {
  switch (type) {
    case onnx::TensorProto::INT8: return {INT8_MIN, INT8_MAX};
    case onnx::TensorProto::UINT8: return {0, UINT8_MAX};
    case onnx::TensorProto::INT16: return {INT16_MIN, INT16_MAX};
    case onnx::TensorProto::UINT16: return {0, UINT16_MAX};
    default: node.fail("integers of type " + type_name(type) + " are not supported");
  }
}

void note_quantized(const OnnxNode& node) {
  node.importer.note(
      "the file is quantized: --int8 keeps its scales where they are symmetric, or of a whole tensor, and calibrates "
      "the rest; f32 computes with the weights that its integers stand for, and saturates where it does, without "
      "rounding");
}

// One number for each place along an axis, or one for all, that broadcasts to x.
ValueId along_axis(const OnnxNode& node, ValueId x, const Scales& scales, const std::function<double(size_t)>& number) {
  const Shape& shape = node.graph[x].shape;
  std::vector<uint32_t> extents(shape.rank(), 1);
  if (scales.scales.size() > 1) {
    if (scales.axis >= shape.rank() ||
        shape[scales.axis] != Dimension{static_cast<uint32_t>(scales.scales.size()), false})
      node.fail("it does not have a scale for each channel");
    extents[scales.axis] = shape[scales.axis].extent;
  }
  std::vector<float> numbers;
  for (size_t i = 0; i < scales.scales.size(); ++i) numbers.push_back(static_cast<float>(number(i)));
  return node.graph.add_constant(node.name, extents, numbers);
}

// What the integers stand for that known values are quantized to. `axis_stride`: elements of a channel together.
std::vector<float> rounded(std::span<const float> values, const Scales& scales, int64_t least, int64_t most,
                           size_t axis_stride) {
  std::vector<float> result;
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t channel = scales.scales.size() == 1 ? 0 : i / axis_stride % scales.scales.size();
    // In f32, as the op is defined.
    const float steps = std::nearbyint(values[i] / static_cast<float>(scales.scale(channel)));
    if (std::isnan(steps)) {
      result.push_back(steps);
      continue;
    }
    const double q = std::clamp(static_cast<double>(steps) + static_cast<double>(scales.zero_point(channel)),
                                static_cast<double>(least), static_cast<double>(most));
    result.push_back(static_cast<float>(scales.real(static_cast<int64_t>(q), channel)));
  }
  return result;
}

// x, clamped to what integers of a type stand for; constants are rounded to that, too.
ValueId clamped(const OnnxNode& node, ValueId x, const Scales& scales) {
  const auto [least, most] = bounds_of(node, scales.type);
  note_quantized(node);
  if (!std::ranges::all_of(scales.scales, [](double scale) { return std::isfinite(scale); })) return x;
  if (node.graph[x].is_constant()) {
    const Value copy = node.graph[x];
    size_t stride = 1;
    if (scales.scales.size() > 1) {
      if (scales.axis >= copy.shape.rank() || copy.shape[scales.axis].extent != scales.scales.size())
        node.fail("it does not have a scale for each channel");
      for (size_t d = scales.axis + 1; d < copy.shape.rank(); ++d) stride *= copy.shape[d].extent;
    }
    return node.graph.add_constant(copy.name, extents_of(copy.shape), rounded(copy.f32(), scales, least, most, stride));
  }
  if (scales.scales.size() > 1) {
    Builder build(&node.graph, node.name);
    const auto bound = [&](int64_t q) {
      return along_axis(node, x, scales, [&scales, q](size_t i) { return scales.real(q, i); });
    };
    return extreme_of(build, extreme_of(build, x, bound(least), true), bound(most), false);
  }
  Attributes bounds;
  bounds.clamp_min = static_cast<float>(scales.real(least, 0));
  bounds.clamp_max = static_cast<float>(scales.real(most, 0));
  const ValueId y = node.add(OpKind::kClamp, bounds, {x});
  if (most - least == UINT8_MAX) {
    // Ours are signed.
    node.graph[y].quantized = FileQuantization{static_cast<float>(scales.scale(0)),
                                               static_cast<int32_t>(scales.zero_point(0) + INT8_MIN - least)};
  }
  return y;
}

// What the program computes of quantized outputs: what their integers stand for.
void bind_scaled(const OnnxNode& node, ValueId y, const Scales& scales) {
  node.bind(clamped(node, y, scales));
  node.importer.set_meaning(node.proto.output(0), {false, scales});
}

void import_quantize(const OnnxNode& node) {
  const ValueId x = node.tensor(0);
  bind_scaled(node, x, scales_of(node, 1, node.graph[x].shape.rank(), node.integer("axis", 1)));
}

// Integers less their zero points, times their scales.
ValueId scaled(const OnnxNode& node, ValueId integers, const Scales& scales) {
  Builder build(&node.graph, node.name);
  const auto zero_point = [&](size_t i) { return static_cast<double>(scales.zero_point(i)); };
  const auto scale = [&](size_t i) { return scales.scale(i); };
  if (std::ranges::any_of(scales.zero_points, [](int64_t zero) { return zero != 0; }))
    integers = build.add(OpKind::kSubtract, {integers, along_axis(node, integers, scales, zero_point)});
  if (std::ranges::all_of(scales.scales, [](double one) { return one == 1; })) return integers;
  return build.add(OpKind::kMultiply, {integers, along_axis(node, integers, scales, scale)});
}

// The reverse; whole numbers, if they are rounded.
ValueId unscaled(const OnnxNode& node, ValueId x, const Scales& scales, bool rounded) {
  Builder build(&node.graph, node.name);
  const auto zero_point = [&](size_t i) { return static_cast<double>(scales.zero_point(i)); };
  const auto scale = [&](size_t i) { return scales.scale(i); };
  x = build.add(OpKind::kDivide, {x, along_axis(node, x, scales, scale)});
  if (rounded) x = build.add(OpKind::kRound, {x});
  return build.add(OpKind::kAdd, {x, along_axis(node, x, scales, zero_point)});
}

// Known integers as the floats that they stand for.
ValueId dequantized(const OnnxNode& node, size_t input, const Scales& scales) {
  const KnownTensor& integers = node.integers(input);
  size_t inner = 1;
  for (size_t d = scales.axis + 1; d < integers.shape.size(); ++d) inner *= integers.shape[d];
  const size_t channels = integers.shape.empty() ? 1 : integers.shape[scales.axis];
  if (scales.scales.size() > 1 && scales.scales.size() != channels)
    node.fail("it does not have a scale for each channel");
  if (integers.shape.size() > kMaxRank) node.fail(fmt::format("its input has more than {} dimensions", kMaxRank));
  node.expect_room(integers.values.size() * sizeof(float));
  node.graph.quantized = true;
  std::vector<float> values(integers.values.size());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(scales.real(integers.values[i].value, i / inner % channels));
  return node.graph.add_constant(node.proto.input(static_cast<int>(input)),
                                 {integers.shape.begin(), integers.shape.end()}, values);
}

// What a quantized operand stands for: known integers are dequantized, what the program computes is real already, but
// for integers that it is given, and for what another scale than the reader's stands for.
ValueId real_operand(const OnnxNode& node, size_t input, const Scales& scales) {
  if (node.is_integers(input)) return dequantized(node, input, scales);
  const ValueId x = node.tensor(input);
  const Meaning& meaning = node.importer.meaning(node.proto.input(static_cast<int>(input)));
  if (meaning.integers) return scaled(node, x, scales);
  if (!meaning.stands_for || meaning.stands_for->dynamic || *meaning.stands_for == scales) return x;
  return scaled(node, unscaled(node, x, *meaning.stands_for, false), scales);
}

void import_dequantize(const OnnxNode& node) {
  const size_t rank = node.is_integers(0) ? node.integers(0).shape.size() : node.value(0).shape.rank();
  node.bind(real_operand(node, 0, scales_of(node, 1, rank, node.integer("axis", 1))));
}

// The node as one of another op on these operands, with its attributes and outputs.
onnx::NodeProto as_op(const OnnxNode& node, const char* op, const std::vector<std::optional<ValueId>>& operands) {
  onnx::NodeProto proto = node.proto;
  proto.set_op_type(op);
  proto.clear_domain();
  proto.clear_input();
  for (size_t i = 0; i < operands.size(); ++i) {
    // A name that no file has.
    const std::string name = operands[i] ? fmt::format("operand {}\nof {}", i, node.name) : "";
    proto.add_input(name);
    if (operands[i]) node.importer.bind_value(name, *operands[i]);
  }
  return proto;
}

// What another op computes of these operands, with the node's attributes.
ValueId computed(const OnnxNode& node, const char* op, const std::vector<std::optional<ValueId>>& operands) {
  onnx::NodeProto proto = as_op(node, op, operands);
  const std::string result = "result\nof " + node.name;
  proto.clear_output();
  proto.add_output(result);
  node.importer.import_as({node.importer, proto, node.graph, node.opset, node.name});
  return node.importer.take_value(result);
}

// The bias in int32, which has the scale of the sums, x's times the weights'.
std::optional<ValueId> real_bias(const OnnxNode& node, size_t input, const Scales& x, const Scales& weights) {
  if (!node.has_input(input)) return std::nullopt;
  if (!node.is_integers(input)) return node.tensor(input);
  Scales sums;
  for (double scale : weights.scales) sums.scales.push_back(scale * x.scales[0]);
  sums.zero_points = {0};
  return dequantized(node, input, sums);
}

size_t rank_of(const OnnxNode& node, size_t input) {
  return node.is_integers(input) ? node.integers(input).shape.size() : node.value(input).shape.rank();
}

// Inputs x, scale, zero point, weights, scale, zero point, the output's, bias.
void import_qlinear_conv(const OnnxNode& node) {
  const Scales x = scales_of(node, 1, rank_of(node, 0), 1);
  const Scales weights = scales_of(node, 4, rank_of(node, 3), 0);
  const ValueId y = computed(
      node, "Conv", {real_operand(node, 0, x), real_operand(node, 3, weights), real_bias(node, 8, x, weights)});
  bind_scaled(node, y, scales_of(node, 6, 0, 0));
}

void import_qlinear_matmul(const OnnxNode& node) {
  const ValueId a = real_operand(node, 0, scales_of(node, 1, rank_of(node, 0), -2));
  const ValueId b = real_operand(node, 3, scales_of(node, 4, rank_of(node, 3), -1));
  bind_scaled(node, computed(node, "MatMul", {a, b}), scales_of(node, 6, 0, 0));
}

// Inputs a, scale, zero point, b, scale, zero point, bias, the output's scale and zero point, which may be left out.
void import_qgemm(const OnnxNode& node) {
  const Scales a = scales_of(node, 1, rank_of(node, 0), 0);
  const Scales b = scales_of(node, 4, rank_of(node, 3), node.integer("transB", 0) != 0 ? 0 : 1);
  const ValueId y =
      computed(node, "Gemm", {real_operand(node, 0, a), real_operand(node, 3, b), real_bias(node, 6, a, b)});
  if (!node.has_input(7)) return node.bind(y);
  bind_scaled(node, y, scales_of(node, 7, 0, 0));
}

// Of two operands: a, scale, zero point, b, scale, zero point, the output's.
void import_qlinear_binary(const OnnxNode& node, const char* op) {
  const ValueId a = real_operand(node, 0, scales_of(node, 1, rank_of(node, 0), 0));
  const ValueId b = real_operand(node, 3, scales_of(node, 4, rank_of(node, 3), 0));
  bind_scaled(node, computed(node, op, {a, b}), scales_of(node, 6, 0, 0));
}

// Of one: x, scale, zero point, the output's.
void import_qlinear_unary(const OnnxNode& node, const char* op) {
  if (node.integer("channels_last", 0) != 0) node.fail("channels_last is not supported");
  const ValueId x = real_operand(node, 0, scales_of(node, 1, rank_of(node, 0), 0));
  bind_scaled(node, computed(node, op, {x}), scales_of(node, 3, 0, 0));
}

// The output's scale and zero point, then each operand with its own.
void import_qlinear_concat(const OnnxNode& node) {
  std::vector<std::optional<ValueId>> operands;
  for (size_t i = 2; i + 2 < node.input_count(); i += 3)
    operands.emplace_back(real_operand(node, i, scales_of(node, i + 1, rank_of(node, i), 0)));
  if (operands.empty()) node.fail("it has no operands");
  bind_scaled(node, computed(node, "Concat", operands), scales_of(node, 0, 0, 0));
}

// Quantized as it comes: what it stands for, with a scale of 1 and a zero point of 0.
void import_dynamic_quantize(const OnnxNode& node) {
  note_quantized(node);
  node.bind(node.tensor(0), 0);
  Scales drawn;
  drawn.scales = {1};
  drawn.zero_points = {0};
  drawn.dynamic = true;
  node.importer.set_meaning(node.proto.output(0), {false, drawn});
  KnownTensor one;
  one.type = onnx::TensorProto::FLOAT;
  one.values = {{0, false, 1}};
  node.bind(one, 1);
  KnownTensor zero;
  zero.type = onnx::TensorProto::UINT8;
  zero.values = {{0}};
  node.bind(zero, 2);
}

// Integers less their zero point, which is per row of a and per column of b, or per output channel of weights.
ValueId centered_operand(const OnnxNode& node, size_t input, size_t zero_point, int64_t axis) {
  Scales scales;
  scales.zero_points = {0};
  if (node.has_input(zero_point)) scales.zero_points = node.numbers(zero_point);
  scales.scales.assign(scales.zero_points.size(), 1);
  check(node, scales);
  if (scales.scales.size() > 1) scales.axis = node.axis(axis, rank_of(node, input));
  return real_operand(node, input, scales);
}

void import_matmul_integer(const OnnxNode& node) {
  note_quantized(node);
  node.bind(computed(node, "MatMul", {centered_operand(node, 0, 2, -2), centered_operand(node, 1, 3, -1)}));
}

void import_conv_integer(const OnnxNode& node) {
  note_quantized(node);
  node.bind(computed(node, "Conv", {centered_operand(node, 0, 2, 1), centered_operand(node, 1, 3, 0)}));
}

// A, B in integers, scales and zero points of both, bias: com.microsoft's, floats in and out.
void import_matmul_integer_to_float(const OnnxNode& node) {
  note_quantized(node);
  const auto scale = [&](size_t i, size_t zero_point, size_t operand) {
    Scales scales;
    for (float value : node.graph[node.constant(i, "scale")].f32()) scales.scales.push_back(static_cast<double>(value));
    scales.zero_points = {0};
    if (node.has_input(zero_point)) scales.zero_points = node.numbers(zero_point);
    check(node, scales);
    if (scales.scales.size() > 1) scales.axis = node.axis(-1, rank_of(node, operand));
    return scales;
  };
  const bool dynamic = node.proto.op_type() == "DynamicQuantizeMatMul";
  const ValueId a = dynamic ? node.tensor(0) : real_operand(node, 0, scale(2, 4, 0));
  const ValueId b = real_operand(node, 1, dynamic ? scale(2, 3, 1) : scale(3, 5, 1));
  ValueId y = computed(node, "MatMul", {a, b});
  const size_t bias = dynamic ? 4 : 6;
  if (node.has_input(bias)) {
    const auto [left, right] = equal_ranks(node, y, node.tensor(bias));
    y = node.add(OpKind::kAdd, {}, {left, right});
  }
  node.bind(y);
}

// com.microsoft's LSTM: its W and R are [directions, inputs, 4 H] in integers, with a scale for each direction or each
// of its columns.
void import_dynamic_quantize_lstm(const OnnxNode& node) {
  note_quantized(node);
  const auto weights = [&](size_t input, size_t scale) {
    const KnownTensor& integers = node.integers(input);
    if (integers.shape.size() != 3) node.fail("its weights must be [directions, inputs, 4 hidden]");
    const std::span<const float> scales = node.graph[node.constant(scale, "scale")].f32();
    std::vector<int64_t> zero_points = {0};
    if (node.has_input(scale + 1)) zero_points = node.numbers(scale + 1);
    const size_t directions = integers.shape[0];
    const size_t columns = integers.shape[2];
    const auto place = [&](size_t count, size_t direction, size_t column) {
      if (count == 1) return size_t{0};
      if (count == directions) return direction;
      if (count != directions * columns) node.fail("it does not have a scale for each direction or column");
      return direction * columns + column;
    };
    std::vector<float> values(integers.values.size());
    node.expect_room(values.size() * sizeof(float));
    for (size_t i = 0; i < values.size(); ++i) {
      const size_t direction = i / (integers.shape[1] * columns);
      const int64_t zero = zero_points[place(zero_points.size(), direction, i % columns)];
      values[i] =
          static_cast<float>(integers.values[i].value - zero) * scales[place(scales.size(), direction, i % columns)];
    }
    const std::vector<uint32_t> shape(integers.shape.begin(), integers.shape.end());
    return node.graph.add_constant(node.proto.input(static_cast<int>(input)), {shape[0], shape[2], shape[1]},
                                   transposed(values, shape, {0, 2, 1}));
  };
  std::vector<std::optional<ValueId>> operands = {node.tensor(0), weights(1, 8), weights(2, 10)};
  for (size_t i = 3; i < 8; ++i) {
    operands.emplace_back();
    if (node.has_input(i)) operands.back() = node.tensor(i);
  }
  const onnx::NodeProto proto = as_op(node, "LSTM", operands);
  node.importer.import_as({node.importer, proto, node.graph, node.opset, node.name});
}

}  // namespace

bool reads_scaled(const OnnxNode& node) {
  return std::ranges::any_of(node.proto.input(), [&](const std::string& input) {
    return !input.empty() && node.importer.meaning(input).stands_for.has_value();
  });
}

std::optional<Scales> scales_moved(const OnnxNode& node) {
  // Of these, all operands must stand for the same, or the first alone is one.
  static const std::set<std::string> merging = {"Concat", "Max", "Min"};
  static const std::set<std::string> moving = {"DepthToSpace",   "Dropout",      "Expand",   "Flatten", "Gather",
                                               "GatherElements", "GatherND",     "Identity", "MaxPool", "Reshape",
                                               "Slice",          "SpaceToDepth", "Split",    "Squeeze", "Tile",
                                               "Transpose",      "Unsqueeze"};
  const std::string& op = node.proto.op_type();
  const bool nearest = (op == "Resize" || op == "Upsample") && node.text("mode", "nearest") == "nearest";
  if (!merging.contains(op) && !moving.contains(op) && !nearest) return std::nullopt;
  const std::optional<Scales>& first = node.importer.meaning(node.proto.input(0)).stands_for;
  // Of each channel another, which would have to follow its dimension.
  if (!first || first->scales.size() > 1) return std::nullopt;
  for (const std::string& input : node.proto.input()) {
    if (merging.contains(op) && node.importer.meaning(input).stands_for != first) return std::nullopt;
  }
  return first;
}

onnx::NodeProto reading_integers(const OnnxNode& node) {
  onnx::NodeProto proto = node.proto;
  for (size_t i = 0; i < node.input_count(); ++i) {
    const Meaning& meaning = node.importer.meaning(node.proto.input(static_cast<int>(i)));
    if (!node.has_input(i) || !meaning.stands_for) continue;
    const std::string name = fmt::format("integers {}\nof {}", i, node.name);
    node.importer.bind_value(name, integers_of(node, node.tensor(i), *meaning.stands_for));
    node.importer.set_meaning(name, {true, {}});
    proto.set_input(static_cast<int>(i), name);
  }
  return proto;
}

ValueId integers_of(const OnnxNode& node, ValueId x, const Scales& scales) {
  if (scales.dynamic)
    node.fail(
        "it reads integers whose scale DynamicQuantizeLinear computes, which only DequantizeLinear, MatMulInteger and "
        "ConvInteger may: quantize statically, or the weights alone");
  return unscaled(node, x, scales, true);
}

const Importers& quantized_importers() {
  static const Importers table = {
      {"ConvInteger",
       {import_conv_integer,
        10,
        {OpKind::kConv2d, OpKind::kMatmul, OpKind::kSubtract, OpKind::kMultiply, OpKind::kConcat, OpKind::kSlice,
         OpKind::kPad},
        "1-D to 3-D"}},
      {"DequantizeLinear", {import_dequantize, 10, {OpKind::kSubtract, OpKind::kMultiply}, "as floats"}},
      {"DynamicQuantizeLSTM",
       {import_dynamic_quantize_lstm,
        6,
        {OpKind::kFullyConnected, OpKind::kAdd, OpKind::kConcat, OpKind::kSlice, OpKind::kLstm, OpKind::kReverse},
        ""}},
      {"DynamicQuantizeLinear", {import_dynamic_quantize, 11, {}, "as floats"}},
      {"DynamicQuantizeMatMul",
       {import_matmul_integer_to_float,
        6,
        {OpKind::kFullyConnected, OpKind::kMatmul, OpKind::kAdd, OpKind::kBroadcast},
        ""}},
      {"MatMulInteger",
       {import_matmul_integer,
        10,
        {OpKind::kFullyConnected, OpKind::kMatmul, OpKind::kSubtract, OpKind::kMultiply, OpKind::kBroadcast},
        "as floats"}},
      {"MatMulIntegerToFloat",
       {import_matmul_integer_to_float,
        6,
        {OpKind::kFullyConnected, OpKind::kMatmul, OpKind::kAdd, OpKind::kBroadcast},
        ""}},
      {"QGemm",
       {import_qgemm,
        6,
        {OpKind::kFullyConnected, OpKind::kMatmul, OpKind::kAdd, OpKind::kMultiply, OpKind::kClamp},
        ""}},
      {"QLinearAdd",
       {[](const OnnxNode& node) { import_qlinear_binary(node, "Add"); }, 6, {OpKind::kAdd, OpKind::kClamp}, ""}},
      {"QLinearAveragePool",
       {[](const OnnxNode& node) { import_qlinear_unary(node, "AveragePool"); },
        6,
        {OpKind::kMultiply, OpKind::kClamp, OpKind::kAveragePool2d},
        "1-D to 3-D"}},
      {"QLinearConcat", {import_qlinear_concat, 6, {OpKind::kClamp, OpKind::kConcat}, "as floats, clamped"}},
      {"QLinearConv",
       {import_qlinear_conv,
        10,
        {OpKind::kConv2d, OpKind::kMatmul, OpKind::kClamp, OpKind::kConcat, OpKind::kSlice, OpKind::kPad},
        "1-D to 3-D"}},
      {"QLinearGlobalAveragePool",
       {[](const OnnxNode& node) { import_qlinear_unary(node, "GlobalAveragePool"); },
        6,
        {OpKind::kClamp, OpKind::kMean},
        ""}},
      {"QLinearLeakyRelu",
       {[](const OnnxNode& node) { import_qlinear_unary(node, "LeakyRelu"); },
        6,
        {OpKind::kClamp, OpKind::kLeakyRelu},
        ""}},
      {"QLinearMatMul",
       {import_qlinear_matmul, 10, {OpKind::kFullyConnected, OpKind::kMatmul, OpKind::kClamp, OpKind::kBroadcast}, ""}},
      {"QLinearMul",
       {[](const OnnxNode& node) { import_qlinear_binary(node, "Mul"); }, 6, {OpKind::kMultiply, OpKind::kClamp}, ""}},
      {"QLinearSigmoid",
       {[](const OnnxNode& node) { import_qlinear_unary(node, "Sigmoid"); },
        6,
        {OpKind::kClamp, OpKind::kSigmoid},
        ""}},
      {"QLinearSoftmax",
       {[](const OnnxNode& node) { import_qlinear_unary(node, "Softmax"); },
        6,
        {OpKind::kClamp, OpKind::kSoftmax},
        ""}},
      {"QuantizeLinear",
       {import_quantize, 10, {OpKind::kClamp, OpKind::kGreater, OpKind::kSelect}, "as floats, clamped"}},
  };
  return table;
}

}  // namespace figment::converter
