#include "report.h"

#include <fmt/format.h>
#include <algorithm>
#include <filesystem>

#include "io/files.h"

namespace figment::cli {

namespace {

constexpr size_t kPictureSamples = 64;
constexpr size_t kPlots = 16;

}  // namespace

Report::Report(const std::string& folder, const OpenModel& open, uint64_t resumed)
    : open_(open),
      folder_(folder),
      generated_(learned_of(open)),
      losses_(folder + "/losses.csv", resumed),
      scores_(folder + "/scores.csv", resumed) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw Error("cannot make the folder " + folder + ": " + error.message());
}

void Report::set_conditions(const Dataset& data) {
  if (!generates()) return;
  for (const fig_port_info& port : conditions_of(open_)) {
    const Dataset::Input* input = data.find(port.name);
    if (input == nullptr) continue;
    Condition condition{input->name, std::vector<float>(kPictureSamples * input->elements)};
    const std::vector<size_t> chosen = data.in_turn(kPictureSamples);
    for (size_t i = 0; i < kPictureSamples; ++i)
      data.copy(*input, chosen[i % chosen.size()], condition.values.data() + i * input->elements);
    conditions_.push_back(std::move(condition));
  }
}

void Report::add_picture(uint64_t step) {
  if (!generates() || (!generated_.output.image && !generated_.sequence())) return;
  const size_t count = generated_.output.image ? kPictureSamples : kPlots;
  std::vector<fig_tensor> inputs;
  for (Condition& condition : conditions_) {
    inputs.push_back(
        {condition.name.c_str(), condition.values.data(), condition.values.size() / kPictureSamples * count, FIG_F32});
  }
  fig_generate_options options{};
  options.struct_size = sizeof options;
  options.inputs = inputs.data();
  options.input_count = inputs.size();
  std::vector<float> samples(count * generated_.sample);
  check(fig_generate(open_.session(), count, &options, samples.data(), samples.size()));
  const char* ending = generated_.output.image ? ".png" : ".svg";
  write_samples(fmt::format("{}/samples_{:06}{}", folder_, step, ending), samples, generated_, {});
}

void Report::add_score(uint64_t step, const std::string& name, double value) {
  fig_metrics metrics{};
  metrics.step = step;
  metrics.count = 1;
  metrics.values[0] = {name.c_str(), static_cast<float>(value)};
  scores_.add(metrics);
  scores_.write_csv();
}

void Report::write() {
  write_losses();
  fig_model_info info{};
  check(fig_model_get_info(open_.model(), &info));
  io::write_file(folder_ + "/losses.svg", losses_.to_svg(std::string("Losses of ") + info.name));
}

}  // namespace figment::cli
