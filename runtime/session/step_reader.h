// Steps as kernels see them, read from the file for one batch each time that they are needed: a session keeps of an op
// only what the file does not have.
#pragma once

#include <cstdint>

#include "format/model_view.h"
#include "kernels/kernel.h"

namespace figment {

class StepReader {
 public:
  StepReader() = default;
  // `batch` is read at each call. `addresses` are those of the program's tensors; nullptr: constants have those of the
  // file, all else none.
  StepReader(const format::ModelView* model, size_t program, const size_t* batch, void* const* addresses)
      : model_(model), view_(model->program(program)), program_(program), batch_(batch), addresses_(addresses) {}

  // Of the ops that a program runs.
  void set(kernels::Team* threads, bool training, bool any_batch) {
    threads_ = threads;
    training_ = training;
    any_batch_ = any_batch;
  }

  const format::ProgramView& view() const { return view_; }
  size_t program() const { return program_; }

  // Op `index`; its inputs are put into `operands`, which has room for format::kMaxOperands or as many as it has.
  // `kernel`: what runs the op, where that is known.
  void read(size_t index, const fig_op* kernel, kernels::Operand* operands, kernels::Step* step) const;
  void read_operand(size_t tensor, kernels::Operand* operand) const;

 private:
  const format::ModelView* model_ = nullptr;
  format::ProgramView view_;
  size_t program_ = 0;
  const size_t* batch_ = nullptr;
  void* const* addresses_ = nullptr;
  kernels::Team* threads_ = nullptr;
  bool training_ = false;
  bool any_batch_ = false;
};

}  // namespace figment
