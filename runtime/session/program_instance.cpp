#include "session/program_instance.h"

#include <cstdio>

#include "core/checked.h"
#include "core/finite.h"

namespace figment {

using format::OpKind;
using format::OpView;
using format::PortView;
using format::ProgramView;
using format::TensorView;
using kernels::KernelEntry;
using kernels::Operand;
using kernels::Step;

namespace {

Status no_memory(const char* what) { return Status::error(StatusCode::kOutOfMemory, "no memory for %s", what); }

Status name_op(const Status& status, const Step& step) {
  char prefix[160];
  std::snprintf(prefix, sizeof prefix, "op %u (%s %s)", step.index, format::name_of(step.kind), step.name);
  return status.with_prefix(prefix);
}

}  // namespace

ProgramInstance::~ProgramInstance() {
  for (kernels::Kernel* kernel : kernels_) {
    if (kernel != nullptr) kernel->~Kernel();
  }
}

Status ProgramInstance::resolve(const format::ModelView& model, size_t program, size_t batch, kernels::KernelSet set,
                                const Variables* variables) {
  model_ = &model;
  program_ = program;
  batch_ = batch;
  planned_batch_ = batch;
  const ProgramView view = model.program(program);
  any_batch_ = view.updates();
  couples_batch_ = view.couples_batch();
  least_batch_ = 1;
  const size_t tensors = view.tensor_count();
  const size_t ops = view.op_count();
  size_t inputs = 0;
  for (size_t i = 0; i < ops; ++i) inputs += view.op(i).inputs.size();
  if (!operands_.allocate(tensors) || !step_inputs_.allocate(inputs) || !step_input_tensors_.allocate(inputs) ||
      !steps_.allocate(ops) || !step_outputs_.allocate(ops) || !entries_.allocate(ops) || !kernels_.allocate(ops) ||
      !kernel_memory_.allocate(ops * kernels::kMaxKernelBytes)) {
    return no_memory("the program's steps");
  }
  for (size_t i = 0; i < tensors; ++i) {
    const TensorView tensor = view.tensor(i);
    if (!element_count(tensor.type.shape, batch).within(kMaxElements)) {
      return Status::error(StatusCode::kInvalidArgument,
                           "batch %zu is too large: tensor %s would have too many elements", batch, tensor.name);
    }
    Operand& operand = operands_[i];
    operand.type = tensor.type.type;
    operand.constant = tensor.type.constant;
    operand.shape = resolve_extents(tensor.type.shape, batch);
    operand.quantization = tensor.type.quantization;
    if (!operand.constant) continue;
    operand.variable = tensor.type.variable && variables != nullptr;
    // Kernels only read constants, and change variables only by updates.
    operand.data = operand.variable ? variables->data(static_cast<size_t>(tensor.constant))
                                    : const_cast<void*>(model.constant(static_cast<size_t>(tensor.constant)).data);
    if (operand.data == nullptr) {
      return Status::error(StatusCode::kInvalidArgument,
                           "variable %s has no value in the file: create the session for training",
                           model.constant(static_cast<size_t>(tensor.constant)).name);
    }
  }
  size_t next = 0;
  for (size_t i = 0; i < ops; ++i) {
    const OpView op = view.op(i);
    Step& step = steps_[i];
    step.kind = op.kind;
    step.name = op.name;
    step.attributes = op.attributes;
    step.program = static_cast<uint32_t>(program);
    step.index = static_cast<uint32_t>(i);
    step.any_batch = any_batch_;
    step.inputs = {step_inputs_.data() + next, op.inputs.size()};
    for (uint32_t tensor : op.inputs) {
      step_inputs_[next] = operands_[tensor];
      step_input_tensors_[next++] = tensor;
    }
    step_outputs_[i] = op.outputs[0];
    step.output = operands_[op.outputs[0]];
    if (op.kind == OpKind::kBatchNormStatistics) {
      const Extents sample = resolve_extents(view.tensor(op.inputs[0]).type.shape, 1);
      if (sample.elements() == sample[sample.rank() - 1]) least_batch_ = 2;
    }
    entries_[i] = kernels::find_kernel(step, set);
    if (entries_[i] == nullptr) {
      return name_op(Status::error(StatusCode::kUnsupported, "no kernel in this build runs it"), step);
    }
    kernels_[i] = entries_[i]->create(kernel_memory_.data() + i * kernels::kMaxKernelBytes);
  }
  return resolve_ports(view, batch);
}

Status ProgramInstance::resolve_ports(const ProgramView& program, size_t batch) {
  if (!inputs_.allocate(program.input_count()) || !outputs_.allocate(program.output_count())) {
    return no_memory("the program's ports");
  }
  const auto fill = [&](const PortView& view, Port* port) {
    port->name = view.name;
    port->tensor = view.tensor;
    port->exporter = resolve_extents(view.shape, batch);
    port->to_ours = view.permutation;
    port->to_exporter = view.permutation;
    port->sample_elements = resolve_extents(view.shape, 1).elements();
    for (const Dimension& dimension : view.shape) port->per_batch = port->per_batch || dimension.per_batch;
    port->batch_first = view.shape.rank() > 0 && view.shape[0].per_batch;
    // The layouts agree if the dimensions of more than one element keep their order.
    port->same_layout = true;
    uint32_t previous = 0;
    for (uint32_t i = 0; i < view.permutation.rank(); ++i) {
      const uint32_t axis = view.permutation[i];
      port->to_exporter[axis] = i;
      if (port->exporter[axis] == 1) continue;
      if (axis < previous) port->same_layout = false;
      previous = axis;
    }
  };
  for (size_t i = 0; i < inputs_.size(); ++i) fill(program.input(i), &inputs_[i]);
  for (size_t i = 0; i < outputs_.size(); ++i) fill(program.output(i), &outputs_[i]);
  return {};
}

const Step* ProgramInstance::largest_step() const {
  const Step* largest = nullptr;
  for (const Step& step : steps_) {
    if (largest == nullptr || step.output.bytes() > largest->output.bytes()) largest = &step;
  }
  return largest;
}

CheckedSize ProgramInstance::pool_bytes() const {
  CheckedSize bytes;
  for (size_t i = 0; i < steps_.size(); ++i) bytes += kernels_[i]->pool_bytes(steps_[i]);
  return bytes;
}

Status ProgramInstance::prepare(const kernels::Environment& environment) {
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (Status status = kernels_[i]->prepare(steps_[i], environment); !status.ok()) return name_op(status, steps_[i]);
  }
  return plan();
}

