#include "format/op.h"

#include "format/op_rule.h"
#include "model_generated.h"

namespace figment::format {

namespace {

// In tables of their own: a program that prints no names has none.
constexpr std::array<const char*, kOpKindCount> kNames = {
#define FIGMENT_OP(number, Kind, name, ...) #name,
#include "figment/ops.def"
#undef FIGMENT_OP
};
constexpr std::array<uint16_t, kOpKindCount> kTraits = {
#define FIGMENT_OP(number, Kind, name, attributes, traits, ...) (traits),
#include "figment/ops.def"
#undef FIGMENT_OP
};
constexpr std::array<AttributeGroup, kOpKindCount> kGroups = {
#define FIGMENT_OP(number, Kind, name, attributes, ...) AttributeGroup::k##attributes,
#include "figment/ops.def"
#undef FIGMENT_OP
};

// The rows stand in the order of their numbers, and the schema has them under the same numbers and names.
#define FIGMENT_OP(number, Kind, name, ...)                             \
  static_assert(static_cast<size_t>(schema::OpKind::name) == (number)); \
  static_assert((number) < kOpKindCount);
#include "figment/ops.def"
#undef FIGMENT_OP
static_assert(static_cast<size_t>(schema::OpKind::MAX) + 1 == kOpKindCount);
static_assert(static_cast<size_t>(schema::DataType::i32) == static_cast<size_t>(DataType::kI32));
static_assert(static_cast<size_t>(schema::PadMode::edge) == static_cast<size_t>(PadMode::kEdge));
static_assert(static_cast<size_t>(schema::Attributes::RecurrentAttributes) ==
              static_cast<size_t>(AttributeGroup::kRecurrent));

}  // namespace

const char* name_of(DataType type) {
  switch (type) {
    case DataType::kF32: return "f32";
    case DataType::kI8: return "i8";
    case DataType::kI32: return "i32";
  }
  return "?";
}

const char* name_of(OpKind kind) { return kNames[static_cast<size_t>(kind)]; }
uint32_t traits_of(OpKind kind) { return kTraits[static_cast<size_t>(kind)]; }
AttributeGroup attribute_group(OpKind kind) { return kGroups[static_cast<size_t>(kind)]; }

Result<TensorType> infer_output(OpKind kind, const Attributes& attributes, std::span<const TensorType> inputs,
                                const TensorType& declared) {
  // The bounds are reals or infinities; a NaN fails both comparisons.
  if (!(attributes.clamp_min <= attributes.clamp_max)) return bad("the bounds of the result are empty or NaN");
  if (attributes.clamps() && (traits_of(kind) & kBounds) == 0) return bad("cannot bound its result");
  const OpRule* rule = linked_rule(kind);
  if (rule == nullptr)
    return Status::error(StatusCode::kUnsupported, "this program was linked without a kernel for %s", name_of(kind));
  Result<TensorType> output = rule->shape(kind, attributes, inputs, declared);
  if (output.ok()) {
    output->constant = false;
    if (output->type != DataType::kI8) output->quantization = {};
    if (output->type == DataType::kI8 && output->quantization.scales.size() != 1)
      return bad("the i8 output needs one scale");
  }
  return output;
}

Message integer_violation(OpKind kind, std::span<const TensorType> inputs, const TensorType& output,
                          std::span<const int32_t> bias) {
  const OpRule* rule = linked_rule(kind);
  return rule == nullptr ? Message(nullptr) : rule->integer(inputs, output, bias);
}

}  // namespace figment::format
