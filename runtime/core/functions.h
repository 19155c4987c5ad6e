// Functions of real numbers that use nothing but IEEE arithmetic, one operation at a time, so that they give the same
// bits on every target; no library of mathematics is linked. Most have neither branches nor tables: compilers turn
// loops of them into vector code. Errors are in units of the result's last place (ULP), the largest that are met in a
// dense sample of all floats. Translation units that include this file are compiled with -ffp-contract=off.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace figment {

// The parts of e^x = (1 + p) 2^n, |x| at most 105: x = n ln 2 + r, and p a polynomial for e^r - 1 (the minimax one of
// Cephes' expf, S. Moshier). NaN stays NaN in p.
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
  p = p * r * r + r;
  return {p, static_cast<int32_t>(std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(kRound))};
}

// 2^n for n in [-126, 127]; for other n, which only NaNs have, anything.
inline float power_of_two(int32_t n) { return std::bit_cast<float>((static_cast<uint32_t>(n) + 127U) << 23); }

// e^x to 1 ULP; infinity from where it is none on, and denormal numbers on targets that have them.
inline float exponential(float x) {
  x = x < -104.0F ? -104.0F : x;
  x = x > 89.0F ? 89.0F : x;
  const ExponentialParts parts = exponential_parts(x);
  // In two steps, as 2^n itself may be too large or too small.
  const int32_t half = parts.n >> 1;
  return (parts.p + 1.0F) * power_of_two(half) * power_of_two(parts.n - half);
}

// The same for what saturates anyway: x is clamped to [-87, 88].
inline float clamped_exponential(float x) {
  x = x < -87.0F ? -87.0F : x;
  x = x > 88.0F ? 88.0F : x;
  const ExponentialParts parts = exponential_parts(x);
  return (parts.p + 1.0F) * power_of_two(parts.n);
}

// e^x - 1 to 2 ULP, x clamped to [-87, 88].
inline float exponential_minus_one(float x) {
  x = x < -87.0F ? -87.0F : x;
  x = x > 88.0F ? 88.0F : x;
  const ExponentialParts parts = exponential_parts(x);
  const float power = power_of_two(parts.n);
  return (power - 1.0F) + power * parts.p;
}

// The natural logarithm to 1 ULP; of 0 -infinity, of negative numbers NaN. x = m 2^n with m in [sqrt(1/2), sqrt(2)),
// and a polynomial for log m (that of Cephes' logf).
inline float logarithm(float x) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  // Denormal numbers are enlarged first.
  const bool small = x < 0x1p-126F;
  const auto bits = std::bit_cast<uint32_t>(small ? x * 0x1p23F : x);
  // Adding what sqrt(1/2) lacks of 1 carries into the exponent from there on.
  constexpr uint32_t kRootHalf = 0x3F3504F3;
  const uint32_t shifted = bits + (0x3F800000 - kRootHalf);
  const auto n = static_cast<float>((std::bit_cast<int32_t>(shifted) >> 23) - (small ? 150 : 127));
  const float m = std::bit_cast<float>((shifted & 0x007FFFFF) + kRootHalf) - 1.0F;
  const float square = m * m;
  float p = 7.0376836292e-2F;
  p = p * m - 1.1514610310e-1F;
  p = p * m + 1.1676998740e-1F;
  p = p * m - 1.2420140846e-1F;
  p = p * m + 1.4249322787e-1F;
  p = p * m - 1.6668057665e-1F;
  p = p * m + 2.0000714765e-1F;
  p = p * m - 2.4999993993e-1F;
  p = p * m + 3.3333331174e-1F;
  const float low = p * m * square - n * 2.12194440e-4F - 0.5F * square;
  const float result = n * 0.693359375F + (m + low);
  const float special = x == 0 ? -kInfinity : x == kInfinity ? x : std::numeric_limits<float>::quiet_NaN();
  return x > 0 && x < kInfinity ? result : special;
}

// log(1 + u) for u in [0, 1] to 2 ULP: 2 atanh(u / (2 + u)).
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

// log(1 + e^x) to 3 ULP, or 2e-38.
inline float softplus(float x) {
  const float magnitude = x < 0 ? -x : x;
  return (x > 0 ? x : 0.0F) + log_one_plus(clamped_exponential(-magnitude));
}

