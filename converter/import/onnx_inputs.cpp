#include "import/onnx_inputs.h"

#include <fmt/format.h>
#include <set>

namespace figment::converter {

std::string name_of_dimension(const onnx::ValueInfoProto& input, int axis) {
  const std::string& name = input.type().tensor_type().shape().dim(axis).dim_param();
  return name.empty() ? fmt::format("{}:{}", input.name(), axis) : name;
}

int64_t size_of_dimension(const onnx::ValueInfoProto& input, int axis, const std::map<std::string, uint32_t>& sizes) {
  const onnx::TensorShapeProto_Dimension& dimension = input.type().tensor_type().shape().dim(axis);
  if (dimension.has_dim_value() && dimension.dim_value() > 0) return dimension.dim_value();
  const auto given = sizes.find(name_of_dimension(input, axis));
  return given == sizes.end() ? 0 : given->second;
}

namespace {

// Those that are no initializers.
std::vector<const onnx::ValueInfoProto*> true_inputs(const onnx::GraphProto& graph) {
  std::set<std::string> initializers;
  for (const onnx::TensorProto& tensor : graph.initializer()) initializers.insert(tensor.name());
  std::vector<const onnx::ValueInfoProto*> result;
  for (const onnx::ValueInfoProto& input : graph.input()) {
    if (!initializers.contains(input.name())) result.push_back(&input);
  }
  return result;
}

}  // namespace

uint32_t fixed_batch(const onnx::GraphProto& graph, const std::map<std::string, uint32_t>& sizes) {
  int64_t batch = 0;
  for (const onnx::ValueInfoProto* input : true_inputs(graph)) {
    const onnx::TensorShapeProto& shape = input->type().tensor_type().shape();
    for (int axis = 0; axis < shape.dim_size(); ++axis) {
      if (size_of_dimension(*input, axis, sizes) == 0) return 0;
    }
    if (shape.dim_size() == 0) return 0;
    const int64_t extent = size_of_dimension(*input, 0, sizes);
    if (extent > UINT16_MAX || (batch != 0 && extent != batch)) return 0;
    batch = extent;
  }
  return static_cast<uint32_t>(batch);
}

OpenDimensions open_dimensions(const onnx::GraphProto& graph, const std::map<std::string, uint32_t>& sizes) {
  std::vector<std::string> first;  // of each input
  std::set<std::string> others;
  OpenDimensions result;
  for (const onnx::ValueInfoProto* input : true_inputs(graph)) {
    bool seen = false;
    for (int axis = 0; axis < input->type().tensor_type().shape().dim_size(); ++axis) {
      if (size_of_dimension(*input, axis, sizes) != 0) continue;
      const std::string name = name_of_dimension(*input, axis);
      result.all.push_back(name);
      if (seen) {
        others.insert(name);
      } else {
        first.push_back(name);
        result.batch_in_front = result.batch_in_front || axis == 0;
      }
      seen = true;
    }
  }
  for (const std::string& name : first) {
    if (!others.contains(name)) result.batch = name;
  }
  result.others.assign(others.begin(), others.end());
  return result;
}

}  // namespace figment::converter
