// What is unusual among scores of windows of a series: the higher a score, the less usual.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace figment::evaluation {

// The least of the finite values that a share of them, 0 to 1, does not exceed (the inverse of the empirical
// distribution function; of a share of 0, the least of all). NaN if none is finite.
double quantile(std::vector<double> values, double share);

// A score that is no number is no usual one.
inline bool is_unusual(double score, double threshold) { return !(score <= threshold); }

// Unusual windows one after the other, [first, last], and the highest among them; one without a number is the highest.
struct Run {
  size_t first = 0;
  size_t last = 0;
  size_t peak = 0;
};
// `adjoins(i)`: whether window i + 1 stands right behind window i in the data.
std::vector<Run> unusual_runs(std::span<const double> scores, double threshold,
                              const std::function<bool(size_t i)>& adjoins);

// The mean squared difference of a sample and its reconstruction for each channel: value i belongs to channel
// i / `stride` mod `channels`.
std::vector<double> channel_errors(std::span<const float> sample, std::span<const float> reconstruction,
                                   size_t channels, size_t stride);

}  // namespace figment::evaluation
