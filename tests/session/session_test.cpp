// The public API on the shipped models.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <string>
#include <thread>

#include "core/memory.h"
#include "figment/figment.h"
#include "support.h"

using figment::test::model_path;

namespace {

// A model and a session, closed at the end.
struct Opened {
  explicit Opened(const std::string& name, fig_session_options options = {}) {
    REQUIRE_MESSAGE(fig_model_open(model_path(name).c_str(), &model) == FIG_OK, fig_error_message());
    options.struct_size = sizeof options;
    REQUIRE_MESSAGE(fig_session_create(model, &options, &session) == FIG_OK, fig_error_message());
  }
  ~Opened() {
    fig_session_destroy(session);
    fig_model_close(model);
  }
  fig_model* model = nullptr;
  fig_session* session = nullptr;
};

constexpr size_t kPixels = 28 * 28;

std::vector<float> generate(const std::string& name, size_t count, fig_session_options options,
                            size_t sample = kPixels) {
  const Opened opened(name, options);
  std::vector<float> pixels(count * sample);
  REQUIRE_MESSAGE(fig_generate(opened.session, count, nullptr, pixels.data(), pixels.size()) == FIG_OK,
                  fig_error_message());
  return pixels;
}

fig_session_options options_of(uint32_t batch, uint64_t seed = 7, uint32_t threads = 1,
                               fig_kernels kernels = FIG_KERNELS_BEST) {
  fig_session_options options{};
  options.batch = batch;
  options.seed = seed;
  options.threads = threads;
  options.kernels = kernels;
  return options;
}

bool mentions(const std::string& part) { return std::string(fig_error_message()).find(part) != std::string::npos; }

}  // namespace

TEST_CASE("samples do not depend on the batch, the number of threads, or the kernels") {
  for (const char* name : {"dgan", "dcgan", "conv_vae"}) {
    const std::vector<float> one = generate(name, 5, options_of(1));
    for (uint32_t batch : {2U, 5U, 16U}) {
      CHECK(figment::test::relative_error(generate(name, 5, options_of(batch)), one) < 1e-5);
    }
    CHECK(figment::test::relative_error(generate(name, 5, options_of(1, 7, 1, FIG_KERNELS_PORTABLE)), one) < 1e-5);
    CHECK(generate(name, 5, options_of(5, 7, 2)) == generate(name, 5, options_of(5, 7, 1)));
    CHECK(generate(name, 5, options_of(1, 8)) != one);
  }
}

TEST_CASE("an observer sees what each op computes, in order, and the last of it is the output") {
  const Opened opened("dcgan", options_of(3));
  struct Seen {
    fig_model* model;
    std::vector<uint32_t> ops;
    std::vector<float> last;
  } seen{opened.model, {}, {}};
  const auto observer = [](void* context, uint32_t program, uint32_t op, const void* values) {
    auto* found = static_cast<Seen*>(context);
    fig_op_info info{};
    fig_tensor_info tensor{};
    REQUIRE(fig_model_op(found->model, program, op, &info) == FIG_OK);
    REQUIRE(fig_model_tensor(found->model, program, info.output, &tensor) == FIG_OK);
    size_t elements = 3;
    for (uint32_t i = 0; i < tensor.shape.rank; ++i) elements *= tensor.shape.extents[i];
    found->ops.push_back(op);
    found->last.assign(static_cast<const float*>(values), static_cast<const float*>(values) + elements);
  };
  REQUIRE(fig_session_observe(opened.session, observer, &seen) == FIG_OK);
  std::vector<float> pixels(3 * kPixels);
  REQUIRE(fig_generate(opened.session, 3, nullptr, pixels.data(), pixels.size()) == FIG_OK);
  fig_program_info program{};
  REQUIRE(fig_model_program(opened.model, 0, &program) == FIG_OK);
  REQUIRE(seen.ops.size() == program.ops);
  for (uint32_t i = 0; i < program.ops; ++i) CHECK(seen.ops[i] == i);
  CHECK(seen.last == pixels);  // of one channel: the layout is the exporter's
  seen.ops.clear();
  REQUIRE(fig_session_observe(opened.session, nullptr, nullptr) == FIG_OK);
  REQUIRE(fig_generate(opened.session, 3, nullptr, pixels.data(), pixels.size()) == FIG_OK);
  CHECK(seen.ops.empty());
  CHECK(fig_session_observe(nullptr, observer, &seen) == FIG_INVALID_ARGUMENT);
}

