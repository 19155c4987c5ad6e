// The objective "vae": an encoder, to means and log variances, and a decoder (Kingma and Welling 2014).
//
// The loss is the mean over the batch of reconstruction + beta * KL(N(mean, exp(log variance)) || N(0, 1)), summed over
// elements; the reconstruction is softplus(l) - x l for logits l (Bernoulli) or (x - y)^2 / 2 (Gaussian of variance 1).
// Log variances are clamped to [-20, 20]. With free bits (Kingma et al. 2016, equation 15) a dimension's KL, as a mean
// over the batch, counts as at least so much.
#include <fmt/format.h>
#include <cmath>
#include <optional>

#include "ir/output_range.h"
#include "objectives/objective.h"
#include "objectives/optimizer.h"
#include "objectives/programs.h"
#include "objectives/updates.h"

namespace figment::converter {

namespace {

constexpr const char* kNoise = "noise";
constexpr const char* kBeta = "vae.beta";

enum class Likelihood : uint8_t { kBernoulli, kGaussian };

struct VaeOptions {
  OptimizerOptions optimizer;
  std::optional<double> batch_norm_momentum;  // the weight of a batch in running statistics; none: the file's, or 0.1
  Likelihood likelihood = Likelihood::kBernoulli;
  double beta = 1;          // weight of the KL divergence
  double beta_warm_up = 0;  // steps over which it grows from 0
  double free_bits = 0;     // nats that each latent dimension may have without cost
};

// Values between bounds, of tanh or ReLU, are no logits.
void check_logits(const Network& decoder) {
  const PortDefinition& port = decoder.graph.outputs[0];
  const auto [least, most] = reach_of(decoder.graph, port.value);
  if (std::isinf(least) && std::isinf(most)) return;
  throw Error(fmt::format(
      "the loss is of samples in [0, 1], but the decoder's {} cannot be {}, by its last op: end it in a sigmoid, or "
      "take a "
      "loss for such samples (--likelihood gaussian; \"likelihood\": \"gaussian\" in a recipe)",
      port.name, std::isinf(most) ? fmt::format("below {}", least) : fmt::format("below {} or above {}", least, most)));
}

class VaeBuilder {
 public:
  VaeBuilder(const Network& encoder, const Network& decoder, const Network& logits, const VaeOptions& options,
             ModelDefinition* model)
      : encoder_(encoder),
        decoder_(decoder),
        logits_(logits),
        options_(options),
        model_(*model),
        vae_("vae", {&encoder, &logits}, options.optimizer, options.batch_norm_momentum, model) {
    check_batch(encoder);
    check_batch(decoder);
    sample_ = only(data_inputs(encoder), encoder, "input, the sample");
    // The step's own input, which is drawn, has another name than the sample.
    if (sample_.name == kNoise) sample_.name = "sample";
    if (encoder.graph.outputs.size() != 2) throw Error("encoder: needs two outputs, the means and the log variances");
    mean_ = encoder.graph.outputs[0];
    latent_ = only(data_inputs(logits), decoder, "input, the latent");
    generated_ = only(logits.graph.outputs, decoder, "output, the sample");
    model_.scalars.push_back({kBeta, kBeta, 0});
  }

  void build() {
    model_.programs.push_back(inference_program("generate", decoder_));
    model_.programs.push_back(inference_program("encode", encoder_));
    model_.latent = LatentDefinition{"generate", latent_.name, sample_size(latent_), Prior::kNormal, 0, 0, {}};
    // Free bits are of means over the whole batch.
    const bool micro_batches = !encoder_.couples_batch() && !logits_.couples_batch() && options_.free_bits == 0;
    schedule_one_loss(
        &vae_, "vae", [this](TrainProgram& pass) { return objective(pass); }, {noise()}, micro_batches, &streams_,
        &model_);
  }

 private:
  LatentDefinition noise() const { return {"", kNoise, sample_size(mean_), Prior::kNormal, 0, 0, {}}; }

  ValueId objective(TrainProgram& pass) {
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
    const ValueId deviation = build.add(OpKind::kExp, {build.with_scalar(OpKind::kMultiply, log_variance, 0.5F)});
    const ValueId z = build.add(OpKind::kAdd, {mean, build.add(OpKind::kMultiply, {deviation, noise})});
    const ValueId y =
        composer.connect(composer.add(logits_, {composer.connect(z, mean_, latent_, "encoder to decoder")},
                                      Composer::Mode::kTraining, "decode", &pass.statistics)[0],
                         generated_, sample_, "reconstruction");
    const ValueId reconstruction = per_sample(build, errors(build, x, y), sample_);
    const ValueId kl = per_sample(build, divergence(build, mean, log_variance), mean_);
    const ValueId counted = options_.free_bits > 0 ? with_free_bits(build, mean, log_variance) : kl;
    const ValueId loss =
        build.add(OpKind::kAdd, {reconstruction, build.add(OpKind::kMultiply, {counted, weight(build, composer)})});
    add_metric(build, "vae.loss", loss);
    add_metric(build, "vae.reconstruction", reconstruction);
    add_metric(build, "vae.kl", kl);
    return loss;
  }

