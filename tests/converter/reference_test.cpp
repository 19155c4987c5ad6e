// Whole shipped models against ONNX Runtime's recorded outputs (tests/data/record_references.py).
#include <doctest/doctest.h>

#include "convert.h"
#include "io/files.h"
#include "ir/runner.h"
#include "support.h"

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
