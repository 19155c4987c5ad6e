// The int8 form that a model that trains carries: what a session writes is what the converter makes of the same
// weights.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "convert.h"
#include "core/memory.h"
#include "format/model_view.h"
#include "io/files.h"
#include "onnx_builder.h"
#include "support.h"
#include "write/int8_form.h"
#include "write/runner.h"

using namespace figment::converter;

namespace {

// With options that leave no choice to the weights.
Converted with_form(const std::string& path, const std::set<std::string>& classes = {}) {
  ConvertOptions options;
  options.model = path;
  options.calibration_classes = classes;
  options.int8 = true;
  options.keep_training = true;
  options.psnr_goal_db = -100;
  options.snr_goal_db = -100;
  return convert(options, {});
}

std::vector<uint8_t> form_of(const std::vector<uint8_t>& file) {
  figment::Array<uint8_t> memory;
  REQUIRE(memory.allocate(file.size()));
  std::memcpy(memory.data(), file.data(), file.size());
  const auto view = figment::format::ModelView::open(memory.data(), file.size());
  REQUIRE(view.ok());
  const std::span<const uint8_t> model = view->requantization().model;
  return {model.begin(), model.end()};
}

// The file with other values in the place of its parameters.
std::vector<uint8_t> scrambled(const std::vector<uint8_t>& file, uint64_t seed) {
  Runner runner(file, 1, FIG_KERNELS_BEST, true);
  figment::test::Random random(seed);
  fig_parameter_info info{};
  for (uint32_t i = 0; fig_model_parameter(runner.model(), i, &info) == FIG_OK; ++i) {
    const std::string name = info.name;
    size_t elements = 1;
    for (uint32_t d = 0; d < info.shape.rank; ++d) elements *= info.shape.extents[d];
    std::vector<float> values(elements);
    if (name.find(".adam_") != std::string::npos ||
        fig_parameter_get(runner.session(), info.name, values.data(), elements) != FIG_OK)
      continue;
    const bool variance = name.find("running_var") != std::string::npos;
    for (float& value : values) value = variance ? 1.1F + random.real() : value + 0.4F * random.real();
    REQUIRE(fig_parameter_set(runner.session(), info.name, values.data(), elements) == FIG_OK);
  }
  const figment::io::TemporaryFolder folder;
  const std::string path = folder.file("model");
  REQUIRE(fig_session_export(runner.session(), path.c_str()) == FIG_OK);
  return figment::io::read_file(path);
}

// A session writes of other weights what the converter makes of them by itself.
void check_form(const std::string& path, const std::set<std::string>& classes = {}) {
  const Converted before = with_form(path, classes);
  const std::vector<uint8_t> changed = scrambled(before.file, 3);
  const std::vector<uint8_t> written = requantized(changed);
  CHECK(written != form_of(before.file));
  CHECK(written == requantized(changed, 1));
  const figment::io::TemporaryFolder folder;
  const std::string tuned = folder.file("changed.figment");
  figment::io::write_file(tuned, changed);
  CHECK(written == form_of(with_form(tuned, classes).file));
  // Without the training, it is the form.
  ConvertOptions options;
  options.model = tuned;
  options.int8 = true;
  const Converted plain = convert(options, {});
  CHECK(plain.file == form_of(with_form(tuned, classes).file));
  REQUIRE(!plain.report.notes.empty());
  CHECK(plain.report.notes.back().find("signal to noise") != std::string::npos);
}

// Two layers of the same weights, one of them without a bias, and larger pixels.
void write_tied_networks(figment::test::OnnxBuilder* generator, figment::test::OnnxBuilder* discriminator) {
  std::vector<float> weights(16);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = std::sin(static_cast<float>(i));
  generator->input("latent", {4});
  const std::string w = generator->floats("w", {4, 4}, weights);
  generator->node("Gemm", {"latent", w, generator->floats("b", {4}, {0.1F, 0.2F, 0.3F, -0.1F})}, {"first"});
  generator->node("Relu", {"first"}, {"hidden"});
  generator->node("MatMul", {"hidden", w}, {"second"});
  generator->node("Reshape", {"second", generator->integers("shape", {4}, {-1, 1, 2, 2})}, {"little"});
  figment::test::OnnxBuilder::attribute(
      generator->node("Resize", {"little", "", generator->floats("scales", {4}, {1, 1, 2, 2})}, {"large"}), "mode",
      "nearest");
  generator->node("Tanh", {"large"}, {"sample"});
  generator->output("sample", {1, 4, 4});
  discriminator->input("sample", {1, 4, 4});
  discriminator->node("Flatten", {"sample"}, {"flat"});
  discriminator->node("Gemm",
                      {"flat", discriminator->floats("v", {16, 1}, weights), discriminator->floats("c", {1}, {0.1F})},
                      {"logit"});
  discriminator->output("logit", {1});
}

}  // namespace

