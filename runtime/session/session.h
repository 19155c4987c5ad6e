// A session: programs of a model prepared for one batch, sharing one arena.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "core/memory.h"
#include "core/philox.h"
#include "core/status.h"
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
};

struct MemoryReport {
  uint64_t model = 0;
  uint64_t packed_weights = 0;
  uint64_t operators = 0;
  uint64_t arena = 0;
  uint64_t arena_lower_bound = 0;

  uint64_t total() const { return model + packed_weights + operators + arena; }
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

  // The instance of program `i` of the model; kNotFound if the session was created for another program.
  Result<const ProgramInstance*> instance(size_t i) const;

 private:
  explicit Session(Model* model);
  ~Session();
  Status prepare(const SessionOptions& options);
  Status allocate_arena();
  Result<size_t> find_instance(const char* program) const;

  Model* model_;
  size_t batch_ = 1;
  uint64_t seed_ = 0;
  uint64_t memory_limit_ = UINT64_MAX;
  pthreadpool* threads_ = nullptr;
  bool owns_threads_ = false;
#if FIGMENT_XNNPACK
  kernels::Pool pool_;  // outlives the operators in programs_
#endif
  Array<ProgramInstance> programs_;
  Array<size_t> program_indices_;
  Array<uint8_t> arena_memory_;
  uint64_t arena_bytes_ = 0;
  uint64_t arena_lower_bound_ = 0;
  Array<float> latent_staging_;  // one batch of latents
};

}  // namespace figment
