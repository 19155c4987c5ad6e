// The int8 form of what a session has trained: the file that the model carries for it, with new ranges and weights.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/status.h"
#include "format/int8_parameters.h"
#include "format/model_view.h"
#include "session/session.h"

namespace figment {

class Requantizer {
 public:
  // kNotFound if the model carries no int8 form; kInvalidArgument if the session does not train, or was created without
  // the program that int8 follows; kBadFile.
  static Result<Requantizer> of(Session* session);

  // Of the file, and of the memory that `write` takes for it.
  size_t model_bytes() const { return form_.model.size(); }
  CheckedSize memory_bytes() const;

  // The file, at the beginning of `memory`, which is aligned to kTensorAlignment and has memory_bytes().
  // kInvalidArgument if a value is NaN or infinite, kUnsupported if int8 cannot hold the values, kBadFile.
  Status write(void* memory);

 private:
  Requantizer(Session* session, Program* program, const format::RequantizationView& form,
              const format::ModelView& target)
      : session_(session), program_(program), form_(form), target_(target) {}

  // In the caller's memory.
  struct Memory {
    uint8_t* out = nullptr;   // the file
    float* ranges = nullptr;  // of each the greatest values of samples, descending, and those of their negatives
    float* table = nullptr;   // arguments of a function, and behind them its values
    float* inputs = nullptr;  // a batch
    // By tensor of the program that int8 follows: the number of its range, and the first tensor that follows it.
    uint32_t* range_of = nullptr;
    uint32_t* first_follower = nullptr;
    // By tensor of the int8 program: the next that follows the same, and the op that computes it, or first reads it.
    uint32_t* next_follower = nullptr;
    uint32_t* op_of = nullptr;
  };

  // What lies where in `memory`; the bytes of it alone where that is nullptr.
  CheckedSize place(void* memory, Memory* placed) const;
  void index_tensors();
  size_t range_count() const;
  size_t input_elements() const;
  size_t tail() const;
  Status run(size_t first);
  Status find_ranges();
  Status set_ranges();
  Status set_values();
  Status set_scalings();
  Status set_followers(uint32_t source, const float* values);
  Status set_linear(uint32_t from, uint32_t to);
  Status set_table(uint32_t from, uint32_t to);
  Status set_constant(uint32_t tensor, uint32_t reader, const float* values, size_t count);
  Status set_quantization(uint32_t tensor, format::QuantParameters parameters);
  format::QuantParameters quantization_of(uint32_t tensor) const;

  // Where the copy that is written holds what the form holds at `at`. The form alone says where things are: what is
  // written may be anything, and is read as numbers alone.
  template <typename T>
  T* written(const T* at) const {
    return reinterpret_cast<T*>(memory_.out + (reinterpret_cast<const uint8_t*>(at) - form_.model.data()));
  }

  Session* session_;
  Program* program_;
  format::RequantizationView form_;
  format::ModelView target_;  // the form's own model

  Memory memory_;
};

}  // namespace figment
