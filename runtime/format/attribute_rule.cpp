// What a session reads of an op each time that it runs: worth the size of fast code.
#include "format/attribute_rule.h"

#include "format/bad.h"
#include "format/schema_access.h"

namespace figment::format::attribute_rule {

namespace {

template <typename... Vectors>
Status check_ranks(const Vectors*... vectors) {
  if (((length(vectors) > kMaxRank) || ...)) return bad("has attributes for more than %zu dimensions", kMaxRank);
  return {};
}

Status nothing_to_check(const schema::Op& /*op*/) { return {}; }

}  // namespace

const Group kNone = {nothing_to_check, [](const schema::Op& /*op*/, int64_t /*units*/, Attributes* /*result*/) {}};

const Group kWindow = {[](const schema::Op& op) -> Status {
                         const auto& window = *op.attributes_as_WindowAttributes();
                         if (length(window.kernel()) != 2 || length(window.stride()) != 2 ||
                             length(window.dilation()) != 2 || length(window.padding()) != 4 ||
                             (window.output_padding() != nullptr && length(window.output_padding()) != 2))
                           return bad("kernel, stride, dilation need two values, padding four");
                         return {};
                       },
                       [](const schema::Op& op, int64_t /*units*/, Attributes* result) {
                         const auto& window = *op.attributes_as_WindowAttributes();
                         copy_list(window.kernel(), &result->window.kernel);
                         copy_list(window.stride(), &result->window.stride);
                         copy_list(window.dilation(), &result->window.dilation);
                         copy_list(window.padding(), &result->window.padding);
                         copy_list(window.output_padding(), &result->window.output_padding);
                         result->window.groups = window.groups();
                         result->window.count_padding = window.count_padding();
                       }};

const Group kAxes = {[](const schema::Op& op) { return check_ranks(op.attributes_as_AxesAttributes()->axes()); },
                     [](const schema::Op& op, int64_t /*units*/, Attributes* result) {
                       result->axes = list(op.attributes_as_AxesAttributes()->axes());
                     }};

const Group kTranspose = {
    [](const schema::Op& op) { return check_ranks(op.attributes_as_TransposeAttributes()->permutation()); },
    [](const schema::Op& op, int64_t /*units*/, Attributes* result) {
      result->permutation = list(op.attributes_as_TransposeAttributes()->permutation());
    }};

const Group kSlice = {
    [](const schema::Op& op) -> Status {
      const auto& slice = *op.attributes_as_SliceAttributes();
      FIGMENT_RETURN_IF_ERROR(check_ranks(slice.starts(), slice.steps(), slice.growth()));
      if (length(slice.growth()) > length(slice.starts())) return bad("more starts grow than there are");
      return {};
    },
    [](const schema::Op& op, int64_t units, Attributes* result) {
      const auto& slice = *op.attributes_as_SliceAttributes();
      result->starts = list(slice.starts());
      for (uint32_t d = 0; d < length(slice.growth()); ++d)
        result->starts[d] = static_cast<uint32_t>(int64_t{result->starts[d]} + int64_t{slice.growth()->Get(d)} * units);
      result->steps = list(slice.steps());
    }};

const Group kPad = {[](const schema::Op& op) -> Status {
                      const auto& pad = *op.attributes_as_PadAttributes();
                      if (pad.mode() > schema::PadMode::MAX) return bad("unknown padding mode");
                      return check_ranks(pad.before(), pad.after());
                    },
                    [](const schema::Op& op, int64_t /*units*/, Attributes* result) {
                      const auto& pad = *op.attributes_as_PadAttributes();
                      result->before = list(pad.before());
                      result->after = list(pad.after());
                      result->pad_mode = static_cast<PadMode>(pad.mode());
                      result->pad_value = pad.value();
                    }};

const Group kAlpha = {nothing_to_check, [](const schema::Op& op, int64_t /*units*/, Attributes* result) {
                        result->alpha = op.attributes_as_AlphaAttributes()->alpha();
                      }};

const Group kMatmul = {nothing_to_check, [](const schema::Op& op, int64_t /*units*/, Attributes* result) {
                         result->transpose_a = op.attributes_as_MatmulAttributes()->transpose_a();
                         result->transpose_b = op.attributes_as_MatmulAttributes()->transpose_b();
                       }};

const Group kFunction = {[](const schema::Op& op) -> Status {
                           if (op.attributes_as_FunctionAttributes()->function() > schema::OpKind::MAX)
                             return bad("unknown function");
                           return {};
                         },
                         [](const schema::Op& op, int64_t /*units*/, Attributes* result) {
                           const auto& function = *op.attributes_as_FunctionAttributes();
                           result->function = static_cast<OpKind>(function.function());
                           result->alpha = function.alpha();
                         }};

const Group kRecurrent = {[](const schema::Op& op) -> Status {
                            if (op.attributes_as_RecurrentAttributes()->gradient() > schema::RecurrentGradient::MAX)
                              return bad("unknown gradient");
                            return {};
                          },
                          [](const schema::Op& op, int64_t /*units*/, Attributes* result) {
                            const auto& recurrent = *op.attributes_as_RecurrentAttributes();
                            result->linear_before_reset = recurrent.linear_before_reset();
                            result->recurrent_gradient = static_cast<RecurrentGradient>(recurrent.gradient());
                          }};

const Group kGroupNorm = {nothing_to_check, [](const schema::Op& op, int64_t /*units*/, Attributes* result) {
                            result->groups = op.attributes_as_GroupNormAttributes()->groups();
                            result->alpha = op.attributes_as_GroupNormAttributes()->epsilon();
                          }};

}  // namespace figment::format::attribute_rule
