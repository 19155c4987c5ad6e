// IEEE 754's half precision, binary16.
#pragma once

#include <bit>
#include <cstdint>

namespace figment {

inline constexpr float kGreatestHalf = 65504;

// Exact, for all 65536 of them.
inline float from_half(uint16_t half) {
  const uint32_t magnitude = half & 0x7FFFU;
  const uint32_t sign = (half & 0x8000U) << 16;
  // NaN and infinity have the greatest exponent in both. Subnormal values become normal by the product.
  if (magnitude >= 0x7C00U) return std::bit_cast<float>(sign | 0x7F800000U | (magnitude & 0x3FFU) << 13);
  const float value = std::bit_cast<float>(magnitude << 13) * 0x1p112F;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(value) | sign);
}

// The nearest, to even between two; infinite from 65520 on. NaN stays NaN.
inline uint16_t to_half(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000U);
  const uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return sign | 0x7E00U;
  if (magnitude >= 0x477FF000U) return sign | 0x7C00U;  // 65520
  // Below 2^-14 the distance of two is 2^-24: adding 2^-1 rounds to it.
  if (magnitude < 0x38800000U) {
    const float rounded = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(rounded) - 0x3F000000U));
  }
  const uint32_t odd = magnitude >> 13 & 1;
  return static_cast<uint16_t>(sign | (magnitude - 0x38000000U + 0xFFFU + odd) >> 13);
}

}  // namespace figment
