// Objectives: how networks become a model that trains. Each composes train steps as programs: forward passes, losses,
// gradients, and updates.
//
// An objective is one file, objectives/NAME.cpp: a class derived from Objective, and a Registered object of it.
// (Networks with other inputs than a latent or a sample, and a condition, need another NetworkRole.) Recipes, the
// command line and figment-convert --objectives know it from there; the runtime knows it from the tables that it fills
// in the model (ObjectiveDefinition, ScheduleDefinition; see Objective and ScheduleEntry in runtime/format/model.fbs).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "objectives/network.h"
#include "objectives/options.h"

namespace figment::converter {

// An output of a network that a recipe builds.
struct RecipeOutput {
  std::string name;
  int64_t units = 0;  // 0: as many as the network's own layers end in
  // What the names of the parameters of a fully connected layer, which is appended for this output, begin with; "": the
  // network's own layers end in it.
  std::string head;
  // The name of layers between the network's own and the heads that share them, or "": NAME_layers is their key, and
  // NAME what the names of their parameters begin with.
  std::string layers;
};

// A network that an objective needs.
struct NetworkRole {
  std::string name;          // its key in recipes, and --NAME FILE.onnx
  bool takes_latent = true;  // else a sample
  bool takes_condition = false;
  std::vector<RecipeOutput> outputs;  // none: the layers end in the sample
};

// What an objective is told beside its options.
struct ModelContext {
  std::string latent;                          // the input that is drawn; "": found by its name, or the only one
  std::pair<float, float> range{-1.0F, 1.0F};  // of the samples' values
};

// A model that trains, and what the conversion report says of it.
struct TrainedModel {
  ModelDefinition model;
  std::vector<std::string> notes;
  std::vector<std::string> warnings;
  uint64_t source_bytes = 0;  // of the networks' files
};

class Objective {
 public:
  Objective() = default;
  Objective(const Objective&) = delete;
  Objective& operator=(const Objective&) = delete;
  virtual ~Objective() = default;

  virtual void declare(OptionVisitor& visitor) = 0;
  // Throws Error if the options that were given do not go together.
  virtual void check() const {}
  // `latent` is the number of latent values, 0 where it is not known.
  virtual std::vector<NetworkRole> networks(int64_t latent) const = 0;
  // The range in which samples must lie for the loss to make sense, if there is one.
  virtual std::optional<std::pair<float, float>> sample_range() const { return std::nullopt; }
  // `networks` in the order of networks(). The model's first program generates, if the model has a latent. Throws
  // Error.
  virtual TrainedModel build(std::vector<Network> networks, const ModelContext& context) = 0;
};

struct ObjectiveEntry {
  std::string name;     // in recipes, and of --objective
  std::string summary;  // one line
  std::unique_ptr<Objective> (*create)() = nullptr;
};

// Adds an objective to those below.
struct Registration {
  explicit Registration(ObjectiveEntry entry);
};

// Defined once in the file of each objective.
template <typename Type>
struct Registered : Registration {
  Registered(const char* name, const char* summary)
      : Registration({name, summary, []() -> std::unique_ptr<Objective> { return std::make_unique<Type>(); }}) {}
};

// All objectives, by name.
const std::vector<ObjectiveEntry>& objectives();
// Throws Error, listing the names, if there is none of that name.
std::unique_ptr<Objective> make_objective(const std::string& name);

}  // namespace figment::converter
