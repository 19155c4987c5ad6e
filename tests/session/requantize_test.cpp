// The int8 form of what a session has trained, against what it computes in f32.
#include <cmath>
#include <cstring>
#include <string>

#include "core/memory.h"
#include "io/signal_to_noise.h"
#include "training.h"

using namespace figment::test;
using figment::Array;

namespace {

struct Form {
  Array<uint8_t> memory;
  size_t bytes = 0;
};

Form requantize(const Trainer& trainer) {
  size_t bytes = 0;
  REQUIRE_MESSAGE(fig_requantize_size(trainer.session, &bytes) == FIG_OK, fig_error_message());
  Form form;
  REQUIRE(form.memory.allocate(bytes));
  REQUIRE_MESSAGE(fig_requantize(trainer.session, form.memory.data(), bytes, &form.bytes) == FIG_OK,
                  fig_error_message());
  REQUIRE(form.bytes <= bytes);
  return form;
}

// What "generate" gives for latents, and classes where it takes some.
std::vector<float> generate(fig_model* model, fig_session* session) {
  constexpr size_t kCount = 32;
  std::vector<std::vector<float>> values;
  std::vector<fig_tensor> inputs;
  std::vector<float> samples;
  fig_tensor output{};
  fig_program_info program{};
  for (uint32_t p = 0; fig_model_program(model, p, &program) == FIG_OK; ++p) {
    if (std::string(program.name) != "generate") continue;
    values.resize(program.inputs);
    const auto elements = [](const fig_port_info& port) {
      size_t count = kCount;
      for (uint32_t d = 0; d < port.shape.rank; ++d) count *= port.shape.extents[d];
      return count;
    };
    fig_port_info port{};
    for (uint32_t i = 0; i < program.inputs; ++i) {
      REQUIRE(fig_model_input(model, p, i, &port) == FIG_OK);
      values[i].resize(elements(port));
      const size_t size = values[i].size() / kCount;
      for (size_t j = 0; j < values[i].size(); ++j) {
        const bool is_class = std::string(port.name) == "label";
        values[i][j] = is_class ? (j % size == j / size % size ? 1.0F : 0.0F) : std::sin(static_cast<float>(j) * 1.7F);
      }
      inputs.push_back({port.name, values[i].data(), values[i].size(), FIG_F32});
    }
    REQUIRE(fig_model_output(model, p, 0, &port) == FIG_OK);
    samples.resize(elements(port));
    output = {port.name, samples.data(), samples.size(), FIG_F32};
  }
  REQUIRE_MESSAGE(fig_run(session, "generate", kCount, inputs.data(), inputs.size(), &output, 1) == FIG_OK,
                  fig_error_message());
  return samples;
}

double signal_to_noise(const Trainer& trainer, const Form& form) {
  fig_model* model = nullptr;
  fig_session* session = nullptr;
  REQUIRE_MESSAGE(fig_model_open_memory(form.memory.data(), form.bytes, &model) == FIG_OK, fig_error_message());
  REQUIRE_MESSAGE(fig_session_create(model, nullptr, &session) == FIG_OK, fig_error_message());
  figment::io::SignalToNoise ratio;
  ratio.add(generate(model, session), generate(trainer.model, trainer.session), 1);
  fig_session_destroy(session);
  fig_model_close(model);
  return ratio.decibels();
}

fig_session_options of_program(const char* program) {
  fig_session_options options{};
  options.program = program;
  return options;
}

// Sets what generates to values for which the old ranges and weights are wrong.
void scramble(Trainer* trainer) {
  Random random(5);
  for (auto& [name, values] : trainer->parameters()) {
    if (!name.starts_with("generator.") || name.find(".adam_") != std::string::npos) continue;
    const bool variance = name.find("running_var") != std::string::npos;
    for (float& value : values) value = variance ? 1.1F + random.real() : value + 0.4F * random.real();
    REQUIRE(fig_parameter_set(trainer->session, name.c_str(), values.data(), values.size()) == FIG_OK);
  }
}

constexpr const char* kForms[] = {"tiny_gan_int8", "tiny_dcgan_int8", "tiny_crgan_int8"};

}  // namespace

