// The table of kernels without a backend's: the best first for each op. A program that defines fig_ops itself is linked
// without this file.
#include "figment/ops.h"
#include "kernels/gemm/gemm_kernels.h"

using namespace figment::kernels;

// Weak for build systems that link all files.
[[gnu::weak]] extern const fig_op* const fig_ops[];
const fig_op* const fig_ops[] = {FIGMENT_GEMM_OPS,
#define FIGMENT_OP(number, Kind, name, ...) &fig_op_##name,
#include "figment/ops.def"
#undef FIGMENT_OP
                                 nullptr};
