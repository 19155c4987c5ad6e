// The evidence lower bound of a VAE (ELBO; Kingma and Welling 2014, equation 3).
#pragma once

#include <vector>

#include "commands.h"
#include "evaluation/scores.h"
#include "output.h"

namespace figment::cli {

// E log p(x | z) with one z, less KL(q(z | x) || p(z)), both in nats.
struct EvidenceLowerBound {
  double reconstruction = 0;
  double divergence = 0;
  double value() const { return reconstruction - divergence; }
};
// Of each sample, whose z is drawn by the seed and its number, `first` on.
std::vector<EvidenceLowerBound> evidence_lower_bounds(const OpenModel& open, const Generated& generated,
                                                      const evaluation::Features& samples, uint64_t seed,
                                                      uint64_t first = 0);
// Whether the model has what it takes: an encoder and a likelihood.
bool has_elbo(const OpenModel& open);
// The mean over the samples.
EvidenceLowerBound evidence_lower_bound(const OpenModel& open, const Generated& generated,
                                        const evaluation::Features& samples, uint64_t seed);

}  // namespace figment::cli
