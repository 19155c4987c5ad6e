#include "running_score.h"

#include <fmt/format.h>
#include <algorithm>

#include "elbo.h"

namespace figment::cli {

using evaluation::Features;

namespace {

constexpr size_t kSamples = 2000;

}  // namespace

RunningScore::RunningScore(const OpenModel& open, const Dataset& data, const FeatureArguments& arguments,
                           uint32_t threads)
    : open_(open), generated_(learned_of(open)), elbo_(has_elbo(open)) {
  if (data.count() < 8)
    throw Error(
        fmt::format("{}: leaves {} samples to score by, and 8 are needed (see --classes, --limit and --hold-out)",
                    data.path(), data.count()));
  if (const fig_objective_info objective = objective_of(open);
      *objective.name != 0 && objective.score == FIG_SCORE_NONE)
    throw Error("--keep-best: models of the objective " + std::string(objective.name) + " have no score to follow");
  io::Shuffle shuffle(data.count(), 1);
  std::vector<size_t> numbers;
  for (size_t i = 0; i < std::min(kSamples, data.count()); ++i) numbers.push_back(shuffle.at(i));
  real_ = real_samples(data, numbers);
  if (elbo_) {
    // What is trained: of a weighted divergence the weighted bound.
    const std::string weight = objective_of(open).divergence_weight;
    if (!weight.empty()) check(fig_session_get_scalar(open.session(), weight.c_str(), &beta_));
    name_ = beta_ == 1 ? "negative ELBO" : "loss (with beta)";
    return;
  }
  if (arguments.features == "discriminator")
    throw Error("--keep-best: the discriminator changes while it trains; give --features random, or a classifier");
  compared_.emplace(open, generated_, arguments, threads);
  features_ = compared_->of(real_.samples).features;
  name_ = "Fréchet distance " + compared_->name();
}

double RunningScore::operator()() const {
  const auto count = static_cast<size_t>(real_.samples.rows());
  if (elbo_) {
    const EvidenceLowerBound bound = evidence_lower_bound(open_, generated_, real_.samples, 1);
    return beta_ * bound.divergence - bound.reconstruction;
  }
  return evaluation::frechet_distance(
      features_, compared_->of(generate_samples(open_, generated_, 1, count, real_.conditions).samples).features);
}

}  // namespace figment::cli
