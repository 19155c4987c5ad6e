// A folder that shows how training went.
#pragma once

#include <string>

#include "commands.h"
#include "curves.h"
#include "dataset.h"
#include "output.h"

namespace figment::cli {

// Writes losses.csv, losses.svg and pictures of samples (samples_000500.png, or .svg of sequences), always from the
// same latents; of runs that are scored scores.csv.
class Report {
 public:
  // Makes the folder. `resumed`: the steps that a run before this one has done; its losses are read from the folder.
  Report(const std::string& folder, const OpenModel& open, uint64_t resumed);

  // The conditions of the samples in the pictures: those of the first samples of the data.
  void set_conditions(const Dataset& data);

  void add(const fig_metrics& metrics) { losses_.add(metrics); }
  void add_score(uint64_t step, const std::string& name, double value);
  // Generates in the open session. Models that generate neither images nor sequences have no pictures.
  void add_picture(uint64_t step);
  // Brings losses.csv up to date, for who looks while it trains.
  void write_losses() { losses_.write_csv(); }
  // All of the losses.
  void write();

 private:
  bool generates() const { return !generated_.program.empty(); }

  struct Condition {
    std::string name;
    std::vector<float> values;
  };

  const OpenModel& open_;
  std::string folder_;
  Generated generated_;
  Curves losses_;
  Curves scores_;
  std::vector<Condition> conditions_;
};

}  // namespace figment::cli
