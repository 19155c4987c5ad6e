// The losses of a run.
#pragma once

#include <string>
#include <vector>

#include "figment/figment.h"

namespace figment::cli {

// Collects the losses of all steps, those before a resumed checkpoint too, as far as their CSV file is there.
class Curves {
 public:
  // Reads the steps up to `resumed` from the file at `csv`, if that is given and `resumed` is not 0.
  Curves(const std::string& csv, uint64_t resumed);

  // A metric that a step does not report has no value there.
  void add(const fig_metrics& metrics);
  std::string to_csv() const;
  std::string to_svg(const std::string& title) const;

 private:
  std::vector<std::string> names_;
  std::vector<uint64_t> steps_;
  std::vector<std::vector<double>> values_;  // by name
};

}  // namespace figment::cli
