// Losses and penalties of adversarial objectives against their formulas in double precision.
#include "objectives/objective.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>

#include "objectives/adversarial_losses.h"
#include "recipe/recipe.h"
#include "support.h"
#include "write/runner.h"
#include "write/write_model.h"

using namespace figment::converter;

namespace {

constexpr size_t kBatch = 5;
constexpr size_t kSample = 6;
constexpr size_t kHidden = 4;

// A discriminator w f(W x + b) + c; SGD at rate 1, so that a step takes the gradient off.
std::string recipe(const std::string& loss, const std::string& function = R"("tanh")") {
  return R"({"objective": "gan", "latent": {"size": 3}, "sample": {"shape": [6], "range": [-1, 1]},
    "generator": {"layers": [{"type": "linear", "units": 6}, "tanh"]},
    "discriminator": {"layers": [{"type": "linear", "units": 4}, )" +
         function + R"(, {"type": "linear", "units": 1}]},
    "optimizer": {"kind": "sgd", "learning_rate": 1, "beta1": 0}, "loss": )" +
         loss + "}";
}

struct Parameter {
  const char* name;
  size_t size;
};
constexpr std::array<Parameter, 4> kParameters = {{{"discriminator.0.weight", kHidden* kSample},
                                                   {"discriminator.0.bias", kHidden},
                                                   {"discriminator.2.weight", kHidden},
                                                   {"discriminator.2.bias", 1}}};

using Values = std::vector<double>;

// The discriminator's parameters, one after the other.
Values parameters(Runner& runner) {
  Values result;
  for (const Parameter& parameter : kParameters) {
    std::vector<float> values(parameter.size);
    REQUIRE(fig_parameter_get(runner.session(), parameter.name, values.data(), values.size()) == FIG_OK);
    result.insert(result.end(), values.begin(), values.end());
  }
  return result;
}

// A function between the two layers, with its derivative.
struct Activation {
  const char* name;
  const char* layer;
  double (*value)(double x);
  double (*derivative)(double x);
};
double logistic(double x) { return 1 / (1 + std::exp(-x)); }
const Activation kActivations[] = {
    {"tanh", R"("tanh")", [](double x) { return std::tanh(x); },
     [](double x) { return 1 - std::pow(std::tanh(x), 2); }},
    {"leaky_relu", R"({"type": "leaky_relu", "slope": 0.2})", [](double x) { return x < 0 ? 0.2 * x : x; },
     [](double x) { return x < 0 ? 0.2 : 1.0; }},
    {"relu", R"("relu")", [](double x) { return x < 0 ? 0 : x; }, [](double x) { return x < 0 ? 0.0 : 1.0; }},
    {"sigmoid", R"("sigmoid")", logistic, [](double x) { return logistic(x) * (1 - logistic(x)); }},
    {"softplus", R"("softplus")", [](double x) { return std::log1p(std::exp(x)); }, logistic},
};

// The logit of x, and its gradient with respect to x.
double logit(const Values& p, const double* x, Values* gradient, const Activation& activation = kActivations[0]) {
  const double* bias = p.data() + kHidden * kSample;
  const double* out = bias + kHidden;
  double sum = out[kHidden];
  if (gradient != nullptr) gradient->assign(kSample, 0);
  for (size_t h = 0; h < kHidden; ++h) {
    double a = bias[h];
    for (size_t i = 0; i < kSample; ++i) a += p[h * kSample + i] * x[i];
    sum += out[h] * activation.value(a);
    for (size_t i = 0; gradient != nullptr && i < kSample; ++i)
      (*gradient)[i] += out[h] * activation.derivative(a) * p[h * kSample + i];
  }
  return sum;
}

// Gradients of a function of the parameters by central differences.
Values gradient_of(Values p, const std::function<double(const Values&)>& function) {
  constexpr double kStep = 1e-5;
  Values result;
  for (double& value : p) {
    const double at = value;
    value = at + kStep;
    const double ahead = function(p);
    value = at - kStep;
    const double behind = function(p);
    value = at;
    result.push_back((ahead - behind) / (2 * kStep));
  }
  return result;
}

struct Model {
  explicit Model(const std::string& loss, const std::string& function = R"("tanh")")
      : file(write_model(build(parse_recipe(recipe(loss, function), "r.json")))),
        runner(file, kBatch, FIG_KERNELS_BEST, true) {
    for (size_t i = 0; i < kBatch * kSample; ++i) real.push_back(std::sin(static_cast<float>(i) * 1.7F));
    for (size_t i = 0; i < kBatch * 3; ++i) latents.push_back(std::cos(static_cast<float>(i) * 2.3F));
    for (size_t i = 0; i < kBatch; ++i) shares.push_back(0.8F * std::sin(static_cast<float>(i) * 3.1F));
    fake = runner.run("generate", {{"latent", latents}}, kBatch).at("sample");
  }

