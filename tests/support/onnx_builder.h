// Small ONNX models, written node by node.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <vector>

#include "import/onnx_proto.h"

namespace figment::test {

class OnnxBuilder {
 public:
  OnnxBuilder() {
    model.set_ir_version(8);
    model.add_opset_import()->set_version(17);
  }

  // float32 [batch, rest...]
  void input(const std::string& name, const std::vector<int64_t>& rest) { describe(graph()->add_input(), name, rest); }
  void output(const std::string& name, const std::vector<int64_t>& rest) {
    describe(graph()->add_output(), name, rest);
  }

  // Initializers; without a shape, scalars. Each returns the name.
  std::string floats(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values) {
    onnx::TensorProto* tensor = initializer(name, shape, onnx::TensorProto::FLOAT);
    for (float value : values) tensor->add_float_data(value);
    return name;
  }
  std::string integers(const std::string& name, const std::vector<int64_t>& shape, const std::vector<int64_t>& values) {
    onnx::TensorProto* tensor = initializer(name, shape, onnx::TensorProto::INT64);
    for (int64_t value : values) tensor->add_int64_data(value);
    return name;
  }

  // A node called as its first output.
  onnx::NodeProto* node(const std::string& op, const std::vector<std::string>& inputs,
                        const std::vector<std::string>& outputs) {
    onnx::NodeProto* node = graph()->add_node();
    node->set_op_type(op);
    node->set_name(outputs[0]);
    for (const std::string& input : inputs) node->add_input(input);
    for (const std::string& output : outputs) node->add_output(output);
    return node;
  }

  static void attribute(onnx::NodeProto* node, const std::string& name, int64_t value) {
    onnx::AttributeProto* attribute = named(node, name, onnx::AttributeProto::INT);
    attribute->set_i(value);
  }
  static void attribute(onnx::NodeProto* node, const std::string& name, const std::vector<int64_t>& values) {
    onnx::AttributeProto* attribute = named(node, name, onnx::AttributeProto::INTS);
    for (int64_t value : values) attribute->add_ints(value);
  }
  static void real(onnx::NodeProto* node, const std::string& name, float value) {
    onnx::AttributeProto* attribute = named(node, name, onnx::AttributeProto::FLOAT);
    attribute->set_f(value);
  }
  // The value of a Constant.
  static void tensor(onnx::NodeProto* node, const std::vector<float>& values) {
    onnx::TensorProto* tensor = named(node, "value", onnx::AttributeProto::TENSOR)->mutable_t();
    tensor->set_data_type(onnx::TensorProto::FLOAT);
    tensor->add_dims(static_cast<int64_t>(values.size()));
    for (const float value : values) tensor->add_float_data(value);
  }
  static void attribute(onnx::NodeProto* node, const std::string& name, const char* text) {
    onnx::AttributeProto* attribute = named(node, name, onnx::AttributeProto::STRING);
    attribute->set_s(text);
  }

  onnx::GraphProto* graph() { return model.mutable_graph(); }

  onnx::ModelProto model;

 private:
  static onnx::AttributeProto* named(onnx::NodeProto* node, const std::string& name,
                                     onnx::AttributeProto::AttributeType type) {
    onnx::AttributeProto* attribute = node->add_attribute();
    attribute->set_name(name);
    attribute->set_type(type);
    return attribute;
  }

  static void describe(onnx::ValueInfoProto* value, const std::string& name, const std::vector<int64_t>& rest) {
    value->set_name(name);
    onnx::TypeProto_Tensor* type = value->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    type->mutable_shape()->add_dim()->set_dim_param("batch");
    for (int64_t extent : rest) type->mutable_shape()->add_dim()->set_dim_value(extent);
  }

  onnx::TensorProto* initializer(const std::string& name, const std::vector<int64_t>& shape,
                                 onnx::TensorProto::DataType type) {
    onnx::TensorProto* tensor = graph()->add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(type);
    for (int64_t extent : shape) tensor->add_dims(extent);
    return tensor;
  }
};

// A model in a file of the temporary folder, gone in the end.
class OnnxFile {
 public:
  explicit OnnxFile(const onnx::ModelProto& model)
      : path_(std::filesystem::temp_directory_path() /
              ("figment_test_" + std::to_string(getpid()) + "_" + std::to_string(count()++) + ".onnx")) {
    std::ofstream(path_, std::ios::binary) << model.SerializeAsString();
  }
  ~OnnxFile() { std::filesystem::remove(path_); }
  OnnxFile(const OnnxFile&) = delete;
  OnnxFile& operator=(const OnnxFile&) = delete;
  std::string path() const { return path_.string(); }

 private:
  static int& count() {
    static int files = 0;
    return files;
  }

  std::filesystem::path path_;
};

}  // namespace figment::test
