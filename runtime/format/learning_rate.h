// Schedules of the learning rate.
#pragma once

namespace figment::format {

// The rate of the update being made, the hyper[kSteps]th (from 1 on), by the schedule in `hyper` (see HyperParameter).
float learning_rate(const float* hyper);

}  // namespace figment::format
