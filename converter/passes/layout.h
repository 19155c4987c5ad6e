// From ONNX's NCHW to NHWC: transposes are carried along lazily, applied to constants, weights and ports where that is
// free, and become ops only where it is not.
#pragma once

#include <string>
#include <vector>

#include "ir/graph.h"

namespace figment::converter {

// Rewrites the graph; returns what was done, one line each, for the report.
std::vector<std::string> assign_layouts(Graph* graph);

}  // namespace figment::converter
