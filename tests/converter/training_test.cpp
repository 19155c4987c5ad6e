// Train steps against PyTorch's, step by step (tests/data/record_training.py), and their promises.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <tuple>

#include "convert.h"
#include "io/arrays.h"
#include "support.h"
#include "write/runner.h"

using namespace figment::converter;

namespace {

const std::filesystem::path kFolder = FIGMENT_TEST_SOURCE "/data/training";

ConvertOptions dense_gan() {
  ConvertOptions options;
  options.name = "dense_gan";
  options.objective = "gan";
  for (const char* role : {"generator", "discriminator"})
    options.networks[role] = (kFolder / "dense_gan" / (std::string(role) + ".onnx")).string();
  options.objective_options = {{"optimizer", {{"learning_rate", 2e-3}}}, {"loss", {{"label_smoothing", 0.1}}}};
  return options;
}

ConvertOptions dcgan() {
  ConvertOptions options = dense_gan();
  options.name = "dcgan";
  for (const char* role : {"generator", "discriminator"})
    options.networks[role] = (kFolder / "dcgan" / (std::string(role) + ".onnx")).string();
  options.objective_options = {{"optimizer", {{"kind", "sgd"}, {"learning_rate", 2e-2}, {"beta1", 0.8}}},
                               {"loss", {{"kind", "hinge"}}}};
  return options;
}

ConvertOptions conv_vae() {
  ConvertOptions options;
  options.name = "conv_vae";
  options.objective = "vae";
  for (const char* role : {"encoder", "decoder"})
    options.networks[role] = (kFolder / "conv_vae" / (std::string(role) + ".onnx")).string();
  options.objective_options = {{"optimizer", {{"learning_rate", 3e-3}, {"beta1", 0.9}, {"weight_decay", 0.01}}},
                               {"loss", {{"beta", 2}}}};
  return options;
}

// Like the dense one, with Adam at another rate.
ConvertOptions other_gan(const std::string& name, double learning_rate, double label_smoothing) {
  ConvertOptions options;
  options.name = name;
  options.objective = "gan";
  for (const char* role : {"generator", "discriminator"})
    options.networks[role] = (kFolder / name / (std::string(role) + ".onnx")).string();
  options.objective_options = {{"optimizer", {{"learning_rate", learning_rate}}},
                               {"loss", {{"label_smoothing", label_smoothing}}}};
  return options;
}

ConvertOptions info_gan(const std::string& name) {
  ConvertOptions options = other_gan(name, 1e-3, 0);
  options.objective = "infogan";
  options.objective_options["latent"]["codes"] = {{{"name", "category"}, {"categories", 3}},
                                                  {{"name", "style"}, {"size", 2}, {"weight", 0.5}}};
  return options;
}

// A tensor recorded for all steps, [steps, batch, ...], and one step's part of it.
struct Recorded {
  Recorded(const std::string& model, const std::string& tensor)
      : name(tensor), array(figment::io::read_npy((kFolder / model / (tensor + ".npy")).string())) {}

  size_t steps() const { return array.shape[0]; }
  size_t batch() const { return array.shape[1]; }
  fig_tensor step(size_t i) {
    const size_t size = array.values.size() / steps();
    return {name.c_str(), array.values.data() + i * size, size, FIG_F32};
  }

