#include "objectives/adversarial_losses.h"

namespace figment::converter {

namespace {

ValueId negated(Builder& build, ValueId x) { return build.add(OpKind::kNegate, {x}); }

ValueId mean_softplus(Builder& build, ValueId x) { return build.mean_all(build.add(OpKind::kSoftplus, {x})); }

// With a target t below 1, softplus(r) - t r in the place of softplus(-r) (one-sided label smoothing; Salimans et al.
// 2016).
ValueId non_saturating_discriminator(Builder& build, ValueId real, ValueId fake, float target) {
  ValueId on_real = 0;
  if (target == 1) {
    on_real = mean_softplus(build, negated(build, real));
  } else {
    const ValueId product = build.mean_all(build.with_scalar(OpKind::kMultiply, real, target));
    on_real = build.add(OpKind::kSubtract, {mean_softplus(build, real), product});
  }
  return build.add(OpKind::kAdd, {on_real, mean_softplus(build, fake)});
}

ValueId non_saturating_generator(Builder& build, ValueId fake) { return mean_softplus(build, negated(build, fake)); }

// max(0, 1 + x)
ValueId mean_hinge(Builder& build, ValueId x) {
  Attributes relu;
  relu.clamp_min = 0;
  return build.mean_all(build.add(OpKind::kClamp, {build.with_scalar(OpKind::kAdd, x, 1)}, relu));
}

ValueId hinge_discriminator(Builder& build, ValueId real, ValueId fake, float /*target*/) {
  return build.add(OpKind::kAdd, {mean_hinge(build, negated(build, real)), mean_hinge(build, fake)});
}

ValueId wasserstein_discriminator(Builder& build, ValueId real, ValueId fake, float /*target*/) {
  return build.add(OpKind::kSubtract, {build.mean_all(fake), build.mean_all(real)});
}

ValueId linear_generator(Builder& build, ValueId fake) { return build.mean_all(negated(build, fake)); }

// (x - target)^2 / 2
ValueId mean_half_square(Builder& build, ValueId x, float target) {
  const ValueId difference = build.with_scalar(OpKind::kSubtract, x, target);
  const ValueId square = build.add(OpKind::kMultiply, {difference, difference});
  return build.mean_all(build.with_scalar(OpKind::kMultiply, square, 0.5F));
}

ValueId least_squares_discriminator(Builder& build, ValueId real, ValueId fake, float target) {
  return build.add(OpKind::kAdd, {mean_half_square(build, real, target), mean_half_square(build, fake, 0)});
}

ValueId least_squares_generator(Builder& build, ValueId fake) { return mean_half_square(build, fake, 1); }

}  // namespace

const std::vector<AdversarialLoss>& adversarial_losses() {
  static const std::vector<AdversarialLoss> losses = {
      // D: softplus(-r) + softplus(f), G: softplus(-f) (Goodfellow et al. 2014)
      {"non-saturating", non_saturating_discriminator, non_saturating_generator, 0.05F, true, false},
      // D: max(0, 1 - r) + max(0, 1 + f), G: -f (Lim and Ye 2017)
      {"hinge", hinge_discriminator, linear_generator, 0.05F, false, false},
      // D: (r - 1)^2 / 2 + f^2 / 2, G: (f - 1)^2 / 2 (Mao et al. 2017)
      {"least-squares", least_squares_discriminator, least_squares_generator, 0.01F, true, false},
      // D: f - r, G: -f (Arjovsky et al. 2017)
      {"wasserstein", wasserstein_discriminator, linear_generator, 0, false, true},
  };
  return losses;
}

}  // namespace figment::converter
