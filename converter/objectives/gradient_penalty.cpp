#include "objectives/gradient_penalty.h"

#include "passes/gradient.h"

namespace figment::converter {

void declare_gradient_penalty(OptionVisitor& visitor, GradientPenaltyOptions* options) {
  visitor.choice({"loss.gradient_penalty.kind", "--gradient-penalty", "penalty on the discriminator's input gradient"},
                 &options->kind, {"none", "r1", "wgan-gp"});
  visitor.number({"loss.gradient_penalty.weight", "--gradient-penalty-weight", "weight of that penalty"},
                 &options->weight, 0, kMaxNumber);
}

ValueId gradient_norms(Composer* composer, ValueId sample, float step, const std::function<ValueId(ValueId)>& logit) {
  Graph* program = &composer->program();
  Builder build(program, "d.penalty");
  const ValueId sum = build.sum_all(logit(sample));
  const ValueId one = build.scalar(1, build.shape(sum).rank());
  const Gradients gradients = differentiate(program, {{sum, one}}, {sample}, composer->fixed());
  const auto found = gradients.find(sample);
  if (found == gradients.end()) throw Error("discriminator: its logit does not depend on the sample");

  const Shape shape = build.shape(sample);
  Dimension values{1, false};
  for (size_t i = 1; i < shape.rank(); ++i) values.extent *= shape[i].extent;
  const ValueId rows = build.reshape(found->second, {shape[0], values});
  const ValueId squares = build.sum(build.add(OpKind::kMultiply, {rows, rows}), {1});
  const ValueId norm = build.with_scalar(OpKind::kAdd, build.add(OpKind::kSqrt, {squares}), 1e-12F);
  const ValueId direction = build.reshape(build.add(OpKind::kDivide, {rows, norm}), shape);
  const ValueId move = build.with_scalar(OpKind::kMultiply, direction, step);
  composer->hold(move);
  const ValueId ahead = logit(build.add(OpKind::kAdd, {sample, move}));
  const ValueId behind = logit(build.add(OpKind::kSubtract, {sample, move}));
  const ValueId difference = build.add(OpKind::kSubtract, {ahead, behind});
  return build.with_scalar(OpKind::kMultiply, difference, 1 / (2 * step));
}

ValueId penalty_of(Builder& build, GradientPenalty kind, ValueId norms) {
  const bool r1 = kind == GradientPenalty::kR1;
  const ValueId x = r1 ? norms : build.with_scalar(OpKind::kSubtract, norms, 1);
  const ValueId mean = build.mean_all(build.add(OpKind::kMultiply, {x, x}));
  return r1 ? build.with_scalar(OpKind::kMultiply, mean, 0.5F) : mean;
}

}  // namespace figment::converter
