// What exporters write beside ops: data outside the file, a fixed batch, integers, loops, quantized files.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "convert.h"
#include "import/import_onnx.h"
#include "onnx_builder.h"
#include "support.h"
#include "write/runner.h"
#include "write/write_model.h"

namespace fs = std::filesystem;
using namespace figment::converter;
using figment::test::OnnxBuilder;

namespace {

TensorMap run(const Graph& imported, const TensorMap& inputs, size_t count) {
  ModelDefinition model;
  model.name = "test";
  model.programs.push_back(imported);
  optimize(&model.programs[0]);
  Runner runner(write_model(model), static_cast<uint32_t>(count));
  return runner.run("run", inputs, count);
}

Graph import(const OnnxBuilder& model, bool reopen = false) {
  return import_onnx(model.model.SerializeAsString(), "model.onnx", "run", {Purpose::kInference, reopen});
}

std::string error_of(const OnnxBuilder& model) {
  try {
    import(model);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// Calibrated on so many samples of x [N, 4].
Converted in_int8(const OnnxBuilder& model, size_t count) {
  const figment::test::OnnxFile file(model.model);
  ConvertOptions options;
  options.sources = {{"run", file.path()}};
  options.int8 = true;
  figment::io::Array examples{{count, 4}, {}};
  for (size_t i = 0; i < 4 * count; ++i) examples.values.push_back(static_cast<float>(i * 37 % 101) / 50 - 1);
  options.calibration_data["x"] = examples;
  return convert(options, {});
}

// The dimension that OnnxBuilder leaves open, fixed.
void fix_batch(OnnxBuilder* model, int64_t batch) {
  const auto fix = [batch](onnx::ValueInfoProto& port) {
    port.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(0)->set_dim_value(batch);
  };
  for (auto& port : *model->graph()->mutable_input()) fix(port);
  for (auto& port : *model->graph()->mutable_output()) fix(port);
}

void make_integer(OnnxBuilder* model, int input) {
  model->graph()->mutable_input(input)->mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::INT64);
}

// y = x W, with W [2, 3] stored in a file beside the model.
class ExternalModel {
 public:
  ExternalModel() {
    std::string path = (fs::temp_directory_path() / "figment_external.XXXXXX").string();
    REQUIRE(mkdtemp(path.data()) != nullptr);
    folder_ = path;
    model_.input("x", {2});
    model_.output("y", {3});
    model_.floats("w", {2, 3}, {});
    model_.node("MatMul", {"x", "w"}, {"y"});
    weight()->set_data_location(onnx::TensorProto::EXTERNAL);
    std::vector<float> values = {-1, 1, 2, 3, 4, 5, 6};
    std::ofstream(folder_ / "w.data", std::ios::binary)
        .write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * 4));
  }
  ~ExternalModel() { fs::remove_all(folder_); }

  onnx::TensorProto* weight() { return model_.graph()->mutable_initializer(0); }
  const fs::path& folder() const { return folder_; }

  void set(const std::string& key, const std::string& value) {
    for (auto& entry : *weight()->mutable_external_data()) {
      if (entry.key() == key) return entry.set_value(value);
    }
    onnx::StringStringEntryProto* entry = weight()->add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  }

  Graph import() {
    const fs::path path = folder_ / "model.onnx";
    std::ofstream(path, std::ios::binary) << model_.model.SerializeAsString();
    return import_onnx_file(path.string(), "run");
  }
  std::string error() {
    try {
      import();
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  }

 private:
  fs::path folder_;
  OnnxBuilder model_;
};

}  // namespace

TEST_CASE("weights outside of the file are read from its folder") {
  ExternalModel model;
  model.set("location", "w.data");
  model.set("offset", "4");
  model.set("length", "24");
  const std::vector<float> y = run(model.import(), {{"x", {1, 10}}}, 1).at("y");
  CHECK(y == std::vector<float>{41, 52, 63});
  fs::create_directory(model.folder() / "weights");
  fs::rename(model.folder() / "w.data", model.folder() / "weights/w.data");
  model.set("location", "weights/w.data");
  CHECK(model.error() == "");
}

