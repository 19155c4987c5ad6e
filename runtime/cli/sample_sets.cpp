#include "sample_sets.h"

namespace figment::cli {

using evaluation::Features;

RealSamples real_samples(const Dataset& data, io::Shuffle* shuffle, size_t first, size_t count) {
  RealSamples result;
  for (const Dataset::Input& input : data.inputs()) {
    if (!input.samples) continue;
    std::vector<float> values(count * input.elements);
    for (size_t i = 0; i < count; ++i) data.copy(input, shuffle->at(first + i), values.data() + i * input.elements);
    if (&input == data.inputs().data()) {
      result.samples = Eigen::Map<const Features>(values.data(), static_cast<Eigen::Index>(count),
                                                  static_cast<Eigen::Index>(input.elements));
    } else {
      result.conditions.push_back({input.name, {}, input.elements, 0, std::move(values)});
    }
  }
  return result;
}

void write_preview(const std::string& path, const Dataset& data, const Generated& generated) {
  constexpr size_t kSamples = 16;
  const std::vector<size_t> chosen = data.in_turn(kSamples);
  const Dataset::Input& input = data.inputs()[0];
  std::vector<float> values(chosen.size() * input.elements);
  for (size_t i = 0; i < chosen.size(); ++i) data.copy(input, chosen[i], values.data() + i * input.elements);
  write_samples(path, values, generated, {});
}

GeneratedSamples generate_samples(const OpenModel& open, const Generated& generated, uint64_t seed, size_t count,
                                  const std::vector<Steered::Condition>& conditions) {
  Steered steered = steer(open, {}, seed, 0, count, Draw::kAlways, Steered::Missing::kClassesInTurn, conditions);
  GeneratedSamples result{evaluation::rows(count, generated.sample), std::move(steered.latents)};
  const std::vector<fig_tensor> tensors = steered.condition_tensors(0, count);
  fig_generate_options options{};
  options.struct_size = sizeof options;
  options.latents = result.latents.data();
  options.inputs = tensors.data();
  options.input_count = tensors.size();
  check(fig_generate(open.session(), count, &options, result.samples.data(), count * generated.sample));
  return result;
}

}  // namespace figment::cli
