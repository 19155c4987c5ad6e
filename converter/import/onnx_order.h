// Which nodes of an ONNX graph are needed, and in which order.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "import/onnx_proto.h"

namespace figment::converter {

// The tensors that the graph's outputs depend on, those of graphs inside of nodes included.
std::set<std::string> read_tensors(const onnx::GraphProto& graph);

// The nodes in an order in which each follows those that it reads: that of the file as far as it can be, since some
// tools append casts at the end. Nodes of a cycle stand last.
std::vector<const onnx::NodeProto*> sorted_nodes(const onnx::GraphProto& graph);

}  // namespace figment::converter