  static ModelDefinition build(const Recipe& recipe) {
    std::vector<Network> networks;
    for (const NetworkRole& role : recipe.objective->networks(0))
      networks.push_back(make_network(role.name, recipe.networks.at(role.name), {}));
    TrainedModel trained = recipe.objective->build(std::move(networks), {"", {-1.0F, 1.0F}});
    trained.model.name = "gan";
    return std::move(trained.model);
  }

  TensorMap step(bool draws_shares = false) {
    TensorMap inputs = {{"latent", latents}, {"sample", real}};
    if (draws_shares) inputs["d.penalty.share"] = shares;
    return runner.run("train.step", inputs, kBatch);
  }

  std::vector<uint8_t> file;
  Runner runner;
  std::vector<float> real;
  std::vector<float> fake;
  std::vector<float> latents;
  std::vector<float> shares;  // on [-1, 1)
};

// A function of a logit, as a mean over samples.
double mean_over(const Values& p, const std::vector<float>& samples, const std::function<double(double)>& of) {
  double sum = 0;
  for (size_t n = 0; n < kBatch; ++n) {
    const Values x(samples.begin() + static_cast<std::ptrdiff_t>(n * kSample),
                   samples.begin() + static_cast<std::ptrdiff_t>((n + 1) * kSample));
    sum += of(logit(p, x.data(), nullptr));
  }
  return sum / kBatch;
}

void check_close(const Values& actual, const Values& expected, double tolerance) {
  REQUIRE(actual.size() == expected.size());
  double largest = 0;
  for (const double value : expected) largest = std::max(largest, std::fabs(value));
  REQUIRE(largest > 0);
  for (size_t i = 0; i < actual.size(); ++i) {
    INFO(i);
    CHECK(std::fabs(actual[i] - expected[i]) <= tolerance * largest);
  }
}

Values difference(const Values& a, const Values& b) {
  Values result;
  for (size_t i = 0; i < a.size(); ++i) result.push_back(a[i] - b[i]);
  return result;
}

// The penalty's gradient, along a random direction, against differences of the penalty itself.
void check_own_gradient(const std::string& text) {
  constexpr size_t kElements = 32;
  const std::vector<uint8_t> file = write_model(Model::build(parse_recipe(text, "r.json")));
  figment::test::Random random(17);
  TensorMap inputs;
  for (const auto& [name, count] :
       {std::pair<const char*, size_t>{"latent", 3}, {"sample", kElements}, {"d.penalty.share", 1}}) {
    for (size_t i = 0; i < kBatch * count; ++i) inputs[name].push_back(random.real());
  }
  if (text.find("\"r1\"") != std::string::npos) inputs.erase("d.penalty.share");
  using Parameters = std::map<std::string, std::vector<float>>;
  const auto all = [](Runner& runner) {
    Parameters result;
    fig_parameter_info info{};
    for (uint32_t i = 0; fig_model_parameter(runner.model(), i, &info) == FIG_OK; ++i) {
      if (!info.trained || std::string(info.name).rfind("discriminator.", 0) != 0) continue;
      size_t elements = 1;
      for (uint32_t d = 0; d < info.shape.rank; ++d) elements *= info.shape.extents[d];
      std::vector<float>& values = result[info.name];
      values.resize(elements);
      REQUIRE(fig_parameter_get(runner.session(), info.name, values.data(), elements) == FIG_OK);
    }
    return result;
  };
  // After a step with this weight of the penalty.
  const auto after = [&](double weight) {
    Runner runner(file, kBatch, FIG_KERNELS_BEST, true);
    REQUIRE(fig_session_set_scalar(runner.session(), "d.gradient_penalty.weight", weight) == FIG_OK);
    runner.run("train.step", inputs, kBatch);
    return all(runner);
  };
  const Parameters with = after(1);
  const Parameters without = after(0);
  Runner runner(file, kBatch, FIG_KERNELS_BEST, true);
  const Parameters start = all(runner);
  Parameters direction;
  double expected = 0;
  for (const auto& [name, values] : start) {
    for (size_t i = 0; i < values.size(); ++i) {
      direction[name].push_back(random.real());
      expected += static_cast<double>(direction[name][i]) * static_cast<double>(without.at(name)[i] - with.at(name)[i]);
    }
  }
  // Of differences over several steps the two that agree best: a kink may lie within one, rounding drown another.
  const auto penalty_at = [&](double step) {
    Runner moved(file, kBatch, FIG_KERNELS_BEST, true);
    for (const auto& [name, values] : start) {
      std::vector<float> changed = values;
      for (size_t i = 0; i < changed.size(); ++i)
        changed[i] += static_cast<float>(step * static_cast<double>(direction.at(name)[i]));
      REQUIRE(fig_parameter_set(moved.session(), name.c_str(), changed.data(), changed.size()) == FIG_OK);
    }
    return static_cast<double>(moved.run("train.step", inputs, kBatch).at("d.penalty")[0]);
  };
  double best = 1e9;
  for (const double step : {1e-3, 3e-3, 1e-2}) {
    const double found = (penalty_at(step) - penalty_at(-step)) / (2 * step);
    best = std::min(best, std::fabs(found - expected) / std::max(std::fabs(expected), 1e-2));
  }
  CHECK(best < 0.02);
}

double softplus(double x) { return std::log1p(std::exp(x)); }
double square(double x) { return x * x; }
double relu(double x) { return std::max(x, 0.0); }

}  // namespace

