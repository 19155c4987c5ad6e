// What figment/ops.h lets a program leave out: the planner.
#pragma once

#include "figment/ops.h"
#include "plan/planner.h"

struct fig_planner {
  figment::plan::Arena (*plan)(std::span<const figment::plan::Lifetime> tensors, std::span<uint64_t> offsets,
                               void* memory);
};
