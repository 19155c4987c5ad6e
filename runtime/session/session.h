// A session: programs of a model prepared for one batch, sharing one arena.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "core/memory.h"
#include "core/philox.h"
#include "core/status.h"
#include "kernels/threads.h"
#include "session/model.h"
#include "session/program_instance.h"
#if FIGMENT_XNNPACK
#include "kernels/xnnpack/pool.h"
#endif

namespace figment {

struct SessionOptions {
  const char* program = nullptr;  // nullptr: all
  size_t batch = 1;
  size_t threads = 1;
  pthreadpool* thread_pool = nullptr;
  uint64_t memory_limit = UINT64_MAX;
  uint64_t seed = 0;
  kernels::KernelSet kernels = kernels::KernelSet::kBest;
  bool training = false;
  size_t part = 0;  // samples of a train step computed at a time; 0: as the memory limit demands
};

struct MemoryReport {
  uint64_t model = 0;
  uint64_t packed_weights = 0;
  uint64_t operators = 0;
  uint64_t variables = 0;
  uint64_t arena = 0;
  uint64_t arena_lower_bound = 0;

  uint64_t total() const { return model + packed_weights + operators + variables + arena; }
};

// A tensor of the caller's, in the exporter's layout.
struct NamedTensor {
  const char* name;
  float* data;
  size_t elements;
};

struct GenerateOptions {
  uint64_t first_index = 0;
  const float* latents = nullptr;
  std::optional<size_t> latent_elements;  // checked if given
  float* latents_out = nullptr;
  std::span<const NamedTensor> inputs;
};

// One batch for a train step.
struct TrainBatch {
  size_t count = 0;  // at most the session's batch
  std::span<const NamedTensor> inputs;
  std::span<const NamedTensor> latents;  // to use instead of drawing
};

// What a train step computed.
struct TrainMetrics {
  static constexpr size_t kMost = 16;
  struct Entry {
    const char* name;
    float value;
  };
  uint64_t step = 0;
  uint32_t skipped = 0;
  size_t count = 0;
  std::array<Entry, kMost> entries{};
};

// Used by one thread at a time. Holds a reference to its model.
class Session {
 public:
  static Result<Session*> create(Model* model, const SessionOptions& options);
  static void destroy(Session* session);
  // What `create` would need. The operators are made and thrown away; the model keeps its packed weights.
  static Result<MemoryReport> measure(Model* model, const SessionOptions& options);

  MemoryReport memory() const;
  Status generate(size_t count, const GenerateOptions& options, std::span<float> out);
  Status run(const char* program, size_t count, std::span<const NamedTensor> inputs,
             std::span<const NamedTensor> outputs);

  // Runs a program of one input; `outputs` are its first outputs, in order, without data where they are not wanted.
  Status apply(const char* program, size_t count, std::span<const float> input,
               std::span<const std::span<float>> outputs);
  // "encode" and then, from its first output, the program that generates.
  Status reconstruct(size_t count, std::span<const float> samples, std::span<float> out);

  // Runs the programs of the schedule that are due at this step, and counts it. The batch is checked before the first.
  Status train_step(const TrainBatch& batch, TrainMetrics* metrics);
  uint64_t steps() const { return steps_; }
  // The value of a named scalar. kNotFound.
  Result<float*> scalar(const char* name);
  // Copies a parameter out of or into the session's variables, in the exporter's layout. kNotFound.
  Status get_parameter(const char* name, std::span<float> out) const;
  // Writes the model's file with the session's variables.
  Status export_model(const char* path) const;
  Status set_parameter(const char* name, std::span<const float> values);
  // Everything that a later session needs to go on as if there had been no pause, with `caller`'s own bytes, in the
  // older of two files in the folder, which is made if it is not there.
  Status save_checkpoint(const char* folder, std::span<const uint8_t> caller) const;
  // The newest whole checkpoint of the folder: parameters, optimiser, statistics, steps and seed. kNotFound, kBadFile;
  // then nothing has changed.
  Status load_checkpoint(const char* folder, std::span<uint8_t> caller, size_t* caller_bytes);

  // The instance of program `i` of the model; kNotFound if the session was created for another program.
  Result<const ProgramInstance*> instance(size_t i) const;

 private:
  explicit Session(Model* model);
  ~Session();
  // Another way to compute a train step: a level of the schedule, with at most `part` samples at a time in its parts.
  struct Way {
    uint32_t level = 0;
    size_t part = 0;
  };

  Status prepare(const SessionOptions& options);
  // Prepares the programs for one way of training, in the place of what was prepared, and returns the bytes that the
  // session then needs. Where XNNPACK's objects alone are more than the limit, they are not made and the bytes are a
  // lower bound.
  Result<uint64_t> prepare_programs(const SessionOptions& options, Way way);
  // kMemoryLimit for `needed` bytes.
  Status too_large(uint64_t needed) const;
  Status allocate_variables(Way way);
  // Whether the session prepares program `i`, and for how many samples.
  bool wants_program(const SessionOptions& options, size_t i, Way way, size_t* batch) const;
  // The first way to try: the fastest, or the first in parts of the size asked for.
  Result<Way> first_way(const SessionOptions& options) const;
  // The next way, which takes less memory; false behind the last.
  bool next_way(Way* way) const;
  uint32_t level_count() const;
  bool has_parts(uint32_t level) const;
  Status allocate_arena();
  Result<size_t> find_instance(const char* program) const;
  size_t largest_latent() const;

  Model* model_;
  size_t batch_ = 1;
  uint64_t seed_ = 0;
  uint64_t memory_limit_ = UINT64_MAX;
  kernels::Threads threads_;  // outlive the operators in programs_
#if FIGMENT_XNNPACK
  kernels::Pool pool_;  // outlives the operators in programs_
#endif
  // Whether the sub-steps that are due can be computed on the batch, which holds nothing that no program reads.
  Status check_batch(const TrainBatch& batch) const;
  bool is_due(const format::ScheduleView& entry) const {
    return entry.level == way_.level && steps_ % entry.period == entry.phase;
  }
  // The latent that a schedule entry draws for an input.
  std::optional<format::LatentView> drawn_latent(size_t entry, const char* input) const;
  // Runs a schedule entry's program on samples [first, first + count) of a batch that was checked.
  Status train_program(size_t entry, const TrainBatch& batch, size_t first, size_t count, TrainMetrics* metrics);
  uint64_t checkpoint_bytes() const;  // of the variables
  // Whether all that is kept is finite: what is not could not be loaded again. kInvalidArgument.
  Status check_variables() const;
  Result<float*> find_parameter(const char* name, size_t elements, format::ParameterView* parameter) const;

  bool training_ = false;
  Way way_;
  uint64_t steps_ = 0;
  Variables variables_;
  Array<ProgramInstance> programs_;
  Array<size_t> program_indices_;
  Array<uint8_t> arena_memory_;
  uint64_t arena_bytes_ = 0;
  uint64_t arena_lower_bound_ = 0;
  Array<float> latent_staging_;  // one batch of the largest latent
};

}  // namespace figment
