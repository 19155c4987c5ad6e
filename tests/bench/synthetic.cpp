// Writes the synthetic models of the benchmark as ONNX files, weights from a fixed generator:
// figment_synthetic FOLDER -> FOLDER/dcgan64.onnx (ngf 64), FOLDER/vae_decoder.onnx (20-400-784).
#include <cmath>
#include <cstdio>
#include <fstream>
#include <string>

#include "import/onnx_proto.h"
#include "support.h"

namespace {

class ModelBuilder {
 public:
  ModelBuilder() {
    model_.set_ir_version(8);
    model_.add_opset_import()->set_version(17);
    model_.mutable_graph()->set_name("synthetic");
  }

  void add_input(const std::string& name, std::initializer_list<int64_t> rest) {
    describe(model_.mutable_graph()->add_input(), name, rest);
  }
  void add_output(const std::string& name, std::initializer_list<int64_t> rest) {
    describe(model_.mutable_graph()->add_output(), name, rest);
  }

  std::string tensor(const std::string& name, std::initializer_list<int64_t> shape, float scale) {
    onnx::TensorProto* tensor = model_.mutable_graph()->add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(onnx::TensorProto::FLOAT);
    int64_t count = 1;
    for (int64_t extent : shape) {
      tensor->add_dims(extent);
      count *= extent;
    }
    for (int64_t i = 0; i < count; ++i) tensor->add_float_data(random_.real() * scale);
    return name;
  }

  onnx::NodeProto* node(const std::string& op, std::initializer_list<std::string> inputs, const std::string& output) {
    onnx::NodeProto* node = model_.mutable_graph()->add_node();
    node->set_op_type(op);
    node->set_name(output);
    for (const std::string& input : inputs) node->add_input(input);
    node->add_output(output);
    return node;
  }

  static void attribute(onnx::NodeProto* node, const std::string& name, std::initializer_list<int64_t> values) {
    onnx::AttributeProto* attribute = node->add_attribute();
    attribute->set_name(name);
    attribute->set_type(onnx::AttributeProto::INTS);
    for (int64_t value : values) attribute->add_ints(value);
  }

  static void attribute(onnx::NodeProto* node, const std::string& name, int64_t value) {
    onnx::AttributeProto* attribute = node->add_attribute();
    attribute->set_name(name);
    attribute->set_type(onnx::AttributeProto::INT);
    attribute->set_i(value);
  }

  void write(const std::string& path) const {
    std::ofstream file(path, std::ios::binary);
    if (!model_.SerializeToOstream(&file)) std::fprintf(stderr, "cannot write %s\n", path.c_str());
  }

 private:
  static void describe(onnx::ValueInfoProto* value, const std::string& name, std::initializer_list<int64_t> rest) {
    value->set_name(name);
    onnx::TypeProto_Tensor* type = value->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    type->mutable_shape()->add_dim()->set_dim_param("batch");
    for (int64_t extent : rest) type->mutable_shape()->add_dim()->set_dim_value(extent);
  }

  onnx::ModelProto model_;
  figment::test::Random random_{5};
};

// Radford et al., 2015: 100 -> 4x4x512 -> 8x8x256 -> 16x16x128 -> 32x32x64 -> 64x64x3.
void write_dcgan64(const std::string& path) {
  ModelBuilder model;
  model.add_input("latent", {100, 1, 1});
  model.add_output("image", {3, 64, 64});
  const int64_t channels[] = {100, 512, 256, 128, 64, 3};
  std::string x = "latent";
  for (int i = 0; i < 5; ++i) {
    const std::string layer = "deconvolution" + std::to_string(i);
    const float scale = 2 / std::sqrt(static_cast<float>(channels[i]) * 4);
    onnx::NodeProto* node = model.node("ConvTranspose",
                                       {x, model.tensor(layer + ".weight", {channels[i], channels[i + 1], 4, 4}, scale),
                                        model.tensor(layer + ".bias", {channels[i + 1]}, 0.1F)},
                                       layer);
    ModelBuilder::attribute(node, "strides",
                            i == 0 ? std::initializer_list<int64_t>{1, 1} : std::initializer_list<int64_t>{2, 2});
    ModelBuilder::attribute(
        node, "pads", i == 0 ? std::initializer_list<int64_t>{0, 0, 0, 0} : std::initializer_list<int64_t>{1, 1, 1, 1});
    x = i == 4 ? "image" : "activation" + std::to_string(i);
    model.node(i == 4 ? "Tanh" : "Relu", {layer}, x);
  }
  model.write(path);
}

void write_vae_decoder(const std::string& path) {
  ModelBuilder model;
  model.add_input("latent", {20});
  model.add_output("image", {784});
  const auto gemm = [&](const std::string& x, int64_t inputs, int64_t outputs, const std::string& name) {
    const float scale = 2 / std::sqrt(static_cast<float>(inputs));
    onnx::NodeProto* node = model.node(
        "Gemm",
        {x, model.tensor(name + ".weight", {outputs, inputs}, scale), model.tensor(name + ".bias", {outputs}, 0.1F)},
        name);
    ModelBuilder::attribute(node, "transB", 1);
  };
  gemm("latent", 20, 400, "hidden");
  model.node("Relu", {"hidden"}, "activation");
  gemm("activation", 400, 784, "logits");
  model.node("Sigmoid", {"logits"}, "image");
  model.write(path);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  write_dcgan64(std::string(argv[1]) + "/dcgan64.onnx");
  write_vae_decoder(std::string(argv[1]) + "/vae_decoder.onnx");
  return 0;
}
