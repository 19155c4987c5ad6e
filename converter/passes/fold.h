// What a program computes from constants alone, computed while converting.
#pragma once

#include "ir/graph.h"

namespace figment::converter {

// Replaces what nodes compute from constants (f32, no variables) by constants. Returns what was done, one line each.
std::vector<std::string> fold_constants(Graph* graph);

// Batch normalizations with constant statistics become a product and a sum per channel, which fold into linear layers.
void lower_batch_norms(Graph* graph);

}  // namespace figment::converter
