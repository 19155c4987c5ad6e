// Differentiable augmentation against its formulas, in double precision.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "convert.h"
#include "core/philox.h"
#include "objectives/objective.h"
#include "recipe/recipe.h"
#include "write/runner.h"
#include "write/write_model.h"

using namespace figment::converter;

namespace {

constexpr size_t kBatch = 3;
constexpr size_t kChannels = 2;
constexpr size_t kHeight = 8;
constexpr size_t kWidth = 12;
constexpr size_t kDrawn = 6;
constexpr size_t kSample = kChannels * kHeight * kWidth;

// Critics of linear layers, so that a loss is a sum over what they see: a dense one, which sees images as the recipe
// lays them out, and one that begins with a convolution of one pixel, which sees them as the device does.
std::string recipe(bool dense, const std::string& augment, const std::string& range) {
  return R"({
    "objective": "gan", "latent": {"size": 5}, "sample": {"shape": [2, 8, 12], "range": )" +
         range + R"(},
    "generator": {"layers": [{"type": "linear", "units": 192}, {"type": "reshape", "shape": [2, 8, 12]},
                             {"type": "conv", "channels": 2, "kernel": 3, "padding": 1}, "tanh"]},
    "discriminator": {"layers": [)" +
         (dense ? "" : R"({"type": "conv", "channels": 1, "kernel": 1}, )") +
         R"("flatten", {"type": "linear", "units": 1}]},
    "loss": {"kind": "wasserstein"}, "augment": )" +
         augment + "}";
}

std::vector<float> drawn_values(size_t count, uint32_t stream) {
  std::vector<float> values(count);
  figment::draw_latent(figment::Prior::kUniform, 11, stream, 0, count, values.data());
  return values;
}

struct Expected {
  bool brightness = false;
  bool contrast = false;
  bool translation = false;
  bool cutout = false;
  double low = -1;
  double high = 1;
};

// One image as the discriminator is to see it; u are the numbers drawn for it.
std::vector<double> seen(const float* image, const float* u, const Expected& expected) {
  std::vector<double> x(image, image + kSample);
  if (expected.brightness) {
    for (double& value : x) value += static_cast<double>(u[0]) * (expected.high - expected.low) / 4;
  }
  if (expected.contrast) {
    double mean = 0;
    for (double value : x) mean += value / static_cast<double>(kSample);
    for (double& value : x) value = (value - mean) * (1 + static_cast<double>(u[1]) / 2) + mean;
  }
  const auto outside = [](size_t place, size_t extent, float center) {
    const double half = static_cast<double>(extent) / 2;
    const double distance = std::fabs(static_cast<double>(place) + 0.5 - half - static_cast<double>(center) * half);
    return std::clamp(distance - half / 2 + 0.5, 0.0, 1.0);
  };
  const double middle = (expected.high + expected.low) / 2;
  if (expected.translation) {
    const long down = std::lround(static_cast<double>(u[4]) * 1.5);   // an eighth of 8 is 1
    const long right = std::lround(static_cast<double>(u[5]) * 2.5);  // an eighth of 12 is 2, rounded
    const auto origin = [](size_t place, long shift, size_t extent) {
      return static_cast<size_t>(std::clamp<long>(static_cast<long>(place) - shift, 0, static_cast<long>(extent) - 1));
    };
    const std::vector<double> from = x;
    for (size_t i = 0; i < kSample; ++i) {
      const size_t row = origin(i / kWidth % kHeight, down, kHeight);
      x[i] = from[(i / (kWidth * kHeight) * kHeight + row) * kWidth + origin(i % kWidth, right, kWidth)];
    }
  }
  for (size_t i = 0; expected.cutout && i < kSample; ++i) {
    const double rows = outside(i / kWidth % kHeight, kHeight, u[2]);
    const double columns = outside(i % kWidth, kWidth, u[3]);
    x[i] = middle + (x[i] - middle) * (1 - (1 - rows) * (1 - columns));
  }
  return x;
}

std::vector<float> parameter(Runner& runner, const std::string& name, size_t count) {
  std::vector<float> values(count);
  REQUIRE(fig_parameter_get(runner.session(), name.c_str(), values.data(), count) == FIG_OK);
  return values;
}

// The weight of every value of an image in the critic's output, and its bias.
struct Critic {
  std::vector<double> weights = std::vector<double>(kSample);
  double bias = 0;
};

Critic critic_of(Runner& runner, bool dense) {
  Critic critic;
  const std::string linear = dense ? "discriminator.1" : "discriminator.2";
  const std::vector<float> weights = parameter(runner, linear + ".weight", dense ? kSample : kHeight * kWidth);
  critic.bias = static_cast<double>(parameter(runner, linear + ".bias", 1)[0]);
  if (dense) {
    critic.weights.assign(weights.begin(), weights.end());
    return critic;
  }
  const std::vector<float> mix = parameter(runner, "discriminator.0.weight", kChannels);
  const float mix_bias = parameter(runner, "discriminator.0.bias", 1)[0];
  for (size_t p = 0; p < weights.size(); ++p) {
    critic.bias += static_cast<double>(weights[p]) * static_cast<double>(mix_bias);
    for (size_t c = 0; c < kChannels; ++c)
      critic.weights[c * weights.size() + p] = static_cast<double>(weights[p]) * static_cast<double>(mix[c]);
  }
  return critic;
}

TrainedModel build(const Recipe& recipe, std::pair<float, float> range) {
  std::vector<Network> networks;
  for (const NetworkRole& role : recipe.objective->networks(0))
    networks.push_back(make_network(role.name, recipe.networks.at(role.name), {}));
  return recipe.objective->build(std::move(networks), {"", range});
}

void check(bool dense, const std::string& augment, const std::string& range, const Expected& expected) {
  TrainedModel trained = build(parse_recipe(recipe(dense, augment, range), "r.json"),
                               {static_cast<float>(expected.low), static_cast<float>(expected.high)});
  trained.model.name = "augmented";
  const std::vector<uint8_t> file = write_model(trained.model);
  Runner runner(file, kBatch, FIG_KERNELS_BEST, true);
  REQUIRE(fig_session_set_scalar(runner.session(), "d.clip_weights", 1e9) == FIG_OK);
  TensorMap inputs = {{"latent", drawn_values(kBatch * 5, 1)}, {"sample", drawn_values(kBatch * kSample, 2)}};
  const std::vector<float> fake = runner.run("generate", {{"latent", inputs["latent"]}}, kBatch).at("sample");
  uint32_t stream = 3;
  for (const char* label : {"d.real", "d.fake", "g.fake"}) {
    if (augment != "[]") inputs[std::string(label) + ".augment"] = drawn_values(kBatch * kDrawn, stream++);
  }
  const Critic critic = critic_of(runner, dense);
  const auto mean_logit = [&](const std::vector<float>& images, const std::string& label) {
    const std::vector<float> u = inputs.contains(label) ? inputs.at(label) : std::vector<float>(kBatch * kDrawn);
    double sum = critic.bias;
    for (size_t n = 0; n < kBatch; ++n) {
      const std::vector<double> x = seen(images.data() + n * kSample, u.data() + n * kDrawn, expected);
      for (size_t i = 0; i < kSample; ++i) sum += x[i] * critic.weights[i] / static_cast<double>(kBatch);
    }
    return sum;
  };
  const double loss = mean_logit(fake, "d.fake.augment") - mean_logit(inputs["sample"], "d.real.augment");
  const std::vector<float> before = parameter(runner, "generator.0.weight", 5 * 192);
  // The critic stays as it is, so that the generator meets the one that is known here.
  REQUIRE(fig_session_set_scalar(runner.session(), "d.learning_rate", 0) == FIG_OK);
  const TensorMap outputs = runner.run("train.step", inputs, kBatch);
  CHECK(outputs.at("d.loss")[0] == doctest::Approx(loss).epsilon(1e-4));
  CHECK(outputs.at("g.loss")[0] == doctest::Approx(-mean_logit(fake, "g.fake.augment")).epsilon(1e-4));
  CHECK(parameter(runner, "generator.0.weight", 5 * 192) != before);
}

}  // namespace

TEST_CASE("the discriminator sees augmented samples, real and generated ones") {
  for (bool dense : {false, true}) {
    check(dense, "[]", "[-1, 1]", {});
    check(dense, R"(["brightness"])", "[-1, 1]", {.brightness = true});
    check(dense, R"(["contrast"])", "[-1, 1]", {.contrast = true});
    check(dense, R"(["translation"])", "[-1, 1]", {.translation = true});
    check(dense, R"(["cutout"])", "[-1, 1]", {.cutout = true});
    check(dense, R"(["brightness", "contrast", "translation", "cutout"])", "[0, 3]",
          {.brightness = true, .contrast = true, .translation = true, .cutout = true, .low = 0, .high = 3});
  }
}

TEST_CASE("only images are augmented") {
  const Recipe parsed = parse_recipe(R"({"objective": "gan", "latent": {"size": 2}, "sample": {"shape": [3]},
    "generator": {"layers": [{"type": "linear", "units": 3}]}, "discriminator": {"layers": [{"type": "linear", "units": 1}]},
    "augment": ["cutout"]})",
                                     "r.json");
  CHECK_THROWS_WITH_AS(build(parsed, {-1.0F, 1.0F}), doctest::Contains("is for images"), Error);
}
