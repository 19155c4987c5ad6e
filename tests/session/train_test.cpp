// Promises of training that hold for every objective and kind of network.
#include <algorithm>
#include <atomic>
#include <cmath>

#include "core/memory.h"
#include "training.h"

using namespace figment::test;

namespace {

std::atomic<size_t> g_allocations{0};

bool count_allocation(size_t /*bytes*/) {
  ++g_allocations;
  return true;
}

fig_memory_report memory_of(const Trainer& trainer) {
  fig_memory_report report{};
  REQUIRE(fig_session_memory_used(trainer.session, &report) == FIG_OK);
  return report;
}

double largest_difference(const std::map<std::string, std::vector<float>>& a,
                          const std::map<std::string, std::vector<float>>& b) {
  double worst = 0;
  REQUIRE(a.size() == b.size());
  for (const auto& [name, values] : a) worst = std::max(worst, relative_error(values, b.at(name)));
  return worst;
}

}  // namespace

TEST_CASE("training changes what is trained, and gives finite numbers") {
  for (const char* name : kTrainable) {
    INFO(std::string(name));
    Trainer trainer(name);
    const auto before = trainer.parameters();
    for (int i = 0; i < 4; ++i) {
      const fig_metrics metrics = trainer.step();
      CHECK(metrics.skipped == 0);
      CHECK(metrics.step == static_cast<uint64_t>(i) + 1);
      for (uint32_t m = 0; m < metrics.count; ++m)
        CHECK_MESSAGE(std::isfinite(metrics.values[m].value), metrics.values[m].name);
    }
    fig_parameter_info info{};
    const auto after = trainer.parameters();
    for (uint32_t i = 0; fig_model_parameter(trainer.model, i, &info) == FIG_OK; ++i) {
      // With these losses a shift of the discriminator's output cancels.
      const std::string parameter = info.name;
      if (parameter == "discriminator.6.bias" || parameter == "discriminator.2.bias") continue;
      if (info.trained) CHECK_MESSAGE(before.at(parameter) != after.at(parameter), parameter);
    }
  }
}

TEST_CASE("a train step does not depend on the number of threads, and allocates nothing") {
  for (const char* name : kTrainable) {
    INFO(std::string(name));
    fig_session_options options{};
    options.threads = 2;
    Trainer one(name);
    Trainer two(name, options);
    for (int i = 0; i < 3; ++i) {
      one.step();
      figment::set_allocation_hook(count_allocation);
      g_allocations = 0;
      two.step();
      figment::set_allocation_hook(nullptr);
      CHECK(g_allocations == 0);
    }
    CHECK(one.parameters() == two.parameters());
  }
}

TEST_CASE("portable kernels train as the best do") {
  for (const char* name : kTrainable) {
    INFO(std::string(name));
    fig_session_options options{};
    options.kernels = FIG_KERNELS_PORTABLE;
    Trainer best(name);
    Trainer portable(name, options);
    for (int i = 0; i < 3; ++i) {
      best.step();
      portable.step();
    }
    CHECK(largest_difference(best.parameters(), portable.parameters()) < 2e-3);
  }
}

TEST_CASE("a batch that is smaller than planned trains as in a session planned for it") {
  for (const char* name : kTrainable) {
    INFO(std::string(name));
    for (const fig_kernels kernels : {FIG_KERNELS_BEST, FIG_KERNELS_PORTABLE}) {
      fig_session_options options{};
      options.kernels = kernels;
      options.batch = 4;
      Trainer small(name, options);
      options.batch = 9;
      Trainer large(name, options);
      small.step();
      large.step(4);
      CHECK(largest_difference(small.parameters(), large.parameters()) < 1e-6);
      CHECK(large.step(1).step == 2);
      CHECK(large.step(9).step == 3);
    }
  }
}