// Gives each tensor a storage; false when there is no memory. A step's output takes over its input's storage if the
// kernel allows it, the input is as large, planned, and read by no later step and no output port.
bool ProgramInstance::share_memory_in_place() {
  for (size_t i = 0; i < operands_.size(); ++i) storage_[i] = kNoStorage;
  uint32_t next = 0;
  const auto bytes = [&](size_t tensor) {
    return operands_[tensor].elements() * format::element_size(operands_[tensor].type);
  };
  const auto open_storage = [&](uint32_t tensor, uint32_t step) {
    storage_[tensor] = next;
    lifetimes_[next++] = {bytes(tensor) + kReadablePadding, step, step};
  };
  // Inputs are written before step 0; step i of the program is time i + 1; outputs are read after the last.
  const auto end = static_cast<uint32_t>(steps_.size() + 1);
  for (const Port& port : inputs_) open_storage(port.tensor, 0);
  Array<uint32_t> last_reader;
  if (!last_reader.allocate(operands_.size())) return false;
  for (uint32_t i = 0; i < steps_.size(); ++i) {
    const auto first = static_cast<size_t>(steps_[i].inputs.data() - step_inputs_.data());
    for (size_t j = 0; j < steps_[i].inputs.size(); ++j) last_reader[step_input_tensors_[first + j]] = i + 1;
  }
  for (const Port& port : outputs_) last_reader[port.tensor] = end;
  for (uint32_t i = 0; i < steps_.size(); ++i) {
    const uint32_t time = i + 1;
    const uint32_t output = step_outputs_[i];
    const auto first = static_cast<size_t>(steps_[i].inputs.data() - step_inputs_.data());
    const size_t candidates = entries_[i]->in_place == KernelEntry::InPlace::kNo           ? 0
                              : entries_[i]->in_place == KernelEntry::InPlace::kFirstInput ? 1
                                                                                           : steps_[i].inputs.size();
    for (size_t j = 0; j < steps_[i].inputs.size(); ++j) {
      const uint32_t tensor = step_input_tensors_[first + j];
      if (storage_[tensor] != kNoStorage) lifetimes_[storage_[tensor]].last = time;
    }
    for (size_t j = 0; j < candidates && storage_[output] == kNoStorage; ++j) {
      const uint32_t tensor = step_input_tensors_[first + j];
      // An operand that appears twice may be written only element by element, which the ops that allow it do.
      if (storage_[tensor] != kNoStorage && bytes(tensor) == bytes(output) && last_reader[tensor] == time) {
        storage_[output] = storage_[tensor];
      }
    }
    // An update's output is a variable, which has memory of its own.
    if (!operands_[output].constant) {
      if (storage_[output] == kNoStorage) open_storage(output, time);
      lifetimes_[storage_[output]].last = time;
    }
    const size_t scratch = kernels_[i]->scratch_bytes();
    lifetimes_[operands_.size() + i] = {scratch == 0 ? 0 : scratch + kReadablePadding, time, time};
  }
  for (const Port& port : outputs_) lifetimes_[storage_[port.tensor]].last = end;
  return true;
}

