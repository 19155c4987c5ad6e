#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "elbo.h"
#include "evaluation/reservoir.h"
#include "io/files.h"
#include "io/terminal.h"
#include "json.h"
#include "sample_features.h"
#include "sample_sets.h"

namespace figment::cli {

namespace {

using evaluation::Features;

struct Arguments {
  std::string model;
  DataArguments data;
  FeatureArguments features;
  std::string neighbors;  // a picture to write
  uint32_t samples = 10000;
  uint32_t seeds = 3;
  bool json = false;
  SessionArguments session;
};

constexpr size_t kCloseSamples = 3000;  // for what compares all pairs
constexpr size_t kKernelSamples = 1000;
constexpr size_t kPermutations = 200;
constexpr size_t kNeighbors = 3;
constexpr size_t kPictureRows = 12;
constexpr size_t kMaxClasses = 1000;

// One line of the table.
struct Score {
  std::string key;
  std::string name;
  std::vector<double> values;  // one for each seed
  std::optional<double> real;  // the same between two sets of real samples
  int decimals = 3;
};

Features top(const Features& rows, size_t count) {
  return rows.topRows(std::min(rows.rows(), static_cast<Eigen::Index>(count)));
}

// All scores of one model on one data set.
class Evaluation {
 public:
  Evaluation(const Arguments& arguments, OpenModel* open) : arguments_(arguments), open_(*open) {
    generated_ = generated_of(open_);
    const fig_output_info& output = generated_.output;
    std::vector<fig_port_info> ports = conditions_of(open_);
    ports.insert(ports.begin(), generated_.port);
    data_.emplace(open_, arguments.data, ports, output);
    data_->find_scaling();
    data_->choose(Dataset::Part::kHeldOut);
    for (const Dataset::Input& input : data_->inputs()) {
      constexpr uint32_t kClassRank = 2;  // one 1 among zeros, or a number
      if (input.samples || input.port.shape.rank > kClassRank) continue;
      io::print_error("figment: there is no data for the condition " + input.name +
                      ": its classes come in turn, whatever the real samples are; give --data " + input.name +
                      "=FILE, or subfolders as classes");
    }
    if (!arguments.data.preview.empty()) write_preview(arguments.data.preview, *data_, generated_);
    count_ = std::min<size_t>(arguments.samples, data_->count() / 2);
    if (count_ < 8)
      throw Error(fmt::format(
          "{}: leaves {} samples to compare with, and 16 are needed (see --classes, --limit and --hold-out)",
          data_->path(), data_->count()));
    numbers_ = two_sets(*data_, count_, arguments.session.seed + 1);
    RealSamples real = real_samples(*data_, std::span(numbers_).first(count_));
    real_ = std::move(real.samples);
    conditions_ = std::move(real.conditions);
    other_ = real_samples(*data_, std::span(numbers_).subspan(count_)).samples;
    fig_session_options options = arguments.session.options();
    if (options.batch == 0) options.batch = 64;
    open_.open_session(options);
    features_.emplace(open_, generated_, arguments.features, arguments.session.threads);
  }

  void run() {
    io::ProgressLine line("evaluating");
    const double parts = arguments_.seeds + 1;
    line.update(0, "real samples");
    const Seen real = look(real_);
    const Seen other = look(other_);
    real_classes_ = real.classes;
    line.update(0.5 / parts, "real against real samples");
    compare(real, other, 0, true);
    for (uint32_t i = 0; i < arguments_.seeds; ++i) {
      const uint64_t seed = arguments_.session.seed + i;
      line.update((i + 1) / parts, "seed " + std::to_string(seed));
      const GeneratedSamples generated = generate_samples(open_, generated_, seed, count_, conditions_);
      const Seen seen = look(generated.samples);
      compare(real, seen, seed, false);
      if (has_elbo(open_)) bound(seed);
      codes(generated, seen);
      if (i == 0) first_ = generated.samples;
    }
    if (data_->has_labels()) real_codes();
    if (!arguments_.neighbors.empty()) picture();
  }

  void print() const {
    std::vector<std::vector<std::string>> rows = {{"score", "value", "+-", "real against real"}};
    for (const Score& score : scores_) {
      const evaluation::Mean mean = evaluation::mean_of(score.values);
      rows.push_back({score.name, io::format_number(mean.mean, score.decimals),
                      score.values.size() > 1 ? io::format_number(mean.deviation, score.decimals) : "",
                      score.real ? io::format_number(*score.real, score.decimals) : ""});
    }
    io::print("%zu samples for each of %u seeds\n\n", count_, arguments_.seeds);
    io::print_table(rows);
    if (!real_classes_.empty()) print_histogram();
  }

