#include "core/philox.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "support.h"

using namespace figment;

TEST_CASE("Philox4x32-10 gives the known answers of Random123") {
  CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) == PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("latents are the same bits on every target") {
  std::vector<float> latents(100 * 100);
  for (size_t i = 0; i < 100; ++i) draw_latent(Prior::kNormal, 42, 0, i, 100, &latents[i * 100]);
  CHECK(test::hash_of(latents.data(), latents.size() * 4) == FIGMENT_HASH_NORMAL);
  for (size_t i = 0; i < 100; ++i) draw_latent(Prior::kUniform, 42, 0, i, 100, &latents[i * 100]);
  CHECK(test::hash_of(latents.data(), latents.size() * 4) == FIGMENT_HASH_UNIFORM);
}

TEST_CASE("a latent depends on seed, stream and index alone") {
  std::vector<float> a(7);
  std::vector<float> b(7);
  draw_latent(Prior::kNormal, 1, 0, 5, 7, a.data());
  draw_latent(Prior::kNormal, 1, 0, 5, 3, b.data());
  for (size_t i = 0; i < 3; ++i) CHECK(a[i] == b[i]);
  for (const auto& [seed, stream, index] : {std::tuple{2, 0, 5}, std::tuple{1, 1, 5}, std::tuple{1, 0, 6}}) {
    draw_latent(Prior::kNormal, static_cast<uint64_t>(seed), static_cast<uint32_t>(stream),
                static_cast<uint64_t>(index), 7, b.data());
    CHECK(a != b);
  }
}

TEST_CASE("normals have the moments and tails of N(0, 1)") {
  constexpr size_t kCount = 400000;
  std::vector<float> x(kCount);
  draw_latent(Prior::kNormal, 3, 0, 0, kCount, x.data());
  double moments[5] = {};
  size_t beyond_two = 0;
  for (float value : x) {
    for (int k = 1; k < 5; ++k) moments[k] += std::pow(static_cast<double>(value), k) / kCount;
    if (std::fabs(value) > 2) ++beyond_two;
  }
  // Five standard errors.
  CHECK(std::fabs(moments[1]) < 5 / std::sqrt(kCount));
  CHECK(std::fabs(moments[2] - 1) < 5 * std::sqrt(2.0 / kCount));
  CHECK(std::fabs(moments[3]) < 5 * std::sqrt(15.0 / kCount));
  CHECK(std::fabs(moments[4] - 3) < 5 * std::sqrt(96.0 / kCount));
  CHECK(std::fabs(static_cast<double>(beyond_two) / kCount - 0.0455) < 0.002);
}
