// The int8 form of what a session has trained: the file that the model carries for it, with new ranges and weights.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/status.h"
#include "format/model_view.h"
#include "session/session.h"

namespace figment {

class Requantizer {
 public:
  // kNotFound if the model carries no int8 form; kInvalidArgument if the session does not train, or was created without
  // the program that int8 follows.
  static Result<Requantizer> of(Session* session);

  // Of the file, and of the memory that `write` takes for it.
  size_t model_bytes() const { return form_.model.size(); }
  CheckedSize memory_bytes() const;

  // The file, at the beginning of `memory`, which is aligned to kTensorAlignment and has memory_bytes().
  // kInvalidArgument if a value is NaN or infinite, kUnsupported if int8 cannot hold the values, kBadFile.
  Status write(void* memory);

 private:
  Requantizer(Session* session, Program* program, const format::RequantizationView& form)
      : session_(session), program_(program), form_(form) {}

  struct Memory;
  bool is_ranged(uint32_t tensor) const;
  size_t range_count() const;
  size_t input_elements() const;
  size_t tail() const;
  Status run(const Memory& memory, size_t first, size_t count);
  Status find_ranges(const Memory& memory);
  Status set_ranges(const Memory& memory);
  Status set_values(const Memory& memory);
  Status set_values_of(size_t from, const Memory& memory);
  Status set_linear(size_t from, size_t to);
  Status set_constant(uint32_t constant, const float* values, size_t count, bool rows);
  Status set_scalings();

  Session* session_;
  Program* program_;
  format::RequantizationView form_;
  uint8_t* file_ = nullptr;  // that is being written
  format::ModelView model_;  // the same
};

}  // namespace figment
