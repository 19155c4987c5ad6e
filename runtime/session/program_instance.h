// One program of a model, prepared for one batch: its steps with their kernels, and where its tensors lie.
#pragma once

#include <cstdint>
#include <span>

#include "core/memory.h"
#include "core/status.h"
#include "format/model_view.h"
#include "kernels/kernel.h"
#include "plan/planner.h"
#include "session/variables.h"

namespace figment {

// An input or output as the session copies it.
struct Port {
  const char* name = "";
  uint32_t tensor = 0;
  size_t sample_elements = 0;  // per unit of the batch; all elements if no dimension depends on it
  bool per_batch = false;
  bool batch_first = false;  // samples are contiguous in the exporter's layout
  bool same_layout = false;  // the exporter's layout is ours
  Extents exporter;          // for the planned batch
  Permutation to_ours;       // our dimension i is the exporter's dimension to_ours[i]
  Permutation to_exporter;
  int32_t direct_step = -1;  // outputs: the step that can write to the caller's memory, or -1
};

class ProgramInstance {
 public:
  ProgramInstance() = default;
  ~ProgramInstance();
  ProgramInstance(const ProgramInstance&) = delete;
  ProgramInstance& operator=(const ProgramInstance&) = delete;

  // Resolves shapes for `batch` and chooses the kernels. Cheap; no kernel is prepared.
  // `variables` are those of a training session; nullptr: variables are constants with the file's values.
  Status resolve(const format::ModelView& model, size_t program, size_t batch, kernels::KernelSet set,
                 const Variables* variables);
  // What preparing the kernels will take from the operators' pool.
  CheckedSize pool_bytes() const;
  // Prepares the kernels and plans the memory.
  Status prepare(const kernels::Environment& environment);
  // Gives the tensors their addresses in `arena`, of at least arena_bytes().
  Status bind(void* arena);
  // Computes `batch` samples from now on, 1 to planned_batch(). For programs that change variables; never allocates,
  // and costs nothing if the batch stays the same.
  Status resize(size_t batch);
  size_t planned_batch() const { return planned_batch_; }
  // Whether it changes variables, and so can be resized.
  bool any_batch() const { return any_batch_; }
  // The least batch that it computes: 2 where batch normalisation would take the variance of one value, which is 0.
  size_t least_batch() const { return least_batch_; }
  // Whether its samples depend on each other: only the batch that it computes at a time gives the right results.
  bool couples_batch() const { return couples_batch_; }
  // Updates of variables that stand together are one sub-step: they are made if what they read (gradients, statistics)
  // is finite, and skipped else.
  void run();
  // Sub-steps that the last run skipped.
  uint32_t skipped() const { return skipped_; }

  // Makes the last step of a port's tensor write to `data` instead of the arena, nullptr for back to the arena. Only
  // for ports with a direct step. Cheap if nothing changes.
  Status redirect(const Port& port, void* data);

  uint64_t arena_bytes() const { return arena_.size; }
  uint64_t arena_lower_bound() const { return arena_.lower_bound; }

  std::span<const Port> inputs() const { return {inputs_.data(), inputs_.size()}; }
  std::span<const Port> outputs() const { return {outputs_.data(), outputs_.size()}; }
  // The memory of a port's tensor; after bind.
  void* memory(const Port& port) const { return operands_[port.tensor].data; }
  const Extents& shape(const Port& port) const { return operands_[port.tensor].shape; }

  // The step whose output is the largest, for messages; nullptr if there is none.
  const kernels::Step* largest_step() const;

  size_t tensor_count() const { return operands_.size(); }
  size_t step_count() const { return steps_.size(); }
  const char* kernel_name(size_t step) const { return kernels_[step]->name(); }

  // Where tensor `i` lies and lives. False for constants.
  struct Placement {
    uint64_t offset;
    uint64_t bytes;
    uint32_t first;
    uint32_t last;
  };
  bool placement(size_t tensor, Placement* out) const;

 private:
  Status resolve_ports(const format::ProgramView& program, size_t batch);
  Status plan();
  void find_direct_outputs();
  [[nodiscard]] bool share_memory_in_place();

  size_t run_updates(size_t first);

  static constexpr uint32_t kNoStorage = UINT32_MAX;

  const format::ModelView* model_ = nullptr;
  size_t program_ = 0;
  size_t planned_batch_ = 0;
  bool any_batch_ = false;
  bool couples_batch_ = false;
  size_t least_batch_ = 1;
  size_t batch_ = 0;                     // of the shapes below
  Array<kernels::Operand> operands_;     // one for each tensor
  Array<kernels::Operand> step_inputs_;  // the steps' inputs, one after another
  Array<uint32_t> step_input_tensors_;   // the tensors of step_inputs_
  Array<kernels::Step> steps_;
  Array<uint32_t> step_outputs_;  // tensor of each step's output
  Array<const kernels::KernelEntry*> entries_;
  Array<kernels::Kernel*> kernels_;
  Array<uint8_t> kernel_memory_;
  uint32_t skipped_ = 0;
  Array<Port> inputs_;
  Array<Port> outputs_;

  // Storages: what the planner places. Tensors that are computed in place share one; each step's scratch is one.
  Array<uint32_t> storage_;  // of each tensor; kNoStorage for constants
  Array<plan::Lifetime> lifetimes_;
  Array<uint64_t> offsets_;
  plan::Arena arena_;
};

}  // namespace figment
