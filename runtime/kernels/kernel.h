// How an op runs: a row of fig_ops (figment/ops.h). Preconditions on shapes and types are those of format/op.h and have
// been verified.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <type_traits>

#include "core/block.h"
#include "core/build.h"
#include "core/checked.h"
#include "core/shape.h"
#include "core/status.h"
#include "format/op_rule.h"

namespace figment::kernels {

using format::Attributes;
using format::DataType;
using format::OpKind;
using format::Quantization;
using format::Window;

class Packer;  // packed_weights.h
class Team;    // team.h

// A tensor for one batch: dense, row-major, kReadablePadding readable bytes behind it. `data` of a constant is always
// set; of planned memory, once the program is bound to an arena.
struct Operand {
  static constexpr size_t kSmallBytes = 48;

  DataType type = DataType::kF32;
  bool constant = false;  // holds its values all through a run
  bool variable = false;  // and an update may change them
  Extents shape;
  Quantization quantization;
  void* data = nullptr;

  size_t elements() const { return shape.elements(); }
  size_t bytes() const { return elements() * format::element_size(type); }
  const float* f32() const { return static_cast<const float*>(data); }
  const int8_t* i8() const { return static_cast<const int8_t*>(data); }
  const int32_t* i32() const { return static_cast<const int32_t*>(data); }
};
FIGMENT_CHECK_SMALL(Operand);

// One op with its operands, read from the file for one batch.
struct Step {
  OpKind kind{};
  const char* name = "";
  Attributes attributes;
  std::span<Operand> inputs;
  Operand output;
  void* scratch = nullptr;  // the kernel's scratch bytes
  Team* threads = nullptr;  // nullptr: the calling thread alone
  uint32_t program = 0;     // identify the op within its model
  uint32_t index = 0;
  bool any_batch = false;  // may be resized to fewer samples

  bool has_bias() const { return inputs.size() == 3; }
  // Of linear ops and their gradients: whether f32 meets weights in int8.
  bool weights_alone_are_i8() const { return inputs[0].type == DataType::kF32 && inputs[1].type == DataType::kI8; }
};

// A kernel with a state of its own, such as an operator of XNNPACK, which holds all that a run needs: prepared and
// bound when a session is created; after that `run` neither allocates nor fails.
class PreparedKernel {
 public:
  PreparedKernel() = default;
  PreparedKernel(const PreparedKernel&) = delete;
  PreparedKernel& operator=(const PreparedKernel&) = delete;
  virtual ~PreparedKernel() = default;

  // What runs, once prepared, for reports: "xnnpack convolution", ...
  virtual const char* name() const = 0;
  // Bytes that `prepare` will take from the session's operator pool (backend.h) for `step`, at most.
  virtual CheckedSize operator_bytes(const Step& step) const = 0;
  // Whether a run reads its output, and with it the padding behind: then that is never memory of the caller's, which
  // has none.
  virtual bool reads_output() const { return false; }
  // Acquires everything but addresses. Called once. kOutOfMemory, kInternal, and
  // kInvalidArgument where the weights are not packed and may not be.
  virtual Status prepare(const Step& step, Packer* packer) = 0;
  // The operands' addresses, from now on. Called after `prepare`, any number of times.
  virtual Status bind(const Step& step) = 0;
  // The shapes in `step` are those of fewer samples than, or of as many as, it was prepared for; addresses are the
  // same. Never allocates. Called for steps with any_batch only.
  virtual Status resize(const Step& /*step*/) { return {}; }
  virtual void run() = 0;
};

// Whether there are prepared kernels at all: those of XNNPACK. Builds without it have no code for them.
inline constexpr bool kPreparedKernels = FIGMENT_XNNPACK;

// A pointer to one; without them it takes no room.
class NoPreparedKernel {
 public:
  NoPreparedKernel() = default;
  NoPreparedKernel(PreparedKernel* /*kernel*/) {}       // NOLINT(google-explicit-constructor)
  operator PreparedKernel*() const { return nullptr; }  // NOLINT(google-explicit-constructor)
};
using PreparedPointer = std::conditional_t<kPreparedKernels, PreparedKernel*, NoPreparedKernel>;

// Whether a step's output may be the memory of an input of equal size that nothing else reads: of input 0, or of
// either.
enum class InPlace : uint8_t { kNo, kFirstInput, kEitherInput };

// Which kernels a session may use: the best ones, or plain C++ alone.
enum class KernelSet : uint8_t { kBest, kPortable };

}  // namespace figment::kernels

// A way to run an op, as a table of the public header (figment/ops.h) names it. Either a plain function of the step or,
// with `create`, a prepared kernel.
struct fig_op {
  const figment::format::OpRule* rule;
  figment::kernels::OpKind kind;
  figment::kernels::InPlace in_place;
  bool portable;     // belongs to KernelSet::kPortable
  const char* name;  // what runs, for reports; of a plain function
  // Whether it can run the step: a pure function of shapes, types, attributes and instruction set. nullptr: any step.
  bool (*accepts)(const figment::kernels::Step& step);
  // Bytes of planned memory that a run may write, a pure function likewise, and of the number of threads. nullptr:
  // none.
  figment::CheckedSize (*scratch)(const figment::kernels::Step& step);
  // Computes the step. Allocates nothing and cannot fail.
  void (*run)(const figment::kernels::Step& step);
  // Places a prepared kernel into `memory` of `state_bytes`.
  figment::kernels::PreparedKernel* (*create)(void* memory);
  size_t state_bytes;
};

namespace figment::kernels {

// A row for a plain function.
constexpr fig_op plain_kernel(OpKind kind, const char* name, bool (*accepts)(const Step&), void (*run)(const Step&),
                              CheckedSize (*scratch)(const Step&) = nullptr) {
  return {format::rule_for(kind), kind, InPlace::kNo, false, name, accepts, scratch, run, nullptr, 0};
}

// A row for a prepared kernel of that class.
template <typename T>
constexpr fig_op prepared_kernel(OpKind kind, bool (*accepts)(const Step&), InPlace in_place = InPlace::kNo,
                                 CheckedSize (*scratch)(const Step&) = nullptr) {
  return {format::rule_for(kind),
          kind,
          in_place,
          false,
          nullptr,
          accepts,
          scratch,
          nullptr,
          [](void* memory) -> PreparedKernel* { return new (memory) T; },
          sizeof(T)};
}

// The first row of fig_ops that runs the step, among those of `set`; nullptr if the program was linked without one.
const fig_op* find_kernel(const Step& step, KernelSet set);

}  // namespace figment::kernels
