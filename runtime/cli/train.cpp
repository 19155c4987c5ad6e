#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>

#include "commands.h"
#include "dataset.h"
#include "io/terminal.h"
#include "report.h"
#include "running_score.h"
#include "training_monitor.h"

namespace figment::cli {

namespace {

struct Arguments {
  std::string model;
  DataArguments data;
  std::string output;
  std::string report;
  uint64_t pictures_every = 0;
  std::string best;
  std::string classifier;
  uint64_t score_every = 0;
  std::string checkpoint;
  uint64_t checkpoint_every = 500;
  uint64_t steps = 0;
  uint32_t micro_batch = 0;
  std::vector<std::string> scalars;
  SessionArguments session;
};

volatile std::sig_atomic_t g_stop = 0;  // the signal that asked for it

void stop(int signal) { g_stop = signal; }

// From now on the signals that end a program ask it to save and stop, however often they come; what the caller chose to
// ignore (nohup) stays ignored. A reader of the output that goes away does not end it either.
void stop_by_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action{};
    if (::sigaction(signal, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) continue;
    action.sa_handler = stop;
    action.sa_flags = SA_RESTART;
    ::sigaction(signal, &action, nullptr);
  }
}

// Whether training normalizes by the statistics of the batch.
bool normalizes_batches(const OpenModel& open) {
  fig_model_info info{};
  check(fig_model_get_info(open.model(), &info));
  for (uint32_t p = 0; p < info.programs; ++p) {
    fig_program_info program{};
    check(fig_model_program(open.model(), p, &program));
    for (uint32_t i = 0; program.trains && i < program.ops; ++i) {
      fig_op_info op{};
      check(fig_model_op(open.model(), p, i, &op));
      if (std::strcmp(op.kind, "batch_norm_statistics") == 0) return true;
    }
  }
  return false;
}

// A number of the model's metadata, or `fallback`.
uint64_t metadata_number(const OpenModel& open, const std::string& key, uint64_t fallback) {
  const std::string text = open.metadata(key);
  return text.empty() ? fallback : std::strtoull(text.c_str(), nullptr, 10);
}

bool is_drawn(const OpenModel& open, const std::string& input) {
  fig_drawn_info drawn{};
  for (uint32_t i = 0; fig_model_drawn(open.model(), i, &drawn) == FIG_OK; ++i) {
    if (input == drawn.input) return true;
  }
  return false;
}

// The inputs of the train programs that the session does not draw, what is generated first.
std::vector<fig_port_info> data_inputs(const OpenModel& open) {
  fig_model_info info{};
  check(fig_model_get_info(open.model(), &info));
  const size_t generated = generated_of(open).sample;
  std::vector<fig_port_info> result;
  for (uint32_t p = 0; p < info.programs; ++p) {
    fig_program_info program{};
    check(fig_model_program(open.model(), p, &program));
    for (uint32_t i = 0; program.trains && i < program.inputs; ++i) {
      const fig_port_info port = open.input(p, i);
      const bool known = std::any_of(result.begin(), result.end(), [&](const fig_port_info& other) {
        return std::strcmp(other.name, port.name) == 0;
      });
      if (known || is_drawn(open, port.name)) continue;
      result.insert(sample_elements(port.shape) == generated ? result.begin() : result.end(), port);
    }
  }
  if (result.empty()) throw Error("the model does not train: figment-convert --objective makes one that does");
  return result;
}

// What the program itself keeps in a checkpoint: the run that it belongs to.
struct Run {
  uint64_t batch = 0;
  uint64_t samples = 0;
  uint64_t seed = 0;
  Best best;
};

// Goes on from a checkpoint, if there is one.
void resume(const OpenModel& open, const Arguments& arguments, Run* run) {
  Run found;
  size_t size = 0;
  const fig_status status =
      fig_checkpoint_load(open.session(), arguments.checkpoint.c_str(), &found, sizeof found, &size);
  if (status == FIG_NOT_FOUND) return;
  check(status);
  if (size != sizeof found) {
    throw Error(arguments.checkpoint +
                ": its checkpoint is not of figment train, which says what run it belongs to: give another folder");
  }
  if (found.batch != run->batch || found.samples != run->samples || found.seed != run->seed) {
    throw Error(fmt::format(
        "the checkpoint in {} is of a run with --batch {} --seed {} on {} samples: give the same, or another folder",
        arguments.checkpoint, found.batch, found.seed, found.samples));
  }
  run->best = found.best;
  io::print("resumed at step %llu from %s\n", static_cast<unsigned long long>(fig_session_steps(open.session())),
            arguments.checkpoint.c_str());
}

// "NAME=VALUE" of scalars.
void set_scalars(const OpenModel& open, const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    const auto [name, value] = io::split_assignment(text);
    char* end = nullptr;
    const double number = std::strtod(value.c_str(), &end);
    if (name.empty() || value.empty() || *end != 0) throw Error("--set " + text + ": write NAME=VALUE");
    if (fig_session_set_scalar(open.session(), name.c_str(), number) == FIG_OK) continue;
    std::string names;
    const char* known = "";
    for (uint32_t i = 0; fig_model_scalar(open.model(), i, &known) == FIG_OK; ++i)
      names += std::string(i > 0 ? ", " : "") + known;
    throw Error("--set " + text + ": give a finite number, for one of " + names);
  }
}

