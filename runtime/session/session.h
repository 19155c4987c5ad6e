// A session: programs of a model prepared for one batch, in one block of memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

#include "core/status.h"
#include "kernels/backend.h"
#include "session/model.h"
#include "session/program.h"
#include "session/selection.h"
#include "session/variables.h"

namespace figment {

struct SessionOptions {
  const char* programs = nullptr;  // of Selection
  size_t batch = 1;
  size_t length = 0;  // of models that have one to choose; 0: the file's
  size_t threads = 1;
  pthreadpool* thread_pool = nullptr;
  uint64_t memory_limit = UINT64_MAX;
  uint64_t seed = 0;
  kernels::KernelSet kernels = kernels::KernelSet::kBest;
  bool training = false;
  bool outputs_given = false;  // runs give memory for the outputs that can be written to the caller's
  size_t micro_batch = 0;      // samples of a train step computed at a time; 0: as the memory limit demands
};

// Bytes.
struct MemoryReport {
  uint64_t model = 0;
  uint64_t packed_weights = 0;
  // The session's block: what it holds of programs, operators of the backend, variables, and the arena.
  uint64_t programs = 0;
  uint64_t operators = 0;
  uint64_t variables = 0;
  uint64_t arena = 0;
  uint64_t arena_lower_bound = 0;
  // While weights are packed, which is before the block is taken.
  uint64_t packing_peak = 0;

  uint64_t block() const { return programs + operators + variables + arena; }
  uint64_t total() const { return model + packed_weights + block(); }
  uint64_t peak() const { return std::max(total(), packing_peak); }
};

// What a caller's tensor holds; numbered as fig_type.
enum class ElementType : uint32_t { kF32 = 0, kI32 = 2, kI64 = 3 };

// Elements of the caller's.
struct Elements {
  void* data = nullptr;
  ElementType type = ElementType::kF32;

  Elements behind(size_t count) const {
    return {static_cast<uint8_t*>(data) + count * (type == ElementType::kI64 ? sizeof(int64_t) : sizeof(float)), type};
  }
};

// A tensor of the caller's, in the exporter's layout.
struct NamedTensor {
  const char* name;
  void* data;
  size_t elements;
  ElementType type;
};

struct GenerateOptions {
  uint64_t first_index = 0;
  const float* latents = nullptr;
  std::optional<size_t> latent_elements;  // checked if given
  float* latents_out = nullptr;
  std::span<const NamedTensor> inputs;
};

// Used by one thread at a time. Holds a reference to its model.
class Session {
 public:
  static constexpr size_t kSmallBytes = 192;
  static constexpr size_t kSmallAlignment = 8;

  // What `create` takes. Packs the model's weights. kMemoryLimit says what is needed.
  static Result<MemoryReport> measure(Model* model, const SessionOptions& options);
  // What `create` takes on a bare-metal target, and how it trains there. The limit is of what is not the file.
  static Result<MemoryReport> measure_small(Model* model, const SessionOptions& options, Strategy* strategy);
  // The bytes that the weights a session needs still take, and packing them into memory of the caller's.
  static Result<size_t> pack_size(Model* model, const SessionOptions& options);
  static Status pack(Model* model, const SessionOptions& options, void* memory, size_t bytes);
  static Result<Session*> create(Model* model, const SessionOptions& options);
  // In memory of the caller's, aligned to kTensorAlignment, which must outlive the session. Takes none from the system:
  // weights are packed before, and threads are the caller's. kMemoryLimit if `bytes` are less than measured.
  static Result<Session*> place(Model* model, const SessionOptions& options, void* memory, size_t bytes);
  static void destroy(Session* session);

  MemoryReport memory() const;
  Status generate(size_t count, const GenerateOptions& options, std::span<float> out);
  Status run(const char* program, size_t count, std::span<const NamedTensor> inputs,
             std::span<const NamedTensor> outputs);
  // Runs a program of one input; `outputs` are its first outputs, in order, without data where they are not wanted.
  Status apply(const char* program, size_t count, std::span<const float> input,
               std::span<const std::span<float>> outputs);
  // "encode" and then, from its first output, the program that generates.
  Status reconstruct(size_t count, std::span<const float> samples, std::span<float> out);

  // Whom runs show what they compute.
  void observe(const Observer& observer);

  Model* model() const { return model_; }
  // The model at the session's length.
  const format::ModelView& view() const { return view_; }
  size_t batch() const { return selection_.batch; }
  const Selection& selection() const { return selection_; }
  // The program number `i` of the model; nullptr if the session was created for others.
  Program* program(size_t i) const;
  // The program of that name (nullptr: the only one). kNotFound, kInvalidArgument.
  Result<Program*> find_program(const char* name) const;
  // kInvalidArgument where the session's threads are another process's.
  Status check_threads() const { return threads_.check(); }

  // State of training, which the layer above advances.
  bool training() const { return selection_.training; }
  Variables& variables() { return variables_; }
  const Variables& variables() const { return variables_; }
  uint64_t steps() const { return steps_; }
  void set_steps(uint64_t steps) { steps_ = steps; }
  uint64_t seed() const { return seed_; }
  void set_seed(uint64_t seed) { seed_ = seed; }
  // By run(): what it draws goes on from there.
  uint64_t samples_run() const { return samples_run_; }
  void set_samples_run(uint64_t samples) { samples_run_ = samples; }
  // Room for a batch of the largest latent, or of another input that is drawn.
  float* latents() const { return latents_; }

  Session() = default;
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

 private:
  friend class Builder;

  // Samples [first, first + count) of what is drawn for an input that the caller has not given; valid until the next.
  Elements draw(const format::LatentView& drawn, uint64_t first, size_t count);

  Model* model_ = nullptr;
  format::ModelView view_;
  Selection selection_;
  uint64_t seed_ = 0;
  uint64_t steps_ = 0;
  kernels::Threads threads_;
  Variables variables_;
  Program* programs_ = nullptr;
  size_t program_count_ = 0;
  float* latents_ = nullptr;
  uint64_t samples_run_ = 0;
  MemoryReport report_;  // without the model and its packed weights
  bool owns_memory_ = false;
};
FIGMENT_CHECK_SMALL(Session);

}  // namespace figment
