#include "objectives/updates.h"

#include <algorithm>

#include "objectives/programs.h"
#include "passes/gradient.h"

namespace figment::converter {

namespace {

constexpr double kUsualWeight = 0.1;  // of a batch in running statistics

constexpr const char* kMicroBatchWeight = "micro_batch.weight";

// An update writes the variable that it reads first.
void add_update(Composer* composer, OpKind kind, std::vector<ValueId> inputs, float alpha = 0) {
  Graph& program = composer->program();
  Node node;
  node.kind = kind;
  node.name = program[inputs[0]].name;
  node.attributes.alpha = alpha;
  node.output = inputs[0];
  infer(program, kind, node.attributes, inputs, {}, node.name);
  node.inputs = std::move(inputs);
  program.nodes.push_back(std::move(node));
}

// A variable that belongs to a parameter, of its shape and layout: zeros if `values` is empty.
ValueId add_derived(Composer* composer, ValueId parameter, const std::string& suffix, const std::vector<float>& values,
                    bool transient = false) {
  const Value of = composer->program()[parameter];
  const ValueId id = composer->add_variable(of.name + suffix, extents_of(of.shape), values, transient);
  std::optional<Origin>& origin = composer->program()[id].constant->origin;
  origin = of.constant->origin;
  origin->derived = true;
  origin->name += suffix;
  for (std::string& part : origin->parts) part += suffix;
  return id;
}

// A tensor times one number.
ValueId scaled(Builder& build, ValueId tensor, ValueId number) {
  Shape one;
  for (size_t i = 0; i < build.shape(tensor).rank(); ++i) one.push_back({});
  return build.add(OpKind::kMultiply, {tensor, build.reshape(number, one)});
}

ValueId squared_norm(Builder& build, const Gradients& gradients) {
  std::optional<ValueId> total;
  for (const auto& [id, gradient] : gradients) {
    const ValueId norm = build.add(OpKind::kSquaredNorm, {gradient});
    total = total ? build.add(OpKind::kAdd, {*total, norm}) : norm;
  }
  return *total;
}

// All gradients times min(1, bound / their norm) (Pascanu et al. 2013).
void clip(Builder& build, ValueId squared_norm, ValueId bound, Gradients* gradients) {
  Attributes at_most_one;
  at_most_one.clamp_max = 1;
  const ValueId factor = build.add(OpKind::kDivide, {bound, build.add(OpKind::kSqrt, {squared_norm})}, at_most_one);
  for (auto& [id, gradient] : *gradients) gradient = scaled(build, gradient, factor);
}

// Of the variable NAME.privacy.
enum Privacy : uint32_t { kPrivacyClip, kPrivacyNoise, kPrivacyLot };

std::vector<float> values_of(const Value& value) { return {value.f32().begin(), value.f32().end()}; }

}  // namespace

void visit_batch_norm(OptionVisitor& visitor, std::optional<double>* momentum) {
  double weight = momentum->value_or(kUsualWeight);
  const OptionName name{"batch_norm_momentum", "--batch-norm-momentum",
                        "weight of a batch in running statistics, in place of the file's", ""};
  if (visitor.number(name, &weight, 0, 1)) *momentum = weight;
}

Updates::Updates(std::string name, std::vector<const Network*> networks, const OptimizerOptions& optimizer,
                 std::optional<double> batch_norm_momentum, ModelDefinition* model)
    : name_(std::move(name)),
      networks_(std::move(networks)),
      optimizer_(optimizer),
      batch_norm_momentum_(batch_norm_momentum),
      model_(model) {
  if (trained().empty()) throw Error(networks_[0]->name + ": nothing is left to train");
  const std::pair<const char*, uint32_t> names[] = {{"learning_rate", format::kLearningRate},
                                                    {"beta1", format::kBeta1},
                                                    {"beta2", format::kBeta2},
                                                    {"epsilon", format::kEpsilon},
                                                    {"weight_decay", format::kWeightDecay},
                                                    {"steps", format::kSteps},
                                                    {"clip_value", format::kClipValue},
                                                    {"clip_norm", format::kClipNorm},
                                                    {"clip_weights", format::kClipWeights},
                                                    {"warm_up_steps", format::kWarmUpSteps},
                                                    {"rate_period", format::kRatePeriod},
                                                    {"rate_factor", format::kRateFactor}};
  for (const auto& [scalar, index] : names) {
    // They need ops, or variables, that are not there.
    if (index == format::kClipNorm && optimizer_.clip_norm == 0) continue;
    if (index == format::kBeta1 && states().empty()) continue;
    model->scalars.push_back({name_ + "." + scalar, name_ + ".optimizer", index});
  }
  for (const auto& [network, variable] : trained()) {
    TrainedDefinition definition{network->name, variable, {}};
    for (const char* state : states()) definition.state.push_back(variable + state);
    model->trained.push_back(std::move(definition));
  }
}

// What the optimizer keeps of each parameter.
std::vector<const char*> Updates::states() const {
  if (optimizer_.optimizer == Optimizer::kAdam) return {".adam_m", ".adam_v"};
  if (optimizer_.beta1 == 0) return {};
  return {".velocity"};
}

std::vector<std::pair<const Network*, std::string>> Updates::trained() const {
  std::vector<std::pair<const Network*, std::string>> result;
  for (const Network* network : networks_) {
    for (const std::string& variable : network->trained) result.emplace_back(network, variable);
  }
  return result;
}

void Updates::average(double decay) {
  ema_decay_ = decay;
  if (decay > 0) model_->scalars.push_back({name_ + ".ema_decay", name_ + ".ema_decay", 0});
}

ValueId Updates::hyper(Composer* composer) const {
  std::vector<float> numbers(format::kHyperParameters);
  const auto set = [&](uint32_t index, double value) { numbers[index] = static_cast<float>(value); };
  set(format::kLearningRate, optimizer_.learning_rate);
  set(format::kBeta1, optimizer_.beta1);
  set(format::kBeta2, optimizer_.beta2);
  set(format::kEpsilon, optimizer_.epsilon);
  set(format::kWeightDecay, optimizer_.weight_decay);
  set(format::kClipValue, optimizer_.clip_value);
  set(format::kClipNorm, optimizer_.clip_norm);
  set(format::kClipWeights, clip_weights_);
  set(format::kWarmUpSteps, optimizer_.warm_up_steps);
  set(format::kRateSchedule, static_cast<double>(optimizer_.schedule));
  set(format::kRatePeriod, optimizer_.rate_period);
  set(format::kRateFactor, optimizer_.rate_factor);
  return composer->add_variable(name_ + ".optimizer", {format::kHyperParameters}, numbers);
}

Gradients Updates::gradients(Composer* composer, ValueId loss) const {
  Builder build(&composer->program(), name_ + ".update");
  std::set<ValueId> wanted;
  for (const auto& [network, variable] : trained()) wanted.insert(composer->variable(*network, variable));
  const ValueId one = build.scalar(1, build.shape(loss).rank());
  const Gradients found = differentiate(&composer->program(), {{loss, one}}, wanted, composer->fixed());
  for (ValueId id : wanted) {
    if (!found.contains(id)) throw Error("the loss does not depend on " + composer->program()[id].name);
  }
  return found;
}

void Updates::update(Composer* composer, ValueId loss, const std::vector<RunningStatistics>& statistics) {
  apply(composer, gradients(composer, loss), statistics);
}

void Updates::accumulate(Composer* composer, ValueId loss) {
  const Gradients found = gradients(composer, loss);
  const ValueId weight = composer->add_variable(kMicroBatchWeight, {1}, {}, true);
  model_->micro_batch_weight = kMicroBatchWeight;
  for (const auto& [network, variable] : trained()) {
    const ValueId id = composer->variable(*network, variable);
    const ValueId sum = add_derived(composer, id, ".gradient", {}, true);
    add_update(composer, OpKind::kAccumulateUpdate, {sum, found.at(id), weight});
  }
  composer->take_spectral_vectors();
}

// The sums of gradients, whose norm is a metric.
Gradients Updates::accumulated(Composer* composer) {
  Builder build(&composer->program(), name_ + ".gradients");
  Gradients sums;
  for (const auto& [network, variable] : trained()) {
    const ValueId id = composer->variable(*network, variable);
    sums[id] = add_derived(composer, id, ".gradient", {}, true);
  }
  const ValueId total = squared_norm(build, sums);
  add_metric(build, name_ + ".gradient_norm", build.add(OpKind::kSqrt, {total}));
  if (model_->objective)
    model_->objective->metrics.push_back({name_ + ".gradient_norm", format::MetricKind::kDiagnostic, 0});
  return sums;
}

void Updates::update_accumulated(Composer* composer) {
  const Gradients sums = accumulated(composer);
  advance_spectral(composer);
  apply(composer, sums, {});
  for (const auto& [id, sum] : sums) add_update(composer, OpKind::kClearUpdate, {sum});
}

void Updates::set_privacy(double clip, double noise, double lot) {
  privacy_ = {static_cast<float>(clip), static_cast<float>(noise), static_cast<float>(lot)};
  const char* names[] = {"clip", "noise", "lot"};
  for (uint32_t i = 0; i < std::size(names); ++i)
    model_->scalars.push_back({name_ + ".privacy." + names[i], name_ + ".privacy", i});
}

ValueId Updates::privacy(Composer* composer, uint32_t index) const {
  Builder build(&composer->program(), name_ + ".privacy");
  const ValueId numbers =
      composer->add_variable(name_ + ".privacy", {static_cast<uint32_t>(privacy_.size())}, privacy_);
  return build.slice(numbers, 0, index, 1);
}

void Updates::accumulate_private(Composer* composer, ValueId loss) {
  Gradients found = gradients(composer, loss);
  Builder build(&composer->program(), name_ + ".privacy");
  const ValueId norm = squared_norm(build, found);
  clip(build, norm, privacy(composer, kPrivacyClip), &found);
  const ValueId one = composer->add_variable(name_ + ".privacy.weight", {1}, {1});
  for (const auto& [network, variable] : trained()) {
    const ValueId id = composer->variable(*network, variable);
    const ValueId sum = add_derived(composer, id, ".gradient", {}, true);
    add_update(composer, OpKind::kAccumulateUpdate, {sum, found.at(id), one});
  }
  composer->take_spectral_vectors();
}

void Updates::update_private(Composer* composer, std::vector<LatentDefinition>* drawn) {
  const Gradients sums = accumulated(composer);
  Graph& program = composer->program();
  Builder build(&program, name_ + ".noise");
  const ValueId noise =
      build.add(OpKind::kMultiply, {privacy(composer, kPrivacyClip), privacy(composer, kPrivacyNoise)});
  const ValueId share = build.add(OpKind::kDivide, {build.scalar(1, 1), privacy(composer, kPrivacyLot)});
  Gradients noisy;
  for (const auto& [id, sum] : sums) {
    Value value;
    value.name = program[id].name + ".noise";
    value.shape = program[id].shape;
    PortDefinition port{value.name, 0, value.shape, {}};
    for (uint32_t i = 0; i < value.shape.rank(); ++i) port.permutation.push_back(i);
    port.value = program.add_value(std::move(value));
    program.inputs.push_back(port);
    drawn->push_back({"", port.name, sample_size(port), Prior::kNormal, 0, 0, {}});
    noisy[id] = scaled(build, build.add(OpKind::kAdd, {sum, scaled(build, port.value, noise)}), share);
  }
  advance_spectral(composer);
  apply(composer, noisy, {});
  for (const auto& [id, sum] : sums) add_update(composer, OpKind::kClearUpdate, {sum});
}

// Of the networks that the loss is computed with, where no pass has.
void Updates::advance_spectral(Composer* composer) {
  std::vector<const Network*> networks = networks_;
  networks.insert(networks.end(), advanced_.begin(), advanced_.end());
  for (const Network* network : networks) {
    for (const Node& node : network->graph.nodes) {
      const bool linear = network->spectral_norm && format::is_linear(node.kind);
      if (linear && network->graph[node.inputs[1]].is_variable())
        composer->spectrally_normalized(network->graph[node.inputs[1]], "");
    }
  }
}

void Updates::apply(Composer* composer, Gradients gradients, const std::vector<RunningStatistics>& statistics) {
  const ValueId numbers = hyper(composer);
  if (optimizer_.clip_norm > 0) {
    Builder build(&composer->program(), name_ + ".clip_norm");
    const ValueId norm = squared_norm(build, gradients);
    clip(build, norm, build.slice(numbers, 0, format::kClipNorm, 1), &gradients);
  }
  const bool adam = optimizer_.optimizer == Optimizer::kAdam;
  // States before the updates, which stand together.
  std::vector<std::vector<ValueId>> operands;
  for (const auto& [network, variable] : trained()) {
    const ValueId id = composer->variable(*network, variable);
    std::vector<ValueId> inputs = {id, gradients.at(id)};
    for (const char* state : states()) inputs.push_back(add_derived(composer, id, state, {}));
    inputs.push_back(numbers);
    operands.push_back(std::move(inputs));
  }
  add_update(composer, OpKind::kCountStep, {numbers});
  for (std::vector<ValueId>& inputs : operands) {
    add_update(composer, adam ? OpKind::kAdamUpdate : OpKind::kSgdUpdate, std::move(inputs));
  }
  for (const RunningStatistics& pair : statistics) {
    const float weight = batch_norm_momentum_ ? static_cast<float>(*batch_norm_momentum_)
                                              : pair.weight.value_or(static_cast<float>(kUsualWeight));
    add_update(composer, OpKind::kMovingAverageUpdate, {pair.running, pair.batch}, weight);
  }
  for (const SpectralVector& vector : composer->take_spectral_vectors()) {
    add_update(composer, OpKind::kAssignUpdate, {vector.variable, vector.value});
  }
  if (ema_decay_ == 0) return;
  const ValueId decay = composer->add_variable(name_ + ".ema_decay", {1}, {static_cast<float>(ema_decay_)});
  for (const Network* network : networks_) {
    for (const Value& value : network->graph.values) {
      if (!value.is_variable()) continue;
      const ValueId id = composer->variable(*network, value.name);
      const ValueId averaged = add_derived(composer, id, suffix(), values_of(value));
      add_update(composer, OpKind::kAverageUpdate, {averaged, id, decay});
    }
  }
}

void schedule_one_loss(Updates* updates, const std::string& network, const std::function<ValueId(TrainProgram&)>& loss,
                       const std::vector<LatentDefinition>& drawn, bool micro_batches, Streams* streams,
                       ModelDefinition* model) {
  {
    TrainProgram pass("train.step");
    const ValueId value = loss(pass);
    updates->update(&pass.composer, value, pass.statistics);
    add_train_program(&pass.composer, {"", 1, 0, drawn}, streams, model);
  }
  add_recomputing_levels(model);
  if (!micro_batches) return;
  const uint32_t level = next_level(*model);
  TrainProgram micro_batch("train." + network + ".micro_batch");
  updates->accumulate(&micro_batch.composer, loss(micro_batch));
  add_train_program(&micro_batch.composer, {"", 1, 0, drawn, level, true}, streams, model);
  TrainProgram update("train." + network + ".update");
  updates->update_accumulated(&update.composer);
  add_train_program(&update.composer, {"", 1, 0, {}, level, false}, streams, model);
}

}  // namespace figment::converter
