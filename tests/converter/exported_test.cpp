// Networks as exporters write them (data/exported): parameters stored once, shared, folded, dropped, or named alike.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "convert.h"
#include "onnx_builder.h"
#include "support.h"
#include "write/runner.h"

using namespace figment::converter;
using figment::test::OnnxBuilder;
using figment::test::OnnxFile;
namespace fs = std::filesystem;

namespace {

const fs::path kFolder = FIGMENT_TEST_SOURCE "/data/exported";
constexpr uint32_t kBatch = 6;

ConvertOptions gan(const fs::path& generator, const fs::path& discriminator) {
  ConvertOptions options;
  options.name = "gan";
  options.objective = "gan";
  options.networks["generator"] = generator.string();
  options.networks["discriminator"] = discriminator.string();
  options.objective_options = {{"optimizer", {{"kind", "sgd"}, {"learning_rate", 0.5}, {"beta1", 0}}}};
  return options;
}

std::string error_of(const ConvertOptions& options) {
  try {
    convert(options, {});
    return "";
  } catch (const std::exception& error) {
    return error.what();
  }
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

using Parameters = std::map<std::string, std::vector<float>>;

Parameters parameters_of(Runner& runner) {
  Parameters result;
  fig_parameter_info info{};
  for (uint32_t i = 0; fig_model_parameter(runner.model(), i, &info) == FIG_OK; ++i) {
    size_t elements = 1;
    for (uint32_t d = 0; d < info.shape.rank; ++d) elements *= info.shape.extents[d];
    std::vector<float> values(elements);
    if (fig_parameter_get(runner.session(), info.name, values.data(), elements) == FIG_OK) result[info.name] = values;
  }
  return result;
}

// The parameters before and after one step on made-up data, in the session's seed.
struct Step {
  explicit Step(const Converted& converted, const char* sample, size_t sample_elements)
      : runner(converted.file, kBatch, FIG_KERNELS_BEST, true), before(parameters_of(runner)) {
    figment::test::Random random(3);
    std::vector<float> values(kBatch * sample_elements);
    for (float& value : values) value = random.real();
    const fig_tensor tensor = {sample, values.data(), values.size(), FIG_F32};
    const fig_batch batch{sizeof(fig_batch), kBatch, &tensor, 1, nullptr, 0};
    fig_metrics metrics{};
    REQUIRE_MESSAGE(fig_train_step(runner.session(), &batch, &metrics) == FIG_OK, fig_error_message());
    CHECK(metrics.skipped == 0);
    after = parameters_of(runner);
  }
  Runner runner;
  Parameters before;
  Parameters after;
};

onnx::ModelProto read(const fs::path& path) {
  const std::vector<uint8_t> bytes = figment::test::read_bytes(path);
  onnx::ModelProto model;
  REQUIRE(model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  return model;
}

// Each Identity of an initializer as an initializer of its own, as the network has it.
onnx::ModelProto untied(onnx::ModelProto model) {
  onnx::GraphProto* graph = model.mutable_graph();
  for (int i = graph->node_size(); i > 0; --i) {
    const onnx::NodeProto node = graph->node(i - 1);
    if (node.op_type() != "Identity") continue;
    for (const onnx::TensorProto& tensor : graph->initializer()) {
      if (tensor.name() != node.input(0)) continue;
      onnx::TensorProto copy = tensor;
      copy.set_name(node.output(0));
      *graph->add_initializer() = copy;
      graph->mutable_node()->DeleteSubrange(i - 1, 1);
      break;
    }
  }
  return model;
}

}  // namespace

TEST_CASE("parameters that the exporter stored once, since they were equal, train apart") {
  for (const char* name : {"g_linear", "g_layernorm", "g_batchnorm"}) {
    INFO(std::string(name));
    const fs::path path = kFolder / (std::string(name) + ".onnx");
    const OnnxFile apart(untied(read(path)));
    const Step tied(convert(gan(path, kFolder / "d.onnx"), {}), "row", 4);
    const Step expected(convert(gan(apart.path(), kFolder / "d.onnx"), {}), "row", 4);
    REQUIRE(tied.after.size() == expected.after.size());
    for (const auto& [parameter, values] : expected.after) {
      REQUIRE_MESSAGE(tied.after.contains(parameter), parameter);
      CHECK_MESSAGE(tied.after.at(parameter) == values, parameter);
    }
  }
  const Step step(convert(gan(kFolder / "g_linear.onnx", kFolder / "d.onnx"), {}), "row", 4);
  CHECK(step.before.at("generator.0.bias") == step.before.at("generator.2.bias"));
  CHECK(step.after.at("generator.0.bias") != step.after.at("generator.2.bias"));
}

TEST_CASE("batch normalizations that share scales and shifts keep statistics of their own") {
  OnnxBuilder model;
  model.input("z", {4});
  model.output("row", {4});
  model.floats("scale", {4}, {1, 1, 1, 1});
  model.floats("shift", {4}, {0, 0, 0, 0});
  for (const char* layer : {"a", "b"}) {
    model.floats(std::string(layer) + ".running_mean", {4}, {0, 0, 0, 0});
    model.floats(std::string(layer) + ".running_var", {4}, {1, 1, 1, 1});
  }
  model.floats("weight", {4, 4}, {3, 1, 0, 0, 0, 3, 1, 0, 0, 0, 3, 1, 1, 0, 0, 3});
  model.floats("bias", {4}, {5, 5, 5, 5});
  model.node("BatchNormalization", {"z", "scale", "shift", "a.running_mean", "a.running_var"}, {"first"});
  model.node("Gemm", {"first", "weight", "bias"}, {"hidden"});
  model.node("BatchNormalization", {"hidden", "scale", "shift", "b.running_mean", "b.running_var"}, {"row"});
  const OnnxFile generator(model.model);
  const Step step(convert(gan(generator.path(), kFolder / "d.onnx"), {}), "row", 4);
  REQUIRE(step.after.contains("generator.a.running_mean"));
  REQUIRE(step.after.contains("generator.b.running_mean"));
  for (size_t i = 0; i < 4; ++i) {
    CHECK(std::fabs(step.after.at("generator.a.running_mean")[i]) < 0.3F);
    CHECK(step.after.at("generator.b.running_mean")[i] > 0.3F);  // a tenth of the way to 5, or twice that
  }
}

TEST_CASE("what the exporter or the converter makes up is no parameter, and parameters keep their names") {
  // As PyTorch exports BatchNorm1d(4, affine=False, momentum=0.3), cumsum, PReLU() and a scale that is cast.
  // Ones and zeros in place of its scales and shifts: spread, or in `vectors`, as the exporter before does.
  const auto generator = [](float momentum, bool vectors = false) {
    OnnxBuilder model;
    model.input("z", {4});
    model.output("row", {4});
    model.floats("norm.running_mean", {4}, {0, 0, 0, 0});
    model.floats("norm.running_var", {4}, {1, 1, 1, 1});
    model.floats("act.weight", {1}, {0.25F});
    model.floats("ln.weight", {4}, {1, 2, 3, 4});
    model.floats("weight", {4, 4}, {3, 1, 0, 0, 0, 3, 1, 0, 0, 0, 3, 1, 1, 0, 0, 3});
    model.floats("bias", {4}, {5, 5, 5, 5});
    model.integers("four", {1}, {4});
    model.integers("axis", {}, {1});
    for (const auto& [name, value] : {std::pair{"one", 1.0F}, {"zero", 0.0F}})
      OnnxBuilder::real(model.node("Constant", {}, {name}), "value_float", value);
    for (const auto& [name, value] : {std::pair{"one", 1.0F}, {"zero", 0.0F}}) {
      if (vectors)
        OnnxBuilder::tensor(model.node("Constant", {}, {name + std::string("s")}), std::vector<float>(4, value));
      else
        model.node("Expand", {name, "four"}, {name + std::string("s")});
    }
    onnx::NodeProto* norm =
        model.node("BatchNormalization", {"z", "ones", "zeros", "norm.running_mean", "norm.running_var"}, {"normal"});
    OnnxBuilder::real(norm, "momentum", momentum);
    model.node("CumSum", {"normal", "axis"}, {"summed"});
    model.node("PRelu", {"summed", "act.weight"}, {"active"});
    model.node("CastLike", {"ln.weight", "active"}, {"cast"});
    model.node("Mul", {"active", "cast"}, {"scaled"});
    model.node("Gemm", {"scaled", "weight", "bias"}, {"row"});
    return model.model;
  };
  const OnnxFile slow(generator(0.9F));
  const OnnxFile fast(generator(0.7F));
  const Step tenth(convert(gan(slow.path(), kFolder / "d.onnx"), {}), "row", 4);
  const Step thirds(convert(gan(fast.path(), kFolder / "d.onnx"), {}), "row", 4);
  const OnnxFile before(generator(0.9F, true));
  const Step by_vectors(convert(gan(before.path(), kFolder / "d.onnx"), {}), "row", 4);
  for (const Step* step : {&tenth, &by_vectors}) {
    std::string trained;
    for (const auto& [name, values] : step->after) {
      if (name.starts_with("generator.") && !name.ends_with(".velocity"))
        trained += name.substr(std::strlen("generator.")) + " ";
    }
    CHECK(trained == "act.weight bias ln.weight norm.running_mean norm.running_var weight ");
  }
  CHECK(tenth.after.at("generator.act.weight") != tenth.before.at("generator.act.weight"));
  CHECK(tenth.after.at("generator.ln.weight") != tenth.before.at("generator.ln.weight"));
  // From zeros, so much of the batch's mean.
  for (size_t i = 0; i < 4; ++i) {
    const float mean = tenth.after.at("generator.norm.running_mean")[i];
    CHECK(mean != 0);
    CHECK(thirds.after.at("generator.norm.running_mean")[i] == doctest::Approx(3 * mean).epsilon(1e-5));
  }
  ConvertOptions given = gan(fast.path(), kFolder / "d.onnx");
  given.objective_options["batch_norm_momentum"] = 0.1;
  const Step overridden(convert(given, {}), "row", 4);
  CHECK(overridden.after.at("generator.norm.running_mean") == tenth.after.at("generator.norm.running_mean"));
}

TEST_CASE("a layer whose weights are computed takes flattened images, and spectral_norm is refused with what to do") {
  const auto ramp = [](size_t count) {
    std::vector<float> values(count);
    for (size_t i = 0; i < count; ++i) values[i] = 0.1F * static_cast<float>(i % 7) - 0.3F;
    return values;
  };
  const auto discriminator = [&](const char* weight, const char* vector) {
    OnnxBuilder model;
    model.input("image", {3, 4, 4});
    model.output("score", {1});
    model.floats("conv.weight", {2, 3, 3, 3}, ramp(54));
    model.floats(weight, {1, 8}, ramp(8));
    model.floats(vector, {8, 1}, ramp(8));
    onnx::NodeProto* conv = model.node("Conv", {"image", "conv.weight"}, {"hidden"});
    OnnxBuilder::attribute(conv, "strides", std::vector<int64_t>{1, 1});
    model.node("Flatten", {"hidden"}, {"flat"});
    model.node("MatMul", {weight, vector}, {"norm"});
    model.node("Div", {weight, "norm"}, {"normalized"});
    onnx::NodeProto* gemm = model.node("Gemm", {"flat", "normalized"}, {"score"});
    OnnxBuilder::attribute(gemm, "transB", int64_t{1});
    return model.model;
  };
  OnnxBuilder made;
  made.input("z", {4});
  made.output("image", {3, 4, 4});
  made.floats("weight", {4, 48}, ramp(192));
  made.integers("shape", {4}, {0, 3, 4, 4});
  made.node("MatMul", {"z", "weight"}, {"flat"});
  made.node("Reshape", {"flat", "shape"}, {"image"});
  const OnnxFile generator(made.model);
  const OnnxFile plain(discriminator("linear.parametrizations.weight.original", "other.vector"));
  CHECK(!convert(gan(generator.path(), plain.path()), {}).file.empty());
  for (const auto& [weight, vector] :
       {std::pair{"linear.parametrizations.weight.original", "linear.parametrizations.weight.0._v"},
        {"linear.weight_orig", "linear.weight_u"}}) {
    const OnnxFile spectral(discriminator(weight, vector));
    const std::string message = error_of(gan(generator.path(), spectral.path()));
    CHECK(has(message, "is of PyTorch's spectral_norm"));
    CHECK(has(message, "--spectral-norm"));
  }
}

TEST_CASE("a weight that two layers read trains as one, on the sum of their gradients") {
  const onnx::ModelProto original = read(kFolder / "shared_d.onnx");
  onnx::ModelProto model = original;
  onnx::GraphProto* graph = model.mutable_graph();
  for (const char* shared : {"w", "b"}) {
    for (const onnx::TensorProto& tensor : original.graph().initializer()) {
      if (tensor.name() != shared) continue;
      onnx::TensorProto copy = tensor;
      copy.set_name(std::string(shared) + ".second");
      *graph->add_initializer() = copy;
    }
  }
  onnx::NodeProto* second = graph->mutable_node(2);
  second->set_input(1, "w.second");
  second->set_input(2, "b.second");
  const OnnxFile apart(model);
  const Step shared(convert(gan(kFolder / "shared_g.onnx", kFolder / "shared_d.onnx"), {}), "x", 6);
  const Step two(convert(gan(kFolder / "shared_g.onnx", apart.path()), {}), "x", 6);
  for (const char* parameter : {"w", "b"}) {
    const std::string name = std::string("discriminator.") + parameter;
    std::vector<float> changes;
    std::vector<float> sums;
    for (size_t i = 0; i < shared.before.at(name).size(); ++i) {
      changes.push_back(shared.after.at(name)[i] - shared.before.at(name)[i]);
      sums.push_back(two.after.at(name)[i] - two.before.at(name)[i] + two.after.at(name + ".second")[i] -
                     two.before.at(name + ".second")[i]);
    }
    CHECK(figment::test::relative_error(changes, sums) < 1e-4);
    CHECK(shared.after.at(name) != two.after.at(name));
  }
}

TEST_CASE("parameters keep the exporter's values and shapes through any change of layout") {
  const std::pair<const char*, const char*> pairs[] = {
      {"g_mm_view", "d_img"},   {"g_conv_scale_shift", "d_img"},    {"g_batchnorm", "d"},
      {"script_g", "script_d"}, {"graphs_kept_g", "graphs_kept_d"}, {"one_name_g", "one_name_d"}};
  for (const auto& [generator, discriminator] : pairs) {
    INFO(std::string(generator));
    const fs::path path = kFolder / (std::string(generator) + ".onnx");
    const Converted converted = convert(gan(path, kFolder / (std::string(discriminator) + ".onnx")), {});
    Runner runner(converted.file, 1, FIG_KERNELS_BEST, true);
    const Parameters parameters = parameters_of(runner);
    size_t found = 0;
    const onnx::ModelProto model = read(path);
    for (const onnx::TensorProto& tensor : model.graph().initializer()) {
      const auto entry = parameters.find("generator." + tensor.name());
      if (entry == parameters.end()) continue;
      ++found;
      REQUIRE(tensor.raw_data().size() == entry->second.size() * sizeof(float));
      CHECK_MESSAGE(std::memcmp(tensor.raw_data().data(), entry->second.data(), tensor.raw_data().size()) == 0,
                    tensor.name());
      const auto trained = std::find_if(converted.report.trained.begin(), converted.report.trained.end(),
                                        [&](const TrainedReport& report) { return report.name == entry->first; });
      if (trained == converted.report.trained.end()) continue;
      CHECK(std::equal(trained->shape.begin(), trained->shape.end(), tensor.dims().begin(), tensor.dims().end()));
    }
    CHECK(found >= 2);
  }
}

TEST_CASE("the report lists what trains, and what the exporter folded or dropped") {
  const auto report_of = [](const std::string& kind) {
    return to_text(convert(gan(kFolder / (kind + "_g.onnx"), kFolder / (kind + "_d.onnx")), {}).report);
  };
  const std::string script = report_of("script");
  CHECK(has(script, "discriminator.onnx::Conv_24  [4, 1, 3, 3]"));
  CHECK(has(script, "TrainingMode.PRESERVE"));
  const std::string graphs = report_of("graphs");
  CHECK(has(graphs, "batch normalizations are folded into 0.weight, 3.weight"));
  CHECK(has(graphs, "no bias comes with 0.weight, 3.weight, 6.weight"));
  CHECK(has(graphs, "optimize=False"));
  const std::string kept = report_of("graphs_kept");
  CHECK(!has(kept, "folded into 0.weight"));
  CHECK(has(kept, "discriminator.4.bias"));
  CHECK(has(kept, "18 parameters of 966 values train"));
}

TEST_CASE("a generator and a discriminator may call their inputs alike") {
  const Converted converted = convert(gan(kFolder / "one_name_g.onnx", kFolder / "one_name_d.onnx"), {});
  CHECK(has(to_text(converted.report), "its input input has the latent's name"));
  const Step step(converted, "output", size_t{3} * 8 * 8);
  for (const auto& [name, values] : step.after) CHECK_MESSAGE(values != step.before.at(name), name);
  // The discriminator by itself keeps its name.
  Step fresh(converted, "output", size_t{3} * 8 * 8);
  const auto outputs = fresh.runner.run("discriminate", {{"input", std::vector<float>(192, 0.5F)}}, 1);
  CHECK(outputs.at("output").size() == 1);
}

TEST_CASE(
    "a batch that the exporter has fixed is opened; kept, it is refused for training with the call that opens it") {
  ConvertOptions options = gan(kFolder / "fixed_g.onnx", kFolder / "fixed_d.onnx");
  CHECK(has(to_text(convert(options, {}).report), "generator: the batch, which the exporter has fixed at"));
  options.fixed_batch = true;
  const std::string error = error_of(options);
  CHECK_MESSAGE(has(error, "dynamic_axes={'z': {0: 'batch'}}"), error);
}

TEST_CASE("a file that is index tables for the most part is read again") {
  OnnxBuilder model;
  model.input("x", {1, 1, 255});
  model.output("y", {1, 1, 255});
  onnx::NodeProto* resize = model.node("Resize", {"x", "", model.floats("scales", {4}, {1, 1, 1, 256})}, {"large"});
  OnnxBuilder::attribute(resize, "coordinate_transformation_mode", "asymmetric");
  OnnxBuilder::attribute(resize, "nearest_mode", "floor");
  OnnxBuilder::attribute(model.node("ReduceMean", {"large"}, {"y"}), "axes", std::vector<int64_t>{3});
  const OnnxFile file(model.model);
  ConvertOptions options;
  options.sources = {{"", file.path()}};
  CHECK(error_of(options) == "");
}

TEST_CASE("small files whose constants take long to compute are refused by node") {
  OnnxBuilder model;
  model.input("x", {1, 1, 1});
  model.output("y", {1, 1, 1});
  model.node("ConstantOfShape", {model.integers("shape", {4}, {1, 1, 3000, 3000})}, {"large"});
  OnnxBuilder::attribute(model.node("AveragePool", {"large"}, {"pool"}), "kernel_shape",
                         std::vector<int64_t>{1500, 1500});
  model.node("ReduceMean", {"pool"}, {"mean"});
  model.node("Add", {"x", "mean"}, {"y"});
  const OnnxFile file(model.model);
  ConvertOptions options;
  options.sources = {{"", file.path()}};
  const std::string error = error_of(options);
  CHECK_MESSAGE(has(error, "node pool (average_pool2d)"), error);
  CHECK_MESSAGE(has(error, "operations"), error);
}

TEST_CASE("constants that are squared again and again are followed once") {
  OnnxBuilder model;
  model.input("x", {2});
  model.output("y", {2});
  model.node("Exp", {model.floats("c", {2, 2}, {-1, 0, -2, 0})}, {"t0"});
  std::string last = "t0";
  for (int i = 1; i < 200; ++i) {
    const std::string next = "t" + std::to_string(i);
    model.node("Mul", {last, last}, {next});
    last = next;
  }
  model.node("MatMul", {"x", last}, {"y"});
  const OnnxFile file(model.model);
  ConvertOptions options;
  options.sources = {{"run", file.path()}};
  Runner runner(convert(options, {}).file, 1);
  CHECK(runner.run("run", {{"x", {3, 5}}}, 1).at("y") == std::vector<float>{0, 8});
}

TEST_CASE("small files that make much of constants are refused by node and size") {
  for (const auto& [name, size] : {std::pair("expand", "32.0 GB"), {"concat", " MB"}, {"pad", "24.0 GB"}}) {
    ConvertOptions options;
    options.sources = {{"", FIGMENT_TEST_SOURCE "/data/hostile/" + std::string(name) + ".onnx"}};
    const std::string error = error_of(options);
    CHECK_MESSAGE(has(error, size), error);
    CHECK_MESSAGE(has(error, std::string("node c")), error);
    CHECK_MESSAGE(has(error, "--allow-large"), error);
  }
}
