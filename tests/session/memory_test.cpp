// What sessions take, counted by the process's allocator, against what they report.
#include <doctest/doctest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "allocations.h"
#include "figment/figment.h"
#include "guarded_memory.h"
#include "support.h"

using namespace figment;

namespace {

constexpr size_t kAlignment = 64;

std::string shipped(const std::string& name) {
  return std::string(FIGMENT_TEST_SOURCE "/../models/") + name.substr(0, name.find("_int8")) + "/" + name + ".figment";
}

// Every model that the project ships, and small ones that train.
std::vector<std::string> all_models() {
  std::vector<std::string> paths;
  for (const char* name : {"gan",
                           "gan_int8",
                           "vae",
                           "vae_int8",
                           "crgan",
                           "crgan_int8",
                           "infogan_int8",
                           "dgan_int8",
                           "deep_infogan_int8",
                           "cdcgan",
                           "cdcgan_int8",
                           "conv_vae",
                           "conv_vae_int8",
                           "lstm_crgan",
                           "lstm_crgan_int8",
                           "recurrent_infogan",
                           "recurrent_infogan_int8",
                           "recurrent_vae",
                           "recurrent_vae_int8",
                           "weather_crgan",
                           "weather_crgan_int8"}) {
    paths.push_back(shipped(name));
  }
  for (const char* name :
       {"dgan", "dgan_f16", "dcgan", "dcgan_int8", "tiny_gan", "tiny_dcgan", "tiny_vae", "tiny_crgan"}) {
    paths.push_back(test::model_path(name));
  }
  return paths;
}

struct Case {
  std::string path;
  bool training;
  uint32_t batch;
  fig_kernels kernels;
};

fig_session_options options_of(const Case& c) {
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.batch = c.batch;
  options.training = c.training;
  options.kernels = c.kernels;
  return options;
}

// Calls check(case) for all models: inference of one sample and of many, and training.
template <typename Check>
void for_all_models(Check check) {
  for (const std::string& path : all_models()) {
    fig_model* model = nullptr;
    REQUIRE_MESSAGE(fig_model_open(path.c_str(), &model) == FIG_OK, fig_error_message());
    fig_model_info info{};
    REQUIRE(fig_model_get_info(model, &info) == FIG_OK);
    bool trains = false;
    for (uint32_t i = 0; i < info.programs; ++i) {
      fig_program_info program{};
      REQUIRE(fig_model_program(model, i, &program) == FIG_OK);
      trains = trains || program.trains;
    }
    fig_model_close(model);
    for (fig_kernels kernels : {FIG_KERNELS_BEST, FIG_KERNELS_PORTABLE}) {
      for (uint32_t batch : {1U, 16U}) {
        const Case c{path, false, batch, kernels};
        INFO(path, " batch ", batch, std::string(kernels == FIG_KERNELS_BEST ? " best" : " portable"));
        check(c);
      }
      if (!trains) continue;
      const Case c{path, true, 8, kernels};
      INFO(path, " training", std::string(kernels == FIG_KERNELS_BEST ? " best" : " portable"));
      check(c);
    }
  }
}

// What a process takes once: the backend's start, the test framework's buffers.
void warm_up() {
  INFO(std::string("warming up"), " ", 1U);
  CHECK(test::allocations() > 0);
  fig_model* model = nullptr;
  fig_session* session = nullptr;
  REQUIRE(fig_model_open(test::model_path("dcgan").c_str(), &model) == FIG_OK);
  REQUIRE(fig_session_create(model, nullptr, &session) == FIG_OK);
  fig_session_destroy(session);
  fig_model_close(model);
}

}  // namespace

TEST_CASE("a session takes what it reports, and no more while it is created") {
  warm_up();
  for_all_models([](const Case& c) {
    const fig_session_options options = options_of(c);
    fig_model* model = nullptr;
    fig_session* session = nullptr;
    fig_memory_report report{};
    const size_t before = test::bytes_taken();
    test::reset_peak();
    REQUIRE(fig_model_open(c.path.c_str(), &model) == FIG_OK);
    const size_t opened = test::bytes_taken() - before;
    fig_memory_report needed{};
    REQUIRE(fig_session_memory(model, &options, &needed) == FIG_OK);
    const fig_status created = fig_session_create(model, &options, &session);
    const size_t taken = test::bytes_taken() - before;
    const size_t peak = test::bytes_peak() - before;
    REQUIRE_MESSAGE(created == FIG_OK, fig_error_message());
    REQUIRE(fig_session_memory_used(session, &report) == FIG_OK);
    fig_model_info info{};
    REQUIRE(fig_model_get_info(model, &info) == FIG_OK);
    CHECK(opened == report.model - info.file_bytes);
    const bool widened = c.path.find("_f16") != std::string::npos;
    CHECK((widened ? opened > fig_model_size() : opened == fig_model_size()));
    CHECK(taken == report.total - info.file_bytes);
    CHECK(peak <= needed.peak - info.file_bytes);
    CHECK(needed.total == report.total);
    fig_session_destroy(session);
    fig_model_close(model);
    CHECK(test::bytes_taken() == before);
  });
}

