// Passes that shorten a program without changing what it computes: folding into weights, fusing, removing.
#pragma once

#include <string>
#include <vector>

#include "ir/graph.h"

namespace figment::converter {

// Folds multiplication, division, addition and subtraction by a constant per output channel (batch normalization)
// into the linear op before them. Returns what was done, one line each.
std::vector<std::string> fold_affine(Graph* graph);

// Adapters go into the weights beside which they stand: the sum of two linear layers of one input, or of an input and a
// part of it, becomes one, as does a layer behind another in such a sum, if one of them has a window of one pixel.
// Returns what was done, one line each.
std::vector<std::string> merge_branches(Graph* graph);

// Functions and arithmetic on values without some dimensions of 1 are computed with them, and lose them behind: so they
// stand next to the convolution that they may be fused into, and reshapes between two meet and go.
void sink_reshapes(Graph* graph);

// Fuses bounds (ReLU, Clip) into the linear op before them.
std::vector<std::string> fuse_clamps(Graph* graph);

// Joins reshapes, drops those that change nothing, and removes what nothing reads.
void remove_dead(Graph* graph);

}  // namespace figment::converter
