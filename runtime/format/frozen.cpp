#include "format/frozen.h"

namespace figment::format {

namespace {

uint64_t bytes_of(const ConstantView& constant) { return constant.bytes + constant.quantization.scales.size_bytes(); }

}  // namespace

uint64_t frozen_bytes(const ModelView& model) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < model.constant_count(); ++i) {
    const ConstantView constant = model.constant(i);
    bytes += constant.variable ? 0 : bytes_of(constant);
  }
  return bytes;
}

void add_frozen(const ModelView& model, const ProgramView& program, uint64_t* budget, Hash* hash) {
  for (size_t i = 0; i < program.tensor_count(); ++i) {
    const int32_t index = program.constant_of(i);
    if (index < 0) continue;
    const ConstantView constant = model.constant(static_cast<size_t>(index));
    if (constant.variable) continue;
    for (const Dimension& dimension : constant.shape) hash->add_number(dimension.extent, 4);
    if (bytes_of(constant) > *budget) continue;
    *budget -= bytes_of(constant);
    hash->add(constant.quantization.scales.data(), constant.quantization.scales.size_bytes());
    hash->add(constant.data, constant.bytes);
  }
}

}  // namespace figment::format
