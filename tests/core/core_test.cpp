#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "core/checked.h"
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
