// Plots as SVG: they scale, need no library, and every browser shows them.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace figment::io {

// Values at the steps 1, 2, 3 ...; those that are not finite are left out.
struct Line {
  std::string name;
  std::vector<double> values;
  bool highest = false;  // of neighbors the highest is shown, and all of them are in the plot
};

// Lines over one horizontal axis, with a legend. Where there are more values than can be seen, a line shows the mean of
// neighbors and a band their range. The highest and the lowest hundredth may lie outside the plot.
std::string plot_lines(const std::string& title, const std::string& horizontal, const std::vector<Line>& lines);

// Sequences [N, steps, channels] as small plots, `columns` a row, one line a channel, from `low` to `high`, below a
// `legend` with a line for each channel, if there is one.
std::string plot_sequences(std::span<const float> samples, size_t steps, size_t channels, float low, float high,
                           size_t columns, const std::vector<std::string>& legend = {});

}  // namespace figment::io
