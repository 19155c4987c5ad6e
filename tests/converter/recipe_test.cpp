// Recipes: those that are shipped convert, and mistakes are named with their place.
#include "recipe/recipe.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "convert.h"
#include "io/files.h"
#include "support.h"
#include "write/runner.h"

using namespace figment::converter;

namespace {

const char* const kRecipes[] = {"gan",          "vae",          "crgan",    "infogan",           "dgan",
                                "deep_infogan", "cdcgan",       "conv_vae", "recurrent_infogan", "recurrent_vae",
                                "lstm_crgan",   "weather_crgan"};

std::string recipe_path(const std::string& family) {
  return std::string(FIGMENT_MODELS) + "/" + family + "/recipe.json";
}

nlohmann::json small_recipe() {
  return nlohmann::json::parse(R"({
    "objective": "gan", "latent": {"size": 4}, "sample": {"shape": [6]},
    "generator": {"layers": [{"type": "linear", "units": 8}, "relu", {"type": "linear", "units": 6}]},
    "discriminator": {"layers": [{"type": "linear", "units": 1}]}})");
}

std::string error_of(const nlohmann::json& recipe) {
  try {
    parse_recipe(recipe.dump(), "r.json");
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

// Writes a recipe, converts it, and removes it.
Converted convert_recipe(const nlohmann::json& recipe, const ConvertOptions& base = {}) {
  const std::filesystem::path path = std::filesystem::temp_directory_path() / "figment_recipe_test.json";
  figment::io::write_file(path.string(), recipe.dump());
  ConvertOptions options = base;
  options.name = "recipe";
  options.recipe = path.string();
  const Converted result = convert(options, {});
  std::filesystem::remove(path);
  return result;
}

size_t parameter_size(const fig_parameter_info& info) {
  size_t size = 1;
  for (uint32_t d = 0; d < info.shape.rank; ++d) size *= info.shape.extents[d];
  return size;
}

size_t program_ops(const Converted& converted, const std::string& name) {
  for (const ProgramReport& program : converted.report.programs) {
    if (program.name == name) return program.ops.size();
  }
  return 0;
}

}  // namespace

TEST_CASE("the shipped recipes convert, the same from the same seed") {
  for (const char* family : kRecipes) {
    INFO(std::string(family));
    ConvertOptions options;
    options.recipe = recipe_path(family);
    options.name = family;
    const Converted converted = convert(options, {});
    CHECK(converted.file == convert(options, {}).file);
    Runner runner(converted.file, 2, FIG_KERNELS_BEST, true);
    fig_latent_info latent{};
    REQUIRE(fig_model_latent(runner.model(), &latent) == FIG_OK);
    fig_code_info code{};
    const bool codes = std::string(family).find("infogan") != std::string::npos;
    CHECK((latent.codes > 0) == codes);
    CHECK((fig_model_code(runner.model(), 0, &code) == FIG_OK) == codes);
    if (latent.codes == 2) {
      CHECK(std::string(code.name) == "category");
      CHECK(code.start == 62);
      CHECK(code.size == 10);
      CHECK(code.prior == FIG_PRIOR_CATEGORICAL);
    }
  }
}

TEST_CASE("a mistake in a recipe is named with its place") {
  struct Mistake {
    const char* pointer;
    nlohmann::json value;
    const char* part;
  };
  const Mistake mistakes[] = {
      {"/objective", "gam", "r.json.objective: is \"gam\", must be one of classifier, gan, infogan, vae"},
      {"/generator/layers/0/units", -3, "r.json.generator.layers[0].units: is -3"},
      {"/generator/layers/0/units", 2.5, "r.json.generator.layers[0].units: must be a whole number"},
      {"/generator/layers/0/unit", 3, "r.json.generator.layers[0]: does not know \"unit\""},
      {"/generator/layers/0", "linear", "r.json.generator.layers[0]: \"linear\" needs \"units\""},
      {"/generator/layers/1", "rellu", "r.json.generator.layers[1]: does not know the layer \"rellu\""},
      {"/generator/layers/2/units", 7, "r.json.generator: ends in [7], the sample is [6]"},
      {"/generator/layers/1", {{"type", "conv"}, {"channels", 3}, {"kernel", 3}}, "needs an image"},
      {"/generator/layers/1", {{"type", "lstm"}, {"units", 3}}, "needs a sequence"},
      {"/generator/layers/0", {{"type", "gru"}, {"units", 3}, {"forget_bias", 1}}, "does not know \"forget_bias\""},
      {"/discriminator/layers/0/units", 2, "r.json.discriminator: must end in [1], ends in [2]"},
      {"/latent", {{"prior", "normal"}}, "r.json.latent: needs either \"size\" or \"shape\""},
      {"/latent/codes", nlohmann::json::array(), "r.json.latent.codes: does not go with the objective gan"},
      {"/objective", "infogan", "r.json: infogan needs codes"},
      {"/sample/shape", "large", "r.json.sample.shape: must be a list"},
      {"/optimizer", {{"learning_rate", "fast"}}, "r.json.optimizer.learning_rate: must be a number"},
      {"/loss", {{"beta", 1}}, "r.json.loss.beta: does not go with the objective gan"},
      {"/encoder", {{"layers", nlohmann::json::array()}}, "r.json.encoder: does not go with the objective gan"},
      {"/loss", {{"kind", "hinge"}, {"label_smoothing", 0.1}}, "label smoothing does not go with the loss hinge"},
      {"/loss", {{"clip_weights", 0.1}}, "clip_weights does not go with the loss non-saturating"},
      {"/discriminator/q_layers", nlohmann::json::array(), "r.json.discriminator: does not know \"q_layers\""},
      {"/training", {{"steps", 0}}, "r.json.training.steps"},
      {"/augment",
       {"color"},
       "r.json.augment[0]: is \"color\", must be one of brightness, contrast, translation, cutout"},
      {"/color", "blue", "r.json: does not know \"color\""},
  };
  CHECK(error_of(small_recipe()).empty());
  for (const Mistake& mistake : mistakes) {
    nlohmann::json recipe = small_recipe();
    recipe[nlohmann::json::json_pointer(mistake.pointer)] = mistake.value;
    const std::string error = error_of(recipe);
    CHECK_MESSAGE(error.find(mistake.part) != std::string::npos, error, " should say ", mistake.part);
  }
  for (const char* key : {"objective", "latent", "sample", "generator", "discriminator"}) {
    nlohmann::json recipe = small_recipe();
    recipe.erase(key);
    CHECK_MESSAGE(error_of(recipe).find(std::string("needs \"") + key) != std::string::npos, key);
  }
  CHECK_THROWS_WITH_AS(parse_recipe("{", "r.json"), doctest::Contains("r.json: is not JSON"), Error);
  CHECK_THROWS_WITH_AS(parse_recipe("[1]", "r.json"), doctest::Contains("must be an object"), Error);
}

TEST_CASE("a network that cannot make the samples it is to make is an error that says what to type") {
  const auto conversion_error = [](const nlohmann::json& recipe) -> std::string {
    try {
      convert_recipe(recipe);
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  };
  const auto contains = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  nlohmann::json recipe = small_recipe();
  recipe["sample"]["range"] = {-1, 1};
  recipe["generator"]["layers"].push_back("tanh");
  CHECK(conversion_error(recipe).empty());
  recipe["generator"]["layers"].back() = "sigmoid";
  CHECK(contains(conversion_error(recipe), "end the network in tanh, or give the range 0 1 and data in it"));
  recipe["generator"]["layers"].back() = "relu";
  CHECK(contains(conversion_error(recipe), "cannot be below 0"));
  recipe["sample"]["range"] = {0, 5};
  CHECK(conversion_error(recipe).empty());
  recipe["generator"]["layers"].back() = "tanh";
  CHECK(contains(conversion_error(recipe), "give the range 0 1 and data in it"));
  nlohmann::json vae = nlohmann::json::parse(figment::io::read_text(recipe_path("vae")));
  CHECK(conversion_error(vae).empty());
  vae["decoder"]["layers"][3] = "tanh";
  CHECK(contains(conversion_error(vae), "end it in a sigmoid, or take a loss for such samples"));
}

TEST_CASE("the forget gates of an LSTM begin as its recipe says") {
  const auto biases = [](const nlohmann::json& recipe) {
    Runner runner(convert_recipe(recipe).file, 1, FIG_KERNELS_BEST, true);
    std::vector<float> values(24);
    REQUIRE(fig_parameter_get(runner.session(), "generator.0.bias", values.data(), values.size()) == FIG_OK);
    return values;
  };
  nlohmann::json recipe = small_recipe();
  recipe["latent"] = {{"shape", {2, 3}}};
  recipe["sample"]["shape"] = {2, 3};
  recipe["generator"]["layers"] = {{{"type", "lstm"}, {"units", 3}}};
  recipe["discriminator"]["layers"] = {"flatten", {{"type", "linear"}, {"units", 1}}};
  std::vector<float> wanted = biases(recipe);
  std::fill(wanted.begin() + 6, wanted.begin() + 9, 1.5F);
  std::fill(wanted.begin() + 18, wanted.begin() + 21, 0.0F);
  recipe["generator"]["layers"][0]["forget_bias"] = 1.5;
  CHECK(biases(recipe) == wanted);
}

TEST_CASE(
    "a model that starts from a trained one begins with all of its parameters, the averaged ones where there are") {
  for (const char* family : {"cdcgan", "conv_vae", "crgan"}) {
    INFO(std::string(family));
    nlohmann::json recipe = nlohmann::json::parse(figment::io::read_file(recipe_path(family)));
    recipe["seed"] = 1;
    const std::filesystem::path path = std::filesystem::temp_directory_path() / "figment_trained_before.figment";
    std::map<std::string, std::vector<float>> wanted;
    {  // as if trained: values that no other parameter has
      Runner trained(convert_recipe(recipe).file, 1, FIG_KERNELS_BEST, true);
      fig_parameter_info info{};
      for (uint32_t i = 0; fig_model_parameter(trained.model(), i, &info) == FIG_OK; ++i) {
        const std::string name = info.name;
        if (info.derived && !name.ends_with(".ema")) continue;
        std::vector<float> values(parameter_size(info));
        for (size_t j = 0; j < values.size(); ++j)
          values[j] = static_cast<float>(i + 1) + static_cast<float>(j) / 65536;
        REQUIRE(fig_parameter_set(trained.session(), info.name, values.data(), values.size()) == FIG_OK);
        wanted[name] = values;
      }
      REQUIRE(fig_session_export(trained.session(), path.string().c_str()) == FIG_OK);
    }
    recipe["seed"] = 2;
    ConvertOptions options;
    options.start_from = path.string();
    Runner started(convert_recipe(recipe, options).file, 1, FIG_KERNELS_BEST, true);
    std::filesystem::remove(path);
    size_t compared = 0;
    fig_parameter_info info{};
    for (uint32_t i = 0; fig_model_parameter(started.model(), i, &info) == FIG_OK; ++i) {
      if (info.derived) continue;
      std::vector<float> found(parameter_size(info));
      REQUIRE(fig_parameter_get(started.session(), info.name, found.data(), found.size()) == FIG_OK);
      const std::string name = info.name;
      CHECK_MESSAGE(found == wanted.at(wanted.contains(name + ".ema") ? name + ".ema" : name), name);
      ++compared;
    }
    CHECK(compared > 6);
  }
}

TEST_CASE("what is frozen costs nothing and stays as it is") {
  nlohmann::json recipe = small_recipe();
  recipe["discriminator"]["layers"] = {{{"type", "linear"}, {"units", 12}}, "relu", {{"type", "linear"}, {"units", 1}}};
  const Converted all = convert_recipe(recipe);
  const auto trained = [](const Converted& converted) {
    Runner runner(converted.file, 2, FIG_KERNELS_BEST, true);
    std::set<std::string> names;
    fig_parameter_info info{};
    for (uint32_t i = 0; fig_model_parameter(runner.model(), i, &info) == FIG_OK; ++i) {
      if (info.trained) names.insert(info.name);
    }
    return names;
  };
  CHECK(trained(all).size() == 8);
  struct Scope {
    TrainingScope scope;
    std::set<std::string> names;
  };
  const Scope scopes[] = {
      {{{"discriminator.0.*"}, {}},
       {"discriminator.2.weight", "discriminator.2.bias", "generator.0.weight", "generator.0.bias",
        "generator.2.weight", "generator.2.bias"}},
      {{{}, {"bias"}}, {"discriminator.0.bias", "discriminator.2.bias", "generator.0.bias", "generator.2.bias"}},
      {{{}, {"last:1"}}, {"discriminator.2.weight", "discriminator.2.bias", "generator.2.weight", "generator.2.bias"}},
      {{{}, {"discriminator:last:1"}},
       {"discriminator.2.weight", "discriminator.2.bias", "generator.0.weight", "generator.0.bias",
        "generator.2.weight", "generator.2.bias"}},
  };
  for (const Scope& entry : scopes) {
    ConvertOptions options;
    options.scope = entry.scope;
    const Converted some = convert_recipe(recipe, options);
    CHECK(trained(some) == entry.names);
    CHECK(program_ops(some, "train.step") < program_ops(all, "train.step"));
  }
  ConvertOptions options;
  options.scope.freeze = {"generator.*"};
  CHECK_THROWS_WITH_AS(convert_recipe(recipe, options), doctest::Contains("generator: nothing is left to train"),
                       Error);
  options.scope = {{}, {"last:none"}};
  CHECK_THROWS_WITH_AS(convert_recipe(recipe, options), doctest::Contains("give a number of layers"), Error);
}

TEST_CASE("a trained model comes back for int8, with its averages folded in") {
  ConvertOptions options;
  options.recipe = recipe_path("deep_infogan");
  options.name = "deep_infogan";
  const Converted trainable = convert(options, {});
  const std::filesystem::path path = std::filesystem::temp_directory_path() / "figment_recipe_test.figment";
  figment::io::write_file(path.string(), trainable.file);
  ConvertOptions back;
  back.model = path.string();
  const Converted f32 = convert(back, {});
  back.int8 = true;
  back.calibration_samples = 64;
  back.snr_goal_db = -10;  // an untrained generator's samples hardly differ from gray
  const Converted int8 = convert(back, {});
  std::filesystem::remove(path);
  Runner before(trainable.file, 2);
  Runner after(f32.file, 2);
  std::vector<float> a(2 * 784);
  std::vector<float> b(2 * 784);
  REQUIRE(fig_generate(before.session(), 2, nullptr, a.data(), a.size()) == FIG_OK);
  REQUIRE(fig_generate(after.session(), 2, nullptr, b.data(), b.size()) == FIG_OK);
  CHECK(figment::test::relative_error(b, a) < 1e-4);
  REQUIRE(int8.report.programs.size() == 1);
  CHECK(int8.report.programs[0].int8->fully_int8);
  CHECK(int8.report.programs[0].int8->psnr_db > 35);
  CHECK(int8.report.notes.size() == 3);  // two programs without examples, and the train programs
}