TEST_CASE("every adversarial loss has the value and the gradient of its formula") {
  struct Formula {
    const char* loss;
    std::function<double(double)> on_real;
    std::function<double(double)> on_fake;
    std::function<double(double)> generator;
  };
  const Formula formulas[] = {
      {R"({"kind": "non-saturating"})", [](double r) { return softplus(-r); }, softplus,
       [](double f) { return softplus(-f); }},
      {R"({"kind": "non-saturating", "label_smoothing": 0.1})", [](double r) { return softplus(r) - 0.9 * r; },
       softplus, [](double f) { return softplus(-f); }},
      {R"({"kind": "hinge"})", [](double r) { return relu(1 - r); }, [](double f) { return relu(1 + f); },
       [](double f) { return -f; }},
      {R"({"kind": "least-squares"})", [](double r) { return square(r - 1) / 2; },
       [](double f) { return square(f) / 2; }, [](double f) { return square(f - 1) / 2; }},
      {R"({"kind": "least-squares", "label_smoothing": 0.2})", [](double r) { return square(r - 0.8) / 2; },
       [](double f) { return square(f) / 2; }, [](double f) { return square(f - 1) / 2; }},
      {R"({"kind": "wasserstein", "clip_weights": 1e6})", [](double r) { return -r; }, [](double f) { return f; },
       [](double f) { return -f; }},
  };
  for (const Formula& formula : formulas) {
    INFO(std::string(formula.loss));
    Model model(formula.loss);
    const Values before = parameters(model.runner);
    const auto loss = [&](const Values& p) {
      return mean_over(p, model.real, formula.on_real) + mean_over(p, model.fake, formula.on_fake);
    };
    const TensorMap outputs = model.step();
    CHECK(outputs.at("d.loss")[0] == doctest::Approx(loss(before)).epsilon(1e-5));
    const Values after = parameters(model.runner);
    check_close(difference(before, after), gradient_of(before, loss), 1e-4);
    // The generator meets the discriminator that has been updated.
    CHECK(outputs.at("g.loss")[0] == doctest::Approx(mean_over(after, model.fake, formula.generator)).epsilon(1e-5));
  }
}

TEST_CASE("the table of losses holds those that are tested above") {
  std::string names;
  for (const AdversarialLoss& loss : adversarial_losses()) names += std::string(loss.name) + " ";
  CHECK(names == "non-saturating hinge least-squares wasserstein ");
}

TEST_CASE("gradient penalties have the value and the gradient of their formulas") {
  for (const Activation& activation : kActivations) {
    for (const bool r1 : {true, false}) {
      INFO(std::string(activation.name));
      INFO(r1);
      const std::string kind = r1 ? R"({"kind": "non-saturating", "gradient_penalty": {"kind": "r1"}})"
                                  : R"({"kind": "wasserstein", "gradient_penalty": {"kind": "wgan-gp"}})";
      Model model(kind, activation.layer);
      Model without(kind, activation.layer);
      REQUIRE(fig_session_set_scalar(without.runner.session(), "d.gradient_penalty.weight", 0) == FIG_OK);
      const Values before = parameters(model.runner);
      const auto penalty = [&](const Values& p) {
        double sum = 0;
        for (size_t n = 0; n < kBatch; ++n) {
          Values x(kSample);
          const double share = r1 ? 0 : (static_cast<double>(model.shares[n]) + 1) / 2;
          for (size_t i = 0; i < kSample; ++i) {
            const auto real = static_cast<double>(model.real[n * kSample + i]);
            x[i] = real + share * (static_cast<double>(model.fake[n * kSample + i]) - real);
          }
          Values gradient;
          logit(p, x.data(), &gradient, activation);
          double squares = 0;
          for (const double g : gradient) squares += g * g;
          sum += r1 ? squares / 2 : square(std::sqrt(squares) - 1);
        }
        return sum / kBatch;
      };
      const TensorMap outputs = model.step(!r1);
      without.step(!r1);
      CHECK(outputs.at("d.penalty")[0] == doctest::Approx(penalty(before)).epsilon(1e-3));
      Values expected = gradient_of(before, penalty);
      for (double& value : expected) value *= 10;  // the default weight
      check_close(difference(parameters(without.runner), parameters(model.runner)), expected, 2e-3);
    }
  }
}

