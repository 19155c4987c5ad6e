// The loops of int8 elements and of conversions between them and f32; format/quantized.h defines the arithmetic.
#pragma once

#include <cstddef>
#include <cstdint>

#include "format/quantized.h"
#include "kernels/kernel.h"

namespace figment::kernels {

// `table` has 256 entries, indexed by x + 128.
inline void lookup(const int8_t* x, const int8_t* table, int8_t* out, size_t count) {
  table += 128;
  for (size_t i = 0; i < count; ++i) out[i] = table[x[i]];
}

inline void quantize(const float* x, float scale, int32_t zero_point, int8_t* out, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = format::quantize(x[i], scale, zero_point);
}

inline void dequantize(const int8_t* x, float scale, int32_t zero_point, float* out, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = format::dequantize(x[i], scale, zero_point);
}

inline void requantize(const int8_t* x, const Quantization& from, const Quantization& to, int8_t* out, size_t count) {
  const float ratio = from.scale() / to.scale();
  for (size_t i = 0; i < count; ++i) {
    out[i] = format::requantize(x[i] - from.zero_point, ratio, to.zero_point, -128, 127);
  }
}

}  // namespace figment::kernels
