// How int8 follows from real values, by hand.
#include "format/int8_parameters.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

using namespace figment;
using namespace figment::format;

TEST_CASE("a quantization holds zero exactly, and the range in 255 steps") {
  CHECK(parameters_for(0, 2.55).scale == doctest::Approx(0.01));
  CHECK(parameters_for(0, 2.55).zero_point == -128);
  CHECK(parameters_for(-2.55, 0).zero_point == 127);
  CHECK(parameters_for(1, 2.55).zero_point == -128);  // widened to 0
  // -128 + 100.5 and -128 + 101.5: ties go to the even integer.
  CHECK(parameters_for(-100.5, 154.5).zero_point == -28);
  CHECK(parameters_for(-101.5, 153.5).zero_point == -26);
  CHECK(parameters_for(0, 0).scale == 1);
}

TEST_CASE("constants are quantized by their extremes; what is nearly nothing is 0") {
  CHECK(parameters_of(std::vector<float>{-1, 0.5F, 1.55F}).scale == doctest::Approx(0.01));
  CHECK(parameters_of(std::vector<float>{-1, 0.5F, 1.55F}).zero_point == -28);
  const std::vector<float> little = {1e-36F, -1e-38F};
  const QuantParameters parameters = parameters_of(little);
  CHECK(std::isnormal(parameters.scale));
  int8_t integers[2];
  quantize_all(little, parameters, integers);
  CHECK(integers[0] == parameters.zero_point);
  CHECK(integers[1] == parameters.zero_point);
}

TEST_CASE("the extreme that 16 times as many samples are expected to reach") {
  // One sample: nothing to extrapolate from.
  CHECK(expected_extreme(std::vector<float>{3}, 1) == 3);
  // The excess of the greatest over the second, times log 16 above the second.
  CHECK(expected_extreme(std::vector<float>{3, 2}, 19) == doctest::Approx(2 + std::log(16.0)));
  CHECK(expected_extreme(std::vector<float>{2, 2}, 19) == 2);
  // Of 20 samples two are the tail: the mean excess over the third, times log 32.
  CHECK(expected_extreme(std::vector<float>{5, 4, 3}, 20) == doctest::Approx(3 + 1.5 * std::log(32.0)));
  CHECK(tail_size(1) == 1);
  CHECK(tail_size(19) == 1);
  CHECK(tail_size(96) == 9);
}

TEST_CASE("the scale of a channel holds its weights, its bias, and the ratio of scales") {
  const std::vector<float> weights = {0.5F, -1.27F, 0};
  CHECK(channel_scale(weights, 0, 0, 0.1, 0.1) == doctest::Approx(0.01));
  CHECK(channel_scale(weights, 0.02, 0, 0.1, 0.1) == doctest::Approx(0.02));
  // A bias of 2^30 * 0.1 * 0.05 takes a scale of 0.05.
  CHECK(channel_scale(weights, 0, 5368709.12F, 0.1, 0.1) == doctest::Approx(0.05));
  // 4 * 2^-32 of output over input scale.
  CHECK(channel_scale(std::vector<float>{0, 0}, 0, 0, 1e-3, 1e6) == doctest::Approx(1e9 * std::ldexp(1.0, -30)));
  CHECK(channel_scale(std::vector<float>{0, 0}, 0, 0, 1, 1e-30) == doctest::Approx(1e-30));
  CHECK(channel_scale(weights, 0, 0, 1e-37, 1e37) == std::numeric_limits<float>::max());
}

TEST_CASE("weights and biases are rounded to nearest, ties to even, within their bounds") {
  int8_t integers[6];
  quantize_channel(std::vector<float>{0.5F, 1.5F, -0.5F, -2.5F, 200, -200}, 1, integers);
  CHECK(std::vector<int>(integers, integers + 6) == std::vector<int>{0, 2, 0, -2, 127, -127});
  CHECK(quantize_bias(1, 0.5, 0.25F, 4) == 8);
  CHECK(quantize_bias(-0.3125F, 0.5, 0.25F, 4) == -2);  // -2.5
  CHECK(quantize_bias(1e30F, 0.5, 0.25F, 4) == 1 << 30);
  // A unit of zero weights with many inputs: 2^31 - 1 - 40000 * 255 * 128.
  CHECK(quantize_bias(1e30F, 0.5, 0.25F, 40000) == 841883647);
  const std::vector<float> none(40000);
  CHECK(channel_scale(none, 0, 0.5F, 1, 1e-9) == doctest::Approx(0.5 / 841883647));
}

TEST_CASE("rows of recurrent weights") {
  CHECK(row_scale(std::vector<float>{0.5F, -1.27F}) == doctest::Approx(0.01));
  CHECK(row_scale(std::vector<float>{0, 0}) == 1e-30F);
}

TEST_CASE("functions are asked for values of their domain alone") {
  CHECK(in_domain(OpKind::kSqrt, -1) == 0);
  CHECK(in_domain(OpKind::kLog, 0) == 1e-30F);
  CHECK(in_domain(OpKind::kTanh, -1) == -1);
}

TEST_CASE("the table of softmax falls by the input's scale from 2^23") {
  int32_t table[256];
  softmax_table(0.5F, table);
  CHECK(table[0] == 1 << 23);
  CHECK(table[2] == doctest::Approx(std::exp(-1.0) * (1 << 23)).epsilon(1e-6));
  CHECK(table[255] == 0);
}
