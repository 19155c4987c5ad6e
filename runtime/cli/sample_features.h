// What samples are compared by.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "classifier.h"
#include "evaluation/random_features.h"
#include "output.h"

namespace figment::cli {

// Options of commands that score.
struct FeatureArguments {
  std::string classifier;  // a file
  std::string features;    // "": the classifier's, or else random ones of images and the values of others

  void add_to(CLI::App* command);
};

class SampleFeatures {
 public:
  // Of samples of the model's, which is open and has a session where the discriminator's features are asked for. Throws
  // Error if the classifier or the model cannot be used.
  SampleFeatures(const OpenModel& open, const Generated& generated, const FeatureArguments& arguments,
                 uint32_t threads);

  // `samples` are rows. The classes are the classifier's; empty without one.
  Classifier::Result of(const evaluation::Features& samples) const;
  // Of what: "of a classifier's features".
  std::string name() const;
  // For programs: "classifier", "random", "discriminator" or "values".
  const char* kind() const;
  // The classifier's; 0 without one.
  size_t classes() const { return classifier_ ? classifier_->classes() : 0; }

 private:
  enum class Kind : uint8_t { kClassifier, kRandom, kDiscriminator, kValues };

  void find_hidden_layer();
  evaluation::Features hidden(const evaluation::Features& samples) const;

  const OpenModel& open_;
  const Generated& generated_;
  Kind kind_ = Kind::kValues;
  std::optional<Classifier> classifier_;
  std::optional<evaluation::RandomFeatures> random_;
  uint32_t discriminator_ = 0;  // a program, its op that computes the features, and how many there are of a sample
  uint32_t op_ = 0;
  size_t elements_ = 0;
};

}  // namespace figment::cli
