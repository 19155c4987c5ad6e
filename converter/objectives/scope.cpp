#include "objectives/scope.h"

#include <charconv>
#include <set>

#include "ir/graph.h"

namespace figment::converter {

namespace {

// Reads a number from the front of the text.
bool take_number(std::string_view* text, uint32_t* number) {
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *number);
  if (error != std::errc()) return false;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  return true;
}

Adapters::Input input_of(const ScopeItem& item) {
  Adapters::Input input{item.argument};
  const size_t colon = item.argument.rfind(':');
  if (colon == std::string::npos) return input;
  std::string_view range = std::string_view(item.argument).substr(colon + 1);
  uint32_t first = 0;
  uint32_t last = 0;
  // A name may have a colon of its own.
  if (!take_number(&range, &first)) return input;
  last = first;
  if (!range.empty()) {
    const bool dash = range.front() == '-';
    range.remove_prefix(1);
    if (!dash || !take_number(&range, &last) || !range.empty() || last < first)
      throw Error("--adapters " + item.text + ": give values as FIRST-LAST, as in input:label:8-9");
  }
  return {item.argument.substr(0, colon), first, last - first + 1};
}

}  // namespace

ScopeItem scope_item(const std::string& text) {
  static const std::set<std::string> kinds = {"bias", "scale", "last", "lora", "input"};
  ScopeItem item{text, "", text, ""};
  for (int part = 0; part < 2; ++part) {
    const size_t colon = item.kind.find(':');
    const std::string head = item.kind.substr(0, colon);
    if (colon == std::string::npos) break;
    if (kinds.contains(head)) {
      item.argument = item.kind.substr(colon + 1);
      item.kind = head;
      break;
    }
    if (part > 0) break;
    item.network = head;
    item.kind = item.kind.substr(colon + 1);
  }
  return item;
}

std::vector<ScopeItem> items_for(const std::string& network, const std::vector<std::string>& texts) {
  std::vector<ScopeItem> result;
  for (const std::string& text : texts) {
    ScopeItem item = scope_item(text);
    if (item.network.empty() || item.network == network) result.push_back(std::move(item));
  }
  return result;
}

Adapters adapters_of(const std::vector<ScopeItem>& items) {
  constexpr uint32_t kMaxRank = 4096;
  Adapters adapters;
  for (const ScopeItem& item : items) {
    if (item.kind == "lora") {
      std::string_view rank = item.argument;
      if (!take_number(&rank, &adapters.rank) || !rank.empty() || adapters.rank < 1 || adapters.rank > kMaxRank)
        throw Error("--adapters " + item.text + ": give a rank of 1 to " + std::to_string(kMaxRank) + ", as in lora:4");
    } else if (item.kind == "input" && !item.argument.empty()) {
      adapters.inputs.push_back(input_of(item));
    } else if (item.kind != "bias" && item.kind != "scale" && item.kind != "last") {
      throw Error("--adapters " + item.text +
                  ": give lora:R, input:NAME, bias, scale or last:K, maybe behind NETWORK:");
    }
  }
  return adapters;
}

}  // namespace figment::converter
