// Sets of real and of generated samples, to compare.
#pragma once

#include <span>
#include <vector>

#include "commands.h"
#include "controls.h"
#include "dataset.h"
#include "evaluation/scores.h"
#include "output.h"

namespace figment::cli {

// Real samples as rows, with the generator's conditions that come with them.
struct RealSamples {
  evaluation::Features samples;
  std::vector<Steered::Condition> conditions;
};
// Those of the given numbers. The data set's first input is what is generated.
RealSamples real_samples(const Dataset& data, std::span<const size_t> numbers);

// Numbers of samples for two sets of `count`, one behind the other, drawn by a seed; where classes are known, of each
// as many in both as can be, so that two sets of real samples differ by chance alone.
std::vector<size_t> two_sets(const Dataset& data, size_t count, uint64_t seed);

// Writes the first sixteen samples that are chosen as a picture (.png, or .svg of sequences).
void write_preview(const std::string& path, const Dataset& data, const Generated& generated);

// Rows of samples with their latents, under the given conditions; a class condition that is not among them takes the
// classes 0, 1, 2, ... in turn.
struct GeneratedSamples {
  evaluation::Features samples;
  std::vector<float> latents;
};
GeneratedSamples generate_samples(const OpenModel& open, const Generated& generated, uint64_t seed, size_t count,
                                  const std::vector<Steered::Condition>& conditions);

}  // namespace figment::cli