  std::string name;
  figment::io::Array array;
};

// The gradient that a first step saw, in the exporter's layout: from the optimizer's state after it.
std::vector<float> first_gradient(const ConvertOptions& options, Runner* runner, const std::string& name,
                                  size_t elements) {
  const bool adam = options.objective_options["optimizer"].value("kind", "adam") == "adam";
  std::vector<float> state(elements);
  REQUIRE_MESSAGE(fig_parameter_get(runner->session(), (name + (adam ? ".adam_m" : ".velocity")).c_str(), state.data(),
                                    elements) == FIG_OK,
                  fig_error_message());
  for (float& value : state)
    value /= adam ? static_cast<float>(1 - options.objective_options["optimizer"].value("beta1", 0.5)) : 1;
  return state;
}

// Returns how many parameters were compared.
size_t check_gradients(const ConvertOptions& options, Runner* runner) {
  size_t compared = 0;
  fig_parameter_info info{};
  for (uint32_t i = 0; fig_model_parameter(runner->model(), i, &info) == FIG_OK; ++i) {
    if (!info.trained) continue;
    const figment::io::Array expected =
        figment::io::read_npy((kFolder / options.name / (std::string(info.name) + ".gradient.npy")).string());
    const std::vector<float> actual = first_gradient(options, runner, info.name, expected.values.size());
    CHECK_MESSAGE(figment::test::relative_error(actual, expected.values) <= 1e-3, info.name);
    ++compared;
  }
  return compared;
}

void check_against_pytorch(const ConvertOptions& options, const std::string& latent, fig_kernels kernels) {
  INFO(options.name);
  const Converted converted = convert(options, {});
  Recorded latents(options.name, latent);
  Recorded images(options.name, "image");
  const figment::io::Array losses = figment::io::read_npy((kFolder / options.name / "losses.npy").string());
  Runner runner(converted.file, static_cast<uint32_t>(images.batch()), kernels, true);
  size_t compared = 0;
  for (size_t i = 0; i < images.steps(); ++i) {
    const fig_tensor image = images.step(i);
    const fig_tensor drawn = latents.step(i);
    fig_batch batch{sizeof(fig_batch), images.batch(), &image, 1, &drawn, 1};
    fig_metrics metrics;
    REQUIRE_MESSAGE(fig_train_step(runner.session(), &batch, &metrics) == FIG_OK, fig_error_message());
    CHECK(metrics.step == i + 1);
    CHECK(metrics.skipped == 0);
    REQUIRE(metrics.count == losses.shape[1]);
    for (uint32_t j = 0; j < metrics.count; ++j) {
      const float expected = losses.values[i * losses.shape[1] + j];
      CHECK_MESSAGE(std::fabs(metrics.values[j].value - expected) <= 1e-3 * std::max(0.1F, std::fabs(expected)),
                    "step ", i, " ", metrics.values[j].name, " ", metrics.values[j].value, " not ", expected);
    }
    if (i == 0) compared = check_gradients(options, &runner);
  }
  CHECK(compared >= 8);
  compared = 0;
  fig_parameter_info parameter{};
  for (uint32_t i = 0; fig_model_parameter(runner.model(), i, &parameter) == FIG_OK; ++i) {
    if (!parameter.trained) continue;
    const figment::io::Array expected =
        figment::io::read_npy((kFolder / options.name / (std::string(parameter.name) + ".npy")).string());
    std::vector<float> actual(expected.values.size());
    REQUIRE_MESSAGE(fig_parameter_get(runner.session(), parameter.name, actual.data(), actual.size()) == FIG_OK,
                    fig_error_message());
    CHECK_MESSAGE(figment::test::relative_error(actual, expected.values) <= 1e-3, parameter.name);
    ++compared;
  }
  CHECK(compared >= 8);
}

}  // namespace

TEST_CASE("twenty train steps of seven models give PyTorch's losses, gradients and parameters") {
  for (fig_kernels kernels : {FIG_KERNELS_BEST, FIG_KERNELS_PORTABLE}) {
    check_against_pytorch(dense_gan(), "latent", kernels);
    check_against_pytorch(dcgan(), "latent", kernels);
    check_against_pytorch(conv_vae(), "noise", kernels);
    check_against_pytorch(other_gan("crgan", 2e-3, 0), "latent", kernels);
    check_against_pytorch(other_gan("dgan", 1e-3, 0.1), "latent", kernels);
    check_against_pytorch(info_gan("infogan"), "latent", kernels);
    check_against_pytorch(info_gan("deep_infogan"), "latent", kernels);
  }
}

TEST_CASE("a discriminator that ends in a sigmoid keeps it where it is run") {
  Runner runner(convert(dense_gan(), {}).file, 2, FIG_KERNELS_BEST, true);
  fig_program_info info{};
  uint32_t index = 0;
  while (fig_model_program(runner.model(), index, &info) == FIG_OK && std::string(info.name) != "discriminate") ++index;
  fig_port_info input{};
  REQUIRE(fig_model_input(runner.model(), index, 0, &input) == FIG_OK);
  const std::vector<float> far(2 * input.shape.extents[1], 1e4F);
  for (const auto& [name, values] : runner.run("discriminate", {{input.name, far}}, 2)) {
    for (float value : values) CHECK((value >= 0 && value <= 1));
  }
}

