// int8 of networks with something particular.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "imported.h"
#include "support.h"

using namespace figment::converter;
using namespace figment::test;

TEST_CASE("a mask of infinite values leaves out what it covers, in f32 and beside int8 layers") {
  const float none = -std::numeric_limits<float>::infinity();
  OnnxBuilder model;
  model.input("x", {4});
  model.output("y", {4});
  model.node("Gemm", {"x", model.floats("w", {4, 4}, {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1})}, {"scores"});
  model.node("Add", {"scores", model.floats("mask", {4}, {0, none, 0, none})}, {"masked"});
  model.node("Softmax", {"masked"}, {"y"});
  const std::vector<float> y = run(import(model), {{"x", {1, 9, 1, 9}}}, 1).at("y");
  for (size_t i = 0; i < 4; ++i) CHECK(y[i] == doctest::Approx(i % 2 == 0 ? 0.5 : 0));
  Runner runner(in_int8(model, 64).file, 1);
  const std::vector<float> quantized = runner.run("run", {{"x", {1, 2, 1, 2}}}, 1).at("y");
  for (size_t i = 0; i < 4; ++i) CHECK(quantized[i] == doctest::Approx(i % 2 == 0 ? 0.5 : 0).epsilon(0.05));
}

// Two sums of one name and the same bytes, zeros of f32 and of i32; an output that has no batch.
TEST_CASE("int8 of a shared bias of zeros, and of a network that returns a constant") {
  OnnxBuilder model;
  model.input("x", {4});
  model.output("y", {4});
  std::vector<float> weights;
  for (int i = 0; i < 16; ++i) weights.push_back(static_cast<float>(i * i % 11 - 5));
  const std::string zeros = model.floats("zeros", {4}, std::vector<float>(4, 0));
  model.node("Gemm", {"x", model.floats("w", {4, 4}, weights), zeros}, {"h"});
  model.node("LayerNormalization", {"h", model.floats("g", {4}, {1, 2, 1, 2}), zeros}, {"n"});
  model.node("Gemm", {"n", model.floats("v", {4, 4}, weights), zeros}, {"y"});
  model.node("Identity", {model.floats("c", {50}, std::vector<float>(50, 0.25F))}, {"returned"});
  model.graph()->add_output()->set_name("returned");
  const Converted converted = in_int8(model, 60);
  CHECK(converted.report.programs.at(0).int8->snr_db > 20);
  CHECK(converted.report.programs.at(0).int8->snr_db < 100);
  Runner runner(converted.file, 1);
  CHECK(runner.run("run", {{"x", {1, 2, 3, 4}}}, 1).at("returned") == std::vector<float>(50, 0.25F));
}

// The batch and the heads are one dimension inside; what shows inner values takes whole batches then.
TEST_CASE("int8 calibrates any number of samples of a network that folds the batch into another dimension") {
  OnnxBuilder model;
  model.input("x", {4});
  model.output("y", {6});
  std::vector<float> weights;
  for (int i = 0; i < 24; ++i) weights.push_back(static_cast<float>(i * i % 11 - 5));
  model.node("Gemm", {"x", model.floats("w", {4, 6}, weights)}, {"h"});
  model.node("Reshape", {"h", model.integers("heads", {2}, {-1, 3})}, {"r"});
  model.node("Tanh", {"r"}, {"t"});
  model.node("Reshape", {"t", model.integers("back", {2}, {-1, 6})}, {"y"});
  for (const size_t count : {50U, 64U, 100U}) CHECK(in_int8(model, count).report.programs.at(0).int8->snr_db > 20);
}

TEST_CASE("the signal to noise of int8 is the same wherever an output has its batch") {
  std::vector<double> ratios;
  for (const bool batch_first : {true, false}) {
    OnnxBuilder model;
    model.input("x", {4});
    std::vector<float> weights;
    for (int i = 0; i < 24; ++i) weights.push_back(static_cast<float>(i * i % 11 - 5) * static_cast<float>(1 + i % 6));
    model.node("Gemm", {"x", model.floats("w", {4, 6}, weights)}, {"h"});
    model.node("Reshape", {"h", model.integers("s", {3}, {0, 3, 2})}, {batch_first ? "y" : "r"});
    if (!batch_first) OnnxBuilder::attribute(model.node("Transpose", {"r"}, {"y"}), "perm", {1, 0, 2});
    model.graph()->add_output()->set_name("y");
    ratios.push_back(in_int8(model, 60).report.programs.at(0).int8->snr_db);
  }
  CHECK(ratios[0] > 20);
  CHECK(ratios[0] == ratios[1]);
}

