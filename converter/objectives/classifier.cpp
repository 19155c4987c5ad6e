// The objective "classifier": a network from samples to features and logits, trained on labels, whose features samples
// are compared by (figment evaluate --classifier).
//
// The loss is the cross-entropy, -sum(label * log_softmax(logits)) as a mean over the batch, of labels of one 1 among
// zeros.
#include "objectives/objective.h"
#include "objectives/optimizer.h"
#include "objectives/programs.h"
#include "objectives/updates.h"

namespace figment::converter {

namespace {

constexpr const char* kLabel = "label";

struct ClassifierOptions {
  OptimizerOptions optimizer;
  std::optional<double> batch_norm_momentum;  // the weight of a batch in running statistics; none: the file's, or 0.1
  uint32_t classes = 0;
};

class ClassifierBuilder {
 public:
  ClassifierBuilder(const Network& network, const ClassifierOptions& options, ModelDefinition* model)
      : network_(network),
        model_(*model),
        updates_("classifier", {&network}, options.optimizer, options.batch_norm_momentum, model) {
    check_batch(network);
    sample_ = only(data_inputs(network), network, "input, the sample");
    if (sample_.name == kLabel) sample_.name = "sample";
    if (network.graph.outputs.size() != 2) throw Error("classifier: needs two outputs, features and logits");
    logits_ = network.graph.outputs[1];
    if (logits_.shape.rank() != 2) throw Error("classifier: its logits must be [N, classes]");
  }

  void build() {
    model_.programs.push_back(inference_program("classify", network_));
    const bool micro_batches = !network_.couples_batch();
    schedule_one_loss(
        &updates_, "classifier", [this](TrainProgram& pass) { return objective(pass); }, {}, micro_batches, &streams_,
        &model_);
  }

 private:
  ValueId objective(TrainProgram& pass) {
    Composer& composer = pass.composer;
    const ValueId x = composer.add_input(sample_.name, network_.graph, sample_);
    const ValueId label = composer.add_input(kLabel, network_.graph, logits_);
    const ValueId logits = composer.add(network_, {x}, Composer::Mode::kTraining, "classify", &pass.statistics)[1];
    Builder build(&pass.program, "classifier.loss");
    Attributes last;
    last.axes = {1};
    const ValueId hits = build.add(OpKind::kMultiply, {build.add(OpKind::kLogSoftmax, {logits}, last), label});
    const ValueId loss = build.reshape(
        build.with_scalar(OpKind::kMultiply, build.mean_all(hits), -static_cast<float>(sample_size(logits_))), {{}});
    add_metric(build, "classifier.loss", loss);
    return loss;
  }

  const Network& network_;
  ModelDefinition& model_;
  Updates updates_;
  Streams streams_;
  PortDefinition sample_;
  PortDefinition logits_;
};

class Classifier : public Objective {
 public:
  Classifier() {
    options_.optimizer.beta1 = 0.9;
    options_.optimizer.learning_rate = 1e-3;
  }

  void declare(OptionVisitor& visitor) override {
    declare_optimizer(visitor, "optimizer", "--", &options_.optimizer);
    visit_batch_norm(visitor, &options_.batch_norm_momentum);
    visitor.integer({"classes", "--class-count", "classes that a classifier of a recipe tells apart"},
                    &options_.classes, 2, 1000);
  }

  std::vector<NetworkRole> networks(int64_t /*latent*/) const override {
    return {{"classifier", false, false, {{"features", 0, "", ""}, {"logits", options_.classes, "head", ""}}}};
  }

  TrainedModel build(std::vector<Network> networks, const ModelContext& /*context*/) override {
    TrainedModel result;
    result.model.objective = ObjectiveDefinition{"classifier",
                                                 "cross-entropy",
                                                 format::Score::kNone,
                                                 format::Likelihood::kNone,
                                                 "",
                                                 {{"classifier.loss", format::MetricKind::kLoss, 0}}};
    ClassifierBuilder(networks[0], options_, &result.model).build();
    return result;
  }

 private:
  ClassifierOptions options_;
};

const Registered<Classifier> kClassifier("classifier", "samples to classes, whose features samples are compared by");

}  // namespace

}  // namespace figment::converter
