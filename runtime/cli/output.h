// Generated samples as files.
#pragma once

#include <span>
#include <string>

#include "commands.h"
#include "scaling.h"

namespace figment::cli {

// What a model generates and how it is read.
struct Generated {
  std::string program;
  fig_port_info port{};  // of the generator
  fig_output_info output{};
  size_t sample = 0;  // values
  Scaling scaling;    // to what is measured; without channels there is none
  bool sequence() const { return port.shape.rank == 3; }
};
Generated generated_of(const OpenModel& open);

// The same of what a model learns from: what it generates, or of one that does not, such as a classifier, the first
// input of its batches, in [-1, 1].
Generated learned_of(const OpenModel& open);

// The inputs of a batch, what is learned first; none of a model that does not train.
std::vector<fig_port_info> batch_inputs_of(const OpenModel& open);

// The generator's inputs other than the latent.
std::vector<fig_port_info> conditions_of(const OpenModel& open);

struct Layout {
  uint32_t columns = 0;  // samples in a row of a picture; 0: a square
  uint32_t scale = 2;    // picture pixels per sample pixel
};

// Writes samples, given as the model's values and written as what is measured, by the ending of `path`: .png (images),
// .svg (sequences as plots), .csv (a row for each sample, or for each step of a sequence) or .npy. Throws for a kind
// that does not fit the model, or another ending.
void write_samples(const std::string& path, std::span<const float> samples, const Generated& generated,
                   const Layout& layout);
// Whether `path` can be written: throws what write_samples would throw about its ending.
void check_kind(const std::string& path, const Generated& generated);

}  // namespace figment::cli