TEST_CASE("integers of a quantized embedding become what they stand for, once") {
  OnnxBuilder model;
  model.input("label", {});
  model.input("x", {2});
  model.output("y", {2});
  make_integer(&model, 0);
  const auto quantized = [&](const char* name, const std::vector<int64_t>& shape, const std::string& raw) {
    onnx::TensorProto* tensor = model.graph()->add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(onnx::TensorProto::UINT8);
    for (int64_t extent : shape) tensor->add_dims(extent);
    tensor->set_raw_data(raw);
    return std::string(name);
  };
  quantized("table", {2, 2}, std::string("\x80\x82\x84\x86", 4));
  quantized("zero", {}, std::string("\x80", 1));
  model.floats("half", {}, {0.5F});
  model.floats("wide", {}, {1});
  model.node("Gather", {"table", "label"}, {"row"});
  model.node("QuantizeLinear", {"x", "wide", "zero"}, {"q"});
  model.node("QLinearMul", {"q", "wide", "zero", "row", "half", "zero", "wide", "zero"}, {"product"})
      ->set_domain("com.microsoft");
  model.node("DequantizeLinear", {"product", "wide", "zero"}, {"y"});
  CHECK(run(import(model), {{"label", {1, 0}}, {"x", {3, 4, 5, 6}}}, 2).at("y") == std::vector<float>{6, 12, 0, 6});
}

TEST_CASE("quantized files: weights are what their integers stand for, and activations saturate as theirs") {
  OnnxBuilder model;
  model.input("x", {2});
  model.output("y", {2});
  model.floats("x_scale", {}, {0.5F});
  model.floats("w_scale", {2}, {0.5F, 0.25F});
  const auto bytes = [&](const char* name, const std::vector<int64_t>& shape, const std::vector<int32_t>& values) {
    model.integers(name, shape, {});
    onnx::TensorProto* tensor = model.graph()->mutable_initializer(model.graph()->initializer_size() - 1);
    tensor->set_data_type(onnx::TensorProto::INT8);
    for (int32_t value : values) tensor->add_int32_data(value);
  };
  bytes("x_zero", {}, {-128});
  bytes("w_zero", {2}, {0, 4});
  bytes("w8", {2, 2}, {2, 4, -2, 8});
  model.node("QuantizeLinear", {"x", "x_scale", "x_zero"}, {"xq"});
  model.node("DequantizeLinear", {"xq", "x_scale", "x_zero"}, {"xf"});
  OnnxBuilder::attribute(model.node("DequantizeLinear", {"w8", "w_scale", "w_zero"}, {"w"}), "axis", int64_t{1});
  model.node("MatMul", {"xf", "w"}, {"y"});
  const Graph graph = import(model);
  CHECK(graph.notes.size() == 1);
  // w = [[1, 0], [-1, 1]]; x from 0 to 127.5.
  CHECK(run(graph, {{"x", {3, 2}}}, 1).at("y") == std::vector<float>{1, 2});
  CHECK(run(graph, {{"x", {-5, 1000}}}, 1).at("y") == std::vector<float>{-127.5F, 127.5F});
}

TEST_CASE("quantized nodes of one name do not get into each other's way") {
  OnnxBuilder model;
  model.input("x", {1});
  model.output("y", {1});
  model.floats("one", {}, {1});
  onnx::TensorProto* zero = model.graph()->add_initializer();
  zero->set_name("zero");
  zero->set_data_type(onnx::TensorProto::UINT8);
  zero->set_raw_data(std::string("\x80", 1));
  model.node("QuantizeLinear", {"x", "one", "zero"}, {"q"});
  for (const auto& [a, b] : {std::pair("q", "doubled"), {"doubled", "again"}}) {
    onnx::NodeProto* node = model.node("QLinearAdd", {a, "one", "zero", a, "one", "zero", "one", "zero"}, {b});
    node->set_domain("com.microsoft");
    node->set_name("quant");
  }
  model.node("DequantizeLinear", {"again", "one", "zero"}, {"y"});
  CHECK(run(import(model), {{"x", {5}}}, 1).at("y") == std::vector<float>{20});
}

