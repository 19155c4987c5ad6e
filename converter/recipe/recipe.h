// Recipes: models as JSON files, with networks described layer by layer and initialized from a seed. models/README.md
// lists what a recipe may say.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "objectives/objective.h"
#include "recipe/json.h"

namespace figment::converter {

struct Recipe {
  std::string name;
  std::unique_ptr<Objective> objective;          // with the recipe's options
  std::map<std::string, Graph> networks;         // by role, imported for training
  std::optional<std::pair<float, float>> range;  // of the samples' values
  std::vector<std::pair<std::string, std::string>> metadata;
  std::string text;  // JSON in one line, without comments
};

// Reads a recipe, or that of a model of ours which was made of one and trains. Throws Error, naming the file and the
// place in it.
Recipe read_recipe(const std::string& path);
// The same for the text of a file; `origin` stands for the file in messages.
Recipe parse_recipe(const std::string& text, const std::string& origin);

// An objective with options that are given as in a recipe, without networks. `origin` stands for the file in messages.
std::unique_ptr<Objective> configured_objective(const std::string& name, const nlohmann::json& options,
                                                const std::string& origin);

}  // namespace figment::converter
