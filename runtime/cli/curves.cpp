#include "curves.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <utility>

#include "io/files.h"
#include "io/plot.h"
#include "io/terminal.h"

namespace figment::cli {

Curves::Curves(std::string csv, uint64_t resumed) : csv_(std::move(csv)) {
  if (resumed == 0 || !std::filesystem::exists(csv_)) return;
  std::istringstream file(io::read_text(csv_));
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream cells(line);
    std::string cell;
    std::getline(cells, cell, ',');
    if (names_.empty()) {
      if (cell != "step") return;
      while (std::getline(cells, cell, ',')) names_.push_back(cell);
      values_.resize(names_.size());
      continue;
    }
    const uint64_t step = std::strtoull(cell.c_str(), nullptr, 10);
    if (step > resumed) return;
    steps_.push_back(step);
    for (std::vector<double>& values : values_) {
      const bool given = std::getline(cells, cell, ',') && !cell.empty();
      values.push_back(given ? std::strtod(cell.c_str(), nullptr) : std::nan(""));
    }
  }
}

void Curves::add(const fig_metrics& metrics) {
  steps_.push_back(metrics.step);
  for (std::vector<double>& values : values_) values.push_back(std::nan(""));
  for (uint32_t i = 0; i < metrics.count; ++i) {
    const auto found = std::find(names_.begin(), names_.end(), metrics.values[i].name);
    const auto column = static_cast<size_t>(found - names_.begin());
    if (found == names_.end()) {
      names_.emplace_back(metrics.values[i].name);
      values_.emplace_back(steps_.size(), std::nan(""));
    }
    values_[column].back() = static_cast<double>(metrics.values[i].value);
  }
}

std::string Curves::header() const {
  std::string text = "step";
  for (const std::string& name : names_) text += "," + name;
  return text + "\n";
}

std::string Curves::rows(size_t first) const {
  std::string text;
  for (size_t row = first; row < steps_.size(); ++row) {
    text += std::to_string(steps_[row]);
    for (const std::vector<double>& values : values_)
      text += "," + (std::isnan(values[row]) ? "" : io::format_number(values[row], 4));
    text += "\n";
  }
  return text;
}

void Curves::write_csv() {
  const std::string first = header();
  // Until it is written, the file is not ours: a part of the lines may be in it.
  const bool appends = std::exchange(written_header_, "") == first;
  if (appends)
    io::append_file(csv_, rows(written_));
  else
    io::write_file(csv_, first + rows(0));
  written_header_ = first;
  written_ = steps_.size();
}

std::string Curves::to_svg(const std::string& title) const {
  std::vector<io::Line> lines;
  for (size_t i = 0; i < names_.size(); ++i) lines.push_back({names_[i], values_[i]});
  return io::plot_lines(title, "step", lines);
}

}  // namespace figment::cli
