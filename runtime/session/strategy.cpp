#include "session/strategy.h"

#include <algorithm>

namespace figment {

uint32_t Strategies::level_count() const {
  uint32_t count = 0;
  for (size_t i = 0; i < model_.schedule_count(); ++i) count = std::max(count, model_.schedule(i).level + 1);
  return count;
}

bool Strategies::splits(uint32_t level) const {
  for (size_t i = 0; i < model_.schedule_count(); ++i) {
    if (model_.schedule(i).level == level && model_.schedule(i).per_micro_batch) return true;
  }
  return false;
}

Result<Strategy> Strategies::first(size_t micro_batch) const {
  if (micro_batch == 0 || micro_batch >= batch_) return Strategy{0, largest_micro_batch(0)};
  for (uint32_t level = 0; level < level_count(); ++level) {
    if (splits(level)) return Strategy{level, micro_batch};
  }
  return Status::error(
      StatusCode::kInvalidArgument,
      "the model has no micro-batches to choose: its networks or its loss couple the samples of a batch, as batch "
      "normalization and free bits do, or differential privacy takes them one by one");
}

bool Strategies::next(Strategy* strategy) const {
  if (splits(strategy->level) && strategy->micro_batch > 1) {
    strategy->micro_batch = (strategy->micro_batch + 1) / 2;
    return true;
  }
  if (++strategy->level >= level_count()) return false;
  // A batch in one part is computed by the levels before.
  strategy->micro_batch = largest_micro_batch(strategy->level);
  return true;
}

}  // namespace figment
