// Recipes: models as JSON files, with networks described layer by layer and initialised from a seed. models/README.md
// lists what a recipe may say.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "objectives/objective.h"

namespace figment::converter {

enum class Objective : uint8_t { kNone, kGan, kVae };

struct Recipe {
  std::string name;
  Objective objective = Objective::kNone;
  std::map<std::string, Graph> networks;  // by role, imported for training
  TrainOptions train;
  std::optional<std::pair<float, float>> range;  // of the samples' values
  std::vector<std::pair<std::string, std::string>> metadata;
};

// Reads a recipe. Throws Error, naming the file and the place in it.
Recipe read_recipe(const std::string& path);
// The same for the text of a file; `origin` stands for the file in messages.
Recipe parse_recipe(const std::string& text, const std::string& origin);

}  // namespace figment::converter
