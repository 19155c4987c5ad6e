#include "recipe/recipe.h"

#include "import/import_onnx.h"
#include "io/files.h"
#include "recipe/layers.h"

namespace figment::converter {

namespace {

constexpr double kMost = 1e12;
constexpr double kMostDecay = 0.999999;

OptimizerOptions read_optimizer(const RecipeValue& value, OptimizerOptions options) {
  value.expect_keys({"kind", "learning_rate", "beta1", "beta2", "epsilon", "weight_decay", "clip_value", "clip_norm",
                     "warm_up_steps", "schedule"});
  options.optimizer =
      static_cast<Optimizer>(value.choice("kind", static_cast<size_t>(options.optimizer), {"adam", "sgd"}));
  options.learning_rate = value.number("learning_rate", options.learning_rate, 0, kMost);
  options.beta1 = value.number("beta1", options.beta1, 0, kMostDecay);
  options.beta2 = value.number("beta2", options.beta2, 0, kMostDecay);
  options.epsilon = value.number("epsilon", options.epsilon, 1e-30, 1);
  options.weight_decay = value.number("weight_decay", options.weight_decay, 0, kMost);
  options.clip_value = value.number("clip_value", options.clip_value, 0, kMost);
  options.clip_norm = value.number("clip_norm", options.clip_norm, 0, kMost);
  options.warm_up_steps = value.number("warm_up_steps", options.warm_up_steps, 0, kMost);
  if (value.has("schedule")) {
    const RecipeValue schedule = value.at("schedule");
    schedule.expect_keys({"kind", "period", "factor"});
    options.schedule = static_cast<RateSchedule>(
        schedule.choice("kind", static_cast<size_t>(options.schedule), {"constant", "step", "cosine"}));
    options.rate_period = schedule.number("period", options.rate_period, 1, kMost);
    options.rate_factor = schedule.number("factor", options.rate_factor, 0, 1);
  }
  return options;
}

CodeOptions read_code(const RecipeValue& value) {
  value.expect_keys({"name", "categories", "size", "prior", "weight"});
  CodeOptions code;
  code.name = value.at("name").text();
  code.weight = value.number("weight", 1, 0, kMost);
  if (value.has("categories") == value.has("size"))
    value.fail("needs either \"categories\", or \"size\" for continuous values");
  if (value.has("categories")) {
    code.size = static_cast<uint32_t>(value.integer("categories", 2, 65536));
  } else {
    code.size = static_cast<uint32_t>(value.integer("size", 1, 65536));
    code.prior = value.choice("prior", 0, {"uniform", "normal"}) == 0 ? Prior::kUniform : Prior::kNormal;
  }
  return code;
}

class RecipeReader {
 public:
  explicit RecipeReader(const RecipeValue& root) : root_(root) {}

  Recipe read() {
    root_.expect_keys({"name", "objective", "seed", "initialization", "latent", "sample", "condition", "generator",
                       "discriminator", "encoder", "decoder", "loss", "optimizer", "discriminator_optimizer", "ema",
                       "batch_norm_momentum", "training", "description", "augment"});
    recipe_.name = root_.text("name", "");
    const size_t objective = (root_.at("objective"), root_.choice("objective", 0, {"gan", "infogan", "vae"}));
    recipe_.objective = objective == 2 ? Objective::kVae : Objective::kGan;
    initialization_ =
        static_cast<Initialization>(root_.choice("initialization", 0, {"pytorch", "dcgan", "xavier", "he"}));
    seed_ = static_cast<uint64_t>(root_.integer("seed", 1, 0, int64_t{1} << 53));
    read_sample();
    read_latent(objective == 1);
    if (root_.has("condition")) {
      const RecipeValue condition = root_.at("condition");
      condition.expect_keys({"name", "shape"});
      condition_name_ = condition.text("name", "condition");
      condition_ = condition.extents("shape");
      if (recipe_.objective == Objective::kVae) condition.fail("is for adversarial objectives");
    }
    read_training();
    if (recipe_.objective == Objective::kVae) {
      refuse({"generator", "discriminator", "discriminator_optimizer", "ema", "augment"}, "vae");
      recipe_.networks["encoder"] = encoder();
      recipe_.networks["decoder"] = generator("decoder");
    } else {
      refuse({"encoder", "decoder"}, "gan and infogan");
      recipe_.networks["generator"] = generator("generator");
      recipe_.networks["discriminator"] = discriminator();
    }
    return std::move(recipe_);
  }

