// How a session computes train steps: the schedule of a model has levels, the fastest first, of which later ones take
// less memory, by recomputing activations and by computing a batch in micro-batches.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/status.h"
#include "format/model_view.h"

namespace figment {

struct Strategy {
  uint32_t level = 0;
  size_t micro_batch = 0;  // samples of the batch that entries with `per_micro_batch` compute at a time
};

// The strategies for one batch, from the fastest to the smallest.
class Strategies {
 public:
  Strategies(const format::ModelView& model, size_t batch) : model_(model), batch_(batch) {}

  // The fastest; with `micro_batch` (0: any), the fastest that computes so many samples at a time. kInvalidArgument if
  // the model trains on whole batches only.
  Result<Strategy> first(size_t micro_batch) const;
  // The next, which takes less memory; false behind the last.
  bool next(Strategy* strategy) const;

 private:
  uint32_t level_count() const;
  bool splits(uint32_t level) const;
  size_t largest_micro_batch(uint32_t level) const { return splits(level) ? (batch_ + 1) / 2 : batch_; }

  const format::ModelView& model_;
  size_t batch_;
};

}  // namespace figment
