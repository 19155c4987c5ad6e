// The losses of a run.
#pragma once

#include <string>
#include <vector>

#include "figment/figment.h"

namespace figment::cli {

// Collects the losses of all steps, those before a resumed checkpoint too, as far as their CSV file is there.
class Curves {
 public:
  // Reads the steps up to `resumed` from the file at `csv` if that is not 0.
  Curves(std::string csv, uint64_t resumed);

  // A metric that a step does not report has no value there.
  void add(const fig_metrics& metrics);
  // Brings the CSV file up to date: by lines behind it, or as a whole where it has other columns. Throws Error.
  void write_csv();
  std::string to_svg(const std::string& title) const;

 private:
  std::string header() const;
  std::string rows(size_t first) const;

  std::string csv_;
  size_t written_ = 0;          // rows of the file
  std::string written_header_;  // its first line; "": it is to be written as a whole
  std::vector<std::string> names_;
  std::vector<uint64_t> steps_;
  std::vector<std::vector<double>> values_;  // by name
};

}  // namespace figment::cli