 private:
  void refuse(const std::vector<std::string>& keys, const std::string& objective) const {
    for (const std::string& key : keys) {
      if (root_.has(key)) root_.at(key).fail("does not go with the objective " + objective);
    }
  }

  void read_sample() {
    const RecipeValue sample = root_.at("sample");
    sample.expect_keys({"name", "shape", "range"});
    sample_name_ = sample.text("name", "sample");
    sample_ = sample.extents("shape");
    if (sample.has("range")) {
      const RecipeValue range = sample.at("range");
      if (range.size() != 2) range.fail("must be [low, high]");
      const auto bound = [&](size_t i) {
        const nlohmann::json& number = range[i].json();
        if (!number.is_number()) range[i].fail("must be a number");
        return number.get<float>();
      };
      recipe_.range = {bound(0), bound(1)};
      if (!(recipe_.range->first < recipe_.range->second)) range.fail("must be [low, high] with low < high");
    }
  }

  void read_latent(bool codes) {
    const RecipeValue latent = root_.at("latent");
    latent.expect_keys({"size", "shape", "prior", "codes"});
    if (latent.has("size") == latent.has("shape")) latent.fail("needs either \"size\" or \"shape\"");
    latent_ = latent.has("size") ? std::vector<int64_t>{latent.integer("size", 1, 1 << 20)} : latent.extents("shape");
    recipe_.train.prior = latent.choice("prior", 0, {"normal", "uniform"}) == 0 ? Prior::kNormal : Prior::kUniform;
    if (codes != latent.has("codes")) latent.fail("\"codes\" and the objective infogan go together");
    if (!codes) return;
    if (latent_.size() != 1) latent.fail("with codes it must have a size");
    const RecipeValue list = latent.at("codes");
    int64_t values = 0;
    for (size_t i = 0; i < list.size(); ++i) {
      recipe_.train.codes.push_back(read_code(list[i]));
      values += recipe_.train.codes.back().size;
    }
    if (values > latent_[0])
      latent.fail("its size counts the codes, and they have " + std::to_string(values) + " values");
  }

  void read_training() {
    TrainOptions& train = recipe_.train;
    if (recipe_.objective == Objective::kVae) {
      train.optimizer.beta1 = 0.9;
      train.optimizer.learning_rate = 1e-3;
    }
    if (root_.has("optimizer")) train.optimizer = read_optimizer(root_.at("optimizer"), train.optimizer);
    if (root_.has("discriminator_optimizer")) {
      train.discriminator_optimizer = read_optimizer(root_.at("discriminator_optimizer"), train.optimizer);
    }
    train.ema_decay = root_.number("ema", 0, 0, kMostDecay);
    if (root_.has("augment")) {
      const RecipeValue list = root_.at("augment");
      for (size_t i = 0; i < list.size(); ++i)
        train.augment.what.push_back(
            static_cast<Augmentation>(list[i].choice({"brightness", "contrast", "translation", "cutout"})));
    }
    train.batch_norm_momentum = root_.number("batch_norm_momentum", 0.1, 0, 1);
    if (root_.has("loss")) {
      const RecipeValue loss = root_.at("loss");
      if (recipe_.objective == Objective::kVae) {
        loss.expect_keys({"likelihood", "beta", "beta_warm_up", "free_bits"});
        train.likelihood = static_cast<Likelihood>(loss.choice("likelihood", 0, {"bernoulli", "gaussian"}));
        train.beta = loss.number("beta", 1, 0, kMost);
        train.beta_warm_up = loss.number("beta_warm_up", 0, 0, kMost);
        train.free_bits = loss.number("free_bits", 0, 0, kMost);
      } else {
        loss.expect_keys({"kind", "label_smoothing", "critic_steps", "clip_weights"});
        train.gan_loss = static_cast<GanLoss>(loss.choice("kind", 0, {"non-saturating", "hinge", "wasserstein"}));
        train.label_smoothing = loss.number("label_smoothing", 0, 0, 1);
        train.critic_steps = static_cast<uint32_t>(loss.integer("critic_steps", 1, 1, 100));
        train.clip_weights = loss.number("clip_weights", train.clip_weights, 0, kMost);
      }
    }
    if (root_.has("training")) {
      // What `figment train` does unless it is told otherwise.
      const RecipeValue training = root_.at("training");
      training.expect_keys({"batch", "steps"});
      for (const char* key : {"batch", "steps"}) {
        if (training.has(key))
          recipe_.metadata.emplace_back(std::string("training.") + key,
                                        std::to_string(training.integer(key, 1, 1 << 30)));
      }
    }
  }

