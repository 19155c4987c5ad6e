// Watches a run for what goes wrong in adversarial training.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "figment/figment.h"

namespace figment::cli {

// The best score of a run, lower is better, and when it was.
struct Best {
  double score = std::numeric_limits<double>::infinity();
  uint64_t step = 0;
};

class Watch {
 public:
  void add(const fig_metrics& metrics);
  // Takes a score; true if it is the best.
  bool score(double value, uint64_t step, Best* best);

  // What is wrong and what helps, a sentence each; nothing is said twice.
  std::vector<std::string> warnings();

 private:
  void warn(const std::string& text);

  double discriminator_loss_ = -1;  // a moving average, or none yet
  uint64_t saturated_ = 0;          // steps in a row
  std::vector<std::string> said_;
  std::vector<std::string> news_;
};

}  // namespace figment::cli
