// Linear ops on weights that change, and their gradients, as matrix products (gemm.h); recurrent layers on them.
#pragma once

#include "kernels/kernel.h"

namespace figment::kernels::gemm {

// Weights that are variables or computed, or a batch that changes; else XNNPACK packs the weights once.
inline bool weights_change(const Step& step) {
  return step.inputs[1].variable || !step.inputs[1].constant || step.any_batch;
}

extern const fig_op kMatmul;
extern const fig_op kFullyConnected;
// On variable weights, and the four gradients; one group.
extern const fig_op kConvolution;
extern const fig_op kTransposedConvolution;
extern const fig_op kConvolutionBackwardInput;
extern const fig_op kConvolutionBackwardWeights;
extern const fig_op kTransposedConvolutionBackwardInput;
extern const fig_op kTransposedConvolutionBackwardWeights;

extern const fig_op kLstm;
extern const fig_op kLstmBackward;
extern const fig_op kGru;
extern const fig_op kGruBackward;

}  // namespace figment::kernels::gemm

// All of them, for tables.
#define FIGMENT_GEMM_OPS                                                                                      \
  &gemm::kMatmul, &gemm::kFullyConnected, &gemm::kConvolution, &gemm::kTransposedConvolution,                 \
      &gemm::kConvolutionBackwardInput, &gemm::kConvolutionBackwardWeights,                                   \
      &gemm::kTransposedConvolutionBackwardInput, &gemm::kTransposedConvolutionBackwardWeights, &gemm::kLstm, \
      &gemm::kLstmBackward, &gemm::kGru, &gemm::kGruBackward
