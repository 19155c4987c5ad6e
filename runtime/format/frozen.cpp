#include "format/frozen.h"

#include "format/bytes.h"

namespace figment::format {

namespace {

constexpr uint64_t kMostLookUps = uint64_t{1} << 26;

uint64_t bytes_of(const ConstantView& constant) { return constant.bytes + constant.quantization.scales.size_bytes(); }

void add_shape(const ConstantView& constant, Hash* hash) {
  for (const Dimension& dimension : constant.shape) hash->add_number(dimension.extent, 4);
}

void add_values(const ConstantView& constant, Hash* hash) {
  hash->add(constant.quantization.scales.data(), constant.quantization.scales.size_bytes());
  hash->add(constant.data, constant.bytes);
}

bool is_trained_with(const ModelView& model, size_t constant) {
  for (size_t p = 0; p < model.program_count(); ++p) {
    const ProgramView program = model.program(p);
    if (!program.updates()) continue;
    for (size_t i = 0; i < program.tensor_count(); ++i) {
      if (program.constant_of(i) == static_cast<int32_t>(constant)) return true;
    }
  }
  return false;
}

}  // namespace

uint64_t frozen_hash(const ModelView& model, const ProgramView& program) {
  // As much as all constants are.
  uint64_t left = 0;
  for (size_t i = 0; i < model.constant_count(); ++i) left += bytes_of(model.constant(i));
  Hash hash;
  for (size_t i = 0; i < program.tensor_count(); ++i) {
    const int32_t index = program.constant_of(i);
    if (index < 0) continue;
    const ConstantView constant = model.constant(static_cast<size_t>(index));
    if (constant.variable) continue;
    add_shape(constant, &hash);
    if (bytes_of(constant) > left) continue;
    left -= bytes_of(constant);
    add_values(constant, &hash);
  }
  return hash.value();
}

uint64_t frozen_weights_hash(const ModelView& model) {
  uint64_t looks = 0;
  for (size_t p = 0; p < model.program_count(); ++p)
    looks += model.program(p).tensor_count() + model.program(p).op_count();
  uint64_t sum = 0;
  uint64_t looked_up = 0;
  for (size_t i = 0; i < model.constant_count() && looked_up < kMostLookUps; ++i) {
    const ConstantView constant = model.constant(i);
    if (constant.variable || constant.data == nullptr || element_count(constant.shape, 1).value() < 2) continue;
    looked_up += looks;
    if (!is_trained_with(model, i)) continue;
    Hash hash;
    add_shape(constant, &hash);
    add_values(constant, &hash);
    sum += hash.value();
  }
  return sum;
}

}  // namespace figment::format