TEST_CASE("weights outside of the file that are missing, short or elsewhere are refused by name") {
  ExternalModel model;
  CHECK_MESSAGE(has(model.error(), "tensor w is stored outside the file, which does not say where"), model.error());
  model.set("location", "absent.data");
  CHECK_MESSAGE(has(model.error(), "tensor w: its file \"absent.data\""), model.error());
  for (const char* location : {"../w.data", "/etc/hostname", "a/../../w.data", "", "w.data/", "./../w.data"}) {
    model.set("location", location);
    CHECK_MESSAGE(has(model.error(), "tensor w: its file"), location, ": ", model.error());
  }
  fs::create_symlink(model.folder() / "w.data", model.folder() / "link.data");
  model.set("location", "link.data");
  CHECK_MESSAGE(has(model.error(), "link"), model.error());
  fs::create_directory_symlink(model.folder(), model.folder() / "folder");
  model.set("location", "folder/w.data");
  CHECK_MESSAGE(has(model.error(), "tensor w: its file"), model.error());
  model.set("location", "w.data");
  CHECK(model.error() == "");
  model.set("offset", "8");
  CHECK_MESSAGE(has(model.error(), "truncated"), model.error());
  model.set("offset", "18446744073709551612");
  CHECK_MESSAGE(has(model.error(), "truncated"), model.error());
  model.set("offset", "four");
  CHECK_MESSAGE(has(model.error(), "offset"), model.error());
  model.set("offset", "0");
  model.set("length", "20");
  CHECK_MESSAGE(has(model.error(), "20 bytes there, its shape needs 24"), model.error());
}

TEST_CASE("half precision and bfloat16 are read as what they stand for") {
  struct Case {
    onnx::TensorProto::DataType type;
    std::vector<uint16_t> bits;
    std::vector<float> values;
  };
  const Case cases[] = {
      {onnx::TensorProto::FLOAT16,
       {0x3C00, 0xC000, 0x0001, 0x7BFF, 0x8000, 0x3555},
       {1, -2, 0x1p-24F, 65504, -0.0F, 0.333251953125F}},
      {onnx::TensorProto::BFLOAT16,
       {0x3F80, 0xC000, 0x4049, 0x0080, 0x8000, 0x3EAB},
       {1, -2, 3.140625F, 0x1p-126F, -0.0F, 0.333984375F}},
  };
  for (const Case& one : cases) {
    OnnxBuilder model;
    model.input("x", {6});
    model.output("y", {6});
    onnx::TensorProto* weight = model.graph()->add_initializer();
    weight->set_name("w");
    weight->set_data_type(one.type);
    weight->add_dims(6);
    weight->set_raw_data(std::string(reinterpret_cast<const char*>(one.bits.data()), 12));
    model.node("Add", {"x", "w"}, {"y"});
    CHECK(run(import(model), {{"x", std::vector<float>(6)}}, 1).at("y") == one.values);
  }
}

TEST_CASE("a batch that was fixed is opened, and all rows are computed as one was") {
  for (int64_t batch : {1, 3}) {
    OnnxBuilder model;
    model.input("x", {6});
    model.output("y", {4, 2});
    model.floats("w", {6, 8}, [] {
      std::vector<float> values(48);
      for (size_t i = 0; i < values.size(); ++i) values[i] = 0.1F * static_cast<float>(i % 7) - 0.3F;
      return values;
    }());
    // Shapes with the batch in them, as constants.
    model.integers("image", {4}, {batch, 2, 2, 2});
    model.integers("rows", {3}, {batch, -1, 2});
    model.integers("wide", {3}, {batch, 4, 2});
    model.node("MatMul", {"x", "w"}, {"a"});
    model.node("Reshape", {"a", "image"}, {"b"});
    model.node("Relu", {"b"}, {"c"});
    model.node("Reshape", {"c", "rows"}, {"d"});
    model.node("Expand", {"d", "wide"}, {"y"});
    fix_batch(&model, batch);
    const Graph graph = import(model, true);
    REQUIRE(graph.inputs[0].shape[0].per_batch);
    CHECK(has(graph.notes.at(0), "is open"));
    const std::vector<float> x = {0.5F, -1, 2, 0.25F, 1, -0.5F};
    const std::vector<float> one = run(graph, {{"x", x}}, 1).at("y");
    std::vector<float> five;
    for (int i = 0; i < 5; ++i) five.insert(five.end(), x.begin(), x.end());
    const std::vector<float> rows = run(graph, {{"x", five}}, 5).at("y");
    REQUIRE(rows.size() == 5 * one.size());
    for (size_t i = 0; i < rows.size(); ++i) CHECK(rows[i] == one[i % one.size()]);
    // As it was exported, it computes the same.
    const Graph kept = import(model);
    CHECK_FALSE(kept.inputs[0].shape[0].per_batch);
    std::vector<float> all;
    for (int64_t i = 0; i < batch; ++i) all.insert(all.end(), x.begin(), x.end());
    const std::vector<float> fixed = run(kept, {{"x", all}}, 1).at("y");
    for (size_t i = 0; i < fixed.size(); ++i) CHECK(fixed[i] == one[i % one.size()]);
  }
}

