// Files that another tool has quantized, as floats: what reads their integers.
#include <doctest/doctest.h>

#include "imported.h"

using namespace figment::converter;
using namespace figment::test;

namespace {

// q = x / 0.25 + 3 in int8, of x that need no rounding.
struct Quantized {
  Quantized() {
    model.input("x", {4});
    model.output("y", {4});
    model.floats("scale", {}, {0.25F});
    model.zero("zero", 3);
    model.node("QuantizeLinear", {"x", "scale", "zero"}, {"q"});
  }
  std::vector<float> y() { return run(import(model), {{"x", {-1, 0, 0.5F, 2}}}, 1).at("y"); }
  struct Model : OnnxBuilder {
    std::string zero(const std::string& name, int32_t value) {
      onnx::TensorProto* tensor = graph()->add_initializer();
      tensor->set_name(name);
      tensor->set_data_type(onnx::TensorProto::INT8);
      tensor->add_int32_data(value);
      return name;
    }
  } model;
};

const std::vector<float> kIntegers = {-1, 3, 5, 11};

}  // namespace

TEST_CASE("an op that knows nothing of scales reads the integers of a quantized tensor") {
  Quantized cast;
  OnnxBuilder::attribute(cast.model.node("Cast", {"q"}, {"y"}), "to", int64_t{onnx::TensorProto::FLOAT});
  CHECK(cast.y() == kIntegers);

  Quantized output;
  output.model.node("Identity", {"q"}, {"y"});
  CHECK(output.y() == kIntegers);

  // The rectifier of integers cuts at 0, not at the zero point.
  Quantized rectified;
  rectified.model.node("Relu", {"q"}, {"r"});
  rectified.model.node("DequantizeLinear", {"r", "scale", "zero"}, {"y"});
  CHECK(rectified.y() == std::vector<float>{-0.75F, 0, 0.5F, 2});

  Quantized clipped;
  clipped.model.node("Clip", {"q", clipped.model.zero("low", 0), clipped.model.zero("high", 7)}, {"c"});
  clipped.model.node("DequantizeLinear", {"c", "scale", "zero"}, {"y"});
  CHECK(clipped.y() == std::vector<float>{-0.75F, 0, 0.5F, 1});
}

TEST_CASE("integers read with another scale, or in a product, are worth what that says") {
  Quantized other;
  other.model.node("DequantizeLinear", {"q", other.model.floats("double", {}, {0.5F}), other.model.zero("one", 1)},
                   {"y"});
  CHECK(other.y() == std::vector<float>{-1, 1, 2, 5});

  Quantized product;
  onnx::TensorProto* weights = product.model.graph()->add_initializer();
  weights->set_name("w");
  weights->set_data_type(onnx::TensorProto::INT8);
  for (int64_t extent : {4, 4}) weights->add_dims(extent);
  for (int32_t i = 0; i < 16; ++i) weights->add_int32_data(i % 5 == 0 ? 2 : 0);
  product.model.node("MatMulInteger", {"q", "w", "zero"}, {"sums"});
  OnnxBuilder::attribute(product.model.node("Cast", {"sums"}, {"y"}), "to", int64_t{onnx::TensorProto::FLOAT});
  CHECK(product.y() == std::vector<float>{-8, 0, 4, 16});
}

TEST_CASE("ops that move integers, and choose among those of one scale, keep what they stand for") {
  Quantized moved;
  moved.model.node("Reshape", {"q", moved.model.integers("shape", {3}, {-1, 2, 2})}, {"image"});
  moved.model.node("Transpose", {"image"}, {"turned"});
  OnnxBuilder::attribute(moved.model.graph()->mutable_node(2), "perm", std::vector<int64_t>{0, 2, 1});
  moved.model.node("Flatten", {"turned"}, {"flat"});
  moved.model.node("DequantizeLinear", {"flat", "scale", "zero"}, {"y"});
  CHECK(moved.y() == std::vector<float>{-1, 0.5F, 0, 2});
  for (const Node& node : import(moved.model).nodes) CHECK(node.kind != OpKind::kRound);
}