TEST_CASE("sequences, which lie by time steps on the device, come in any number") {
  constexpr size_t kSequence = 14;
  const std::vector<float> one = generate("tiny_crgan", 5, options_of(1), kSequence);
  for (uint32_t batch : {2U, 5U, 16U}) {
    CHECK(figment::test::relative_error(generate("tiny_crgan", 5, options_of(batch), kSequence), one) < 1e-5);
  }
}

TEST_CASE("fully int8 programs give the same bits on every target") {
  const std::pair<const char*, uint64_t> expected[] = {
      {"dgan_int8", FIGMENT_HASH_DGAN}, {"dcgan_int8", FIGMENT_HASH_DCGAN}, {"conv_vae_int8", FIGMENT_HASH_CONV_VAE}};
  for (const auto& [name, hash] : expected) {
    fig_model* model = nullptr;
    fig_session* session = nullptr;
    const std::string path = std::string(FIGMENT_TEST_SOURCE "/data/") + name + ".figment";
    fig_session_options options = options_of(4);
    options.struct_size = sizeof options;
    REQUIRE_MESSAGE(fig_model_open(path.c_str(), &model) == FIG_OK, fig_error_message());
    REQUIRE(fig_session_create(model, &options, &session) == FIG_OK);
    std::vector<float> pixels(8 * kPixels);
    REQUIRE(fig_generate(session, 8, nullptr, pixels.data(), pixels.size()) == FIG_OK);
    const uint64_t actual = figment::test::hash_of(pixels.data(), pixels.size() * 4);
    CHECK_MESSAGE(actual == hash, name, " gave ", actual);
    fig_session_destroy(session);
    fig_model_close(model);
  }
}

TEST_CASE("the trained models generate, and in int8 what they do in f32 where that is shipped") {
  struct Shipped {
    std::string name;
    bool f32;  // is shipped, too
    size_t sample = kPixels;
    std::string condition = {};
    size_t condition_size = 0;
  };
  const Shipped shipped[] = {{"gan", true},
                             {"vae", true},
                             {"crgan", true, 30},
                             {"infogan", false},
                             {"dgan", false},
                             {"deep_infogan", false},
                             {"cdcgan", true, kPixels, "label", 10},
                             {"conv_vae", true},
                             {"lstm_crgan", true, 30},
                             {"recurrent_infogan", true, 30},
                             {"recurrent_vae", true, 28 * 4},
                             {"weather_crgan", true, 28 * 4, "season", 28 * 2}};
  for (const auto& [name, has_f32, sample, condition, condition_size] : shipped) {
    INFO(name);
    constexpr size_t kCount = 8;
    const std::string folder = std::string(FIGMENT_TEST_SOURCE) + "/../models/" + name + "/";
    std::vector<float> given(kCount * condition_size);
    for (size_t i = 0; i < kCount && condition_size > 0; ++i) given[i * condition_size + i] = 1;
    const auto samples_of = [&](const std::string& file) {
      fig_model* model = nullptr;
      fig_session* session = nullptr;
      fig_session_options options = options_of(4);
      options.struct_size = sizeof options;
      options.program = "generate";
      const fig_tensor input{condition.c_str(), given.data(), given.size(), FIG_F32};
      fig_generate_options generate{};
      generate.struct_size = sizeof generate;
      generate.inputs = &input;
      generate.input_count = condition_size > 0 ? 1 : 0;
      REQUIRE_MESSAGE(fig_model_open((folder + file).c_str(), &model) == FIG_OK, fig_error_message());
      REQUIRE_MESSAGE(fig_session_create(model, &options, &session) == FIG_OK, fig_error_message());
      std::vector<float> samples(kCount * sample);
      CHECK_MESSAGE(fig_generate(session, kCount, &generate, samples.data(), samples.size()) == FIG_OK,
                    fig_error_message());
      fig_session_destroy(session);
      fig_model_close(model);
      return samples;
    };
    const std::vector<float> int8 = samples_of(name + "_int8.figment");
    const auto [least, most] = std::minmax_element(int8.begin(), int8.end());
    CHECK(*most - *least > 0.5F);
    if (has_f32) {
      const std::vector<float> f32 = samples_of(name + ".figment");
      double squares = 0;
      for (size_t i = 0; i < f32.size(); ++i) squares += std::pow(static_cast<double>(f32[i]) - int8[i], 2);
      CHECK(std::sqrt(squares / static_cast<double>(f32.size())) < 0.03);
    }
  }
}

