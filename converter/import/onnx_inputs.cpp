#include "import/onnx_inputs.h"

#include <fmt/format.h>
#include <algorithm>
#include <set>
#include <utility>

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

std::vector<FixedBatch> fixed_batches(const onnx::GraphProto& graph, const std::map<std::string, uint32_t>& sizes) {
  std::vector<const onnx::ValueInfoProto*> inputs = true_inputs(graph);
  // A number is the same for all samples.
  std::erase_if(inputs, [](const auto* input) { return input->type().tensor_type().shape().dim_size() == 0; });
  for (const onnx::ValueInfoProto* input : inputs) {
    const int rank = input->type().tensor_type().shape().dim_size();
    for (int axis = 0; axis < rank; ++axis) {
      if (size_of_dimension(*input, axis, sizes) == 0) return {};
    }
  }
  // Where a sequence [time, batch, features] has its batch.
  const auto last_axis = [](const onnx::ValueInfoProto* input) {
    return input->type().tensor_type().shape().dim_size() == 3 ? 1 : 0;
  };
  std::vector<FixedBatch> result;
  if (inputs.empty()) return result;
  // The batch is dimension `first` of the first input, and dimension `other` of the others, if it can be.
  for (const auto [first, other] : {std::pair{0, 0}, {1, 1}, {0, 1}, {1, 0}}) {
    FixedBatch batch;
    for (const onnx::ValueInfoProto* input : inputs) {
      const int wanted = std::min(input == inputs[0] ? first : other, last_axis(input));
      const auto extent = [&](int axis) { return static_cast<uint32_t>(size_of_dimension(*input, axis, sizes)); };
      if (input == inputs[0]) batch.extent = extent(wanted);
      const int axis = extent(wanted) == batch.extent ? wanted : last_axis(input) - wanted;
      if (axis < 0 || extent(axis) != batch.extent || batch.extent > UINT16_MAX) batch.extent = 0;
      if (batch.extent == 0) break;
      batch.axes[input->name()] = axis;
    }
    const bool known = std::ranges::any_of(result, [&](const FixedBatch& b) { return b.axes == batch.axes; });
    if (batch.extent != 0 && !known) result.push_back(std::move(batch));
  }
  return result;
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
