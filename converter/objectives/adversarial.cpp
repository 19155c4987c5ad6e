#include "objectives/adversarial.h"

#include <fmt/format.h>
#include <algorithm>

#include "objectives/programs.h"
#include "objectives/updates.h"

namespace figment::converter {

namespace {

constexpr double kClipWeights = 0.01;  // of a Wasserstein critic (Arjovsky et al. 2017)

// The generator's input that is drawn.
const PortDefinition& find_latent(const std::vector<PortDefinition>& inputs, const std::string& wanted) {
  if (wanted.empty() && inputs.size() == 1) return inputs[0];
  const PortDefinition* port = wanted.empty() ? find_named_latent(inputs) : find_port(inputs, wanted);
  if (port != nullptr) return *port;
  throw Error("generator: which input is the latent? Name it \"latent\", or give --latent NAME");
}

// The mean over the batch of -log Q(code | sample), for `q` of the size that CodeOptions asks for; `code` [N, size].
ValueId code_loss(Builder& build, const CodeOptions& option, ValueId q, ValueId code) {
  Attributes last;
  last.axes = {1};
  if (option.prior == Prior::kCategorical) {
    const ValueId hits = build.add(OpKind::kMultiply, {build.add(OpKind::kLogSoftmax, {q}, last), code});
    return build.with_scalar(OpKind::kMultiply, build.mean_all(hits), -static_cast<float>(option.size));
  }
  const bool deviations = build.shape(q)[1].extent == 2 * option.size;
  const ValueId mean = deviations ? build.slice(q, 1, 0, option.size) : q;
  ValueId distance = build.add(OpKind::kSubtract, {code, mean});
  ValueId constant = 0;
  if (deviations) {
    // Bounded: a deviation that runs to 0 would make the likelihood infinite.
    Attributes bounds;
    bounds.clamp_min = -6;
    bounds.clamp_max = 6;
    constant = build.add(OpKind::kClamp, {build.slice(q, 1, option.size, option.size)}, bounds);
    distance =
        build.add(OpKind::kMultiply, {distance, build.add(OpKind::kExp, {build.add(OpKind::kNegate, {constant})})});
  }
  ValueId sum = build.with_scalar(OpKind::kMultiply, build.add(OpKind::kMultiply, {distance, distance}), 0.5F);
  if (deviations) sum = build.add(OpKind::kAdd, {sum, constant});
  constexpr float kHalfLogTwoPi = 0.918938533F;
  sum = build.with_scalar(OpKind::kAdd, sum, kHalfLogTwoPi);
  return build.with_scalar(OpKind::kMultiply, build.mean_all(sum), static_cast<float>(option.size));
}

// Whether the discriminator's weights are clipped: where its loss needs that, and no penalty keeps its gradient in
// bounds.
bool clips_weights(const AdversarialOptions& options) {
  return adversarial_losses()[options.loss].needs_lipschitz && options.gradient_penalty.kind == GradientPenalty::kNone;
}

constexpr double kUsualLot = 32;  // samples that a batch has on average, until a run says so

constexpr const char* kPenalty = "d.penalty";
constexpr const char* kPenaltyShare = "d.penalty.share";
constexpr const char* kWeightName = "d.gradient_penalty.weight";

class AdversarialBuilder {
 public:
  AdversarialBuilder(const Network& generator, const Network& discriminator, const Network& exported,
                     const AdversarialOptions& options, const ModelContext& context, TrainedModel* result)
      : generator_(generator),
        discriminator_(discriminator),
        exported_(exported),
        options_(options),
        context_(context),
        loss_(adversarial_losses()[options.loss]),
        model_(result->model),
        notes_(result->notes),
        d_("d", {&discriminator}, options.discriminator_optimizer, options.batch_norm_momentum, &model_),
        g_("g", {&generator}, options.optimizer, options.batch_norm_momentum, &model_) {
    if (clips_weights(options)) d_.clip_weights(options.clip_weights.value_or(kClipWeights));
    g_.average(options.ema_decay);
    g_.advance(&discriminator);
    augment_ = {options.augment, context.range.first, context.range.second};
    find_ports();
    if (options.gradient_penalty.kind != GradientPenalty::kNone) {
      if (discriminator.couples_batch()) {
        throw Error(
            "a gradient penalty needs a discriminator in which no sample depends on another, and this one "
            "normalizes over the batch: use layer normalization, or none");
      }
      model_.scalars.push_back({kWeightName, kWeightName, 0});
    }
    if (options.privacy_clip > 0 && (generator.couples_batch() || discriminator.couples_batch())) {
      throw Error(
          "differential privacy bounds what each sample adds, and these networks normalize over the batch: use layer "
          "normalization, or none");
    }
    for (const CodeOptions& code : options.codes) {
      model_.scalars.push_back({"q." + code.name + ".weight", "q." + code.name + ".weight", 0});
    }
  }

