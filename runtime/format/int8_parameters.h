// How scales, zero points and integers follow from the real values of a program: the arithmetic that the converter and
// sessions (fig_requantize) share, so that both write the same bits. In double precision and without the system's
// mathematics; translation units that include this file are compiled with -ffp-contract=off.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "format/op.h"

namespace figment::format {

// The seed of the latents that programs are calibrated on: another than any default of a session.
inline constexpr uint64_t kCalibrationSeed = 0x5EED5EED;

// real = scale * (q - zero_point), q in [-128, 127].
struct QuantParameters {
  float scale = 0;
  int32_t zero_point = 0;
};

// The finest quantization of [low, high], widened to hold zero, in which zero is exact.
QuantParameters parameters_for(double low, double high);

// The same of values, all of which it holds: of a constant.
QuantParameters parameters_of(std::span<const float> values);

// What the greatest value of one sample in 16 times as many as there are is expected to reach: the excess of these
// values over a high threshold falls off exponentially (the peaks-over-threshold method with a tail of index 0; Coles,
// An Introduction to Statistical Modeling of Extreme Values, 4.3.3). `greatest` are the greatest tail_size(samples) + 1
// values of as many samples, one each, in descending order, or all if there are no more.
double expected_extreme(std::span<const float> greatest, size_t samples);
constexpr size_t tail_size(size_t samples) { return samples < 20 ? 1 : samples / 10; }

// The weights of one output channel: [-127, 127] times the scale. It is `wanted` (0: as the largest weight needs), but
// no less than the ratio of the scales can be represented with, nor than `bias` fits the 32-bit sum with.
float channel_scale(std::span<const float> weights, double wanted, float bias, double input_scale, double output_scale);
void quantize_channel(std::span<const float> weights, float scale, int8_t* integers);
// `terms`: the products that it is added to.
int32_t quantize_bias(float bias, double input_scale, float weight_scale, size_t terms);

// The weights of a gate of a recurrent layer: the same by an arithmetic in f32.
float row_scale(std::span<const float> weights);
void quantize_all(std::span<const float> values, QuantParameters quantization, int8_t* integers);

// The value nearest to `x` for which a function is defined.
inline float in_domain(OpKind function, float x) {
  if (function == OpKind::kLog) return x > 1e-30F ? x : 1e-30F;
  if (function == OpKind::kSqrt) return x > 0.0F ? x : 0.0F;
  return x;
}

// The table of an int8 softmax: 256 exponentials, by how far below the largest an input is.
void softmax_table(float input_scale, int32_t* table);

}  // namespace figment::format
