// The table of kernels with XNNPACK's: the best first for each op. A program that defines fig_ops itself is linked
// without this file.
#include "figment/ops.h"
#include "kernels/gemm/gemm_kernels.h"
#include "kernels/xnnpack/xnnpack_kernels.h"

using namespace figment::kernels;

const fig_op* const fig_ops[] = {
    &xnnpack::kFullyConnected,
    &xnnpack::kConvolutionAsFullyConnected,
    &xnnpack::kConvolution,
    &xnnpack::kDeconvolutionAsFullyConnected,
    &xnnpack::kDeconvolutionByPhases,
    &xnnpack::kDeconvolutionByMergedPhases,
    &xnnpack::kDeconvolutionByColumns,
    &xnnpack::kDeconvolution,
    &xnnpack::kSoftmax,
    &xnnpack::kClamp,
    &xnnpack::kLeakyRelu,
    &xnnpack::kElu,
    &xnnpack::kSigmoid,
    &xnnpack::kTanh,
    &xnnpack::kAbs,
    &xnnpack::kNegate,
    &xnnpack::kAdd,
    &xnnpack::kSubtract,
    &xnnpack::kMultiply,
    &xnnpack::kDivide,
    &xnnpack::kLookup,
    &xnnpack::kQuantize,
    &xnnpack::kDequantize,
    &xnnpack::kRequantize,
    &xnnpack::kReshape,
    FIGMENT_GEMM_OPS,
#define FIGMENT_OP(number, Kind, name, ...) &fig_op_##name,
#include "figment/ops.def"
#undef FIGMENT_OP
    nullptr,
};
