// The table of ONNX ops for a person: what is imported, and how well the ops that it becomes are supported.
#include <fmt/format.h>
#include <algorithm>
#include <set>

#include "convert.h"
#include "import/import_onnx.h"
#include "passes/gradient.h"
#include "passes/quantize_rewrite.h"

namespace figment::converter {

namespace {

// How many of the ops that an ONNX op may become have a property.
template <typename Property>
const char* share(const std::vector<OpKind>& kinds, Property has) {
  const auto count = std::ranges::count_if(kinds, has);
  if (count == std::ssize(kinds)) return "yes";
  return count == 0 ? "no" : "part";
}

bool has_gradient(OpKind kind) { return format::is_flat(kind) || no_gradient_reason(kind).empty(); }
bool has_int8(OpKind kind) { return no_int8_reason(kind).empty(); }

}  // namespace

const std::set<OpKind>& xnnpack_kinds() {
  static const std::set<OpKind> kinds = {
      OpKind::kFullyConnected, OpKind::kConv2d, OpKind::kConvTranspose2d,

      OpKind::kSoftmax,        OpKind::kClamp,  OpKind::kLeakyRelu,       OpKind::kElu,      OpKind::kSigmoid,
      OpKind::kTanh,           OpKind::kAbs,    OpKind::kNegate,          OpKind::kAdd,      OpKind::kSubtract,
      OpKind::kMultiply,       OpKind::kDivide, OpKind::kLookup,          OpKind::kQuantize, OpKind::kDequantize,
      OpKind::kRequantize,     OpKind::kReshape};
  return kinds;
}

std::vector<std::vector<std::string>> op_table() {
  std::vector<std::vector<std::string>> rows = {{"op", "opset", "gradient", "int8", "XNNPACK", "limits"}};
  for (const OnnxOp& op : imported_ops()) {
    // Those become what the ops of their graphs do.
    const bool holds_ops = op.name == "If" || op.name == "Loop";
    const auto cell = [&](auto has) { return std::string(holds_ops ? "" : share(op.kinds, has)); };
    rows.push_back({op.name, fmt::format("{}", op.since), cell(has_gradient), cell(has_int8),
                    cell([](OpKind kind) { return xnnpack_kinds().contains(kind); }), op.limits});
  }
  return rows;
}

}  // namespace figment::converter
