// Forward-mode differentiation: how a value changes as another moves in a direction.
#pragma once

#include <functional>

#include "ir/graph.h"

namespace figment::converter {

// Appends the derivative of `value` along `direction`, a tangent of `of` with its shape: the product of the Jacobian
// with the direction. What is appended can be differentiated in turn, by first derivatives alone:
//   - Ops that are linear in what moves act on the tangent itself.
//   - Piecewise linear functions (leaky_relu, clamp, abs) multiply it by their slope, which counts as constant.
//   - Smooth ops (functions, softmax, normalization, recurrent layers) are a central difference, along their inputs'
//     tangents, of which the first has then a root mean square of 0.002 for each entry of the batch. The steps are
//     passed to `hold`: they count as constants, too.
// Throws Error for max_pool2d, whose difference would be of the order of its kinks, and if `value` does not depend on
// `of`.
ValueId tangent(Graph* graph, ValueId of, ValueId direction, ValueId value, const std::function<void(ValueId)>& hold);

}  // namespace figment::converter
