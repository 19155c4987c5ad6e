// A row for each op's portable kernel.
#include "figment/ops.h"

#include "kernels/portable/portable.h"

using namespace figment::kernels;
using namespace figment::kernels::portable;

#define FIGMENT_OP(number, Kind, name, attributes, traits, shape_rule, integer_rule, in_place, run, scratch) \
  const fig_op fig_op_##name = {&figment::format::kRuleOf##Kind,                                             \
                                OpKind::k##Kind,                                                             \
                                InPlace::k##in_place,                                                        \
                                true,                                                                        \
                                "portable",                                                                  \
                                nullptr,                                                                     \
                                scratch,                                                                     \
                                run,                                                                         \
                                nullptr,                                                                     \
                                0};
#include "figment/ops.def"
#undef FIGMENT_OP
