// The options of an objective. Each declares its own once; recipes, the command line and the documents read that.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ir/graph.h"

namespace figment::converter {

// How an option is known outside.
struct OptionName {
  OptionName(std::string its_key, std::string its_flag, std::string its_help, std::string its_like = "")
      : key(std::move(its_key)), flag(std::move(its_flag)), help(std::move(its_help)), like(std::move(its_like)) {}

  std::string key;   // in recipes; "loss.beta" is "beta" in the object "loss"
  std::string flag;  // of figment-convert
  std::string help;
  std::string like;  // the flag of the option whose value this one has unless it is given, or ""
};

// A code of an InfoGAN; `weight` is its lambda.
struct CodeOptions {
  std::string name;
  uint32_t size = 0;
  Prior prior = Prior::kCategorical;
  double weight = 1;
};

// Walks through the options of an objective, in the order in which the objective declares them: reads values into them,
// or lists them. Every value holds its default before. Returns whether a value was given. Throws Error for a bad one.
class OptionVisitor {
 public:
  OptionVisitor() = default;
  OptionVisitor(const OptionVisitor&) = delete;
  OptionVisitor& operator=(const OptionVisitor&) = delete;
  virtual ~OptionVisitor() = default;

  // A number in [low, high].
  virtual bool number(const OptionName& name, double* value, double low, double high) = 0;
  virtual bool integer(const OptionName& name, uint32_t* value, uint32_t low, uint32_t high) = 0;
  virtual bool flag(const OptionName& name, bool* value) = 0;
  // One of `choices`, by its index.
  virtual bool choice(const OptionName& name, size_t* value, const std::vector<std::string>& choices) = 0;
  // A list of some of `choices`.
  virtual bool list(const OptionName& name, std::vector<size_t>* values, const std::vector<std::string>& choices) = 0;
  virtual bool codes(const OptionName& name, std::vector<CodeOptions>* values) = 0;

  // A choice among the values of an enumeration, which begins at 0.
  template <typename Enum>
  bool choice(const OptionName& name, Enum* value, const std::vector<std::string>& choices) {
    auto index = static_cast<size_t>(*value);
    const bool given = choice(name, &index, choices);
    *value = static_cast<Enum>(index);
    return given;
  }
};

// Bounds of options that have none by themselves.
constexpr double kMaxNumber = 1e12;
constexpr double kMaxDecay = 0.999999;

}  // namespace figment::converter
