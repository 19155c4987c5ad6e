// One program of a model, prepared for one batch: its kernels, and where its tensors lie.
#pragma once

#include <cstdint>
#include <span>

#include "core/block.h"
#include "core/status.h"
#include "format/model_view.h"
#include "kernels/backend.h"
#include "kernels/kernel.h"
#include "kernels/packed_weights.h"
#include "plan/planner.h"
#include "session/step_reader.h"

namespace figment {

// An input or output as a session copies it. What it lacks (shape, permutation) is read from the file.
struct Port {
  static constexpr size_t kSmallBytes = 28;

  const char* name = "";
  uint32_t tensor = 0;
  int32_t direct_step = -1;    // outputs: the step that can write to the caller's memory, or -1
  size_t sample_elements = 0;  // per unit of the batch; all elements if no dimension depends on it
  bool per_batch = false;
  bool batch_first = false;  // samples are contiguous in the exporter's layout
  bool same_layout = false;  // the exporter's layout is ours
  bool integers = false;     // the exporter's tensor holds integers; an input's lie in
  int32_t least = 0;         // [least, greatest]
  int32_t greatest = 0;
};
FIGMENT_CHECK_SMALL(Port);

// What the programs of a session have in common.
struct ProgramSetup {
  const format::ModelView* model = nullptr;
  kernels::KernelSet kernels = kernels::KernelSet::kBest;
  kernels::Team* threads = nullptr;  // nullptr: the calling thread alone
  bool training = false;
  bool outputs_given = false;  // as of SessionOptions
  // Training: the addresses of the variables, by constant; nullptr while a session is measured.
  float* const* variables = nullptr;
  kernels::Operand* operands = nullptr;  // room for the inputs of any op, used by one program at a time
};

// Is shown what the op number `op` of a program computed.
struct Observer {
  void (*show)(void* context, uint32_t program, uint32_t op, const void* values) = nullptr;
  void* context = nullptr;
};

// What is taken from a session's operator pool.
struct OperatorDemand {
  CheckedSize used;   // by what has been prepared
  CheckedSize least;  // what the pool must have: while an operator is prepared it needs more than when it is ready
};

class Program {
 public:
  static constexpr size_t kSmallBytes = 136;
  static constexpr size_t kSmallAlignment = 8;

  Program() = default;
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // The steps of creation, in this order; each either measures or places, as the block does.

  // Chooses kernels for `batch` samples and takes what the program holds from `block`.
  Status lay_out(const ProgramSetup& setup, size_t program, size_t batch, Block* block);
  // Measures what preparing the kernels takes from an operator pool, as long as that is at most `limit`; packs weights
  // that are not yet.
  Status measure_operators(kernels::Packer* packer, uint64_t limit, OperatorDemand* demand);
  // Prepares the kernels, on operators in `pool`; `least` becomes what the pool must have, if that is more.
  Status prepare(kernels::Packer* packer, kernels::OperatorPool* pool, CheckedSize* least);
  // Finds a place for each tensor, for `arena` if the program is placed. `memory` has at least planning_bytes().
  Status plan(Block memory, void* arena, plan::Arena* size);
  size_t planning_bytes() const;
  // The arena that the file's own plan for the batch takes, unchecked. False if the file carries none.
  bool find_carried(plan::Arena* size) const;
  // The kernels take the tensors' addresses.
  Status bind();

  // Computes `batch` samples from now on, 1 to planned_batch(). For programs that change variables; never allocates,
  // and costs nothing if the batch stays the same.
  Status resize(size_t batch);
  size_t batch() const { return batch_; }
  size_t planned_batch() const { return planned_batch_; }
  // Whether it changes variables, and so can be resized.
  bool any_batch() const { return any_batch_; }
  // The least batch that it computes: 2 where batch normalization would take the variance of one value, which is 0.
  size_t least_batch() const { return least_batch_; }
  // Whether its samples depend on each other: only the batch that it computes at a time gives the right results.
  bool couples_batch() const { return view().couples_batch(); }

