// When a session computes on its threads, on a machine whose times are made up.
#include <doctest/doctest.h>

#include <vector>

#include "kernels/team.h"

using figment::kernels::Team;

namespace {

constexpr double kMicrosecond = 1e3;
constexpr double kMillisecond = 1e6;

uint64_t g_passed = 0;
uint64_t g_computed = 0;

// A machine on which an op takes so long alone, and so long on two threads that have a share of the cores.
struct Machine {
  double alone = 0;
  double together = 0;
  double share = 1;
};

class Run {
 public:
  explicit Run(size_t ops) : times_(ops) {}

  // A run of all ops; returns how many of them ran on the pool.
  size_t run(const Machine& machine) {
    size_t together = 0;
    for (Team::Times& times : times_) {
      team_.begin(times);
      const bool on_pool = team_.now() != nullptr;
      const double time = on_pool ? machine.together : machine.alone;
      g_passed += static_cast<uint64_t>(time);
      g_computed += static_cast<uint64_t>(time * (on_pool ? 2 * machine.share : 1));
      team_.end(&times);
      together += on_pool ? 1 : 0;
    }
    return together;
  }

 private:
  // The pool is only passed on.
  Team team_{reinterpret_cast<pthreadpool*>(1), 2, {[] { return g_passed; }, [] { return g_computed; }}};
  std::vector<Team::Times> times_;
};

double time_of(Run* run, const Machine& machine, size_t runs) {
  const uint64_t start = g_passed;
  for (size_t i = 0; i < runs; ++i) run->run(machine);
  return static_cast<double>(g_passed - start);
}

}  // namespace

TEST_CASE("threads that are faster are used") {
  Run run(30);
  const Machine free{500 * kMicrosecond, 280 * kMicrosecond};
  CHECK(run.run(free) == 30);  // at once: a program may run only once
  CHECK(run.run(free) == 0);
  size_t together = 0;
  for (int i = 0; i < 1000; ++i) together += run.run(free);
  CHECK(together > 29000);
}

TEST_CASE("threads whose cores are taken cost a tenth at most") {
  for (const double together : {600.0, 3000.0, 20000.0}) {
    CAPTURE(together);
    Run run(50);
    const Machine busy{300 * kMicrosecond, together * kMicrosecond, 0.5};
    const size_t runs = 60;
    const double alone = busy.alone * 50 * runs;
    CHECK(time_of(&run, busy, runs) < 1.2 * alone);
    CHECK(time_of(&run, busy, 10 * runs) < 1.12 * 10 * alone);
  }
}

TEST_CASE("when the cores are free again, threads are used again, and the other way round") {
  Run run(30);
  const Machine busy{300 * kMicrosecond, 9 * kMillisecond, 0.5};
  const Machine free{300 * kMicrosecond, 160 * kMicrosecond};
  time_of(&run, busy, 200);
  time_of(&run, free, 400);
  CHECK(time_of(&run, free, 1000) < 0.6 * 1000 * 30 * free.alone);
  CHECK(time_of(&run, busy, 200) < 1.2 * 200 * 30 * busy.alone);
}

TEST_CASE("a wait within an op ends the use of threads there") {
  Team team(reinterpret_cast<pthreadpool*>(1), 2, {[] { return g_passed; }, [] { return g_computed; }});
  Team::Times times;
  team.begin(times);
  CHECK(team.now() != nullptr);
  team.waited(0.5 * kMillisecond);  // as between two parts of a product
  CHECK(team.now() != nullptr);
  team.waited(8 * kMillisecond);
  CHECK(team.now() == nullptr);
  CHECK(team.balance() < 0);
  // Nothing is known of the op yet, and both threads have computed all the time: the wait counts all the same.
  g_passed += static_cast<uint64_t>(9 * kMillisecond);
  g_computed += static_cast<uint64_t>(18 * kMillisecond);
  team.end(&times);
  CHECK(team.balance() <= -8 * kMillisecond);
  team.begin(times);
  CHECK(team.now() == nullptr);
}

TEST_CASE("what asks for no threads is not timed") {
  Team team(reinterpret_cast<pthreadpool*>(1), 2, {[] { return g_passed; }, [] { return g_computed; }});
  Team::Times times;
  team.begin(times);
  team.end(&times);
  CHECK_FALSE(times.threaded);
}

TEST_CASE("a process that was stopped within an op uses its threads again soon") {
  Run run(1);
  const Machine free{500 * kMicrosecond, 280 * kMicrosecond};
  for (int i = 0; i < 100; ++i) run.run(free);
  // An hour, as it seems.
  for (int i = 0; i < 2; ++i) run.run({500 * kMicrosecond, 3.6e6 * kMillisecond});
  size_t together = 0;
  // Two seconds at most that the debt is paid back in, and as many runs again.
  for (int i = 0; i < 8000; ++i) together += run.run(free);
  CHECK(together > 2000);
}