TEST_CASE("the gradient of a penalty is that of its value, in discriminators of other layers") {
  // Smooth ones: the penalty of others jumps where a kink is crossed, which is no part of its gradient.
  const char* discriminators[] = {
      R"(["flatten", {"type": "linear", "units": 8}, "layer_norm", "tanh", {"type": "linear", "units": 1}])",
      R"([{"type": "conv", "channels": 4, "kernel": 3, "padding": 1}, "tanh", {"type": "average_pool", "kernel": 2},
          {"type": "conv", "channels": 3, "kernel": 2}, "softplus", "flatten", {"type": "linear", "units": 1}])",
      R"([{"type": "conv_transpose", "channels": 2, "kernel": 2, "stride": 2}, "elu", "upsample", "flatten",
          {"type": "linear", "units": 4}, "sigmoid", {"type": "linear", "units": 1}])",
      R"([{"type": "reshape", "shape": [4, 8]}, {"type": "gru", "units": 5, "return": "last"}, {"type": "linear", "units": 1}])",
      R"([{"type": "reshape", "shape": [4, 8]}, "reverse", {"type": "lstm", "units": 5}, "flatten", {"type": "linear", "units": 1}])"};
  for (const char* layers : discriminators) {
    for (const char* kind : {"r1", "wgan-gp"}) {
      INFO(std::string(layers));
      INFO(std::string(kind));
      const std::string text =
          std::string(R"({"objective": "gan", "latent": {"size": 3}, "sample": {"shape": [2, 4, 4], "range": [-1, 1]},
            "generator": {"layers": [{"type": "linear", "units": 32}, "tanh", {"type": "reshape", "shape": [2, 4, 4]}]},
            "discriminator": {"layers": )") +
          layers + R"(}, "initialization": "xavier", "optimizer": {"kind": "sgd", "learning_rate": 1, "beta1": 0},
            "loss": {"kind": "wasserstein", "gradient_penalty": {"kind": ")" +
          kind + R"("}}})";
      check_own_gradient(text);
    }
  }
}

TEST_CASE("a gradient penalty is refused where samples depend on each other") {
  nlohmann::json parsed = nlohmann::json::parse(recipe(R"({"gradient_penalty": {"kind": "r1"}})"));
  parsed["discriminator"]["layers"].insert(parsed["discriminator"]["layers"].begin() + 1, "batch_norm");
  CHECK_THROWS_WITH_AS(Model::build(parse_recipe(parsed.dump(), "r.json")), doctest::Contains("layer normalization"),
                       Error);
}

TEST_CASE("a gradient penalty is refused through max pooling, and its weight without its kind") {
  nlohmann::json parsed = nlohmann::json::parse(recipe(R"({"gradient_penalty": {"kind": "r1"}})"));
  parsed["sample"]["shape"] = {1, 2, 3};
  parsed["generator"]["layers"].push_back({{"type", "reshape"}, {"shape", {1, 2, 3}}});
  parsed["discriminator"]["layers"] = nlohmann::json::parse(
      R"([{"type": "max_pool", "kernel": 2, "stride": 1}, "flatten", {"type": "linear", "units": 1}])");
  CHECK_THROWS_WITH_AS(Model::build(parse_recipe(parsed.dump(), "r.json")), doctest::Contains("average pooling"),
                       Error);
  CHECK_THROWS_WITH_AS(parse_recipe(recipe(R"({"gradient_penalty": {"weight": 5}})"), "r.json"),
                       doctest::Contains("needs its kind"), Error);
  CHECK_THROWS_WITH_AS(
      parse_recipe(recipe(R"({"kind": "wasserstein", "clip_weights": 1, "gradient_penalty": {"kind": "r1"}})"),
                   "r.json"),
      doctest::Contains("clip_weights does not go with a gradient penalty"), Error);
}
