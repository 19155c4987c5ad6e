// Train steps: the programs of the schedule that are due, on micro-batches where the session's strategy splits the
// batch.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "core/status.h"
#include "session/session.h"

namespace figment {

// One batch for a train step.
struct TrainBatch {
  size_t count = 0;  // at most the session's batch
  std::span<const NamedTensor> inputs;
  std::span<const NamedTensor> latents;  // to use instead of drawing
};

// What a train step computed.
struct TrainMetrics {
  static constexpr size_t kMax = 64;
  struct Entry {
    const char* name;
    float value;
  };
  uint64_t step = 0;
  uint32_t skipped = 0;
  size_t count = 0;
  std::array<Entry, kMax> entries{};
};

// kInvalidArgument if the session does not train.
Status check_training(const Session& session);

// Advances a training session; holds nothing itself.
class Trainer {
 public:
  explicit Trainer(Session* session) : session_(*session), view_(session->model()->view()) {}

  // Runs the programs of the schedule that are due at this step, and counts it. The batch is checked before the first.
  Status step(const TrainBatch& batch, TrainMetrics* metrics);

 private:
  const Strategy& strategy() const { return session_.selection().strategy; }
  bool is_due(const format::ScheduleView& entry) const {
    return entry.level == strategy().level && session_.steps() % entry.period == entry.phase;
  }
  // The samples that an entry computes at a time.
  size_t micro_batch(const format::ScheduleView& entry, size_t count) const {
    return entry.at_a_time(count, strategy().micro_batch);
  }
  // The latent that a schedule entry draws for an input.
  std::optional<format::LatentView> drawn_latent(size_t entry, const char* input) const;
  // Whether the sub-steps that are due can be computed on the batch, which holds nothing that no program reads.
  Status check_batch(const TrainBatch& batch) const;
  Status check_due(size_t entry, const TrainBatch& batch) const;
  // Runs a schedule entry's program on samples [first, first + count) of a batch that was checked.
  Status run_entry(size_t entry, const TrainBatch& batch, size_t first, size_t count, TrainMetrics* metrics);

  Session& session_;
  const format::ModelView& view_;
};

}  // namespace figment
