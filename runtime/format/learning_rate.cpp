#include "format/learning_rate.h"

#include <algorithm>

#include "core/functions.h"
#include "format/op.h"

namespace figment::format {

namespace {

// A number of a file's or of a caller's as a count.
uint32_t counted(double number) { return number > 0 ? static_cast<uint32_t>(std::min(number, 4294967295.0)) : 0; }

}  // namespace

uint32_t updates_made(const float* hyper) { return counted(static_cast<double>(hyper[kSteps])); }

float learning_rate(const float* hyper) {
  const double steps = hyper[kSteps];
  const double periods = (steps - 1) / std::max(1.0, static_cast<double>(hyper[kRatePeriod]));
  const double left = hyper[kRateFactor];
  double factor = 1;
  if (hyper[kRateSchedule] == 1) {
    factor = power(left, counted(periods));
  } else if (hyper[kRateSchedule] == 2) {
    // (1 + cos a) / 2 = cos^2 (a / 2)
    const double c = cosine(1.57079637F * static_cast<float>(std::min(periods, 1.0)));
    factor = left + (1 - left) * c * c;
  }
  if (hyper[kWarmUpSteps] > 0) factor *= std::min(1.0, steps / static_cast<double>(hyper[kWarmUpSteps]));
  return static_cast<float>(static_cast<double>(hyper[kLearningRate]) * factor);
}

}  // namespace figment::format
