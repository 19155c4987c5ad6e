// Promises of training that hold for every objective and kind of network.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

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

TEST_CASE("sessions prepare the programs that they are asked for alone") {
  Trainer all("tiny_gan");
  fig_session_options options{};
  options.program = "";
  Trainer none("tiny_gan", options);
  options.program = "discriminate,generate";
  Trainer two("tiny_gan", options);
  for (int i = 0; i < 2; ++i) {
    all.step();
    none.step();
    two.step();
  }
  CHECK(all.parameters() == none.parameters());
  CHECK(all.parameters() == two.parameters());
  CHECK(memory_of(none).programs < memory_of(two).programs);
  CHECK(memory_of(two).programs < memory_of(all).programs);
  std::vector<float> sample(128);
  std::vector<float> again(128);
  const float label[] = {1, 0, 0};
  const fig_tensor condition = {"label", const_cast<float*>(label), 3, FIG_F32};
  const fig_generate_options generate = {sizeof(fig_generate_options), 0, nullptr, nullptr, &condition, 1};
  CHECK(fig_generate(none.session, 1, &generate, sample.data(), sample.size()) == FIG_INVALID_ARGUMENT);
  CHECK(fig_generate(two.session, 1, &generate, sample.data(), sample.size()) == FIG_OK);
  CHECK(fig_generate(all.session, 1, &generate, again.data(), again.size()) == FIG_OK);
  CHECK(sample == again);

  fig_session* session = nullptr;
  options.struct_size = sizeof options;
  const auto refused = [&](bool training, const char* programs) {
    options.training = training;
    options.program = programs;
    return fig_session_create(all.model, &options, &session);
  };
  CHECK(refused(true, "paint") == FIG_NOT_FOUND);
  CHECK(refused(true, "generate,paint") == FIG_NOT_FOUND);
  CHECK(std::string(fig_error_message()).find("generate,paint") != std::string::npos);
  CHECK(refused(true, "generate,") == FIG_NOT_FOUND);
  CHECK(refused(true, "generate,train.step") == FIG_INVALID_ARGUMENT);
  CHECK(refused(false, "generate,train.step") == FIG_INVALID_ARGUMENT);
  CHECK(refused(false, "") == FIG_NOT_FOUND);
  CHECK(session == nullptr);
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
      CHECK(large.step(2).step == 2);
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
    options.micro_batch = 4;  // 4, 4 and 2
    options.training = true;
    fig_session* refused = nullptr;
    if (std::string(name) == "tiny_dcgan" || std::string(name) == "tiny_private") {
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
  std::vector<float> loss(1);
  const auto run = [&](size_t count, float last) {
    std::vector<float> sample(count * 30, 0.5F);
    std::vector<float> noise(count * 4, 0.1F);
    sample.back() = last;
    loss[0] = NAN;
    const fig_tensor inputs[] = {{"sample", sample.data(), sample.size(), FIG_F32},
                                 {"noise", noise.data(), noise.size(), FIG_F32}};
    const fig_tensor output = {"vae.loss", loss.data(), 1, FIG_F32};
    REQUIRE_MESSAGE(fig_run(trainer.session, "train.step", count, inputs, 2, &output, 1) == FIG_OK,
                    fig_error_message());
    return loss[0];
  };
  const float plain = run(6, 0.5F);
  CHECK(std::fabs(run(6, 1000.0F) - plain) > 1);
  // To one address, whatever the number.
  for (size_t count : {4, 6, 3, 6}) CHECK(std::fabs(run(count, 0.5F)) < 1e9F);
  // The losses of a step are the session's again, not in the memory of a run that is over.
  const fig_metrics metrics = trainer.step();
  CHECK(std::isfinite(metrics.values[0].value));
}

TEST_CASE("an exported model trains on as a model of the same parameters does, its optimizer anew") {
  for (const char* name : kTrainable) {
    INFO(std::string(name));
    Trainer trained(name);
    for (int i = 0; i < 20; ++i) trained.step();
    const std::string path =
        std::string("/tmp/figment_exported_") + std::to_string(reinterpret_cast<uintptr_t>(&trained));
    REQUIRE(fig_session_export(trained.session, path.c_str()) == FIG_OK);
    Trainer exported(name, {}, path);
    std::remove(path.c_str());
    const char* number = nullptr;
    for (uint32_t i = 0; fig_model_scalar(exported.model, i, &number) == FIG_OK; ++i) {
      double value = 1;
      REQUIRE(fig_session_get_scalar(exported.session, number, &value) == FIG_OK);
      if (std::string(number).ends_with(".steps")) CHECK_MESSAGE(value == 0, number);
    }
    // The vectors of its spectral normalization are no parameters, and go on.
    if (std::string(name) == "tiny_gan") continue;
    Trainer fresh(name);
    fig_parameter_info info{};
    const auto parameters = trained.parameters();
    for (uint32_t i = 0; fig_model_parameter(fresh.model, i, &info) == FIG_OK; ++i) {
      const auto found = parameters.find(info.name);
      if (found == parameters.end() || info.derived) continue;
      REQUIRE(fig_parameter_set(fresh.session, info.name, found->second.data(), found->second.size()) == FIG_OK);
    }
    for (int i = 0; i < 2; ++i) {
      exported.step();
      fresh.step();
    }
    const auto after = exported.parameters();
    for (const auto& [parameter, values] : fresh.parameters()) {
      // Averages go on from those that were exported.
      if (!parameter.ends_with(".ema")) CHECK_MESSAGE(values == after.at(parameter), parameter);
    }
  }
}

TEST_CASE("what has become infinite is neither saved nor exported") {
  Trainer trainer("tiny_crgan");
  trainer.step();
  REQUIRE(fig_session_set_scalar(trainer.session, "g.learning_rate", 1e38) == FIG_OK);
  // Momentum that is none.
  REQUIRE(fig_session_set_scalar(trainer.session, "g.beta1", 1e38) == FIG_OK);
  for (int i = 0; i < 4; ++i) trainer.step();
  const std::string path =
      std::string("/tmp/figment_infinite_") + std::to_string(reinterpret_cast<uintptr_t>(&trainer));
  CHECK(fig_session_export(trainer.session, path.c_str()) == FIG_INVALID_ARGUMENT);
  CHECK(fig_checkpoint_save(trainer.session, path.c_str(), nullptr, 0) == FIG_INVALID_ARGUMENT);
  CHECK(std::string(fig_error_message()).find("infinite") != std::string::npos);
}

namespace {

// A batch of a model whose train programs have the one data input "sample".
struct Given {
  Given(size_t count, size_t sample) : values(count * sample, 0.5F) {
    tensors.push_back({"sample", values.data(), values.size(), FIG_F32});
    batch.struct_size = sizeof batch;
    batch.count = count;
  }
  fig_status step(const Trainer& trainer) {
    batch.inputs = tensors.data();
    batch.input_count = tensors.size();
    batch.latents = latents.data();
    batch.latent_count = latents.size();
    fig_metrics metrics{};
    return fig_train_step(trainer.session, &batch, &metrics);
  }
  std::vector<float> values;
  std::vector<fig_tensor> tensors;
  std::vector<fig_tensor> latents;
  fig_batch batch{};
};

bool says(const std::string& part) { return std::string(fig_error_message()).find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a step that is refused changes nothing, whatever is wrong with its batch") {
  fig_session_options options{};
  options.batch = 6;
  options.micro_batch = 2;
  options.struct_size = sizeof options;
  for (const char* name : {"tiny_vae", "tiny_infogan"}) {
    INFO(std::string(name));
    Trainer trainer(name, options);
    trainer.step();
    const auto before = trainer.parameters();
    fig_port_info port{};
    size_t sample = 0;
    std::vector<fig_drawn_info> drawn;
    fig_drawn_info info{};
    while (fig_model_drawn(trainer.model, static_cast<uint32_t>(drawn.size()), &info) == FIG_OK) drawn.push_back(info);
    REQUIRE(!drawn.empty());
    fig_model_info model{};
    REQUIRE(fig_model_get_info(trainer.model, &model) == FIG_OK);
    for (uint32_t p = 0; p < model.programs && sample == 0; ++p) {
      for (uint32_t i = 0; fig_model_input(trainer.model, p, i, &port) == FIG_OK; ++i) {
        if (std::string(port.name) != "sample") continue;
        sample = 1;
        for (uint32_t d = 1; d < port.shape.rank; ++d) sample *= port.shape.extents[d];
      }
    }
    // The last latent that is drawn belongs to the last sub-step.
    const fig_drawn_info& last = drawn.back();
    std::vector<float> latent(6 * last.size);
    const auto refused = [&](Given given, const char* message) {
      CHECK(given.step(trainer) == FIG_INVALID_ARGUMENT);
      CHECK_MESSAGE(says(message), fig_error_message());
      CHECK(fig_session_steps(trainer.session) == 1);
      CHECK(trainer.parameters() == before);
    };
    const Given good(6, sample);
    Given bad = good;
    bad.tensors[0].elements -= 1;
    refused(bad, "elements");
    bad = good;
    bad.latents = {{last.input, latent.data(), latent.size() - 1, FIG_F32}};
    refused(bad, "elements");
    bad = good;
    bad.latents = {{last.input, latent.data(), latent.size(), FIG_F32},
                   {last.input, latent.data(), latent.size(), FIG_F32}};
    refused(bad, "given twice");
    bad = good;
    bad.latents = {{"no such latent", latent.data(), latent.size(), FIG_F32}};
    refused(bad, "no train program draws \"no such latent\"");
    bad = good;
    bad.tensors.push_back({"labels", latent.data(), 6, FIG_F32});
    refused(bad, "no train program has an input \"labels\"; a batch holds \"sample\"");
    bad = good;
    bad.tensors.push_back({last.input, latent.data(), latent.size(), FIG_F32});
    refused(bad, "among the latents");
    bad = good;
    bad.tensors[0].data = nullptr;
    refused(bad, "no data");
    bad = good;
    bad.tensors.clear();
    refused(bad, "has no \"sample\"");
    bad = good;
    bad.batch.count = 7;
    refused(bad, "7 samples");
    Given fine = good;
    fine.tensors[0].data = fine.values.data();
    fine.latents = {{last.input, latent.data(), latent.size(), FIG_F32}};
    CHECK_MESSAGE(fine.step(trainer) == FIG_OK, fig_error_message());
  }
}

TEST_CASE("batch normalization of one value a channel is refused") {
  Trainer trainer("tiny_dcgan");
  const auto before = trainer.parameters();
  fig_port_info port{};
  REQUIRE(fig_model_input(trainer.model, 1, 0, &port) == FIG_OK);
  size_t sample = 1;
  for (uint32_t d = 1; d < port.shape.rank; ++d) sample *= port.shape.extents[d];
  Given one(1, sample);
  one.tensors[0].name = port.name;
  CHECK(one.step(trainer) == FIG_INVALID_ARGUMENT);
  CHECK_MESSAGE(says("one value a channel"), fig_error_message());
  CHECK(trainer.parameters() == before);
}

TEST_CASE("structs of older callers are taken, those that end inside a field are not") {
  Trainer trainer("tiny_vae");
  std::vector<float> out(1000);
  fig_generate_options generate{};
  std::vector<size_t> taken;
  for (size_t size = 0; size <= sizeof generate + 8; ++size) {
    generate.struct_size = size;
    fig_generate(trainer.session, 1, &generate, out.data(), out.size());
    if (!says("struct_size")) taken.push_back(size);
  }
  // All but those inside a field; padding (of 32-bit targets) belongs to none.
  using Options = fig_generate_options;
  const std::pair<size_t, size_t> fields[] = {{offsetof(Options, first_index), sizeof(uint64_t)},
                                              {offsetof(Options, latents), sizeof(void*)},
                                              {offsetof(Options, latents_out), sizeof(void*)},
                                              {offsetof(Options, inputs), sizeof(void*)},
                                              {offsetof(Options, input_count), sizeof(size_t)}};
  std::vector<size_t> whole;
  for (size_t size = sizeof(size_t); size <= sizeof generate; ++size) {
    const bool inside = std::any_of(std::begin(fields), std::end(fields), [&](const auto& field) {
      return size > field.first && size < field.first + field.second;
    });
    if (!inside) whole.push_back(size);
  }
  CHECK(taken == whole);
}

TEST_CASE("a model says what a batch holds") {
  fig_model* gan = nullptr;
  REQUIRE(fig_model_open(figment::test::model_path("tiny_gan").c_str(), &gan) == FIG_OK);
  fig_port_info port{};
  std::vector<std::string> names;
  while (fig_model_batch_input(gan, static_cast<uint32_t>(names.size()), &port) == FIG_OK) {
    names.emplace_back(port.name);
    CHECK(port.shape.per_batch[0]);
  }
  std::sort(names.begin(), names.end());
  CHECK(names == std::vector<std::string>{"label", "sample"});
  CHECK(fig_model_batch_input(gan, 2, &port) == FIG_NOT_FOUND);
  CHECK(fig_model_batch_input(nullptr, 0, &port) == FIG_INVALID_ARGUMENT);
  fig_model_close(gan);
  fig_model* generator = nullptr;
  REQUIRE(fig_model_open(figment::test::model_path("dgan").c_str(), &generator) == FIG_OK);
  CHECK(fig_model_batch_input(generator, 0, &port) == FIG_NOT_FOUND);
  fig_model_close(generator);
}

TEST_CASE("what people measure is kept by sessions, checkpoints and models") {
  fig_model* model = nullptr;
  REQUIRE(fig_model_open(figment::test::model_path("tiny_crgan").c_str(), &model) == FIG_OK);
  fig_scaling scaling{};
  REQUIRE(fig_model_scaling(model, nullptr, 1, &scaling) == FIG_OK);
  CHECK(scaling.scale == 0);
  CHECK(fig_model_scaling(model, nullptr, 2, &scaling) == FIG_NOT_FOUND);
  CHECK(fig_model_scaling(model, "nothing", 0, &scaling) == FIG_NOT_FOUND);
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.training = true;
  fig_session* session = nullptr;
  REQUIRE(fig_session_create(model, &options, &session) == FIG_OK);
  scaling = {20.5F, 4, "", "°C"};
  // 30 bytes, and a character of two: there is room for 31.
  std::snprintf(scaling.name, sizeof scaling.name, "%s", "temperature of the last stage \xc3");
  std::memcpy(scaling.name + 30, "\xc3\xa4", 2);
  CHECK(fig_session_set_scaling(session, nullptr, 1, &scaling) == FIG_OK);
  fig_scaling found{};
  REQUIRE(fig_session_get_scaling(session, "sample", 1, &found) == FIG_OK);
  CHECK(found.offset == 20.5F);
  CHECK(found.scale == 4);
  CHECK(std::string(found.name) == "temperature of the last stage ");
  CHECK(std::string(found.unit) == "°C");
  scaling.offset = INFINITY;
  CHECK(fig_session_set_scaling(session, nullptr, 1, &scaling) == FIG_INVALID_ARGUMENT);
  const std::string path = std::filesystem::temp_directory_path() / "figment_scaling.figment";
  const std::string folder = std::filesystem::temp_directory_path() / "figment_scaling_run";
  REQUIRE(fig_session_export(session, path.c_str()) == FIG_OK);
  REQUIRE(fig_checkpoint_save(session, folder.c_str(), nullptr, 0) == FIG_OK);
  fig_session_destroy(session);
  REQUIRE(fig_session_create(model, &options, &session) == FIG_OK);
  REQUIRE(fig_checkpoint_load(session, folder.c_str(), nullptr, 0, nullptr) == FIG_OK);
  REQUIRE(fig_session_get_scaling(session, nullptr, 1, &found) == FIG_OK);
  CHECK(found.scale == 4);
  fig_session_destroy(session);
  fig_model* exported = nullptr;
  REQUIRE(fig_model_open(path.c_str(), &exported) == FIG_OK);
  REQUIRE(fig_model_scaling(exported, nullptr, 1, &found) == FIG_OK);
  CHECK(found.offset == 20.5F);
  CHECK(std::string(found.unit) == "°C");
  fig_model_close(exported);
  fig_model_close(model);
  std::filesystem::remove(path);
  std::filesystem::remove_all(folder);
}