// 1 / (1 + e^-x) to 3 ULP, or 2e-38.
inline float sigmoid(float x) { return 1.0F / (1.0F + clamped_exponential(-x)); }

// tanh x to 2 ULP: x P(x^2) up to 0.625 (Cephes' tanhf), from there on 1 - 2 / (1 + e^(2 |x|)).
inline float hyperbolic_tangent(float x) {
  const float magnitude = x < 0 ? -x : x;
  const float s = x * x;
  float p = -5.70498872745e-3F;
  p = p * s + 2.06390887954e-2F;
  p = p * s - 5.37397155531e-2F;
  p = p * s + 1.33314422036e-1F;
  p = p * s - 3.33332819422e-1F;
  const float large = 1.0F - 2.0F / (1.0F + clamped_exponential(2.0F * magnitude));
  return magnitude < 0.625F ? p * s * x + x : x < 0 ? -large : x > 0 ? large : x;
}

// erf x to 3 ULP: x P(x^2) up to 1, from there on 1 - e^(-|x| Q(|x|)). P and Q are least-squares
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

// The arc tangent to 3 ULP: |x| beyond tan(3 pi / 8) and tan(pi / 8) is turned by pi / 2 and pi / 4 (Cephes' atanf).
inline float arc_tangent(float x) {
  const float magnitude = x < 0 ? -x : x;
  const bool steep = magnitude > 2.41421356F;
  const bool middle = magnitude > 0.41421356F;
  const float turn = steep ? 1.57079637F : middle ? 0.785398163F : 0.0F;
  const float t = steep ? -1.0F / magnitude : middle ? (magnitude - 1.0F) / (magnitude + 1.0F) : magnitude;
  const float s = t * t;
  float p = 8.05374449538e-2F;
  p = p * s - 1.38776856032e-1F;
  p = p * s + 1.99777106478e-1F;
  p = p * s - 3.33329491539e-1F;
  const float result = turn + (p * s * t + t);
  return x < 0 ? -result : x > 0 ? result : x;
}

// An angle as quarter turns, modulo 4, and the rest, at most pi / 4.
struct QuarterTurns {
  uint32_t quarters;
  float rest;
};

// Exact for every float: |x| = m 2^e with an integer m < 2^24, and m times 96 bits of 2 / pi, from those on that e
// moves below 4 (Payne and Hanek 1983), has 64 bits that are right.
inline QuarterTurns quarter_turns(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x) & 0x7FFFFFFF;
  if (bits < 0x3F490FDB) return {0, x};  // below pi / 4
  if (bits >= 0x7F800000) return {0, std::numeric_limits<float>::quiet_NaN()};
  constexpr uint32_t kTwoOverPi[] = {0,          0xA2F9836E, 0x4E441529, 0xFC2757D1, 0xF534DDC0,
                                     0xDB629599, 0x3C439041, 0xFE5163AB, 0xDEBBC561};
  const uint64_t m = (bits & 0x007FFFFF) | 0x00800000;
  const uint32_t first = (bits >> 23) - 150 + 30;  // of the bits that count, 32 of which lie before the point
  const uint32_t word = first / 32;
  const uint32_t shift = first % 32;
  const auto window = [&](uint32_t i) {
    const uint64_t two = uint64_t{kTwoOverPi[word + i]} << 32 | (word + i + 1 < 9 ? kTwoOverPi[word + i + 1] : 0);
    return static_cast<uint32_t>(two << shift >> 32);
  };
  const uint64_t middle = m * window(1) + (m * window(2) >> 32);
  const uint64_t turns = (m * window(0) << 32) + middle;  // in units of 2^-62 quarters, modulo 4
  const uint64_t nearest = turns + (uint64_t{1} << 61);
  // What is left of the fraction, as a signed number.
  const auto fraction = static_cast<int64_t>(turns << 2);
  const float rest = static_cast<float>(fraction) * (0x1p-64F * 1.57079637F);
  const auto quarters = static_cast<uint32_t>(nearest >> 62);
  return x < 0 ? QuarterTurns{4 - quarters, -rest} : QuarterTurns{quarters, rest};
}