TEST_CASE("int8 names all inputs that it needs examples of, and takes labels in turn") {
  OnnxBuilder model;
  model.input("x", {4});
  model.input("condition", {4});
  model.input("label", {});
  model.output("y", {4});
  make_integer(&model, 2);
  model.floats("w", {4, 4}, {1, 0, 0, 2, 0, 1, 0, 0, 0, 3, 1, 0, -1, 0, 0, 1});
  model.floats("table", {2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  model.node("MatMul", {"x", "w"}, {"a"});
  model.node("Add", {"a", "condition"}, {"b"});
  model.node("Gather", {"table", "label"}, {"c"});
  model.node("Add", {"b", "c"}, {"y"});
  CHECK_THROWS_WITH(in_int8(model, 0),
                    "int8 needs examples of inputs that are no latents: give --calibration-data x=x.npy (or =classes), "
                    "--calibration-data condition=x.npy (or =classes)");
  ConvertOptions options;
  options.calibration_classes = {"x", "condition"};
  const Converted converted = in_int8(model, 0, options);
  REQUIRE(converted.report.programs[0].int8);
  CHECK(converted.report.programs[0].int8->snr_db > 20);
}

TEST_CASE("what would be int8 between f32 products alone stays f32") {
  // Attention: both of its products have computed operands, which have no int8 form.
  OnnxBuilder model;
  model.input("x", {3, 4});
  model.output("y", {3, 4});
  model.floats("w", {4, 4}, {1, 0, 0, 2, 0, 1, 0, 0, 0, 3, 1, 0, -1, 0, 0, 1});
  model.node("MatMul", {"x", "w"}, {"q"});
  OnnxBuilder::attribute(model.node("Transpose", {"q"}, {"k"}), "perm", std::vector<int64_t>{0, 2, 1});
  model.node("MatMul", {"q", "k"}, {"logits"});
  model.node("Softmax", {"logits"}, {"p"});
  model.node("MatMul", {"p", "q"}, {"y"});
  const Converted converted = in_int8(model, 64, {}, {3, 4});
  bool linear = false;
  bool softmax = false;
  for (const LayerReport& layer : converted.report.programs[0].int8->layers) {
    if (layer.kind == OpKind::kFullyConnected) linear = layer.int8;
    if (layer.kind != OpKind::kSoftmax) continue;
    softmax = true;
    CHECK_FALSE(layer.int8);
    CHECK_MESSAGE(has(layer.reason, "nothing would be gained"), layer.reason);
  }
  CHECK(linear);
  CHECK(softmax);
}

TEST_CASE("without a reserve where it would take all layers, and a word where nothing is int8") {
  OnnxBuilder model;
  model.input("x", {4});
  model.output("y", {4});
  model.floats("w", {4, 4}, {1, 0, 0, 2, 0, 1, 0, 0, 0, 3, 1, 0, -1, 0, 0, 1});
  model.node("MatMul", {"x", "w"}, {"y"});
  const Converted usual = in_int8(model, 64);
  const double reached = usual.report.programs[0].int8->snr_db;
  const auto with_goal = [&](double goal) {
    ConvertOptions options;
    options.snr_goal_db = goal;
    return in_int8(model, 64, options);
  };
  const Converted close = with_goal(reached - 1);
  CHECK(close.report.programs[0].int8->layers[0].int8);
  const Converted beyond = with_goal(reached + 10);
  CHECK_FALSE(beyond.report.programs[0].int8->layers[0].int8);
  CHECK_MESSAGE(has(beyond.report.programs[0].int8->layers[0].reason, "leaves"),
                beyond.report.programs[0].int8->layers[0].reason);
  CHECK_MESSAGE(has(to_text(beyond.report), "nothing is int8"), to_text(beyond.report));
}

TEST_CASE("recurrent layers are int8 where their hidden states alone are used") {
  for (const char* name : {"crgan", "lstm_crgan"}) {
    INFO(std::string(name));
    ConvertOptions options;
    options.model = std::string(FIGMENT_MODELS "/") + name + "/" + name + ".figment";
    options.int8 = true;
    options.calibration_samples = 64;
    const Converted converted = convert(options, {});
    const QuantizeReport& report = *converted.report.programs.at(0).int8;
    CHECK(report.fully_int8);
    CHECK(report.snr_db > 25);
    const bool recurrent = std::ranges::any_of(converted.report.programs[0].ops, [](const ProgramReport::Op& op) {
      return op.kind == "gru_i8" || op.kind == "lstm_i8";
    });
    CHECK(recurrent);
  }
}
