// The losses of a discriminator and a generator.
#pragma once

#include <vector>

#include "ir/builder.h"

namespace figment::converter {

// A pair of losses on logits r of real and f of generated samples, as means over the batch.
struct AdversarialLoss {
  const char* name;  // in recipes, and of --gan-loss
  // `target`: what the discriminator aims at for real samples, 1 unless labels are smoothed.
  ValueId (*discriminator)(Builder& build, ValueId real, ValueId fake, float target);
  ValueId (*generator)(Builder& build, ValueId fake);
  float saturation;      // of the discriminator's loss; see Metric in runtime/format/model.fbs
  bool smooths_labels;   // has a target for real samples
  bool needs_lipschitz;  // the discriminator's parameters are clipped, unless its gradient is penalized
};

const std::vector<AdversarialLoss>& adversarial_losses();

}  // namespace figment::converter
