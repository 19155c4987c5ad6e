#include "objectives/objective.h"
#include "objectives/programs.h"
#include "objectives/updates.h"

namespace figment::converter {

namespace {

constexpr const char* kNoise = "noise";

class VaeBuilder {
 public:
  VaeBuilder(const Network& encoder, const Network& decoder, const Network& logits, const TrainOptions& options,
             ModelDefinition* model)
      : encoder_(encoder),
        decoder_(decoder),
        logits_(logits),
        options_(options),
        model_(*model),
        vae_("vae", {&encoder, &logits}, options.optimizer, options, model) {
    check_batch(encoder);
    check_batch(decoder);
    sample_ = only(data_inputs(encoder), encoder, "input, the sample");
    // The step's own input, which is drawn, has another name than the sample.
    if (sample_.name == kNoise) sample_.name = "sample";
    if (encoder.graph.outputs.size() != 2) throw Error("encoder: needs two outputs, the means and the log variances");
    mean_ = encoder.graph.outputs[0];
    latent_ = only(data_inputs(logits), decoder, "input, the latent");
    made_ = only(logits.graph.outputs, decoder, "output, the sample");
    model_.scalars.push_back({"vae.beta", "vae.beta", 0});
  }

  void build() {
    model_.programs.push_back(inference_program("generate", decoder_));
    model_.programs.push_back(inference_program("encode", encoder_));
    model_.latent = LatentDefinition{"generate", latent_.name, sample_size(latent_), Prior::kNormal, 0, 0, {}};
    {
      Pass pass("train.step");
      vae_.update(&pass.composer, objective(pass), pass.statistics);
      add_train_program(&pass.composer, {"", 1, 0, {noise()}}, &streams_, &model_);
    }
    add_recomputing_levels(&model_);
    // Free bits are of means over the whole batch.
    if (encoder_.couples_batch() || logits_.couples_batch() || options_.free_bits > 0) return;
    const uint32_t level = next_level(model_);
    Pass part("train.vae.part");
    vae_.accumulate(&part.composer, objective(part));
    add_train_program(&part.composer, {"", 1, 0, {noise()}, level, true}, &streams_, &model_);
    Pass update("train.vae.update");
    vae_.update_accumulated(&update.composer);
    add_train_program(&update.composer, {"", 1, 0, {}, level, false}, &streams_, &model_);
  }

 private:
  struct Pass {
    explicit Pass(const std::string& name) : composer(&program) { program.name = name; }
    Graph program;
    Composer composer;
    std::vector<RunningStatistics> statistics;
  };

  LatentDefinition noise() const { return {"", kNoise, sample_size(mean_), Prior::kNormal, 0, 0, {}}; }

  ValueId objective(Pass& pass) {
    Composer& composer = pass.composer;
    const ValueId x = composer.add_input(sample_.name, encoder_.graph, sample_);
    const ValueId noise = composer.add_input(kNoise, encoder_.graph, mean_);
    const std::vector<ValueId> posterior =
        composer.add(encoder_, {x}, Composer::Mode::kTraining, "encode", &pass.statistics);
    const ValueId mean = posterior[0];
    Builder build(&pass.program, "vae.loss");
    Attributes bounds;
    bounds.clamp_min = -20;
    bounds.clamp_max = 20;
    const ValueId log_variance = build.add(
        OpKind::kClamp, {composer.connect(posterior[1], encoder_.graph.outputs[1], mean_, "log variances")}, bounds);
    // z = mean + exp(log variance / 2) * noise
    const ValueId deviation = build.add(OpKind::kExp, {build.with_number(OpKind::kMultiply, log_variance, 0.5F)});
    const ValueId z = build.add(OpKind::kAdd, {mean, build.add(OpKind::kMultiply, {deviation, noise})});
    const ValueId y =
        composer.connect(composer.add(logits_, {composer.connect(z, mean_, latent_, "encoder to decoder")},
                                      Composer::Mode::kTraining, "decode", &pass.statistics)[0],
                         made_, sample_, "reconstruction");
    const ValueId reconstruction = per_sample(build, errors(build, x, y), sample_);
    const ValueId kl = per_sample(build, divergence(build, mean, log_variance), mean_);
    const ValueId counted = options_.free_bits > 0 ? with_free_bits(build, mean, log_variance) : kl;
    const ValueId loss =
        build.add(OpKind::kAdd, {reconstruction, build.add(OpKind::kMultiply, {counted, weight(build, composer)})});
    add_number_output(build, "vae.loss", loss);
    add_number_output(build, "vae.reconstruction", reconstruction);
    add_number_output(build, "vae.kl", kl);
    return loss;
  }

