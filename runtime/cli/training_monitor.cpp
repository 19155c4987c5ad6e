#include "training_monitor.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

namespace figment::cli {

namespace {

constexpr double kDecay = 0.99;
constexpr uint64_t kLongSaturated = 1000;  // steps
constexpr double kMuchWorse = 3;           // than the best score
constexpr double kExploded = 1e6;          // of a loss, or of its first values' mean
constexpr uint64_t kFirst = 10;            // steps

}  // namespace

TrainingMonitor::TrainingMonitor(const std::vector<fig_metric_info>& metrics) {
  for (const fig_metric_info& metric : metrics) {
    if (metric.saturation > 0) losses_.push_back({metric.name, static_cast<double>(metric.saturation), {}, 0});
  }
}

void TrainingMonitor::add(const fig_metrics& metrics) {
  for (uint32_t i = 0; i < metrics.count; ++i) {
    const auto value = static_cast<double>(metrics.values[i].value);
    if (!std::isfinite(value)) {
      warn(&said_infinite_,
           "a loss is not finite: training has diverged; resume from a checkpoint with a lower learning rate");
      continue;
    }
    Start& start = starts_[metrics.values[i].name];
    if (start.count < kFirst) {
      start.sum += std::fabs(value);
      ++start.count;
    }
    if (std::fabs(value) > kExploded * std::max(1.0, start.sum / static_cast<double>(start.count))) {
      warn(&said_exploded_,
           fmt::format("{} has become {:.3g}: training has diverged; start again with a lower learning rate",
                       metrics.values[i].name, value));
    }
    for (Loss& loss : losses_) {
      if (loss.name != metrics.values[i].name) continue;
      loss.average = loss.average ? kDecay * *loss.average + (1 - kDecay) * value : value;
      loss.saturated = std::fabs(*loss.average) < loss.saturation ? loss.saturated + 1 : 0;
      if (loss.saturated == kLongSaturated) {
        warn(&said_saturated_,
             "the discriminator tells real from generated samples almost every time, so that the generator learns "
             "little: lower its learning rate, or give it dropout, spectral_norm or a gradient penalty");
      }
    }
  }
}

bool TrainingMonitor::score(double value, uint64_t step, Best* best) {
  if (value < best->score) {
    *best = {value, step};
    return true;
  }
  if (!(value <= kMuchWorse * std::fabs(best->score))) {
    warn(&said_worse_,
         fmt::format("the samples are much worse than at step {}: the generator has collapsed or diverged; --keep-best "
                     "keeps that step, and a lower learning rate or dropout in the discriminator helps",
                     best->step));
  }
  return false;
}

std::vector<std::string> TrainingMonitor::warnings() {
  std::vector<std::string> result;
  result.swap(news_);
  return result;
}

void TrainingMonitor::warn(bool* said, const std::string& text) {
  if (!*said) news_.push_back(text);
  *said = true;
}

}  // namespace figment::cli
