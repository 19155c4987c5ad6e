#include "batches.h"

#include <sys/random.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace figment::cli {

bool trains_privately(const OpenModel& open) {
  const char* name = "";
  for (uint32_t i = 0; fig_model_scalar(open.model(), i, &name) == FIG_OK; ++i) {
    if (std::string(name) == Privacy::kLot) return true;
  }
  return false;
}

Privacy privacy_of(const OpenModel& open) {
  Privacy privacy;
  check(fig_session_get_scalar(open.session(), "d.privacy.clip", &privacy.clip));
  check(fig_session_get_scalar(open.session(), "d.privacy.noise", &privacy.noise));
  return privacy;
}

uint32_t largest_lot(uint32_t lot, size_t samples) {
  const double most = lot + 10 * std::sqrt(static_cast<double>(lot)) + 10;
  return static_cast<uint32_t>(std::min(most, static_cast<double>(samples)));
}

uint64_t secret_seed() {
  uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) throw Error("the system gives no random numbers");
  return seed;
}

Batches::Batches(const Dataset& data, uint32_t batch, uint64_t seed, bool poisson)
    : data_(data),
      batch_(batch),
      seed_(seed),
      poisson_(poisson),
      most_(poisson ? largest_lot(batch, data.count()) : batch),
      shuffle_(data.count(), seed) {
  for (const Dataset::Input& input : data.inputs()) {
    values_.emplace_back(most_ * input.elements);
    tensors_.push_back({input.name.c_str(), values_.back().data(), 0, FIG_F32});
  }
}

void Batches::draw(uint64_t step) {
  chosen_.clear();
  if (!poisson_) {
    for (size_t i = 0; i < batch_; ++i) chosen_.push_back(shuffle_.at(step * batch_ + i));
    return;
  }
  // The multiplier is that of io::Shuffle, and the addend keeps the two apart.
  std::mt19937_64 random(seed_ * 0x9E3779B97F4A7C15 + step + 0x632BE59BD9B4E019);
  const double rate = static_cast<double>(batch_) / static_cast<double>(data_.count());
  const auto below = static_cast<uint64_t>(rate * 0x1p63);
  do {
    for (size_t i = 0; i < data_.count(); ++i) {
      if (random() >> 1 < below && chosen_.size() < most_) chosen_.push_back(i);
    }
  } while (chosen_.empty());
}

fig_batch Batches::at(uint64_t step) {
  draw(step);
  for (size_t j = 0; j < values_.size(); ++j) {
    const Dataset::Input& input = data_.inputs()[j];
    for (size_t i = 0; i < chosen_.size(); ++i) data_.copy(input, chosen_[i], values_[j].data() + i * input.elements);
    tensors_[j].elements = chosen_.size() * input.elements;
  }
  return {sizeof(fig_batch), chosen_.size(), tensors_.data(), tensors_.size(), nullptr, 0};
}

}  // namespace figment::cli
