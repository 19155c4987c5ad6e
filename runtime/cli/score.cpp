#include <fmt/format.h>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "commands.h"
#include "dataset.h"
#include "elbo.h"
#include "evaluation/anomalies.h"
#include "io/files.h"
#include "io/plot.h"
#include "io/table.h"
#include "io/terminal.h"
#include "json.h"
#include "output.h"
#include "sample_sets.h"

namespace figment::cli {

namespace {

struct Arguments {
  std::string model;
  DataArguments data;
  std::string output;
  std::string plot;
  std::string by;  // "": the best that the model has
  double calibrate = 0.2;
  double quantile = 0.99;
  double threshold = 0;
  std::string vote = "1/1";
  bool threshold_given = false;
  bool json = false;
  SessionArguments session;
};

// What scores of windows are made of.
enum class By : uint8_t {
  kError,          // the mean squared difference of a window and its reconstruction, in the model's values
  kElbo,           // the negative evidence lower bound in nats
  kDiscriminator,  // the negative of the discriminator's output
};

By choose(const OpenModel& open, const std::string& wanted) {
  const bool encodes = open.has_program("encode");
  if (wanted == "error" || (wanted.empty() && encodes)) {
    if (!encodes) throw Error("--by error needs an encoder, which the model has not: give --by discriminator");
    return By::kError;
  }
  if (wanted == "elbo") {
    if (!has_elbo(open)) throw Error("--by elbo needs a VAE with its objective");
    return By::kElbo;
  }
  if (!open.has_program("discriminate"))
    throw Error(wanted == "discriminator" ? "--by discriminator needs one, which the model has not: leave it out"
                                          : "the model has neither an encoder nor a discriminator to score by");
  fig_program_info info{};
  check(fig_model_program(open.model(), open.find_program("discriminate"), &info));
  if (info.inputs > 1)
    throw Error("the model's discriminator judges samples under a condition, by which nothing can be scored");
  return By::kDiscriminator;
}

// The scores of all samples.
struct Scores {
  std::vector<double> scores;
  // Of each sample and channel, the mean squared difference in the model's values; empty by a discriminator.
  std::vector<std::vector<double>> errors;
};

class Scoring {
 public:
  Scoring(const Arguments& arguments, const OpenModel& open, const Dataset& data, By by)
      : open_(open), data_(data), generated_(generated_of(open)), by_(by), seed_(arguments.session.seed) {
    const fig_shape& shape = generated_.port.shape;
    // Of an image the channels are colors.
    const bool image = shape.rank == 4;
    channels_ = shape.extents[image ? 1 : shape.rank - 1];
    stride_ = image ? size_t{shape.extents[2]} * shape.extents[3] : 1;
  }

  Scores run() {
    Scores result;
    io::ProgressLine line("scoring");
    constexpr size_t kPiece = 256;
    for (size_t first = 0; first < data_.count(); first += kPiece) {
      const size_t part = std::min(kPiece, data_.count() - first);
      std::vector<float> samples(part * generated_.sample);
      for (size_t i = 0; i < part; ++i)
        data_.copy(data_.inputs()[0], first + i, samples.data() + i * generated_.sample);
      if (by_ == By::kDiscriminator)
        discriminate(samples, part, &result);
      else
        rebuild(samples, part, &result);
      line.update(static_cast<double>(first + part) / static_cast<double>(data_.count()));
    }
    return result;
  }

 private:
  void discriminate(const std::vector<float>& samples, size_t part, Scores* result) const {
    std::vector<float> outputs(part);
    check(fig_discriminate(open_.session(), part, samples.data(), samples.size(), outputs.data(), outputs.size()));
    for (const float output : outputs) result->scores.push_back(-static_cast<double>(output));
  }

