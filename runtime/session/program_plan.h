// Where the tensors of a program lie: what shares memory, how long each is alive, and the plan for that.
#pragma once

#include <cstdint>

#include "core/block.h"
#include "core/status.h"
#include "format/model_view.h"
#include "kernels/kernel.h"
#include "plan/planner.h"

namespace figment {

// The planner places storages: tensors that are computed in place share one; an op's scratch has one.
class ProgramPlan {
 public:
  static constexpr uint64_t kNone = UINT64_MAX;

  // Bytes that a plan for the program works in.
  static size_t bytes(const format::ProgramView& program);

  // False if `memory` is smaller.
  [[nodiscard]] bool allocate(const format::ProgramView& program, Block* memory);

  // In this order: all inputs, and the ops.
  void add_input(uint32_t tensor, uint64_t bytes);
  // `given`: the op writes to memory of the caller's.
  void add_op(size_t index, const kernels::Step& step, bool given, kernels::InPlace in_place, size_t scratch);

  // Takes the plan that the file carries for the batch, if it does and the plan holds; else plans.
  Status find(size_t batch, plan::Arena* arena);

  // kNone for constants, and ops without scratch.
  uint64_t offset(size_t tensor) const;
  uint64_t scratch_offset(size_t op) const;

 private:
  static constexpr uint32_t kNoStorage = UINT32_MAX;

  uint32_t open(uint64_t bytes, uint32_t first, uint32_t last);
  bool take_carried(const format::PlanView& carried);

  format::ProgramView program_;
  uint32_t* storages_ = nullptr;          // of tensors
  uint32_t* scratch_storages_ = nullptr;  // of ops
  uint32_t* last_readers_ = nullptr;      // of tensors
  plan::Lifetime* lifetimes_ = nullptr;
  uint64_t* offsets_ = nullptr;
  void* planner_memory_ = nullptr;
  size_t count_ = 0;  // of storages
};

}  // namespace figment
