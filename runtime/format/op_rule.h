// The rules of an op, each in an object of its own, so that a program is linked with those of its ops alone.
#pragma once

#include "format/attribute_rule.h"
#include "format/integer_rule.h"
#include "format/shape_rule.h"

namespace figment::format {

struct OpRule {
  shape_rule::Rule* shape;
  integer_rule::Rule* integer;
  const attribute_rule::Group* attributes;
};

#define FIGMENT_OP(number, Kind, name, attributes, traits, shape, integer, ...) \
  inline constexpr OpRule kRuleOf##Kind = {shape_rule::shape, integer_rule::integer, &attribute_rule::k##attributes};
#include "figment/ops.def"
#undef FIGMENT_OP

// Where `kind` is known to the compiler, nothing is linked but that rule.
constexpr const OpRule* rule_for(OpKind kind) {
  switch (kind) {
#define FIGMENT_OP(number, Kind, ...) \
  case OpKind::k##Kind: return &kRuleOf##Kind;
#include "figment/ops.def"
#undef FIGMENT_OP
  }
  return nullptr;
}

// The rules of an op of the table that the program is linked with (figment/ops.h); nullptr if it has no such op. The
// layer of the kernels defines it.
const OpRule* linked_rule(OpKind kind);

}  // namespace figment::format
