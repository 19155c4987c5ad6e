// The options of an optimizer.
#pragma once

#include "objectives/options.h"

namespace figment::converter {

enum class Optimizer : uint8_t { kAdam, kSgd };
enum class RateSchedule : uint8_t { kConstant, kStep, kCosine };

// See HyperParameter in runtime/format/op.h.
struct OptimizerOptions {
  Optimizer optimizer = Optimizer::kAdam;
  double learning_rate = 2e-4;
  double beta1 = 0.5;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;
  double clip_value = 0;
  double clip_norm = 0;
  RateSchedule schedule = RateSchedule::kConstant;
  double rate_period = 1000;
  double rate_factor = 0.1;
  double warm_up_steps = 0;
};

// Declares the options: in recipes keys of the object `object`, on the command line flags that begin with `prefix`.
void declare_optimizer(OptionVisitor& visitor, const std::string& object, const std::string& prefix,
                       OptimizerOptions* options);

}  // namespace figment::converter
