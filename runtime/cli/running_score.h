// A score that is followed while a model trains.
#pragma once

#include <optional>
#include <string>

#include "classifier.h"
#include "sample_sets.h"

namespace figment::cli {

// A score of the samples that a session generates now, to compare checkpoints of one run: lower is better. For a VAE,
// the negative evidence lower bound in nats, with the weight of the divergence that it is trained with; for images the
// Fréchet distance of a classifier's features; else the Fréchet distance of the values.
class RunningScore {
 public:
  // `classifier` may be empty where no images are scored. `data` are the real ones, what is generated first; 2000
  // of them are used.
  RunningScore(const OpenModel& open, const Dataset& data, const std::string& classifier, uint32_t threads);

  const std::string& name() const { return name_; }
  double operator()() const;

 private:
  evaluation::Features features_of(const evaluation::Features& samples) const;

  const OpenModel& open_;
  Generated generated_;
  std::optional<Classifier> classifier_;
  RealSamples real_;
  evaluation::Features features_;  // of the real ones
  bool elbo_ = false;              // scored by the evidence lower bound
  double beta_ = 1;                // with this weight of the divergence
  std::string name_;
};

}  // namespace figment::cli
