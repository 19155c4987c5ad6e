// Writes the synthetic models of the benchmark as ONNX files, weights from a fixed generator:
// figment_synthetic FOLDER -> FOLDER/dcgan64.onnx (ngf 64), FOLDER/vae_decoder.onnx (20-400-784).
#include <cmath>
#include <cstdio>
#include <fstream>
#include <string>

#include "onnx_builder.h"
#include "support.h"

namespace {

using figment::test::OnnxBuilder;

// A model whose weights are drawn.
struct Synthetic : OnnxBuilder {
  std::string weights(const std::string& name, const std::vector<int64_t>& shape, float scale) {
    int64_t count = 1;
    for (int64_t extent : shape) count *= extent;
    std::vector<float> values(static_cast<size_t>(count));
    for (float& value : values) value = random.real() * scale;
    return floats(name, shape, values);
  }

  void write(const std::string& path) const {
    std::ofstream file(path, std::ios::binary);
    if (!model.SerializeToOstream(&file)) std::fprintf(stderr, "cannot write %s\n", path.c_str());
  }

  figment::test::Random random{5};
};

// Radford et al., 2015: 100 -> 4x4x512 -> 8x8x256 -> 16x16x128 -> 32x32x64 -> 64x64x3.
void write_dcgan64(const std::string& path) {
  Synthetic model;
  model.input("latent", {100, 1, 1});
  model.output("image", {3, 64, 64});
  const int64_t channels[] = {100, 512, 256, 128, 64, 3};
  std::string x = "latent";
  for (int i = 0; i < 5; ++i) {
    const std::string layer = "deconvolution" + std::to_string(i);
    const float scale = 2 / std::sqrt(static_cast<float>(channels[i]) * 4);
    onnx::NodeProto* node =
        model.node("ConvTranspose",
                   {x, model.weights(layer + ".weight", {channels[i], channels[i + 1], 4, 4}, scale),
                    model.weights(layer + ".bias", {channels[i + 1]}, 0.1F)},
                   {layer});
    OnnxBuilder::attribute(node, "strides", i == 0 ? std::vector<int64_t>{1, 1} : std::vector<int64_t>{2, 2});
    OnnxBuilder::attribute(node, "pads", i == 0 ? std::vector<int64_t>{0, 0, 0, 0} : std::vector<int64_t>{1, 1, 1, 1});
    x = i == 4 ? "image" : "activation" + std::to_string(i);
    model.node(i == 4 ? "Tanh" : "Relu", {layer}, {x});
  }
  model.write(path);
}

void write_vae_decoder(const std::string& path) {
  Synthetic model;
  model.input("latent", {20});
  model.output("image", {784});
  const auto gemm = [&](const std::string& x, int64_t inputs, int64_t outputs, const std::string& name) {
    const float scale = 2 / std::sqrt(static_cast<float>(inputs));
    onnx::NodeProto* node = model.node(
        "Gemm",
        {x, model.weights(name + ".weight", {outputs, inputs}, scale), model.weights(name + ".bias", {outputs}, 0.1F)},
        {name});
    OnnxBuilder::attribute(node, "transB", 1);
  };
  gemm("latent", 20, 400, "hidden");
  model.node("Relu", {"hidden"}, {"activation"});
  gemm("activation", 400, 784, "logits");
  model.node("Sigmoid", {"logits"}, {"image"});
  model.write(path);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  write_dcgan64(std::string(argv[1]) + "/dcgan64.onnx");
  write_vae_decoder(std::string(argv[1]) + "/vae_decoder.onnx");
  return 0;
}