TEST_CASE("the same seed gives the same run, and another seed another") {
  const Converted converted = convert(dense_gan(), {});
  Recorded images("dense_gan", "image");
  const auto run = [&](uint64_t seed) {
    Runner runner(converted.file, static_cast<uint32_t>(images.batch()), FIG_KERNELS_BEST, true, seed);
    fig_metrics metrics;
    for (size_t i = 0; i < 5; ++i) {
      const fig_tensor image = images.step(i);
      const fig_batch batch{sizeof(fig_batch), images.batch(), &image, 1, nullptr, 0};
      REQUIRE_MESSAGE(fig_train_step(runner.session(), &batch, &metrics) == FIG_OK, fig_error_message());
    }
    return std::pair(metrics.values[0].value, metrics.values[1].value);
  };
  CHECK(run(3) == run(3));
  CHECK(run(3) != run(4));
}

TEST_CASE("SGD without momentum keeps nothing of a parameter, and steps as with next to none") {
  Recorded images("dcgan", "image");
  const auto trained = [&](double momentum) {
    ConvertOptions options = dcgan();
    options.objective_options["optimizer"]["beta1"] = momentum;
    options.objective_options["optimizer"]["weight_decay"] = 0.01;
    Runner runner(convert(options, {}).file, static_cast<uint32_t>(images.batch()), FIG_KERNELS_PORTABLE, true);
    fig_metrics metrics;
    for (size_t i = 0; i < 3; ++i) {
      const fig_tensor image = images.step(i);
      const fig_batch batch{sizeof(fig_batch), images.batch(), &image, 1, nullptr, 0};
      REQUIRE_MESSAGE(fig_train_step(runner.session(), &batch, &metrics) == FIG_OK, fig_error_message());
    }
    std::map<std::string, std::vector<float>> values;
    size_t states = 0;
    fig_parameter_info info{};
    for (uint32_t i = 0; fig_model_parameter(runner.model(), i, &info) == FIG_OK; ++i) {
      states += std::string(info.name).ends_with(".velocity") ? 1 : 0;
      if (!info.trained) continue;
      size_t elements = 1;
      for (uint32_t d = 0; d < info.shape.rank; ++d) elements *= info.shape.extents[d];
      values[info.name].resize(elements);
      REQUIRE(fig_parameter_get(runner.session(), info.name, values[info.name].data(), elements) == FIG_OK);
    }
    double rate = 0;
    const bool set = fig_session_get_scalar(runner.session(), "g.beta1", &rate) == FIG_OK;
    return std::tuple(values, states, set);
  };
  const auto [without, no_states, no_scalar] = trained(0);
  const auto [with, states, scalar] = trained(1e-30);
  CHECK(without == with);
  CHECK(no_states == 0);
  CHECK(states >= 8);
  CHECK(!no_scalar);
  CHECK(scalar);
}

TEST_CASE("a sub-step that meets a NaN changes nothing and says so") {
  const Converted converted = convert(dcgan(), {});
  Recorded images("dcgan", "image");
  Runner runner(converted.file, static_cast<uint32_t>(images.batch()), FIG_KERNELS_BEST, true);
  const auto parameters = [&] {
    std::map<std::string, std::vector<float>> result;
    fig_parameter_info info{};
    for (uint32_t i = 0; fig_model_parameter(runner.model(), i, &info) == FIG_OK; ++i) {
      size_t elements = 1;
      for (uint32_t d = 0; d < info.shape.rank; ++d) elements *= info.shape.extents[d];
      result[info.name].resize(elements);
      REQUIRE(fig_parameter_get(runner.session(), info.name, result[info.name].data(), elements) == FIG_OK);
    }
    return result;
  };
  const auto before = parameters();
  fig_tensor image = images.step(0);
  static_cast<float*>(image.data)[3] = std::numeric_limits<float>::quiet_NaN();
  const fig_batch batch{sizeof(fig_batch), images.batch(), &image, 1, nullptr, 0};
  fig_metrics metrics;
  REQUIRE(fig_train_step(runner.session(), &batch, &metrics) == FIG_OK);
  CHECK(metrics.skipped == 1);  // the generator's step does not see the real samples
  CHECK(std::isnan(metrics.values[0].value));
  const auto after = parameters();
  for (const auto& [name, values] : before) {
    const bool discriminator = name.rfind("discriminator.", 0) == 0;
    CHECK_MESSAGE((after.at(name) == values) == discriminator, name);
  }
  double steps = 0;
  REQUIRE(fig_session_get_scalar(runner.session(), "d.steps", &steps) == FIG_OK);
  CHECK(steps == 0);
  REQUIRE(fig_session_get_scalar(runner.session(), "g.steps", &steps) == FIG_OK);
  CHECK(steps == 1);
}

