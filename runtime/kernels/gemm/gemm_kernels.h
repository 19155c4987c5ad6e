// Linear ops on weights that change, and their gradients, as matrix products (gemm.h).
#pragma once

#include "kernels/kernel.h"

namespace figment::kernels::gemm {

bool accepts_matmul(const Step& step);
Kernel* create_matmul(void* memory);

// Weights that are variables or computed, or a batch that changes; else XNNPACK packs the weights once.
inline bool weights_change(const Step& step) {
  return step.inputs[1].variable || !step.inputs[1].constant || step.any_batch;
}
bool accepts_fully_connected(const Step& step);
Kernel* create_fully_connected(void* memory);

// conv2d and conv_transpose2d on variable weights, and their four gradients; one group.
bool accepts_convolution(const Step& step);
Kernel* create_convolution(void* memory);

}  // namespace figment::kernels::gemm