TEST_CASE("a memory limit below the fastest plan costs time, not accuracy, and is kept") {
  size_t most_ways = 0;
  for (const char* name : kTrainable) {
    INFO(std::string(name));
    fig_session_options options{};
    options.batch = 64;
    Trainer fast(name, options);
    const fig_memory_report most = memory_of(fast);
    // Tensors of a few hundred bytes do not always fit to the byte.
    CHECK(static_cast<double>(most.arena) <= 1.02 * static_cast<double>(most.arena_lower_bound) + 2048);
    for (int i = 0; i < 3; ++i) fast.step();
    // Every way to compute a step in turn, until none is left.
    size_t ways = 1;
    for (uint64_t before = most.total;; ++ways) {
      options.memory_limit = before - 1;
      fig_session* session = nullptr;
      fig_session_options limited = options;
      limited.struct_size = sizeof limited;
      limited.training = true;
      if (fig_session_create(fast.model, &limited, &session) != FIG_OK) {
        CHECK(std::string(fig_error_message()).find("needs") != std::string::npos);
        break;
      }
      fig_session_destroy(session);
      Trainer slow(name, options);
      const fig_memory_report less = memory_of(slow);
      CHECK(less.total < before);
      before = less.total;
      for (int i = 0; i < 3; ++i) slow.step();
      CHECK(largest_difference(fast.parameters(), slow.parameters()) < 2e-3);
    }
    most_ways = std::max(most_ways, ways);
  }
  CHECK(most_ways > 1);
}

TEST_CASE("gradients of parts of a batch add up to the batch's") {
  for (const char* name : kTrainable) {
    INFO(std::string(name));
    fig_session_options options{};
    options.struct_size = sizeof options;
    options.batch = 10;
    Trainer whole(name, options);
    options.part = 4;  // 4, 4 and 2
    options.training = true;
    fig_session* refused = nullptr;
    if (std::string(name) == "tiny_dcgan") {
      CHECK(fig_session_create(whole.model, &options, &refused) == FIG_INVALID_ARGUMENT);
      CHECK(std::string(fig_error_message()).find("couple the samples") != std::string::npos);
      continue;
    }
    Trainer parts(name, options);
    for (int i = 0; i < 3; ++i) {
      const fig_metrics a = whole.step();
      const fig_metrics b = parts.step();
      CHECK(std::fabs(a.values[0].value - b.values[0].value) < 1e-3 * std::max(1.0F, std::fabs(a.values[0].value)));
    }
    CHECK(largest_difference(whole.parameters(), parts.parameters()) < 2e-3);
  }
}

TEST_CASE("train programs run by name between steps, on any number of samples") {
  Trainer trainer("tiny_vae");
  trainer.step(2);
  // A program that was resized by a smaller batch computes all samples of a larger one.
  const auto run = [&](size_t count, float last) {
    std::vector<float> sample(count * 30, 0.5F);
    std::vector<float> noise(count * 4, 0.1F);
    sample.back() = last;
    std::vector<float> loss(1);
    const fig_tensor inputs[] = {{"sample", sample.data(), sample.size()}, {"noise", noise.data(), noise.size()}};
    const fig_tensor output = {"vae.loss", loss.data(), 1};
    REQUIRE_MESSAGE(fig_run(trainer.session, "train.step", count, inputs, 2, &output, 1) == FIG_OK,
                    fig_error_message());
    return loss[0];
  };
  const float plain = run(6, 0.5F);
  CHECK(std::fabs(run(6, 1000.0F) - plain) > 1);
  // The losses of a step are the session's again, not in the memory of a run that is over.
  const fig_metrics metrics = trainer.step();
  CHECK(std::isfinite(metrics.values[0].value));
}

TEST_CASE("what has become infinite is neither saved nor exported") {
  Trainer trainer("tiny_crgan");
  trainer.step();
  REQUIRE(fig_session_set_number(trainer.session, "g.learning_rate", 1e38) == FIG_OK);
  // Momentum that is none.
  REQUIRE(fig_session_set_number(trainer.session, "g.beta1", 1e38) == FIG_OK);
  for (int i = 0; i < 4; ++i) trainer.step();
  const std::string path =
      std::string("/tmp/figment_infinite_") + std::to_string(reinterpret_cast<uintptr_t>(&trainer));
  CHECK(fig_session_export(trainer.session, path.c_str()) == FIG_INVALID_ARGUMENT);
  CHECK(fig_checkpoint_save(trainer.session, path.c_str(), nullptr, 0) == FIG_INVALID_ARGUMENT);
  CHECK(std::string(fig_error_message()).find("infinite") != std::string::npos);
}
