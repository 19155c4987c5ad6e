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

void ProgramView::read_attributes(size_t i, const attribute_rule::Group& group, Attributes* attributes) const {
  const schema::Op* op = op_at(program_, i);
  *attributes = {};
  attributes->clamp_min = op->clamp_min();
  attributes->clamp_max = op->clamp_max();
  group.read(*op, units_, attributes);
}

}  // namespace figment::format
