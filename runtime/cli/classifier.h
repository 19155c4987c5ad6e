// A classifier of images, whose features tell samples apart.
#pragma once

#include <string>
#include <vector>

#include "commands.h"
#include "evaluation/scores.h"

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
  // Throws Error unless it takes images of so many values.
  void check_size(size_t elements) const;

 private:
  OpenModel open_;
  std::string program_;
  std::string input_;
  std::string path_;
  size_t elements_ = 0;
  size_t features_ = 0;
  size_t classes_ = 0;
};

}  // namespace figment::cli
