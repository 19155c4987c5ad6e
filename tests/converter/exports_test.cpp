// What exporters write beside ops: data outside the file, integers, loops, what is drawn.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "imported.h"
#include "support.h"

namespace fs = std::filesystem;
using namespace figment::converter;
using namespace figment::test;

namespace {

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

TEST_CASE("nodes may stand in any order, but for cycles") {
  OnnxBuilder model;
  model.input("x", {2});
  model.output("y", {2});
  model.node("Neg", {"sum"}, {"y"});
  model.node("Add", {"x", "x"}, {"sum"});
  CHECK(run(import(model), {{"x", {1, 2}}}, 1).at("y") == std::vector<float>{-2, -4});
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

TEST_CASE("a model has as many parameters as its file, whatever they became") {
  OnnxBuilder model;
  model.input("label", {3});
  model.output("y", {3, 1, 2});
  make_integer(&model, 0);
  const auto zeros = [&](const std::string& name, const std::vector<int64_t>& shape) {
    size_t size = 1;
    for (int64_t extent : shape) size *= static_cast<size_t>(extent);
    return model.floats(name, shape, std::vector<float>(size));
  };
  model.node("Gather", {zeros("table", {5, 4}), "label"}, {"rows"});
  OnnxBuilder::attribute(model.node("Transpose", {"rows"}, {"steps"}), "perm", std::vector<int64_t>{1, 0, 2});
  onnx::NodeProto* lstm =
      model.node("LSTM", {"steps", zeros("w", {1, 8, 4}), zeros("r", {1, 8, 2}), zeros("b", {1, 16})}, {"states"});
  OnnxBuilder::attribute(lstm, "hidden_size", 2);
  OnnxBuilder::attribute(model.node("Transpose", {"states"}, {"y"}), "perm", std::vector<int64_t>{2, 0, 1, 3});
  const OnnxFile file(model.model);
  ConvertOptions options;
  options.sources = {{"run", file.path()}};
  AlignedBytes bytes(convert(options, {}).file);
  fig_model* opened = nullptr;
  REQUIRE(fig_model_open_memory(bytes.data(), bytes.size(), &opened) == FIG_OK);
  fig_model_info info{};
  REQUIRE(fig_model_get_info(opened, &info) == FIG_OK);
  CHECK(info.parameter_elements == 20 + 32 + 16 + 16);
  fig_model_close(opened);
}