// The sine of an angle in radians, turned by so many quarters, to 3 ULP: polynomials up to pi / 4 (Cephes' sinf, cosf).
inline float sine_of(QuarterTurns angle) {
  const float r = angle.rest;
  const float t = r * r;
  float s = -1.9515295891e-4F;
  s = s * t + 8.3321608736e-3F;
  s = s * t - 1.6666654611e-1F;
  s = s * t * r + r;
  float c = 2.443315711809948e-5F;
  c = c * t - 1.388731625493765e-3F;
  c = c * t + 4.166664568298827e-2F;
  c = c * t * t - 0.5F * t + 1.0F;
  const float value = angle.quarters % 2 == 0 ? s : c;
  return angle.quarters % 4 < 2 ? value : -value;
}

inline float sine(float x) { return sine_of(quarter_turns(x)); }
inline float cosine(float x) {
  const QuarterTurns angle = quarter_turns(x);
  return sine_of({angle.quarters + 1, angle.rest});
}

// From here on no float has a fraction.
inline constexpr float kWholeFloats = 0x1p23F;

// The greatest integer up to x, and the nearest one, ties to even.
inline float round_down(float x) {
  const float magnitude = x < 0 ? -x : x;
  const float bounded = magnitude < kWholeFloats ? x : 0.0F;
  const auto truncated = static_cast<float>(static_cast<int32_t>(bounded));
  const float result = truncated > bounded ? truncated - 1.0F : truncated;
  return magnitude < kWholeFloats && result != x ? result : x;  // which keeps NaN and -0
}
inline float round_to_even(float x) {
  const float magnitude = x < 0 ? -x : x;
  const float result = (magnitude + kWholeFloats) - kWholeFloats;
  return magnitude < kWholeFloats
             ? std::bit_cast<float>(std::bit_cast<uint32_t>(result) | (std::bit_cast<uint32_t>(x) & 0x80000000U))
             : x;
}

// The root, rounded to nearest; of negative numbers NaN. Cores without an instruction for it find it bit by bit.
inline float square_root(float x) {
#if defined(__arm__) && (!defined(__ARM_FP) || (__ARM_FP & 4) == 0)
  auto bits = std::bit_cast<uint32_t>(x);
  if (bits << 1 == 0 || bits == 0x7F800000 || (bits << 1) > 0xFF000000) return x;  // 0, infinity, NaN
  if ((bits >> 31) != 0) return std::numeric_limits<float>::quiet_NaN();
  int32_t exponent = static_cast<int32_t>(bits >> 23);
  uint32_t mantissa = bits & 0x007FFFFF;
  if (exponent == 0) {
    for (exponent = 1; (mantissa & 0x00800000) == 0; --exponent) mantissa <<= 1;
  } else {
    mantissa |= 0x00800000;
  }
  exponent -= 127;
  if ((exponent & 1) != 0) mantissa <<= 1;
  // 24 bits of the root and one to round by; as an odd number of bits is never a tie, what is left needs no look.
  uint64_t rest = uint64_t{mantissa} << 25;
  uint64_t root = 0;
  for (uint64_t bit = uint64_t{1} << 24; bit != 0; bit >>= 1) {
    const uint64_t tried = root + bit;
    if (tried * tried <= rest) root = tried;
  }
  const auto rounded = static_cast<uint32_t>((root + 1) >> 1);
  return std::bit_cast<float>((static_cast<uint32_t>((exponent >> 1) + 127) << 23) + (rounded - 0x00800000));
#else
  return __builtin_sqrtf(x);
#endif
}

// The root of a number that is not negative, with a relative error of 1e-15: two steps of Newton's from f32.
inline double square_root(double x) {
  if (!(x > 0) || x == std::numeric_limits<double>::infinity()) return x;
  // x = m 4^n with m in [1, 4); denormal numbers do not come this far.
  const auto bits = std::bit_cast<uint64_t>(x);
  const int64_t n = (static_cast<int64_t>(bits >> 52) - 1023) >> 1;
  const double m = std::bit_cast<double>(bits - (static_cast<uint64_t>(n) << 53));
  auto root = static_cast<double>(square_root(static_cast<float>(m)));
  root = 0.5 * (root + m / root);
  root = 0.5 * (root + m / root);
  return std::bit_cast<double>(std::bit_cast<uint64_t>(root) + (static_cast<uint64_t>(n) << 52));
}

// base^exponent by squaring, with a relative error of 1e-16 times the exponent.
inline double power(double base, uint32_t exponent) {
  double result = 1;
  for (; exponent != 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result *= base;
    base *= base;
  }
  return result;
}

}  // namespace figment
