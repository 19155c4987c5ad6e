// Philox4x32-10, the counter-based random generator of Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3"
// (SC 2011), and the latents made from it. Every result is a pure function of its arguments and bit-identical on
// every target: the arithmetic is integer or single IEEE operations, compiled without contraction.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace figment {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

// One block of four random words.
PhiloxCounter philox4x32(PhiloxCounter counter, PhiloxKey key);

enum class Prior : uint8_t { kNormal = 0, kUniform = 1 };

// Writes latent number `index` of `seed`: `size` values, N(0, 1) or uniform on [-1, 1). Value j of the latent
// comes from block (j / 4, stream, index) under the key `seed`; normals by Box & Muller (1958) from pairs of words.
void draw_latent(Prior prior, uint64_t seed, uint32_t stream, uint64_t index, size_t size, float* out);

}  // namespace figment
