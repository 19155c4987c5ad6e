#include "objectives/updates.h"

#include "passes/gradient.h"

namespace figment::converter {

void add_updates(const std::string& name, Graph* program, Composer* composer, ValueId loss,
                 const std::vector<const Network*>& networks, const std::vector<RunningStatistics>& statistics,
                 const TrainOptions& options, ModelDefinition* model) {
  std::set<ValueId> wanted;
  for (const Network* network : networks) {
    for (const std::string& variable : network->trained) wanted.insert(composer->variable(variable));
  }
  Builder build(program, name + ".update");
  const ValueId one = build.number(1, build.shape(loss).rank());
  const Gradients gradients = differentiate(program, {{loss, one}}, wanted);
  std::vector<float> numbers(format::kHyperParameters);
  numbers[format::kLearningRate] = static_cast<float>(options.learning_rate);
  numbers[format::kBeta1] = static_cast<float>(options.beta1);
  numbers[format::kBeta2] = static_cast<float>(options.beta2);
  numbers[format::kEpsilon] = static_cast<float>(options.epsilon);
  numbers[format::kWeightDecay] = static_cast<float>(options.weight_decay);
  const std::string hyper_name = name + ".optimizer";
  const ValueId hyper = composer->add_variable(hyper_name, {format::kHyperParameters}, numbers);
  const std::pair<const char*, uint32_t> names[] = {{"learning_rate", format::kLearningRate},
                                                    {"beta1", format::kBeta1},
                                                    {"beta2", format::kBeta2},
                                                    {"epsilon", format::kEpsilon},
                                                    {"weight_decay", format::kWeightDecay},
                                                    {"steps", format::kSteps}};
  for (const auto& [scalar, index] : names) model->scalars.push_back({name + "." + scalar, hyper_name, index});
  // An update writes the variable that it reads first.
  const auto update = [&](OpKind kind, std::vector<ValueId> inputs, float alpha) {
    Node node;
    node.kind = kind;
    node.name = (*program)[inputs[0]].name;
    node.attributes.alpha = alpha;
    node.output = inputs[0];
    infer(*program, kind, node.attributes, inputs, {}, node.name);
    node.inputs = std::move(inputs);
    program->nodes.push_back(std::move(node));
  };
  update(OpKind::kCountStep, {hyper}, 0);
  for (const Network* network : networks) {
    for (const std::string& variable : network->trained) {
      const ValueId id = composer->variable(variable);
      const auto found = gradients.find(id);
      if (found == gradients.end()) throw Error("the loss does not depend on " + variable);
      const std::vector<uint32_t> shape = extents_of((*program)[id].shape);
      TrainedDefinition trained{network->name, variable, {}};
      std::vector<ValueId> inputs = {id, found->second};
      const std::vector<const char*> states = options.optimizer == Optimizer::kAdam
                                                  ? std::vector<const char*>{".adam_m", ".adam_v"}
                                                  : std::vector<const char*>{".velocity"};
      for (const char* state : states) {
        trained.state.push_back(variable + state);
        inputs.push_back(composer->add_variable(variable + state, shape, {}));
      }
      inputs.push_back(hyper);
      update(options.optimizer == Optimizer::kAdam ? OpKind::kAdamUpdate : OpKind::kSgdUpdate, inputs, 0);
      model->trained.push_back(std::move(trained));
    }
  }
  for (const RunningStatistics& pair : statistics) {
    update(OpKind::kMovingAverageUpdate, {pair.running, pair.batch}, static_cast<float>(options.batch_norm_momentum));
  }
}

}  // namespace figment::converter
