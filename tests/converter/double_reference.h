// The forward ops in double precision, written from op.h's definitions alone: what gradients are checked against.
#pragma once

#include <map>
#include <vector>

#include "ir/graph.h"

namespace figment::test {

using Doubles = std::vector<double>;

// All values of the program for `inputs` (by value, each for `batch` samples). Throws std::runtime_error for an op it
// does not know.
std::map<converter::ValueId, Doubles> evaluate(const converter::Graph& graph,
                                               std::map<converter::ValueId, Doubles> values, size_t batch);

}  // namespace figment::test
