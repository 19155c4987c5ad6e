// What a program computes from constants alone, computed while converting.
#pragma once

#include "ir/graph.h"
#include "write/runner.h"

namespace figment::converter {

// Replaces what nodes compute from constants (f32, no variables) by constants. Returns what was done, one line each.
std::vector<std::string> fold_constants(Graph* graph, fig_kernels kernels = FIG_KERNELS_BEST);

// Batch normalizations with constant statistics become a product and a sum per channel, which fold into linear layers.
void lower_batch_norms(Graph* graph);

// The same where training changes the parameters: the product and the sum, or what becomes of the weights and the bias
// of the linear layer before them, is computed.
void compute_batch_norms(Graph* graph);

}  // namespace figment::converter
