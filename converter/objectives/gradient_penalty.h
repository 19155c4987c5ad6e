// Penalties on the gradient of a discriminator with respect to its input.
#pragma once

#include "ir/builder.h"
#include "objectives/network.h"
#include "objectives/options.h"

namespace figment::converter {

// With n the norm of the gradient of one sample's logit with respect to that sample, as the discriminator sees it
// (augmented), the mean over the batch of
//   r1       weight / 2 * n^2, at real samples (Mescheder et al. 2018)
//   wgan-gp  weight * (n - 1)^2, at x + a (f - x) between real samples x and generated ones f, with a uniform on [0, 1)
//            for each sample (Gulrajani et al. 2017)
enum class GradientPenalty : uint8_t { kNone, kR1, kWganGp };

struct GradientPenaltyOptions {
  GradientPenalty kind = GradientPenalty::kNone;
  std::optional<double> weight;  // the default is kPenaltyWeight
};

constexpr double kPenaltyWeight = 10;

void declare_gradient_penalty(OptionVisitor& visitor, GradientPenaltyOptions* options);

// n of each sample, in the shape of `logit`, one value a sample: the derivative of the logit along the direction of its
// own gradient. With the direction held fixed, its derivative with respect to the discriminator's parameters is that of
// the norm, and takes first derivatives alone. No sample may depend on another. Throws Error.
ValueId gradient_norms(Composer* composer, ValueId sample, ValueId logit);

// The penalty of those norms, one value, without its weight.
ValueId penalty_of(Builder& build, GradientPenalty kind, ValueId norms);

}  // namespace figment::converter
