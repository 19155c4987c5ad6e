// How an int8 tensor's scale and zero point follow from the values that it takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "format/int8_parameters.h"
#include "ir/graph.h"

namespace figment::converter {

using format::parameters_for;
using format::QuantParameters;

// The quantization of the outputs of functions with a known range.
std::optional<QuantParameters> known_range(OpKind kind);

// How the file says that each value is quantized: the value itself, or what bounds it as its one reader.
std::vector<std::optional<FileQuantization>> quantized_by_file(const Graph& graph);

enum class RangeRule : uint8_t {
  kMinMax,      // the extremes, and as far beyond as those of other samples are to be expected
  kPercentile,  // all but one value in 20000 on either side
  kMse,         // the least error of rounding and clipping together
  kSaturation,  // as min-max, but no further than where the only reader, a squashing function, is flat
  kFile,        // as the tool that wrote the file has quantized it
  kFixed,       // known_range; of a program's input its extremes, or its prior's
};
const char* name_of(RangeRule rule);

// The values that a tensor took, as a histogram between their extremes. All values are shown to it twice, as many
// samples at a time as one likes, one behind the other: first to see_extremes, then to see.
class Distribution {
 public:
  void see_extremes(std::span<const float> values, size_t samples);
  void see(std::span<const float> values);

  // [low, high] by the rule; as by kMinMax for rules that need to know more than the values.
  std::pair<double, double> range(RangeRule rule) const;
  // Whether enough values were seen to say which of them are rare enough to be clipped.
  bool may_clip() const;

 private:
  static constexpr size_t kBins = 4096;

  double center(size_t bin) const;
  double quantile(double fraction) const;
  std::pair<double, double> least_error() const;

  double low_ = 0;  // zero is always representable
  double high_ = 0;
  std::vector<float> least_;  // of each sample
  std::vector<float> most_;
  std::vector<uint64_t> counts_ = std::vector<uint64_t>(kBins);
  size_t total_ = 0;
};

}  // namespace figment::converter
