// What the last function of a network says of its values.
#pragma once

#include <optional>
#include <utility>

#include "ir/graph.h"

namespace figment::converter {

// The values that `id` can take, from the function that makes it; infinite where that has no bound.
std::pair<float, float> reach_of(const Graph& graph, ValueId id);
// The same where there are both bounds.
std::optional<std::pair<float, float>> range_of(const Graph& graph, ValueId id);

}  // namespace figment::converter
