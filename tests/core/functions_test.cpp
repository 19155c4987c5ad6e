// The functions of core/functions.h against the C library's in double precision, over a sample of all floats.
#include "core/functions.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

using namespace figment;

namespace {

// Odd, so that all last digits come.
constexpr uint64_t kStride = 65537;

double unit_in_last_place(double value) {
  const float magnitude = std::abs(static_cast<float>(value));
  if (magnitude < std::numeric_limits<float>::min()) return std::numeric_limits<float>::denorm_min();
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  return std::ldexp(1.0, exponent - std::numeric_limits<float>::digits);
}

// Errors up to `negligible` do not count. NaN and infinity must be where the reference has them.
template <typename Function, typename Reference>
void compare(const std::string& name, double most, double negligible, float low, float high, Function function,
             Reference reference) {
  double worst = 0;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += kStride) {
    const auto x = std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (x < low || x > high) continue;
    const float value = function(x);
    const double expected = reference(static_cast<double>(x));
    INFO(name << " of " << x << " is " << value << ", expected " << expected);
    if (std::isnan(expected)) {
      REQUIRE(std::isnan(value));
    } else if (std::isinf(static_cast<float>(expected))) {
      REQUIRE(value == static_cast<float>(expected));
    } else {
      const double error = std::abs(static_cast<double>(value) - expected);
      if (!(error <= negligible)) worst = std::max(worst, error / unit_in_last_place(expected));
      REQUIRE(worst <= most);
    }
  }
}

constexpr float kAll = std::numeric_limits<float>::infinity();

}  // namespace

TEST_CASE("functions are as near to the true values as they say") {
  compare("exp", 1, 0, -kAll, kAll, exponential, [](double x) { return std::exp(x); });
  compare("clamped exp", 1, 0, -87, 88, clamped_exponential, [](double x) { return std::exp(x); });
  compare("expm1", 2, 0, -kAll, 88, exponential_minus_one, [](double x) { return std::expm1(x); });
  compare("log", 1, 0, -kAll, kAll, logarithm, [](double x) { return std::log(x); });
  compare("log1p", 2, 0, 0, 1, log_one_plus, [](double x) { return std::log1p(x); });
  compare("softplus", 3, 2e-38, -kAll, kAll, softplus,
          [](double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); });
  compare("sigmoid", 3, 2e-38, -kAll, kAll, sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); });
  compare("tanh", 2, 0, -kAll, kAll, hyperbolic_tangent, [](double x) { return std::tanh(x); });
  compare("erf", 3, 0, -kAll, kAll, error_function, [](double x) { return std::erf(x); });
  compare("atan", 3, 0, -kAll, kAll, arc_tangent, [](double x) { return std::atan(x); });
  compare("sin", 3, 0, -kAll, kAll, sine, [](double x) { return std::sin(x); });
  compare("cos", 3, 0, -kAll, kAll, cosine, [](double x) { return std::cos(x); });
  compare("floor", 0, 0, -kAll, kAll, round_down, [](double x) { return std::floor(x); });
  compare("round", 0, 0, -kAll, kAll, round_to_even, [](double x) { return std::nearbyint(x); });
  compare("sqrt", 0.5, 0, -kAll, kAll, [](float x) { return square_root(x); }, [](double x) { return std::sqrt(x); });
}

TEST_CASE("zeros keep their signs") {
  for (float (*function)(float) : {error_function, arc_tangent, round_down, round_to_even}) {
    CHECK(function(0.0F) == 0.0F);
    CHECK(!std::signbit(function(0.0F)));
    CHECK(function(-0.0F) == 0.0F);
    CHECK(std::signbit(function(-0.0F)));
  }
  CHECK(std::signbit(round_to_even(-0.25F)));
}

TEST_CASE("roots and powers in double precision") {
  for (double x = 1e-300; x < 1e300; x *= 1.37) CHECK(std::abs(square_root(x) / std::sqrt(x) - 1) <= 1e-15);
  CHECK(square_root(0.0) == 0.0);
  CHECK(std::isinf(square_root(std::numeric_limits<double>::infinity())));
  for (const double base : {0.0, 0.5, 0.9, 0.999, 0.99999, 1.0, 1.25}) {
    for (const uint32_t exponent : {0U, 1U, 2U, 3U, 10U, 1000U, 123457U}) {
      const double expected = std::pow(base, exponent);
      const double value = power(base, exponent);
      if (std::isinf(expected) || expected < 1e-300) continue;
      CHECK(std::abs(value - expected) <= expected * (1e-15 + 2e-16 * exponent));
    }
  }
}
