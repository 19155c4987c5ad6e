// A model against its exporter's values, or an int8 model against the f32 one, layer by layer.
#pragma once

#include <string>
#include <vector>

#include "commands.h"

namespace figment::cli {

struct LayerArguments {
  std::string model;
  std::string against;  // .onnx, .npz or .figment
  std::string program;
  std::vector<std::string> inputs;  // "[NAME=]FILE"; others are drawn
  uint32_t length = 0;              // of models that have one to choose; 0: that of the data, or the file's
  uint32_t count = 4;               // samples to draw
  uint64_t seed = 42;
  double tolerance = 1e-3;  // relative to a layer's largest value
  double want_snr = 20;     // dB, of int8 models
  bool all = false;
  bool json = false;
};

// Prints the comparison. Throws Error if any layer goes wrong.
void compare_layers(const LayerArguments& arguments);

}  // namespace figment::cli
