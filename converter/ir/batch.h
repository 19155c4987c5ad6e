// Whether the samples of a batch can be computed apart.
#pragma once

#include "ir/graph.h"

namespace figment::converter {

// Whether an output of the program depends, for some sample, on other samples of the batch too (a mean over the batch,
// a product over it, statistics of a batch normalization), or holds samples in an order that cannot be cut into
// samples. Such a program computes a whole batch at a time, never parts of it or with padding.
bool couples_batch(const Graph& graph);

}  // namespace figment::converter