  // Computes the batch. Updates of variables that stand together are one sub-step: they are made if what they read
  // (gradients, statistics) is finite, and skipped else.
  Status run();
  // Sub-steps that the last run skipped.
  uint32_t skipped() const { return skipped_; }
  // In the next run, and in that alone, the last step of an output writes to `data` instead of the arena. Only for
  // ports with a direct step.
  void redirect(const Port& port, void* data) { targets_[&port - outputs_].wanted = data; }
  // Whether an output lies in the session; else runs must redirect it.
  bool has_place(const Port& port) const { return targets_[&port - outputs_].home != nullptr; }
  void observe(const Observer& observer) { observer_ = observer; }
  const Observer& observer() const { return observer_; }
  // Where a tensor lies.
  const void* address(size_t tensor) const { return addresses_[tensor]; }
  // What op `op`, a function of one value by a kernel without a state, makes of `count` values.
  void compute_function(size_t op, const float* values, float* results, size_t count);

  size_t index() const { return reader_.program(); }
  const char* name() const { return view().name(); }
  std::span<const Port> inputs() const { return {inputs_, view().input_count()}; }
  std::span<const Port> outputs() const { return {outputs_, view().output_count()}; }
  void* memory(const Port& port) const { return addresses_[port.tensor]; }
  const format::ProgramView& view() const { return reader_.view(); }

  size_t op_count() const { return view().op_count(); }
  uint64_t arena_bytes() const { return arena_bytes_; }
  const char* kernel_name(size_t op) const;
  // Where a tensor lies in the arena and from which step to which it is alive. False for constants.
  struct Placement {
    uint64_t offset;
    uint64_t bytes;
    uint32_t first;
    uint32_t last;
  };
  bool placement(size_t tensor, Placement* out) const;
  // The same for the scratch of an op; false if it has none.
  bool scratch_placement(size_t op, Placement* out) const;

 private:
  struct Step {
    static constexpr size_t kSmallBytes = 8;

    const fig_op* kernel;
    uint32_t scratch;  // offset in the arena, in units of kTensorAlignment
    [[no_unique_address]] kernels::PreparedPointer prepared;
  };
  FIGMENT_CHECK_SMALL(Step);
  bool is_update(size_t op) const { return format::is_update(steps_[op].kernel->kind); }
  // nullptr for plain functions.
  kernels::PreparedKernel* prepared(size_t op) const { return steps_[op].prepared; }
  // Where the tensor of an output lies, where the next run is to write it (nullptr: there), and where a prepared kernel
  // has been told to.
  struct Target {
    static constexpr size_t kSmallBytes = 12;

    void* home;
    void* wanted;
    void* bound;
  };
  FIGMENT_CHECK_SMALL(Target);

  void read(size_t index, kernels::Step* step) const;
  const fig_op* kernel_of(size_t index, const kernels::Step& step) const;
  Status name_op(const Status& status, const kernels::Step& step) const;
  Port read_port(const format::PortView& view) const;
  int32_t find_direct_step(const Port& port) const;
  bool is_given(uint32_t tensor) const;
  Status aim_outputs();
  void run_step(size_t index);
  size_t run_updates(size_t first);

  StepReader reader_;
  ProgramSetup setup_;
  size_t planned_batch_ = 0;
  size_t batch_ = 0;  // that is computed now
  size_t least_batch_ = 1;
  bool any_batch_ = false;
  uint32_t skipped_ = 0;
  Step* steps_ = nullptr;
  kernels::Team::Times* times_ = nullptr;  // by step, where there are threads
  void** addresses_ = nullptr;             // of each tensor
  Port* inputs_ = nullptr;
  Port* outputs_ = nullptr;
  Target* targets_ = nullptr;  // of each output
  unsigned char* arena_ = nullptr;
  uint64_t arena_bytes_ = 0;
  Observer observer_;
};
FIGMENT_CHECK_SMALL(Program);

}  // namespace figment