  void build() {
    model_.programs.push_back(inference_program("generate", generator_, g_.suffix()));
    model_.programs.push_back(inference_program("discriminate", exported_));
    model_.programs.push_back(projection_program(generator_, latent_, g_.suffix()));
    model_.latent = drawn();
    model_.latent->program = "generate";
    const uint32_t period = options_.critic_steps;
    if (options_.privacy_clip > 0) return private_programs(period);
    if (period > 1) {
      for (uint32_t phase = 0; phase + 1 < period; ++phase) critic_program(period, phase);
    }
    step_program(period, period - 1);
    add_recomputing_levels(&model_);
    if (!generator_.couples_batch() && !discriminator_.couples_batch()) micro_batch_programs(period);
  }

 private:
  struct Pass : TrainProgram {
    using TrainProgram::TrainProgram;
    std::vector<RunningStatistics> generator_statistics;  // `statistics` are the discriminator's
    std::vector<LatentDefinition> drawn;                  // beside the latent
    bool draws_conditions = false;
  };

  void find_ports() {
    const std::vector<PortDefinition> inputs = data_inputs(generator_);
    latent_ = find_latent(inputs, context_.latent);
    check_batch(generator_);
    check_batch(discriminator_);
    generated_ = only(generator_.graph.outputs, generator_, "output, the sample");
    uint32_t code_values = 0;
    for (const CodeOptions& code : options_.codes) code_values += code.size;
    if (code_values > sample_size(latent_)) {
      throw Error(fmt::format("the codes have {} values, the latent only {}", code_values, sample_size(latent_)));
    }
    std::vector<PortDefinition> samples;
    for (const PortDefinition& port : data_inputs(discriminator_)) {
      const bool condition = port.name != latent_.name && find_port(inputs, port.name) != nullptr;
      (condition ? conditions_ : samples).push_back(port);
    }
    real_ = only(samples, discriminator_, "input beside the conditions, the sample");
    discriminator_sample_ = real_.name;
    if (real_.name == latent_.name) {
      // Both networks may call their input "input"; in one program names are of one tensor.
      const auto taken = [&](const std::string& name) {
        return name == latent_.name || find_port(conditions_, name) != nullptr;
      };
      for (const std::string& name : {generated_.name, std::string("sample"), std::string("real.sample")}) {
        if (taken(real_.name)) real_.name = name;
      }
      notes_.push_back("discriminator: its input " + discriminator_sample_ +
                       " has the latent's name; where the model trains, it is " + real_.name);
    }
    for (const PortDefinition& port : inputs) {
      if (port.name != latent_.name && find_port(conditions_, port.name) == nullptr) {
        throw Error("generator: its condition " + port.name + " is no input of the discriminator");
      }
    }
    const std::vector<PortDefinition>& outputs = discriminator_.graph.outputs;
    for (const CodeOptions& code : options_.codes) {
      const PortDefinition* port = find_port(outputs, code.name);
      if (port == nullptr) throw Error("discriminator: has no output " + code.name + " for the code of that name");
      const uint32_t size = sample_size(*port);
      const bool fits = size == code.size || (code.prior != Prior::kCategorical && size == 2 * code.size);
      if (!fits || port->shape.rank() != 2) {
        throw Error(fmt::format("discriminator: output {} is {}, a code of {} values needs [N, {}]", code.name,
                                to_string(port->shape), code.size, code.size));
      }
    }
    if (outputs.size() != options_.codes.size() + 1) {
      throw Error(
          fmt::format("discriminator: needs one output, the logit, beside one for each code, has {}", outputs.size()));
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      const auto code = std::find_if(options_.codes.begin(), options_.codes.end(),
                                     [&](const CodeOptions& option) { return option.name == outputs[i].name; });
      if (code == options_.codes.end()) logit_ = i;
    }
    if (sample_size(outputs[logit_]) != 1) {
      throw Error("discriminator: its logit " + outputs[logit_].name + " is " + to_string(outputs[logit_].shape) +
                  ": it must be one value a sample, [N, 1]");
    }
  }

