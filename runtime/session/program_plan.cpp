#include "session/program_plan.h"

#include <algorithm>
#include <span>

#include "plan/link.h"

namespace figment {

namespace {

// Inputs are written at time 0; op i runs at time i + 1; outputs are read after the last.
uint32_t time_of(size_t op) { return static_cast<uint32_t>(op + 1); }

}  // namespace

size_t ProgramPlan::bytes(const format::ProgramView& program) {
  Block block;
  (void)ProgramPlan().allocate(program, &block);
  return static_cast<size_t>(block.used().value());
}

bool ProgramPlan::allocate(const format::ProgramView& program, Block* memory) {
  program_ = program;
  const size_t tensors = program.tensor_count();
  const size_t ops = program.op_count();
  // Constants have no storage; an op's output either takes over one or opens one.
  size_t planned = 0;
  for (size_t i = 0; i < tensors; ++i) planned += program.is_constant(i) ? 0 : 1;
  lifetimes_ = memory->array<plan::Lifetime>(planned + ops);
  offsets_ = memory->array<uint64_t>(planned + ops);
  storages_ = memory->array<uint32_t>(tensors);
  scratch_storages_ = memory->array<uint32_t>(ops);
  last_readers_ = memory->array<uint32_t>(tensors);
  planner_memory_ = memory->take(plan::planning_bytes(planned + ops), alignof(uint64_t));
  if (memory->measures() || memory->overflowed()) return false;
  std::fill_n(storages_, tensors, kNoStorage);
  for (size_t i = 0; i < ops; ++i) {
    for (uint32_t tensor : program.op_inputs(i)) last_readers_[tensor] = time_of(i);
  }
  for (size_t i = 0; i < program.output_count(); ++i) last_readers_[program.output(i).tensor] = time_of(ops);
  return true;
}

uint32_t ProgramPlan::open(uint64_t bytes, uint32_t first, uint32_t last) {
  lifetimes_[count_] = {bytes + kReadablePadding, first, std::max(first, last)};
  return static_cast<uint32_t>(count_++);
}

void ProgramPlan::add_input(uint32_t tensor, uint64_t bytes) {
  storages_[tensor] = open(bytes, 0, last_readers_[tensor]);
}

// A step's output takes over its input's storage if the kernel allows it, the input is as large, planned, and read by
// no later step and no output port.
void ProgramPlan::add_op(size_t index, const kernels::Step& step, bool given, kernels::InPlace in_place,
                         size_t scratch) {
  const uint32_t time = time_of(index);
  const std::span<const uint32_t> inputs = program_.op_inputs(index);
  // An update's output is a variable, which has memory of its own.
  if (!step.output.constant && !given) {
    const uint32_t output = program_.op_output(index);
    uint32_t& storage = storages_[output];
    const size_t candidates = in_place == kernels::InPlace::kNo           ? 0
                              : in_place == kernels::InPlace::kFirstInput ? 1
                                                                          : inputs.size();
    for (size_t i = 0; i < candidates && storage == kNoStorage; ++i) {
      // An operand that appears twice may be written only element by element, which the ops that allow it do.
      if (storages_[inputs[i]] != kNoStorage && step.inputs[i].bytes() == step.output.bytes() &&
          last_readers_[inputs[i]] == time) {
        storage = storages_[inputs[i]];
        lifetimes_[storage].last = std::max(time, last_readers_[output]);
      }
    }
    if (storage == kNoStorage) storage = open(step.output.bytes(), time, last_readers_[output]);
  }
  scratch_storages_[index] = scratch == 0 ? kNoStorage : open(scratch, time, time);
}

Status ProgramPlan::find(size_t batch, plan::Arena* arena) {
  const std::span<const plan::Lifetime> lifetimes(lifetimes_, count_);
  const std::span<uint64_t> offsets(offsets_, count_);
  for (size_t i = 0; i < program_.plan_count(); ++i) {
    const format::PlanView carried = program_.plan(i);
    if (carried.batch != batch || !take_carried(carried)) continue;
    if (!plan::check_plan(lifetimes, offsets, carried.arena_size).ok()) continue;
    *arena = {carried.arena_size, 0};
    return {};
  }
  if (fig_use_planner == nullptr) {
    return Status::error(StatusCode::kUnsupported,
                         "%s: this program was linked without the planner, and the file carries no plan for batch %zu "
                         "and these kernels: convert with --plan %zu and use the portable kernels, or link the planner",
                         program_.name(), batch, batch);
  }
  *arena = fig_use_planner->plan(lifetimes, offsets, planner_memory_);
  return plan::check_plan(lifetimes, offsets, arena->size);
}

// Whether the carried offsets are those of the storages: tensors that share one lie in one place.
bool ProgramPlan::take_carried(const format::PlanView& carried) {
  std::fill_n(offsets_, count_, kNone);
  const auto take = [&](uint32_t storage, uint64_t offset) {
    if (storage == kNoStorage) return true;
    if (offsets_[storage] == kNone) offsets_[storage] = offset;
    return offsets_[storage] == offset;
  };
  bool agrees = true;
  for (size_t i = 0; i < program_.tensor_count(); ++i) agrees = agrees && take(storages_[i], carried.offsets[i]);
  for (size_t i = 0; i < program_.op_count(); ++i) {
    if (scratch_storages_[i] != kNoStorage) agrees = agrees && i < carried.scratch.size();
    if (agrees) agrees = take(scratch_storages_[i], carried.scratch.empty() ? 0 : carried.scratch[i]);
  }
  return agrees;
}

uint64_t ProgramPlan::offset(size_t tensor) const {
  return storages_[tensor] == kNoStorage ? kNone : offsets_[storages_[tensor]];
}

uint64_t ProgramPlan::scratch_offset(size_t op) const {
  return scratch_storages_[op] == kNoStorage ? kNone : offsets_[scratch_storages_[op]];
}

}  // namespace figment
