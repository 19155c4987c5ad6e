// The checker shares no code with the planner.
#include "core/checked.h"
#include "core/memory.h"
#include "plan/planner.h"

namespace figment::plan {

Status check_plan(std::span<const Lifetime> tensors, std::span<const uint64_t> offsets, uint64_t arena_size) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Lifetime& a = tensors[i];
    if (a.bytes == 0) continue;
    if (a.last < a.first) return Status::error(StatusCode::kBadFile, "plan: tensor %zu ends before it begins", i);
    if (offsets[i] % kTensorAlignment != 0 || !range_inside(offsets[i], a.bytes, arena_size)) {
      return Status::error(StatusCode::kBadFile, "plan: tensor %zu is misaligned or outside the arena", i);
    }
    for (size_t j = 0; j < i; ++j) {
      const Lifetime& b = tensors[j];
      const bool apart_in_time = a.last < b.first || b.last < a.first;
      const bool apart_in_space = offsets[i] + a.bytes <= offsets[j] || offsets[j] + b.bytes <= offsets[i];
      if (b.bytes != 0 && !apart_in_time && !apart_in_space) {
        return Status::error(StatusCode::kBadFile, "plan: tensors %zu and %zu overlap", j, i);
      }
    }
  }
  return {};
}

}  // namespace figment::plan