  void print_json() const {
    nlohmann::ordered_json result = {{"samples", count_}, {"seeds", arguments_.seeds}, {"features", features_->kind()}};
    for (const Score& score : scores_) {
      const evaluation::Mean mean = evaluation::mean_of(score.values);
      nlohmann::ordered_json entry = {{"mean", mean.mean}, {"deviation", mean.deviation}, {"values", score.values}};
      if (score.real) entry["real"] = *score.real;
      result["scores"][score.key] = std::move(entry);
    }
    if (!real_classes_.empty()) {
      result["classes"] = histogram(generated_classes_);
      result["real_classes"] = histogram(real_classes_);
    }
    io::print("%s\n", json_text(result).c_str());
  }

 private:
  // Samples and what they are compared by.
  struct Seen {
    const Features& samples;
    Features features;
    std::vector<size_t> classes;
  };

  Seen look(const Features& samples) const {
    Classifier::Result result = features_->of(samples);
    return {samples, std::move(result.features), std::move(result.classes)};
  }

  void add(const std::string& key, const std::string& name, int decimals, double value, bool real) {
    auto found = std::find_if(scores_.begin(), scores_.end(), [&](const Score& score) { return score.key == key; });
    if (found == scores_.end()) found = scores_.insert(scores_.end(), {key, name, {}, {}, decimals});
    if (real)
      found->real = value;
    else
      found->values.push_back(value);
  }

  // Scores of `seen` beside the real samples; as the measure of how small they can be, if `seen` is real, too.
  void compare(const Seen& real, const Seen& seen, uint64_t seed, bool is_real) {
    add("frechet_distance", "Fréchet distance " + features_->name(), 3,
        evaluation::frechet_distance(real.features, seen.features), is_real);
    const evaluation::Discrepancy discrepancy = evaluation::kernel_discrepancy(
        top(real.features, kKernelSamples), top(seen.features, kKernelSamples), kPermutations, seed);
    add("kernel_mmd", "kernel MMD squared", 4, discrepancy.squared, is_real);
    add("kernel_mmd_p", "  p-value", 3, discrepancy.p_value, is_real);
    const evaluation::PrecisionRecall both =
        evaluation::precision_recall(top(real.features, kCloseSamples), top(seen.features, kCloseSamples), kNeighbors);
    add("precision", "precision", 3, both.precision, is_real);
    add("recall", "recall", 3, both.recall, is_real);
    add("neighbor_distance", "distance to the nearest real sample", 3,
        median_distance(top(seen.samples, kKernelSamples), real.samples), is_real);
    if (generated_.sequence()) {
      const fig_shape& shape = generated_.port.shape;
      const auto a = evaluation::power_spectrum(real.samples, shape.extents[1], shape.extents[2]);
      const auto b = evaluation::power_spectrum(seen.samples, shape.extents[1], shape.extents[2]);
      double difference = 0;
      double sum = 0;
      for (size_t i = 0; i < a.size(); ++i) {
        difference += std::fabs(a[i] - b[i]);
        sum += a[i];
      }
      add("spectrum", "difference of power spectra", 3, sum > 0 ? difference / sum : 0, is_real);
      // Windows of one series repeat each other: what is learned from some of them is known of the others.
      if (!data_->overlaps()) learn(real, seen, {shape.extents[1], shape.extents[2]}, is_real);
    }
    if (is_real) return;
    generated_classes_.insert(generated_classes_.end(), seen.classes.begin(), seen.classes.end());
    if (features_->classes() > 0) {
      const std::vector<double> generated = histogram(seen.classes);
      const std::vector<double> wanted = histogram(real.classes);
      size_t present = 0;
      for (size_t i = 0; i < generated.size(); ++i) present += generated[i] >= wanted[i] / 5 ? 1 : 0;
      add("classes_present", "classes generated (a fifth of their share)", 1, static_cast<double>(present), false);
    }
  }

  void learn(const Seen& real, const Seen& seen, const evaluation::SequenceForm& form, bool is_real) {
    const Features some_real = top(real.samples, kCloseSamples);
    const Features some = top(seen.samples, kCloseSamples);
    add("discriminative", "discriminative score", 3, evaluation::discriminative_score(some_real, some, form), is_real);
    if (form.steps > 1)
      add("predictive", "predictive score", 4, evaluation::predictive_score(some_real, some, form), is_real);
  }

  static double median_distance(const Features& from, const Features& to) {
    std::vector<double> distances;
    for (const evaluation::Neighbor& found : evaluation::nearest(from, to)) distances.push_back(found.distance);
    std::nth_element(distances.begin(), distances.begin() + static_cast<std::ptrdiff_t>(distances.size() / 2),
                     distances.end());
    return distances[distances.size() / 2];
  }

  void bound(uint64_t seed) {
    const EvidenceLowerBound found = evidence_lower_bound(open_, generated_, real_, seed);
    add("elbo", "ELBO in nats", 2, found.value(), false);
    add("reconstruction", "  reconstruction", 2, found.reconstruction, false);
    add("kl", "  divergence", 2, found.divergence, false);
  }

