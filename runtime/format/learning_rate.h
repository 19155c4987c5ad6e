// Schedules of the learning rate.
#pragma once

#include <cstdint>

namespace figment::format {

// The rate of the update being made, the hyper[kSteps]th (from 1 on), by the schedule in `hyper` (see HyperParameter).
float learning_rate(const float* hyper);

// hyper[kSteps] as an integer, whatever a file or a caller has put there.
uint32_t updates_made(const float* hyper);

}  // namespace figment::format
