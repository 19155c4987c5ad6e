// How much an op computes.
#pragma once

#include <cstdint>

#include "format/model_view.h"

namespace figment::format {

// The multiplications whose products op `index` of a program sums, for one sample; of windows, those inside the image.
uint64_t multiply_adds(const ProgramView& program, size_t index);

}  // namespace figment::format
