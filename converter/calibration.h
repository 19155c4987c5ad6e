// Samples that int8 is calibrated on: the user's, or such as the inputs take.
#pragma once

#include <string>

#include "convert.h"
#include "write/runner.h"

namespace figment::converter {

// Throws Error if the options name an input that no program has.
void check_calibration_names(const ConvertOptions& options, const ModelDefinition& model);

// The inputs of a program that need examples and have none: ", "-separated, as options to type. "": all have some.
std::string missing_examples(const ConvertOptions& options, const ModelDefinition& model, const Graph& graph);

// How many samples: as many as the user gives or asks for, or as many as take a moderate time. Throws Error where the
// user's files disagree.
size_t count_calibration(const ConvertOptions& options, const ModelDefinition& model, const Graph& graph);

// `samples` of them for every input of a program. Throws Error where examples are missing, or do not fit.
TensorMap calibration_of(const ConvertOptions& options, const ModelDefinition& model, const Graph& graph,
                         size_t samples);

}  // namespace figment::converter
