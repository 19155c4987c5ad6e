// Lays a session out in its block.
#pragma once

#include "session/session.h"

namespace figment {

class Builder {
 public:
  Builder(Model* model, const SessionOptions& options, kernels::Packer* packer)
      : model_(model), view_(model->view()), options_(options), packer_(packer) {}
  // Measures as a bare-metal target lays a session out, on portable kernels. What a model takes there is `here` bytes
  // less and `there` bytes more; messages are of there.
  void for_small_target(uint64_t here, uint64_t there) {
    small_target_ = true;
    here_ = here;
    there_ = there;
  }

  // Checks the options, prepares the backend, and starts the threads that the session will compute on. First.
  Status start();

  // The fastest way to compute what `options` ask for within their memory limit.
  Result<MemoryReport> measure();
  // The same without measuring, in the memory that is there.
  Result<Session*> place(void* memory, size_t bytes);
  // That was measured last.
  const Strategy& strategy() const { return selection_.strategy; }
  // In the strategy that was measured.
  Result<Session*> place_measured(void* memory, size_t bytes) { return place_selection(memory, bytes); }

 private:
  Status check_options() const;
  Status check_programs() const;
  Status first_strategy();
  bool next_strategy();
  // Where the memory limit is too small to measure in, the report is not of the `whole`: its peak is above the limit,
  // and is no more than is needed.
  Result<MemoryReport> measure_selection(bool* whole);
  // The same with operands of ops that have up to `kMost`.
  template <size_t kMost>
  Result<MemoryReport> measure_with(bool* whole);
  Result<Session*> place_selection(void* memory, size_t bytes);

  // The parts of a session that come before operators and arena. `session` is nullptr while measuring.
  struct Parts {
    Session* session = nullptr;
    ProgramSetup setup;
    float* latents = nullptr;

    // What int8 follows is computed with the same bits everywhere.
    ProgramSetup setup_of(size_t program) const {
      ProgramSetup result = setup;
      if (setup.model->is_requantized(program)) result.kernels = kernels::KernelSet::kPortable;
      return result;
    }
  };
  Parts lay_out_objects(Block* block, MemoryReport* report);
  size_t program_count() const;
  size_t most_operands() const;
  // "needs [RELATION] BYTES".
  Status too_large(const char* relation, uint64_t bytes, const char* advice) const;

  Model* model_;
  format::ModelView view_;  // at the length
  const SessionOptions& options_;
  kernels::Packer* packer_;
  kernels::Threads threads_;
  kernels::Team team_;  // of these, while a session is measured
  Selection selection_;
  bool small_target_ = false;
  uint64_t here_ = 0;
  uint64_t there_ = 0;
};

}  // namespace figment