TEST_CASE("the shipped int8 models are fully int8, and the portable kernels give their bits") {
  for (const char* name : {"dgan_int8", "dcgan_int8", "conv_vae_int8"}) {
    fig_model* model = nullptr;
    fig_program_info program{};
    REQUIRE(fig_model_open(model_path(name).c_str(), &model) == FIG_OK);
    REQUIRE(fig_model_program(model, 0, &program) == FIG_OK);
    CHECK(program.fully_int8);
    fig_model_close(model);
    CHECK(generate(name, 2, options_of(1, 7, 1, FIG_KERNELS_PORTABLE)) == generate(name, 2, options_of(2)));
  }
}

TEST_CASE("an autoencoder encodes, decodes and reconstructs") {
  for (const char* name : {"conv_vae", "conv_vae_int8"}) {
    const Opened opened(name, options_of(2));
    constexpr size_t kCount = 5;  // more than a batch, not a multiple of it
    constexpr size_t kLatent = 16;
    const std::vector<float> images = generate("conv_vae", kCount, options_of(1));
    std::vector<float> mean(kCount * kLatent);
    std::vector<float> log_variance(kCount * kLatent);
    std::vector<float> decoded(kCount * kPixels);
    std::vector<float> again(kCount * kPixels);
    REQUIRE_MESSAGE(fig_encode(opened.session, kCount, images.data(), images.size(), mean.data(), mean.size(),
                               log_variance.data(), log_variance.size()) == FIG_OK,
                    fig_error_message());
    std::vector<float> by_name(kCount * kLatent);
    std::vector<float> input = images;
    const fig_tensor in = {"image", input.data(), input.size(), FIG_F32};
    const fig_tensor out = {"log_variance", by_name.data(), by_name.size(), FIG_F32};
    REQUIRE(fig_run(opened.session, "encode", kCount, &in, 1, &out, 1) == FIG_OK);
    CHECK(by_name == log_variance);
    REQUIRE(fig_decode(opened.session, kCount, mean.data(), mean.size(), decoded.data(), decoded.size()) == FIG_OK);
    REQUIRE(fig_reconstruct(opened.session, kCount, images.data(), images.size(), again.data(), again.size()) ==
            FIG_OK);
    CHECK(again == decoded);
    double error = 0;
    for (size_t i = 0; i < again.size(); ++i) error += std::pow(again[i] - images[i], 2);
    CHECK(error / static_cast<double>(again.size()) < 0.01);  // the model's own samples come back

    CHECK(fig_encode(opened.session, kCount, images.data(), images.size(), mean.data(), mean.size(), nullptr, 0) ==
          FIG_OK);
    CHECK(fig_encode(opened.session, kCount, images.data(), images.size() - 1, mean.data(), mean.size(), nullptr, 0) ==
          FIG_INVALID_ARGUMENT);
    CHECK(fig_decode(opened.session, kCount, mean.data(), mean.size() - 1, decoded.data(), decoded.size()) ==
          FIG_INVALID_ARGUMENT);
    CHECK(mentions("80"));
    CHECK(fig_reconstruct(opened.session, 0, images.data(), 0, again.data(), 0) == FIG_INVALID_ARGUMENT);
    CHECK(fig_discriminate(opened.session, kCount, images.data(), images.size(), mean.data(), kCount) == FIG_NOT_FOUND);
    CHECK(mentions("discriminate"));
  }
}

