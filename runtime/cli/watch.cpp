#include "watch.h"

#include <cmath>
#include <cstring>

namespace figment::cli {

namespace {

constexpr double kDecay = 0.99;
constexpr double kSaturated = 0.05;  // of the discriminator's loss: 1.386 where it cannot tell, 0 where it always can
constexpr uint64_t kLongSaturated = 1000;  // steps
constexpr double kMuchWorse = 3;           // than the best score

}  // namespace

void Watch::add(const fig_metrics& metrics) {
  for (uint32_t i = 0; i < metrics.count; ++i) {
    const auto value = static_cast<double>(metrics.values[i].value);
    if (!std::isfinite(value))
      warn(&said_infinite_,
           "a loss is not finite: training has diverged; go back to a checkpoint and lower the learning rate");
    if (!saturates_ || std::strcmp(metrics.values[i].name, "d.loss") != 0 || !std::isfinite(value)) continue;
    discriminator_loss_ = discriminator_loss_ < 0 ? value : kDecay * discriminator_loss_ + (1 - kDecay) * value;
    saturated_ = std::fabs(discriminator_loss_) < kSaturated ? saturated_ + 1 : 0;
    if (saturated_ == kLongSaturated) {
      warn(&said_saturated_,
           "the discriminator tells real from made samples almost always, so that the generator learns little: lower "
           "its learning rate, or give it label_smoothing, dropout or spectral_norm");
    }
  }
}

bool Watch::score(double value, uint64_t step, Best* best) {
  if (value < best->score) {
    *best = {value, step};
    return true;
  }
  if (!(value <= kMuchWorse * std::fabs(best->score))) {
    warn(&said_worse_, "the samples are much worse than at step " + std::to_string(best->step) +
                           ": the generator has collapsed or diverged; --keep-best keeps that step, and a lower "
                           "learning rate or dropout "
                           "in the discriminator helps");
  }
  return false;
}

std::vector<std::string> Watch::warnings() {
  std::vector<std::string> result;
  result.swap(news_);
  return result;
}

void Watch::warn(bool* said, const std::string& text) {
  if (!*said) news_.push_back(text);
  *said = true;
}

}  // namespace figment::cli