TEST_CASE("a session writes the int8 form that the converter makes of the same weights") {
  for (const char* name : {"tiny_gan", "tiny_dcgan", "tiny_cgan", "tiny_crgan", "tiny_vae", "tiny_infogan"}) {
    CAPTURE(std::string(name));
    const bool classes = std::string(name) == "tiny_gan" || std::string(name) == "tiny_cgan";
    check_form(figment::test::model_path(name), classes ? std::set<std::string>{"label"} : std::set<std::string>{});
  }
}

TEST_CASE("the int8 form of layers that share their weights has each one's bias, and index tables stay") {
  figment::test::OnnxBuilder generator;
  figment::test::OnnxBuilder discriminator;
  write_tied_networks(&generator, &discriminator);
  const figment::test::OnnxFile generator_file(generator.model);
  const figment::test::OnnxFile discriminator_file(discriminator.model);
  ConvertOptions options;
  options.objective = "gan";
  options.name = "tied";
  options.networks = {{"generator", generator_file.path()}, {"discriminator", discriminator_file.path()}};
  const figment::io::TemporaryFolder folder;
  const std::string path = folder.file("tied.figment");
  figment::io::write_file(path, convert(options, {}).file);
  check_form(path);
}

TEST_CASE("the int8 form of a normalization that no layer takes, whose factors have the shape of one sample") {
  const figment::io::TemporaryFolder folder;
  const std::string recipe = folder.file("normalized.json");
  std::ofstream(recipe)
      << R"({"name": "normalized", "objective": "gan", "latent": {"size": 4}, "sample": {"shape": [5]},
    "generator": {"layers": [{"type": "linear", "units": 6}, {"type": "leaky_relu", "slope": 0.2}, "batch_norm",
                             {"type": "linear", "units": 6}, "batch_norm", "tanh", {"type": "linear", "units": 5}]},
    "discriminator": {"layers": [{"type": "linear", "units": 1}]}})";
  ConvertOptions options;
  options.recipe = recipe;
  const std::string path = folder.file("normalized.figment");
  figment::io::write_file(path, convert(options, {}).file);
  check_form(path);
}

TEST_CASE("a form is stripped and planned with the model that carries it") {
  const figment::io::TemporaryFolder folder;
  const std::string path = folder.file("form.figment");
  ConvertOptions options;
  options.model = figment::test::model_path("tiny_dcgan");
  options.int8 = true;
  options.keep_training = true;
  options.strip = true;
  options.plan_batches = {8};
  const Converted at_once = convert(options, {});
  options.strip = false;
  options.plan_batches.clear();
  figment::io::write_file(path, convert(options, {}).file);
  options.model = path;
  options.int8 = false;
  options.strip = true;
  options.plan_batches = {8};
  const std::vector<uint8_t> later = convert(options, {}).file;
  CHECK(form_of(later) == form_of(at_once.file));
  CHECK(requantized(later) == requantized(at_once.file));
  // Its session needs no planner: what was planned is not bounded from below.
  fig_session_options one{};
  one.struct_size = sizeof one;
  one.kernels = FIG_KERNELS_PORTABLE;
  Runner runs(requantized(later), one);
  fig_memory_report report{};
  REQUIRE(fig_session_memory_used(runs.session(), &report) == FIG_OK);
  CHECK(report.arena > 0);
  CHECK(report.arena_lower_bound == 0);
}

TEST_CASE("an int8 form is refused where sessions have no samples of an input") {
  const auto message_of = [](const ConvertOptions& options) -> std::string {
    try {
      convert(options, {});
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  };
  ConvertOptions options;
  options.model = figment::test::model_path("tiny_cgan");
  options.int8 = true;
  options.keep_training = true;
  CHECK(message_of(options).find("--calibration-data label=classes") != std::string::npos);
  options.calibration_classes = {"label", "latent"};
  CHECK(message_of(options).find("latent=classes: sessions draw it") != std::string::npos);
  options.calibration_classes = {"label"};
  options.calibration_samples = 5462;
  CHECK(message_of(options).find("all but a quarter of them, and on 4096 at most") != std::string::npos);
}
