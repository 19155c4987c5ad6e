// Losses and penalties of adversarial objectives against their formulas in double precision.
#include "objectives/objective.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <functional>

#include "recipe/recipe.h"
#include "support.h"
#include "write/runner.h"
#include "write/write_model.h"

using namespace figment::converter;

namespace {

constexpr size_t kBatch = 5;
constexpr size_t kSample = 6;
constexpr size_t kHidden = 4;

// A smooth discriminator, w tanh(W x + b) + c; SGD at rate 1, so that a step takes the gradient off.
std::string recipe(const std::string& loss) {
  return R"({"objective": "gan", "latent": {"size": 3}, "sample": {"shape": [6], "range": [-1, 1]},
    "generator": {"layers": [{"type": "linear", "units": 6}, "tanh"]},
    "discriminator": {"layers": [{"type": "linear", "units": 4}, "tanh", {"type": "linear", "units": 1}]},
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

// The logit of x, and its gradient with respect to x.
double logit(const Values& p, const double* x, Values* gradient) {
  const double* bias = p.data() + kHidden * kSample;
  const double* out = bias + kHidden;
  double sum = out[kHidden];
  if (gradient != nullptr) gradient->assign(kSample, 0);
  for (size_t h = 0; h < kHidden; ++h) {
    double a = bias[h];
    for (size_t i = 0; i < kSample; ++i) a += p[h * kSample + i] * x[i];
    const double y = std::tanh(a);
    sum += out[h] * y;
    for (size_t i = 0; gradient != nullptr && i < kSample; ++i)
      (*gradient)[i] += out[h] * (1 - y * y) * p[h * kSample + i];
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
  explicit Model(const std::string& loss)
      : file(write_model(build(parse_recipe(recipe(loss), "r.json")))), runner(file, kBatch, FIG_KERNELS_BEST, true) {
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
    if (draws_shares) inputs["d.penalty"] = shares;
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

TEST_CASE("gradient penalties have the value and the gradient of their formulas") {
  for (const bool r1 : {true, false}) {
    INFO(r1);
    const std::string kind = r1 ? R"({"kind": "non-saturating", "gradient_penalty": {"kind": "r1"}})"
                                : R"({"kind": "wasserstein", "gradient_penalty": {"kind": "wgan-gp"}})";
    Model model(kind);
    Model without(kind);
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
        logit(p, x.data(), &gradient);
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

TEST_CASE("a gradient penalty is refused where samples depend on each other") {
  nlohmann::json parsed = nlohmann::json::parse(recipe(R"({"gradient_penalty": {"kind": "r1"}})"));
  parsed["discriminator"]["layers"].insert(parsed["discriminator"]["layers"].begin() + 1, "batch_norm");
  CHECK_THROWS_WITH_AS(Model::build(parse_recipe(parsed.dump(), "r.json")), doctest::Contains("layer normalization"),
                       Error);
}
