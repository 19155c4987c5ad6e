// Penalties on the gradient of a discriminator with respect to its input.
#pragma once

#include <functional>

#include "ir/builder.h"
#include "objectives/network.h"
#include "objectives/options.h"

namespace figment::converter {

// With n the norm of the gradient of one sample's logit with respect to that sample, the mean over the batch of
//   r1       weight / 2 * n^2, at real samples (Mescheder et al. 2018)
//   wgan-gp  weight * (n - 1)^2, at x + a (f - x) between real samples x and generated ones f, with a uniform on [0, 1)
//            for each sample (Gulrajani et al. 2017)
enum class GradientPenalty : uint8_t { kNone, kR1, kWganGp };

struct GradientPenaltyOptions {
  GradientPenalty kind = GradientPenalty::kNone;
  double weight = 10;
};

void declare_gradient_penalty(OptionVisitor& visitor, GradientPenaltyOptions* options);

// n of each sample [N, 1], as a central difference of the logit over 2 `step` along the direction u of its gradient:
// n = (logit(x + step u) - logit(x - step u)) / (2 step). With u held fixed, its derivative with respect to the
// discriminator's parameters is that of the norm, and takes first derivatives alone. The error is of the order of
// step^2 times the logit's third derivative, and of the logit's rounding error over the step.
//
// `logit` computes logits of samples with the same dropout masks each time; no sample may depend on another.
ValueId gradient_norms(Composer* composer, ValueId sample, float step, const std::function<ValueId(ValueId)>& logit);

// The penalty [1] of those norms, without its weight.
ValueId penalty_of(Builder& build, GradientPenalty kind, ValueId norms);

}  // namespace figment::converter
