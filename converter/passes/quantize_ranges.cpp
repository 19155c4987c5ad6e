#include "passes/quantize_ranges.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "format/quantized.h"

namespace figment::converter {

std::optional<QuantParameters> known_range(OpKind kind) {
  switch (kind) {
    case OpKind::kTanh: return QuantParameters{1.0F / 128, 0};
    case OpKind::kSigmoid: return QuantParameters{1.0F / 256, -128};
    case OpKind::kSoftmax: return QuantParameters{format::kSoftmaxScale, format::kSoftmaxZeroPoint};
    default: return std::nullopt;
  }
}

std::vector<std::optional<FileQuantization>> quantized_by_file(const Graph& graph) {
  const std::vector<uint32_t> uses = graph.use_counts();
  std::vector<std::optional<FileQuantization>> result(graph.values.size());
  for (ValueId id = 0; id < graph.values.size(); ++id) {
    if (!graph[id].is_constant()) result[id] = graph[id].quantized;
  }
  for (const Node& node : graph.nodes) {
    const ValueId x = node.inputs[0];
    if (node.kind == OpKind::kClamp && uses[x] == 1 && !graph[x].is_constant() && !result[x])
      result[x] = graph[node.output].quantized;
  }
  // A softmax has one quantization.
  for (const Node& node : graph.nodes) {
    if (node.kind == OpKind::kSoftmax) result[node.output].reset();
  }
  return result;
}

const char* name_of(RangeRule rule) {
  switch (rule) {
    case RangeRule::kMinMax: return "min-max";
    case RangeRule::kPercentile: return "99.99 %";
    case RangeRule::kMse: return "least error";
    case RangeRule::kSaturation: return "saturation";
    case RangeRule::kFile: return "the file's";
    case RangeRule::kFixed: return "known";
  }
  return "";
}

void Distribution::see_extremes(std::span<const float> values, size_t samples) {
  if (values.size() % samples != 0) samples = 1;
  const size_t size = values.size() / samples;
  for (size_t i = 0; i < samples; ++i) {
    const auto [least, most] = std::ranges::minmax(values.subspan(i * size, size));
    least_.push_back(least);
    most_.push_back(most);
    low_ = std::min<double>(low_, least);
    high_ = std::max<double>(high_, most);
  }
}

void Distribution::see(std::span<const float> values) {
  const double width = high_ > low_ ? kBins / (high_ - low_) : 0;
  for (float value : values) {
    const auto bin = static_cast<size_t>((value - low_) * width);
    ++counts_[std::min(bin, kBins - 1)];
  }
  total_ += values.size();
}

namespace {

constexpr double kClipped = 0.00005;  // on either side, by kPercentile

}  // namespace

bool Distribution::may_clip() const {
  constexpr double kLeastClipped = 10;
  return static_cast<double>(total_) * kClipped >= kLeastClipped;
}

std::pair<double, double> Distribution::range(RangeRule rule) const {
  if (total_ == 0) return {0, 0};  // what no sample computes
  if (rule == RangeRule::kPercentile) return {quantile(kClipped), quantile(1 - kClipped)};
  if (rule == RangeRule::kMse) return least_error();
  std::vector<float> mirrored = least_;
  for (float& value : mirrored) value = -value;
  std::ranges::sort(mirrored, std::greater<>());
  std::vector<float> greatest = most_;
  std::ranges::sort(greatest, std::greater<>());
  return {std::min(0.0, -format::expected_extreme(mirrored, mirrored.size())),
          std::max(0.0, format::expected_extreme(greatest, greatest.size()))};
}

double Distribution::center(size_t bin) const {
  return low_ + (static_cast<double>(bin) + 0.5) * (high_ - low_) / kBins;
}

double Distribution::quantile(double fraction) const {
  const auto wanted = static_cast<double>(total_) * fraction;
  double seen = 0;
  for (size_t bin = 0; bin < kBins; ++bin) {
    seen += static_cast<double>(counts_[bin]);
    if (seen > wanted) return center(bin);
  }
  return high_;
}

// The range among shrunken ones whose rounding and clipping error is least.
std::pair<double, double> Distribution::least_error() const {
  double best = std::numeric_limits<double>::infinity();
  std::pair<double, double> result = {low_, high_};
  for (double factor = 0.4; factor <= 1.0001; factor += 0.02) {
    const QuantParameters q = parameters_for(low_ * factor, high_ * factor);
    const double step = q.scale;
    const double bottom = (-128 - q.zero_point) * step;
    const double top = (127 - q.zero_point) * step;
    double error = 0;
    for (size_t bin = 0; bin < kBins; ++bin) {
      if (counts_[bin] == 0) continue;
      const double x = center(bin);
      const double clipped = x < bottom ? bottom - x : x > top ? x - top : 0;
      error += static_cast<double>(counts_[bin]) * (clipped * clipped + step * step / 12);
    }
    if (error < best) {
      best = error;
      result = {low_ * factor, high_ * factor};
    }
  }
  return result;
}

}  // namespace figment::converter
