#include "recipe/recipe.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "import/import_figment.h"
#include "import/import_onnx.h"
#include "io/files.h"
#include "recipe/layers.h"

namespace figment::converter {

namespace {

CodeOptions read_code(const RecipeValue& value) {
  value.expect_keys({"name", "categories", "size", "prior", "weight"});
  CodeOptions code;
  code.name = value.at("name").text();
  code.weight = value.number("weight", 1, 0, kMaxNumber);
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

// The keys of a recipe's objects, by the path of the object: "" for the recipe, "optimizer.schedule".
using Keys = std::map<std::string, std::set<std::string>>;

std::pair<std::string, std::string> parent_and_key(const std::string& path) {
  const size_t dot = path.rfind('.');
  if (dot == std::string::npos) return {"", path};
  return {path.substr(0, dot), path.substr(dot + 1)};
}

// Reads an objective's options from a recipe, and lists their keys.
class OptionReader : public OptionVisitor {
 public:
  OptionReader(const RecipeValue& root, Keys* keys) : root_(root), keys_(*keys) {}

  bool number(const OptionName& name, double* value, double low, double high) override {
    return read(name,
                [&](const RecipeValue& object, const std::string& key) { *value = object.number(key, 0, low, high); });
  }
  bool integer(const OptionName& name, uint32_t* value, uint32_t low, uint32_t high) override {
    return read(name, [&](const RecipeValue& object, const std::string& key) {
      *value = static_cast<uint32_t>(object.integer(key, low, high));
    });
  }
  bool flag(const OptionName& name, bool* value) override {
    return read(name, [&](const RecipeValue& object, const std::string& key) { *value = object.flag(key, false); });
  }
  bool choice(const OptionName& name, size_t* value, const std::vector<std::string>& choices) override {
    return read(name,
                [&](const RecipeValue& object, const std::string& key) { *value = object.at(key).choice(choices); });
  }
  bool list(const OptionName& name, std::vector<size_t>* values, const std::vector<std::string>& choices) override {
    return read(name, [&](const RecipeValue& object, const std::string& key) {
      const RecipeValue list = object.at(key);
      values->clear();
      for (size_t i = 0; i < list.size(); ++i) {
        const size_t choice = list[i].choice(choices);
        if (std::find(values->begin(), values->end(), choice) != values->end()) list[i].fail("is there twice");
        values->push_back(choice);
      }
    });
  }
  bool codes(const OptionName& name, std::vector<CodeOptions>* values) override {
    return read(name, [&](const RecipeValue& object, const std::string& key) {
      const RecipeValue list = object.at(key);
      values->clear();
      for (size_t i = 0; i < list.size(); ++i) values->push_back(read_code(list[i]));
    });
  }

 private:
  // Calls `take` with the object that has the option, if there is one. Returns whether there is.
  template <typename Take>
  bool read(const OptionName& name, const Take& take) {
    for (std::string path = name.key; !path.empty();) {
      const auto [parent, key] = parent_and_key(path);
      keys_[parent].insert(key);
      path = parent;
    }
    const auto [parent, key] = parent_and_key(name.key);
    const std::optional<RecipeValue> object = root_.find(parent);
    if (!object || !object->has(key)) return false;
    take(*object, key);
    return true;
  }

  const RecipeValue& root_;
  Keys& keys_;
};

// Checks that all keys are known. Those of other objectives get a message of their own.
void check_keys(const RecipeValue& root, const std::string& objective, const Keys& known) {
  Keys others;
  const nlohmann::json nothing = nlohmann::json::object();
  const RecipeValue empty(nothing, "");
  for (const ObjectiveEntry& entry : objectives()) {
    const std::unique_ptr<Objective> other = entry.create();
    OptionReader reader(empty, &others);
    other->declare(reader);
    for (const NetworkRole& role : other->networks(0)) others[""].insert(role.name);
  }
  for (const auto& [path, keys] : known) {
    const std::optional<RecipeValue> object = root.find(path);
    if (!object) continue;
    if (const auto other = others.find(path); other != others.end()) {
      for (const std::string& key : other->second) {
        if (object->has(key) && !keys.contains(key))
          object->at(key).fail("does not go with the objective " + objective);
      }
    }
    object->expect_keys(keys);
  }
}

void check_options(const Objective& objective, const RecipeValue& root) {
  try {
    objective.check();
  } catch (const Error& error) {
    root.fail(error.what());
  }
}

class RecipeReader {
 public:
  explicit RecipeReader(const RecipeValue& root) : root_(root) {}

  Recipe read() {
    if (!root_.json().is_object()) root_.fail("must be an object");
    recipe_.name = root_.text("name", "");
    const RecipeValue objective = root_.at("objective");
    std::vector<std::string> names;
    for (const ObjectiveEntry& entry : objectives()) names.push_back(entry.name);
    const std::string name = names[objective.choice(names)];
    recipe_.objective = make_objective(name);
    Keys keys = common_keys();
    OptionReader reader(root_, &keys);
    // Which networks there are, and which lists of layers they have, may depend on the options: they are read first.
    recipe_.objective->declare(reader);
    check_options(*recipe_.objective, root_);
    initialization_ =
        static_cast<Initialization>(root_.choice("initialization", 0, {"pytorch", "dcgan", "xavier", "he"}));
    seed_ = static_cast<uint64_t>(root_.integer("seed", 1, 0, int64_t{1} << 53));
    read_sample();
    const std::vector<NetworkRole> any = recipe_.objective->networks(0);
    if (std::ranges::any_of(any, &NetworkRole::takes_latent))
      read_latent();
    else if (root_.has("latent"))
      root_.at("latent").fail("does not go with the objective " + name);
    const std::vector<NetworkRole> roles = read_roles();
    bool conditional = false;
    for (const NetworkRole& role : roles) {
      keys[""].insert(role.name);
      keys[role.name].insert("layers");
      for (const RecipeOutput& output : role.outputs) {
        if (!output.layers.empty()) keys[role.name].insert(output.layers + "_layers");
      }
      conditional = conditional || role.takes_condition;
    }
    if (!conditional && root_.has("condition")) root_.at("condition").fail("does not go with the objective " + name);
    check_keys(root_, name, keys);
    if (root_.has("condition")) {
      const RecipeValue condition = root_.at("condition");
      condition_name_ = condition.text("name", "condition");
      condition_ = condition.extents("shape");
    }
    read_training();
    // Networks that take the latent draw their weights from the odd streams of the seed, others from the even.
    uint32_t streams[] = {2, 1};
    for (const NetworkRole& role : roles) {
      uint32_t& stream = streams[role.takes_latent ? 1 : 0];
      recipe_.networks[role.name] = network(role, stream);
      stream += 2;
    }
    return std::move(recipe_);
  }

 private:
  static Keys common_keys() {
    return {
        {"",
         {"name", "objective", "seed", "initialization", "latent", "sample", "condition", "training", "description"}},
        {"latent", {"size", "shape"}},
        {"sample", {"name", "shape", "range"}},
        {"condition", {"name", "shape"}},
        {"training", {"batch", "steps"}}};
  }

  std::vector<NetworkRole> read_roles() const {
    try {
      return recipe_.objective->networks(latent_.size() == 1 ? latent_[0] : 0);
    } catch (const Error& error) {
      root_.at("latent").fail(error.what());
    }
  }

  void read_sample() {
    const RecipeValue sample = root_.at("sample");
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
      if (!std::isfinite(recipe_.range->second - recipe_.range->first)) range.fail("is too wide for f32");
      if (!(recipe_.range->first < recipe_.range->second)) range.fail("must be [low, high] with low < high");
    }
  }

  void read_latent() {
    const RecipeValue latent = root_.at("latent");
    if (latent.has("size") == latent.has("shape")) latent.fail("needs either \"size\" or \"shape\"");
    latent_ = latent.has("size") ? std::vector<int64_t>{latent.integer("size", 1, 1 << 20)} : latent.extents("shape");
  }

  // What `figment train` does unless it is told otherwise.
  void read_training() {
    if (!root_.has("training")) return;
    const RecipeValue training = root_.at("training");
    for (const char* key : {"batch", "steps"}) {
      if (training.has(key))
        recipe_.metadata.emplace_back(std::string("training.") + key,
                                      std::to_string(training.integer(key, 1, 1 << 30)));
    }
  }

  // Behind the network's own layers come its heads.
  Graph network(const NetworkRole& role, uint32_t stream) const {
    const RecipeValue value = root_.at(role.name);
    LayerBuilder build(initialization_, seed_, stream);
    LayerBuilder::Tensor x = role.takes_latent ? build.input("latent", latent_) : build.input(sample_name_, sample_);
    if (role.takes_condition && !condition_.empty()) {
      try {
        x = build.with_condition(x, build.input(condition_name_, condition_));
      } catch (const Error& error) {
        root_.at("condition").fail(error.what());
      }
    }
    x = build.layers(x, value.at("layers"), "");
    if (role.outputs.empty()) {
      if (x.shape != sample_) value.fail("ends in " + to_text(x.shape) + ", the sample is " + to_text(sample_));
      build.output(x, sample_name_);
    }
    std::map<std::string, LayerBuilder::Tensor> shared;  // by the name of their layers
    for (const RecipeOutput& output : role.outputs) {
      if (output.head.empty()) {
        if (output.units == 0 ? x.shape.size() != 1 : x.shape != std::vector<int64_t>{output.units})
          output.units == 0
              ? value.fail("must end in features: put \"flatten\" behind its layers, which end in " + to_text(x.shape))
              : value.fail("must end in " + to_text({output.units}) + ", ends in " + to_text(x.shape));
        build.output(x, output.name);
        continue;
      }
      if (output.units == 0 && role.takes_latent) root_.at("latent").fail("must have a size for this objective");
      if (output.units == 0 && !root_.has("latent")) root_.fail("needs \"classes\", their number");
      if (output.units == 0) root_.at("latent").fail("must have a size for this objective");
      const auto found = shared.find(output.layers);
      if (found == shared.end()) {
        const std::string key = output.layers + "_layers";
        const bool more = !output.layers.empty() && value.has(key);
        shared[output.layers] = more ? build.layers(x, value.at(key), output.layers + ".") : x;
      }
      build.output(build.head(shared.at(output.layers), output.units, output.head), output.name);
    }
    return import_onnx(build.finish(), value.place(), role.name, {Purpose::kTraining});
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
  Recipe recipe = RecipeReader(RecipeValue(json, origin)).read();
  recipe.text = json.dump();
  return recipe;
}

std::unique_ptr<Objective> configured_objective(const std::string& name, const nlohmann::json& options,
                                                const std::string& origin) {
  std::unique_ptr<Objective> objective = make_objective(name);
  const RecipeValue root(options, origin);
  Keys keys;
  OptionReader reader(root, &keys);
  objective->declare(reader);
  check_keys(root, name, keys);
  check_options(*objective, root);
  return objective;
}

Recipe read_recipe(const std::string& path) {
  if (!path.ends_with(".figment")) return parse_recipe(io::read_text(path), path);
  const std::string text = recipe_of(io::read_file(path), path);
  if (text.empty())
    throw Error(
        path +
        ": holds no recipe, since it is stripped, does not train, or was made of ONNX files: give the recipe, or "
        "these with --objective, and --start-from " +
        path);
  return parse_recipe(text, path);
}

}  // namespace figment::converter