  LatentDefinition drawn() const {
    LatentDefinition latent{"", latent_.name, sample_size(latent_), options_.prior, 0, 0, {}};
    for (const CodeOptions& code : options_.codes) latent.codes.push_back({code.name, code.size, code.prior});
    return latent;
  }

  ValueId latent_input(Pass& pass) const { return pass.composer.add_input(latent_.name, generator_.graph, latent_); }

  // Inputs of a network: `first` for the port `name`, and the conditions.
  std::vector<ValueId> with_conditions(Pass& pass, const Network& network, const std::string& name, ValueId first) {
    std::vector<ValueId> result;
    for (const PortDefinition& port : data_inputs(network)) {
      if (port.name == name) {
        result.push_back(first);
        continue;
      }
      PortDefinition condition = *find_port(conditions_, port.name);
      if (pass.draws_conditions) draw_condition(pass, &condition);
      const ValueId given = pass.composer.add_input(condition.name, discriminator_.graph, condition);
      result.push_back(pass.composer.connect(given, condition, port, "condition " + port.name));
    }
    return result;
  }

  // Gives a condition that is a class a name of its own, by which the step draws it.
  void draw_condition(Pass& pass, PortDefinition* condition) {
    if (condition->shape.rank() != 2 || sample_size(*condition) < 2) {
      throw Error("differential privacy draws the generator's conditions, and " + condition->name +
                  " is no class, a vector of one 1 among zeros");
    }
    condition->name = "g." + condition->name;
    for (const LatentDefinition& drawn : pass.drawn) {
      if (drawn.input == condition->name) return;
    }
    pass.drawn.push_back({"", condition->name, sample_size(*condition), Prior::kCategorical, 0, 0, {}});
  }

  // Samples in the layout that the discriminator takes.
  ValueId generate(Pass& pass) {
    const std::vector<ValueId> inputs = with_conditions(pass, generator_, latent_.name, latent_input(pass));
    const ValueId fake =
        pass.composer.add(generator_, inputs, Composer::Mode::kTraining, "generate", &pass.generator_statistics)[0];
    return pass.composer.connect(fake, generated_, real_, "generator to discriminator");
  }

  ValueId augment(Pass& pass, ValueId sample, const std::string& label) {
    return augmented(&pass.composer, sample, real_, label, augment_, &pass.drawn);
  }

  std::vector<ValueId> discriminate(Pass& pass, ValueId sample, const std::string& label) {
    return pass.composer.add(discriminator_, with_conditions(pass, discriminator_, discriminator_sample_, sample),
                             Composer::Mode::kTraining, label, &pass.statistics);
  }

  // Adds the codes' losses on the outputs for generated samples.
  ValueId with_codes(Pass& pass, const std::vector<ValueId>& outputs, ValueId loss, const std::string& name) {
    if (options_.codes.empty()) return loss;
    Builder build(&pass.program, name + ".codes");
    const uint32_t size = sample_size(latent_);
    uint32_t start = size;
    for (const CodeOptions& code : options_.codes) start -= code.size;
    const ValueId latent = build.reshape(latent_input(pass), {{1, true}, {size, false}});
    for (const CodeOptions& code : options_.codes) {
      size_t output = 0;
      while (discriminator_.graph.outputs[output].name != code.name) ++output;
      const ValueId q =
          build.reshape(outputs[output], {{1, true}, {sample_size(discriminator_.graph.outputs[output]), false}});
      const ValueId value = code_loss(build, code, q, build.slice(latent, 1, start, code.size));
      start += code.size;
      const ValueId weight =
          pass.composer.add_variable("q." + code.name + ".weight", {1}, {static_cast<float>(code.weight)});
      const ValueId number = build.reshape(value, {{}});
      loss = build.add(OpKind::kAdd, {build.reshape(loss, {{}}), build.add(OpKind::kMultiply, {number, weight})});
      if (name == "d") metrics_.emplace_back("q." + code.name, number);
    }
    return loss;
  }

