#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "commands.h"
#include "dataset.h"
#include "elbo.h"
#include "io/files.h"
#include "io/plot.h"
#include "io/table.h"
#include "io/terminal.h"
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
    throw Error("the model has neither an encoder nor a discriminator to score by");
  return By::kDiscriminator;
}

// The scores of all samples, and the error of each channel, in what is measured.
struct Scores {
  std::vector<double> scores;
  std::vector<std::vector<float>> errors;  // by channel; empty by a discriminator
};

class Scoring {
 public:
  Scoring(const Arguments& arguments, const OpenModel& open, const Dataset& data, By by)
      : open_(open), data_(data), generated_(generated_of(open)), by_(by), seed_(arguments.session.seed) {
    channels_ = generated_.port.shape.extents[generated_.port.shape.rank - 1];
  }

  Scores run() {
    Scores result;
    if (by_ != By::kDiscriminator) result.errors.resize(channels_);
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
        reconstruct(samples, part, &result);
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

  void reconstruct(const std::vector<float>& samples, size_t part, Scores* result) const {
    std::vector<float> made(samples.size());
    check(fig_reconstruct(open_.session(), part, samples.data(), samples.size(), made.data(), made.size()));
    for (size_t i = 0; i < part; ++i) {
      std::vector<double> sums(channels_);
      for (size_t j = 0; j < generated_.sample; ++j) {
        const size_t at = i * generated_.sample + j;
        const double difference = static_cast<double>(samples[at]) - static_cast<double>(made[at]);
        sums[j % channels_] += difference * difference;
      }
      double sum = 0;
      for (size_t c = 0; c < channels_; ++c) {
        sum += sums[c];
        const size_t steps = generated_.sample / channels_;
        result->errors[c].push_back(data_.inputs()[0].scaling.difference_to_measured(
            c, static_cast<float>(std::sqrt(sums[c] / static_cast<double>(steps)))));
      }
      if (by_ == By::kError) result->scores.push_back(sum / static_cast<double>(generated_.sample));
    }
    if (by_ == By::kError) return;
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
};

// The value that a share of the sorted scores does not exceed.
double quantile_of(std::vector<double> scores, double share) {
  const auto place = static_cast<size_t>(std::ceil(share * static_cast<double>(scores.size())));
  const size_t index = std::clamp<size_t>(place, 1, scores.size()) - 1;
  std::nth_element(scores.begin(), scores.begin() + static_cast<std::ptrdiff_t>(index), scores.end());
  return scores[index];
}

// Windows one after the other that are above the threshold, [first, last].
using Run = std::pair<size_t, size_t>;
std::vector<Run> runs_above(const std::vector<double>& scores, double threshold) {
  std::vector<Run> runs;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (!(scores[i] > threshold)) continue;
    if (!runs.empty() && runs.back().second + 1 == i)
      runs.back().second = i;
    else
      runs.emplace_back(i, i);
  }
  return runs;
}

void write_csv(const std::string& path, const Dataset& data, const Scores& scores, double threshold) {
  const Dataset::Input& input = data.inputs()[0];
  const bool times = !data.time_of(0, false).empty();
  std::string text = times ? "window,from,to,score,alarm" : "window,score,alarm";
  for (size_t c = 0; c < scores.errors.size(); ++c) text += "," + io::csv_cell("error of " + input.scaling.label(c));
  text += "\n";
  for (size_t i = 0; i < scores.scores.size(); ++i) {
    text += std::to_string(i);
    if (times) text += "," + io::csv_cell(data.time_of(i, false)) + "," + io::csv_cell(data.time_of(i, true));
    text += fmt::format(",{:.6g},{}", scores.scores[i], scores.scores[i] > threshold ? 1 : 0);
    for (const std::vector<float>& errors : scores.errors) text += fmt::format(",{:.6g}", errors[i]);
    text += "\n";
  }
  io::write_file(path, text);
}

void score(const Arguments& arguments) {
  OpenModel open(arguments.model);
  const Generated generated = generated_of(open);
  const By by = choose(open, arguments.by);
  if (!arguments.plot.empty() && !arguments.plot.ends_with(".svg"))
    throw Error(arguments.plot + ": the plot is an .svg file");
  if (!arguments.output.empty() && !arguments.output.ends_with(".csv"))
    throw Error(arguments.output + ": scores are written as a .csv file");
  if (!arguments.data.preview.empty()) check_kind(arguments.data.preview, generated);
  Dataset data(open, arguments.data, {generated.port}, generated.output);
  data.find_scaling();
  data.choose(Dataset::Part::kHeldOut);
  if (!arguments.data.preview.empty()) write_preview(arguments.data.preview, data, generated);
  fig_session_options options = arguments.session.options();
  if (options.batch == 0) options.batch = 64;
  open.open_session(options);
  const Scores scores = Scoring(arguments, open, data, by).run();
  const size_t count = scores.scores.size();
  const auto normal =
      std::clamp<size_t>(static_cast<size_t>(arguments.calibrate * static_cast<double>(count)), 1, count);
  const double threshold =
      arguments.threshold_given
          ? arguments.threshold
          : quantile_of({scores.scores.begin(), scores.scores.begin() + static_cast<std::ptrdiff_t>(normal)},
                        arguments.quantile);
  const std::vector<Run> runs = runs_above(scores.scores, threshold);
  size_t alarms = 0;
  for (const Run& run : runs) alarms += run.second - run.first + 1;
  if (!arguments.output.empty()) write_csv(arguments.output, data, scores, threshold);
  if (!arguments.plot.empty()) {
    io::write_file(arguments.plot,
                   io::plot_lines("Scores of " + data.path(), "window",
                                  {{"score", scores.scores}, {"threshold", std::vector<double>(count, threshold)}}));
  }
  const char* names[] = {"reconstruction error", "negative ELBO", "negative output of the discriminator"};
  const auto place = [&](const Run& run) -> std::pair<std::string, std::string> {
    const std::string from = data.time_of(run.first, false);
    return from.empty() ? std::pair{std::to_string(run.first), std::to_string(run.second)}
                        : std::pair{from, data.time_of(run.second, true)};
  };
  if (arguments.json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const Run& run : runs) {
      const auto peak = *std::max_element(scores.scores.begin() + static_cast<std::ptrdiff_t>(run.first),
                                          scores.scores.begin() + static_cast<std::ptrdiff_t>(run.second) + 1);
      list.push_back({{"first", run.first},
                      {"last", run.second},
                      {"from", place(run).first},
                      {"to", place(run).second},
                      {"peak", peak}});
    }
    const nlohmann::ordered_json json = {
        {"windows", count},       {"by", names[static_cast<int>(by)]},
        {"threshold", threshold}, {"calibrated_on", arguments.threshold_given ? 0 : normal},
        {"alarms", alarms},       {"runs", list}};
    io::print("%s\n", json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return;
  }
  io::print("%zu windows by their %s, threshold %s", count, names[static_cast<int>(by)],
            io::format_short(threshold).c_str());
  if (!arguments.threshold_given)
    io::print(",\nwhich %s %% of the first %zu do not exceed", io::format_short(100 * arguments.quantile).c_str(),
              normal);
  io::print("\n%zu windows are above it", alarms);
  if (runs.size() > 1) io::print(", in %zu runs", runs.size());
  io::print("\n");
  constexpr size_t kShown = 10;
  std::vector<std::vector<std::string>> table = {{"from", "to", "windows", "highest score"}};
  for (const Run& run : runs) {
    if (table.size() > kShown) break;
    const double peak = *std::max_element(scores.scores.begin() + static_cast<std::ptrdiff_t>(run.first),
                                          scores.scores.begin() + static_cast<std::ptrdiff_t>(run.second) + 1);
    table.push_back(
        {place(run).first, place(run).second, std::to_string(run.second - run.first + 1), io::format_short(peak)});
  }
  if (!runs.empty()) io::print_table(table);
  if (runs.size() > kShown) io::print("and %zu more runs: -o FILE.csv has them all\n", runs.size() - kShown);
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
  command->add_option("-o,--output", arguments->output,
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
