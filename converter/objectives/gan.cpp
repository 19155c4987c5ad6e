#include <algorithm>

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
  switch (options.gan_loss) {
    case GanLoss::kHinge:
      return build.add(OpKind::kAdd, {mean_hinge(build, real, true), mean_hinge(build, made, false)});
    case GanLoss::kWasserstein: return build.add(OpKind::kSubtract, {build.mean_all(made), build.mean_all(real)});
    default: break;
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
  if (options.gan_loss == GanLoss::kNonSaturating) return mean_softplus(build, made, true);
  return build.mean_all(build.add(OpKind::kNegate, {made}));
}

// The generator's input that is drawn.
const PortDefinition& find_latent(const std::vector<PortDefinition>& inputs, const std::string& wanted) {
  if (wanted.empty() && inputs.size() == 1) return inputs[0];
  for (const PortDefinition& port : inputs) {
    const bool usual = port.name == "latent" || port.name == "z" || port.name == "noise";
    if (wanted.empty() ? usual : port.name == wanted) return port;
  }
  throw Error("generator: which input is the latent? Name it \"latent\", or give --latent NAME");
}

const PortDefinition* find_port(const std::vector<PortDefinition>& ports, const std::string& name) {
  for (const PortDefinition& port : ports) {
    if (port.name == name) return &port;
  }
  return nullptr;
}

