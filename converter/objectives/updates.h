// The end of a sub-step: from gradients and batch statistics to changed variables.
#pragma once

#include <set>

#include "objectives/network.h"
#include "objectives/objective.h"

namespace figment::converter {

// Appends to the composer's program the gradients of `loss` (one number) with respect to the trained variables of
// `networks`, and the updates of these by an optimiser whose numbers are the variable NAME.optimizer, and those of the
// running statistics. The model learns the numbers' names (NAME.learning_rate, ...) and the trained variables.
void add_updates(const std::string& name, Graph* program, Composer* composer, ValueId loss,
                 const std::vector<const Network*>& networks, const std::vector<RunningStatistics>& statistics,
                 const TrainOptions& options, ModelDefinition* model);

}  // namespace figment::converter
