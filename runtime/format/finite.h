// Whether numbers are numbers.
#pragma once

#include <cstdint>
#include <cstring>

namespace figment::format {

// No NaN and no infinity among `count` floats.
inline bool all_finite(const void* data, uint64_t count) {
  const auto* words = static_cast<const uint8_t*>(data);
  uint32_t bad_words = 0;
  for (uint64_t i = 0; i < count; ++i) {
    uint32_t word = 0;
    std::memcpy(&word, words + 4 * i, 4);
    bad_words |= ((word & 0x7F800000U) + 0x00800000U) & 0x80000000U;
  }
  return bad_words == 0;
}

}  // namespace figment::format
