#include "kernels/kernel.h"

#include "figment/ops.h"

namespace figment::kernels {

const fig_op* find_kernel(const Step& step, KernelSet set) {
  for (const fig_op* const* row = fig_ops; *row != nullptr; ++row) {
    const fig_op& op = **row;
    if (op.kind != step.kind || (set == KernelSet::kPortable && !op.portable)) continue;
    if (op.accepts == nullptr || op.accepts(step)) return &op;
  }
  return nullptr;
}

}  // namespace figment::kernels

const figment::format::OpRule* figment::format::linked_rule(OpKind kind) {
  for (const fig_op* const* row = fig_ops; *row != nullptr; ++row) {
    if ((*row)->kind == kind) return (*row)->rule;
  }
  return nullptr;
}
