// The passes that shorten a program, one after the other.
#pragma once

#include <string>
#include <vector>

#include "ir/graph.h"

namespace figment::converter {

// What programs go through on the way from an importer: layouts, folding, fusing. Returns what was done, one line each.
std::vector<std::string> optimize(Graph* graph);
// The same without layouts, of a program in ours.
std::vector<std::string> simplify(Graph* graph);

}  // namespace figment::converter
