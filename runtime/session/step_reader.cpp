#include "session/step_reader.h"

namespace figment {

void StepReader::read_operand(size_t tensor, kernels::Operand* operand) const {
  bool variable = false;
  const int32_t constant =
      view_.resolve(tensor, *batch_, &operand->type, &variable, &operand->shape, &operand->quantization);
  operand->constant = constant >= 0;
  operand->variable = variable && training_;
  if (addresses_ != nullptr) {
    operand->data = addresses_[tensor];
  } else {
    // Kernels only read constants, and change variables only by updates.
    operand->data = constant < 0 ? nullptr : const_cast<void*>(model_->constant_data(static_cast<size_t>(constant)));
  }
}

void StepReader::read(size_t index, const fig_op* kernel, kernels::Operand* operands, kernels::Step* step) const {
  step->kind = view_.op_kind(index);
  // Whether there is one has been verified.
  const format::OpRule* rule = kernel != nullptr ? kernel->rule : format::linked_rule(step->kind);
  step->name = view_.op_name(index);
  view_.read_attributes(index, *rule->attributes, &step->attributes);
  const std::span<const uint32_t> inputs = view_.op_inputs(index);
  for (size_t i = 0; i < inputs.size(); ++i) read_operand(inputs[i], &operands[i]);
  step->inputs = {operands, inputs.size()};
  read_operand(view_.op_output(index), &step->output);
  step->threads = threads_;
  step->program = static_cast<uint32_t>(program_);
  step->index = static_cast<uint32_t>(index);
  step->any_batch = any_batch_;
}

}  // namespace figment
