// How many steps of a sequence count.
#pragma once

#include <algorithm>

#include "kernels/kernel.h"

namespace figment::kernels {

// Of sequence n: all `steps`, or as many as the operand of lengths says, if the step has it.
inline size_t sequence_length(const Step& step, size_t operand, size_t n, size_t steps) {
  if (step.inputs.size() <= operand) return steps;
  const float value = step.inputs[operand].f32()[n];
  return value > 0 ? std::min(static_cast<size_t>(std::min(value, 2e9F)), steps) : 0;
}

}  // namespace figment::kernels
