#include "passes/halve.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/half.h"
#include "io/terminal.h"

namespace figment::converter {

namespace {

bool reads_weights(OpKind kind) {
  return format::is_linear(kind) || kind == OpKind::kMatmul || kind == OpKind::kLstm || kind == OpKind::kGru;
}

}  // namespace

std::string store_in_half(Graph* graph) {
  // Whether a value is read, and by such ops alone: others may compare with integers, which must stay exact.
  std::vector<bool> weights(graph->values.size());
  std::vector<bool> others(graph->values.size());
  for (const Node& node : graph->nodes) {
    for (ValueId id : node.inputs) (reads_weights(node.kind) ? weights : others)[id] = true;
  }
  size_t count = 0;
  size_t kept = 0;
  double error = 0;
  for (ValueId id = 0; id < graph->values.size(); ++id) {
    Value& value = (*graph)[id];
    if (!value.is_constant() || value.is_variable() || value.type != DataType::kF32 || !weights[id] || others[id])
      continue;
    double largest = 0;
    double difference = 0;
    for (float x : value.f32()) {
      largest = std::max(largest, std::fabs(static_cast<double>(x)));
      difference = std::max(difference, std::fabs(static_cast<double>(x) - static_cast<double>(from_half(to_half(x)))));
    }
    if (!(largest <= static_cast<double>(kGreatestHalf))) {
      ++kept;
      continue;
    }
    value.constant->half = true;
    count += value.f32().size();
    if (largest > 0) error = std::max(error, difference / largest);
  }
  if (count == 0) return "no weights are stored in f16: there are none in f32";
  return fmt::format("{} weights are stored in f16, each at most {:.1e} of its tensor's largest from what it was{}",
                     io::format_count(count), error,
                     kept == 0 ? "" : fmt::format("; {} tensors hold values beyond 65504 and stay f32", kept));
}

}  // namespace figment::converter