TEST_CASE("activations with a scale for each channel saturate at each channel's ends") {
  Quantized each;
  each.model.graph()->mutable_node(0)->set_input(1, each.model.floats("scales", {4}, {0.25F, 0.25F, 0x1p-9F, 0x1p-7F}));
  onnx::TensorProto* zeros = each.model.graph()->add_initializer();
  zeros->set_name("zeros");
  zeros->set_data_type(onnx::TensorProto::INT8);
  zeros->add_dims(4);
  for (int32_t zero : {0, 1, 0, 27}) zeros->add_int32_data(zero);
  each.model.graph()->mutable_node(0)->set_input(2, "zeros");
  OnnxBuilder::attribute(each.model.graph()->mutable_node(0), "axis", 1);
  OnnxBuilder::attribute(each.model.node("DequantizeLinear", {"q", "scales", "zeros"}, {"y"}), "axis", 1);
  CHECK(each.y() == std::vector<float>{-1, 0, 127 * 0x1p-9F, 100 * 0x1p-7F});
}

TEST_CASE("constants that a file quantizes are what their integers stand for, of one scale or many") {
  for (const bool each : {false, true}) {
    OnnxBuilder model;
    model.input("x", {2});
    model.output("y", {2});
    model.floats("w", {2, 2}, {0.26F, -200, 2.25F, 0.75F});
    model.floats("scale", each ? std::vector<int64_t>{2} : std::vector<int64_t>{},
                 each ? std::vector<float>{0.5F, 1} : std::vector<float>{0.5F});
    onnx::TensorProto* zero = model.graph()->add_initializer();
    zero->set_name("zero");
    zero->set_data_type(onnx::TensorProto::INT8);
    zero->add_int32_data(0);
    if (each) zero->add_dims(2), zero->add_int32_data(0);
    for (const char* op : {"QuantizeLinear", "DequantizeLinear"}) {
      const bool first = std::string(op) == "QuantizeLinear";
      OnnxBuilder::attribute(model.node(op, {first ? "w" : "q", "scale", "zero"}, {first ? "q" : "d"}), "axis",
                             int64_t{0});
    }
    model.node("MatMul", {"x", "d"}, {"y"});
    const std::vector<float> y = run(import(model), {{"x", {1, 0, 0, 1}}}, 2).at("y");
    CHECK(y == std::vector<float>{0.5F, -64, 2, 1});
  }
}

TEST_CASE("integers of a scale that is computed are for the ops that take it") {
  Quantized dynamic;
  dynamic.model.graph()->clear_node();
  dynamic.model.node("DynamicQuantizeLinear", {"x"}, {"q", "s", "z"});
  OnnxBuilder::attribute(dynamic.model.node("Cast", {"q"}, {"y"}), "to", int64_t{onnx::TensorProto::FLOAT});
  CHECK_MESSAGE(has(error_of(dynamic.model), "DynamicQuantizeLinear computes"), error_of(dynamic.model));
}

TEST_CASE("scales and zero points that are missing, or too few, are an error") {
  for (const char* op : {"MatMulInteger", "DynamicQuantizeMatMul"}) {
    OnnxBuilder model;
    model.input("x", {2});
    model.output("y", {2});
    model.integers("w", {2, 2}, {1, 2, 3, 4});
    model.floats("none", {0}, {});
    model.integers("nothing", {0}, {});
    onnx::NodeProto* node = std::string(op) == "MatMulInteger" ? model.node(op, {"x", "w", "", "nothing"}, {"y"})
                                                               : model.node(op, {"x", "w", "none"}, {"y"});
    if (node->op_type() != "MatMulInteger") node->set_domain("com.microsoft");
    CHECK_MESSAGE(has(error_of(model), "no scale, or no zero point"), error_of(model));
  }
}