  // How well the codes of generated samples are recognized: the category by the classifier, continuous ones by the
  // model's own Q.
  void codes(const GeneratedSamples& generated, const Seen& seen) {
    const fig_latent_info latent = open_.latent();
    fig_code_info code{};
    for (uint32_t i = 0; fig_model_code(open_.model(), i, &code) == FIG_OK; ++i) {
      if (code.prior == FIG_PRIOR_CATEGORICAL) {
        if (features_->classes() == 0) continue;
        std::vector<std::vector<size_t>> counts(code.size, std::vector<size_t>(features_->classes()));
        for (size_t n = 0; n < count_; ++n) {
          const float* values = generated.latents.data() + n * latent.size + code.start;
          ++counts[static_cast<size_t>(std::max_element(values, values + code.size) - values)][seen.classes[n]];
        }
        add("code_accuracy." + std::string(code.name), "samples of one " + std::string(code.name) + " in one class", 3,
            evaluation::best_map_accuracy(counts), false);
        continue;
      }
      const Features q = discriminator_output(generated.samples, code.name);
      if (q.size() == 0) continue;
      double sum = 0;
      for (size_t j = 0; j < code.size; ++j) {
        std::vector<double> given;
        std::vector<double> found;
        for (size_t n = 0; n < count_; ++n) {
          given.push_back(static_cast<double>(generated.latents[n * latent.size + code.start + j]));
          found.push_back(static_cast<double>(q(static_cast<Eigen::Index>(n), static_cast<Eigen::Index>(j))));
        }
        sum += std::fabs(evaluation::correlation(given, found));
      }
      add("code_correlation." + std::string(code.name), "correlation of " + std::string(code.name) + " and Q's mean", 3,
          sum / static_cast<double>(code.size), false);
    }
  }

  // An output of "discriminate" for samples; empty if there is none of that name.
  Features discriminator_output(const Features& samples, const std::string& output) const {
    if (!open_.has_program("discriminate")) return {};
    const uint32_t program = open_.find_program("discriminate");
    fig_program_info info{};
    check(fig_model_program(open_.model(), program, &info));
    const fig_port_info input = open_.input(program, 0);
    if (info.inputs != 1) return {};
    for (uint32_t i = 0; i < info.outputs; ++i) {
      const fig_port_info port = open_.output(program, i);
      if (output != port.name) continue;
      const auto count = static_cast<size_t>(samples.rows());
      Features result(samples.rows(), static_cast<Eigen::Index>(sample_elements(port.shape)));
      // Inputs are only read.
      const fig_tensor given{input.name, const_cast<float*>(samples.data()), static_cast<size_t>(samples.size()),
                             FIG_F32};
      const fig_tensor wanted{port.name, result.data(), static_cast<size_t>(result.size()), FIG_F32};
      check(fig_run(open_.session(), "discriminate", count, &given, 1, &wanted, 1));
      return result;
    }
    return {};
  }

  // How well Q's category of real samples is their class.
  void real_codes() {
    fig_code_info code{};
    for (uint32_t i = 0; fig_model_code(open_.model(), i, &code) == FIG_OK; ++i) {
      if (code.prior != FIG_PRIOR_CATEGORICAL) continue;
      const Features q = discriminator_output(real_, code.name);
      if (q.size() == 0) continue;
      size_t classes = 0;
      for (size_t n = 0; n < count_; ++n) classes = std::max(classes, data_->label(numbers_[n]) + 1);
      if (std::max<size_t>(classes, code.size) > kMaxClasses) return;  // labels that are for choosing samples
      std::vector<std::vector<size_t>> counts(code.size, std::vector<size_t>(classes));
      for (size_t n = 0; n < count_; ++n) {
        Eigen::Index best = 0;
        q.row(static_cast<Eigen::Index>(n)).maxCoeff(&best);
        ++counts[static_cast<size_t>(best)][data_->label(numbers_[n])];
      }
      add("cluster_accuracy." + std::string(code.name),
          "real samples whose " + std::string(code.name) + " is their class", 3, evaluation::best_map_accuracy(counts),
          false);
    }
  }

  std::vector<double> histogram(const std::vector<size_t>& classes) const {
    std::vector<double> shares(features_->classes());
    for (size_t c : classes) shares[c] += 1 / static_cast<double>(classes.size());
    return shares;
  }

  void print_histogram() const {
    const std::vector<double> generated = histogram(generated_classes_);
    const std::vector<double> real = histogram(real_classes_);
    // The longest bar fits a terminal.
    constexpr double kWidth = 56;
    const double step = std::max(*std::max_element(generated.begin(), generated.end()) / kWidth, 0.005);
    io::print("\nclass    fake   real\n");
    for (size_t i = 0; i < generated.size(); ++i) {
      std::string bar;
      for (double share = 0; share < generated[i] - step / 2; share += step) bar += "#";
      io::print("%5zu %5.1f%% %5.1f%%  %s\n", i, generated[i] * 100, real[i] * 100, bar.c_str());
    }
  }

