// A fully connected layer for one or two rows, which XNNPACK lacks: its tiles take as long with two rows as with seven,
// and its one-row kernel reads the weights once a row. Memory-bound: the time is that of reading the weights once.
#pragma once

#include <cstddef>

namespace figment::kernels {

// Whether this processor has the kernel (AVX-512).
bool few_rows_supported();

// out[r, o] = clamp(bias[o] + sum_k x[r, k] * weights[o, k], min, max) for `rows` of 1 or 2. x [rows, inputs],
// weights [outputs, inputs], bias [outputs] or nullptr, out [rows, outputs]. Requires few_rows_supported().
void few_rows_fully_connected(const float* x, size_t rows, size_t inputs, const float* weights, const float* bias,
                              size_t outputs, float min, float max, float* out);

}  // namespace figment::kernels
