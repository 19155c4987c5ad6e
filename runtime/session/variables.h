// What training changes: a session's own copy of the model's variables.
#pragma once

#include <cstdint>

#include "core/checked.h"
#include "core/memory.h"
#include "core/status.h"
#include "format/model_view.h"

namespace figment {

class Variables {
 public:
  // The bytes that `allocate` takes; invalid if they are more than can be counted.
  static CheckedSize needed(const format::ModelView& model, const Array<bool>& wanted);
  // Takes memory for the variables for which wanted[i] is true, i being the constant, and sets them to the values that
  // the file starts with.
  Status allocate(const format::ModelView& model, const Array<bool>& wanted);

  // The values of the model's constant number `constant`; nullptr if it is no variable, or not wanted.
  float* data(size_t constant) const { return constant < data_.size() ? data_[constant] : nullptr; }
  uint64_t bytes() const { return memory_.size(); }

 private:
  Array<float*> data_;  // by constant
  Array<uint8_t> memory_;
};

}  // namespace figment