  ValueId errors(Builder& build, ValueId x, ValueId y) const {
    if (options_.likelihood == Likelihood::kBernoulli) {
      return build.add(OpKind::kSubtract, {build.add(OpKind::kSoftplus, {y}), build.add(OpKind::kMultiply, {x, y})});
    }
    const ValueId difference = build.add(OpKind::kSubtract, {x, y});
    return build.with_number(OpKind::kMultiply, build.add(OpKind::kMultiply, {difference, difference}), 0.5F);
  }

  // -1/2 * sum(1 + log variance - mean^2 - variance), appendix B of the paper.
  static ValueId divergence(Builder& build, ValueId mean, ValueId log_variance) {
    const ValueId variance = build.add(OpKind::kExp, {log_variance});
    const ValueId squares = build.add(OpKind::kAdd, {build.add(OpKind::kMultiply, {mean, mean}), variance});
    const ValueId doubled =
        build.with_number(OpKind::kSubtract, build.add(OpKind::kSubtract, {squares, log_variance}), 1);
    return build.with_number(OpKind::kMultiply, doubled, 0.5F);
  }

  // The mean over the batch of a sum over the elements: the mean over all, times the elements of a sample.
  static ValueId per_sample(Builder& build, ValueId values, const PortDefinition& port) {
    const ValueId mean = build.mean_all(values);
    return build.reshape(build.with_number(OpKind::kMultiply, mean, static_cast<float>(sample_size(port))), {{}});
  }

  ValueId with_free_bits(Builder& build, ValueId mean, ValueId log_variance) const {
    const ValueId values =
        build.reshape(divergence(build, mean, log_variance), {{1, true}, {sample_size(mean_), false}});
    Attributes at_least;
    at_least.clamp_min = static_cast<float>(options_.free_bits);
    const ValueId dimensions = build.add(OpKind::kClamp, {build.mean(values, {0})}, at_least);
    return build.reshape(build.sum_all(dimensions), {{}});
  }

  // beta, or what of it the warm-up allows: min(1, steps done / beta_warm_up).
  ValueId weight(Builder& build, Composer& composer) const {
    const ValueId beta = composer.add_variable("vae.beta", {1}, {static_cast<float>(options_.beta)});
    if (options_.beta_warm_up == 0) return beta;
    const ValueId steps = build.slice(vae_.hyper(&composer), 0, format::kSteps, 1);
    Attributes at_most_one;
    at_most_one.clamp_max = 1;
    const ValueId ramp = build.add(
        OpKind::kMultiply, {steps, build.number(static_cast<float>(1 / options_.beta_warm_up), 1)}, at_most_one);
    return build.add(OpKind::kMultiply, {beta, ramp});
  }

  const Network& encoder_;
  const Network& decoder_;
  const Network& logits_;
  const TrainOptions& options_;
  ModelDefinition& model_;
  Updates vae_;
  Streams streams_;
  PortDefinition sample_;
  PortDefinition mean_;
  PortDefinition latent_;
  PortDefinition made_;
};

}  // namespace

TrainedModel vae_model(const Network& encoder, const Network& decoder, const TrainOptions& options) {
  TrainedModel result;
  Network logits = decoder;
  if (options.likelihood == Likelihood::kBernoulli && !strip_sigmoid(&logits.graph, 0)) {
    result.notes.emplace_back("decoder: has no final sigmoid, its output is taken for logits");
  }
  VaeBuilder(encoder, decoder, logits, options, &result.model).build();
  // What the decoder's output means, for whoever evaluates the model.
  result.model.metadata.emplace_back("training.likelihood", options.likelihood == Likelihood::kGaussian ? "gaussian"
                                                            : result.notes.empty()                      ? "bernoulli"
                                                                                   : "bernoulli-logits");
  return result;
}

}  // namespace figment::converter
