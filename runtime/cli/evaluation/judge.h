// Judges samples of a model beside real ones.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "commands.h"
#include "controls.h"
#include "dataset.h"
#include "evaluation/scores.h"
#include "output.h"

namespace figment::cli {

// A classifier of images: a model whose program has one input, values from -1 (black) to 1 (white), and the outputs
// "features" and "logits".
class Classifier {
 public:
  explicit Classifier(const std::string& path, uint32_t threads);

  struct Result {
    evaluation::Features features;
    std::vector<size_t> classes;
  };
  // Samples are rows with values from `low` to `high`. Throws where they have another size than the classifier takes.
  Result classify(const evaluation::Features& samples, float low, float high) const;
  size_t classes() const { return classes_; }

 private:
  OpenModel open_;
  std::string program_;
  std::string input_;
  std::string path_;
  size_t elements_ = 0;
  size_t features_ = 0;
  size_t classes_ = 0;
};

// Real samples as rows, with the generator's conditions that come with them.
struct Real {
  evaluation::Features samples;
  std::vector<Steered::Condition> conditions;
};
// From position `first` of the order that `shuffle` gives. The data set's first input is what is generated.
Real real_samples(const Dataset& data, io::Shuffle* shuffle, size_t first, size_t count);

// What a session makes: rows of samples with their latents, under the given conditions; a class condition that is not
// among them takes the classes 0, 1, 2, ... in turn.
struct Made {
  evaluation::Features samples;
  std::vector<float> latents;
};
Made make_samples(const OpenModel& open, const Generated& generated, uint64_t seed, size_t count,
                  const std::vector<Steered::Condition>& conditions);

// A score of the samples that a session makes now, to compare checkpoints of one run: lower is better. For a VAE, the
// negative evidence lower bound in nats, with the weight of the divergence that it is trained with; for images the
// Fréchet distance of a classifier's features; else the Fréchet distance of the values.
class RunningScore {
 public:
  // `classifier` may be empty where no images are judged by it. `data` are the real ones, what is generated first; 2000
  // of them are used.
  RunningScore(const OpenModel& open, const Dataset& data, const std::string& classifier, uint32_t threads);

  const std::string& name() const { return name_; }
  double operator()() const;

 private:
  evaluation::Features features_of(const evaluation::Features& samples) const;

  const OpenModel& open_;
  Generated generated_;
  std::optional<Classifier> classifier_;
  Real real_;
  evaluation::Features features_;  // of the real ones
  bool bound_ = false;             // judged by the evidence lower bound
  double beta_ = 1;                // with this weight of the divergence
  std::string name_;
};

// The evidence lower bound of samples under a VAE: E log p(x | z) with one z for each sample, less the divergence of
// q(z | x), both in nats, as means over the samples.
struct Bound {
  double reconstruction = 0;
  double divergence = 0;
  double bound() const { return reconstruction - divergence; }
};
bool has_bound(const OpenModel& open);
Bound evidence_lower_bound(const OpenModel& open, const Generated& generated, const evaluation::Features& samples,
                           uint64_t seed);

// Whether the model has a program of that name.
bool has_program(const OpenModel& open, const std::string& name);
// An entry of the model's metadata, "" if there is none.
std::string metadata_of(const OpenModel& open, const std::string& key);

}  // namespace figment::cli