Status ProgramInstance::plan() {
  const size_t storages = operands_.size() + steps_.size();
  if (!storage_.allocate(operands_.size()) || !lifetimes_.allocate(storages) || !offsets_.allocate(storages)) {
    return no_memory("the memory plan");
  }
  if (!share_memory_in_place()) return no_memory("the memory plan");
  // Unused entries have no bytes; the planner sees only the others.
  Array<plan::Lifetime> used;
  Array<uint64_t> used_offsets;
  size_t count = 0;
  for (const plan::Lifetime& lifetime : lifetimes_) count += lifetime.bytes > 0 ? 1 : 0;
  if (!used.allocate(count) || !used_offsets.allocate(count)) return no_memory("the memory plan");
  count = 0;
  for (const plan::Lifetime& lifetime : lifetimes_) {
    if (lifetime.bytes > 0) used[count++] = lifetime;
  }
  Result<plan::Arena> arena = plan::plan_memory({used.data(), used.size()}, {used_offsets.data(), used_offsets.size()});
  if (!arena.ok()) return arena.status();
  arena_ = *arena;
  count = 0;
  for (size_t i = 0; i < storages; ++i) offsets_[i] = lifetimes_[i].bytes > 0 ? used_offsets[count++] : 0;
  return plan::check_plan({lifetimes_.data(), storages}, {offsets_.data(), storages}, arena_.size);
}

Status ProgramInstance::bind(void* arena) {
  auto* base = static_cast<uint8_t*>(arena);
  for (size_t i = 0; i < operands_.size(); ++i) {
    if (storage_[i] != kNoStorage) operands_[i].data = base + offsets_[storage_[i]];
  }
  for (size_t i = 0; i < step_inputs_.size(); ++i) step_inputs_[i].data = operands_[step_input_tensors_[i]].data;
  for (size_t i = 0; i < steps_.size(); ++i) {
    steps_[i].output.data = operands_[step_outputs_[i]].data;
    steps_[i].scratch = base + offsets_[operands_.size() + i];
    if (Status status = kernels_[i]->bind(steps_[i]); !status.ok()) return name_op(status, steps_[i]);
  }
  find_direct_outputs();
  return {};
}

