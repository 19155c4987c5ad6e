#include "kernels/xnnpack/few_rows.h"

#if defined(__x86_64__)

#include <cpuinfo.h>
#include <immintrin.h>

namespace figment::kernels {

namespace {

constexpr size_t kLanes = 16;
// Outputs computed together: enough independent sums to hide the latency of a multiply-add (4 cycles, 2 a cycle).
constexpr size_t kOutputs = 8;

// The sum of the lanes, pairwise.
[[gnu::target("avx512f")]] inline float lane_sum(__m512 x) {
  alignas(64) float lanes[kLanes];
  _mm512_store_ps(lanes, x);
  for (size_t width = kLanes / 2; width > 0; width /= 2) {
    for (size_t i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

template <size_t kRows, size_t kCount>
[[gnu::target("avx512f")]] inline void dot_products(const float* x, size_t inputs, const float* weights, float* sums) {
  __m512 total[kCount][kRows];
  for (auto& output : total) {
    for (__m512& sum : output) sum = _mm512_setzero_ps();
  }
  size_t k = 0;
  for (; k + kLanes <= inputs; k += kLanes) {
    __m512 values[kRows];
    for (size_t r = 0; r < kRows; ++r) values[r] = _mm512_loadu_ps(x + r * inputs + k);
    for (size_t o = 0; o < kCount; ++o) {
      const __m512 weight = _mm512_loadu_ps(weights + o * inputs + k);
      for (size_t r = 0; r < kRows; ++r) total[o][r] = _mm512_fmadd_ps(values[r], weight, total[o][r]);
    }
  }
  if (k < inputs) {
    const auto mask = static_cast<__mmask16>((1U << (inputs - k)) - 1);
    for (size_t o = 0; o < kCount; ++o) {
      const __m512 weight = _mm512_maskz_loadu_ps(mask, weights + o * inputs + k);
      for (size_t r = 0; r < kRows; ++r) {
        total[o][r] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, x + r * inputs + k), weight, total[o][r]);
      }
    }
  }
  for (size_t o = 0; o < kCount; ++o) {
    for (size_t r = 0; r < kRows; ++r) sums[o * kRows + r] = lane_sum(total[o][r]);
  }
}

template <size_t kRows>
[[gnu::target("avx512f")]] void fully_connected(const float* x, size_t inputs, const float* weights, const float* bias,
                                                size_t outputs, float min, float max, float* out) {
  float sums[kOutputs * kRows];
  for (size_t o = 0; o < outputs;) {
    const size_t count = outputs - o >= kOutputs ? kOutputs : 1;
    count == kOutputs ? dot_products<kRows, kOutputs>(x, inputs, weights + o * inputs, sums)
                      : dot_products<kRows, 1>(x, inputs, weights + o * inputs, sums);
    for (size_t i = 0; i < count; ++i, ++o) {
      for (size_t r = 0; r < kRows; ++r) {
        float value = sums[i * kRows + r] + (bias == nullptr ? 0 : bias[o]);
        value = value < min ? min : value;
        out[r * outputs + o] = value > max ? max : value;
      }
    }
  }
}

}  // namespace

bool few_rows_supported() { return cpuinfo_initialize() && cpuinfo_has_x86_avx512f(); }

void few_rows_fully_connected(const float* x, size_t rows, size_t inputs, const float* weights, const float* bias,
                              size_t outputs, float min, float max, float* out) {
  rows == 1 ? fully_connected<1>(x, inputs, weights, bias, outputs, min, max, out)
            : fully_connected<2>(x, inputs, weights, bias, outputs, min, max, out);
}

}  // namespace figment::kernels

#else

namespace figment::kernels {

bool few_rows_supported() { return false; }

void few_rows_fully_connected(const float*, size_t, size_t, const float*, const float*, size_t, float, float, float*) {}

}  // namespace figment::kernels

#endif
