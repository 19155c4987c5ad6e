// f32 matrix product for fully connected layers on x86-64 with AVX-512F, where XNNPACK's kernels compute tiles of
// exactly 7 rows: 16 rows cost as much as 21 there, and every tile of rows reads all weights again. Here rows are cut
// into equal tiles of at most 8, and a panel of weights stays in the cache while all tiles pass over it.
#pragma once

#include <cstddef>

struct pthreadpool;  // pthreadpool.h

namespace figment::kernels::avx512 {

// Whether the processor has AVX-512F. xnn_initialize or cpuinfo_initialize must have succeeded before.
bool available();

// Values that `pack` writes.
size_t packed_size(size_t inputs, size_t outputs);

// Rearranges `kernel` [outputs, inputs] and `bias` [outputs] (nullptr: zeros) into panels of 32 outputs (the last of 16
// if that is enough), each the biases and then for each input its weights; missing outputs are zeros. `packed` is
// aligned to 64 bytes.
void pack(const float* kernel, const float* bias, size_t inputs, size_t outputs, float* packed);

// output[rows, outputs] = clamp(input[rows, inputs] * kernel^T + bias, min, max), row-major and dense. A row's result
// does not depend on the number of rows or threads: every sum runs over the inputs in order, with fused multiply-add.
struct Product {
  const float* input = nullptr;
  const float* packed = nullptr;
  float* output = nullptr;
  size_t rows = 0;
  size_t inputs = 0;
  size_t outputs = 0;
  float min = 0;
  float max = 0;
};
void multiply(const Product& product, pthreadpool* threads);

}  // namespace figment::kernels::avx512
