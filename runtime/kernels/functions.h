// Exponentials and what is made of them, without branches or tables: compilers turn them into vector code.
#pragma once

#include <bit>
#include <cstdint>

namespace figment::kernels {

// The parts of e^x = p 2^n, |x| at most 105: x = n ln 2 + r, and p a polynomial for e^r (the minimax one of Cephes'
// expf, S. Moshier) with a relative error below 2e-7. NaN stays NaN in p.
struct ExponentialParts {
  float p;
  int32_t n;
};

inline ExponentialParts exponential_parts(float x) {
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
  return {p, static_cast<int32_t>(std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(kRound))};
}

// 2^n for n in [-126, 127]; for other n, which only NaNs have, anything.
inline float power_of_two(int32_t n) { return std::bit_cast<float>((static_cast<uint32_t>(n) + 127U) << 23); }

// e^x with a relative error below 2e-7, infinity from where it is none on, and denormal numbers on targets that have
// them.
inline float exponential(float x) {
  x = x < -104.0F ? -104.0F : x;
  x = x > 89.0F ? 89.0F : x;
  const ExponentialParts parts = exponential_parts(x);
  // In two steps, as 2^n itself may be too large or too small.
  const int32_t half = parts.n >> 1;
  return parts.p * power_of_two(half) * power_of_two(parts.n - half);
}

// The same for what saturates anyway: x is clamped to [-87, 88].
inline float clamped_exponential(float x) {
  x = x < -87.0F ? -87.0F : x;
  x = x > 88.0F ? 88.0F : x;
  const ExponentialParts parts = exponential_parts(x);
  return parts.p * power_of_two(parts.n);
}

// log(1 + u) for u in [0, 1], with a relative error below 3e-7: 2 atanh(u / (2 + u)).
inline float log_one_plus(float u) {
  const float s = u / (2.0F + u);
  const float t = s * s;
  float p = 1.0F / 15.0F;
  p = p * t + 1.0F / 13.0F;
  p = p * t + 1.0F / 11.0F;
  p = p * t + 1.0F / 9.0F;
  p = p * t + 1.0F / 7.0F;
  p = p * t + 1.0F / 5.0F;
  p = p * t + 1.0F / 3.0F;
  return 2.0F * (s + s * t * p);
}

// log(1 + e^x) with an error of at most 1e-6 of it, or 1e-37.
inline float softplus(float x) {
  const float magnitude = x < 0 ? -x : x;
  return (x > 0 ? x : 0.0F) + log_one_plus(clamped_exponential(-magnitude));
}
// 1 - e^-y for y >= 0: the derivative of softplus in terms of its value.
inline float one_minus_exponential(float y) {
  const float series = y * (1.0F - y * (0.5F - y * (1.0F / 6.0F)));
  const float direct = 1.0F - clamped_exponential(-y);
  return y < 0.02F ? series : direct;
}

// With an error of at most 1e-6 of it, or 1e-37.
inline float sigmoid(float x) { return 1.0F / (1.0F + clamped_exponential(-x)); }
// tanh x = 2 sigmoid(2 x) - 1, with an error of at most 2e-7.
inline float hyperbolic_tangent(float x) { return 2.0F / (1.0F + clamped_exponential(-2.0F * x)) - 1.0F; }

// With an error of at most 2e-7 of it: x P(x^2) up to 1, from there on 1 - e^(-|x| Q(|x|)). P and Q are least-squares
// fits of erf(x) / x on [0, 1] and of -log(1 - erf(x)) / x on [0.9, 4], weighted by the error that they make.
inline float error_function(float x) {
  const float magnitude = x < 0 ? -x : x;
  const float s = x * x;
  float p = -5.62539615e-4F;
  p = p * s + 4.91602346e-3F;
  p = p * s - 2.67099496e-2F;
  p = p * s + 1.12801306e-1F;
  p = p * s - 3.76123190e-1F;
  p = p * s + 1.12837911F;
  const float t = magnitude < 4.0F ? magnitude : 4.0F;
  float q = -2.16260916e-4F;
  q = q * t + 3.23255127e-3F;
  q = q * t - 2.29429100e-2F;
  q = q * t + 1.05339408e-1F;
  q = q * t + 6.35662913e-1F;
  q = q * t + 1.12852979F;
  const float tail = 1.0F - clamped_exponential(-q * t);
  return magnitude < 1.0F ? x * p : x < 0 ? -tail : x > 0 ? tail : x;
}

}  // namespace figment::kernels
