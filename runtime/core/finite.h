// Tests for NaN and infinity.
#pragma once

#include <cstdint>

namespace figment {

// No NaN and no infinity among `count` floats, at any address.
bool all_finite(const void* data, uint64_t count);

}  // namespace figment
