// Threads that do not start, and processes that have none.
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <cstring>
#include <functional>
#include <vector>

#include "figment/figment.h"
#include "kernels/backend.h"
#include "kernels/team.h"
#include "support.h"

using figment::test::model_path;

namespace {

constexpr size_t kPixels = 28 * 28;

fig_session* create(fig_model* model, uint32_t threads, bool* created) {
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.threads = threads;
  fig_session* session = nullptr;
  *created = fig_session_create(model, &options, &session) == FIG_OK;
  return session;
}

bool mentions(const char* part) { return std::strstr(fig_error_message(), part) != nullptr; }

// The exit status of a forked child that does `work`; one that hangs is killed.
int status_of_child(const std::function<int()>& work) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    _exit(work());
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

TEST_CASE("what is computed is the same on threads and on one: denormal numbers are zero on both") {
  using namespace figment::kernels;
  struct Product {
    volatile float a = 1e-30F;
    volatile float b = 1e-10F;
    float result = 1;
    static void compute(void* context, size_t /*thread*/, size_t /*i*/) {
      auto& self = *static_cast<Product*>(context);
      self.result = self.a * self.b;
    }
  };
  Product alone;
  parallelize(nullptr, Product::compute, &alone, 1);
  Threads threads;
  REQUIRE(threads.start(2, nullptr).ok());
  Team team = threads.team();
  const Team::Times times;
  team.begin(times);
  Product together;
  parallelize(&team, Product::compute, &together, 1);
  CHECK(alone.result == together.result);
  // Outside they are numbers, as before.
  Product outside;
  Product::compute(&outside, 0, 0);
  CHECK(outside.result > 0);
}

TEST_CASE("a forked child cannot use its parent's threads, is told so, and can make its own") {
  fig_model* model = nullptr;
  REQUIRE(fig_model_open(model_path("dcgan").c_str(), &model) == FIG_OK);
  bool created = false;
  fig_session* two = create(model, 2, &created);
  REQUIRE(created);
  fig_session* one = create(model, 1, &created);
  REQUIRE(created);
  std::vector<float> expected(kPixels);
  REQUIRE(fig_generate(two, 1, nullptr, expected.data(), kPixels) == FIG_OK);
  const int status = status_of_child([&] {
    std::vector<float> pixels(kPixels);
    if (fig_generate(two, 1, nullptr, pixels.data(), kPixels) != FIG_INVALID_ARGUMENT || !mentions("fork")) return 1;
    if (fig_generate(one, 1, nullptr, pixels.data(), kPixels) != FIG_OK || pixels != expected) return 2;
    fig_session_destroy(two);
    // An emulated process that was forked starts no threads (QEMU 7.2 ends by an assertion).
    bool again = false;
    fig_session* own = create(model, FIGMENT_EMULATED ? 1 : 2, &again);
    if (!again || fig_generate(own, 1, nullptr, pixels.data(), kPixels) != FIG_OK || pixels != expected) return 3;
    fig_session_destroy(own);
    return 0;
  });
  CHECK(status == 0);
  CHECK(fig_generate(two, 1, nullptr, expected.data(), kPixels) == FIG_OK);
  fig_session_destroy(one);
  fig_session_destroy(two);
  fig_model_close(model);
}

TEST_CASE("a thread that does not start is an error, and another session starts its own") {
  fig_model* model = nullptr;
  REQUIRE(fig_model_open(model_path("dcgan").c_str(), &model) == FIG_OK);
  // Stacks that no address space has room for.
  pthread_attr_t usual;
  pthread_attr_t impossible;
  REQUIRE(pthread_getattr_default_np(&usual) == 0);
  REQUIRE(pthread_attr_init(&impossible) == 0);
  REQUIRE(pthread_attr_setstacksize(&impossible, sizeof(size_t) == 8 ? SIZE_MAX >> 16 : SIZE_MAX - 0xFFFF) == 0);
  REQUIRE(pthread_setattr_default_np(&impossible) == 0);
  bool created = true;
  create(model, 3, &created);
  CHECK(pthread_setattr_default_np(&usual) == 0);
  CHECK_FALSE(created);
  CHECK(mentions("thread 2 of 3 does not start"));
  CHECK(mentions("fewer threads"));
  fig_session* session = create(model, 3, &created);
  CHECK(created);
  fig_session_destroy(session);
  pthread_attr_destroy(&usual);
  pthread_attr_destroy(&impossible);
  fig_model_close(model);
}
