// Samples that int8 is calibrated on: the user's, or such as the inputs take.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "convert.h"
#include "io/samples.h"
#include "write/runner.h"

namespace figment::converter {

// Throws Error if the options name an input that no program has.
void check_calibration_names(const ConvertOptions& options, const ModelDefinition& model);

// The inputs of a program that need examples and have none: ", "-separated, as options to type. "": all have some.
std::string missing_examples(const ConvertOptions& options, const ModelDefinition& model, const Graph& graph);

// The samples of one program.
class Calibration {
 public:
  // All that is given must outlive it. Throws Error where the user's files disagree or do not fit.
  Calibration(const ConvertOptions& options, const ModelDefinition& model, const Graph& graph);

  // As many as the user gives or asks for, or as many as take a moderate time.
  size_t count() const { return count_; }
  // Of every input. Throws Error where examples are missing.
  TensorMap samples() const;
  // Of what the user gives.
  uint64_t bytes() const;

 private:
  // What the user gives for an input, or nothing.
  std::optional<io::Samples> read_samples(const PortDefinition& port) const;
  void scale(const PortDefinition& port, std::vector<float>* values) const;

  const ConvertOptions& options_;
  const ModelDefinition& model_;
  const Graph& graph_;
  std::map<std::string, io::Samples> given_;
  size_t count_ = 0;
};

}  // namespace figment::converter
