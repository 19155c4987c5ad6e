// What each op of a program computes, in the exporter's terms.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "commands.h"
#include "io/arrays.h"

namespace figment::cli {

// A value of a program, as a rule a tensor of the exporter's file.
struct Layer {
  std::string name;     // the exporter's
  std::string kind;     // of the op that computes it; "input" of what nodes draw; "output"
  std::string node;     // that op's name
  uint32_t tensor = 0;  // of the program
  bool int8 = false;
  int32_t batch_axis = -1;  // of `values`; -1: the same for all samples
  io::Array values;         // in the exporter's layout; int8 as what it stands for
};

struct Inputs {
  size_t count = 0;  // samples
  std::map<std::string, io::Array> arrays;
  std::vector<std::string> drawn;  // of which nothing says what they are, and for which there are no data

  // `samples` from `begin` on.
  Inputs part(const OpenModel& open, uint32_t program, size_t begin, size_t samples) const;
};

// The batch that makes `shape` the array's shape, 0 if no dimension depends on it. Throws naming the input.
size_t batch_of(const std::string& name, const fig_shape& shape, const io::Array& array);

// The length that a program's inputs are of; 0: the file's, or none that fits.
uint32_t fitting_length(const OpenModel& open, uint32_t program, const std::map<std::string, io::Array>& arrays);

// Runs the program on all samples at once: the layers in the order in which they are computed, then its outputs.
// Tensors of our own are layers too, in our layout, if `ours`, as far as no other has their name: what another model of
// ours can be compared with.
std::vector<Layer> run_layers(OpenModel* open, uint32_t program, const Inputs& inputs, bool ours);
// The same, `batch` samples at a time, whose values stand behind each other.
std::vector<Layer> run_layers_in_parts(OpenModel* open, uint32_t program, const Inputs& inputs, bool ours,
                                       size_t batch);

// The shape of a port for so many samples.
std::vector<size_t> resolved(const fig_shape& shape, size_t count);

}  // namespace figment::cli
