// Adapters: at first nothing changes, then they alone do, and merged they are what they were beside the weights.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "convert.h"
#include "import/import_figment.h"
#include "io/files.h"
#include "passes/simplify.h"
#include "support.h"
#include "write/runner.h"

using namespace figment::converter;

namespace {

const std::string kRecipe = FIGMENT_TEST_SOURCE "/data/recipes/tiny_cgan.json";

Converted adapted(const std::vector<std::string>& adapters, bool int8_base, const std::string& recipe = kRecipe) {
  ConvertOptions options;
  options.recipe = recipe;
  options.name = "adapted";
  options.scope.adapters = adapters;
  options.scope.int8_base = int8_base;
  return convert(options, {});
}

TensorMap inputs_of_generator() {
  TensorMap inputs;
  for (size_t i = 0; i < 3 * 6; ++i) inputs["latent"].push_back(std::sin(static_cast<float>(i) * 1.3F));
  inputs["label"] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  return inputs;
}

std::vector<float> generated(Runner& runner) { return runner.run("generate", inputs_of_generator(), 3).at("sample"); }

std::map<std::string, std::vector<float>> parameters(Runner& runner) {
  std::map<std::string, std::vector<float>> result;
  fig_parameter_info info{};
  for (uint32_t i = 0; fig_model_parameter(runner.model(), i, &info) == FIG_OK; ++i) {
    size_t elements = 1;
    for (uint32_t d = 0; d < info.shape.rank; ++d) elements *= info.shape.extents[d];
    std::vector<float> values(elements);
    if (info.trained && fig_parameter_get(runner.session(), info.name, values.data(), elements) == FIG_OK)
      result[info.name] = values;
  }
  return result;
}

// Sets all that is trained, and its averages, to random values.
void scramble(Runner& runner, uint64_t seed) {
  figment::test::Random random(seed);
  for (auto& [name, values] : parameters(runner)) {
    for (float& value : values) value = 0.2F * random.real();
    REQUIRE(fig_parameter_set(runner.session(), name.c_str(), values.data(), values.size()) == FIG_OK);
    fig_parameter_set(runner.session(), (name + ".ema").c_str(), values.data(), values.size());
  }
}

}  // namespace

TEST_CASE("adapters: the model with them generates at first what it generates without") {
  ConvertOptions options;
  options.recipe = kRecipe;
  Runner plain(convert(options, {}).file, 3);
  const std::vector<float> expected = generated(plain);
  for (const char* kind : {"lora:1", "lora:4", "input:label", "input:label:1-2", "bias", "generator:scale", "last:1"}) {
    INFO(std::string(kind));
    Runner f32(adapted({kind}, false).file, 3);
    CHECK(figment::test::relative_error(generated(f32), expected) < 1e-6);
    Runner int8(adapted({kind}, true).file, 3);
    // A step of an int8 weight is 1/127 of the largest in its row.
    CHECK(figment::test::relative_error(generated(int8), expected) < 0.03);
  }
}

TEST_CASE("adapters: they alone are trained, and another network trains as before") {
  Runner runner(adapted({"generator:lora:2", "generator:input:label:2-2"}, true).file, 3, FIG_KERNELS_BEST, true);
  std::set<std::string> names;
  for (const auto& [name, values] : parameters(runner)) names.insert(name);
  const std::set<std::string> expected = {
      "generator.0.weight.label",  "generator.0.weight.lora_a", "generator.0.weight.lora_b",
      "generator.4.weight.lora_a", "generator.4.weight.lora_b", "generator.6.weight.lora_a",
      "generator.6.weight.lora_b", "generator.8.weight.lora_a", "generator.8.weight.lora_b",
      "discriminator.0.weight",    "discriminator.0.bias",      "discriminator.2.weight",
      "discriminator.2.bias",      "discriminator.5.weight",    "discriminator.5.bias",
      "discriminator.7.weight",    "discriminator.7.bias"};
  CHECK(names == expected);
  CHECK(parameters(runner).at("generator.0.weight.label").size() == 64);
  // Of a transposed convolution from 16 to 12 channels, the window stands with the 12: 2 (16 + 16 * 12) < 2 (16 * 16 +
  // 12).
  CHECK(parameters(runner).at("generator.4.weight.lora_a").size() == 2 * 16);
  CHECK(parameters(runner).at("generator.4.weight.lora_b").size() == 2 * 16 * 12);
}

TEST_CASE("adapters: merged they compute what they computed beside the weights") {
  const std::filesystem::path path = std::filesystem::temp_directory_path() / "figment_adapters_test.figment";
  for (const bool int8_base : {false, true}) {
    for (const std::vector<std::string>& kinds : {std::vector<std::string>{"lora:3"},
                                                  {"input:label"},
                                                  {"lora:1", "input:label:1-2", "bias", "generator:scale"}}) {
      const Converted model = adapted(kinds, int8_base);
      Runner runner(model.file, 3, FIG_KERNELS_BEST, true);
      scramble(runner, 5);
      REQUIRE(fig_session_export(runner.session(), path.c_str()) == FIG_OK);
      Runner beside(figment::io::read_file(path.string()), 3);
      ConvertOptions options;
      options.model = path.string();
      const Converted merged = convert(options, {});
      Runner plain(merged.file, 3);
      CHECK(figment::test::relative_error(generated(plain), generated(beside)) < 1e-5);
      // Concat, dense, reshape, transpose, two transposed convolutions, convolution, function.
      CHECK(merged.report.programs[0].ops.size() <= 9);
    }
  }
  std::filesystem::remove(path);
}

TEST_CASE("adapters: a trained model holds the recipe that they are made by") {
  const std::filesystem::path path = std::filesystem::temp_directory_path() / "figment_adapters_test.figment";
  ConvertOptions options;
  options.recipe = kRecipe;
  Runner runner(convert(options, {}).file, 3, FIG_KERNELS_BEST, true);
  scramble(runner, 9);
  REQUIRE(fig_session_export(runner.session(), path.c_str()) == FIG_OK);
  ConvertOptions from;
  from.recipe = path.string();
  from.start_from = path.string();
  from.scope.adapters = {"lora:1"};
  Runner adaptable(convert(from, {}).file, 3);
  CHECK(figment::test::relative_error(generated(adaptable), generated(runner)) < 1e-6);
  // Without what only training reads there is none.
  ConvertOptions stripped;
  stripped.model = path.string();
  stripped.strip = true;
  stripped.keep_training = true;
  figment::io::write_file(path.string(), convert(stripped, {}).file);
  CHECK_THROWS_WITH_AS(convert(from, {}), doctest::Contains("holds no recipe"), Error);
  std::filesystem::remove(path);
}

TEST_CASE("adapters: mistakes are named") {
  const std::pair<const char*, const char*> mistakes[] = {
      {"lora", "give a rank"},
      {"lora:0", "give a rank"},
      {"lora:4x", "give a rank"},
      {"lora:99999", "give a rank"},
      {"input:sound", "no such input; its inputs are latent, label"},
      {"input:label:1-3", "it has 3 values"},
      {"input:label:2-1", "FIRST-LAST"},
      {"input:label:1+2", "FIRST-LAST"},
      {"input:", "give lora:R"},
      {"everything", "give lora:R"},
      {"decoder:lora:4", "there is no network decoder"},
      {"last:0", "give a number of layers"},
  };
  for (const auto& [text, expected] : mistakes) {
    INFO(std::string(text));
    CHECK_THROWS_WITH_AS(adapted({text}, true), doctest::Contains(expected), Error);
  }
  CHECK_THROWS_WITH_AS(adapted({}, true), doctest::Contains("no weights are frozen"), Error);
}
