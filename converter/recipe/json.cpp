#include "recipe/json.h"

#include <fmt/format.h>
#include <cmath>

namespace figment::converter {

std::string RecipeValue::text() const {
  if (!json_->is_string()) fail("must be a string");
  return json_->get<std::string>();
}

size_t RecipeValue::size() const {
  if (!json_->is_array()) fail("must be a list");
  return json_->size();
}

RecipeValue RecipeValue::operator[](size_t i) const { return {(*json_)[i], fmt::format("{}[{}]", place_, i)}; }

void RecipeValue::expect_keys(const std::set<std::string>& known) const {
  if (!json_->is_object()) fail("must be an object");
  for (const auto& [key, value] : json_->items()) {
    if (known.contains(key)) continue;
    std::string all;
    for (const std::string& name : known) all += (all.empty() ? "" : ", ") + name;
    fail("does not know \"" + key + "\"; it knows " + all);
  }
}

RecipeValue RecipeValue::at(const std::string& key) const {
  if (!has(key)) fail("needs \"" + key + "\"");
  return {(*json_)[key], place_ + "." + key};
}

std::optional<RecipeValue> RecipeValue::find(const std::string& path) const {
  if (path.empty()) return *this;
  const size_t dot = path.find('.');
  const std::string key = path.substr(0, dot);
  if (!has(key)) return std::nullopt;
  return at(key).find(dot == std::string::npos ? "" : path.substr(dot + 1));
}

std::string RecipeValue::text(const std::string& key, const std::string& fallback) const {
  return has(key) ? at(key).text() : fallback;
}

bool RecipeValue::flag(const std::string& key, bool fallback) const {
  if (!has(key)) return fallback;
  const RecipeValue value = at(key);
  if (!value.json_->is_boolean()) value.fail("must be true or false");
  return value.json_->get<bool>();
}

double RecipeValue::number(const std::string& key, double fallback, double low, double high) const {
  if (!has(key)) return fallback;
  const RecipeValue value = at(key);
  if (!value.json_->is_number()) value.fail("must be a number");
  const double result = value.json_->get<double>();
  if (!(result >= low && result <= high)) {
    value.fail("is " + value.json_->dump() + ", must be from " + nlohmann::json(low).dump() + " to " +
               nlohmann::json(high).dump());
  }
  return result;
}

int64_t RecipeValue::integer(const std::string& key, int64_t low, int64_t high) const {
  const RecipeValue value = at(key);
  const double result = number(key, 0, static_cast<double>(low), static_cast<double>(high));
  if (result != std::floor(result)) value.fail("must be a whole number");
  return static_cast<int64_t>(result);
}

int64_t RecipeValue::integer(const std::string& key, int64_t fallback, int64_t low, int64_t high) const {
  return has(key) ? integer(key, low, high) : fallback;
}

std::vector<int64_t> RecipeValue::extents(const std::string& key) const {
  const RecipeValue list = at(key);
  std::vector<int64_t> result;
  for (size_t i = 0; i < list.size(); ++i) {
    const RecipeValue entry = list[i];
    if (!entry.json_->is_number_integer() || entry.json_->get<double>() < 1 || entry.json_->get<double>() > 1e9)
      entry.fail("must be a positive whole number");
    result.push_back(entry.json_->get<int64_t>());
  }
  if (result.empty() || result.size() > 4) list.fail("must have one to four numbers");
  return result;
}

size_t RecipeValue::choice(const std::vector<std::string>& texts) const {
  const std::string given = text();
  std::string all;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (texts[i] == given) return i;
    all += (i > 0 ? ", " : "") + texts[i];
  }
  fail("is \"" + given + "\", must be one of " + all);
}

size_t RecipeValue::choice(const std::string& key, size_t fallback, const std::vector<std::string>& texts) const {
  return has(key) ? at(key).choice(texts) : fallback;
}

}  // namespace figment::converter
