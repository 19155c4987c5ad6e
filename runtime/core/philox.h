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

enum class Prior : uint8_t { kNormal = 0, kUniform = 1, kCategorical = 2, kDropout = 3 };

// Writes latent number `index` of `seed`: `size` values, N(0, 1) or uniform on [-1, 1), one 1 among zeros
// (categorical), or a mask of 0 with probability `rate` and else 1 / (1 - rate) (dropout). Value j of the latent comes
// from block (j / 4, stream, index) under the key `seed`; normals by Box & Muller (1958) from pairs of words; a
// category is the first word of block 0, scaled to [0, size).
void draw_latent(Prior prior, uint64_t seed, uint32_t stream, uint64_t index, size_t size, float* out, float rate = 0);

// The stream of code number `i` of a latent on `stream`, which is below 2^16.
constexpr uint32_t code_stream(uint32_t stream, size_t i) { return stream + (static_cast<uint32_t>(i + 1) << 16); }

}  // namespace figment
