// What people and programs see of a run while it trains.
#pragma once

#include <chrono>
#include <deque>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "commands.h"
#include "io/terminal.h"

namespace figment::cli {

// On a terminal one line that is written over itself, "step 823/1500  12.3 it/s  00:55 left  d 0.61  g 1.02  g.lr
// 2e-4"; into a file or a pipe the same as lines, on standard output, after each 100 steps and at least every 30
// seconds. As JSON always lines: {"step": 823, "steps": 1500, "steps_per_second": 12.3, "seconds_left": 55, "metrics":
// {...}, "scalars": {...}}, and others, of the keys "score" ({"name", "value"}), "warning", "resumed", "output" and, at
// the end, "done".
class TrainingLog {
 public:
  // Of the open training session, whose steps go on to `steps`.
  TrainingLog(const OpenModel& open, uint64_t steps, bool json);

  // After each step.
  void add(const fig_metrics& metrics);
  // That something else takes time now, such as a score.
  void doing(const std::string& what);
  // The score of the samples of this step: a JSON line.
  void score(const std::string& name, double value);
  // A message to people on standard error, or a JSON line {"warning": text}.
  void warn(const std::string& text);
  // A message to people on standard output, or a JSON line with `json`'s keys.
  void say(const std::string& text, const nlohmann::ordered_json& json);
  // The end of the run: what is printed from now on stands alone.
  void end() { line_.clear(); }

  // Seconds since the log began.
  double seconds() const;
  // "d.loss 0.6123, g.loss 1.0231": of the last step, without diagnostics.
  std::string last_metrics() const;

 private:
  using Clock = std::chrono::steady_clock;

  std::string line(size_t width) const;
  nlohmann::ordered_json to_json() const;
  fig_metric_kind kind_of(const std::string& name) const;
  std::string short_name(const std::string& name) const;
  double steps_per_second() const;
  double seconds_left() const;

  const OpenModel& open_;
  uint64_t first_;
  uint64_t steps_;
  bool json_;
  bool live_ = false;  // one line, not many
  std::vector<fig_metric_info> infos_;
  std::vector<std::string> learning_rates_;
  fig_metrics metrics_{};
  Clock::time_point start_ = Clock::now();
  Clock::time_point shown_ = start_;
  std::deque<std::pair<double, uint64_t>> recent_;  // seconds and steps
  io::StatusLine line_;
};

}  // namespace figment::cli
