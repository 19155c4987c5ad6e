// Watches a run for what goes wrong in adversarial training.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "figment/figment.h"

namespace figment::cli {

// The best score of a run, lower is better, and when it was.
struct Best {
  double score = std::numeric_limits<double>::infinity();
  uint64_t step = 0;
};

class TrainingMonitor {
 public:
  // `metrics` are those of the model's objective.
  explicit TrainingMonitor(const std::vector<fig_metric_info>& metrics);

  void add(const fig_metrics& metrics);
  // Takes a score; true if it is the best.
  bool score(double value, uint64_t step, Best* best);

  // What is wrong and what helps, a sentence each; nothing is said twice.
  std::vector<std::string> warnings();

 private:
  // Says `text` unless that has been said.
  void warn(bool* said, const std::string& text);

  // A loss that can saturate.
  struct Loss {
    std::string name;
    double saturation = 0;
    std::optional<double> average;  // moving
    uint64_t saturated = 0;         // steps in a row
  };
  std::vector<Loss> losses_;
  // The first values of a metric.
  struct Start {
    double sum = 0;  // of sizes
    uint64_t count = 0;
  };
  std::map<std::string, Start> starts_;
  bool said_exploded_ = false;
  bool said_infinite_ = false;
  bool said_saturated_ = false;
  bool said_worse_ = false;
  std::vector<std::string> news_;
};

}  // namespace figment::cli