  // The loss alone is what is reported as "d.loss": codes have metrics of their own.
  ValueId discriminator_objective(Pass& pass, ValueId fake) {
    Builder build(&pass.program, "d.loss");
    const ValueId x = pass.composer.add_input(real_.name, discriminator_.graph, real_);
    const ValueId seen_real = augment(pass, x, "d.real");
    const ValueId real = discriminate(pass, seen_real, "d.real")[logit_];
    const ValueId seen_fake = augment(pass, fake, "d.fake");
    const std::vector<ValueId> outputs = discriminate(pass, seen_fake, "d.fake");
    const ValueId loss =
        loss_.discriminator(build, real, outputs[logit_], static_cast<float>(1 - options_.label_smoothing));
    metrics_.emplace_back("d.loss", loss);
    return with_codes(pass, outputs, with_gradient_penalty(pass, seen_real, real, seen_fake, loss), "d");
  }

  // Adds the penalty: at real samples, whose logit is there, or between them and generated ones.
  ValueId with_gradient_penalty(Pass& pass, ValueId real, ValueId logit, ValueId fake, ValueId loss) {
    const GradientPenaltyOptions& options = options_.gradient_penalty;
    if (options.kind == GradientPenalty::kNone) return loss;
    Builder build(&pass.program, kPenalty);
    ValueId sample = real;
    if (options.kind == GradientPenalty::kWganGp) {
      sample = between(pass, build, real, fake);
      logit = discriminate(pass, sample, kPenalty)[logit_];
    }
    const ValueId norms = gradient_norms(&pass.composer, sample, logit);
    const ValueId penalty = build.reshape(penalty_of(build, options.kind, norms), {{}});
    metrics_.emplace_back(kPenalty, penalty);
    const ValueId weight =
        pass.composer.add_variable(kWeightName, {1}, {static_cast<float>(options.weight.value_or(kPenaltyWeight))});
    return build.add(OpKind::kAdd, {build.reshape(loss, {{}}), build.add(OpKind::kMultiply, {penalty, weight})});
  }

  // x + a (f - x), with a drawn for each sample.
  ValueId between(Pass& pass, Builder& build, ValueId real, ValueId fake) {
    PortDefinition port{kPenaltyShare, 0, {{1, true}, {}}, {0, 1}};
    Value value;
    value.name = port.name;
    value.shape = port.shape;
    port.value = pass.program.add_value(std::move(value));
    pass.program.inputs.push_back(port);
    pass.drawn.push_back({"", port.name, 1, Prior::kUniform, 0, 0, {}});
    const ValueId drawn = build.with_scalar(OpKind::kAdd, port.value, 1);  // on [0, 2)
    Shape per_sample;
    for (const Dimension& dimension : build.shape(real)) per_sample.push_back({1, dimension.per_batch});
    const ValueId share = build.reshape(build.with_scalar(OpKind::kMultiply, drawn, 0.5F), per_sample);
    const ValueId difference = build.add(OpKind::kSubtract, {fake, real});
    return build.add(OpKind::kAdd, {real, build.add(OpKind::kMultiply, {share, difference})});
  }

  ValueId generator_objective(Pass& pass, ValueId fake) {
    Builder build(&pass.program, "g.loss");
    const std::vector<ValueId> outputs = discriminate(pass, augment(pass, fake, "g.fake"), "g.fake");
    const ValueId loss = loss_.generator(build, outputs[logit_]);
    metrics_.emplace_back("g.loss", loss);
    return with_codes(pass, outputs, loss, "g");
  }

  void finish(Pass& pass, ScheduleDefinition entry, bool draws) {
    Builder build(&pass.program, "metrics");
    for (const auto& [name, value] : metrics_) add_metric(build, name, value);
    metrics_.clear();
    if (draws) entry.latents = {drawn()};
    entry.latents.insert(entry.latents.end(), pass.drawn.begin(), pass.drawn.end());
    add_train_program(&pass.composer, std::move(entry), &streams_, &model_);
  }