Status ProgramInstance::redirect(const Port& port, void* data) {
  const auto index = static_cast<size_t>(port.direct_step);
  if (data == nullptr) data = operands_[port.tensor].data;
  if (steps_[index].output.data == data) return {};
  steps_[index].output.data = data;
  return kernels_[index]->bind(steps_[index]);
}

// A step can write an output port's tensor straight to the caller if the layouts agree and nothing else reads it.
void ProgramInstance::find_direct_outputs() {
  for (Port& port : outputs_) {
    bool alone = port.same_layout;
    for (const Port& other : outputs_) alone = alone && (&other == &port || other.tensor != port.tensor);
    for (uint32_t tensor : step_input_tensors_) alone = alone && tensor != port.tensor;
    for (size_t i = 0; i < steps_.size() && alone; ++i) {
      if (step_outputs_[i] == port.tensor) port.direct_step = static_cast<int32_t>(i);
    }
  }
}

Status ProgramInstance::resize(size_t batch) {
  if (batch == batch_) return {};
  if (!any_batch_ || batch < 1 || batch > planned_batch_) {
    return Status::error(StatusCode::kInternal, "a program planned for %zu samples was asked for %zu", planned_batch_,
                         batch);
  }
  const ProgramView view = model_->program(program_);
  for (size_t i = 0; i < operands_.size(); ++i) operands_[i].shape = resolve_extents(view.tensor(i).type.shape, batch);
  for (size_t i = 0; i < step_inputs_.size(); ++i) step_inputs_[i].shape = operands_[step_input_tensors_[i]].shape;
  for (size_t i = 0; i < inputs_.size(); ++i) inputs_[i].exporter = resolve_extents(view.input(i).shape, batch);
  for (size_t i = 0; i < outputs_.size(); ++i) outputs_[i].exporter = resolve_extents(view.output(i).shape, batch);
  for (size_t i = 0; i < steps_.size(); ++i) {
    steps_[i].output.shape = operands_[step_outputs_[i]].shape;
    if (Status status = kernels_[i]->resize(steps_[i]); !status.ok()) return name_op(status, steps_[i]);
  }
  batch_ = batch;
  return {};
}

void ProgramInstance::run() {
  skipped_ = 0;
  for (size_t i = 0; i < steps_.size();) {
    if (format::is_update(steps_[i].kind)) {
      i = run_updates(i);
    } else {
      kernels_[i++]->run();
    }
  }
}

namespace {

// Whether an update is made only if what it reads at index 1 is finite, like all of its sub-step. Averages read
// variables, which are; sums of gradients are judged when they are used.
bool is_conditional(OpKind kind) { return kind != OpKind::kAccumulateUpdate && kind != OpKind::kClearUpdate; }
bool reads_gradient(OpKind kind) {
  return is_conditional(kind) && kind != OpKind::kCountStep && kind != OpKind::kAverageUpdate;
}

}  // namespace

size_t ProgramInstance::run_updates(size_t first) {
  size_t end = first;
  bool finite = true;
  for (; end < steps_.size() && format::is_update(steps_[end].kind); ++end) {
    if (!reads_gradient(steps_[end].kind)) continue;
    const Operand& gradient = steps_[end].inputs[1];
    finite = finite && all_finite(gradient.data, gradient.elements());
  }
  if (!finite) ++skipped_;
  for (size_t i = first; i < end; ++i) {
    if (finite || !is_conditional(steps_[i].kind)) kernels_[i]->run();
  }
  return end;
}

bool ProgramInstance::placement(size_t tensor, Placement* out) const {
  const uint32_t storage = storage_[tensor];
  if (storage == kNoStorage) return false;
  *out = {offsets_[storage], lifetimes_[storage].bytes - kReadablePadding, lifetimes_[storage].first,
          lifetimes_[storage].last};
  return true;
}

}  // namespace figment
