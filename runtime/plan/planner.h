// Places tensors in one arena so that no two that are alive at the same time overlap.
//
// Example: a (64 bytes, steps 0..1), b (128, 1..2), c (64, 2..3): a and c share an offset, the arena is 192 bytes.
//
//   step      0    1    2    3
//   0..63     a    a    c    c
//   64..191        b    b
//
// Method: tensors are placed one after another, each into the smallest gap between the tensors already placed and
// alive with it (best fit), else behind them. The order decides the result. Several are tried: the largest first, the
// longest alive first, and others, of which most begin with the tensors of the fullest step. If none comes close to the
// lower bound (the bytes alive in that step), the best order is improved by taking a tensor that reaches the arena's
// end and placing it earlier, deterministically, for a bounded amount of work.
#pragma once

#include <cstdint>
#include <span>

#include "core/status.h"

namespace figment::plan {

struct Lifetime {
  uint64_t bytes = 0;  // 0: needs no memory
  uint32_t first = 0;  // the step that writes it
  uint32_t last = 0;   // the last step that reads it, at least `first`
};

struct Arena {
  uint64_t size = 0;         // bytes, a multiple of kTensorAlignment
  uint64_t lower_bound = 0;  // no plan can be smaller
};

// Bytes of memory that planning so many tensors works in.
constexpr size_t planning_bytes(size_t tensors) { return tensors * (sizeof(uint64_t) + 3 * sizeof(uint32_t)); }

// Fills `offsets` (as many as tensors; multiples of kTensorAlignment) and returns the arena's size. Sizes are rounded
// up to the alignment. `memory` has planning_bytes and is aligned to 8.
Arena plan_memory(std::span<const Lifetime> tensors, std::span<uint64_t> offsets, void* memory);

// The independent check: every tensor lies aligned inside the arena and no two that are alive together overlap.
// kBadFile names the first pair that does.
Status check_plan(std::span<const Lifetime> tensors, std::span<const uint64_t> offsets, uint64_t arena_size);

}  // namespace figment::plan