  void rebuild(const std::vector<float>& samples, size_t part, Scores* result) const {
    std::vector<float> made(samples.size());
    std::vector<float> scores(part);
    check(fig_anomaly_scores(open_.session(), part, samples.data(), samples.size(), made.data(), made.size(),
                             scores.data(), scores.size()));
    for (size_t i = 0; i < part; ++i) {
      result->errors.push_back(evaluation::channel_errors(
          std::span(samples).subspan(i * generated_.sample, generated_.sample),
          std::span(made).subspan(i * generated_.sample, generated_.sample), channels_, stride_));
    }
    if (by_ == By::kError) {
      result->scores.insert(result->scores.end(), scores.begin(), scores.end());
      return;
    }
    const evaluation::Features rows = Eigen::Map<const evaluation::Features>(
        samples.data(), static_cast<Eigen::Index>(part), static_cast<Eigen::Index>(generated_.sample));
    for (const EvidenceLowerBound& bound : evidence_lower_bounds(open_, generated_, rows, seed_, result->scores.size()))
      result->scores.push_back(-bound.value());
  }

  const OpenModel& open_;
  const Dataset& data_;
  Generated generated_;
  By by_;
  uint64_t seed_;
  size_t channels_ = 1;
  size_t stride_ = 1;
};

// Scores beside a threshold, in the words of the data.
class Findings {
 public:
  Findings(const Dataset& data, Scores scores, fig_anomaly_vote vote)
      : data_(data), scores_(std::move(scores)), threshold_(static_cast<double>(vote.threshold)) {
    const auto adjoins = [&](size_t i) { return data.adjoins(i); };
    for (size_t i = 0; i < count(); ++i) {
      // A vote does not reach over a gap.
      if (i > 0 && !adjoins(i - 1)) vote.history = 0;
      bool alarm = false;
      check(fig_anomaly_alarm(&vote, static_cast<float>(scores_.scores[i]), &alarm));
      alarms_.push_back(alarm);
    }
    runs_ = evaluation::unusual_runs(scores_.scores, alarms_, adjoins);
  }

  size_t count() const { return scores_.scores.size(); }
  const std::vector<evaluation::Run>& runs() const { return runs_; }
  size_t alarms() const {
    size_t sum = 0;
    for (const evaluation::Run& run : runs_) sum += run.last - run.first + 1;
    return sum;
  }

  void write_csv(const std::string& path) const {
    const bool times = !data_.time_of(0, false).empty();
    std::string text = times ? "window,from,to,score,alarm" : "window,score,alarm";
    const size_t channels = scores_.errors.empty() ? 0 : scores_.errors[0].size();
    for (size_t c = 0; c < channels; ++c) text += "," + io::csv_cell("error of " + label(c));
    text += "\n";
    for (size_t i = 0; i < count(); ++i) {
      text += std::to_string(data_.place(i));
      if (times) text += "," + io::csv_cell(data_.time_of(i, false)) + "," + io::csv_cell(data_.time_of(i, true));
      text += fmt::format(",{:.6g},{}", scores_.scores[i], alarms_[i] ? 1 : 0);
      for (size_t c = 0; c < channels; ++c) {
        // In what is measured.
        const auto error = static_cast<float>(std::sqrt(scores_.errors[i][c]));
        text += fmt::format(",{:.6g}", data_.inputs()[0].scaling.difference_to_measured(c, error));
      }
      text += "\n";
    }
    io::write_file(path, text);
  }

  void plot(const std::string& path) const {
    const std::string from = data_.time_of(0, false);
    const std::string horizontal =
        from.empty() ? "window" : "window, " + from + " to " + data_.time_of(count() - 1, true);
    io::write_file(path, io::plot_lines("Scores of " + data_.path(), horizontal,
                                        {{"score", scores_.scores, true},
                                         {"threshold", std::vector<double>(count(), threshold_), true}}));
  }

  nlohmann::ordered_json json() const {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const evaluation::Run& run : runs_) {
      nlohmann::ordered_json entry = {{"first", data_.place(run.first)},  {"last", data_.place(run.last)},
                                      {"from", begin_of(run.first)},      {"to", end_of(run.last)},
                                      {"peak", scores_.scores[run.peak]}, {"at", begin_of(run.peak)}};
      if (!scores_.errors.empty()) entry["channel"] = label(worst_channel(run.peak));
      list.push_back(entry);
    }
    return list;
  }

