#include "session/variables.h"

#include <cstring>

namespace figment {

namespace {

// Whether a selected program reads the constant.
bool is_read(const format::ModelView& model, const Selection& selection, size_t constant) {
  for (size_t i = 0; i < model.program_count(); ++i) {
    if (selection.batch_of(model, i) == 0) continue;
    const format::ProgramView program = model.program(i);
    for (size_t j = 0; j < program.tensor_count(); ++j) {
      if (program.constant_of(j) == static_cast<int32_t>(constant)) return true;
    }
  }
  return false;
}

}  // namespace

void Variables::lay_out(const format::ModelView& model, const Selection& selection, Block* block) {
  const size_t count = model.constant_count();
  data_ = block->array<float*>(count);
  for (size_t i = 0; i < count; ++i) {
    const format::ConstantView constant = model.constant(i);
    if (!constant.variable) continue;
    const bool wanted =
        !constant.transient || model.micro_batch_weight() == static_cast<int32_t>(i) || is_read(model, selection, i);
    if (!wanted) continue;
    void* memory = block->take(CheckedSize(constant.bytes) + kReadablePadding);
    if (memory == nullptr) continue;
    std::memset(memory, 0, constant.bytes + kReadablePadding);
    if (constant.data != nullptr) std::memcpy(memory, constant.data, constant.bytes);
    data_[i] = static_cast<float*>(memory);
  }
  if (data_ != nullptr) count_ = count;
}

}  // namespace figment
