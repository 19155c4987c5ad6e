#include "classifier.h"

#include <fmt/format.h>

namespace figment::cli {

using evaluation::Features;

namespace {

constexpr uint32_t kBatch = 64;
constexpr const char* kHowTo =
    "a classifier has one input and the outputs features and logits (figment train --classifier-recipe makes one for "
    "your images)";

fig_port_info port_of(const OpenModel& open, uint32_t program, const std::string& output) {
  fig_program_info info{};
  check(fig_model_program(open.model(), program, &info));
  for (uint32_t i = 0; i < info.outputs; ++i) {
    const fig_port_info port = open.output(program, i);
    if (output == port.name) return port;
  }
  throw Error("the program " + std::string(info.name) + " has no output \"" + output + "\"");
}

}  // namespace

Classifier::Classifier(const std::string& path, uint32_t threads) : open_(path), path_(path) {
  fig_model_info model{};
  check(fig_model_get_info(open_.model(), &model));
  // One that Figment has trained has its train steps, too.
  const bool trained = open_.has_program("classify");
  if (model.programs != 1 && !trained) throw Error(path + ": is no classifier: it has several programs; " + kHowTo);
  fig_program_info info{};
  const uint32_t program = open_.find_program(trained ? "classify" : "");
  check(fig_model_program(open_.model(), program, &info));
  program_ = info.name;
  if (info.inputs != 1) throw Error(fmt::format("{}: has {} inputs; {}", path, info.inputs, kHowTo));
  const fig_port_info input = open_.input(program, 0);
  input_ = input.name;
  elements_ = sample_elements(input.shape);
  features_ = sample_elements(port_of(open_, program, "features").shape);
  classes_ = sample_elements(port_of(open_, program, "logits").shape);
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.batch = kBatch;
  options.threads = threads;
  options.program = program_.c_str();
  open_.open_session(options);
}

void Classifier::check_size(size_t elements) const {
  if (elements == elements_) return;
  throw Error(
      fmt::format("{}: takes images of {} values, the model makes {}: train one for such images (figment train "
                  "--classifier-recipe), or leave it out to compare them by --features random",
                  path_, elements_, elements));
}

Classifier::Result Classifier::classify(const Features& samples, float low, float high) const {
  check_size(static_cast<size_t>(samples.cols()));
  const auto count = static_cast<size_t>(samples.rows());
  Features scaled = ((samples.array() - low) * (2 / (high - low)) - 1).matrix();
  Result result{evaluation::rows(count, features_), std::vector<size_t>(count)};
  Features logits = evaluation::rows(count, classes_);
  const fig_tensor input{input_.c_str(), scaled.data(), count * elements_, FIG_F32};
  const fig_tensor outputs[] = {{"features", result.features.data(), count * features_, FIG_F32},
                                {"logits", logits.data(), count * classes_, FIG_F32}};
  check(fig_run(open_.session(), program_.c_str(), count, &input, 1, outputs, 2));
  for (size_t i = 0; i < count; ++i) {
    Eigen::Index best = 0;
    logits.row(static_cast<Eigen::Index>(i)).maxCoeff(&best);
    result.classes[i] = static_cast<size_t>(best);
  }
  return result;
}

}  // namespace figment::cli