  // The highest runs, the highest first.
  std::vector<std::vector<std::string>> table(size_t most) const {
    std::vector<evaluation::Run> sorted = runs_;
    std::ranges::stable_sort(sorted, [&](const evaluation::Run& a, const evaluation::Run& b) {
      const double x = scores_.scores[a.peak];
      const double y = scores_.scores[b.peak];
      return std::isnan(x) ? !std::isnan(y) : x > y;
    });
    if (sorted.size() > most) sorted.resize(most);
    const bool channels = !scores_.errors.empty() && scores_.errors[0].size() > 1;
    std::vector<std::vector<std::string>> rows = {{"from", "to", "windows", "highest", "at"}};
    if (channels) rows[0].emplace_back("most of it");
    for (const evaluation::Run& run : sorted) {
      rows.push_back({begin_of(run.first), end_of(run.last), std::to_string(run.last - run.first + 1),
                      fmt::format("{:.4g}", scores_.scores[run.peak]), begin_of(run.peak)});
      if (channels) rows.back().push_back(label(worst_channel(run.peak)));
    }
    return rows;
  }

 private:
  std::string label(size_t channel) const { return data_.inputs()[0].scaling.label(channel); }
  // A time, or the number of the window.
  std::string begin_of(size_t i) const {
    const std::string time = data_.time_of(i, false);
    return time.empty() ? std::to_string(data_.place(i)) : time;
  }
  std::string end_of(size_t i) const {
    const std::string time = data_.time_of(i, true);
    return time.empty() ? std::to_string(data_.place(i)) : time;
  }
  size_t worst_channel(size_t i) const {
    const std::vector<double>& errors = scores_.errors[i];
    for (size_t c = 0; c < errors.size(); ++c) {
      if (std::isnan(errors[c])) return c;
    }
    return static_cast<size_t>(std::ranges::max_element(errors) - errors.begin());
  }

  const Dataset& data_;
  Scores scores_;
  double threshold_;
  std::vector<bool> alarms_;
  std::vector<evaluation::Run> runs_;
};

// "N/M".
fig_anomaly_vote read_vote(const std::string& text) {
  fig_anomaly_vote vote{};
  vote.struct_size = sizeof vote;
  const char* const end = text.data() + text.size();
  const auto needed = std::from_chars(text.data(), end, vote.needed);
  const bool parted = needed.ec == std::errc() && needed.ptr != end && *needed.ptr == '/';
  const auto window = parted ? std::from_chars(needed.ptr + 1, end, vote.window) : needed;
  bool alarm = false;
  fig_anomaly_vote tried = vote;
  if (window.ptr != end || fig_anomaly_alarm(&tried, 0, &alarm) != FIG_OK)
    throw Error("--vote " + text + ": give N/M, N of the last M windows, M up to 32");
  return vote;
}

void check_arguments(const Arguments& arguments, const Generated& generated) {
  if (!arguments.plot.empty() && !arguments.plot.ends_with(".svg"))
    throw Error(arguments.plot + ": the plot is an .svg file");
  if (!arguments.output.empty() && !arguments.output.ends_with(".csv"))
    throw Error(arguments.output + ": scores are written as a .csv file");
  if (!arguments.data.preview.empty()) check_kind(arguments.data.preview, generated);
  for (const std::string& path : {arguments.output, arguments.plot, arguments.data.preview})
    arguments.data.check_kept(path, arguments.model);
}

void score(const Arguments& arguments) {
  OpenModel open(arguments.model);
  const Generated generated = generated_of(open);
  const By by = choose(open, arguments.by);
  check_arguments(arguments, generated);
  Dataset data(open, arguments.data, {generated.port}, generated.output);
  if (arguments.data.normalize && !data.inputs()[0].scaling.known() && data.inputs()[0].samples->measured()) {
    throw Error(
        "--normalize: the model keeps no ranges of what it was trained on, and those of this data would hide what "
        "is unusual in it: train with --normalize, or scale the data as for training");
  }
  data.find_scaling();
  data.choose(Dataset::Part::kHeldOut);
  if (!arguments.data.preview.empty()) write_preview(arguments.data.preview, data, generated);
  fig_session_options options = arguments.session.options();
  if (options.batch == 0) options.batch = 64;
  open.open_session(options);
  Scores scores = Scoring(arguments, open, data, by).run();
  const size_t count = scores.scores.size();
  const auto normal =
      std::clamp<size_t>(static_cast<size_t>(arguments.calibrate * static_cast<double>(count)), 1, count);
  fig_anomaly_vote vote = read_vote(arguments.vote);
  vote.threshold = static_cast<float>(arguments.threshold);
  if (!arguments.threshold_given) {
    std::vector<float> known(scores.scores.begin(), scores.scores.begin() + static_cast<std::ptrdiff_t>(normal));
    if (fig_anomaly_threshold(known.data(), known.size(), arguments.quantile, &vote.threshold) != FIG_OK)
      throw Error(fmt::format("none of the first {} windows has a finite score to find the threshold by", normal));
    if (static_cast<double>(normal) * (1 - arguments.quantile) < 1 && arguments.quantile < 1) {
      io::print_error(
          fmt::format("figment: {} windows are few to find by which threshold {:g} % of normal ones do not exceed: "
                      "give more data, a "
                      "larger --calibrate or a --threshold",
                      normal, 100 * arguments.quantile));
    }
  }
  const Findings findings(data, std::move(scores), vote);
  const char* names[] = {"reconstruction error", "negative ELBO", "negative output of the discriminator"};
  const size_t runs = findings.runs().size();
  if (!arguments.output.empty()) findings.write_csv(arguments.output);
  if (!arguments.plot.empty()) findings.plot(arguments.plot);
  if (arguments.json) {
    const nlohmann::ordered_json json = {{"windows", count},
                                         {"by", names[static_cast<int>(by)]},
                                         {"threshold", vote.threshold},
                                         {"calibrated_on", arguments.threshold_given ? 0 : normal},
                                         {"alarms", findings.alarms()},
                                         {"runs", findings.json()}};
    io::print("%s\n", json_text(json).c_str());
    return;
  }
  io::print("%zu windows by their %s, threshold %s", count, names[static_cast<int>(by)],
            fmt::format("{:.4g}", vote.threshold).c_str());
  if (!arguments.threshold_given)
    io::print(",\nwhich %s %% of the first %zu do not exceed", io::format_short(100 * arguments.quantile).c_str(),
              normal);
  if (vote.window == 1)
    io::print("\n%zu windows are above it", findings.alarms());
  else
    io::print("\n%zu windows are alarms: %u of the last %u are above it", findings.alarms(), vote.needed, vote.window);
  if (runs > 1) io::print(", in %zu runs", runs);
  io::print("\n");
  constexpr size_t kShown = 10;
  if (runs > 0) io::print_table(findings.table(kShown));
  if (runs > kShown) io::print("and %zu lower runs: -o FILE.csv has their windows\n", runs - kShown);
}

}  // namespace

