// What the steps of a training draw from the data.
#pragma once

#include <vector>

#include "commands.h"
#include "dataset.h"

namespace figment::cli {

// Of a model that was converted with differential privacy.
struct Privacy {
  static constexpr const char* kScalars = "d.privacy.";
  static constexpr const char* kLot = "d.privacy.lot";

  double clip = 0;
  double noise = 0;
};

bool trains_privately(const OpenModel& open);
// Of the open session.
Privacy privacy_of(const OpenModel& open);

// Fewer samples a step on average, and a step without any were no longer as good as impossible.
inline constexpr uint32_t kLeastLot = 16;

// The samples that a step of `lot` on average may have, which it exceeds in no run (once in 10^20 steps).
uint32_t largest_lot(uint32_t lot, size_t samples);

// From the system: nobody can guess it.
uint64_t secret_seed();

// The samples of each step, by the seed alone: in an order, `batch` a step; or, as accountants of privacy assume, each
// sample with the same probability, `batch` on average (Poisson sampling).
class Batches {
 public:
  Batches(const Dataset& data, uint32_t batch, uint64_t seed, bool poisson);

  // That of step `step`, counted from 0; valid until the next.
  fig_batch at(uint64_t step);

 private:
  void draw(uint64_t step);

  const Dataset& data_;
  uint32_t batch_;
  uint64_t seed_;
  bool poisson_;
  size_t most_;
  io::Shuffle shuffle_;
  std::vector<size_t> chosen_;
  std::vector<std::vector<float>> values_;  // by input
  std::vector<fig_tensor> tensors_;
};

}  // namespace figment::cli