TEST_CASE("a session writes what it has trained in int8, near to f32, and stays as it is") {
  for (const char* name : kForms) {
    CAPTURE(std::string(name));
    Trainer trainer(name);
    Trainer other(name);
    const Form first = requantize(trainer);
    for (Trainer* each : {&trainer, &other}) {
      each->step();
      scramble(each);
    }
    const Form second = requantize(trainer);
    CHECK(first.bytes == second.bytes);
    CAPTURE(signal_to_noise(trainer, first));
    CHECK(signal_to_noise(trainer, second) > 15);
    CHECK(signal_to_noise(trainer, first) < 10);
    CHECK(trainer.parameters() == other.parameters());
    trainer.step();
    other.step();
    CHECK(trainer.parameters() == other.parameters());
  }
}

TEST_CASE("the int8 form does not depend on the session's batch, threads and seed") {
  for (const char* name : kForms) {
    CAPTURE(std::string(name));
    const Form expected = requantize(Trainer(name));
    for (const uint32_t batch : {1U, 5U, 128U}) {
      fig_session_options options{};
      options.batch = batch;
      options.threads = batch == 5 ? 2 : 1;
      options.seed = batch;
      const Form other = requantize(Trainer(name, options));
      REQUIRE(other.bytes == expected.bytes);
      CHECK(std::memcmp(other.memory.data(), expected.memory.data(), expected.bytes) == 0);
    }
  }
}

TEST_CASE("sessions that cannot write an int8 form say why") {
  size_t bytes = 0;
  size_t size = 0;
  const auto message = [] { return std::string(fig_error_message()); };
  CHECK(fig_requantize_size(Trainer("tiny_gan").session, &bytes) == FIG_NOT_FOUND);
  CHECK(message().find("--int8 --keep-training") != std::string::npos);
  // Created without what int8 follows.
  CHECK(fig_requantize_size(Trainer("tiny_gan_int8", of_program("generate")).session, &bytes) == FIG_INVALID_ARGUMENT);
  Trainer trainer("tiny_gan_int8", of_program("int8"));
  fig_session* runs = nullptr;
  REQUIRE(fig_session_create(trainer.model, nullptr, &runs) == FIG_OK);
  CHECK(fig_requantize_size(runs, &bytes) == FIG_INVALID_ARGUMENT);
  fig_session_destroy(runs);
  REQUIRE(fig_requantize_size(trainer.session, &bytes) == FIG_OK);
  Array<uint8_t> memory;
  REQUIRE(memory.allocate(bytes + 64));
  CHECK(fig_requantize(trainer.session, memory.data() + 4, bytes, &size) == FIG_INVALID_ARGUMENT);
  CHECK(message().find("aligned") != std::string::npos);
  CHECK(fig_requantize(trainer.session, memory.data(), bytes - 1, &size) == FIG_INVALID_ARGUMENT);
  CHECK(message().find("fig_requantize_size") != std::string::npos);
  CHECK(fig_requantize(trainer.session, nullptr, bytes, &size) == FIG_INVALID_ARGUMENT);
  CHECK(size == 0);
  auto parameters = trainer.parameters();
  size_t set = 0;
  // Values for which scales are no normal numbers.
  for (auto& [parameter, values] : parameters) {
    if (!parameter.starts_with("generator.") || parameter.find(".adam_") != std::string::npos) continue;
    std::vector<float> tiny(values.size(), 1e-42F);
    set += fig_parameter_set(trainer.session, parameter.c_str(), tiny.data(), tiny.size()) == FIG_OK ? 1 : 0;
  }
  REQUIRE(set > 0);
  CHECK(fig_requantize(trainer.session, memory.data(), bytes, &size) == FIG_UNSUPPORTED);
  CHECK(message().find("too small or too large") != std::string::npos);
  CHECK(size == 0);
  set = 0;
  for (auto& [parameter, values] : parameters) {
    if (!parameter.starts_with("generator.") || parameter.find(".adam_") != std::string::npos) continue;
    values[0] = 3e38F;
    set += fig_parameter_set(trainer.session, parameter.c_str(), values.data(), values.size()) == FIG_OK ? 1 : 0;
  }
  REQUIRE(set > 0);
  CHECK(fig_requantize(trainer.session, memory.data(), bytes, &size) == FIG_INVALID_ARGUMENT);
  CHECK(message().find("NaN") != std::string::npos);
}
