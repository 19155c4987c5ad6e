#include "sample_sets.h"

#include <array>
#include <map>

namespace figment::cli {

using evaluation::Features;

RealSamples real_samples(const Dataset& data, std::span<const size_t> numbers) {
  RealSamples result;
  for (const Dataset::Input& input : data.inputs()) {
    if (!input.samples) continue;
    std::vector<float> values(numbers.size() * input.elements);
    for (size_t i = 0; i < numbers.size(); ++i) data.copy(input, numbers[i], values.data() + i * input.elements);
    if (&input == data.inputs().data()) {
      result.samples = Eigen::Map<const Features>(values.data(), static_cast<Eigen::Index>(numbers.size()),
                                                  static_cast<Eigen::Index>(input.elements));
    } else {
      result.conditions.push_back({input.name, {}, input.elements, 0, std::move(values)});
    }
  }
  return result;
}

std::vector<size_t> two_sets(const Dataset& data, size_t count, uint64_t seed) {
  io::Shuffle shuffle(data.count(), seed);
  std::array<std::vector<size_t>, 2> sets;
  std::map<size_t, size_t> next;  // of a class, which set takes the next
  std::vector<size_t> left;
  for (size_t i = 0; i < data.count(); ++i) {
    const size_t sample = shuffle.at(i);
    const size_t label = data.has_labels() ? data.label(sample) : 0;
    // The first of a class goes where less is.
    const auto [entry, fresh] = next.emplace(label, sets[1].size() < sets[0].size() ? 1 : 0);
    std::vector<size_t>& set = sets[entry->second];
    if (set.size() == count) {
      left.push_back(sample);
      continue;
    }
    set.push_back(sample);
    entry->second = 1 - entry->second;
  }
  for (std::vector<size_t>& set : sets) {
    for (; set.size() < count; left.pop_back()) set.push_back(left.back());
  }
  sets[0].insert(sets[0].end(), sets[1].begin(), sets[1].end());
  return std::move(sets[0]);
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
