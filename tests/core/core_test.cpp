#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <string>

#include "core/checked.h"
#include "core/half.h"
#include "core/memory.h"
#include "core/shape.h"
#include "core/status.h"

using namespace figment;

TEST_CASE("CheckedSize remembers overflow") {
  CHECK((CheckedSize(3) * 4 + 5).value() == 17);
  const CheckedSize huge = CheckedSize(UINT64_MAX) + 1;
  CHECK_FALSE(huge.valid());
  CHECK_FALSE((huge * 0).valid());
  CHECK_FALSE((CheckedSize(UINT64_MAX / 2) * 3).within(UINT64_MAX));
  CHECK_FALSE(CheckedSize(UINT64_MAX - 3).aligned(64).valid());
  CHECK(CheckedSize(65).aligned(64).value() == 128);
}

TEST_CASE("ranges are checked without overflow") {
  CHECK(range_inside(0, 10, 10));
  CHECK(range_inside(10, 0, 10));
  CHECK_FALSE(range_inside(1, 10, 10));
  CHECK_FALSE(range_inside(UINT64_MAX, 2, 10));
  CHECK_FALSE(range_inside(2, UINT64_MAX, 10));
}

TEST_CASE("a long message is cut, not overrun") {
  const std::string text(1000, 'x');
  const Status status = Status::error(StatusCode::kInternal, "%s", text.c_str());
  CHECK(std::strlen(status.message()) < 400);
  CHECK(status.with_prefix("here").code() == StatusCode::kInternal);
}

TEST_CASE("permutations are recognized") {
  CHECK(is_permutation({2, 0, 1}, 3));
  CHECK_FALSE(is_permutation({0, 0, 1}, 3));
  CHECK_FALSE(is_permutation({0, 1}, 3));
  CHECK_FALSE(is_permutation({0, 1, 3}, 3));
}

TEST_CASE("an allocation that fails leaves an empty array") {
  set_allocation_hook([](size_t) { return false; });
  Array<int> array;
  const bool allocated = array.allocate(10);
  set_allocation_hook(nullptr);
  CHECK_FALSE(allocated);
  CHECK(array.empty());
  CHECK_FALSE(array.allocate(SIZE_MAX / 2));
}

TEST_CASE("every half is a float and comes back; between two, the nearest is taken, to even") {
  // 0, the least subnormal and normal, 1, and the greatest, by the definition of binary16.
  const std::pair<uint16_t, double> known[] = {
      {0x0000, 0}, {0x0001, 0x1p-24}, {0x03FF, 1023 * 0x1p-24}, {0x0400, 0x1p-14},
      {0x3C00, 1}, {0xC000, -2},      {0x3555, 1365.0 / 4096},  {0x7BFF, 65504}};
  for (const auto& [bits, value] : known) CHECK(static_cast<double>(from_half(bits)) == value);
  CHECK(std::signbit(from_half(0x8000)));
  CHECK(std::isinf(from_half(0x7C00)));
  CHECK(std::isnan(from_half(0x7C01)));
  for (uint32_t bits = 0; bits < 0x7C00; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = from_half(half);
    REQUIRE(to_half(value) == half);
    REQUIRE(to_half(-value) == (half | 0x8000));
    if (bits == 0x7BFF) continue;
    const float next = from_half(static_cast<uint16_t>(bits + 1));
    REQUIRE(value < next);
    const float middle = value + (next - value) / 2;
    REQUIRE(to_half(middle) == (bits % 2 == 0 ? bits : bits + 1));
    REQUIRE(to_half(std::nextafter(middle, value)) == bits);
    REQUIRE(to_half(std::nextafter(middle, next)) == bits + 1);
  }
  CHECK(to_half(65519.9F) == 0x7BFF);
  CHECK(to_half(65520) == 0x7C00);
  CHECK(to_half(-INFINITY) == 0xFC00);
  CHECK(std::isnan(from_half(to_half(NAN))));
}
