// What a model is compared with, layer by layer: values by the names of the exporter's tensors.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "io/arrays.h"
#include "layers.h"

namespace figment::cli {

struct Reference {
  std::string source;  // for people
  size_t count = 0;    // samples that were computed
  std::map<std::string, io::Array> tensors;
  size_t batch = 0;        // how many were computed at a time, whose tensors stand behind each other; 0: all
  bool quantized = false;  // it computes with integers
};

// Of an ONNX file, computed on the inputs by the Python that $PYTHON names, or python3, with the packages onnx and
// onnxruntime or onnx alone. `layers` are what the model computes on the inputs: the names that are wanted, and what
// stands in for values that the file draws. A file with a fixed batch computes that many samples at a time, as often as
// there are. Throws Error.
Reference compute_onnx(const std::string& path, const OpenModel& open, uint32_t program, const Inputs& inputs,
                       const std::vector<Layer>& layers);

}  // namespace figment::cli