void add_score(CLI::App* app, Commands* commands) {
  CLI::App* command =
      app->add_subcommand("score", "Score each window of a series, or each sample, by how unusual it is");
  auto arguments = std::make_shared<Arguments>();
  command->footer(
      "  figment score model.figment --data new.csv -o scores.csv --plot scores.svg\n"
      "  figment score model.figment --data new.csv --time-column time --threshold 0.02");
  command->add_option("model", arguments->model, ".figment file")->required();
  command->add_option("-o,--output,--out", arguments->output,
                      ".csv file to write: each window with its time, score, alarm and the errors of its channels");
  command->add_option("--plot", arguments->plot, ".svg file to write: the scores and the threshold");
  arguments->data.add_to(command);
  command->option_defaults()->group("Scores");
  command
      ->add_option(
          "--by", arguments->by,
          "reconstruction error or ELBO of models with an encoder, or the discriminator's output (default: the "
          "first that the model has)")
      ->check(CLI::IsMember({"error", "elbo", "discriminator"}));
  command
      ->add_option("--calibrate", arguments->calibrate,
                   "share of the windows, from the first on, that are taken for normal to find the threshold")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--quantile", arguments->quantile, "share of these that does not exceed the threshold")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command
      ->add_option("--vote", arguments->vote,
                   "N/M: a window is an alarm where N of the last M windows are above the threshold")
      ->capture_default_str();
  CLI::Option* threshold = command->add_option("--threshold", arguments->threshold, "the threshold itself");
  command->add_option("--seed", arguments->session.seed, "seed of what --by elbo draws")->capture_default_str();
  command->add_flag("--json", arguments->json, "machine-readable");
  arguments->session.add_to(command, true);
  (*commands)[command] = [arguments, threshold] {
    arguments->threshold_given = threshold->count() > 0;
    score(*arguments);
  };
}

}  // namespace figment::cli