// The mean over the batch of -log Q(code | sample), for `q` of the size that CodeOptions asks for; `code` [N, size].
ValueId code_loss(Builder& build, const CodeOptions& option, ValueId q, ValueId code) {
  Attributes last;
  last.axes = {1};
  if (option.prior == Prior::kCategorical) {
    const ValueId hits = build.add(OpKind::kMultiply, {build.add(OpKind::kLogSoftmax, {q}, last), code});
    return build.with_number(OpKind::kMultiply, build.mean_all(hits), -static_cast<float>(option.size));
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
  ValueId sum = build.with_number(OpKind::kMultiply, build.add(OpKind::kMultiply, {distance, distance}), 0.5F);
  if (deviations) sum = build.add(OpKind::kAdd, {sum, constant});
  constexpr float kHalfLogTwoPi = 0.918938533F;
  sum = build.with_number(OpKind::kAdd, sum, kHalfLogTwoPi);
  return build.with_number(OpKind::kMultiply, build.mean_all(sum), static_cast<float>(option.size));
}

class GanBuilder {
 public:
  GanBuilder(const Network& generator, const Network& discriminator, const TrainOptions& options, TrainedModel* result)
      : generator_(generator),
        discriminator_(discriminator),
        options_(options),
        model_(result->model),
        notes_(result->notes),
        d_("d", {&discriminator}, options.discriminator_optimizer.value_or(options.optimizer), options, &model_),
        g_("g", {&generator}, options.optimizer, options, &model_) {
    g_.average(options.ema_decay);
    g_.advance(&discriminator);
    find_ports();
    for (const CodeOptions& code : options.codes) {
      model_.scalars.push_back({"q." + code.name + ".weight", "q." + code.name + ".weight", 0});
    }
  }

  void build() {
    model_.programs.push_back(inference_program("generate", generator_, g_.suffix()));
    model_.programs.push_back(inference_program("discriminate", discriminator_));
    model_.programs.push_back(projection_program(generator_, latent_, g_.suffix()));
    model_.latent = drawn();
    model_.latent->program = "generate";
    const uint32_t period = options_.critic_steps;
    if (period > 1) {
      for (uint32_t phase = 0; phase + 1 < period; ++phase) critic_program(period, phase);
    }
    step_program(period, period - 1);
    add_recomputing_levels(&model_);
    if (!generator_.couples_batch() && !discriminator_.couples_batch()) parts_programs(period);
  }

 private:
  // A train program under construction.
  struct Pass {
    explicit Pass(const std::string& name) : composer(&program) { program.name = name; }
    Graph program;
    Composer composer;
    std::vector<RunningStatistics> generator_statistics;
    std::vector<RunningStatistics> statistics;
    std::vector<LatentDefinition> drawn;  // beside the latent
  };

  void find_ports() {
    const std::vector<PortDefinition> inputs = data_inputs(generator_);
    latent_ = find_latent(inputs, options_.latent);
    check_batch(generator_);
    check_batch(discriminator_);
    made_ = only(generator_.graph.outputs, generator_, "output, the sample");
    uint32_t code_values = 0;
    for (const CodeOptions& code : options_.codes) code_values += code.size;
    if (code_values > sample_size(latent_)) {
      throw Error("the codes have " + std::to_string(code_values) + " values, the latent only " +
                  std::to_string(sample_size(latent_)));
    }
    std::vector<PortDefinition> samples;
    for (const PortDefinition& port : data_inputs(discriminator_)) {
      const bool condition = port.name != latent_.name && find_port(inputs, port.name) != nullptr;
      (condition ? conditions_ : samples).push_back(port);
    }
    real_ = only(samples, discriminator_, "input beside the conditions, the sample");
    judged_ = real_.name;
    if (real_.name == latent_.name) {
      // Both networks may call their input "input"; in one program names are of one tensor.
      const auto taken = [&](const std::string& name) {
        return name == latent_.name || find_port(conditions_, name) != nullptr;
      };
      for (const std::string& name : {made_.name, std::string("sample"), std::string("real.sample")}) {
        if (taken(real_.name)) real_.name = name;
      }
      notes_.push_back("discriminator: its input " + judged_ +
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
        throw Error("discriminator: output " + code.name + " is " + to_string(port->shape) + ", a code of " +
                    std::to_string(code.size) + " values needs [N, " + std::to_string(code.size) + "]");
      }
    }
    if (outputs.size() != options_.codes.size() + 1) {
      throw Error("discriminator: needs one output, the logit, beside one for each code, has " +
                  std::to_string(outputs.size()));
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      const auto code = std::find_if(options_.codes.begin(), options_.codes.end(),
                                     [&](const CodeOptions& option) { return option.name == outputs[i].name; });
      if (code == options_.codes.end()) logit_ = i;
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
      const PortDefinition& condition = *find_port(conditions_, port.name);
      const ValueId given = pass.composer.add_input(condition.name, discriminator_.graph, condition);
      result.push_back(pass.composer.connect(given, condition, port, "condition " + port.name));
    }
    return result;
  }

  // Samples in the layout that the discriminator takes.
  ValueId make(Pass& pass) {
    const std::vector<ValueId> inputs = with_conditions(pass, generator_, latent_.name, latent_input(pass));
    const ValueId made =
        pass.composer.add(generator_, inputs, Composer::Mode::kTraining, "make", &pass.generator_statistics)[0];
    return pass.composer.connect(made, made_, real_, "generator to discriminator");
  }

  std::vector<ValueId> judge(Pass& pass, ValueId sample, const std::string& label) {
    sample = augmented(&pass.composer, sample, real_, label, options_.augment, &pass.drawn);
    return pass.composer.add(discriminator_, with_conditions(pass, discriminator_, judged_, sample),
                             Composer::Mode::kTraining, label, &pass.statistics);
  }

  // Adds the codes' losses on the outputs for made samples.
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
      if (name == "d") numbers_.emplace_back("q." + code.name, number);
    }
    return loss;
  }

  // The loss alone is what is reported as "d.loss": codes have numbers of their own.
  ValueId discriminator_objective(Pass& pass, ValueId made) {
    Builder build(&pass.program, "d.loss");
    const ValueId x = pass.composer.add_input(real_.name, discriminator_.graph, real_);
    const ValueId real = judge(pass, x, "d.real")[logit_];
    const std::vector<ValueId> outputs = judge(pass, made, "d.made");
    const ValueId loss = discriminator_loss(build, real, outputs[logit_], options_);
    numbers_.emplace_back("d.loss", loss);
    return with_codes(pass, outputs, loss, "d");
  }

  ValueId generator_objective(Pass& pass, ValueId made) {
    Builder build(&pass.program, "g.loss");
    const std::vector<ValueId> outputs = judge(pass, made, "g.made");
    const ValueId loss = generator_loss(build, outputs[logit_], options_);
    numbers_.emplace_back("g.loss", loss);
    return with_codes(pass, outputs, loss, "g");
  }

  void finish(Pass& pass, ScheduleDefinition entry, bool draws) {
    Builder build(&pass.program, "numbers");
    for (const auto& [name, value] : numbers_) add_number_output(build, name, value);
    numbers_.clear();
    if (draws) entry.latents = {drawn()};
    entry.latents.insert(entry.latents.end(), pass.drawn.begin(), pass.drawn.end());
    add_train_program(&pass.composer, std::move(entry), &streams_, &model_);
  }

  void step_program(uint32_t period, uint32_t phase) {
    Pass pass("train.step");
    const ValueId made = make(pass);
    d_.update(&pass.composer, discriminator_objective(pass, made), pass.statistics);
    pass.statistics.clear();
    g_.update(&pass.composer, generator_objective(pass, made), pass.generator_statistics);
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
    const ValueId made = make(pass);
    const ValueId loss = discriminator_objective(pass, made);
    pass.statistics.insert(pass.statistics.end(), pass.generator_statistics.begin(), pass.generator_statistics.end());
    d_.update(&pass.composer, loss, pass.statistics);
    finish(pass, {"", period, phase, {}}, true);
  }

  // The step in parts of the batch: sums of gradients, and updates from them.
  void parts_programs(uint32_t period) {
    const uint32_t level = next_level(model_);
    Pass d("train.d.part");
    d_.accumulate(&d.composer, discriminator_objective(d, make(d)));
    finish(d, {"", 1, 0, {}, level, true}, true);
    Pass d_update("train.d.update");
    d_.update_accumulated(&d_update.composer);
    finish(d_update, {"", 1, 0, {}, level, false}, false);
    Pass g("train.g.part");
    g_.accumulate(&g.composer, generator_objective(g, make(g)));
    finish(g, {"", period, period - 1, {}, level, true}, true);
    Pass g_update("train.g.update");
    g_.update_accumulated(&g_update.composer);
    finish(g_update, {"", period, period - 1, {}, level, false}, false);
  }

  const Network& generator_;
  const Network& discriminator_;
  const TrainOptions& options_;
  ModelDefinition& model_;
  std::vector<std::string>& notes_;
  Updates d_;
  Updates g_;
  Streams streams_;
  PortDefinition latent_;
  PortDefinition made_;
  PortDefinition real_;  // of train programs
  std::string judged_;   // the discriminator's own name for it
  std::vector<PortDefinition> conditions_;
  size_t logit_ = 0;
  std::vector<std::pair<std::string, ValueId>> numbers_;  // of the program under construction
};

}  // namespace

TrainedModel gan_model(const Network& generator, Network discriminator, const TrainOptions& options) {
  TrainedModel result;
  discriminator.spectral_norm = options.spectral_norm;
  for (size_t i = 0; i < discriminator.graph.outputs.size(); ++i) {
    const std::string& name = discriminator.graph.outputs[i].name;
    const bool code = std::any_of(options.codes.begin(), options.codes.end(),
                                  [&](const CodeOptions& option) { return option.name == name; });
    if (!code && strip_sigmoid(&discriminator.graph, i)) {
      result.notes.emplace_back("discriminator: its final sigmoid is taken off, the losses work on logits");
    }
  }
  GanBuilder(generator, discriminator, options, &result).build();
  // What the discriminator's loss means, for whoever watches a run.
  constexpr const char* kLosses[] = {"non-saturating", "hinge", "wasserstein"};
  result.model.metadata.emplace_back("training.loss", kLosses[static_cast<size_t>(options.gan_loss)]);
  return result;
}

}  // namespace figment::converter