  void step_program(uint32_t period, uint32_t phase) {
    Pass pass("train.step");
    const ValueId fake = generate(pass);
    d_.update(&pass.composer, discriminator_objective(pass, fake), pass.statistics);
    pass.statistics.clear();
    g_.update(&pass.composer, generator_objective(pass, fake), pass.generator_statistics);
    finish(pass, {"", period, phase, {}}, true);
  }

  void critic_program(uint32_t period, uint32_t phase) {
    if (phase > 0) {
      // The same program at another phase.
      ScheduleDefinition entry = model_.schedule[0];
      entry.phase = phase;
      model_.schedule.push_back(std::move(entry));
      return;
    }
    Pass pass("train.critic");
    const ValueId fake = generate(pass);
    const ValueId loss = discriminator_objective(pass, fake);
    pass.statistics.insert(pass.statistics.end(), pass.generator_statistics.begin(), pass.generator_statistics.end());
    d_.update(&pass.composer, loss, pass.statistics);
    finish(pass, {"", period, phase, {}}, true);
  }

  void private_programs(uint32_t period) {
    d_.set_privacy(options_.privacy_clip, options_.privacy_noise, kUsualLot);
    Pass d("train.d.sample");
    d_.accumulate_private(&d.composer, discriminator_objective(d, generate(d)));
    finish(d, {"", 1, 0, {}, 0, false, 1}, true);
    Pass d_update("train.d.update");
    d_.update_private(&d_update.composer, &d_update.drawn);
    finish(d_update, {"", 1, 0, {}}, false);
    Pass g("train.g");
    g.draws_conditions = true;
    g_.update(&g.composer, generator_objective(g, generate(g)), g.generator_statistics);
    finish(g, {"", period, period - 1, {}}, true);
  }

  // The step by micro-batches: gradients are accumulated, then applied.
  void micro_batch_programs(uint32_t period) {
    const uint32_t level = next_level(model_);
    Pass d("train.d.micro_batch");
    d_.accumulate(&d.composer, discriminator_objective(d, generate(d)));
    finish(d, {"", 1, 0, {}, level, true}, true);
    Pass d_update("train.d.update");
    d_.update_accumulated(&d_update.composer);
    finish(d_update, {"", 1, 0, {}, level, false}, false);
    Pass g("train.g.micro_batch");
    g_.accumulate(&g.composer, generator_objective(g, generate(g)));
    finish(g, {"", period, period - 1, {}, level, true}, true);
    Pass g_update("train.g.update");
    g_.update_accumulated(&g_update.composer);
    finish(g_update, {"", period, period - 1, {}, level, false}, false);
  }

