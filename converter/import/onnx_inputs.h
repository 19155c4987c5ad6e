// The inputs of an ONNX graph and the sizes of their dimensions, of which exporters leave some open.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "import/import_onnx.h"
#include "import/onnx_proto.h"

namespace figment::converter {

// What an open dimension of an input is called.
std::string name_of_dimension(const onnx::ValueInfoProto& input, int axis);

// The size of an input's dimension, by the file or as given; 0: it is open.
int64_t size_of_dimension(const onnx::ValueInfoProto& input, int axis, const std::map<std::string, uint32_t>& sizes);

// The extent that dimension 0 of all inputs has, if no dimension of them is open; 0 otherwise.
uint32_t fixed_batch(const onnx::GraphProto& graph, const std::map<std::string, uint32_t>& sizes);

OpenDimensions open_dimensions(const onnx::GraphProto& graph, const std::map<std::string, uint32_t>& sizes);

}  // namespace figment::converter
