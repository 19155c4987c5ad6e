// The order of a program's nodes, and what is computed twice, chosen for the bytes that are alive at once.
#pragma once

#include <optional>

#include "ir/graph.h"

namespace figment::converter {

// The same nodes in an order with fewer bytes alive at once, if one is found: each step of a segment between updates is
// the one that frees most or takes least. What a discriminator keeps of real samples is gone before it sees generated
// ones.
Graph ordered_for_memory(const Graph& program);

// Which values may be computed again: functions, batch normalization and arithmetic; or what products and convolutions
// give, too.
enum class Recompute { kCheap, kAny };

// The program with values computed again where they are read long after they were made, if that lowers the most bytes
// that are alive at once by at least 3 %; the results are the same bits (Chen et al. 2016, "Training Deep Nets with
// Sublinear Memory Cost").
std::optional<Graph> with_recomputation(const Graph& program, Recompute what);

}  // namespace figment::converter
