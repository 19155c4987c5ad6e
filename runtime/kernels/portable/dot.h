// Sums of products, the work of dense layers and convolutions: of one row of inputs with several rows of weights, whose
// loads of the input they share. int8 sums are of (x - zero) w in 32-bit integers, the same whatever the order, so that
// cores with vectors of integers compute them otherwise: two at a time with the DSP extension of Arm's M profile, 16 at
// a time with Helium, chosen when the library is compiled. f32 sums are in the order of the inputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "format/quantized.h"

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>
#endif

namespace figment::kernels::portable {

// Rows of weights that are computed together: as many as registers hold.
inline constexpr size_t kDotRows = 4;

// sums[r] += (x[0] - zero) w[r stride] + ... + (x[count - 1] - zero) w[r stride + count - 1] for r < kDotRows; f32 has
// no zero.
template <typename T, typename W, typename Sum>
void dot_rows(const T* x, Sum zero, const W* w, size_t stride, size_t count, Sum* sums) {
  Sum s0 = sums[0];
  Sum s1 = sums[1];
  Sum s2 = sums[2];
  Sum s3 = sums[3];
  for (size_t i = 0; i < count; ++i) {
    Sum value = x[i];
    if constexpr (std::is_integral_v<T>) value -= zero;
    s0 += value * static_cast<Sum>(w[i]);
    s1 += value * static_cast<Sum>(w[stride + i]);
    s2 += value * static_cast<Sum>(w[2 * stride + i]);
    s3 += value * static_cast<Sum>(w[3 * stride + i]);
  }
  sums[0] = s0;
  sums[1] = s1;
  sums[2] = s2;
  sums[3] = s3;
}

// The same of one row.
template <typename T, typename W, typename Sum>
void dot_row(const T* x, Sum zero, const W* w, size_t count, Sum* sum) {
  Sum s = *sum;
  for (size_t i = 0; i < count; ++i) {
    Sum value = x[i];
    if constexpr (std::is_integral_v<T>) value -= zero;
    s += value * static_cast<Sum>(w[i]);
  }
  *sum = s;
}

#if defined(__ARM_FEATURE_MVE)

// 16 inputs a turn; the loop's own predicate leaves out what lies behind the last. The sum of (x - zero) w is that of
// x w, less zero times that of w.
inline void dot_row(const int8_t* x, int32_t zero, const int8_t* w, size_t count, int32_t* sum) {
  int32_t products = 0;
  int32_t weights = 0;
  __asm volatile(
      "dlstp.8 lr, %[count]\n"
      "1:\n"
      "vldrb.8 q0, [%[x]], #16\n"
      "vldrb.8 q1, [%[w]], #16\n"
      "vmladava.s8 %[products], q0, q1\n"
      "vaddva.s8 %[weights], q1\n"
      "letp lr, 1b\n"
      : [x] "+r"(x), [w] "+r"(w), [products] "+Te"(products), [weights] "+Te"(weights)
      : [count] "r"(count)
      : "q0", "q1", "lr", "memory");
  *sum += products - zero * weights;
}

// Of two rows, whose four sums leave registers free: only even ones can hold sums.
[[gnu::always_inline]] inline void dot_two_rows(const int8_t* x, int32_t zero, const int8_t* w, size_t stride,
                                                size_t count, int32_t* sums) {
  const int8_t* second = w + stride;
  int32_t products0 = 0;
  int32_t products1 = 0;
  int32_t weights0 = 0;
  int32_t weights1 = 0;
  __asm volatile(
      "dlstp.8 lr, %[count]\n"
      "1:\n"
      "vldrb.8 q0, [%[x]], #16\n"
      "vldrb.8 q1, [%[first]], #16\n"
      "vldrb.8 q2, [%[second]], #16\n"
      "vmladava.s8 %[products0], q0, q1\n"
      "vaddva.s8 %[weights0], q1\n"
      "vmladava.s8 %[products1], q0, q2\n"
      "vaddva.s8 %[weights1], q2\n"
      "letp lr, 1b\n"
      : [x] "+r"(x), [first] "+r"(w), [second] "+r"(second), [products0] "+Te"(products0), [products1] "+Te"(products1),
        [weights0] "+Te"(weights0), [weights1] "+Te"(weights1)
      : [count] "r"(count)
      : "q0", "q1", "q2", "lr", "memory");
  sums[0] += products0 - zero * weights0;
  sums[1] += products1 - zero * weights1;
}

inline void dot_rows(const int8_t* x, int32_t zero, const int8_t* w, size_t stride, size_t count, int32_t* sums) {
  dot_two_rows(x, zero, w, stride, count, sums);
  dot_two_rows(x, zero, w + 2 * stride, stride, count, sums + 2);
}

#elif defined(__ARM_FEATURE_DSP) && __ARM_ARCH_PROFILE == 'M'

// A word from any address.
inline uint32_t word_at(const int8_t* at) {
  uint32_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// Four inputs, a word, and four rows at a time, in all 14 registers: compilers spill some of them. A word of bytes
// becomes two pairs of 16-bit integers, bytes 0 and 2, and bytes 1 and 3. Words may lie at any address.
[[gnu::noinline]] inline void dot_words(const int8_t* x, int32_t zero, const int8_t* w, size_t stride, size_t count,
                                        int32_t* sums) {
  int32_t s0 = sums[0];
  int32_t s1 = sums[1];
  int32_t s2 = sums[2];
  int32_t s3 = sums[3];
  const int8_t* w2 = w + 2 * stride;
  int32_t even, odd, low, high;
#define FIGMENT_ROW(SUM, LOAD)           \
  "ldr %[low], " LOAD                    \
  "\n"                                   \
  "sxtb16 %[high], %[low], ror #8\n"     \
  "sxtb16 %[low], %[low]\n"              \
  "smlad " SUM ", %[odd], %[high], " SUM \
  "\n"                                   \
  "smlad " SUM ", %[even], %[low], " SUM "\n"
#define FIGMENT_WORD                                                                                                 \
  "ldr %[even], [%[x]], #4\n"                                                                                        \
  "sxtb16 %[odd], %[even], ror #8\n"                                                                                 \
  "sxtb16 %[even], %[even]\n"                                                                                        \
  "ssub16 %[odd], %[odd], %[zeros]\n"                                                                                \
  "ssub16 %[even], %[even], %[zeros]\n" FIGMENT_ROW("%[s1]", "[%[w], %[stride]]") FIGMENT_ROW("%[s0]", "[%[w]], #4") \
      FIGMENT_ROW("%[s3]", "[%[w2], %[stride]]") FIGMENT_ROW("%[s2]", "[%[w2]], #4")
  __asm volatile(
      // Two words a turn; an odd one comes first.
      "sub %[odd], %[end], %[x]\n"
      "tst %[odd], #4\n"
      "bne 2f\n"
      "1:\n" FIGMENT_WORD "2:\n" FIGMENT_WORD
      "cmp %[x], %[end]\n"
      "bne 1b\n"
      : [x] "+r"(x), [w] "+r"(w), [w2] "+r"(w2), [s0] "+r"(s0), [s1] "+r"(s1), [s2] "+r"(s2), [s3] "+r"(s3),
        [even] "=&r"(even), [odd] "=&r"(odd), [low] "=&r"(low), [high] "=&r"(high)
      : [stride] "r"(stride), [zeros] "r"((static_cast<uint32_t>(zero) & 0xFFFF) * 0x10001), [end] "r"(x + count)
      : "cc", "memory");
#undef FIGMENT_WORD
#undef FIGMENT_ROW
  sums[0] = s0;
  sums[1] = s1;
  sums[2] = s2;
  sums[3] = s3;
}

inline void dot_row(const int8_t* x, int32_t zero, const int8_t* w, size_t count, int32_t* sum) {
  int32_t s = *sum;
  const uint32_t zeros = (static_cast<uint32_t>(zero) & 0xFFFF) * 0x10001;
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    int32_t even, odd, low, high;
    __asm(
        "sxtb16 %[odd], %[even], ror #8\n"
        "sxtb16 %[even], %[even]\n"
        "ssub16 %[odd], %[odd], %[zeros]\n"
        "ssub16 %[even], %[even], %[zeros]\n"
        "sxtb16 %[high], %[low], ror #8\n"
        "sxtb16 %[low], %[low]\n"
        "smlad %[s], %[odd], %[high], %[s]\n"
        "smlad %[s], %[even], %[low], %[s]\n"
        : [s] "+r"(s), [even] "=&r"(even), [odd] "=&r"(odd), [low] "=&r"(low), [high] "=&r"(high)
        : [zeros] "r"(zeros), "1"(word_at(x + i)), "3"(word_at(w + i)));
  }
  for (; i < count; ++i) s += (x[i] - zero) * w[i];
  *sum = s;
}

inline void dot_rows(const int8_t* x, int32_t zero, const int8_t* w, size_t stride, size_t count, int32_t* sums) {
  const size_t words = count / 4 * 4;
  if (words != 0) dot_words(x, zero, w, stride, words, sums);
  for (size_t i = words; i < count; ++i) {
    const int32_t value = x[i] - zero;
    for (size_t r = 0; r < kDotRows; ++r) sums[r] += value * w[r * stride + i];
  }
}

#endif

// Of one row or of kDotRows, by what fits the core best.
template <size_t kRows, typename T, typename W, typename Sum>
[[gnu::always_inline]] inline void dot(const T* x, Sum zero, const W* w, size_t stride, size_t count, Sum* sums) {
  static_assert(kRows == 1 || kRows == kDotRows);
  if constexpr (kRows == kDotRows) {
    dot_rows(x, zero, w, stride, count, sums);
  } else {
    dot_row(x, zero, w, count, sums);
  }
}

// format::requantize of kDotRows sums, with bounds less the zero point.
inline void requantize_rows(const int32_t* sums, const float* ratios, float low, float high, int32_t zero_point,
                            int8_t* out) {
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 2) != 0
  const float32x4_t scaled = vmulq_f32(vcvtq_f32_s32(vldrwq_s32(sums)), vldrwq_f32(ratios));
  const float32x4_t bounded = vminnmq_f32(vmaxnmq_f32(scaled, vdupq_n_f32(low)), vdupq_n_f32(high));
  vstrbq_s32(out, vaddq_n_s32(vcvtnq_s32_f32(bounded), zero_point));
#else
  for (size_t r = 0; r < kDotRows; ++r) {
    out[r] =
        static_cast<int8_t>(format::round_clamped(static_cast<float>(sums[r]) * ratios[r], low, high) + zero_point);
  }
#endif
}

}  // namespace figment::kernels::portable