TEST_CASE("latents can be read back, given, and started anywhere") {
  const Opened opened("dcgan", options_of(4));
  std::vector<float> latents(6 * 100);
  std::vector<float> all(6 * kPixels);
  fig_generate_options options{};
  options.struct_size = sizeof options;
  options.latents_out = latents.data();
  REQUIRE(fig_generate(opened.session, 6, &options, all.data(), all.size()) == FIG_OK);
  std::vector<float> again(6 * kPixels);
  options.latents = latents.data();
  options.latents_out = nullptr;
  REQUIRE(fig_generate(opened.session, 6, &options, again.data(), again.size()) == FIG_OK);
  CHECK(all == again);
  std::vector<float> tail(2 * kPixels);
  options.latents = nullptr;
  options.first_index = 4;
  REQUIRE(fig_generate(opened.session, 2, &options, tail.data(), tail.size()) == FIG_OK);
  CHECK(figment::test::relative_error(tail, std::span(all).subspan(4 * kPixels)) < 1e-5);
}

TEST_CASE("user mistakes are told clearly and change nothing") {
  fig_model* model = nullptr;
  CHECK(fig_model_open(nullptr, &model) == FIG_INVALID_ARGUMENT);
  CHECK(fig_model_open("/no/such/file", &model) == FIG_NOT_FOUND);
  CHECK(mentions("/no/such/file"));
  CHECK(fig_model_open("/", &model) == FIG_IO_ERROR);
  CHECK(model == nullptr);
  const Opened opened("dcgan", options_of(2));
  std::vector<float> pixels(2 * kPixels);
  CHECK(fig_generate(opened.session, 0, nullptr, pixels.data(), 0) == FIG_INVALID_ARGUMENT);
  CHECK(fig_generate(opened.session, 2, nullptr, pixels.data(), 3) == FIG_INVALID_ARGUMENT);
  CHECK(mentions("1568"));
  CHECK(fig_generate(opened.session, SIZE_MAX, nullptr, pixels.data(), 3) == FIG_INVALID_ARGUMENT);
  CHECK(fig_run(opened.session, "paint", 1, nullptr, 0, nullptr, 0) == FIG_NOT_FOUND);
  CHECK(mentions("paint"));
  CHECK(fig_run(opened.session, nullptr, 1, nullptr, 0, nullptr, 0) == FIG_INVALID_ARGUMENT);
  CHECK(mentions("latent"));
  fig_tensor wrong = {"noise", pixels.data(), 100, FIG_F32};
  CHECK(fig_run(opened.session, nullptr, 1, &wrong, 1, nullptr, 0) == FIG_NOT_FOUND);
  wrong.name = "latent";
  wrong.elements = 99;
  CHECK(fig_run(opened.session, nullptr, 1, &wrong, 1, nullptr, 0) == FIG_INVALID_ARGUMENT);
  CHECK(mentions("99"));
  fig_session* session = nullptr;
  fig_session_options options = options_of(1);
  CHECK(fig_session_create(opened.model, &options, &session) == FIG_INVALID_ARGUMENT);  // no struct_size
  options.struct_size = sizeof options;
  options.program = "paint";
  CHECK(fig_session_create(opened.model, &options, &session) == FIG_NOT_FOUND);
  options.program = nullptr;
  options.threads = 100000;
  CHECK(fig_session_create(opened.model, &options, &session) == FIG_INVALID_ARGUMENT);
  options.threads = 1;
  options.batch = UINT32_MAX;
  CHECK(fig_session_create(opened.model, &options, &session) == FIG_INVALID_ARGUMENT);
  CHECK(session == nullptr);
  fig_session_destroy(nullptr);
  fig_model_close(nullptr);
}

TEST_CASE("the memory limit is the least that suffices, and is kept") {
  fig_model* model = nullptr;
  REQUIRE(fig_model_open(model_path("dcgan").c_str(), &model) == FIG_OK);
  fig_session_options options = options_of(8);
  options.struct_size = sizeof options;
  fig_memory_report need{};
  REQUIRE(fig_session_memory(model, &options, &need) == FIG_OK);
  CHECK(static_cast<double>(need.arena) <= 1.02 * static_cast<double>(need.arena_lower_bound));
  fig_session* session = nullptr;
  options.memory_limit = need.total - 1;
  CHECK(fig_session_create(model, &options, &session) == FIG_MEMORY_LIMIT);
  CHECK(mentions(std::to_string(need.total)));
  options.memory_limit = need.total;
  REQUIRE(fig_session_create(model, &options, &session) == FIG_OK);
  fig_memory_report used{};
  REQUIRE(fig_session_memory_used(session, &used) == FIG_OK);
  CHECK(used.total == need.total);
  fig_session_destroy(session);
  fig_model_close(model);
}

