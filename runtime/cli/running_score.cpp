#include "running_score.h"

#include <algorithm>

#include "elbo.h"

namespace figment::cli {

using evaluation::Features;

namespace {

constexpr size_t kSamples = 2000;

}  // namespace

RunningScore::RunningScore(const OpenModel& open, const Dataset& data, const std::string& classifier, uint32_t threads)
    : open_(open), generated_(generated_of(open)), elbo_(has_elbo(open)) {
  if (data.count() < 8)
    throw Error(data.path() + ": leaves too few samples to score by (8; see --classes, --limit and --hold-out)");
  if (const fig_objective_info objective = objective_of(open);
      *objective.name != 0 && objective.score == FIG_SCORE_NONE)
    throw Error("--keep-best: models of the objective " + std::string(objective.name) + " have no score to follow");
  io::Shuffle shuffle(data.count(), 1);
  real_ = real_samples(data, &shuffle, 0, std::min(kSamples, data.count()));
  if (elbo_) {
    // What is trained: of a weighted divergence the weighted bound.
    const std::string weight = objective_of(open).divergence_weight;
    if (!weight.empty()) check(fig_session_get_scalar(open.session(), weight.c_str(), &beta_));
    name_ = beta_ == 1 ? "negative ELBO" : "loss (with beta)";
    return;
  }
  if (classifier.empty() && generated_.output.image)
    throw Error(
        "to score images, give --classifier FILE (figment-convert models/classifier/classifier.onnx makes one)");
  if (!classifier.empty()) classifier_.emplace(classifier, threads);
  features_ = features_of(real_.samples);
  name_ = classifier_ ? "Fréchet distance" : "Fréchet distance of values";
}

Features RunningScore::features_of(const Features& samples) const {
  if (!classifier_) return samples;
  return classifier_->classify(samples, generated_.output.range_min, generated_.output.range_max).features;
}

double RunningScore::operator()() const {
  const auto count = static_cast<size_t>(real_.samples.rows());
  if (elbo_) {
    const EvidenceLowerBound bound = evidence_lower_bound(open_, generated_, real_.samples, 1);
    return beta_ * bound.divergence - bound.reconstruction;
  }
  return evaluation::frechet_distance(
      features_, features_of(generate_samples(open_, generated_, 1, count, real_.conditions).samples));
}

}  // namespace figment::cli
