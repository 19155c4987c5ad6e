#include "elbo.h"

#include <cmath>

namespace figment::cli {

using evaluation::Features;

bool has_elbo(const OpenModel& open) {
  const fig_objective_info objective = objective_of(open);
  return objective.score == FIG_SCORE_EVIDENCE_LOWER_BOUND && objective.likelihood != FIG_LIKELIHOOD_NONE &&
         open.has_program("encode");
}

std::vector<EvidenceLowerBound> evidence_lower_bounds(const OpenModel& open, const Generated& generated,
                                                      const Features& samples, uint64_t seed, uint64_t first) {
  const fig_latent_info latent = open.latent();
  const fig_likelihood likelihood = objective_of(open).likelihood;
  const auto count = static_cast<size_t>(samples.rows());
  Features mean = evaluation::rows(count, latent.size);
  Features log_variance = evaluation::rows(count, latent.size);
  check(fig_encode(open.session(), count, samples.data(), count * generated.sample, mean.data(), count * latent.size,
                   log_variance.data(), count * latent.size));
  Features z = evaluation::rows(count, latent.size);
  for (size_t i = 0; i < count; ++i)
    check(fig_model_draw_latent(open.model(), seed, first + i, z.data() + i * latent.size, latent.size));
  // As the objective bounds them.
  log_variance = log_variance.array().max(-20.0F).min(20.0F).matrix();
  z = (mean.array() + (log_variance.array() / 2).exp() * z.array()).matrix();
  Features reconstructions = evaluation::rows(count, generated.sample);
  check(fig_decode(open.session(), count, z.data(), count * latent.size, reconstructions.data(),
                   count * generated.sample));
  const Eigen::ArrayXXd x = samples.array().cast<double>();
  const Eigen::ArrayXXd y = reconstructions.array().cast<double>();
  Eigen::ArrayXd reconstruction;
  if (likelihood == FIG_LIKELIHOOD_GAUSSIAN) {
    reconstruction = -((x - y).square() / 2 + std::log(2 * M_PI) / 2).rowwise().sum();
  } else if (likelihood == FIG_LIKELIHOOD_BERNOULLI_LOGITS) {
    reconstruction = (x * y - y.max(0.0) - (1 + (-y.abs()).exp()).log()).rowwise().sum();
  } else {
    // A probability of 1 is one within f32's rounding.
    const Eigen::ArrayXXd p = y.max(1e-7).min(1 - 1e-7);
    reconstruction = (x * p.log() + (1 - x) * (1 - p).log()).rowwise().sum();
  }
  const Eigen::ArrayXXd m = mean.array().cast<double>();
  const Eigen::ArrayXXd v = log_variance.array().cast<double>();
  const Eigen::ArrayXd divergence = (m.square() + v.exp() - v - 1).rowwise().sum() / 2;
  std::vector<EvidenceLowerBound> result;
  for (Eigen::Index i = 0; i < samples.rows(); ++i) result.push_back({reconstruction[i], divergence[i]});
  return result;
}

EvidenceLowerBound evidence_lower_bound(const OpenModel& open, const Generated& generated, const Features& samples,
                                        uint64_t seed) {
  const std::vector<EvidenceLowerBound> bounds = evidence_lower_bounds(open, generated, samples, seed);
  EvidenceLowerBound mean;
  for (const EvidenceLowerBound& bound : bounds) {
    mean.reconstruction += bound.reconstruction / static_cast<double>(bounds.size());
    mean.divergence += bound.divergence / static_cast<double>(bounds.size());
  }
  return mean;
}

}  // namespace figment::cli
