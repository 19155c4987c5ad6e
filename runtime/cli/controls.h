// What a person steers in the samples of a generator: its latents, codes, classes and conditions.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "commands.h"

namespace figment::cli {

struct ControlArguments {
  std::vector<std::string> conditions;  // "[INPUT=]FILE"
  std::vector<std::string> codes;       // "CODE=VALUE[,VALUE]"; CODE is a name or a number
  std::vector<uint64_t> interpolate;    // two indices of latents
  std::string sweep;                    // "class", the name of a condition that is one, or "CODE[:COMPONENT]"
  std::vector<float> sweep_range;       // of a continuous code; empty: -1 to 1, or -2 to 2 for a normal prior
  uint32_t sweep_steps = 9;
  std::vector<std::string> classes;  // "[INPUT=]NUMBER"
  float truncation = 0;

  void add_to(CLI::App* command);
  // Whether they change latents, and not conditions alone.
  bool change_latents() const {
    return !codes.empty() || !interpolate.empty() || !sweep.empty() || !classes.empty() || truncation > 0;
  }
};

// All that fig_generate reads for some samples.
struct Steered {
  enum class Missing { kError, kClassesInTurn };

  size_t count = 0;
  uint32_t columns = 0;  // of a picture, 0: as it fits
  size_t latent_size = 0;
  std::vector<float> latents;  // [count, latent size]; empty: those that the session draws
  struct Condition {
    std::string name;
    std::vector<size_t> shape;  // without the batch
    size_t elements = 0;
    size_t labels = 0;          // of an input that is the number of a class: how many there are
    std::vector<float> values;  // [count, elements]
    // How many classes it can name: by one 1 among zeros, or by its number. 0: it is no class.
    size_t classes() const {
      if (labels > 0) return elements == 1 ? labels : 0;
      return elements > 1 && std::find(shape.begin(), shape.end(), elements) != shape.end() ? elements : 0;
    }
    bool is_class() const { return classes() > 0; }
    void set_class(size_t sample, size_t category);
  };
  std::vector<Condition> conditions;

  // The conditions of the samples from `first` on.
  std::vector<fig_tensor> condition_tensors(size_t first, size_t part);
};

// `count` samples from the latents of `seed`, `first` on; with a sweep, `count` for each of its values, a row each. A
// condition without a file is that of its name in `given`; else it is an error, or takes the classes 0, 1, 2, ... in
// turn. `seed` is the session's, or else the latents must be drawn here: `draw`.
enum class Draw { kAlways, kIfChanged };
Steered steer(const OpenModel& open, const ControlArguments& arguments, uint64_t seed, uint64_t first, size_t count,
              Draw draw, Steered::Missing missing = Steered::Missing::kError,
              const std::vector<Steered::Condition>& given = {});

}  // namespace figment::cli
