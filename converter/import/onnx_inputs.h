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

// A batch that an exporter has fixed.
struct FixedBatch {
  uint32_t extent = 0;              // 0: there is none
  std::map<std::string, int> axes;  // of each input
};

// What may be one, the likeliest first: the extent that dimension 0 of all inputs has, or dimension 1 of those that are
// [time, batch, features] or [layers, batch, features], as recurrent networks have them. None if a dimension is open.
std::vector<FixedBatch> fixed_batches(const onnx::GraphProto& graph, const std::map<std::string, uint32_t>& sizes);

OpenDimensions open_dimensions(const onnx::GraphProto& graph, const std::map<std::string, uint32_t>& sizes);

}  // namespace figment::converter
