// Objectives: how networks become a model that trains. Each composes one train step as a program: forward passes,
// losses, gradients, and updates.
#pragma once

#include <map>
#include <string>

#include "ir/graph.h"

namespace figment::converter {

enum class Optimizer : uint8_t { kAdam, kSgd };
enum class GanLoss : uint8_t { kNonSaturating, kHinge };
enum class Likelihood : uint8_t { kBernoulli, kGaussian };

struct TrainOptions {
  Optimizer optimizer = Optimizer::kAdam;
  double learning_rate = 2e-4;
  double beta1 = 0.5;  // of Adam; the momentum of SGD
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;
  double batch_norm_momentum = 0.1;  // the weight of a batch in running statistics
  GanLoss gan_loss = GanLoss::kNonSaturating;
  double label_smoothing = 0;  // one-sided: the target of real samples is 1 - label_smoothing
  Likelihood likelihood = Likelihood::kBernoulli;
  double beta = 1;  // weight of the KL divergence
};

// A model that trains, and what the report says of how it was made.
struct TrainedModel {
  ModelDefinition model;
  std::vector<std::string> notes;
};

// A generator and a discriminator (Goodfellow et al. 2014) from ONNX files. Losses on logits r of real and f of made
// samples, as means over the batch: non-saturating, L_D = softplus(-r) + softplus(f), L_G = softplus(-f); with
// one-sided smoothing s, softplus(r) - (1 - s) r in the place of softplus(-r) (Salimans et al. 2016); hinge, L_D =
// max(0, 1 - r) + max(0, 1 + f), L_G = -f (Lim and Ye 2017). Program "train.step" makes samples once for both
// sub-steps: the discriminator is updated, then the generator against the updated discriminator. Throws Error.
TrainedModel gan_model(const std::string& generator_path, const std::string& discriminator_path, Prior prior,
                       const TrainOptions& options);

// An encoder (to means and log variances) and a decoder (Kingma and Welling 2014) from ONNX files. The loss is the mean
// over the batch of reconstruction + beta * KL(N(mean, exp(log variance)) || N(0, 1)), summed over elements; the
// reconstruction is softplus(l) - x l for logits l (Bernoulli) or (x - y)^2 / 2 (Gaussian of variance 1). Throws Error.
TrainedModel vae_model(const std::string& encoder_path, const std::string& decoder_path, const TrainOptions& options);

}  // namespace figment::converter