TEST_CASE("a limit of what a session reports suffices, and one byte less does not") {
  for_all_models([](const Case& c) {
    fig_session_options options = options_of(c);
    fig_model* model = nullptr;
    fig_session* session = nullptr;
    fig_memory_report report{};
    REQUIRE(fig_model_open(c.path.c_str(), &model) == FIG_OK);
    REQUIRE_MESSAGE(fig_session_create(model, &options, &session) == FIG_OK, fig_error_message());
    REQUIRE(fig_session_memory_used(session, &report) == FIG_OK);
    fig_session_destroy(session);
    options.memory_limit = report.total;
    REQUIRE_MESSAGE(fig_session_create(model, &options, &session) == FIG_OK, fig_error_message());
    fig_session_destroy(session);
    session = nullptr;
    options.memory_limit = report.total - 1;
    const fig_status status = fig_session_create(model, &options, &session);
    if (c.training && status == FIG_OK) {
      // In another way, which takes less.
      REQUIRE(fig_session_memory_used(session, &report) == FIG_OK);
      CHECK(report.total <= options.memory_limit);
    } else {
      CHECK(status == FIG_MEMORY_LIMIT);
    }
    fig_session_destroy(session);
    fig_model_close(model);
  });
}

TEST_CASE("a refusal names a limit that suffices, or one that does not where it is too small to measure in") {
  for_all_models([](const Case& c) {
    fig_session_options options = options_of(c);
    options.memory_limit = 1;
    bool named = false;  // a limit that suffices
    for (int rounds = 0;; ++rounds) {
      REQUIRE(rounds < 100);
      fig_model* model = nullptr;
      fig_session* session = nullptr;
      REQUIRE(fig_model_open(c.path.c_str(), &model) == FIG_OK);
      const fig_status status = fig_session_create(model, &options, &session);
      const std::string message = fig_error_message();
      fig_session_destroy(session);
      fig_model_close(model);
      if (status == FIG_OK) break;
      REQUIRE(status == FIG_MEMORY_LIMIT);
      INFO(message);
      REQUIRE(!named);
      unsigned long long bytes = 0;
      named = std::sscanf(message.c_str(), "needs %llu bytes", &bytes) == 1;
      REQUIRE((named || std::sscanf(message.c_str(), "needs at least %llu bytes", &bytes) == 1));
      REQUIRE(bytes > options.memory_limit);
      options.memory_limit = bytes;
    }
  });
}

TEST_CASE("a refusal of a footprint is in bytes of the bare-metal target") {
  for_all_models([](const Case& c) {
    fig_session_options options = options_of(c);
    options.memory_limit = 0;
    fig_model* model = nullptr;
    REQUIRE(fig_model_open(c.path.c_str(), &model) == FIG_OK);
    fig_footprint whole{};
    REQUIRE(fig_session_footprint(model, &options, &whole) == FIG_OK);
    // The least that it takes is what the message names.
    options.memory_limit = 8192;
    fig_footprint found{};
    fig_status status = FIG_OK;
    for (int rounds = 0; (status = fig_session_footprint(model, &options, &found)) != FIG_OK; ++rounds) {
      REQUIRE(status == FIG_MEMORY_LIMIT);
      REQUIRE(rounds < 100);
      const std::string message = fig_error_message();
      INFO(message);
      unsigned long long bytes = 0;
      REQUIRE((std::sscanf(message.c_str(), "needs %llu bytes", &bytes) == 1 ||
               std::sscanf(message.c_str(), "needs at least %llu bytes", &bytes) == 1));
      CHECK(message.find("the limit is " + std::to_string(options.memory_limit)) != std::string::npos);
      REQUIRE(bytes > options.memory_limit);
      REQUIRE(bytes <= whole.model + whole.session);
      options.memory_limit = bytes;
    }
    CHECK(found.model + found.session <= options.memory_limit);
    fig_model_close(model);
  });
}

