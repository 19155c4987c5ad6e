// The integer arithmetic of the int8 ops: the definition in code; docs/file_format.md states it in words. Every
// function is exact or rounds once to nearest, ties to even, so that all targets agree bit for bit. Translation units
// that include this file are compiled with -ffp-contract=off.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

namespace figment::format {

// Bounds of the ratio of scales that a result is multiplied by.
inline constexpr float kSmallestRatio = 0x1p-32F;
inline constexpr float kLargestRatio = 256.0F;

// x rounded to the nearest integer, ties to even, for |x| < 2^22; clamped to [low, high] first.
inline int32_t round_clamped(float x, float low, float high) {
  x = x < low ? low : x;
  x = x > high ? high : x;
  // 1.5 * 2^23: the sum's last bit is worth 1, so the addition itself rounds.
  constexpr float kMagic = 12582912.0F;
  const float shifted = x + kMagic;
  return static_cast<int32_t>(shifted - kMagic);
}

// q for the real value x, clamped to [-128, 127]. NaN gives -128.
inline int8_t quantize(float x, float scale, int32_t zero_point) {
  const float inverse = 1.0F / scale;
  const float scaled = x * inverse;
  const float safe = scaled > -512.0F ? scaled : -512.0F;
  const auto offset = static_cast<float>(zero_point);
  return static_cast<int8_t>(round_clamped(safe, -128.0F - offset, 127.0F - offset) + zero_point);
}

inline float dequantize(int8_t q, float scale, int32_t zero_point) {
  return static_cast<float>(q - zero_point) * scale;
}

// A 32-bit sum times `ratio`, as an integer in [low, high]: the float product of the rounded sum, rounded to
// nearest even after clamping, plus the zero point.
inline int8_t requantize(int32_t sum, float ratio, int32_t zero_point, int32_t low, int32_t high) {
  const float scaled = static_cast<float>(sum) * ratio;
  return static_cast<int8_t>(
      round_clamped(scaled, static_cast<float>(low - zero_point), static_cast<float>(high - zero_point)) + zero_point);
}

// An int8 softmax: its output's quantization, and the table's value for the largest input.
inline constexpr float kSoftmaxScale = 1.0F / 256;
inline constexpr int32_t kSoftmaxZeroPoint = -128;
inline constexpr uint32_t kSoftmaxOne = 1U << 23;

// The share of `part` in `sum` (positive) in 256ths, halves rounded up, at most 255, as q.
inline int8_t softmax_share(uint32_t part, uint64_t sum) {
  const uint64_t share = (uint64_t{part} * 256 + sum / 2) / sum;
  return static_cast<int8_t>(static_cast<int32_t>(share > 255 ? 255 : share) + kSoftmaxZeroPoint);
}

// The integer bounds that stand for the real bounds [min, max].
struct IntegerBounds {
  int32_t low;
  int32_t high;
};

inline IntegerBounds integer_bounds(float min, float max, float scale, int32_t zero_point) {
  IntegerBounds bounds{-128, 127};
  if (min > -std::numeric_limits<float>::infinity()) bounds.low = quantize(min, scale, zero_point);
  if (max < std::numeric_limits<float>::infinity()) bounds.high = quantize(max, scale, zero_point);
  return bounds;
}

}  // namespace figment::format
