// Between the values that a model computes with and what people measure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "commands.h"
#include "io/table.h"

namespace figment::cli {

// Of each channel, an index of the last dimension: measured = offset + scale * value, a name and a unit. Without
// channels the values are what was measured.
class Scaling {
 public:
  Scaling() = default;
  // What the open training session, or else the model, keeps for an input of a batch (nullptr: for the samples). No
  // channels if it keeps none, and unknown() if it has not been found yet.
  static Scaling of(const OpenModel& open, const char* input);
  // That turns the least measured value of each channel into `low` and the greatest into `high`.
  static Scaling between(std::span<const float> least, std::span<const float> greatest, float low, float high);

  size_t channels() const { return channels_.size(); }
  // Whether it can be applied.
  bool known() const;
  // Whether values are what was measured.
  bool identity() const;

  void to_values(std::span<float> measured) const;
  void to_measured(std::span<float> values) const;
  // The same of a difference of two.
  float difference_to_measured(size_t channel, float difference) const;

  // Takes over names and units, cut to what a model keeps, where it has none; as many as there are channels.
  void set_names(const std::vector<std::string>& names, const std::vector<std::string>& units);
  bool named() const;
  // Names and units of all channels, or none.
  std::vector<io::ColumnName> columns() const;
  // The longest that a model keeps, in bytes.
  static constexpr size_t kNameBytes = sizeof(fig_scaling::name) - 1;
  static constexpr size_t kUnitBytes = sizeof(fig_scaling::unit) - 1;
  // "temperature (°C)", or "v0".
  std::string label(size_t channel) const;
  // "temperature (°C) = 12.5 + 22.5 x"
  std::string formula(size_t channel) const;

  // Gives it to the training session, for models that have room for it; whether they have.
  bool keep(const OpenModel& open, const char* input) const;

 private:
  std::vector<fig_scaling> channels_;
};

}  // namespace figment::cli