  // Samples, each left of the real one nearest to it, so that a copy would be seen.
  void picture() const {
    const Features generated = top(first_, kPictureRows * kPictureRows / 2);
    const std::vector<evaluation::Neighbor> found = evaluation::nearest(generated, real_);
    std::vector<float> both;
    for (Eigen::Index i = 0; i < generated.rows(); ++i) {
      both.insert(both.end(), generated.row(i).data(), generated.row(i).data() + generated.cols());
      const auto row = real_.row(static_cast<Eigen::Index>(found[static_cast<size_t>(i)].index));
      both.insert(both.end(), row.data(), row.data() + row.size());
    }
    write_samples(arguments_.neighbors, both, generated_, {kPictureRows, 2});
  }

  const Arguments& arguments_;
  OpenModel& open_;
  Generated generated_;
  std::optional<Dataset> data_;
  std::optional<SampleFeatures> features_;
  size_t count_ = 0;
  std::vector<size_t> numbers_;  // of the real samples in the data, and behind them of the others
  Features real_;
  std::vector<Steered::Condition> conditions_;  // of the real ones
  Features other_;                              // a second set of real ones
  Features first_;                              // from the first seed
  std::vector<size_t> real_classes_;
  std::vector<size_t> generated_classes_;
  std::vector<Score> scores_;
};

// How often a classifier's class is the label.
void evaluate_classifier(const Arguments& arguments, const OpenModel& open) {
  const Generated learned = learned_of(open);
  Dataset data(open, arguments.data, batch_inputs_of(open), learned.output);
  data.find_scaling();
  data.choose(Dataset::Part::kHeldOut);
  if (!arguments.data.preview.empty()) write_preview(arguments.data.preview, data, learned);
  if (!data.has_labels()) throw Error("a classifier is scored by labels: --data label=FILE, or a folder of subfolders");
  const Classifier classifier(arguments.model, arguments.session.threads);
  Features samples = evaluation::rows(data.count(), learned.sample);
  for (size_t i = 0; i < data.count(); ++i)
    data.copy(data.inputs()[0], i, samples.row(static_cast<Eigen::Index>(i)).data());
  const Classifier::Result result = classifier.classify(samples, learned.output.range_min, learned.output.range_max);
  size_t right = 0;
  for (size_t i = 0; i < data.count(); ++i) right += result.classes[i] == data.label(i) ? 1 : 0;
  const double accuracy = static_cast<double>(right) / static_cast<double>(data.count());
  if (arguments.json)
    io::print("%s\n", json_text(nlohmann::ordered_json{{"samples", data.count()}, {"accuracy", accuracy}}).c_str());
  else
    io::print("accuracy %.1f %% of %zu samples\n", 100 * accuracy, data.count());
}

void evaluate(const Arguments& arguments) {
  OpenModel open(arguments.model);
  if (std::string(objective_of(open).name) == "classifier") return evaluate_classifier(arguments, open);
  for (const std::string& path : {arguments.neighbors, arguments.data.preview}) {
    if (!path.empty()) check_kind(path, generated_of(open));
    arguments.data.check_kept(path, arguments.model);
  }
  Evaluation evaluation(arguments, &open);
  evaluation.run();
  if (arguments.json)
    evaluation.print_json();
  else
    evaluation.print();
}

}  // namespace

void add_evaluate(CLI::App* app, Commands* commands) {
  CLI::App* command = app->add_subcommand("evaluate", "Score generated samples against real ones");
  auto arguments = std::make_shared<Arguments>();
  command->footer(
      "  figment evaluate model.figment --data images\n"
      "  figment evaluate model.figment --data images --neighbors near.png");
  command->add_option("model", arguments->model, ".figment file")->required();
  arguments->data.add_to(command);
  command->option_defaults()->group("Scores");
  arguments->features.add_to(command);
  command->add_option("--samples", arguments->samples, "samples to compare (at most half of the data)")
      ->check(CLI::Range(8, 1000000))
      ->capture_default_str();
  command->add_option("--seeds", arguments->seeds, "number of seeds: scores are means, +- is their standard deviation")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--seed", arguments->session.seed, "the first seed")->capture_default_str();
  command->add_option("--neighbors", arguments->neighbors,
                      "picture to write: samples, each beside its nearest real neighbor");
  command->add_flag("--json", arguments->json, "machine-readable");
  arguments->session.add_to(command, true);
  (*commands)[command] = [arguments] { evaluate(*arguments); };
}

}  // namespace figment::cli
