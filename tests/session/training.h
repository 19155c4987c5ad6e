// What the tests of training share: the small models of data/recipes, which the x86-64 build converts.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "figment/figment.h"
#include "support.h"

namespace figment::test {

inline constexpr const char* kTrainable[] = {"tiny_gan",   "tiny_dcgan",   "tiny_adapted",    "tiny_vae",
                                             "tiny_crgan", "tiny_infogan", "tiny_classifier", "tiny_private"};

// A training session of a model, or of a file of it, on made-up data, which depends on the step alone.
class Trainer {
 public:
  explicit Trainer(const std::string& name, fig_session_options options = {}, const std::string& file = "")
      : name_(name) {
    const std::string path = file.empty() ? model_path(name) : file;
    REQUIRE_MESSAGE(fig_model_open(path.c_str(), &model) == FIG_OK, fig_error_message());
    options.struct_size = sizeof options;
    options.training = true;
    if (options.batch == 0) options.batch = 6;
    batch = options.batch;
    REQUIRE_MESSAGE(fig_session_create(model, &options, &session) == FIG_OK, fig_error_message());
    find_inputs();
  }
  ~Trainer() {
    fig_session_destroy(session);
    fig_model_close(model);
  }
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  fig_metrics step(size_t count = 0) {
    if (count == 0) count = batch;
    std::vector<fig_tensor> tensors;
    for (auto& [input, values] : inputs_) {
      Random random(fig_session_steps(session) + 1);
      for (float& value : values) value = random.real();
      // A VAE's samples are probabilities.
      if (name_ == "tiny_vae") {
        for (float& value : values) value = (value + 1) / 2;
      }
      tensors.push_back({input.c_str(), values.data(), values.size() / batch * count, FIG_F32});
    }
    const fig_batch given{sizeof(fig_batch), count, tensors.data(), tensors.size(), nullptr, 0};
    fig_metrics metrics{};
    REQUIRE_MESSAGE(fig_train_step(session, &given, &metrics) == FIG_OK, fig_error_message());
    return metrics;
  }

  std::map<std::string, std::vector<float>> parameters() const {
    std::map<std::string, std::vector<float>> result;
    fig_parameter_info info{};
    for (uint32_t i = 0; fig_model_parameter(model, i, &info) == FIG_OK; ++i) {
      if (std::string(info.name).ends_with(".gradient")) continue;  // without a value between steps
      size_t elements = 1;
      for (uint32_t d = 0; d < info.shape.rank; ++d) elements *= info.shape.extents[d];
      std::vector<float> values(elements);
      const fig_status status = fig_parameter_get(session, info.name, values.data(), elements);
      if (status == FIG_NOT_FOUND) continue;  // a constant
      REQUIRE_MESSAGE(status == FIG_OK, fig_error_message());
      result[info.name] = std::move(values);
    }
    return result;
  }

  fig_model* model = nullptr;
  fig_session* session = nullptr;
  size_t batch = 0;

 private:
  void find_inputs() {
    fig_model_info info{};
    REQUIRE(fig_model_get_info(model, &info) == FIG_OK);
    for (uint32_t p = 0; p < info.programs; ++p) {
      fig_program_info program{};
      REQUIRE(fig_model_program(model, p, &program) == FIG_OK);
      for (uint32_t i = 0; program.trains && i < program.inputs; ++i) {
        fig_port_info port{};
        REQUIRE(fig_model_input(model, p, i, &port) == FIG_OK);
        bool drawn = false;
        fig_drawn_info entry{};
        for (uint32_t d = 0; fig_model_drawn(model, d, &entry) == FIG_OK; ++d)
          drawn = drawn || std::string(entry.input) == port.name;
        size_t elements = batch;
        for (uint32_t d = 0; d < port.shape.rank; ++d) elements *= port.shape.extents[d];
        if (!drawn) inputs_[port.name].resize(elements);
      }
    }
  }

  std::string name_;
  std::map<std::string, std::vector<float>> inputs_;
};

}  // namespace figment::test
