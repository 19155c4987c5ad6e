// Compiled with -ffp-contract=off: see philox.h.
#include "core/philox.h"

#include <cstring>

#include "core/functions.h"

namespace figment {

namespace {

constexpr uint32_t kMultiplier0 = 0xD2511F53;
constexpr uint32_t kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9;
constexpr uint32_t kWeyl1 = 0xBB67AE85;

// Natural logarithm of x in (0, 1], relative error about 1e-7. x = m * 2^e with m in [sqrt(1/2), sqrt(2)); then
// log(m) = 2 atanh(s), s = (m - 1) / (m + 1), |s| < 0.1716, by its Taylor series up to s^11.
float log_unit(float x) {
  uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  int32_t exponent = static_cast<int32_t>(bits >> 23) - 127;
  bits = (bits & 0x007FFFFF) | 0x3F800000;
  float m = 0;
  std::memcpy(&m, &bits, sizeof m);
  if (m > 1.41421354F) {
    m = m * 0.5F;
    exponent += 1;
  }
  const float s = (m - 1.0F) / (m + 1.0F);
  const float t = s * s;
  float p = 1.0F / 11.0F;
  p = p * t + 1.0F / 9.0F;
  p = p * t + 1.0F / 7.0F;
  p = p * t + 1.0F / 5.0F;
  p = p * t + 1.0F / 3.0F;
  p = p * t + 1.0F;
  return static_cast<float>(exponent) * 0.693147182F + 2.0F * s * p;
}

// sin and cos of 2*pi*turns for turns in [0, 1): the nearest quarter is taken off exactly, the rest is at most
// pi/4 in magnitude and goes through the Taylor series.
void sin_cos_turns(float turns, float* sine, float* cosine) {
  const float quarters = turns * 4.0F;
  // Not negative, so truncation rounds to nearest.
  const int quadrant = static_cast<int>(quarters + 0.5F);  // NOLINT(bugprone-incorrect-roundings)
  const float r = (quarters - static_cast<float>(quadrant)) * 1.57079637F;
  const float t = r * r;
  float s = 2.75573192e-6F;
  s = s * t - 1.98412698e-4F;
  s = s * t + 8.33333333e-3F;
  s = s * t - 1.66666667e-1F;
  s = s * t * r + r;
  float c = -2.75573192e-7F;
  c = c * t + 2.48015873e-5F;
  c = c * t - 1.38888889e-3F;
  c = c * t + 4.16666667e-2F;
  c = c * t - 0.5F;
  c = c * t + 1.0F;
  switch (quadrant & 3) {
    case 0: *sine = s, *cosine = c; break;
    case 1: *sine = c, *cosine = -s; break;
    case 2: *sine = -s, *cosine = -c; break;
    default: *sine = -c, *cosine = s; break;
  }
}

// 24 random bits as a number in (0, 1].
float unit_open_zero(uint32_t word) { return static_cast<float>((word >> 8) + 1) * 0x1p-24F; }
// 24 random bits as a number in [0, 1).
float unit_open_one(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24F; }

}  // namespace

PhiloxCounter philox4x32(PhiloxCounter counter, PhiloxKey key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{kMultiplier0} * counter[0];
    const uint64_t product1 = uint64_t{kMultiplier1} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

void draw_latent(Prior prior, uint64_t seed, uint32_t stream, uint64_t index, size_t size, float* out, float rate) {
  const PhiloxKey key = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
  if (prior == Prior::kCategorical) {
    const uint32_t word =
        philox4x32({0, stream, static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32)}, key)[0];
    for (size_t i = 0; i < size; ++i) out[i] = 0;
    out[(uint64_t{word} * size) >> 32] = 1;
    return;
  }
  for (size_t start = 0; start < size; start += 4) {
    const PhiloxCounter words = philox4x32(
        {static_cast<uint32_t>(start / 4), stream, static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32)},
        key);
    std::array<float, 4> values{};
    if (prior == Prior::kUniform) {
      for (size_t i = 0; i < 4; ++i) values[i] = unit_open_one(words[i]) * 2.0F - 1.0F;
    } else if (prior == Prior::kDropout) {
      for (size_t i = 0; i < 4; ++i) values[i] = unit_open_one(words[i]) < rate ? 0.0F : 1.0F / (1.0F - rate);
    } else {
      for (size_t i = 0; i < 4; i += 2) {
        const float radius = square_root(-2.0F * log_unit(unit_open_zero(words[i])));
        float sine = 0;
        float cosine = 0;
        sin_cos_turns(unit_open_one(words[i + 1]), &sine, &cosine);
        values[i] = radius * cosine;
        values[i + 1] = radius * sine;
      }
    }
    for (size_t i = 0; i < 4 && start + i < size; ++i) out[start + i] = values[i];
  }
}

}  // namespace figment
