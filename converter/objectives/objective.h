// Objectives: how networks become a model that trains. Each composes train steps as programs: forward passes, losses,
// gradients, and updates.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "objectives/augment.h"
#include "objectives/network.h"

namespace figment::converter {

enum class Optimizer : uint8_t { kAdam, kSgd };
enum class RateSchedule : uint8_t { kConstant, kStep, kCosine };
enum class GanLoss : uint8_t { kNonSaturating, kHinge, kWasserstein };
enum class Likelihood : uint8_t { kBernoulli, kGaussian };

// See HyperParameter in runtime/format/op.h.
struct OptimizerOptions {
  Optimizer optimizer = Optimizer::kAdam;
  double learning_rate = 2e-4;
  double beta1 = 0.5;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;
  double clip_value = 0;
  double clip_norm = 0;
  RateSchedule schedule = RateSchedule::kConstant;
  double rate_period = 1000;
  double rate_factor = 0.1;
  double warm_up_steps = 0;
};

// A code of InfoGAN; `weight` is its lambda.
struct CodeOptions {
  std::string name;
  uint32_t size = 0;
  Prior prior = Prior::kCategorical;
  double weight = 1;
};

struct TrainOptions {
  OptimizerOptions optimizer;
  std::optional<OptimizerOptions> discriminator_optimizer;  // default: the same
  double batch_norm_momentum = 0.1;                         // the weight of a batch in running statistics
  // Adversarial objectives.
  Prior prior = Prior::kNormal;
  std::string latent;  // the generator's input that is drawn; "": found by its name, or the only one
  GanLoss gan_loss = GanLoss::kNonSaturating;
  double label_smoothing = 0;  // one-sided: the target of real samples is 1 - label_smoothing
  double clip_weights = 0.01;  // of the critic, for the Wasserstein loss
  uint32_t critic_steps = 1;   // discriminator steps to one of the generator
  bool spectral_norm = false;  // of the discriminator
  double ema_decay = 0;        // of the generator's average, which then generates; 0: none
  std::vector<CodeOptions> codes;
  AugmentOptions augment;  // of what the discriminator sees
  // VAE.
  Likelihood likelihood = Likelihood::kBernoulli;
  double beta = 1;          // weight of the KL divergence
  double beta_warm_up = 0;  // steps over which it grows from 0
  double free_bits = 0;     // nats that each latent dimension may have without cost
};

// A model that trains, and what the report says of how it was made.
struct TrainedModel {
  ModelDefinition model;
  std::vector<std::string> notes;
};

// A generator and a discriminator (Goodfellow et al. 2014). Losses on logits r of real and f of made samples, as means
// over the batch: non-saturating, L_D = softplus(-r) + softplus(f), L_G = softplus(-f); with one-sided smoothing s,
// softplus(r) - (1 - s) r in the place of softplus(-r) (Salimans et al. 2016); hinge, L_D = max(0, 1 - r) + max(0, 1 +
// f), L_G = -f (Lim and Ye 2017); Wasserstein, L_D = f - r, L_G = -f, the critic's parameters clipped (Arjovsky et al.
// 2017). Other inputs than the latent and the sample, of equal names in both networks, are conditions and come with the
// data.
//
// With codes (InfoGAN; Chen et al. 2016) the latent ends in them, and the discriminator has an output of the name of
// each, Q: logits of a category, or means of continuous values, maybe followed by their log deviations. Both networks
// minimise also lambda times -log Q(code | sample), whose mean bounds the mutual information from below up to the
// codes' constant entropy.
//
// The programs of the schedule: "train.step" makes samples once for both sub-steps: the discriminator is updated, then
// the generator against the updated discriminator. "train.critic" updates the discriminator alone.
TrainedModel gan_model(const Network& generator, Network discriminator, const TrainOptions& options);

// An encoder (to means and log variances) and a decoder (Kingma and Welling 2014). The loss is the mean over the batch
// of reconstruction + beta * KL(N(mean, exp(log variance)) || N(0, 1)), summed over elements; the reconstruction is
// softplus(l) - x l for logits l (Bernoulli) or (x - y)^2 / 2 (Gaussian of variance 1). Log variances are clamped to
// [-20, 20]. With free bits (Kingma et al. 2016, equation 15) a dimension's KL, as a mean over the batch, counts as at
// least so much.
TrainedModel vae_model(const Network& encoder, const Network& decoder, const TrainOptions& options);

}  // namespace figment::converter
