// How an op runs. A kernel is chosen, prepared and bound once, when a session is created; after that `run` neither
// allocates nor fails. Preconditions on shapes and types are those of format/op.h and have been verified.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/checked.h"
#include "core/shape.h"
#include "core/status.h"
#include "format/op.h"

struct pthreadpool;  // pthreadpool.h

namespace figment::kernels {

using format::Attributes;
using format::DataType;
using format::OpKind;
using format::Quantization;
using format::Window;

class PackedWeights;  // xnnpack/packed_weights.h

// A tensor for one batch: dense, row-major, kReadablePadding readable bytes behind it. `data` of a constant is
// always set; of planned memory, from Kernel::bind on.
struct Operand {
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

// One op with its operands, as a kernel sees it.
struct Step {
  OpKind kind{};
  const char* name = "";
  Attributes attributes;
  std::span<Operand> inputs;
  Operand output;
  void* scratch = nullptr;  // the kernel's scratch_bytes(), from bind on
  uint32_t program = 0;     // identify the op within its model
  uint32_t index = 0;
  bool any_batch = false;  // may be resized to fewer samples

  bool has_bias() const { return inputs.size() == 3; }
};

// What a kernel may use while it is prepared.
struct Environment {
  pthreadpool* threads = nullptr;    // nullptr: the calling thread alone
  PackedWeights* weights = nullptr;  // of the model
};

class Kernel {
 public:
  Kernel() = default;
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;
  virtual ~Kernel() = default;

  // What runs, once prepared, for reports: "portable", "xnnpack convolution", ...
  virtual const char* name() const = 0;
  // Bytes that `prepare` will take from the environment's pool for `step`, at most.
  virtual CheckedSize pool_bytes(const Step& /*step*/) const { return 0; }
  // Acquires everything but operands in planned memory. Called once. kOutOfMemory, kMemoryLimit, kInternal.
  virtual Status prepare(const Step& step, const Environment& environment) = 0;
  // Bytes of planned memory that `run` may write; constant after `prepare`.
  virtual size_t scratch_bytes() const { return 0; }
  // The operands' addresses are final. Called once, after `prepare`; `step` outlives the kernel.
  virtual Status bind(const Step& step) = 0;
  // The shapes in `step` are those of fewer samples than, or of as many as, it was prepared for; addresses are the
  // same. Never allocates. Called for steps with any_batch only.
  virtual Status resize(const Step& /*step*/) { return {}; }
  virtual void run() = 0;
};

// A kernel's line in the table.
struct KernelEntry {
  OpKind kind;
  // Whether the kernel can run the step; a pure function of shapes, types, attributes and instruction set.
  bool (*accepts)(const Step& step);
  // Places a kernel into `memory` of kMaxKernelBytes.
  Kernel* (*create)(void* memory);
  // Whether the output may be the same memory as input 0 (or, for `either_input`, 0 or 1) of equal size.
  enum class InPlace : uint8_t { kNo, kFirstInput, kEitherInput } in_place;
};

inline constexpr size_t kMaxKernelBytes = 256;

enum class KernelSet : uint8_t { kBest, kPortable };

// The table's entry for a step: the first that accepts it, the portable kernel at the latest. `set` restricts the
// choice. nullptr when no kernel runs the step (only possible if a verified file met a table without its op).
const KernelEntry* find_kernel(const Step& step, KernelSet set);

// "xnnpack" or "portable": which kernels `set` stands for in this build.
const char* kernel_set_name(KernelSet set);

}  // namespace figment::kernels
