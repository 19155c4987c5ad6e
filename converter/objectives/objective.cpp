#include "objectives/objective.h"

#include <algorithm>
#include <cstdlib>

namespace figment::converter {

namespace {

std::vector<ObjectiveEntry>& registry() {
  static std::vector<ObjectiveEntry> entries;
  return entries;
}

}  // namespace

Registration::Registration(ObjectiveEntry entry) {
  std::vector<ObjectiveEntry>& entries = registry();
  for (const ObjectiveEntry& other : entries) {
    if (other.name == entry.name) std::abort();  // two files define one objective
  }
  const auto before = [](const ObjectiveEntry& a, const ObjectiveEntry& b) { return a.name < b.name; };
  entries.insert(std::upper_bound(entries.begin(), entries.end(), entry, before), std::move(entry));
}

const std::vector<ObjectiveEntry>& objectives() { return registry(); }

std::unique_ptr<Objective> make_objective(const std::string& name) {
  std::string names;
  for (const ObjectiveEntry& entry : objectives()) {
    if (entry.name == name) return entry.create();
    names += (names.empty() ? "" : ", ") + entry.name;
  }
  throw Error("there is no objective \"" + name + "\"; there are " + names);
}

}  // namespace figment::converter
