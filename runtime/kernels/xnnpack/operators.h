// Fully connected and convolution operators for f32 and i8 behind one face, for the kernels built on them: XNNPACK's,
// or our own product where that is faster (f32 fully connected with AVX-512).
#pragma once

#include <xnnpack.h>

#include <cstddef>
#include <cstdint>

#include "core/status.h"
#include "kernels/avx512/gemm.h"
#include "kernels/kernel.h"
#include "kernels/xnnpack/packing.h"
#include "kernels/xnnpack/preconditions.h"

namespace figment::kernels {

// kInternal or kOutOfMemory for what XNNPACK says.
Status xnnpack_status(xnn_status status, const char* what);

// The threads that a step of `operations` multiply-adds runs on: below about a million the hand-over costs more than
// it saves.
Team* threads_for(size_t operations, const Step& step);

// Everything of a linear step but its geometry.
struct Weights {
  DataType type = DataType::kF32;
  const void* kernel = nullptr;   // [O, ...]
  const void* bias = nullptr;     // [O], f32 or i32; may be nullptr
  const float* scales = nullptr;  // i8: one per output channel
  Quantization input;
  Quantization output;
  float min = 0;  // real bounds of the result
  float max = 0;
};

// The weights of a fully connected or convolution step.
Weights weights_of(const Step& step);

// Owns an operator and its view of the packed weights.
class LinearOperator {
 public:
  LinearOperator() = default;
  ~LinearOperator();
  LinearOperator(const LinearOperator&) = delete;
  LinearOperator& operator=(const LinearOperator&) = delete;

  // Bytes that creating and reshaping takes from the pool, at most, beside indirection buffers and zeros; the scales of
  // an int8 operator's `outputs` are copied.
  static constexpr size_t kPoolBytes = 4096;
  static CheckedSize pool_bytes(DataType type, CheckedSize outputs) {
    constexpr size_t kAlignment = 256;
    return type == DataType::kF32 ? CheckedSize(kPoolBytes) : outputs * sizeof(float) + (kPoolBytes + kAlignment);
  }

  // `weights` is read by create_* only, between begin and end, and not at all if packing().packed().
  Packing& packing() { return packing_; }

  // `rows` of `inputs` values to as many of `outputs` values.
  Status create_fully_connected(const Weights& weights, size_t inputs, size_t outputs, size_t rows);
  Status reshape_fully_connected(Team* threads);

  // Reshaping what violates a condition of preconditions.h is kInternal.
  // Images of `channels` to images of `outputs` whose pixels are `output_stride` apart.
  Status create_convolution(const Weights& weights, const Window& window, size_t channels, size_t outputs,
                            size_t output_stride);
  Status reshape_convolution(const Window& window, size_t batch, size_t height, size_t width, Team* threads);

  Status create_deconvolution(const Weights& weights, const Window& window, size_t channels, size_t outputs);
  Status reshape_deconvolution(const Window& window, size_t batch, size_t height, size_t width, Team* threads);

  // What runs, once created.
  const char* kernel_name() const;

  // Sets the operands' addresses; cheap.
  Status setup(const void* input, void* output);
  void run();

 private:
  enum class Kind : uint8_t { kProduct, kFullyConnected, kConvolution, kDeconvolution };

  Status create_product(const Weights& weights, size_t inputs, size_t outputs);

  xnn_operator_t operator_ = nullptr;  // none for kProduct
  avx512::Product product_;
  size_t rows_ = 0;  // fully connected
  Kind kind_{};
  DataType type_{};
  Team* threads_ = nullptr;
  Packing packing_;
};

}  // namespace figment::kernels
