#include "ir/functions.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace figment::converter {

namespace {

using format::Attributes;
using format::OpKind;

constexpr Function kFunctions[] = {
    {OpKind::kClamp, nullptr,
     [](const Attributes& a, double x) { return std::min<double>(std::max<double>(x, a.clamp_min), a.clamp_max); }},
    {OpKind::kLeakyRelu, nullptr, [](const Attributes& a, double x) { return x < 0 ? a.alpha * x : x; }},
    {OpKind::kElu, nullptr, [](const Attributes& a, double x) { return x < 0 ? a.alpha * std::expm1(x) : x; }},
    {OpKind::kSigmoid, "Sigmoid", [](const Attributes&, double x) { return 1 / (1 + std::exp(-x)); }},
    {OpKind::kTanh, "Tanh", [](const Attributes&, double x) { return std::tanh(x); }},
    {OpKind::kExp, "Exp", [](const Attributes&, double x) { return std::exp(x); }},
    {OpKind::kLog, "Log", [](const Attributes&, double x) { return std::log(std::max(x, 1e-30)); }},
    {OpKind::kSqrt, "Sqrt", [](const Attributes&, double x) { return std::sqrt(std::max(x, 0.0)); }},
    {OpKind::kAbs, "Abs", [](const Attributes&, double x) { return std::fabs(x); }},
    {OpKind::kNegate, "Neg", [](const Attributes&, double x) { return -x; }},
    {OpKind::kSoftplus, "Softplus",
     [](const Attributes&, double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }},
    {OpKind::kSoftsign, "Softsign", [](const Attributes&, double x) { return x / (1 + std::fabs(x)); }},
    {OpKind::kErf, "Erf", [](const Attributes&, double x) { return std::erf(x); }},
    {OpKind::kSin, "Sin", [](const Attributes&, double x) { return std::sin(x); }},
    {OpKind::kCos, "Cos", [](const Attributes&, double x) { return std::cos(x); }},
    {OpKind::kAtan, "Atan", [](const Attributes&, double x) { return std::atan(x); }},
    {OpKind::kFloor, "Floor", [](const Attributes&, double x) { return std::floor(x); }},
    {OpKind::kRound, "Round", [](const Attributes&, double x) { return std::nearbyint(x); }},
};

constexpr size_t count_unary_kinds() {
  using namespace format;
  size_t count = 0;
#define FIGMENT_OP(number, Kind, name, attributes, traits, ...) count += ((traits) & kUnary) != 0 ? 1 : 0;
#include "figment/ops.def"
#undef FIGMENT_OP
  return count;
}
static_assert(std::size(kFunctions) == count_unary_kinds());

}  // namespace

std::span<const Function> functions() { return kFunctions; }

const Function& function_of(OpKind kind) {
  return *std::find_if(std::begin(kFunctions), std::end(kFunctions),
                       [kind](const Function& function) { return function.kind == kind; });
}

}  // namespace figment::converter
