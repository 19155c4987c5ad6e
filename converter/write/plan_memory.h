// Memory plans that a file carries, so that a device needs no planner.
#pragma once

#include <cstdint>
#include <vector>

#include "ir/graph.h"

namespace figment::converter {

// Adds to each program of `model`, whose file is given, its plan for each of the batches, for the portable kernels: of
// train programs those that a session runs without a memory limit. `source_bytes` as for Runner. Throws Error.
void plan_memory(const std::vector<uint8_t>& file, const std::vector<uint32_t>& batches, uint64_t source_bytes,
                 ModelDefinition* model);

}  // namespace figment::converter
