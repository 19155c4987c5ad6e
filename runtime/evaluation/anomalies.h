// What is unusual among scores of windows of a series: the higher a score, the less usual.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace figment::evaluation {

// Unusual windows one after the other, [first, last], and the highest among them; one without a number is the highest.
struct Run {
  size_t first = 0;
  size_t last = 0;
  size_t peak = 0;
};
// Of windows with an alarm. `adjoins(i)`: whether window i + 1 stands right behind window i in the data.
std::vector<Run> unusual_runs(std::span<const double> scores, const std::vector<bool>& alarms,
                              const std::function<bool(size_t i)>& adjoins);

// The mean squared difference of a sample and its reconstruction for each channel: value i belongs to channel
// i / `stride` mod `channels`.
std::vector<double> channel_errors(std::span<const float> sample, std::span<const float> reconstruction,
                                   size_t channels, size_t stride);

}  // namespace figment::evaluation