TEST_CASE("weights in f16 are f32 again once the model is open, which takes memory of the system's") {
  const std::vector<uint8_t> bytes = test::read_bytes(test::model_path("dgan_f16"));
  const std::vector<uint8_t> whole = test::read_bytes(test::model_path("dgan"));
  CHECK(bytes.size() * 100 < whole.size() * 52);
  test::AlignedBytes file(bytes);
  test::GuardedMemory memory(fig_model_size(), kAlignment);
  fig_model* model = nullptr;
  CHECK(fig_model_init(file.data(), file.size(), memory.data(), fig_model_size(), &model) == FIG_UNSUPPORTED);
  CHECK(std::string(fig_error_message()).find("f16") != std::string::npos);
  set_allocation_hook([](size_t size) { return size <= fig_model_size(); });
  const fig_status refused = fig_model_open_memory(file.data(), file.size(), &model);
  set_allocation_hook(nullptr);
  CHECK(refused == FIG_OUT_OF_MEMORY);
  std::vector<float> samples[2];
  for (const char* name : {"dgan_f16", "dgan"}) {
    fig_session* session = nullptr;
    std::vector<float>& out = samples[std::string(name) == "dgan"];
    out.resize(4 * 784);
    REQUIRE(fig_model_open(test::model_path(name).c_str(), &model) == FIG_OK);
    REQUIRE(fig_session_create(model, nullptr, &session) == FIG_OK);
    REQUIRE(fig_generate(session, 4, nullptr, out.data(), out.size()) == FIG_OK);
    fig_session_destroy(session);
    fig_model_close(model);
  }
  CHECK(samples[0] != samples[1]);
  CHECK(test::relative_error(samples[0], samples[1]) < 5e-3);  // weights are rounded by 2^-11 at most
}

TEST_CASE("without a heap, a model with a plan opens, is measured and generates") {
  constexpr uint32_t kPlannedBatch = 1;
  const std::string path = test::model_path("dgan_planned");
  const std::vector<uint8_t> bytes = test::read_bytes(path);
  test::AlignedBytes file(bytes);
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.batch = kPlannedBatch;
  options.kernels = FIG_KERNELS_PORTABLE;
  options.seed = 5;
  fig_model* model = nullptr;
  fig_session* session = nullptr;
  REQUIRE(fig_model_open(path.c_str(), &model) == FIG_OK);
  REQUIRE(fig_session_create(model, &options, &session) == FIG_OK);
  std::vector<float> expected(784 * kPlannedBatch);
  REQUIRE(fig_generate(session, kPlannedBatch, nullptr, expected.data(), expected.size()) == FIG_OK);
  fig_session_destroy(session);
  fig_model_close(model);

  test::GuardedMemory model_memory(fig_model_size(), kAlignment);
  set_allocation_hook([](size_t) { return false; });
  size_t weights = 1;
  size_t needed = 0;
  const bool measured =
      fig_model_init(file.data(), file.size(), model_memory.data(), fig_model_size(), &model) == FIG_OK &&
      fig_model_pack_size(model, &options, &weights) == FIG_OK && fig_session_size(model, &options, &needed) == FIG_OK;
  set_allocation_hook(nullptr);
  REQUIRE_MESSAGE(measured, fig_error_message());
  CHECK(weights == 0);
  test::GuardedMemory memory(needed, kAlignment);
  std::vector<float> values(expected.size());
  set_allocation_hook([](size_t) { return false; });
  const bool generated = fig_session_init(model, &options, memory.data(), needed, &session) == FIG_OK &&
                         fig_generate(session, kPlannedBatch, nullptr, values.data(), values.size()) == FIG_OK;
  set_allocation_hook(nullptr);
  REQUIRE_MESSAGE(generated, fig_error_message());
  CHECK(values == expected);
  fig_session_destroy(session);
  fig_model_close(model);
}

TEST_CASE("what is packed into no memory is nothing, and refused where weights are needed") {
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.kernels = FIG_KERNELS_BEST;
  fig_model* model = nullptr;
  REQUIRE(fig_model_open(test::model_path("dcgan").c_str(), &model) == FIG_OK);
  size_t bytes = 0;
  REQUIRE(fig_model_pack_size(model, &options, &bytes) == FIG_OK);
  CHECK((fig_model_pack(model, &options, nullptr, 0) == FIG_OK) == (bytes == 0));
  fig_model_close(model);
}