  const Network& generator_;
  const Network& discriminator_;
  const Network& exported_;  // the discriminator with its final sigmoid, if it has one
  const AdversarialOptions& options_;
  const ModelContext& context_;
  const AdversarialLoss& loss_;
  ModelDefinition& model_;
  std::vector<std::string>& notes_;
  Updates d_;
  Updates g_;
  AugmentOptions augment_;
  Streams streams_;
  PortDefinition latent_;
  PortDefinition generated_;
  PortDefinition real_;               // of train programs
  std::string discriminator_sample_;  // the discriminator's own name for it
  std::vector<PortDefinition> conditions_;
  size_t logit_ = 0;
  std::vector<std::pair<std::string, ValueId>> metrics_;  // of the program under construction
};

}  // namespace

void declare_adversarial(OptionVisitor& visitor, AdversarialOptions* options) {
  declare_optimizer(visitor, "optimizer", "--", &options->optimizer);
  // Whatever is not said of the discriminator's is as the generator's.
  options->discriminator_optimizer = options->optimizer;
  declare_optimizer(visitor, "discriminator_optimizer", "--d-", &options->discriminator_optimizer);
  visit_batch_norm(visitor, &options->batch_norm_momentum);
  visitor.choice({"latent.prior", "--prior", "distribution of the latent"}, &options->prior, {"normal", "uniform"});
  std::vector<std::string> losses;
  for (const AdversarialLoss& loss : adversarial_losses()) losses.emplace_back(loss.name);
  visitor.choice({"loss.kind", "--gan-loss", "adversarial loss"}, &options->loss, losses);
  visitor.number({"loss.label_smoothing", "--label-smoothing", "one-sided label smoothing of real samples"},
                 &options->label_smoothing, 0, 1);
  double clip = kClipWeights;
  if (visitor.number({"loss.clip_weights", "--clip-weights", "bound of a Wasserstein critic's weights"}, &clip, 0,
                     kMaxNumber))
    options->clip_weights = clip;
  declare_gradient_penalty(visitor, &options->gradient_penalty);
  visitor.integer({"loss.critic_steps", "--critic-steps", "discriminator updates to one of the generator"},
                  &options->critic_steps, 1, 100);
  visitor.flag({"discriminator.spectral_norm", "--spectral-norm", "spectral normalization of the discriminator"},
               &options->spectral_norm);
  visitor.number({"privacy.clip", "--dp-clip",
                  "differential privacy: bound of each sample's gradient of the discriminator; 0: off"},
                 &options->privacy_clip, 0, kMaxNumber);
  visitor.number({"privacy.noise", "--dp-noise", "deviation of the noise that is added, in such bounds"},
                 &options->privacy_noise, 0, kMaxNumber);
  visitor.number({"ema", "--ema", "decay of the generator's moving average, which then generates; 0: off"},
                 &options->ema_decay, 0, kMaxDecay);
  std::vector<size_t> augment;
  visitor.list({"augment", "--augment", "random changes to all images that the discriminator sees"}, &augment,
               {"brightness", "contrast", "translation", "cutout"});
  for (const size_t which : augment) options->augment.push_back(static_cast<Augmentation>(which));
}

void check_adversarial(const AdversarialOptions& options) {
  if (options.gradient_penalty.weight && options.gradient_penalty.kind == GradientPenalty::kNone)
    throw Error("the weight of a gradient penalty needs its kind: r1, or wgan-gp");
  const AdversarialLoss& loss = adversarial_losses()[options.loss];
  if (options.label_smoothing > 0 && !loss.smooths_labels)
    throw Error(std::string("label smoothing does not go with the loss ") + loss.name);
  if (options.privacy_noise > 0 && options.privacy_clip == 0)
    throw Error("noise without a bound of each sample's gradient is no privacy: give --dp-clip, as 1.0");
  if (options.clip_weights && !clips_weights(options))
    throw Error(std::string("clip_weights does not go with ") +
                (loss.needs_lipschitz ? "a gradient penalty" : std::string("the loss ") + loss.name));
}

TrainedModel adversarial_model(const std::string& objective, const Network& generator, Network discriminator,
                               const AdversarialOptions& options, const ModelContext& context) {
  const AdversarialLoss& loss = adversarial_losses()[options.loss];
  TrainedModel result;
  if (options.spectral_norm && (discriminator.adapted || discriminator.int8_elements > 0))
    throw Error(
        "spectral normalization divides weights that train: adapters and --int8-base are for networks without it");
  discriminator.spectral_norm = options.spectral_norm;
  const Network exported = discriminator;
  for (size_t i = 0; i < discriminator.graph.outputs.size(); ++i) {
    const std::string& name = discriminator.graph.outputs[i].name;
    const bool code = std::any_of(options.codes.begin(), options.codes.end(),
                                  [&](const CodeOptions& option) { return option.name == name; });
    if (!code && strip_sigmoid(&discriminator.graph, i)) {
      result.notes.emplace_back("discriminator: its final sigmoid is left out of training, the losses work on logits");
    }
  }
  ObjectiveDefinition definition{objective, loss.name, format::Score::kDistance, {}, "", {}};
  definition.metrics = {{"d.loss", format::MetricKind::kLoss, loss.saturation},
                        {"g.loss", format::MetricKind::kLoss, 0}};
  if (options.gradient_penalty.kind != GradientPenalty::kNone)
    definition.metrics.push_back({kPenalty, format::MetricKind::kTerm, 0});
  for (const CodeOptions& code : options.codes)
    definition.metrics.push_back({"q." + code.name, format::MetricKind::kTerm, 0});
  result.model.objective = std::move(definition);
  AdversarialBuilder(generator, discriminator, exported, options, context, &result).build();
  return result;
}

}  // namespace figment::converter
