#include "plan/planner.h"

#include <doctest/doctest.h>

#include <vector>

#include "guarded_memory.h"
#include "support.h"

using namespace figment;
using namespace figment::plan;

namespace {

std::vector<Lifetime> random_lifetimes(test::Random* random, size_t count) {
  std::vector<Lifetime> tensors(count);
  for (Lifetime& tensor : tensors) {
    tensor.bytes = random->integer(1, 5000);
    tensor.first = random->integer(0, static_cast<uint32_t>(count));
    tensor.last = tensor.first + random->integer(0, 4);
  }
  return tensors;
}

// Works in exactly the memory that it asks for.
Arena plan_of(const std::vector<Lifetime>& tensors, std::vector<uint64_t>* offsets) {
  test::GuardedMemory memory(planning_bytes(tensors.size()), 8);
  const Arena arena = plan_memory(tensors, *offsets, memory.data());
  CHECK(memory.intact());
  return arena;
}

}  // namespace

TEST_CASE("plans of random programs pass the checker and come near the lower bound") {
  test::Random random(1);
  double worst = 1;
  for (int trial = 0; trial < 200; ++trial) {
    const std::vector<Lifetime> tensors = random_lifetimes(&random, random.integer(1, 40));
    std::vector<uint64_t> offsets(tensors.size());
    const Arena arena = plan_of(tensors, &offsets);
    CHECK(check_plan(tensors, offsets, arena.size).ok());
    CHECK(arena.size >= arena.lower_bound);
    worst = std::max(worst, static_cast<double>(arena.size) / static_cast<double>(arena.lower_bound));
  }
  CHECK(worst <= 1.25);
}

TEST_CASE("a chain needs its two largest neighbors and no more") {
  // As in a generator: each tensor is read by the next step alone.
  const std::vector<uint64_t> sizes = {64, 6272, 50176, 12544, 200704, 3136};
  std::vector<Lifetime> tensors;
  for (uint32_t i = 0; i < sizes.size(); ++i) tensors.push_back({sizes[i], i, i + 1});
  std::vector<uint64_t> offsets(tensors.size());
  const Arena arena = plan_of(tensors, &offsets);
  CHECK(arena.size == 12544 + 200704);
  CHECK(arena.size == arena.lower_bound);
}

TEST_CASE("the checker finds every kind of broken plan") {
  const std::vector<Lifetime> tensors = {{128, 0, 1}, {128, 1, 2}, {128, 2, 3}};
  CHECK(check_plan(tensors, std::vector<uint64_t>{0, 128, 0}, 256).ok());
  CHECK_FALSE(check_plan(tensors, std::vector<uint64_t>{0, 64, 0}, 256).ok());     // 0 and 1 overlap in step 1
  CHECK_FALSE(check_plan(tensors, std::vector<uint64_t>{0, 128, 128}, 256).ok());  // 1 and 2 overlap in step 2
  CHECK_FALSE(check_plan(tensors, std::vector<uint64_t>{0, 128, 0}, 255).ok());    // outside
  CHECK_FALSE(check_plan(tensors, std::vector<uint64_t>{32, 192, 0}, 512).ok());   // misaligned
  CHECK_FALSE(check_plan(tensors, std::vector<uint64_t>{0, UINT64_MAX - 63, 0}, 256).ok());
  CHECK_FALSE(check_plan(std::vector<Lifetime>{{64, 2, 1}}, std::vector<uint64_t>{0}, 256).ok());
}
