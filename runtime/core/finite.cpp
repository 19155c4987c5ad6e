#include "core/finite.h"

#include <cstring>

#include "core/clones.h"

namespace figment {

FIGMENT_CLONES bool all_finite(const void* data, uint64_t count) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  uint32_t bad = 0;
  for (uint64_t i = 0; i < count; ++i) {
    uint32_t word = 0;
    std::memcpy(&word, bytes + 4 * i, 4);
    // The exponent of NaN and infinity is all ones: adding one to it carries into the sign.
    bad |= ((word & 0x7F800000U) + 0x00800000U) & 0x80000000U;
  }
  return bad == 0;
}

}  // namespace figment
