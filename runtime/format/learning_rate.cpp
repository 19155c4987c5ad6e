#include "format/learning_rate.h"

#include <algorithm>
#include <cmath>

#include "format/op.h"

namespace figment::format {

float learning_rate(const float* hyper) {
  const double steps = hyper[kSteps];
  const double period = std::max(1.0, static_cast<double>(hyper[kRatePeriod]));
  const double left = hyper[kRateFactor];
  double factor = 1;
  if (hyper[kRateSchedule] == 1) {
    factor = std::pow(left, std::floor((steps - 1) / period));
  } else if (hyper[kRateSchedule] == 2) {
    constexpr double kPi = 3.14159265358979323846;
    factor = left + (1 - left) * (1 + std::cos(kPi * std::min((steps - 1) / period, 1.0))) / 2;
  }
  if (hyper[kWarmUpSteps] > 0) factor *= std::min(1.0, steps / static_cast<double>(hyper[kWarmUpSteps]));
  return static_cast<float>(static_cast<double>(hyper[kLearningRate]) * factor);
}

}  // namespace figment::format
