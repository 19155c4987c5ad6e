// What training changes: a session's own copy of the model's variables.
#pragma once

#include <cstdint>

#include "core/block.h"
#include "format/model_view.h"
#include "session/selection.h"

namespace figment {

class Variables {
 public:
  // Takes memory for all variables that keep their values, and for the transient ones that the selected programs use,
  // and sets them to the values that the file starts with.
  void lay_out(const format::ModelView& model, const Selection& selection, Block* block);

  // The values of the model's constant number `constant`; nullptr if it is no variable, or not used.
  float* data(size_t constant) const { return constant < count_ ? data_[constant] : nullptr; }
  float* const* addresses() const { return data_; }

 private:
  float** data_ = nullptr;  // by constant
  size_t count_ = 0;
};

}  // namespace figment