TEST_CASE("training is refused with a reason where it cannot be") {
  const Converted converted = convert(dense_gan(), {});
  Recorded images("dense_gan", "image");
  const auto batch_size = static_cast<uint32_t>(images.batch());
  const fig_tensor image = images.step(0);
  fig_batch batch{sizeof(fig_batch), batch_size, &image, 1, nullptr, 0};
  fig_metrics metrics;
  const auto mentions = [](const char* part) {
    return std::string(fig_error_message()).find(part) != std::string::npos;
  };
  {
    Runner runner(converted.file, batch_size);
    CHECK(fig_train_step(runner.session(), &batch, &metrics) == FIG_INVALID_ARGUMENT);
    CHECK(mentions("training"));
  }
  Runner runner(converted.file, batch_size, FIG_KERNELS_BEST, true);
  batch.count = 2;
  CHECK(fig_train_step(runner.session(), &batch, &metrics) == FIG_INVALID_ARGUMENT);
  batch.count = batch_size;
  batch.input_count = 0;
  CHECK(fig_train_step(runner.session(), &batch, &metrics) == FIG_INVALID_ARGUMENT);
  CHECK(mentions("image"));
  double value = 0;
  CHECK(fig_session_get_scalar(runner.session(), "nothing", &value) == FIG_NOT_FOUND);
  CHECK(fig_session_set_scalar(runner.session(), "g.learning_rate", NAN) == FIG_INVALID_ARGUMENT);
  CHECK(fig_session_set_scalar(runner.session(), "g.learning_rate", 0.25) == FIG_OK);
  CHECK(fig_session_get_scalar(runner.session(), "g.learning_rate", &value) == FIG_OK);
  CHECK(value == 0.25);
  std::vector<float> weight(16 * 5, NAN);
  CHECK(fig_parameter_set(runner.session(), "generator.0.weight", weight.data(), weight.size()) ==
        FIG_INVALID_ARGUMENT);
  CHECK(fig_parameter_set(runner.session(), "generator.0.weight", weight.data(), 3) == FIG_INVALID_ARGUMENT);
  CHECK(mentions("80"));
  std::fill(weight.begin(), weight.end(), 0.5F);
  CHECK(fig_parameter_set(runner.session(), "generator.0.weight", weight.data(), weight.size()) == FIG_OK);
  std::vector<float> read(weight.size());
  CHECK(fig_parameter_get(runner.session(), "generator.0.weight", read.data(), read.size()) == FIG_OK);
  CHECK(read == weight);
  CHECK(fig_parameter_get(runner.session(), "nothing", read.data(), read.size()) == FIG_NOT_FOUND);
}

TEST_CASE("networks that do not fit an objective are refused by name") {
  const auto error_of = [](const ConvertOptions& options) {
    try {
      convert(options, {});
      return std::string();
    } catch (const Error& error) {
      return std::string(error.what());
    }
  };
  ConvertOptions options = dense_gan();
  options.networks["discriminator"] = (kFolder / "dcgan" / "discriminator.onnx").string();
  CHECK(error_of(options).find("generator to discriminator") != std::string::npos);
  options.networks.erase("discriminator");
  CHECK(error_of(options).find("--discriminator") != std::string::npos);
  options = conv_vae();
  options.networks["encoder"] = options.networks["decoder"];
  CHECK(error_of(options).find("two outputs") != std::string::npos);
}
