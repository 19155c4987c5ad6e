// What a session reads of an op each time that it runs: kept apart, as it is worth the size of fast code.
#include "format/schema_access.h"

namespace figment::format {

OpKind ProgramView::op_kind(size_t i) const { return static_cast<OpKind>(op_at(program_, i)->kind()); }

std::span<const uint32_t> ProgramView::op_inputs(size_t i) const { return indices(op_at(program_, i)->inputs()); }

uint32_t ProgramView::op_output(size_t i) const { return op_at(program_, i)->outputs()->Get(0); }

const char* ProgramView::op_name(size_t i) const { return text(op_at(program_, i)->name()); }

int32_t ProgramView::resolve(size_t i, size_t batch, DataType* type, bool* variable, Extents* shape,
                             Quantization* quantization) const {
  const schema::Tensor* tensor = program_->tensors()->Get(static_cast<uint32_t>(i));
  const int32_t index = tensor->constant();
  *shape = {};
  if (index >= 0) {
    const schema::Constant* constant = model_->constants()->Get(static_cast<uint32_t>(index));
    *type = static_cast<DataType>(constant->type());
    *variable = constant->variable();
    for (uint32_t d = 0; d < length(constant->shape()); ++d) shape->push_back(constant->shape()->Get(d));
    *quantization = quantization_of(constant->quantization());
    return index;
  }
  *type = static_cast<DataType>(tensor->type());
  *variable = false;
  for (uint32_t d = 0; d < length(tensor->shape()); ++d) {
    const schema::Dimension* dimension = tensor->shape()->Get(d);
    shape->push_back(extent_at(*dimension, units_) * (dimension->per_batch() ? batch : 1));
  }
  *quantization = quantization_of(tensor->quantization());
  return -1;
}

void ProgramView::read_attributes(size_t i, Attributes* attributes) const {
  const schema::Op* op = op_at(program_, i);
  Attributes& result = *attributes;
  result = {};
  result.clamp_min = op->clamp_min();
  result.clamp_max = op->clamp_max();
  if (const auto* window = op->attributes_as_WindowAttributes()) {
    copy_list(window->kernel(), &result.window.kernel);
    copy_list(window->stride(), &result.window.stride);
    copy_list(window->dilation(), &result.window.dilation);
    copy_list(window->padding(), &result.window.padding);
    copy_list(window->output_padding(), &result.window.output_padding);
    result.window.groups = window->groups();
    result.window.count_padding = window->count_padding();
  } else if (const auto* axes = op->attributes_as_AxesAttributes()) {
    result.axes = list(axes->axes());
  } else if (const auto* transpose = op->attributes_as_TransposeAttributes()) {
    result.permutation = list(transpose->permutation());
  } else if (const auto* slice = op->attributes_as_SliceAttributes()) {
    result.starts = list(slice->starts());
    for (uint32_t d = 0; d < length(slice->growth()); ++d)
      result.starts[d] = static_cast<uint32_t>(int64_t{result.starts[d]} + int64_t{slice->growth()->Get(d)} * units_);
    result.steps = list(slice->steps());
  } else if (const auto* pad = op->attributes_as_PadAttributes()) {
    result.before = list(pad->before());
    result.after = list(pad->after());
    result.pad_mode = static_cast<PadMode>(pad->mode());
    result.pad_value = pad->value();
  } else if (const auto* alpha = op->attributes_as_AlphaAttributes()) {
    result.alpha = alpha->alpha();
  } else if (const auto* matmul = op->attributes_as_MatmulAttributes()) {
    result.transpose_a = matmul->transpose_a();
    result.transpose_b = matmul->transpose_b();
  } else if (const auto* function = op->attributes_as_FunctionAttributes()) {
    result.function = static_cast<OpKind>(function->function());
    result.alpha = function->alpha();
  } else if (const auto* recurrent = op->attributes_as_RecurrentAttributes()) {
    result.linear_before_reset = recurrent->linear_before_reset();
    result.recurrent_gradient = static_cast<RecurrentGradient>(recurrent->gradient());
  } else if (const auto* group_norm = op->attributes_as_GroupNormAttributes()) {
    result.groups = group_norm->groups();
    result.alpha = group_norm->epsilon();
  }
}

}  // namespace figment::format
