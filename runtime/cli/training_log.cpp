#include "training_log.h"
#include "json.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace figment::cli {

namespace {

constexpr uint64_t kLineSteps = 100;
constexpr double kLineSeconds = 30;
constexpr double kLiveSeconds = 0.1;
constexpr double kRecentSeconds = 10;  // that the rate is taken from
constexpr const char* kLoss = ".loss";
constexpr const char* kRate = ".learning_rate";

void print_json(const nlohmann::ordered_json& json) { io::print_line(json_text(json)); }

}  // namespace

TrainingLog::TrainingLog(const OpenModel& open, uint64_t steps, bool json)
    : open_(open), first_(fig_session_steps(open.session())), steps_(steps), json_(json), infos_(metrics_of(open)) {
  live_ = !json && isatty(STDOUT_FILENO) == 1 && line_.live();
  metrics_.step = first_;
  const char* name = "";
  for (uint32_t i = 0; fig_model_scalar(open.model(), i, &name) == FIG_OK; ++i) {
    if (std::string(name).ends_with(kRate)) learning_rates_.emplace_back(name);
  }
  recent_.emplace_back(0, first_);
  if (live_ && first_ < steps_) line_.show(line(io::terminal_width(STDERR_FILENO)));
}

void TrainingLog::add(const fig_metrics& metrics) {
  metrics_ = metrics;
  const Clock::time_point now = Clock::now();
  const double since = std::chrono::duration<double>(now - shown_).count();
  const bool last = metrics.step == steps_;
  if (live_ ? since < kLiveSeconds && !last : since < kLineSeconds && (metrics.step % kLineSteps != 0)) return;
  shown_ = now;
  recent_.emplace_back(seconds(), metrics.step);
  while (recent_.size() > 2 && recent_.back().first - recent_[1].first > kRecentSeconds) recent_.pop_front();
  if (live_)
    line_.show(line(io::terminal_width(STDERR_FILENO)));
  else if (json_)
    print_json(to_json());
  else
    io::print_line(line(std::numeric_limits<size_t>::max()));
}

void TrainingLog::doing(const std::string& what) {
  if (live_) line_.show(fmt::format("step {}/{}  {} ...", metrics_.step, steps_, what));
}

void TrainingLog::score(const std::string& name, double value) {
  if (json_) print_json({{"step", metrics_.step}, {"score", {{"name", name}, {"value", value}}}});
}

void TrainingLog::warn(const std::string& text) {
  if (json_)
    print_json({{"step", metrics_.step}, {"warning", text}});
  else
    line_.print(fmt::format("step {}: {}", metrics_.step, text));
}

void TrainingLog::say(const std::string& text, const nlohmann::ordered_json& json) {
  line_.clear();
  if (json_)
    print_json(json);
  else
    io::print_line(text);
}

double TrainingLog::seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

double TrainingLog::steps_per_second() const {
  const auto& [from, first] = recent_.front();
  const auto& [to, last] = recent_.back();
  return to > from ? static_cast<double>(last - first) / (to - from) : 0;
}

double TrainingLog::seconds_left() const {
  const uint64_t done = metrics_.step - first_;
  return done > 0 ? seconds() / static_cast<double>(done) * static_cast<double>(steps_ - metrics_.step) : 0;
}

fig_metric_kind TrainingLog::kind_of(const std::string& name) const {
  const auto found =
      std::find_if(infos_.begin(), infos_.end(), [&](const fig_metric_info& info) { return name == info.name; });
  return found != infos_.end() ? found->kind : FIG_METRIC_LOSS;
}

// "d" for "d.loss", "loss" for the only one; "reconstruction" for the only network's "vae.reconstruction".
std::string TrainingLog::short_name(const std::string& name) const {
  const auto losses = std::count_if(infos_.begin(), infos_.end(),
                                    [](const fig_metric_info& info) { return info.kind == FIG_METRIC_LOSS; });
  if (losses <= 1) return name.substr(name.rfind('.') + 1);
  return name.ends_with(kLoss) ? name.substr(0, name.size() - std::string(kLoss).size()) : name;
}

std::string TrainingLog::line(size_t width) const {
  std::string text = fmt::format("step {}/{}", metrics_.step, steps_);
  if (metrics_.step == first_) return text;
  const double rate = steps_per_second();
  text += rate >= 1 || rate == 0 ? fmt::format("  {} it/s", io::format_short(rate))
                                 : fmt::format("  {} s/it", io::format_short(1 / rate));
  text += "  " + io::format_duration(seconds_left()) + " left";
  // By how much they matter, as long as there is room.
  std::vector<std::string> parts;
  const auto add_kind = [&](fig_metric_kind kind) {
    for (uint32_t i = 0; i < metrics_.count; ++i) {
      const fig_metric& metric = metrics_.values[i];
      if (kind_of(metric.name) == kind)
        parts.push_back(short_name(metric.name) + " " + io::format_short(static_cast<double>(metric.value)));
    }
  };
  add_kind(FIG_METRIC_LOSS);
  for (const std::string& name : learning_rates_) {
    double value = 0;
    if (fig_session_get_scalar(open_.session(), name.c_str(), &value) != FIG_OK) continue;
    const std::string network = name.substr(0, name.size() - std::string(kRate).size());
    parts.push_back((learning_rates_.size() > 1 ? network + ".lr " : "lr ") + io::format_short(value));
  }
  add_kind(FIG_METRIC_TERM);
  for (const std::string& part : parts) {
    if (text.size() + 2 + part.size() >= width) break;
    text += "  " + part;
  }
  return text;
}

nlohmann::ordered_json TrainingLog::to_json() const {
  nlohmann::ordered_json json = {{"step", metrics_.step},
                                 {"steps", steps_},
                                 {"steps_per_second", steps_per_second()},
                                 {"seconds_left", seconds_left()},
                                 {"metrics", nlohmann::ordered_json::object()},
                                 {"scalars", nlohmann::ordered_json::object()}};
  for (uint32_t i = 0; i < metrics_.count; ++i)
    json["metrics"][metrics_.values[i].name] = static_cast<double>(metrics_.values[i].value);
  const char* name = "";
  for (uint32_t i = 0; fig_model_scalar(open_.model(), i, &name) == FIG_OK; ++i) {
    double value = 0;
    if (fig_session_get_scalar(open_.session(), name, &value) == FIG_OK) json["scalars"][name] = value;
  }
  return json;
}

std::string TrainingLog::last_metrics() const {
  std::string text;
  for (uint32_t i = 0; i < metrics_.count; ++i) {
    const fig_metric& metric = metrics_.values[i];
    if (kind_of(metric.name) == FIG_METRIC_DIAGNOSTIC) continue;
    text += std::string(text.empty() ? "" : ", ") + metric.name + " " +
            (std::fabs(metric.value) < 1e5F ? io::format_number(static_cast<double>(metric.value), 4)
                                            : io::format_short(static_cast<double>(metric.value)));
  }
  return text;
}

}  // namespace figment::cli
