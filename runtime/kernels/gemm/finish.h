// What follows the product in a linear layer.
#pragma once

#include "kernels/kernel.h"

namespace figment::kernels::gemm {

// Adds the step's bias, if any, to each of `count` rows of `channels` values and applies its bounds.
void finish_rows(const Step& step, float* rows, size_t count, size_t channels);

}  // namespace figment::kernels::gemm