  ValueId errors(Builder& build, ValueId x, ValueId y) const {
    if (options_.likelihood == Likelihood::kBernoulli) {
      return build.add(OpKind::kSubtract, {build.add(OpKind::kSoftplus, {y}), build.add(OpKind::kMultiply, {x, y})});
    }
    const ValueId difference = build.add(OpKind::kSubtract, {x, y});
    return build.with_scalar(OpKind::kMultiply, build.add(OpKind::kMultiply, {difference, difference}), 0.5F);
  }

  // -1/2 * sum(1 + log variance - mean^2 - variance), appendix B of the paper.
  static ValueId divergence(Builder& build, ValueId mean, ValueId log_variance) {
    const ValueId variance = build.add(OpKind::kExp, {log_variance});
    const ValueId squares = build.add(OpKind::kAdd, {build.add(OpKind::kMultiply, {mean, mean}), variance});
    const ValueId doubled =
        build.with_scalar(OpKind::kSubtract, build.add(OpKind::kSubtract, {squares, log_variance}), 1);
    return build.with_scalar(OpKind::kMultiply, doubled, 0.5F);
  }

  // The mean over the batch of a sum over the elements: the mean over all, times the elements of a sample.
  static ValueId per_sample(Builder& build, ValueId values, const PortDefinition& port) {
    const ValueId mean = build.mean_all(values);
    return build.reshape(build.with_scalar(OpKind::kMultiply, mean, static_cast<float>(sample_size(port))), {{}});
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
    const ValueId beta = composer.add_variable(kBeta, {1}, {static_cast<float>(options_.beta)});
    if (options_.beta_warm_up == 0) return beta;
    const ValueId steps = build.slice(vae_.hyper(&composer), 0, format::kSteps, 1);
    Attributes at_most_one;
    at_most_one.clamp_max = 1;
    const ValueId ramp = build.add(
        OpKind::kMultiply, {steps, build.scalar(static_cast<float>(1 / options_.beta_warm_up), 1)}, at_most_one);
    return build.add(OpKind::kMultiply, {beta, ramp});
  }

  const Network& encoder_;
  const Network& decoder_;
  const Network& logits_;
  const VaeOptions& options_;
  ModelDefinition& model_;
  Updates vae_;
  Streams streams_;
  PortDefinition sample_;
  PortDefinition mean_;
  PortDefinition latent_;
  PortDefinition generated_;
};

class Vae : public Objective {
 public:
  Vae() {
    options_.optimizer.beta1 = 0.9;
    options_.optimizer.learning_rate = 1e-3;
  }

  void declare(OptionVisitor& visitor) override {
    declare_optimizer(visitor, "optimizer", "--", &options_.optimizer);
    visit_batch_norm(visitor, &options_.batch_norm_momentum);
    visitor.choice({"loss.likelihood", "--likelihood",
                    "bernoulli (samples in [0, 1], the decoder ends in logits or a "
                    "sigmoid), or gaussian"},
                   &options_.likelihood, {"bernoulli", "gaussian"});
    visitor.number({"loss.beta", "--beta", "weight of the KL divergence"}, &options_.beta, 0, kMaxNumber);
    visitor.number({"loss.beta_warm_up", "--beta-warm-up", "steps over which beta grows from 0"},
                   &options_.beta_warm_up, 0, kMaxNumber);
    visitor.number({"loss.free_bits", "--free-bits", "nats of KL per latent dimension that cost nothing"},
                   &options_.free_bits, 0, kMaxNumber);
  }

  std::vector<NetworkRole> networks(int64_t latent) const override {
    return {{"encoder",
             false,
             false,
             {{"latent_mean", latent, "mean", ""}, {"latent_log_variance", latent, "log_variance", ""}}},
            {"decoder", true, false, {}}};
  }

  std::optional<std::pair<float, float>> sample_range() const override {
    if (options_.likelihood == Likelihood::kGaussian) return std::nullopt;
    return {{0.0F, 1.0F}};
  }

  TrainedModel build(std::vector<Network> networks, const ModelContext& context) override {
    const std::string& input = only(data_inputs(networks[1]), networks[1], "input, the latent").name;
    if (!context.latent.empty() && context.latent != input)
      throw Error("--latent " + context.latent + ": the decoder's input is " + input);
    TrainedModel result;
    Network& decoder = networks[1];
    Network logits = decoder;
    format::Likelihood likelihood = format::Likelihood::kGaussian;
    if (options_.likelihood == Likelihood::kBernoulli) {
      likelihood = format::Likelihood::kBernoulli;
      if (!strip_sigmoid(&logits.graph, 0)) {
        check_logits(decoder);
        add_sigmoid(&decoder.graph, 0);
        result.notes.emplace_back(
            "decoder: has no final sigmoid, its output is taken for logits; the model generates their sigmoid");
      }
    }
    result.model.objective = ObjectiveDefinition{"vae",
                                                 likelihood == format::Likelihood::kGaussian ? "gaussian" : "bernoulli",
                                                 format::Score::kEvidenceLowerBound,
                                                 likelihood,
                                                 kBeta,
                                                 {{"vae.loss", format::MetricKind::kLoss, 0},
                                                  {"vae.reconstruction", format::MetricKind::kTerm, 0},
                                                  {"vae.kl", format::MetricKind::kTerm, 0}}};
    VaeBuilder(networks[0], decoder, logits, options_, &result.model).build();
    return result;
  }

 private:
  VaeOptions options_;
};

const Registered<Vae> kVae("vae", "encoder and decoder, trained on the evidence lower bound (ELBO)");

}  // namespace

}  // namespace figment::converter
