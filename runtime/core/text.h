// Comparison of text that ends in NUL: the C library's is larger than what it is used for here.
#pragma once

namespace figment {

inline bool same_text(const char* a, const char* b) {
  for (; *a == *b; ++a, ++b) {
    if (*a == '\0') return true;
  }
  return false;
}

// What follows the first of names that commas part; nullptr behind the last.
inline const char* rest_of_list(const char* list) {
  while (*list != '\0' && *list != ',') ++list;
  return *list == ',' ? list + 1 : nullptr;
}

// Whether the first of a list is `name`.
inline bool is_first_of_list(const char* list, const char* name) {
  for (; *name != '\0'; ++list, ++name) {
    if (*list != *name) return false;
  }
  return *list == ',' || *list == '\0';
}

}  // namespace figment
