// Whole models: shipped ones against ONNX Runtime's recorded outputs (tests/data/record_references.py), and the usual
// architectures against PyTorch's (tests/data/record_architectures.py).
#include <doctest/doctest.h>

#include <filesystem>

#include "convert.h"
#include "io/arrays.h"
#include "support.h"
#include "write/runner.h"

using namespace figment::converter;

TEST_CASE("shipped models compute what ONNX Runtime computes") {
  struct Model {
    const char* name;
    const char* path;
    const char* input;
    std::vector<const char*> outputs;
  };
  const Model models[] = {{"dgan", "dgan/generator", "latent", {"image"}},
                          {"dcgan", "dcgan/generator", "latent", {"image"}},
                          {"conv_vae", "conv_vae/decoder", "latent", {"image"}},
                          {"conv_vae_encoder", "conv_vae/encoder", "image", {"mean", "log_variance"}}};
  for (const Model& model : models) {
    ConvertOptions options;
    options.sources = {{"run", std::string(FIGMENT_MODELS) + "/" + model.path + ".onnx"}};
    options.name = model.name;
    const Converted converted = convert(options, {});
    const std::string prefix = std::string(FIGMENT_TEST_SOURCE "/data/reference/") + model.name + ".";
    const figment::io::Array input = figment::io::read_npy(prefix + model.input + ".npy");
    for (fig_kernels kernels : {FIG_KERNELS_BEST, FIG_KERNELS_PORTABLE}) {
      Runner runner(converted.file, 2, kernels);
      const TensorMap results = runner.run("run", {{model.input, input.values}}, input.shape[0]);
      for (const char* output : model.outputs) {
        const figment::io::Array expected = figment::io::read_npy(prefix + output + ".npy");
        CHECK_MESSAGE(figment::test::relative_error(results.at(output), expected.values) <= 1e-4, model.name, " ",
                      output);
      }
    }
  }
}

TEST_CASE(
    "the usual architectures, from both of PyTorch's exporters, compute what PyTorch computes, and convert to int8") {
  const std::filesystem::path folder = FIGMENT_TEST_SOURCE "/data/architectures";
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".onnx") continue;
    ++files;
    std::string stem = entry.path().stem().string();
    INFO(stem);
    const size_t suffix = stem.find("_dynamo");
    const auto recorded = [&](const char* port) {
      return figment::io::read_npy((folder / (stem.substr(0, suffix) + "." + port + ".npy")).string());
    };
    ConvertOptions options;
    options.sources = {{"run", entry.path().string()}};
    options.name = stem;
    constexpr size_t kExamples = 64;
    figment::test::Random random(5);
    size_t rows = 0;
    const Converted converted = convert(options, {});
    for (fig_kernels kernels : {FIG_KERNELS_BEST, FIG_KERNELS_PORTABLE}) {
      Runner runner(converted.file, 2, kernels);
      fig_program_info program;
      REQUIRE(fig_model_program(runner.model(), 0, &program) == FIG_OK);
      TensorMap inputs;
      for (uint32_t i = 0; i < program.inputs; ++i) {
        fig_port_info port;
        REQUIRE(fig_model_input(runner.model(), 0, i, &port) == FIG_OK);
        const figment::io::Array array = recorded(port.name);
        inputs[port.name] = array.values;
        rows = array.shape[0];
        figment::io::Array& examples = options.calibration_data[port.name];
        examples.shape = array.shape;
        examples.shape[0] = kExamples;
        examples.values.resize(array.values.size() / rows * kExamples);
        for (float& value : examples.values) value = 2 * random.real();
      }
      const TensorMap results = runner.run("run", inputs, rows);
      for (const auto& [name, values] : results) {
        CHECK_MESSAGE(figment::test::relative_error(values, recorded(name.c_str()).values) <= 1e-4, name);
      }
    }
    options.int8 = true;
    options.psnr_goal_db = 0;
    options.snr_goal_db = -40;  // untrained, they hardly answer to their inputs
    const QuantizeReport int8 = *convert(options, {}).report.programs[0].int8;
    CHECK_MESSAGE(int8.psnr_db > 30, int8.psnr_db);
    // All of it but the logarithm of a softmax, which has no int8 form.
    for (const LayerReport& layer : int8.layers)
      CHECK_MESSAGE(layer.int8 == (layer.kind != OpKind::kLogSoftmax), layer.name);
  }
  CHECK(files == 22);
}
