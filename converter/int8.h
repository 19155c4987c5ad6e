// Programs in int8: quantized once and for all, or in a form that sessions write of what they train (fig_requantize).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "convert.h"
#include "ir/graph.h"
#include "passes/quantize.h"

namespace figment::converter {

// How to export an input with an open batch, by either of PyTorch's exporters.
std::string open_batch_advice(const std::string& input);

// Replaces a program of the model by its int8 version. Throws Error.
QuantizeReport quantize_program(const ConvertOptions& options, const ModelDefinition& model, Graph* graph,
                                const Progress& progress, Ranges ranges = Ranges::kSettled);

// A model file that trains, with its int8 form.
struct CarriedForm {
  std::vector<uint8_t> file;
  QuantizeReport report;
  size_t bytes = 0;  // of the form's model
};

// Throws Error.
CarriedForm add_int8_form(const ConvertOptions& options, const std::vector<uint8_t>& file, const Progress& progress);

// What a session would write of the form that a file carries, and the signal to noise that it has.
struct WrittenForm {
  std::vector<uint8_t> file;
  double decibels = 0;
};

// Throws Error.
WrittenForm write_int8_form(const ConvertOptions& options, const std::vector<uint8_t>& file);

}  // namespace figment::converter
