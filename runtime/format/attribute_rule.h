// The attributes that ops carry in a file, by group: how each is checked, and read.
#pragma once

#include "format/op.h"

namespace figment::format {

namespace schema {
struct Op;
}

namespace attribute_rule {

struct Group {
  // Of an op that carries attributes of this group.
  Status (*check)(const schema::Op& op);
  // At a length of so many units more than the file's.
  void (*read)(const schema::Op& op, int64_t units, Attributes* attributes);
};

// Those that ops.def names (AttributeGroup).
extern const Group kNone;
extern const Group kWindow;
extern const Group kAxes;
extern const Group kTranspose;
extern const Group kSlice;
extern const Group kPad;
extern const Group kAlpha;
extern const Group kMatmul;
extern const Group kFunction;
extern const Group kRecurrent;
extern const Group kGroupNorm;

}  // namespace attribute_rule

}  // namespace figment::format