TEST_CASE("a batch stays fixed where samples depend on each other, or where it disappears") {
  OnnxBuilder coupled;
  coupled.input("x", {4});
  coupled.output("y", {4});
  OnnxBuilder::attribute(coupled.node("ReduceMean", {"x"}, {"mean"}), "axes", std::vector<int64_t>{0});
  coupled.node("Sub", {"x", "mean"}, {"y"});
  fix_batch(&coupled, 2);
  const Graph graph = import(coupled, true);
  CHECK_FALSE(graph.inputs[0].shape[0].per_batch);
  REQUIRE(graph.notes.size() == 1);
  CHECK_MESSAGE(has(graph.notes[0], "stays fixed at 2"), graph.notes[0]);
  CHECK(run(graph, {{"x", {1, 2, 3, 4, 3, 2, 1, 0}}}, 1).at("y") == std::vector<float>{-1, 0, 1, 2, 1, 0, -1, -2});

  OnnxBuilder indexed;
  indexed.input("x", {4});
  indexed.output("y", {});
  indexed.graph()->mutable_output(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->clear_dim();
  indexed.graph()->mutable_output(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(
      4);
  indexed.integers("first", {}, {0});
  indexed.node("Gather", {"x", "first"}, {"y"});
  indexed.graph()
      ->mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(0)
      ->set_dim_value(1);
  CHECK_FALSE(import(indexed, true).inputs[0].shape[0].per_batch);
}

TEST_CASE("labels pick rows of an embedding, and one-hot vectors") {
  OnnxBuilder model;
  model.input("label", {});
  model.output("y", {2});
  make_integer(&model, 0);
  model.floats("table", {3, 2}, {1, 2, 3, 4, 5, 6});
  model.node("Gather", {"table", "label"}, {"y"});
  CHECK(run(import(model), {{"label", {2, 0, 1}}}, 3).at("y") == std::vector<float>{5, 6, 1, 2, 3, 4});

  OnnxBuilder hot;
  hot.input("label", {});
  hot.output("y", {3});
  make_integer(&hot, 0);
  hot.integers("depth", {}, {3});
  hot.floats("values", {2}, {-1, 2});
  hot.node("OneHot", {"label", "depth", "values"}, {"y"});
  CHECK(run(import(hot), {{"label", {1, 2}}}, 2).at("y") == std::vector<float>{-1, 2, -1, -1, -1, 2});

  OnnxBuilder divided;
  divided.input("label", {});
  divided.output("y", {});
  make_integer(&divided, 0);
  divided.integers("two", {}, {2});
  divided.node("Div", {"label", "two"}, {"half"});
  OnnxBuilder::attribute(divided.node("Cast", {"half"}, {"y"}), "to", int64_t{onnx::TensorProto::FLOAT});
  CHECK(run(import(divided), {{"label", {7, -7}}}, 2).at("y") == std::vector<float>{3, -3});
}

TEST_CASE("a loop of a known count is imported pass by pass") {
  OnnxBuilder model;
  model.input("x", {2});
  model.output("last", {2});
  model.graph()->add_output()->set_name("all");
  model.integers("count", {}, {3});
  model.node("Identity", {"x"}, {"start"});
  onnx::NodeProto* loop = model.node("Loop", {"count", "", "start"}, {"last", "all"});
  onnx::AttributeProto* body = loop->add_attribute();
  body->set_name("body");
  body->set_type(onnx::AttributeProto::GRAPH);
  OnnxBuilder inner;
  for (const char* name : {"pass", "goes_on", "state"}) inner.graph()->add_input()->set_name(name);
  for (const char* name : {"still", "next", "seen"}) inner.graph()->add_output()->set_name(name);
  inner.node("Identity", {"goes_on"}, {"still"});
  inner.node("Add", {"state", "x"}, {"next"});
  inner.node("Neg", {"next"}, {"seen"});
  *body->mutable_g() = *inner.graph();
  const TensorMap results = run(import(model), {{"x", {1, -2}}}, 1);
  CHECK(results.at("last") == std::vector<float>{4, -8});
  CHECK(results.at("all") == std::vector<float>{-2, 4, -3, 6, -4, 8});
  // Of a count that is data.
  model.graph()->mutable_initializer()->Clear();
  model.input("count", {});
  make_integer(&model, 1);
  CHECK_MESSAGE(has(error_of(model), "known while converting"), error_of(model));
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

TEST_CASE("an output may be a constant") {
  OnnxBuilder model;
  model.input("x", {2});
  model.output("y", {2});
  model.graph()->add_output()->set_name("sigma");
  model.floats("sigma", {3}, {1, 2, 3});
  model.node("Neg", {"x"}, {"y"});
  const TensorMap results = run(import(model), {{"x", {1, 2}}}, 1);
  CHECK(results.at("sigma") == std::vector<float>{1, 2, 3});
}

TEST_CASE("operands that do not fit are refused by name, whatever a file says") {
  const auto error = [](const std::vector<std::string>& inputs, const char* op, const auto& change) {
    OnnxBuilder model;
    model.input("x", {2, 2});
    model.output("y", {2, 2});
    model.floats("scales", {2}, {1, 1});
    model.integers("zeros", {3}, {0, 0, 0});
    model.integers("many", {1, 1, 1, 1, 1, 1}, {0});
    model.floats("negative", {}, {-1});
    model.integers("none", {0}, {});
    model.floats("wide", {1, 1, 1, 1, 1, 2}, {1, 1});
    change(model.node(op, inputs, {"y"}));
    return error_of(model);
  };
  const auto nothing = [](onnx::NodeProto*) {};
  const auto has_all = [](const std::string& text, const std::string& part) {
    CHECK_MESSAGE(has(text, "node y ("), text);
    CHECK_MESSAGE(has(text, part), text);
  };
  has_all(error({"x", "scales", "zeros"}, "QuantizeLinear", nothing), "a zero point for each scale");
  has_all(error({"x", "negative"}, "QuantizeLinear", nothing), "must be positive");
  has_all(error({"x", "many"}, "Gather", [](auto* node) { OnnxBuilder::attribute(node, "axis", int64_t{1}); }),
          "more than 6 dimensions");
  has_all(error({"x", "none", "scales"}, "OneHot", nothing), "depth must be one number");
  has_all(error({"x", "wide"}, "Einsum",
                [](auto* node) { OnnxBuilder::attribute(node, "equation", "abc,defghi->abcdefghi"); }),
          "more than 6 dimensions");
  has_all(error({"x"}, "MeanVarianceNormalization",
                [](auto* node) { OnnxBuilder::attribute(node, "axes", std::vector<int64_t>{0, 1, 0, 1, 0, 1, 0}); }),
          "more axes than there are");
  const auto with_body = [](onnx::NodeProto* node) {
    onnx::AttributeProto* body = node->add_attribute();
    body->set_name("body");
    body->set_type(onnx::AttributeProto::GRAPH);
    for (const char* name : {"i", "c", "s"}) body->mutable_g()->add_input()->set_name(name);
    for (const char* name : {"c", "s"}) body->mutable_g()->add_output()->set_name(name);
  };
  has_all(error({"none", "", "x"}, "Loop", with_body), "count must be one number");
  has_all(error({"", "absent", "x"}, "Loop", with_body), "absent does not exist");
  has_all(error({"", "", "absent"}, "Loop", with_body), "absent does not exist");
}

TEST_CASE("what a network draws is an input: each run draws anew, sessions of a seed alike, and it may be given") {
  OnnxBuilder model;
  model.input("x", {3});
  model.output("y", {3});
  model.node("RandomNormalLike", {"x"}, {"noise"});
  model.node("Add", {"x", "noise"}, {"y"});
  const figment::test::OnnxFile file(model.model);
  ConvertOptions options;
  options.sources = {{"run", file.path()}};
  const std::vector<uint8_t> bytes = convert(options, {}).file;
  const std::vector<float> zeros(6);
  Runner first(bytes, 2);
  Runner second(bytes, 2);
  const std::vector<float> drawn = first.run("run", {{"x", zeros}}, 2).at("y");
  CHECK(second.run("run", {{"x", zeros}}, 2).at("y") == drawn);
  CHECK(first.run("run", {{"x", zeros}}, 2).at("y") != drawn);
  for (size_t i = 0; i < 3; ++i) CHECK(drawn[i] != drawn[i + 3]);
  CHECK(first.run("run", {{"x", zeros}, {"noise", std::vector<float>{1, 2, 3, 4, 5, 6}}}, 2).at("y") ==
        std::vector<float>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("a convolution whose weights an input makes has those of each sample") {
  for (const char* op : {"Conv", "ConvTranspose"}) {
    OnnxBuilder model;
    model.input("x", {1, 2, 2});
    model.input("factor", {1});
    model.output("y", {1, 2, 2});
    fix_batch(&model, 1);
    model.floats("kernel", {1, 1, 1, 1}, {2});
    model.node("Reshape", {"factor", model.integers("square", {4}, {1, 1, 1, 1})}, {"factors"});
    model.node("Mul", {"factors", "kernel"}, {"weights"});
    model.node(op, {"x", "weights"}, {"y"});
    const std::vector<float> y =
        run(import(model, true), {{"x", {1, 2, 3, 4, 5, 6, 7, 8}}, {"factor", {1, 10}}}, 2).at("y");
    CHECK(y == std::vector<float>{2, 4, 6, 8, 100, 120, 140, 160});
  }
}

TEST_CASE("weights of an open batch are not those of each sample") {
  OnnxBuilder model;
  model.input("x", {1, 2, 2});
  model.input("w", {1, 1, 1});
  model.output("y", {1, 2, 2});
  model.node("Conv", {"x", "w"}, {"y"});
  CHECK_MESSAGE(has(error_of(model), "export with a batch of 1"), error_of(model));
}

TEST_CASE("what is computed to NaN in a weight leaves no file") {
  OnnxBuilder model;
  model.input("x", {1});
  model.output("y", {1});
  model.node("Div", {model.floats("a", {1, 1}, {0}), model.floats("b", {1, 1}, {0})}, {"w"});
  model.node("MatMul", {"x", "w"}, {"y"});
  std::string message;
  try {
    run(import(model), {{"x", {1}}}, 1);
  } catch (const Error& error) {
    message = error.what();
  }
  CHECK_MESSAGE(has(message, "NaN or infinite"), message);
}

TEST_CASE("an integer without dimensions, and negative indices that are computed") {
  OnnxBuilder model;
  model.input("x", {2});
  model.input("step", {});
  model.graph()->mutable_input(1)->mutable_type()->mutable_tensor_type()->mutable_shape()->clear_dim();
  make_integer(&model, 1);
  model.output("y", {2});
  model.node("Sub", {"step", model.integers("three", {}, {3})}, {"place"});
  model.node("Gather", {model.floats("table", {3, 2}, {1, 2, 3, 4, 5, 6}), "place"}, {"row"});
  model.node("Add", {"x", "row"}, {"y"});
  ModelDefinition definition;
  definition.name = "step";
  definition.programs.push_back(import(model));
  optimize(&definition.programs[0]);
  Runner runner(write_model(definition), 1);
  float x[2] = {10, 20};
  float y[2] = {};
  const fig_tensor output = {"y", y, 2, FIG_F32};
  for (int64_t step = 0; step < 6; ++step) {
    const fig_tensor inputs[] = {{"x", x, 2, FIG_F32}, {"step", &step, 1, FIG_I64}};
    REQUIRE(fig_run(runner.session(), "run", 1, inputs, 2, &output, 1) == FIG_OK);
    CHECK(y[0] == static_cast<float>(11 + 2 * (step % 3)));
  }
  int64_t step = (int64_t{1} << 24) + 1;  // not itself in f32
  const fig_tensor inputs[] = {{"x", x, 2, FIG_F32}, {"step", &step, 1, FIG_I64}};
  CHECK(fig_run(runner.session(), "run", 1, inputs, 2, &output, 1) == FIG_INVALID_ARGUMENT);
}

TEST_CASE("nodes may stand in any order, but for cycles") {
  OnnxBuilder model;
  model.input("x", {2});
  model.output("y", {2});
  model.node("Neg", {"sum"}, {"y"});
  model.node("Add", {"x", "x"}, {"sum"});
  CHECK(run(import(model), {{"x", {1, 2}}}, 1).at("y") == std::vector<float>{-2, -4});
}

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
  const figment::test::OnnxFile file(model.model);
  ConvertOptions options;
  options.sources = {{"run", file.path()}};
  options.int8 = true;
  figment::io::Array examples{{64, 4}, {}};
  for (int i = 0; i < 256; ++i) examples.values.push_back(static_cast<float>(i % 7) - 3);
  options.calibration_data["x"] = examples;
  Runner runner(convert(options, {}).file, 1);
  const std::vector<float> quantized = runner.run("run", {{"x", {1, 2, 1, 2}}}, 1).at("y");
  for (size_t i = 0; i < 4; ++i) CHECK(quantized[i] == doctest::Approx(i % 2 == 0 ? 0.5 : 0).epsilon(0.05));
}

TEST_CASE("composed functions are right for small, large and infinite arguments") {
  const float infinite = std::numeric_limits<float>::infinity();
  const struct {
    const char* op;
    double (*function)(double);
    std::vector<float> arguments;
  } cases[] = {
      {"Sinh", [](double x) { return std::sinh(x); }, {1e-8F, -1e-5F, 0.1F, -3, 89, -89}},
      {"Cosh", [](double x) { return std::cosh(x); }, {1e-8F, 0.1F, -3, 89, -89, 0}},
      {"Asinh", [](double x) { return std::asinh(x); }, {1e-8F, -1e-5F, 0.3F, -40, 1e20F, -1e30F}},
      {"Acosh", [](double x) { return std::acosh(x); }, {1, 1.00001F, 1.5F, 40, 1e20F, infinite}},
      {"Atanh", [](double x) { return std::atanh(x); }, {1e-8F, -1e-5F, 0.3F, -0.999F, 1, -1}},
  };
  for (const auto& [op, function, arguments] : cases) {
    OnnxBuilder model;
    model.input("x", {6});
    model.output("y", {6});
    model.node(op, {"x"}, {"y"});
    const std::vector<float> y = run(import(model), {{"x", arguments}}, 1).at("y");
    for (size_t i = 0; i < arguments.size(); ++i) {
      const double right = function(static_cast<double>(arguments[i]));
      const auto actual = static_cast<double>(y[i]);
      CHECK_MESSAGE((actual == right || std::fabs(actual - right) <= 4e-6 * std::fabs(right)), op, " of ", arguments[i],
                    " is ", actual, ", not ", right);
    }
  }
}

TEST_CASE("masked rows, negative classes and zero vectors are what ONNX says") {
  const float none = -std::numeric_limits<float>::infinity();
  {
    OnnxBuilder model;
    model.input("x", {3});
    model.output("y", {1});
    OnnxBuilder::attribute(model.node("ReduceLogSumExp", {"x"}, {"y"}), "axes", std::vector<int64_t>{1});
    const std::vector<float> y =
        run(import(model), {{"x", {-1e9F, 0.5F, 0.5F, -1e4F, 0.1234F, -50, none, 1, 2, none, none, none}}}, 4).at("y");
    CHECK(y[0] == doctest::Approx(1.1931472));
    CHECK(y[1] == doctest::Approx(0.1234));
    CHECK(y[2] == doctest::Approx(2.3132617));
    CHECK(y[3] == none);
  }
  {
    OnnxBuilder model;
    model.input("x", {3});
    model.output("y", {3});
    model.node("TopK", {"x", model.integers("k", {1}, {3})}, {"y", "places"});
    const std::vector<float> y = run(import(model), {{"x", {5, none, none, 5, none, 1}}}, 2).at("y");
    CHECK(y == std::vector<float>{5, none, none, 5, 1, none});
  }
  {
    OnnxBuilder model;
    model.input("x", {});
    model.output("y", {3});
    make_integer(&model, 0);
    model.node("OneHot", {"x", model.integers("depth", {}, {3}), model.floats("values", {2}, {0, 1})}, {"y"});
    const std::vector<float> y = run(import(model), {{"x", {-1, 0, 3}}}, 3).at("y");
    CHECK(y == std::vector<float>{0, 0, 1, 1, 0, 0, 0, 0, 0});
  }
  {
    OnnxBuilder model;
    model.input("x", {2});
    model.output("y", {2});
    model.node("LpNormalization", {"x"}, {"y"});
    const std::vector<float> y = run(import(model), {{"x", {0, 0, 3, 4}}}, 2).at("y");
    CHECK(y[0] == 0);
    CHECK(y[1] == 0);
    CHECK(y[3] == doctest::Approx(0.8));
  }
  OnnxBuilder empty;
  empty.input("x", {2});
  empty.output("y", {2});
  empty.node("Pow", {"x", empty.floats("exponent", {0}, {})}, {"y"});
  CHECK(has(error_of(empty), "its exponent is empty"));
}

TEST_CASE("an integer to the power of a float is an integer, in shapes too") {
  OnnxBuilder model;
  model.input("x", {2, 8});
  model.output("y", {16});
  model.node("Pow", {model.integers("four", {1}, {4}), model.floats("two", {1}, {2})}, {"count"});
  model.node("Concat", {model.integers("batch", {1}, {0}), "count"}, {"shape"})->add_attribute()->set_name("axis");
  auto* axis = model.graph()->mutable_node(1)->mutable_attribute(0);
  axis->set_type(onnx::AttributeProto::INT);
  axis->set_i(0);
  model.node("Reshape", {"x", "shape"}, {"y"});
  CHECK(import(model).outputs.at(0).shape == figment::Shape{{1, true}, {16, false}});
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

TEST_CASE("a normalization's parameters train under any names, fresh ones too") {
  for (const char* prefix : {"norm.", "norm_"}) {
    OnnxBuilder model;
    model.input("x", {4, 3});
    model.output("y", {4, 3});
    const std::string gamma = model.floats(prefix + std::string("gamma"), {4}, {1, 1, 1, 1});
    const std::string beta = model.floats(prefix + std::string("beta"), {4}, {0, 0, 0, 0});
    model.node("InstanceNormalization", {"x", gamma, beta}, {"y"});
    const Graph graph = import_onnx(model.model.SerializeAsString(), "model.onnx", "run", {Purpose::kTraining, false});
    size_t found = 0;
    for (const Node& node : graph.nodes) {
      if (node.kind != OpKind::kGroupNorm) continue;
      ++found;
      for (size_t i : {1U, 2U}) {
        CHECK(graph[node.inputs[i]].elements() == 4);
        CHECK(graph[node.inputs[i]].constant->origin.has_value());
      }
    }
    CHECK(found == 1);
  }
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

TEST_CASE("codes of InfoGAN that are inputs of their own are parts of one latent") {
  OnnxBuilder generator;
  generator.input("z", {2});
  generator.input("which", {3});
  generator.input("how", {1});
  generator.output("sample", {6});
  OnnxBuilder::attribute(generator.node("Concat", {"how", "z", "which"}, {"all"}), "axis", 1);
  std::vector<float> identity(36);
  for (size_t i = 0; i < 6; ++i) identity[i * 7] = 1;
  generator.node("Gemm", {"all", generator.floats("w", {6, 6}, identity)}, {"sample"});
  OnnxBuilder discriminator;
  discriminator.input("sample", {6});
  for (const auto& [name, size] : {std::pair("logit", 1), {"a", 3}, {"b", 1}}) {
    discriminator.output(name, {size});
    const std::string weights = discriminator.floats(std::string("w_") + name, {6, size},
                                                     std::vector<float>(static_cast<size_t>(6 * size), 0.1F));
    discriminator.node("Gemm", {"sample", weights}, {name});
  }
  const figment::test::OnnxFile generator_file(generator.model);
  const figment::test::OnnxFile discriminator_file(discriminator.model);
  ConvertOptions options;
  options.objective = "infogan";
  options.networks = {{"generator", generator_file.path()}, {"discriminator", discriminator_file.path()}};
  options.objective_options["latent"]["codes"] = {{{"name", "category"}, {"categories", 3}},
                                                  {{"name", "style"}, {"size", 1}, {"prior", "uniform"}}};
  Runner runner(convert(options, {}).file, 1, FIG_KERNELS_BEST, true);
  const TensorMap y = runner.run("generate", {{"latent", {1, 2, 3, 4, 5, 6}}}, 1);
  CHECK(y.at("sample") == std::vector<float>{6, 1, 2, 3, 4, 5});
}

TEST_CASE("labels are given as integers or as floats, and checked") {
  OnnxBuilder model;
  model.input("label", {});
  model.output("y", {2});
  model.graph()->add_output()->set_name("place");
  make_integer(&model, 0);
  model.floats("table", {3, 2}, {1, 2, 6, 4, 5, 7});
  model.node("Gather", {"table", "label"}, {"y"});
  OnnxBuilder::attribute(model.node("ArgMax", {"y"}, {"place"}), "axis", 1);
  ModelDefinition definition;
  definition.name = "labels";
  definition.programs.push_back(import(model));
  optimize(&definition.programs[0]);
  Runner runner(write_model(definition), 2);
  fig_port_info port{};
  REQUIRE(fig_model_input(runner.model(), 0, 0, &port) == FIG_OK);
  CHECK(port.integers);
  CHECK(port.least == 0);
  CHECK(port.greatest == 2);
  REQUIRE(fig_model_output(runner.model(), 0, 1, &port) == FIG_OK);
  CHECK(port.integers);

  float y[6] = {};
  int64_t places[3] = {};
  fig_tensor outputs[] = {{"y", y, 6, FIG_F32}, {"place", places, 3, FIG_I64}};
  const float expected[] = {6, 4, 1, 2, 5, 7};
  int64_t wide[] = {1, 0, 2};
  int32_t narrow[] = {1, 0, 2};
  float real[] = {1, 0, 2};
  for (const auto& [data, type] : {std::pair<void*, fig_type>{wide, FIG_I64}, {narrow, FIG_I32}, {real, FIG_F32}}) {
    std::fill(std::begin(y), std::end(y), 0.0F);
    const fig_tensor label = {"label", data, 3, type};
    REQUIRE(fig_run(runner.session(), "run", 3, &label, 1, outputs, 2) == FIG_OK);
    CHECK(std::equal(std::begin(y), std::end(y), std::begin(expected)));
    CHECK((places[0] == 0 && places[1] == 1 && places[2] == 1));
  }

  const auto refused = [&](fig_tensor label, const char* message) {
    CHECK(fig_run(runner.session(), "run", 3, &label, 1, outputs, 2) == FIG_INVALID_ARGUMENT);
    CHECK_MESSAGE(has(fig_error_message(), message), fig_error_message());
  };
  wide[2] = 3;
  refused({"label", wide, 3, FIG_I64}, "\"label\" holds 3, and takes integers from 0 to 2");
  wide[2] = int64_t{1} << 40;
  refused({"label", wide, 3, FIG_I64}, "takes integers from 0 to 2");
  narrow[0] = -1;
  refused({"label", narrow, 3, FIG_I32}, "holds -1");
  real[1] = 0.5F;
  refused({"label", real, 3, FIG_F32}, "holds 0.5");
  refused({"label", real, 3, FIG_I8}, "of type 1");
  const fig_tensor label = {"label", narrow + 1, 1, FIG_I32};
  fig_tensor integers = {"y", places, 2, FIG_I64};
  CHECK(fig_run(runner.session(), "run", 1, &label, 1, &integers, 1) == FIG_INVALID_ARGUMENT);
  CHECK(has(fig_error_message(), "real numbers are needed"));
}

TEST_CASE("what needs a batch of a known size says so, and takes one") {
  OnnxBuilder joined;
  joined.input("x", {2});
  joined.output("y", {4});
  joined.node("Reshape", {"x", joined.integers("two", {2}, {-1, 4})}, {"y"});
  CHECK_MESSAGE(has(error_of(joined), "node y (Reshape"), error_of(joined));
  CHECK_MESSAGE(has(error_of(joined), "makes one sample of 2"), error_of(joined));
  fix_batch(&joined, 2);
  CHECK(run(import(joined), {{"x", {1, 2, 3, 4}}}, 1).at("y") == std::vector<float>{1, 2, 3, 4});

  OnnxBuilder against;
  against.input("x", {1});
  against.output("y", {1});
  against.node("Transpose", {"x"}, {"turned"});
  against.node("Sub", {"x", "turned"}, {"differences"});
  OnnxBuilder::attribute(against.node("ReduceSum", {"differences", against.integers("last", {1}, {1})}, {"y"}),
                         "keepdims", 1);
  CHECK_MESSAGE(has(error_of(against), "node differences (Sub"), error_of(against));
  CHECK_MESSAGE(has(error_of(against), "each sample of the batch against each other"), error_of(against));
  fix_batch(&against, 3);
  CHECK(run(import(against), {{"x", {1, 2, 4}}}, 1).at("y") == std::vector<float>{-4, -1, 5});
}

TEST_CASE("a parameter that a network returns does not keep its batch fixed") {
  OnnxBuilder model;
  model.input("x", {1});
  model.output("y", {1});
  fix_batch(&model, 1);
  model.graph()->add_output()->set_name("deviation");
  model.node("Neg", {"x"}, {"y"});
  model.node("Identity", {model.floats("sigma", {2}, {3, 4})}, {"deviation"});
  const TensorMap y = run(import(model, true), {{"x", {1, 2}}}, 2);
  CHECK(y.at("y") == std::vector<float>{-1, -2});
  CHECK(y.at("deviation") == std::vector<float>{3, 4});
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
