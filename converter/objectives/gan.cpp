#include "objectives/objective.h"
#include "objectives/programs.h"
#include "objectives/updates.h"

namespace figment::converter {

namespace {

// softplus(x), or of -x, as one number.
ValueId mean_softplus(Builder& build, ValueId x, bool negative) {
  return build.mean_all(build.add(OpKind::kSoftplus, {negative ? build.add(OpKind::kNegate, {x}) : x}));
}

// max(0, 1 + x), or of -x, as one number.
ValueId mean_hinge(Builder& build, ValueId x, bool negative) {
  Attributes relu;
  relu.clamp_min = 0;
  const ValueId signed_x = negative ? build.add(OpKind::kNegate, {x}) : x;
  return build.mean_all(build.add(OpKind::kClamp, {build.with_number(OpKind::kAdd, signed_x, 1)}, relu));
}

ValueId discriminator_loss(Builder& build, ValueId real, ValueId made, const TrainOptions& options) {
  if (options.gan_loss == GanLoss::kHinge) {
    return build.add(OpKind::kAdd, {mean_hinge(build, real, true), mean_hinge(build, made, false)});
  }
  ValueId on_real = 0;
  if (options.label_smoothing == 0) {
    on_real = mean_softplus(build, real, true);
  } else {
    const auto target = static_cast<float>(1 - options.label_smoothing);
    const ValueId product = build.mean_all(build.with_number(OpKind::kMultiply, real, target));
    on_real = build.add(OpKind::kSubtract, {mean_softplus(build, real, false), product});
  }
  return build.add(OpKind::kAdd, {on_real, mean_softplus(build, made, false)});
}

ValueId generator_loss(Builder& build, ValueId made, const TrainOptions& options) {
  if (options.gan_loss == GanLoss::kHinge) return build.mean_all(build.add(OpKind::kNegate, {made}));
  return mean_softplus(build, made, true);
}

}  // namespace

TrainedModel gan_model(const std::string& generator_path, const std::string& discriminator_path, Prior prior,
                       const TrainOptions& options) {
  TrainedModel result;
  const Network generator = load_network("generator", generator_path);
  Network discriminator = load_network("discriminator", discriminator_path);
  if (strip_sigmoid(&discriminator.graph)) {
    result.notes.emplace_back("discriminator: its final sigmoid is taken off, the losses work on logits");
  }
  const PortDefinition& latent = only(generator.graph.inputs, generator, "input, the latent");
  const PortDefinition& sample = only(generator.graph.outputs, generator, "output, the sample");
  const PortDefinition& real = only(discriminator.graph.inputs, discriminator, "input, the sample");
  only(discriminator.graph.outputs, discriminator, "output, the logit");

  Graph step;
  step.name = "train.step";
  Composer composer(&step);
  const ValueId z = composer.add_input(latent.name, generator.graph, latent);
  const ValueId x = composer.add_input(real.name, discriminator.graph, real);
  std::vector<RunningStatistics> generator_statistics;
  std::vector<RunningStatistics> statistics;
  const ValueId made =
      composer.connect(composer.add(generator, {z}, Composer::Mode::kTraining, &generator_statistics)[0], sample, real,
                       "generator to discriminator");
  const auto judge = [&](ValueId value) {
    return composer.add(discriminator, {value}, Composer::Mode::kTraining, &statistics)[0];
  };
  Builder d(&step, "d.loss");
  const ValueId real_logits = judge(x);
  const ValueId d_loss = discriminator_loss(d, real_logits, judge(made), options);
  add_updates("d", &step, &composer, d_loss, {&discriminator}, statistics, options, &result.model);
  statistics.clear();
  Builder g(&step, "g.loss");
  const ValueId g_loss = generator_loss(g, judge(made), options);
  add_updates("g", &step, &composer, g_loss, {&generator}, generator_statistics, options, &result.model);
  add_number_output(d, "d.loss", d_loss);
  add_number_output(g, "g.loss", g_loss);

  const LatentDefinition drawn{step.name, latent.name, sample_size(latent), prior};
  result.model.schedule.push_back({step.name, 1, 0, {drawn}});
  result.model.programs.push_back(inference_program("generate", generator));
  result.model.programs.push_back(inference_program("discriminate", discriminator));
  result.model.programs.push_back(std::move(step));
  result.model.latent = LatentDefinition{"generate", latent.name, drawn.size, prior};
  return result;
}

}  // namespace figment::converter
