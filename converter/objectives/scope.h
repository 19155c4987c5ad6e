// What of the networks is trained.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace figment::converter {

struct TrainingScope {
  std::vector<std::string> freeze;  // patterns of parameter names (fnmatch), with or without "NETWORK."
  // NOLINTBEGIN(readability-redundant-member-init): so that lists of fields may leave them out
  std::vector<std::string> train_only = {};  // items "bias", "scale" and "last:K"
  // Items as well, beside them "lora:R" and "input:NAME" or "input:NAME:FIRST-LAST": networks that have one are frozen
  // but for what the items name.
  std::vector<std::string> adapters = {};
  // NOLINTEND(readability-redundant-member-init)
  bool int8_base = false;  // frozen weights of linear layers are stored in int8
};

// "KIND", "KIND:ARGUMENT", or one of these behind "NETWORK:".
struct ScopeItem {
  std::string text;     // the whole
  std::string network;  // "": all
  std::string kind;     // as it is written, whether known or not
  std::string argument;
};
ScopeItem scope_item(const std::string& text);
// The items for a network.
std::vector<ScopeItem> items_for(const std::string& network, const std::vector<std::string>& texts);

// What learns beside frozen weights.
struct Adapters {
  // Of an input of the network: the values [first, first + count) of its last dimension.
  struct Input {
    std::string name;
    uint32_t first = 0;
    uint32_t count = 0;  // 0: all
  };

  uint32_t rank = 0;  // of the matrices beside each weight (LoRA; Hu et al. 2021); 0: none
  std::vector<Input> inputs;
};
// Of the items that name some. Throws Error for what is no item of --adapters.
Adapters adapters_of(const std::vector<ScopeItem>& items);

}  // namespace figment::converter