  LayerBuilder builder(uint32_t stream) const { return {initialization_, seed_, stream}; }

  LayerBuilder::Tensor with_condition(LayerBuilder& build, const LayerBuilder::Tensor& x) const {
    if (condition_.empty()) return x;
    return build.with_condition(x, build.input(condition_name_, condition_));
  }

  RecipeValue network(const std::string& role, std::set<std::string> keys) const {
    const RecipeValue value = root_.at(role);
    keys.insert("layers");
    value.expect_keys(keys);
    return value;
  }

  Graph generator(const std::string& role) const {
    const RecipeValue value = network(role, {});
    LayerBuilder build = builder(1);
    LayerBuilder::Tensor x = with_condition(build, build.input("latent", latent_));
    x = build.layers(x, value.at("layers"), "");
    if (x.shape != sample_) {
      value.fail("ends in " + text_of(x.shape) + ", the sample is " + text_of(sample_));
    }
    build.output(x, sample_name_);
    return imported(build, role);
  }

  Graph discriminator() {
    const RecipeValue value = network("discriminator", {"q_layers", "spectral_norm"});
    recipe_.train.spectral_norm = value.flag("spectral_norm", false);
    LayerBuilder build = builder(2);
    LayerBuilder::Tensor x = with_condition(build, build.input(sample_name_, sample_));
    x = build.layers(x, value.at("layers"), "");
    if (recipe_.train.codes.empty()) {
      if (value.has("q_layers")) value.at("q_layers").fail("is for infogan");
      if (x.shape != std::vector<int64_t>{1}) value.fail("must end in one number, ends in " + text_of(x.shape));
      build.output(x, "logit");
    } else {
      build.output(build.head(x, 1, "logit"), "real");
      const LayerBuilder::Tensor q = value.has("q_layers") ? build.layers(x, value.at("q_layers"), "q.") : x;
      for (const CodeOptions& code : recipe_.train.codes) {
        const int64_t units = int64_t{code.size} * (code.prior == Prior::kCategorical ? 1 : 2);
        build.output(build.head(q, units, "q_" + code.name), code.name);
      }
    }
    return imported(build, "discriminator");
  }

  Graph encoder() const {
    const RecipeValue value = network("encoder", {});
    LayerBuilder build = builder(2);
    LayerBuilder::Tensor x = build.layers(build.input(sample_name_, sample_), value.at("layers"), "");
    if (latent_.size() != 1) root_.at("latent").fail("a VAE's latent must have a size");
    build.output(build.head(x, latent_[0], "mean"), "latent_mean");
    build.output(build.head(x, latent_[0], "log_variance"), "latent_log_variance");
    return imported(build, "encoder");
  }

  static std::string text_of(const std::vector<int64_t>& shape) {
    std::string text = "[";
    for (size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
    return text + "]";
  }

  Graph imported(LayerBuilder& build, const std::string& role) const {
    return import_onnx(build.finish(), root_.at(role).place(), role, Purpose::kTraining);
  }

  RecipeValue root_;
  Recipe recipe_;
  Initialization initialization_ = Initialization::kPytorch;
  uint64_t seed_ = 1;
  std::string sample_name_;
  std::vector<int64_t> sample_;
  std::vector<int64_t> latent_;
  std::string condition_name_;
  std::vector<int64_t> condition_;
};

}  // namespace

Recipe parse_recipe(const std::string& text, const std::string& origin) {
  nlohmann::json json;
  try {
    json = nlohmann::json::parse(text, nullptr, true, true);
  } catch (const nlohmann::json::exception& error) {
    throw Error(origin + ": is not JSON: " + error.what());
  }
  return RecipeReader(RecipeValue(json, origin)).read();
}

Recipe read_recipe(const std::string& path) {
  const std::string text = io::read_text(path);
  return parse_recipe(text, path);
}

}  // namespace figment::converter
