// How much a program computes.
#pragma once

#include <cstdint>

#include "ir/graph.h"

namespace figment::converter {

// About how many operations a node takes for one sample.
uint64_t operations(const Graph& graph, const Node& node);
// And all nodes; UINT64_MAX if they are too many to count.
uint64_t operations(const Graph& graph);

}  // namespace figment::converter
