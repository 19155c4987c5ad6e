// The programs of a generator and a discriminator: what the adversarial objectives share.
#pragma once

#include "objectives/adversarial_losses.h"
#include "objectives/augment.h"
#include "objectives/gradient_penalty.h"
#include "objectives/objective.h"
#include "objectives/optimizer.h"

namespace figment::converter {

struct AdversarialOptions {
  OptimizerOptions optimizer;
  OptimizerOptions discriminator_optimizer;
  std::optional<double> batch_norm_momentum;  // the weight of a batch in running statistics; none: the file's, or 0.1
  Prior prior = Prior::kNormal;
  size_t loss = 0;                     // an index into adversarial_losses()
  double label_smoothing = 0;          // one-sided: the target of real samples is 1 - label_smoothing
  std::optional<double> clip_weights;  // the default is kClipWeights
  uint32_t critic_steps = 1;           // discriminator steps to one of the generator
  bool spectral_norm = false;          // of the discriminator
  double ema_decay = 0;                // of the generator's average, which then generates; 0: none
  std::vector<CodeOptions> codes;      // of an InfoGAN
  GradientPenaltyOptions gradient_penalty;
  std::vector<Augmentation> augment;  // of what the discriminator sees
  double privacy_clip = 0;            // bound of each sample's gradient of the discriminator; 0: no privacy
  double privacy_noise = 0;           // deviation of the noise in such bounds
};

// All of them but the codes.
void declare_adversarial(OptionVisitor& visitor, AdversarialOptions* options);
// Throws Error if they do not go together.
void check_adversarial(const AdversarialOptions& options);

// The model of a generator and a discriminator (Goodfellow et al. 2014). Other inputs than the latent and the sample,
// of equal names in both networks, are conditions and come with the data.
//
// With codes (InfoGAN; Chen et al. 2016) the latent ends in them, and the discriminator has an output of the name of
// each, Q: logits of a category, or means of continuous values, maybe followed by their log deviations. Both networks
// minimize also lambda times -log Q(code | sample), whose mean bounds the mutual information from below up to the
// codes' constant entropy.
//
// The programs of the schedule: "train.step" generates samples once for both sub-steps: the discriminator is updated,
// then the generator against the updated discriminator. "train.critic" updates the discriminator alone.
//
// With differential privacy (Abadi et al. 2016; of GANs, Xie et al. 2018): "train.d.sample" bounds and accumulates each
// sample's gradient, of a real sample and a generated one; "train.d.update" adds noise. What the generator learns from
// the discriminator is then private as well, so that its own step draws its conditions.
TrainedModel adversarial_model(const std::string& objective, const Network& generator, Network discriminator,
                               const AdversarialOptions& options, const ModelContext& context);

}  // namespace figment::converter
