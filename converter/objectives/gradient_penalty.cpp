#include "objectives/gradient_penalty.h"

#include "passes/gradient.h"
#include "passes/tangent.h"

namespace figment::converter {

void declare_gradient_penalty(OptionVisitor& visitor, GradientPenaltyOptions* options) {
  visitor.choice({"loss.gradient_penalty.kind", "--gradient-penalty", "penalty on the discriminator's input gradient"},
                 &options->kind, {"none", "r1", "wgan-gp"});
  double weight = kPenaltyWeight;
  if (visitor.number({"loss.gradient_penalty.weight", "--gradient-penalty-weight", "weight of that penalty"}, &weight,
                     0, kMaxNumber))
    options->weight = weight;
}

ValueId gradient_norms(Composer* composer, ValueId sample, ValueId logit) {
  Graph* program = &composer->program();
  Builder build(program, "d.penalty");
  const ValueId sum = build.sum_all(logit);
  const ValueId one = build.scalar(1, build.shape(sum).rank());
  const Gradients gradients = differentiate(program, {{sum, one}}, {sample}, composer->fixed());
  const auto found = gradients.find(sample);
  if (found == gradients.end()) throw Error("discriminator: its logit does not depend on the sample");
  const ValueId gradient = found->second;
  Permutation axes;
  for (uint32_t i = 0; i < build.shape(gradient).rank(); ++i) {
    if (!build.shape(gradient)[i].per_batch) axes.push_back(i);
  }
  const ValueId squares = build.sum(build.add(OpKind::kMultiply, {gradient, gradient}), axes);
  const ValueId norm = build.with_scalar(OpKind::kAdd, build.add(OpKind::kSqrt, {squares}), 1e-20F);
  const ValueId direction = build.add(OpKind::kDivide, {gradient, norm});
  const auto hold = [&](ValueId value) { composer->hold(value); };
  hold(direction);
  return tangent(program, sample, direction, logit, hold);
}

ValueId penalty_of(Builder& build, GradientPenalty kind, ValueId norms) {
  const bool r1 = kind == GradientPenalty::kR1;
  const ValueId x = r1 ? norms : build.with_scalar(OpKind::kSubtract, norms, 1);
  const ValueId mean = build.mean_all(build.add(OpKind::kMultiply, {x, x}));
  return r1 ? build.with_scalar(OpKind::kMultiply, mean, 0.5F) : mean;
}

}  // namespace figment::converter
