#include "import/evaluate.h"

#include <algorithm>

#include "import/evaluation.h"

namespace figment::converter {

namespace {

const evaluation::Rules& rules() {
  static const evaluation::Rules table = [] {
    evaluation::Rules all;
    for (evaluation::Rules family : {evaluation::arithmetic_rules(), evaluation::movement_rules(),
                                     evaluation::fill_rules(), evaluation::reduction_rules()}) {
      all.merge(family);
    }
    return all;
  }();
  return table;
}

}  // namespace

SliceRange slice_range(const OnnxNode& node, int64_t start, int64_t end, int64_t step, size_t extent) {
  if (step == 0) node.fail("a step is 0");
  const auto count = static_cast<int64_t>(extent);
  // Backwards, the first position is at most count - 1 and the end may be before 0.
  const int64_t low = step > 0 ? 0 : -1;
  const int64_t high = step > 0 ? count : count - 1;
  const auto position = [&](int64_t i) {
    if (i < 0) i = i < -count ? -1 - count : i + count;
    return std::clamp(i < 0 ? -1 : i, low, high);
  };
  const int64_t first = position(start);
  const int64_t last = position(end);
  const int64_t distance = step > 0 ? last - first : first - last;
  if (distance <= 0) return {first < 0 ? 0 : first, 0, 1};
  const uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : uint64_t{0} - static_cast<uint64_t>(step);
  const uint64_t picked = (static_cast<uint64_t>(distance) - 1) / stride + 1;
  return {first, static_cast<size_t>(picked), picked == 1 ? (step > 0 ? 1 : -1) : step};
}

std::optional<std::vector<KnownTensor>> evaluate(const OnnxNode& node, const std::vector<const KnownTensor*>& inputs) {
  const auto rule = rules().find(node.proto.op_type());
  return rule == rules().end() ? std::nullopt : rule->second(node, inputs);
}

bool can_evaluate(const std::string& op) { return rules().contains(op); }

}  // namespace figment::converter
