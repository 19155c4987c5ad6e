// Ranges of int8 tensors, for samples that calibration did not see.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "passes/quantize_ranges.h"
#include "support.h"

using namespace figment::converter;

namespace {

constexpr size_t kSamples = 192;
constexpr size_t kSize = 6;  // values of a sample

std::vector<float> drawn(size_t samples, const std::function<float()>& draw) {
  std::vector<float> values(samples * kSize);
  for (float& value : values) value = draw();
  return values;
}

Distribution distribution_of(const std::vector<float>& values, size_t samples) {
  Distribution distribution;
  distribution.see_extremes(values, samples);
  distribution.see(values);
  return distribution;
}

}  // namespace

TEST_CASE("a range holds all but a few of 16 times as many other samples") {
  figment::test::Random random(8);
  const auto uniform = [&] { return (static_cast<double>(random.real()) + 1) / 2 + 1e-9; };
  const auto normal = [&] {
    return static_cast<float>(std::sqrt(-2 * std::log(uniform())) * std::cos(6.2831853 * uniform()));
  };
  const auto exponential = [&] { return static_cast<float>(-std::log(uniform())); };
  for (const std::function<float()>& draw : {std::function<float()>(normal), std::function<float()>(exponential)}) {
    size_t beyond = 0;
    double wider = 0;
    constexpr size_t kTrials = 20;
    for (size_t trial = 0; trial < kTrials; ++trial) {
      const std::vector<float> values = drawn(kSamples, draw);
      const auto [low, high] = distribution_of(values, kSamples).range(RangeRule::kMinMax);
      const auto [least, most] = std::ranges::minmax(values);
      CHECK(low <= std::min(0.0F, least));
      CHECK(high >= most);
      wider += high / most / kTrials;
      const std::vector<float> others = drawn(16 * kSamples, draw);
      for (size_t i = 0; i < others.size(); i += kSize) {
        const auto [first, last] = std::ranges::minmax(std::span(others).subspan(i, kSize));
        beyond += first < low || last > high ? 1 : 0;
      }
    }
    CHECK(beyond < 4 * kTrials);  // the extremes alone leave out 16 in a trial, on either side
    CHECK(wider < 1.5);
  }
}

TEST_CASE("values with a bound have it for their range") {
  figment::test::Random random(9);
  const std::vector<float> values = drawn(kSamples, [&] { return std::clamp(4 * random.real(), 0.0F, 1.0F); });
  const auto [low, high] = distribution_of(values, kSamples).range(RangeRule::kMinMax);
  CHECK(low == 0);
  CHECK(high == 1);
  // Zero is in every range.
  const std::vector<float> far = drawn(kSamples, [] { return 3.0F; });
  CHECK(distribution_of(far, kSamples).range(RangeRule::kMinMax) == std::pair(0.0, 3.0));
}

TEST_CASE("values are clipped only where there are enough to know which are rare") {
  figment::test::Random random(10);
  CHECK(!distribution_of(drawn(1000, [&] { return random.real(); }), 1000).may_clip());
  const Distribution many = distribution_of(drawn(40000, [&] { return random.real(); }), 40000);
  CHECK(many.may_clip());
  const auto [low, high] = many.range(RangeRule::kPercentile);
  CHECK(low == doctest::Approx(-0.9999).epsilon(0.001));
  CHECK(high == doctest::Approx(0.9999).epsilon(0.001));
}
