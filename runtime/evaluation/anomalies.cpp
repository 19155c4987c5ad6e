#include "evaluation/anomalies.h"

#include <cmath>

namespace figment::evaluation {

std::vector<Run> unusual_runs(std::span<const double> scores, const std::vector<bool>& alarms,
                              const std::function<bool(size_t i)>& adjoins) {
  std::vector<Run> runs;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (!alarms[i]) continue;
    if (runs.empty() || runs.back().last + 1 != i || !adjoins(i - 1)) {
      runs.push_back({i, i, i});
      continue;
    }
    Run& run = runs.back();
    run.last = i;
    if (!(scores[i] <= scores[run.peak]) && !std::isnan(scores[run.peak])) run.peak = i;
  }
  return runs;
}

std::vector<double> channel_errors(std::span<const float> sample, std::span<const float> reconstruction,
                                   size_t channels, size_t stride) {
  std::vector<double> errors(channels);
  for (size_t i = 0; i < sample.size(); ++i) {
    const double difference = static_cast<double>(sample[i]) - static_cast<double>(reconstruction[i]);
    errors[i / stride % channels] += difference * difference;
  }
  const size_t of_a_channel = sample.size() / channels;
  for (double& error : errors) error /= static_cast<double>(of_a_channel);
  return errors;
}

}  // namespace figment::evaluation
