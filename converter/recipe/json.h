// A value of a recipe that knows its place in the file: all access is checked, and errors name the place.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace figment::converter {

class RecipeValue {
 public:
  RecipeValue(const nlohmann::json& json, std::string place) : json_(&json), place_(std::move(place)) {}

  const std::string& place() const { return place_; }
  const nlohmann::json& json() const { return *json_; }
  [[noreturn]] void fail(const std::string& what) const { throw Error(place_ + ": " + what); }

  bool is_text() const { return json_->is_string(); }
  std::string text() const;
  size_t size() const;  // of a list
  RecipeValue operator[](size_t i) const;

  // An object: its keys must be among `known`.
  void expect_keys(const std::set<std::string>& known) const;
  bool has(const std::string& key) const { return json_->is_object() && json_->contains(key); }
  RecipeValue at(const std::string& key) const;
  // What lies at a path of keys, as "optimizer.schedule"; "" is the value itself.
  std::optional<RecipeValue> find(const std::string& path) const;

  std::string text(const std::string& key, const std::string& fallback) const;
  bool flag(const std::string& key, bool fallback) const;
  double number(const std::string& key, double fallback, double low, double high) const;
  int64_t integer(const std::string& key, int64_t low, int64_t high) const;
  int64_t integer(const std::string& key, int64_t fallback, int64_t low, int64_t high) const;
  // A list of positive integers.
  std::vector<int64_t> extents(const std::string& key) const;
  // One of the texts; the index of it.
  size_t choice(const std::vector<std::string>& texts) const;
  size_t choice(const std::string& key, size_t fallback, const std::vector<std::string>& texts) const;

 private:
  const nlohmann::json* json_;
  std::string place_;
};

}  // namespace figment::converter
