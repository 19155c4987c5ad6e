#include "ir/functions.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "core/functions.h"

namespace figment::converter {

namespace {

using format::Attributes;
using format::OpKind;

constexpr Function kFunctions[] = {
    {OpKind::kClamp, nullptr,
     [](const Attributes& a, float x) { return std::min(std::max(x, a.clamp_min), a.clamp_max); }},
    {OpKind::kLeakyRelu, nullptr, [](const Attributes& a, float x) { return x < 0 ? a.alpha * x : x; }},
    {OpKind::kElu, nullptr,
     [](const Attributes& a, float x) { return x < 0 ? a.alpha * exponential_minus_one(x) : x; }},
    {OpKind::kSigmoid, "Sigmoid", [](const Attributes&, float x) { return sigmoid(x); }},
    {OpKind::kTanh, "Tanh", [](const Attributes&, float x) { return hyperbolic_tangent(x); }},
    {OpKind::kExp, "Exp", [](const Attributes&, float x) { return exponential(x); }},
    {OpKind::kLog, "Log", [](const Attributes&, float x) { return logarithm(x); }},
    {OpKind::kSqrt, "Sqrt", [](const Attributes&, float x) { return square_root(x); }},
    {OpKind::kAbs, "Abs", [](const Attributes&, float x) { return std::abs(x); }},
    {OpKind::kNegate, "Neg", [](const Attributes&, float x) { return -x; }},
    {OpKind::kSoftplus, "Softplus", [](const Attributes&, float x) { return softplus(x); }},
    {OpKind::kSoftsign, "Softsign", [](const Attributes&, float x) { return x / (1 + std::abs(x)); }},
    {OpKind::kErf, "Erf", [](const Attributes&, float x) { return error_function(x); }},
    {OpKind::kSin, "Sin", [](const Attributes&, float x) { return sine(x); }},
    {OpKind::kCos, "Cos", [](const Attributes&, float x) { return cosine(x); }},
    {OpKind::kAtan, "Atan", [](const Attributes&, float x) { return arc_tangent(x); }},
    {OpKind::kFloor, "Floor", [](const Attributes&, float x) { return round_down(x); }},
    {OpKind::kRound, "Round", [](const Attributes&, float x) { return round_to_even(x); }},
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