namespace {
std::atomic<int64_t> g_countdown;
std::atomic<bool> g_persistent;
bool failing_allocation(size_t) {
  const int64_t left = --g_countdown;
  return g_persistent ? left >= 0 : left != -1;
}
}  // namespace

TEST_CASE("whichever allocation fails, opening and creating end in an error or succeed") {
  for (const char* name : {"dcgan", "dcgan_int8"}) {
    for (bool persistent : {false, true}) {
      int failures = 0;
      for (int64_t n = 0;; ++n) {
        REQUIRE(n < 2000);
        fig_model* model = nullptr;
        fig_session* session = nullptr;
        g_countdown = n;
        g_persistent = persistent;
        figment::set_allocation_hook(failing_allocation);
        fig_session_options options = options_of(2);
        options.struct_size = sizeof options;
        fig_status status = fig_model_open(model_path(name).c_str(), &model);
        if (status == FIG_OK) status = fig_session_create(model, &options, &session);
        figment::set_allocation_hook(nullptr);
        const bool met = g_countdown < 0;
        if (status != FIG_OK) {
          CHECK(status == FIG_OUT_OF_MEMORY);
          CHECK(session == nullptr);
          ++failures;
        }
        fig_session_destroy(session);
        fig_model_close(model);
        if (!met) break;
      }
      CHECK(failures >= 3);  // the model, the plan, the block
    }
  }
}

TEST_CASE("after its creation a session allocates nothing") {
  const Opened opened("dcgan", options_of(3));
  static std::atomic<int> allocations;
  allocations = 0;
  std::vector<float> pixels(7 * kPixels);
  figment::set_allocation_hook([](size_t) {
    ++allocations;
    return true;
  });
  const fig_status status = fig_generate(opened.session, 7, nullptr, pixels.data(), pixels.size());
  figment::set_allocation_hook(nullptr);
  CHECK(status == FIG_OK);
  CHECK(allocations == 0);
}

TEST_CASE("sessions of one model run at the same time and share its packed weights") {
  fig_model* model = nullptr;
  REQUIRE(fig_model_open(model_path("dcgan").c_str(), &model) == FIG_OK);
  const std::vector<float> expected = generate("dcgan", 4, options_of(2));
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      fig_session_options options = options_of(2);
      options.struct_size = sizeof options;
      fig_session* session = nullptr;
      std::vector<float> pixels(4 * kPixels);
      if (fig_session_create(model, &options, &session) != FIG_OK ||
          fig_generate(session, 4, nullptr, pixels.data(), pixels.size()) != FIG_OK || pixels != expected) {
        ++wrong;
      }
      fig_session_destroy(session);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  fig_memory_report first{};
  fig_session_options options = options_of(2);
  options.struct_size = sizeof options;
  REQUIRE(fig_session_memory(model, &options, &first) == FIG_OK);
  fig_memory_report second{};
  REQUIRE(fig_session_memory(model, &options, &second) == FIG_OK);
  CHECK(first.packed_weights == second.packed_weights);
  fig_model_close(model);
}

TEST_CASE("a session outlives the caller's handle on its model") {
  fig_model* model = nullptr;
  fig_session* session = nullptr;
  REQUIRE(fig_model_open(model_path("dcgan").c_str(), &model) == FIG_OK);
  REQUIRE(fig_session_create(model, nullptr, &session) == FIG_OK);
  fig_model_close(model);
  std::vector<float> pixels(kPixels);
  CHECK(fig_generate(session, 1, nullptr, pixels.data(), pixels.size()) == FIG_OK);
  fig_session_destroy(session);
}

TEST_CASE("the arenas of all shipped models are within two percent of their lower bounds") {
  for (const char* name : {"dgan", "dgan_int8", "dcgan", "dcgan_int8", "conv_vae", "conv_vae_int8"}) {
    for (uint32_t batch : {1U, 16U, 64U}) {
      const Opened opened(name, options_of(batch));
      fig_memory_report report{};
      REQUIRE(fig_session_memory_used(opened.session, &report) == FIG_OK);
      CHECK(static_cast<double>(report.arena) <= 1.02 * static_cast<double>(report.arena_lower_bound));
    }
  }
}
