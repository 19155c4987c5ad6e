// What the integer arithmetic of quantized.h needs of an int8 op: sums that do not overflow, scales whose ratio it can
// multiply by.
#pragma once

#include <span>

#include "format/op.h"

namespace figment::format {

// Why an op with an int8 output cannot be computed, or none. `bias` is the third operand's values, of a linear op
// that has one.
Message integer_violation(OpKind kind, std::span<const TensorType> inputs, const TensorType& output,
                          std::span<const int32_t> bias);

// The rules that ops.def names.
namespace integer_rule {

using Rule = Message(std::span<const TensorType> inputs, const TensorType& output, std::span<const int32_t> bias);
Rule any;  // needs nothing
Rule linear;
Rule sum;
Rule product;
Rule mean;
Rule rescale;

}  // namespace integer_rule

}  // namespace figment::format
