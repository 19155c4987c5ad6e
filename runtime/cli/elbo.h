// The evidence lower bound of a VAE (ELBO; Kingma and Welling 2014, equation 3).
#pragma once

#include "commands.h"
#include "evaluation/scores.h"
#include "output.h"

namespace figment::cli {

// E log p(x | z) with one z for each sample, less KL(q(z | x) || p(z)), both in nats, as means over the samples.
struct EvidenceLowerBound {
  double reconstruction = 0;
  double divergence = 0;
  double value() const { return reconstruction - divergence; }
};
// Whether the model has what it takes: an encoder and a likelihood.
bool has_elbo(const OpenModel& open);
EvidenceLowerBound evidence_lower_bound(const OpenModel& open, const Generated& generated,
                                        const evaluation::Features& samples, uint64_t seed);

}  // namespace figment::cli
