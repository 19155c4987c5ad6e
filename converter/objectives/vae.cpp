#include "objectives/objective.h"
#include "objectives/programs.h"
#include "objectives/updates.h"

namespace figment::converter {

TrainedModel vae_model(const std::string& encoder_path, const std::string& decoder_path, const TrainOptions& options) {
  TrainedModel result;
  const Network encoder = load_network("encoder", encoder_path);
  const Network decoder = load_network("decoder", decoder_path);
  Network logits = decoder;
  const bool bernoulli = options.likelihood == Likelihood::kBernoulli;
  if (bernoulli && !strip_sigmoid(&logits.graph)) {
    result.notes.emplace_back("decoder: has no final sigmoid, its output is taken for logits");
  }
  const PortDefinition& sample = only(encoder.graph.inputs, encoder, "input, the sample");
  if (encoder.graph.outputs.size() != 2) throw Error("encoder: needs two outputs, the means and the log variances");
  const PortDefinition& mean_port = encoder.graph.outputs[0];
  const PortDefinition& latent = only(logits.graph.inputs, decoder, "input, the latent");
  const PortDefinition& made = only(logits.graph.outputs, decoder, "output, the sample");

  Graph step;
  step.name = "train.step";
  Composer composer(&step);
  std::vector<RunningStatistics> statistics;
  const ValueId x = composer.add_input(sample.name, encoder.graph, sample);
  const ValueId noise = composer.add_input("noise", encoder.graph, mean_port);
  const std::vector<ValueId> posterior = composer.add(encoder, {x}, Composer::Mode::kTraining, &statistics);
  const ValueId mean = posterior[0];
  const ValueId log_variance = composer.connect(posterior[1], encoder.graph.outputs[1], mean_port, "log variances");
  Builder build(&step, "vae.loss");
  // z = mean + exp(log variance / 2) * noise
  const ValueId deviation = build.add(OpKind::kExp, {build.with_number(OpKind::kMultiply, log_variance, 0.5F)});
  const ValueId z = build.add(OpKind::kAdd, {mean, build.add(OpKind::kMultiply, {deviation, noise})});
  const ValueId y =
      composer.connect(composer.add(logits, {composer.connect(z, mean_port, latent, "encoder to decoder")},
                                    Composer::Mode::kTraining, &statistics)[0],
                       made, sample, "reconstruction");
  ValueId errors = 0;
  if (bernoulli) {
    errors = build.add(OpKind::kSubtract, {build.add(OpKind::kSoftplus, {y}), build.add(OpKind::kMultiply, {x, y})});
  } else {
    const ValueId difference = build.add(OpKind::kSubtract, {x, y});
    errors = build.with_number(OpKind::kMultiply, build.add(OpKind::kMultiply, {difference, difference}), 0.5F);
  }
  // -1/2 * sum(1 + log variance - mean^2 - variance), appendix B of the paper.
  const ValueId variance = build.add(OpKind::kExp, {log_variance});
  const ValueId squares = build.add(OpKind::kAdd, {build.add(OpKind::kMultiply, {mean, mean}), variance});
  const ValueId divergence = build.with_number(
      OpKind::kMultiply, build.with_number(OpKind::kSubtract, build.add(OpKind::kSubtract, {squares, log_variance}), 1),
      0.5F);
  // The mean over the batch of a sum over the elements: the mean over all, times the elements of a sample.
  const auto per_sample = [&](ValueId values, const PortDefinition& port) {
    return build.reshape(
        build.with_number(OpKind::kMultiply, build.mean_all(values), static_cast<float>(sample_size(port))), {{}});
  };
  const ValueId reconstruction = per_sample(errors, sample);
  const ValueId kl = per_sample(divergence, mean_port);
  const ValueId beta = composer.add_variable("vae.beta", {1}, {static_cast<float>(options.beta)});
  result.model.scalars.push_back({"vae.beta", "vae.beta", 0});
  const ValueId loss = build.add(OpKind::kAdd, {reconstruction, build.add(OpKind::kMultiply, {kl, beta})});
  add_updates("vae", &step, &composer, loss, {&encoder, &logits}, statistics, options, &result.model);
  add_number_output(build, "vae.loss", loss);
  add_number_output(build, "vae.reconstruction", reconstruction);
  add_number_output(build, "vae.kl", kl);

  const LatentDefinition drawn{step.name, "noise", sample_size(mean_port), Prior::kNormal};
  result.model.schedule.push_back({step.name, 1, 0, {drawn}});
  result.model.programs.push_back(inference_program("generate", decoder));
  result.model.programs.push_back(inference_program("encode", encoder));
  result.model.programs.push_back(std::move(step));
  result.model.latent = LatentDefinition{"generate", latent.name, sample_size(latent), Prior::kNormal};
  return result;
}

}  // namespace figment::converter
