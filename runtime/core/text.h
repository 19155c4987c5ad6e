// Comparison of text that ends in NUL: the C library's is larger than what it is used for here.
#pragma once

namespace figment {

inline bool same_text(const char* a, const char* b) {
  for (; *a == *b; ++a, ++b) {
    if (*a == '\0') return true;
  }
  return false;
}

}  // namespace figment
