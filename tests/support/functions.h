// The functions of one value, in double precision and written another way than the code under test.
#pragma once

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "format/op.h"

namespace figment::test {

struct RightFunction {
  format::OpKind kind;
  // What f32 may differ by: relative, and absolute.
  double relative;
  double absolute;
  double (*value)(const format::Attributes& attributes, double x);
  bool positive = false;  // its domain
};

inline const std::vector<RightFunction>& right_functions() {
  using format::Attributes;
  using format::OpKind;
  static const std::vector<RightFunction> functions = {
      {OpKind::kClamp, 0, 0,
       [](const Attributes& a, double x) {
         return x < static_cast<double>(a.clamp_min)   ? static_cast<double>(a.clamp_min)
                : x > static_cast<double>(a.clamp_max) ? static_cast<double>(a.clamp_max)
                                                       : x;
       }},
      {OpKind::kLeakyRelu, 1e-7, 0,
       [](const Attributes& a, double x) { return x < 0 ? static_cast<double>(a.alpha) * x : x; }},
      {OpKind::kElu, 1e-6, 1e-6,
       [](const Attributes& a, double x) { return x < 0 ? static_cast<double>(a.alpha) * (std::exp(x) - 1) : x; }},
      {OpKind::kSigmoid, 1e-6, 1e-37, [](const Attributes&, double x) { return 1 / (1 + std::exp(-x)); }},
      {OpKind::kTanh, 1e-6, 1e-7, [](const Attributes&, double x) { return std::tanh(x); }},
      {OpKind::kExp, 1e-6, 0, [](const Attributes&, double x) { return std::exp(x); }},
      {OpKind::kLog, 1e-6, 1e-7, [](const Attributes&, double x) { return std::log(x); }, true},
      {OpKind::kSqrt, 1e-7, 0, [](const Attributes&, double x) { return std::sqrt(x); }, true},
      {OpKind::kAbs, 0, 0, [](const Attributes&, double x) { return x < 0 ? -x : x; }},
      {OpKind::kNegate, 0, 0, [](const Attributes&, double x) { return 0 - x; }},
      {OpKind::kSoftplus, 1e-6, 1e-37,
       [](const Attributes&, double x) { return x > 700   ? x
                                                : x < -30 ? std::exp(x)
                                                          : std::log1p(std::exp(x)); }},
      {OpKind::kSoftsign, 1e-6, 0,
       [](const Attributes&, double x) { return std::isinf(x) ? std::nan("") : 1 / (1 / x + (x < 0 ? -1 : 1)); }},
      {OpKind::kErf, 5e-7, 0,
       [](const Attributes&, double x) {
         if (std::fabs(x) >= 0.5) return x < 0 ? std::erfc(-x) - 1 : 1 - std::erfc(x);
         double term = x;
         double sum = x;
         for (int n = 1; n < 30; ++n) {
           term *= -x * x / n;
           sum += term / (2 * n + 1);
         }
         return 2 / std::sqrt(M_PI) * sum;
       }},
      {OpKind::kSin, 1e-6, 1e-7, [](const Attributes&, double x) { return 2 * std::sin(x / 2) * std::cos(x / 2); }},
      {OpKind::kCos, 1e-6, 1e-7, [](const Attributes&, double x) { return 1 - 2 * std::sin(x / 2) * std::sin(x / 2); }},
      {OpKind::kAtan, 5e-7, 0,
       [](const Attributes&, double x) {
         return std::isinf(x) ? std::copysign(std::asin(1.0), x) : std::asin(x / std::hypot(1, x));
       }},
      {OpKind::kFloor, 0, 0,
       [](const Attributes&, double x) {
         return std::isinf(x) ? x : x - std::fmod(x, 1) - (std::fmod(x, 1) < 0 ? 1 : 0);
       }},
      {OpKind::kRound, 0, 0,
       [](const Attributes&, double x) { return std::fabs(x) > 1e15 ? x : x - std::remainder(x, 1); }},
  };
  return functions;
}

inline const RightFunction& right_function(format::OpKind kind) {
  for (const RightFunction& function : right_functions()) {
    if (function.kind == kind) return function;
  }
  throw std::logic_error(std::string("tests/support/functions.h lacks ") + format::name_of(kind));
}

}  // namespace figment::test
