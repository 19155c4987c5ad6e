// Exponentials without branches or tables, which compilers turn into vector code.
#pragma once

#include <bit>
#include <cstdint>

namespace figment::kernels::recurrent {

// e^x with a relative error below 2e-7 for x in [-87, 88], to which x is clamped: x = n ln 2 + r, and a polynomial for
// e^r (the minimax one of Cephes' expf, S. Moshier).
inline float exponential(float x) {
  x = x < -87.0F ? -87.0F : x;
  x = x > 88.0F ? 88.0F : x;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer in the low bits
  const float shifted = x * 1.44269504F + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const auto exponent = static_cast<uint32_t>(static_cast<int32_t>(n) + 127) << 23;
  return p * std::bit_cast<float>(exponent);
}

inline float sigmoid(float x) { return 1.0F / (1.0F + exponential(-x)); }
// tanh x = 2 sigmoid(2 x) - 1.
inline float hyperbolic_tangent(float x) { return 2.0F / (1.0F + exponential(-2.0F * x)) - 1.0F; }

}  // namespace figment::kernels::recurrent
