// Broken and unsupported ONNX files: one clear message each, never a crash.
#include <doctest/doctest.h>

#include <functional>
#include <limits>

#include "convert.h"
#include "import/import_onnx.h"
#include "import/onnx_proto.h"
#include "support.h"

using namespace figment::converter;

namespace {

onnx::ValueInfoProto value(const std::string& name, std::initializer_list<int64_t> rest, bool batch = true) {
  onnx::ValueInfoProto info;
  info.set_name(name);
  onnx::TypeProto_Tensor* type = info.mutable_type()->mutable_tensor_type();
  type->set_elem_type(onnx::TensorProto::FLOAT);
  if (batch) type->mutable_shape()->add_dim()->set_dim_param("batch");
  for (int64_t extent : rest) type->mutable_shape()->add_dim()->set_dim_value(extent);
  return info;
}

// latent [N, 4] -> Gemm (weight [3, 4]) -> Relu -> image [N, 3].
onnx::ModelProto small_model() {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(17);
  onnx::GraphProto* graph = model.mutable_graph();
  *graph->add_input() = value("latent", {4});
  *graph->add_output() = value("image", {3});
  onnx::TensorProto* weight = graph->add_initializer();
  weight->set_name("weight");
  weight->set_data_type(onnx::TensorProto::FLOAT);
  weight->add_dims(3);
  weight->add_dims(4);
  for (int i = 0; i < 12; ++i) weight->add_float_data(0.1F * static_cast<float>(i));
  onnx::NodeProto* gemm = graph->add_node();
  gemm->set_op_type("Gemm");
  gemm->set_name("dense");
  gemm->add_input("latent");
  gemm->add_input("weight");
  gemm->add_output("hidden");
  onnx::AttributeProto* transposed = gemm->add_attribute();
  transposed->set_name("transB");
  transposed->set_i(1);
  onnx::NodeProto* relu = graph->add_node();
  relu->set_op_type("Relu");
  relu->set_name("activation");
  relu->add_input("hidden");
  relu->add_output("image");
  return model;
}

std::string error_of(const onnx::ModelProto& model) {
  try {
    Graph graph = import_onnx(model.SerializeAsString(), "model.onnx", "run");
    optimize(&graph);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

// The error of the small model after `change` names all of `parts`.
void check_error(const std::function<void(onnx::ModelProto*)>& change, std::initializer_list<const char*> parts) {
  onnx::ModelProto model = small_model();
  change(&model);
  const std::string error = error_of(model);
  CHECK_FALSE(error.empty());
  for (const char* part : parts) CHECK_MESSAGE(error.find(part) != std::string::npos, error, " should say ", part);
}

}  // namespace

TEST_CASE("the small model itself is fine") { CHECK(error_of(small_model()) == ""); }

TEST_CASE("what is wrong with an ONNX file is said by name") {
  check_error([](auto* m) { m->mutable_graph()->mutable_node(1)->set_op_type("Einsum"); },
              {"activation", "Einsum", "opset 17", "not supported"});
  check_error([](auto* m) { m->mutable_graph()->mutable_node(1)->set_domain("com.example"); },
              {"activation", "com.example"});
  check_error([](auto* m) { m->mutable_graph()->mutable_node(1)->set_op_type("If"); },
              {"activation", "If", "condition", "known"});
  check_error(
      [](auto* m) {
        onnx::NodeProto* greater = m->mutable_graph()->mutable_node(1);
        greater->set_op_type("Greater");
        greater->add_input("zero");
        onnx::TensorProto* zero = m->mutable_graph()->add_initializer();
        zero->set_name("zero");
        zero->set_data_type(onnx::TensorProto::FLOAT);
        zero->add_float_data(0);
      },
      {"image", "comparison"});
  check_error([](auto* m) { m->mutable_graph()->clear_initializer(); }, {"dense", "weight", "does not exist"});
  check_error([](auto* m) { m->mutable_graph()->mutable_node(0)->set_input(0, "image"); }, {"dense", "image", "cycle"});
  check_error([](auto* m) { m->mutable_graph()->mutable_node(1)->set_output(0, "hidden"); }, {"hidden", "twice"});
  check_error([](auto* m) { m->mutable_graph()->mutable_output(0)->set_name("nothing"); },
              {"nothing", "never computed"});
  check_error([](auto* m) { m->mutable_graph()->clear_output(); }, {"no outputs"});
  check_error([](auto* m) { m->mutable_graph()->clear_node(); }, {"no nodes"});
  check_error([](auto* m) { m->mutable_opset_import(0)->set_version(5); }, {"opset 5", "opset_version=17"});
  check_error(
      [](auto* m) { m->mutable_graph()->mutable_initializer(0)->set_data_location(onnx::TensorProto::EXTERNAL); },
      {"weight", "outside"});
  check_error([](auto* m) { m->mutable_graph()->mutable_initializer(0)->set_data_type(onnx::TensorProto::FLOAT16); },
              {"weight", "FLOAT16", "float"});
  check_error([](auto* m) { m->mutable_graph()->mutable_initializer(0)->set_dims(0, 5); }, {"weight", "12 values"});
  check_error([](auto* m) { m->mutable_graph()->mutable_initializer(0)->set_dims(0, -5); }, {"weight", "negative"});
  check_error([](auto* m) { m->mutable_graph()->mutable_initializer(0)->set_dims(0, int64_t{1} << 60); },
              {"weight", "too many"});
  check_error(
      [](auto* m) {
        m->mutable_graph()->mutable_initializer(0)->set_float_data(3, std::numeric_limits<float>::quiet_NaN());
      },
      {"weight", "NaN"});
  check_error([](auto* m) { *m->mutable_graph()->mutable_input(0) = value("latent", {5}); },
              {"dense", "not the weights'"});
  check_error([](auto* m) { *m->mutable_graph()->mutable_input(0) = value("latent", {int64_t{1} << 40}); },
              {"latent", "dimension"});
  check_error(
      [](auto* m) {
        m->mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
            onnx::TensorProto::INT64);
      },
      {"latent", "float32"});
  check_error(
      [](auto* m) {
        m->mutable_graph()
            ->mutable_input(0)
            ->mutable_type()
            ->mutable_tensor_type()
            ->mutable_shape()
            ->mutable_dim(1)
            ->set_dim_param("width");
      },
      {"latent", "open"});
}

TEST_CASE("all nodes that cannot be converted are listed at once, each with what to do") {
  onnx::ModelProto model = small_model();
  onnx::GraphProto* graph = model.mutable_graph();
  graph->mutable_node(1)->set_output(0, "activated");
  const char* ops[] = {"Einsum", "NonZero", "Einsum", "QuantizeLinear", "RandomNormalLike", "Relu"};
  std::string last = "activated";
  for (size_t i = 0; i < std::size(ops); ++i) {
    onnx::NodeProto* node = graph->add_node();
    node->set_op_type(ops[i]);
    node->set_name("n" + std::to_string(i));
    node->add_input(last);
    last = i + 1 == std::size(ops) ? "image" : "t" + std::to_string(i);
    node->add_output(last);
  }
  const std::string error = error_of(model);
  for (const char* part : {"5 nodes cannot be converted", "node n0 and 1 more (Einsum", "node n1 (NonZero", "onnxslim",
                           "node n3 (QuantizeLinear", "--int8", "node n4 (RandomNormalLike", "an input of the model"})
    CHECK_MESSAGE(error.find(part) != std::string::npos, error, " should say ", part);
  CHECK(error.find("n5") == std::string::npos);
}

TEST_CASE("what no output depends on is left out, whatever it is") {
  onnx::ModelProto model = small_model();
  onnx::NodeProto* node = model.mutable_graph()->add_node();
  node->set_op_type("NonZero");
  node->add_input("hidden");
  node->add_output("nowhere");
  CHECK(error_of(model) == "");
}

TEST_CASE("inputs and tensors of other types and shapes are refused with what to type") {
  check_error([](auto* m) { m->mutable_opset_import(0)->set_version(99); }, {"opset 99", "opset_version=17"});
  check_error(
      [](auto* m) { m->mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_shape(); },
      {"latent", "no shape", "update_model_dims"});
  for (const auto type : {onnx::TensorProto::BOOL, onnx::TensorProto::INT8, onnx::TensorProto::UINT64}) {
    check_error(
        [type](auto* m) {
          onnx::TensorProto* weight = m->mutable_graph()->mutable_initializer(0);
          weight->clear_float_data();
          weight->set_data_type(type);
          weight->set_raw_data(std::string(type == onnx::TensorProto::UINT64 ? 96 : 12, 1));
        },
        {"dense", "weight", "integers", ".float()"});
    check_error(
        [type](auto* m) {
          m->mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(type);
        },
        {"latent", onnx::TensorProto_DataType_Name(type).c_str(), ".float()"});
  }
  check_error(
      [](auto* m) {
        onnx::NodeProto* node = m->mutable_graph()->mutable_node(1);
        node->set_op_type("Dropout");
        node->add_input("ratio");
        node->add_input("training");
        onnx::TensorProto* ratio = m->mutable_graph()->add_initializer();
        ratio->set_name("ratio");
        ratio->set_data_type(onnx::TensorProto::FLOAT);
        ratio->add_float_data(0.5F);
        onnx::TensorProto* training = m->mutable_graph()->add_initializer();
        training->set_name("training");
        training->set_data_type(onnx::TensorProto::BOOL);
        training->add_int32_data(1);
      },
      {"activation", "Dropout", "training", "model.eval()"});
}

TEST_CASE("an ONNX file cut or flipped anywhere is an error or a model") {
  const std::string bytes = small_model().SerializeAsString();
  for (size_t size = 0; size < bytes.size(); ++size) {
    try {
      Graph graph = import_onnx(bytes.substr(0, size), "short", "run");
      optimize(&graph);
    } catch (const Error&) {
    }
  }
  figment::test::Random random(4);
  for (int trial = 0; trial < 3000; ++trial) {
    std::string flipped = bytes;
    for (uint32_t i = random.integer(1, 4); i > 0; --i) {
      flipped[random.integer(0, static_cast<uint32_t>(bytes.size()) - 1)] = static_cast<char>(random.next());
    }
    try {
      Graph graph = import_onnx(flipped, "flipped", "run");
      optimize(&graph);
    } catch (const Error&) {
    }
  }
}
