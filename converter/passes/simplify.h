// Passes that shorten a program without changing what it computes: folding into weights, fusing, removing.
#pragma once

#include <string>
#include <vector>

#include "ir/graph.h"

namespace figment::converter {

// Folds multiplication, division, addition and subtraction by a constant per output channel (batch normalization)
// into the linear op before them. Returns what was done, one line each.
std::vector<std::string> fold_affine(Graph* graph);

// Fuses bounds (ReLU, Clip) into the linear op before them.
std::vector<std::string> fuse_clamps(Graph* graph);

// Joins reshapes, drops those that change nothing, and removes what nothing reads.
void remove_dead(Graph* graph);

}  // namespace figment::converter
