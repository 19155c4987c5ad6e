// Linear ops on weights that change, and their gradients, as matrix products (gemm.h); recurrent layers on them.
#pragma once

#include "kernels/gemm/gemm.h"
#include "kernels/kernel.h"

namespace figment::kernels::gemm {

// Weights that are variables or computed, a batch that changes, or weights that are int8 alone; else XNNPACK packs the
// weights once.
inline bool packs_each_run(const Step& step) {
  return step.inputs[1].variable || !step.inputs[1].constant || step.any_batch || step.weights_alone_are_i8();
}

// Sets b of a product to weights, whose elements begin `offset` behind those of the operand. Channels lie along b's
// rows or its columns.
inline void set_weights(const Operand& weights, size_t offset, bool by_row, Product* product) {
  product->b.data = nullptr;
  if (weights.type == DataType::kF32)
    product->b.data = weights.f32() + offset;
  else
    product->quantized = {weights.i8() + offset, weights.quantization.scales.data(), weights.shape[0], by_row};
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
