// A score that is followed while a model trains.
#pragma once

#include <optional>
#include <string>

#include "sample_features.h"
#include "sample_sets.h"

namespace figment::cli {

// A score of the samples that a session generates now, to compare checkpoints of one run: lower is better. For a VAE,
// the negative evidence lower bound in nats, with the weight of the divergence that it is trained with; else the
// Fréchet distance of the samples' features, which must not change while it trains.
class RunningScore {
 public:
  // `data` are the real samples, what is generated first; 2000 of them are used.
  RunningScore(const OpenModel& open, const Dataset& data, const FeatureArguments& arguments, uint32_t threads);

  const std::string& name() const { return name_; }
  double operator()() const;
  // Samples that it compares.
  size_t count() const { return static_cast<size_t>(real_.samples.rows()); }

 private:
  const OpenModel& open_;
  Generated generated_;
  std::optional<SampleFeatures> compared_;
  RealSamples real_;
  evaluation::Features features_;  // of the real ones
  bool elbo_ = false;              // scored by the evidence lower bound
  double beta_ = 1;                // with this weight of the divergence
  std::string name_;
};

}  // namespace figment::cli