TEST_CASE("outputs are neither read nor written beyond their end") {
  for (const std::string& path : all_models()) {
    for (uint32_t count : {1U, 3U}) {
      fig_model* model = nullptr;
      fig_session* session = nullptr;
      fig_latent_info latent{};
      REQUIRE(fig_model_open(path.c_str(), &model) == FIG_OK);
      fig_session_options options{};
      options.struct_size = sizeof options;
      options.batch = count;
      options.program = "discriminate";
      if (fig_session_create(model, &options, &session) != FIG_OK) {
        options.program = fig_model_latent(model, &latent) == FIG_OK ? latent.program : nullptr;
        REQUIRE_MESSAGE(fig_session_create(model, &options, &session) == FIG_OK, fig_error_message());
      }
      fig_model_info info{};
      REQUIRE(fig_model_get_info(model, &info) == FIG_OK);
      uint32_t program = 0;
      fig_program_info found{};
      do {
        REQUIRE(fig_model_program(model, program++, &found) == FIG_OK);
      } while (std::string(found.name) != options.program);
      --program;
      const auto elements = [&](const fig_shape& shape) {
        size_t product = 1;
        for (uint32_t i = 0; i < shape.rank; ++i) product *= shape.extents[i] * (shape.per_batch[i] ? count : 1);
        return product;
      };
      std::vector<std::vector<float>> inputs;
      std::vector<fig_tensor> given;
      for (uint32_t i = 0; i < found.inputs; ++i) {
        fig_port_info port{};
        REQUIRE(fig_model_input(model, program, i, &port) == FIG_OK);
        inputs.emplace_back(elements(port.shape), 0.25F);
        given.push_back({port.name, inputs.back().data(), inputs.back().size(), FIG_F32});
      }
      fig_port_info port{};
      REQUIRE(fig_model_output(model, program, 0, &port) == FIG_OK);
      // A guard page right behind, without the padding that the library's own buffers have.
      test::GuardedMemory memory(elements(port.shape) * sizeof(float));
      auto* out = reinterpret_cast<float*>(memory.data() + kReadablePadding);
      const fig_tensor output = {port.name, out, elements(port.shape), FIG_F32};
      CHECK_MESSAGE(fig_run(session, options.program, count, given.data(), given.size(), &output, 1) == FIG_OK,
                    fig_error_message());
      fig_session_destroy(session);
      fig_model_close(model);
    }
  }
}

TEST_CASE("in the caller's memory a session takes none of the system's, and computes the same") {
  warm_up();
  for_all_models([](const Case& c) {
    if (c.path.find("_f16") != std::string::npos) return;  // refused, see above
    const fig_session_options options = options_of(c);
    const std::vector<uint8_t> bytes = test::read_bytes(c.path);
    test::AlignedBytes file(bytes);
    test::GuardedMemory model_memory(fig_model_size(), kAlignment);
    fig_model* model = nullptr;
    const size_t before_model = test::bytes_taken();
    REQUIRE_MESSAGE(fig_model_init(file.data(), file.size(), model_memory.data(), fig_model_size(), &model) == FIG_OK,
                    fig_error_message());
    CHECK(test::bytes_taken() == before_model);
    fig_session* session = nullptr;
    size_t weight_bytes = 0;
    size_t session_bytes = 0;
    REQUIRE_MESSAGE(fig_model_pack_size(model, &options, &weight_bytes) == FIG_OK, fig_error_message());
    test::GuardedMemory weights((weight_bytes + kAlignment - 1) / kAlignment * kAlignment, kAlignment);
    REQUIRE_MESSAGE(fig_model_pack(model, &options, weights.data(), weight_bytes) == FIG_OK, fig_error_message());
    REQUIRE_MESSAGE(fig_session_size(model, &options, &session_bytes) == FIG_OK, fig_error_message());
    CHECK(session_bytes % kAlignment == 0);
    test::GuardedMemory memory(session_bytes, kAlignment);
    const size_t before = test::bytes_taken();
    test::reset_peak();
    CHECK(fig_session_init(model, &options, memory.data(), session_bytes - kAlignment, &session) == FIG_MEMORY_LIMIT);
    REQUIRE_MESSAGE(fig_session_init(model, &options, memory.data(), session_bytes, &session) == FIG_OK,
                    fig_error_message());
    CHECK(test::bytes_taken() == before);
    CHECK(test::bytes_peak() == before);
    fig_memory_report report{};
    REQUIRE(fig_session_memory_used(session, &report) == FIG_OK);
    CHECK(report.programs + report.operators + report.variables + report.arena == session_bytes);
    fig_session_destroy(session);
    fig_model_close(model);
    CHECK(weights.intact());
    CHECK(memory.intact());
  });
}