// Whether a file can be written in the folder of `path`.
void check_writable(const std::string& path) {
  if (path.empty()) return;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (::access(folder.empty() ? "." : folder.c_str(), W_OK) != 0)
    throw Error("cannot write " + path + ": " + std::strerror(errno));
}

// Without diagnostics, which losses.csv has.
std::string to_text(const fig_metrics& metrics, const std::vector<fig_metric_info>& infos) {
  std::string text;
  for (uint32_t i = 0; i < metrics.count; ++i) {
    const bool diagnostic = std::any_of(infos.begin(), infos.end(), [&](const fig_metric_info& info) {
      return info.kind == FIG_METRIC_DIAGNOSTIC && std::strcmp(info.name, metrics.values[i].name) == 0;
    });
    if (diagnostic) continue;
    text += std::string(text.empty() ? "" : ", ") + metrics.values[i].name + " " +
            io::format_number(static_cast<double>(metrics.values[i].value), 4);
  }
  return text;
}

void train(const Arguments& arguments) {
  OpenModel open(arguments.model);
  fig_output_info output{};
  const std::vector<fig_port_info> ports = data_inputs(open);
  check(fig_model_generated(open.model(), &output));
  if (!arguments.data.labels.empty() && arguments.data.classes.empty())
    throw Error("--labels is for --classes; labels that are trained on are a condition, --data INPUT=FILE");
  Dataset data(arguments.data, ports, output);
  for (const Dataset::Input& input : data.inputs()) {
    if (!input.samples) throw Error("the input " + input.name + " needs data: --data " + input.name + "=FILE");
  }
  data.choose(Dataset::Part::kTraining);
  const size_t samples = data.count();
  fig_session_options options = arguments.session.options();
  options.training = true;
  options.micro_batch = arguments.micro_batch;
  if (options.batch == 0) options.batch = static_cast<uint32_t>(metadata_number(open, "training.batch", 32));
  if (options.batch > samples)
    throw Error(fmt::format("the batch is larger than the data: --batch {} at most", samples));
  const uint64_t steps = arguments.steps != 0 ? arguments.steps : metadata_number(open, "training.steps", 1000);
  // Not found out only when hours of work are to be written.
  check_writable(arguments.output);
  check_writable(arguments.best);
  if (!arguments.output.empty() && io::same_file(arguments.output, arguments.best))
    throw Error("--out and --keep-best are one file: " + arguments.output);
  open.open_session(options);
  Run run{options.batch, samples, options.seed, {}};
  if (!arguments.checkpoint.empty()) resume(open, arguments, &run);
  set_scalars(open, arguments.scalars);
  const uint64_t start = fig_session_steps(open.session());
  if (start >= steps) io::print("nothing to do: --steps %llu is reached\n", static_cast<unsigned long long>(steps));
  const auto save = [&] {
    if (!arguments.checkpoint.empty())
      check(fig_checkpoint_save(open.session(), arguments.checkpoint.c_str(), &run, sizeof run));
  };
  std::vector<std::vector<float>> values;
  std::vector<fig_tensor> tensors;
  for (const Dataset::Input& input : data.inputs()) {
    values.emplace_back(options.batch * input.elements);
    tensors.push_back({input.name.c_str(), values.back().data(), values.back().size(), FIG_F32});
  }
  io::Shuffle shuffle(samples, options.seed);
  const fig_batch batch{sizeof(fig_batch), options.batch, tensors.data(), tensors.size(), nullptr, 0};
  std::optional<Report> report;
  if (!arguments.report.empty()) {
    report.emplace(arguments.report, open, start);
    report->set_conditions(data);
  }
  const uint64_t pictures_every =
      arguments.pictures_every != 0 ? arguments.pictures_every : std::max<uint64_t>(steps / 10, 1);
  std::optional<RunningScore> score;
  if (!arguments.best.empty()) {
    data.choose(Dataset::Part::kHeldOut);
    score.emplace(open, data, arguments.classifier, arguments.session.threads);
    data.choose(Dataset::Part::kTraining);
  }
  const uint64_t score_every = arguments.score_every != 0 ? arguments.score_every : std::max<uint64_t>(steps / 20, 1);
  const std::vector<fig_metric_info> infos = metrics_of(open);
  TrainingMonitor monitor(infos);
  fig_metrics metrics{};
  metrics.step = start;
  uint64_t skipped = 0;
  if (options.batch == 1 && normalizes_batches(open)) {
    io::print_error("figment: batch normalization over a single sample erases it: train with a batch of 16 or more");
  }
  stop_by_signals();
  {
    io::ProgressLine line("training");
    for (uint64_t step = start; step < steps && g_stop == 0; ++step) {
      for (size_t i = 0; i < options.batch; ++i) {
        const size_t sample = shuffle.at(step * options.batch + i);
        for (size_t j = 0; j < values.size(); ++j) {
          const Dataset::Input& input = data.inputs()[j];
          data.copy(input, sample, values[j].data() + i * input.elements);
        }
      }
      check(fig_train_step(open.session(), &batch, &metrics));
      skipped += metrics.skipped;
      line.update(static_cast<double>(step + 1 - start) / static_cast<double>(steps - start), to_text(metrics, infos));
      if (report) report->add(metrics);
      if (report && metrics.step % pictures_every == 0) report->add_picture(metrics.step);
      monitor.add(metrics);
      const bool scored = score && (metrics.step % score_every == 0 || metrics.step == steps);
      if (scored && monitor.score((*score)(), metrics.step, &run.best))
        check(fig_session_export(open.session(), arguments.best.c_str()));
      for (const std::string& warning : monitor.warnings())
        line.print(fmt::format("step {}: {}", metrics.step, warning));
      if (metrics.step % arguments.checkpoint_every == 0 && metrics.step < steps) save();
    }
  }
  if (metrics.step > start) save();
  if (!arguments.output.empty()) check(fig_session_export(open.session(), arguments.output.c_str()));
  if (report) report->write();
  io::print("%llu steps%s%s\n", static_cast<unsigned long long>(metrics.step), metrics.count > 0 ? ", " : "",
            to_text(metrics, infos).c_str());
  if (score && run.best.step > 0) {
    io::print("best %s %.4g at step %llu: %s\n", score->name().c_str(), run.best.score,
              static_cast<unsigned long long>(run.best.step), arguments.best.c_str());
  }
  if (metrics.step < steps) {
    std::fprintf(stderr, "figment: stopped before step %llu%s\n", static_cast<unsigned long long>(steps),
                 arguments.checkpoint.empty() ? "" : "; rerun the command to resume");
  }
  if (skipped > 0) {
    std::fprintf(stderr,
                 "figment: %llu updates were skipped because of NaN or infinite gradients: lower the learning rate\n",
                 static_cast<unsigned long long>(skipped));
  }
  if (const int signal = g_stop; signal != 0) {
    // Saved as asked: now the end that the signal would have been, so that a script that called stops, too.
    std::fflush(stdout);
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

}  // namespace

void add_train(CLI::App* app, Commands* commands) {
  CLI::App* command = app->add_subcommand("train", "Train a model that was converted with an objective");
  auto arguments = std::make_shared<Arguments>();
  command->add_option("model", arguments->model, ".figment file")->required();
  arguments->data.add_to(command);
  command->add_option("--steps", arguments->steps, "train up to this step (default: the recipe's, or 1000)")
      ->check(at_least_one("the recipe's, or 1000"));
  command
      ->add_option("--micro-batch", arguments->micro_batch,
                   "micro-batch size for gradient accumulation (default: the batch, or less as --memory-limit demands)")
      ->check(at_least_one("the whole batch, or what --memory-limit allows"));
  command->add_option("--seed", arguments->session.seed, "seed of the order of the data and of what is drawn")
      ->capture_default_str();
  command->add_option("--checkpoint", arguments->checkpoint,
                      "checkpoint folder: resumed from if it holds a checkpoint, saved to also when interrupted");
  command->add_option("--checkpoint-every", arguments->checkpoint_every, "steps between checkpoints")
      ->check(at_least_one("500"))
      ->capture_default_str();
  command->add_option(
      "--set", arguments->scalars,
      "NAME=VALUE: a hyperparameter, also of a resumed run, as in g.learning_rate=1e-5; may be repeated");
  command->add_option("--out", arguments->output, "write the trained model to this file, also when interrupted");
  command->add_option("--keep-best", arguments->best,
                      "write the best model so far to this file, by Fréchet distance or a VAE's loss");
  command->add_option("--classifier", arguments->classifier,
                      "classifier whose features score images (models/classifier)");
  command->add_option("--score-every", arguments->score_every, "steps between scores (default: a twentieth of all)")
      ->check(at_least_one("a twentieth of all steps"));
  command->add_option("--report", arguments->report,
                      "folder for pictures of samples during training and the losses (losses.csv, losses.svg)");
  command->add_option("--pictures-every", arguments->pictures_every, "steps between pictures (default: a tenth of all)")
      ->check(at_least_one("a tenth of all steps"));
  arguments->session.add_to(command, true);
  (*commands)[command] = [arguments] { train(*arguments); };
}

}  // namespace figment::cli
