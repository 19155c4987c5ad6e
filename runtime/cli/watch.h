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
  // `saturates`: the discriminator's loss is near 0 where it always tells real from made; not Wasserstein's.
  explicit Watch(bool saturates) : saturates_(saturates) {}

  void add(const fig_metrics& metrics);
  // Takes a score; true if it is the best.
  bool score(double value, uint64_t step, Best* best);

  // What is wrong and what helps, a sentence each; nothing is said twice.
  std::vector<std::string> warnings();

 private:
  // Says `text` unless that has been said.
  void warn(bool* said, const std::string& text);

  double discriminator_loss_ = -1;  // a moving average, or none yet
  uint64_t saturated_ = 0;          // steps in a row
  bool saturates_;
  bool said_infinite_ = false;
  bool said_saturated_ = false;
  bool said_worse_ = false;
  std::vector<std::string> news_;
};

}  // namespace figment::cli
