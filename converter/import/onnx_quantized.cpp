// Files that another tool has quantized: QuantizeLinear and DequantizeLinear. Weights take the values that their
// integers stand for; activations stay floats, clamped to what their integers could hold: what was fused into that,
// such as a ReLU, is kept, and the rounding is left to --int8.
#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "import/onnx_graph.h"

namespace figment::converter {

namespace {

// Scales and zero points along an axis, or one for all.
struct Scales {
  std::vector<double> scales;
  std::vector<int64_t> zero_points;
  size_t axis = 0;
  int32_t type = onnx::TensorProto::UINT8;

  double real(int64_t q, size_t i) const {
    const size_t k = scales.size() == 1 ? 0 : i;
    return (static_cast<double>(q) - static_cast<double>(zero_points[zero_points.size() == 1 ? 0 : k])) * scales[k];
  }
};

Scales scales_of(const OnnxNode& node, size_t rank) {
  Scales result;
  const Value& scales = node.graph[node.constant(1, "scale")];
  for (float scale : scales.f32()) result.scales.push_back(static_cast<double>(scale));
  if (scales.shape.rank() > 1 || node.integer("block_size", 0) != 0) node.fail("scales of blocks are not supported");
  if (result.scales.empty()) node.fail("it has no scale");
  result.zero_points = {0};
  if (node.has_input(2)) {
    result.zero_points = node.numbers(2);
    result.type = node.integers(2).type;
  } else if (const int64_t type = node.integer("output_dtype", 0); type != 0) {
    result.type = static_cast<int32_t>(type);
  }
  if (result.zero_points.size() != 1 && result.zero_points.size() != result.scales.size())
    node.fail("it does not have a zero point for each scale");
  for (double scale : result.scales) {
    if (!std::isfinite(scale) || scale <= 0) node.fail("its scales must be positive");
  }
  if (result.scales.size() > 1) result.axis = node.axis(node.integer("axis", 1), rank);
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

void import_quantize(const OnnxNode& node) {
  const ValueId x = node.tensor(0);
  const Scales scales = scales_of(node, node.graph[x].shape.rank());
  const auto [least, most] = bounds_of(node, scales.type);
  if (scales.scales.size() > 1) {
    // Of each channel another: that is how weights are quantized, which saturate nowhere.
    return node.bind(x);
  }
  Attributes bounds;
  bounds.clamp_min = static_cast<float>(scales.real(least, 0));
  bounds.clamp_max = static_cast<float>(scales.real(most, 0));
  node.importer.note(
      "the file is quantized: weights are dequantized, and activations are floats again; --int8 calibrates anew");
  node.bind(node.add(OpKind::kClamp, bounds, {x}));
}

void import_dequantize(const OnnxNode& node) {
  if (!node.is_integers(0)) return node.bind(node.tensor(0));
  const KnownTensor& integers = node.integers(0);
  const Scales scales = scales_of(node, integers.shape.size());
  size_t inner = 1;
  for (size_t d = scales.axis + 1; d < integers.shape.size(); ++d) inner *= integers.shape[d];
  const size_t channels = integers.shape.empty() ? 1 : integers.shape[scales.axis];
  if (scales.scales.size() > 1 && scales.scales.size() != channels)
    node.fail("it does not have a scale for each channel");
  if (integers.shape.size() > kMaxRank) node.fail(fmt::format("its input has more than {} dimensions", kMaxRank));
  node.expect_room(integers.values.size() * sizeof(float));
  std::vector<float> values(integers.values.size());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(scales.real(integers.values[i].value, i / inner % channels));
  const ValueId constant =
      node.graph.add_constant(node.proto.input(0), {integers.shape.begin(), integers.shape.end()}, values);
  node.bind(constant);
}

}  // namespace

const Importers& quantized_importers() {
  static const Importers table = {
      {"DequantizeLinear", import_dequantize},
      {"QuantizeLinear", import_quantize},
  };
  return table;
}

}  // namespace figment::converter
