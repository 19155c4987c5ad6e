// Reverse-mode differentiation of a program (Griewank and Walther, "Evaluating Derivatives", 2008, chapter 3): one rule
// for each op of the format, in one table.
#pragma once

#include <map>
#include <set>
#include <string>

#include "ir/graph.h"

namespace figment::converter {

// Gradients by value.
using Gradients = std::map<ValueId, ValueId>;

// Appends the nodes that carry the gradients in `seeds` (of some scalar with respect to values of the program) back to
// all of `wanted`, and returns theirs; a wanted value that no seed depends on has none. Only what lies between is
// computed; the values in `fixed` count as constants, whatever they are computed from. Throws Error, naming the node,
// where a path leads through an op without a gradient.
Gradients differentiate(Graph* graph, const Gradients& seeds, const std::set<ValueId>& wanted,
                        const std::set<ValueId>& fixed = {});

// Why an op has no gradient, or "" if it has one.
std::string no_gradient_reason(OpKind kind);

}  // namespace figment::converter
