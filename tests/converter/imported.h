// Small ONNX graphs, imported and run.
#pragma once

#include <string>

#include "convert.h"
#include "import/import_onnx.h"
#include "onnx_builder.h"
#include "passes/optimize.h"
#include "write/runner.h"
#include "write/write_model.h"

namespace figment::test {

using namespace converter;

inline TensorMap run(const Graph& imported, const TensorMap& inputs, size_t count) {
  ModelDefinition model;
  model.name = "test";
  model.programs.push_back(imported);
  optimize(&model.programs[0]);
  Runner runner(write_model(model), static_cast<uint32_t>(count));
  return runner.run("run", inputs, count);
}

inline Graph import(const OnnxBuilder& model, bool reopen = false) {
  return import_onnx(model.model.SerializeAsString(), "model.onnx", "run", {Purpose::kInference, reopen});
}

inline std::string error_of(const OnnxBuilder& model) {
  try {
    import(model);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

inline bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// With so many samples of x [N, rest...] to calibrate on; 0: none.
inline Converted in_int8(const OnnxBuilder& model, size_t count, ConvertOptions options = {},
                         const std::vector<size_t>& rest = {4}) {
  const OnnxFile file(model.model);
  options.sources = {{"run", file.path()}};
  options.int8 = true;
  io::Array examples{{count}, {}};
  size_t size = count;
  for (size_t extent : rest) examples.shape.push_back(extent), size *= extent;
  for (size_t i = 0; i < size; ++i) examples.values.push_back(static_cast<float>(i * 37 % 101) / 50 - 1);
  if (count > 0) options.calibration_data["x"] = examples;
  return convert(options, {});
}

// The dimension that OnnxBuilder leaves open, fixed.
inline void fix_batch(OnnxBuilder* model, int64_t batch) {
  const auto fix = [batch](onnx::ValueInfoProto& port) {
    port.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(0)->set_dim_value(batch);
  };
  for (auto& port : *model->graph()->mutable_input()) fix(port);
  for (auto& port : *model->graph()->mutable_output()) fix(port);
}

inline void make_integer(OnnxBuilder* model, int input) {
  model->graph()->mutable_input(input)->mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::INT64);
}

}  // namespace figment::test
