#include "session/program.h"

#include <algorithm>
#include <cstdio>

#include "core/finite.h"
#include "platform/threading.h"
#include "session/program_plan.h"

namespace figment {

using format::OpKind;
using format::PortView;
using kernels::Operand;
using kernels::PreparedKernel;

namespace {

Status no_memory() { return Status::error(StatusCode::kOutOfMemory, "no memory to prepare the kernels"); }

// Prepares a kernel in memory of the system's, and takes it down again.
Status measure_operator(const fig_op& kernel, const kernels::Step& step, kernels::Packer* packer, uint64_t limit,
                        OperatorDemand* demand) {
  kernels::PackingMemory state(packer);
  if (!state.allocate(kernel.state_bytes)) return no_memory();
  PreparedKernel* prepared = kernel.create(state.data());
  const CheckedSize most = prepared->operator_bytes(step);
  demand->least = larger(demand->least, demand->used + most);
  kernels::PackingMemory memory(packer);
  Status status;
  if (!demand->least.within(limit)) {
    // The session is too large already.
  } else if (!memory.allocate(most)) {
    status = no_memory();
  } else {
    kernels::OperatorPool pool(memory.data(), static_cast<size_t>(most.value()));
    const kernels::OperatorPool::Scope scope(&pool);
    status = prepared->prepare(step, packer);
    demand->used += pool.used();
  }
  prepared->~PreparedKernel();
  return status;
}

}  // namespace

Program::~Program() {
  for (size_t i = 0; kernels::kPreparedKernels && steps_ != nullptr && i < op_count(); ++i) {
    if (prepared(i) != nullptr) prepared(i)->~PreparedKernel();
  }
}

Status Program::name_op(const Status& status, const kernels::Step& step) const {
  return status.with_prefix("%s: op %u (%s %s)", name(), static_cast<unsigned>(step.index), format::name_of(step.kind),
                            step.name);
}

void Program::read(size_t index, kernels::Step* step) const {
  reader_.read(index, steps_ == nullptr ? nullptr : steps_[index].kernel, setup_.operands, step);
  if (steps_ == nullptr) return;
  step->scratch = arena_ == nullptr ? nullptr : arena_ + size_t{steps_[index].scratch} * kTensorAlignment;
}

const fig_op* Program::kernel_of(size_t index, const kernels::Step& step) const {
  return steps_ == nullptr ? kernels::find_kernel(step, setup_.kernels) : steps_[index].kernel;
}

Status Program::lay_out(const ProgramSetup& setup, size_t program, size_t batch, Block* block) {
  setup_ = setup;
  batch_ = batch;
  planned_batch_ = batch;
  const format::ProgramView view = setup.model->program(program);
  any_batch_ = view.updates();
  const size_t tensors = view.tensor_count();
  Step* steps = block->array<Step>(view.op_count());
  if (setup.threads != nullptr) times_ = block->array<kernels::Team::Times>(view.op_count());
  addresses_ = block->array<void*>(tensors);
  inputs_ = block->array<Port>(view.input_count());
  outputs_ = block->array<Port>(view.output_count());
  targets_ = block->array<Target>(view.output_count());
  const bool placed = !block->measures() && !block->overflowed();
  // Until the tensors have their addresses, those of the file serve.
  reader_ = StepReader(setup.model, program, &batch_, nullptr);
  reader_.set(setup.threads, setup.training, any_batch_);
  for (size_t i = 0; i < tensors; ++i) {
    const format::TensorView tensor = view.tensor(i);
    if (!element_count(tensor.type.shape, batch).within(kMaxElements)) {
      return Status::error(StatusCode::kInvalidArgument,
                           "%s: batch %zu is too large: tensor %s would have too many elements", view.name(), batch,
                           tensor.name);
    }
    if (!tensor.type.constant) continue;
    const auto constant = static_cast<size_t>(tensor.constant);
    const bool variable = tensor.type.variable && setup.training;
    const void* data = setup.model->constant_data(constant);
    if (!variable && data == nullptr) {
      return Status::error(StatusCode::kInvalidArgument,
                           "%s: variable %s has no value in the file: create the session for training", view.name(),
                           setup.model->constant(constant).name);
    }
    if (placed) addresses_[i] = variable ? setup.variables[constant] : const_cast<void*>(data);
  }
  for (size_t i = 0; i < view.op_count(); ++i) {
    kernels::Step step;
    read(i, &step);
    if (step.kind == OpKind::kBatchNormStatistics) {
      const Extents sample = resolve_extents(view.tensor(view.op_inputs(i)[0]).type.shape, 1);
      if (sample.elements() == sample[sample.rank() - 1]) least_batch_ = 2;
    }
    const fig_op* kernel = kernels::find_kernel(step, setup.kernels);
    if (kernel == nullptr) {
      return name_op(Status::error(StatusCode::kUnsupported, "this program was linked without a kernel for it"), step);
    }
    void* state = !kernels::kPreparedKernels || kernel->create == nullptr
                      ? nullptr
                      : block->take(kernel->state_bytes, alignof(std::max_align_t));
    if (placed && !block->overflowed()) {
      PreparedKernel* made = state == nullptr ? nullptr : kernel->create(state);
      steps[i] = {kernel, 0, made};
    }
  }
  if (block->measures() || block->overflowed()) return {};
  steps_ = steps;
  reader_ = StepReader(setup.model, program, &batch_, addresses_);
  reader_.set(setup.threads, setup.training, any_batch_);
  for (size_t i = 0; i < view.input_count(); ++i) inputs_[i] = read_port(view.input(i));
  for (size_t i = 0; i < view.output_count(); ++i) {
    outputs_[i] = read_port(view.output(i));
    outputs_[i].direct_step = find_direct_step(outputs_[i]);
  }
  return {};
}

Port Program::read_port(const PortView& view) const {
  Port port;
  port.name = view.name;
  port.tensor = view.tensor;
  port.sample_elements = resolve_extents(view.shape, 1).elements();
  for (const Dimension& dimension : view.shape) port.per_batch = port.per_batch || dimension.per_batch;
  port.batch_first = view.shape.rank() > 0 && view.shape[0].per_batch;
  // The layouts agree if the dimensions of more than one element keep their order.
  port.integers = view.integers;
  port.least = view.least;
  port.greatest = view.greatest;
  port.same_layout = true;
  uint32_t previous = 0;
  for (uint32_t axis : view.permutation) {
    const Dimension& dimension = view.shape[axis];
    if (dimension.extent == 1 && (!dimension.per_batch || planned_batch_ == 1)) continue;
    if (axis < previous) port.same_layout = false;
    previous = axis;
  }
  return port;
}

// The step that can write an output port's tensor straight to the caller, or -1: the layouts agree and nothing reads
// the tensor.
int32_t Program::find_direct_step(const Port& port) const {
  if (!port.same_layout) return -1;
  size_t ports = 0;
  for (size_t i = 0; i < view().output_count(); ++i) ports += view().output(i).tensor == port.tensor ? 1 : 0;
  if (ports != 1) return -1;
  int32_t found = -1;
  for (size_t i = 0; i < op_count(); ++i) {
    for (uint32_t tensor : view().op_inputs(i)) {
      if (tensor == port.tensor) return -1;
    }
    if (view().op_output(i) == port.tensor) found = static_cast<int32_t>(i);
  }
  const bool reads = steps_ != nullptr && found >= 0 && prepared(static_cast<size_t>(found)) != nullptr &&
                     prepared(static_cast<size_t>(found))->reads_output();
  return reads ? -1 : found;
}

// Whether the tensor is always in the caller's memory.
bool Program::is_given(uint32_t tensor) const {
  for (size_t i = 0; setup_.outputs_given && i < view().output_count(); ++i) {
    const PortView output = view().output(i);
    if (output.tensor == tensor) return find_direct_step(read_port(output)) >= 0;
  }
  return false;
}

Status Program::measure_operators(kernels::Packer* packer, uint64_t limit, OperatorDemand* demand) {
  for (size_t i = 0; kernels::kPreparedKernels && i < op_count(); ++i) {
    kernels::Step step;
    read(i, &step);
    const fig_op* kernel = kernel_of(i, step);
    if (kernel->create == nullptr) continue;
    if (Status status = measure_operator(*kernel, step, packer, limit, demand); !status.ok()) {
      return name_op(status, step);
    }
    if (!demand->least.within(limit)) return {};
  }
  return {};
}

Status Program::prepare(kernels::Packer* packer, kernels::OperatorPool* pool, CheckedSize* least) {
  const kernels::OperatorPool::Scope scope(pool);
  for (size_t i = 0; kernels::kPreparedKernels && i < op_count(); ++i) {
    if (prepared(i) == nullptr) continue;
    kernels::Step step;
    read(i, &step);
    const CheckedSize most = prepared(i)->operator_bytes(step);
    *least = larger(*least, most + pool->used());
    if (!most.within(pool->left())) {
      return name_op(Status::error(StatusCode::kMemoryLimit, "no room for its operators"), step);
    }
    if (Status status = prepared(i)->prepare(step, packer); !status.ok()) return name_op(status, step);
  }
  return {};
}

size_t Program::planning_bytes() const { return ProgramPlan::bytes(view()); }

bool Program::find_carried(plan::Arena* size) const {
  for (size_t i = 0; i < view().plan_count(); ++i) {
    const format::PlanView carried = view().plan(i);
    if (carried.batch != planned_batch_) continue;
    *size = {carried.arena_size, 0};
    return true;
  }
  return false;
}

Status Program::plan(Block memory, void* arena, plan::Arena* size) {
  ProgramPlan plan;
  if (!plan.allocate(view(), &memory)) return Status::error(StatusCode::kInternal, "no memory to plan in");
  for (size_t i = 0; i < view().input_count(); ++i) {
    const uint32_t tensor = view().input(i).tensor;
    Operand operand;
    reader_.read_operand(tensor, &operand);
    plan.add_input(tensor, operand.bytes());
  }
  for (size_t i = 0; i < op_count(); ++i) {
    kernels::Step step;
    read(i, &step);
    const fig_op* kernel = kernel_of(i, step);
    const CheckedSize scratch = kernel->scratch == nullptr ? CheckedSize() : kernel->scratch(step);
    if (!scratch.within(SIZE_MAX / 2))
      return name_op(Status::error(StatusCode::kOutOfMemory, "no memory for its intermediate values"), step);
    // A kernel with a state may read its output, and needs it here.
    const bool given = kernel->create == nullptr && is_given(view().op_output(i));
    plan.add_op(i, step, given, kernel->in_place, static_cast<size_t>(scratch.value()));
  }
  FIGMENT_RETURN_IF_ERROR(plan.find(planned_batch_, size));
  if (steps_ == nullptr) return {};
  arena_ = static_cast<unsigned char*>(arena);
  arena_bytes_ = size->size;
  for (size_t i = 0; i < view().tensor_count(); ++i) {
    if (const uint64_t offset = plan.offset(i); offset != ProgramPlan::kNone) addresses_[i] = arena_ + offset;
  }
  for (size_t i = 0; i < op_count(); ++i) {
    const uint64_t offset = plan.scratch_offset(i);
    steps_[i].scratch = offset == ProgramPlan::kNone ? 0 : static_cast<uint32_t>(offset / kTensorAlignment);
  }
  return {};
}

Status Program::bind() {
  for (size_t i = 0; i < view().output_count(); ++i) {
    targets_[i] = {addresses_[outputs_[i].tensor], nullptr, addresses_[outputs_[i].tensor]};
  }
  for (size_t i = 0; kernels::kPreparedKernels && i < op_count(); ++i) {
    if (prepared(i) == nullptr) continue;
    kernels::Step step;
    read(i, &step);
    if (Status status = prepared(i)->bind(step); !status.ok()) return name_op(status, step);
  }
  return {};
}

Status Program::resize(size_t batch) {
  if (batch == batch_) return {};
  if (!any_batch_ || batch < 1 || batch > planned_batch_) {
    return Status::error(StatusCode::kInternal, "a program planned for %zu samples was asked for %zu", planned_batch_,
                         batch);
  }
  // What an op takes grows with the batch.
  const float growth = static_cast<float>(batch) / static_cast<float>(batch_);
  batch_ = batch;
  for (size_t i = 0; kernels::kPreparedKernels && i < op_count(); ++i) {
    if (prepared(i) == nullptr) continue;
    kernels::Step step;
    read(i, &step);
    if (Status status = prepared(i)->resize(step); !status.ok()) return name_op(status, step);
  }
  for (size_t i = 0; times_ != nullptr && i < op_count(); ++i) {
    times_[i].alone *= growth;
    times_[i].together *= growth;
  }
  // Kernels may have been bound to the arena again.
  for (size_t i = 0; i < view().output_count(); ++i) targets_[i].bound = nullptr;
  return {};
}

// Outputs to where they are wanted. A prepared kernel keeps the address that it was told last.
Status Program::aim_outputs() {
  for (const Port& port : outputs()) {
    if (port.direct_step < 0) continue;
    Target& target = targets_[&port - outputs_];
    void* address = target.wanted == nullptr ? target.home : target.wanted;
    addresses_[port.tensor] = address;
    PreparedKernel* kernel = prepared(static_cast<size_t>(port.direct_step));
    if (kernel == nullptr || target.bound == address) continue;
    target.bound = address;
    kernels::Step step;
    read(static_cast<size_t>(port.direct_step), &step);
    FIGMENT_RETURN_IF_ERROR(kernel->bind(step));
  }
  return {};
}

Status Program::run() {
  const Status aimed = aim_outputs();
  skipped_ = 0;
  const size_t count = op_count();
  for (size_t i = 0; aimed.ok() && i < count;) {
    if (is_update(i)) {
      i = run_updates(i);
    } else {
      run_step(i++);
    }
  }
  for (const Port& port : outputs()) {
    if (port.direct_step < 0) continue;
    Target& target = targets_[&port - outputs_];
    target.wanted = nullptr;
    addresses_[port.tensor] = target.home;
  }
  return aimed;
}

void Program::run_step(size_t index) {
  const Step& entry = steps_[index];
  const bool timed = platform::kHasThreads && times_ != nullptr;
  if (timed) setup_.threads->begin(times_[index]);
  if (PreparedKernel* kernel = prepared(index)) {
    kernel->run();
  } else {
    kernels::Step step;
    read(index, &step);
    entry.kernel->run(step);
  }
  if (timed) setup_.threads->end(&times_[index]);
  if (observer_.show != nullptr && !is_update(index)) {
    observer_.show(observer_.context, static_cast<uint32_t>(reader_.program()), static_cast<uint32_t>(index),
                   addresses_[view().op_output(index)]);
  }
}

void Program::compute_function(size_t op, const float* values, float* results, size_t count) {
  kernels::Step step;
  read(op, &step);
  const Extents shape = {count};
  step.inputs[0].shape = shape;
  step.inputs[0].data = const_cast<float*>(values);  // inputs are only read
  step.output.shape = shape;
  step.output.data = results;
  steps_[op].kernel->run(step);
}

size_t Program::run_updates(size_t first) {
  size_t end = first;
  bool finite = true;
  for (; end < op_count() && is_update(end); ++end) {
    if ((format::traits_of(steps_[end].kernel->kind) & format::kGuards) == 0) continue;
    Operand gradient;
    reader_.read_operand(view().op_inputs(end)[1], &gradient);
    finite = finite && all_finite(gradient.data, gradient.elements());
  }
  if (!finite) ++skipped_;
  for (size_t i = first; i < end; ++i) {
    if (finite || (format::traits_of(steps_[i].kernel->kind) & format::kAlways) != 0) run_step(i);
  }
  return end;
}

const char* Program::kernel_name(size_t op) const {
  return prepared(op) == nullptr ? steps_[op].kernel->name : prepared(op)->name();
}

bool Program::placement(size_t tensor, Placement* out) const {
  const format::TensorView found = view().tensor(tensor);
  if (found.type.constant) return false;
  const auto end = static_cast<uint32_t>(op_count() + 1);
  *out = {};
  out->bytes = element_count(found.type.shape, planned_batch_).value() * format::element_size(found.type.type);
  // Inputs are written before step 0; op i is step i + 1; outputs are read after the last.
  for (uint32_t i = 0; i < op_count(); ++i) {
    if (view().op_output(i) == tensor) out->first = out->last = i + 1;
    for (uint32_t input : view().op_inputs(i)) {
      if (input == tensor) out->last = i + 1;
    }
  }
  for (size_t i = 0; i < view().output_count(); ++i) {
    if (outputs_[i].tensor == tensor) out->last = end;
  }
  out->offset = static_cast<uint64_t>(static_cast<const unsigned char*>(addresses_[tensor]) - arena_);
  return true;
}

bool Program::scratch_placement(size_t op, Placement* out) const {
  kernels::Step step;
  read(op, &step);
  const uint64_t bytes = steps_[op].kernel->scratch == nullptr ? 0 : steps_[op].kernel->scratch(step).value();
  const auto time = static_cast<uint32_t>(op + 1);
  *out = {uint64_t{steps_[op].scratch} * kTensorAlignment, bytes, time, time};
  return bytes > 0;
}

}  // namespace figment
