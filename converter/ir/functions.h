// The functions of one value: what the importer, recipes and int8 need of each.
#pragma once

#include <span>

#include "format/op.h"

namespace figment::converter {

struct Function {
  format::OpKind kind;
  // The ONNX op that is this function alone; nullptr for those with attributes, which the importer reads.
  const char* onnx;
  // What the kernels compute, for the tables of int8.
  float (*evaluate)(const format::Attributes& attributes, float x);
};

// A row for every unary function of ops.def.
std::span<const Function> functions();
const Function& function_of(format::OpKind kind);

}  // namespace figment::converter
