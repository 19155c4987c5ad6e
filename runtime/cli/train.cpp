#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>

#include "batches.h"
#include "commands.h"
#include "dataset.h"
#include "io/terminal.h"
#include "report.h"
#include "running_score.h"
#include "sample_sets.h"
#include "training_log.h"
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
  FeatureArguments features;
  uint64_t score_every = 0;
  std::string checkpoint;
  uint64_t checkpoint_every = 500;
  uint64_t steps = 0;
  uint32_t micro_batch = 0;
  std::vector<std::string> scalars;
  bool json = false;
  std::string classifier_recipe;
  SessionArguments session;
  bool seeded = false;  // by the user
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

// Whether some program computes in int8.
bool is_int8(const OpenModel& open) {
  fig_model_info info{};
  check(fig_model_get_info(open.model(), &info));
  for (uint32_t p = 0; p < info.programs; ++p) {
    fig_program_info program{};
    check(fig_model_program(open.model(), p, &program));
    for (uint32_t i = 0; i < program.tensors; ++i) {
      if (open.tensor(p, i).type == FIG_I8) return true;
    }
  }
  return false;
}

// The inputs of a batch. Throws for a model that does not train.
std::vector<fig_port_info> data_inputs(const OpenModel& open) {
  std::vector<fig_port_info> result = batch_inputs_of(open);
  if (result.empty()) {
    throw Error(is_int8(open)
                    ? "an int8 model does not train: train the f32 model that it was made of, then quantize the result "
                      "(figment-convert trained.figment --int8 -o trained_int8.figment)"
                    : "the model does not train: figment-convert --objective, or a recipe, makes one that does");
  }
  return result;
}

// What the program itself keeps in a checkpoint: the run that it belongs to.
struct Run {
  uint64_t batch = 0;
  uint64_t samples = 0;
  uint64_t seed = 0;
  uint64_t measure = 0;  // a hash of the name of the best one's score
  Best best;
};

// Goes on from a checkpoint, if there is one; whether there was.
// `any_seed`: a seed that the run has drawn is its checkpoint's.
bool resume(const OpenModel& open, const Arguments& arguments, bool any_seed, Run* run) {
  Run found;
  size_t size = 0;
  const fig_status status =
      fig_checkpoint_load(open.session(), arguments.checkpoint.c_str(), &found, sizeof found, &size);
  if (status == FIG_NOT_FOUND) return false;
  // Also where there is more of it than there is room for.
  if (status != FIG_INVALID_ARGUMENT || size <= sizeof found) check(status);
  if (size != sizeof found) {
    throw Error(arguments.checkpoint +
                ": its checkpoint is not of figment train, which says what run it belongs to: give another folder");
  }
  if (any_seed) run->seed = found.seed;
  if (found.batch != run->batch || found.samples != run->samples || found.seed != run->seed) {
    throw Error(fmt::format(
        "the checkpoint in {} is of a run with --batch {} --seed {} on {} samples: give the same, or another folder",
        arguments.checkpoint, found.batch, found.seed, found.samples));
  }
  run->best = found.best;
  run->measure = found.measure;
  return true;
}

// "NAME=VALUE" of scalars.
void set_scalars(const OpenModel& open, const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    const auto [name, value] = io::split_assignment(text);
    char* end = nullptr;
    const double number = std::strtod(value.c_str(), &end);
    if (name.empty() || value.empty()) throw Error("--set " + text + ": write NAME=VALUE");
    if (name.starts_with(Privacy::kScalars))
      throw Error("--set " + text +
                  ": it is the model's, so that one epsilon holds for all of a run: convert with another");
    if (*end != 0) throw Error("--set " + text + ": " + value + " is no number");
    if (fig_session_set_scalar(open.session(), name.c_str(), number) == FIG_OK) continue;
    std::string names;
    const char* known = "";
    for (uint32_t i = 0; fig_model_scalar(open.model(), i, &known) == FIG_OK; ++i)
      names += std::string(i > 0 ? ", " : "") + known;
    throw Error("--set " + text + ": give a finite number, for one of " + names);
  }
}

// Whether a model can be written to `path`, over none or over another model.
void check_writable(const std::string& path) {
  if (path.empty()) return;
  std::error_code none;
  if (std::filesystem::is_directory(path, none)) throw Error(path + " is a folder: name a file in it");
  const bool there = std::filesystem::exists(path, none);
  if (there && !(std::filesystem::is_regular_file(path, none) && io::is_model(path)))
    throw Error(path + " is there, and no Figment model: name another file, or remove it");
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file >= 0) ::close(file);
  if ((file < 0 && errno != ENOENT) || ::access(folder.empty() ? "." : folder.c_str(), W_OK) != 0)
    throw Error("cannot write " + path + ": " + std::strerror(errno));
}

// A folder of checkpoints that this process alone writes, until it ends.
class CheckpointFolder {
 public:
  explicit CheckpointFolder(const std::string& path) {
    if (path.empty()) return;
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) throw Error("cannot make the folder " + path + ": " + error.message());
    if (::access(path.c_str(), W_OK) != 0)
      throw Error("cannot write to the folder " + path + ": " + std::strerror(errno));
    file_ = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    // Not every file system has locks.
    if (file_ >= 0 && ::flock(file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
      throw Error(path + ": another run writes its checkpoints there: give another folder");
  }
  ~CheckpointFolder() {
    if (file_ >= 0) ::close(file_);
  }
  CheckpointFolder(const CheckpointFolder&) = delete;
  CheckpointFolder& operator=(const CheckpointFolder&) = delete;

 private:
  int file_ = -1;
};

// Where a run that names no file leaves its model: MODEL.trained.figment, or with a number what is not there yet.
// `reserve` makes the file, so that no run at the same time takes the name.
std::string default_output(const std::string& model, bool reserve) {
  std::filesystem::path path(model);
  std::string name = path.filename().string();
  if (name.ends_with(".figment")) name.resize(name.size() - std::strlen(".figment"));
  // Of a model that was trained so itself.
  const size_t trained = name.rfind(".trained");
  if (trained != std::string::npos && trained > 0) name.resize(trained);
  for (unsigned number = 1;; ++number) {
    path.replace_filename(name + ".trained" + (number > 1 ? "." + std::to_string(number) : "") + ".figment");
    if (std::filesystem::exists(path)) continue;
    if (!reserve) return path.string();
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0 && errno == EEXIST) continue;
    if (file < 0) throw Error("cannot write " + path.string() + ": " + std::strerror(errno));
    ::close(file);
    return path.string();
  }
}

// One run, from its first step or from a checkpoint on.
class Training {
 public:
  // A run with privacy has `batch` samples a step on average.
  Training(const Arguments& arguments, OpenModel* open, Dataset* data, uint64_t steps, uint32_t batch, bool is_private,
           uint64_t seed)
      : arguments_(arguments),
        open_(*open),
        steps_(steps),
        named_here_(arguments.output.empty() && arguments.checkpoint.empty()),
        output_(named_here_ ? default_output(arguments.model, false) : arguments.output),
        run_{batch, data->count(), seed, 0, {}},
        folder_(arguments.checkpoint),
        monitor_(metrics_of(open_)) {
    // Not found out only when hours of work are to be written.
    check_writable(output_);
    check_writable(arguments.best);
    for (const std::string& path :
         {output_, arguments.best, arguments.data.preview, arguments.report, arguments.checkpoint})
      arguments.data.check_kept(path, arguments.model);
    if (!output_.empty() && io::same_file(output_, arguments.best))
      throw Error("--out and --keep-best are one file: " + output_);
    resumed_ = !arguments.checkpoint.empty() && resume(open_, arguments, is_private && !arguments.seeded, &run_);
    batches_.emplace(*data, batch, run_.seed, is_private);
    if (is_private) {
      check(fig_session_set_scalar(open_.session(), Privacy::kLot, batch));
      privacy_ = privacy_of(open_);
    }
    data->share_scaling(open_);
    set_scalars(open_, arguments.scalars);
    start_ = fig_session_steps(open_.session());
    metrics_.step = start_;
    if (!arguments.report.empty()) {
      report_.emplace(arguments.report, open_, start_);
      report_->set_conditions(*data);
    }
    if (!arguments.best.empty()) {
      data->choose(Dataset::Part::kHeldOut);
      score_.emplace(open_, *data, arguments.features, arguments.session.threads);
      data->choose(Dataset::Part::kTraining);
      // The best so far counts if it is there, and by the same score.
      const uint64_t measure = std::hash<std::string>{}(score_->name());
      if (run_.measure != measure || !io::is_model(arguments.best)) run_.best = {};
      run_.measure = measure;
    }
  }

  void run() {
    log_.emplace(open_, steps_, arguments_.json);
    announce();
    try {
      while (metrics_.step < steps_ && g_stop == 0) step();
    } catch (...) {
      // What is trained is kept, whatever ends it.
      log_->end();
      attempt([&] { write_results(); });
      throw;
    }
    log_->end();
    finish();
  }

 private:
  void announce() {
    if (resumed_)
      log_->say(fmt::format("resumed from step {} in {}", start_, arguments_.checkpoint), {{"resumed", start_}});
    if (arguments_.output.empty() && !output_.empty() && start_ < steps_)
      log_->say(fmt::format("the trained model will be {} (--out names another)", output_), {{"output", output_}});
  }

  void step() {
    const fig_batch batch = batches_->at(metrics_.step);
    check(fig_train_step(open_.session(), &batch, &metrics_));
    skipped_ += metrics_.skipped;
    const uint64_t step = metrics_.step;
    log_->add(metrics_);
    monitor_.add(metrics_);
    if (report_) {
      report_->add(metrics_);
      if (step % or_part(arguments_.pictures_every, 10) == 0) attempt([&] { report_->add_picture(step); });
    }
    if (score_ && (step % or_part(arguments_.score_every, 20) == 0 || step == steps_)) {
      log_->doing("scoring");
      const Best before = run_.best;
      if (!attempt([&] {
            const double value = (*score_)();
            log_->score(score_->name(), value);
            if (report_) report_->add_score(step, score_->name(), value);
            if (monitor_.score(value, step, &run_.best))
              check(fig_session_export(open_.session(), arguments_.best.c_str()));
          }))
        run_.best = before;
    }
    for (const std::string& warning : monitor_.warnings()) log_->warn(warning);
    if (step % arguments_.checkpoint_every == 0 && step < steps_) attempt([&] { save(); });
    if (report_ && log_->seconds() - losses_written_ > kLossesSeconds) {
      losses_written_ = log_->seconds();
      attempt([&] { report_->write_losses(); });
    }
  }

  // Every `given` steps, or a part of all.
  uint64_t or_part(uint64_t given, uint64_t parts) const {
    return given != 0 ? given : std::max<uint64_t>(steps_ / parts, 1);
  }

  // What fails to be written is no reason to lose the run: it is said, and what is written at the end may succeed.
  bool attempt(const std::function<void()>& write) {
    try {
      write();
      return true;
    } catch (const std::bad_alloc&) {
      if (failures_.insert("memory").second) log_->warn("out of memory: scores, pictures or files are left out");
    } catch (const std::exception& error) {
      if (failures_.insert(error.what()).second) log_->warn(error.what());
    }
    return false;
  }

  void save() {
    if (report_) report_->write_losses();
    if (!arguments_.checkpoint.empty())
      check(fig_checkpoint_save(open_.session(), arguments_.checkpoint.c_str(), &run_, sizeof run_));
  }

  // All that can be written is, whatever else fails.
  void write_results() {
    std::string failure;
    const auto keep = [&](const std::function<void()>& write) {
      try {
        write();
      } catch (const std::exception& error) {
        if (failure.empty()) failure = error.what();
      }
    };
    if (!output_.empty() && (metrics_.step > start_ || !arguments_.output.empty())) {
      keep([&] {
        // Another run may have written its model there meanwhile.
        if (named_here_) output_ = default_output(arguments_.model, true);
        if (fig_session_export(open_.session(), output_.c_str()) == FIG_OK) return;
        const Error error(fig_error_message());
        if (named_here_) ::unlink(output_.c_str());
        throw error;
      });
    }
    if (metrics_.step > start_) keep([&] { save(); });
    if (report_) keep([&] { report_->write(); });
    if (!failure.empty()) throw Error(failure);
  }

  void finish() {
    write_results();
    const uint64_t step = metrics_.step;
    nlohmann::ordered_json json = {{"done", step >= steps_}, {"step", step}, {"seconds", log_->seconds()}};
    std::string text;
    if (step == start_ && step >= steps_) {
      text = fmt::format("nothing to do: the checkpoint in {} is finished, with {} of {} steps; more --steps go on",
                         arguments_.checkpoint, step, steps_);
    } else {
      text = fmt::format("{} step{}{}{}", step, step == 1 ? "" : "s", metrics_.count > 0 ? ", " : "",
                         log_->last_metrics());
    }
    log_->say(text, json_of(std::move(json)));
    if (!arguments_.json && privacy_ && privacy_->noise > 0) {
      log_->say(
          fmt::format("differential privacy: python3 -m figment.privacy --noise {:g} --rate {:g} --steps {} tells "
                      "epsilon",
                      privacy_->noise, rate(), step),
          {});
    }
    if (!arguments_.json && score_ && run_.best.step > 0) {
      log_->say(fmt::format("best {} {:.4g} at step {} (by {} samples): {}", score_->name(), run_.best.score,
                            run_.best.step, score_->count(), arguments_.best),
                {});
    }
    if (!arguments_.json && !output_.empty() && (step > start_ || !arguments_.output.empty()))
      log_->say("the trained model is " + output_, {});
    if (!arguments_.json && output_.empty() && step >= steps_)
      log_->say("rerun the command with --out FILE to write the trained model", {});
    if (step < steps_) {
      io::print_error(fmt::format("figment: stopped at step {} of {}{}", step, steps_,
                                  arguments_.checkpoint.empty() ? "" : "; rerun the command to resume"));
    }
    if (skipped_ > 0) {
      io::print_error(fmt::format(
          "figment: {} updates were skipped because of NaN or infinite gradients: lower the learning rate", skipped_));
    }
    if (const int signal = g_stop; signal != 0) {
      // Saved as asked: now the end that the signal would have been, so that a script that called stops, too.
      std::fflush(stdout);
      std::signal(signal, SIG_DFL);
      std::raise(signal);
    }
  }

  nlohmann::ordered_json json_of(nlohmann::ordered_json json) const {
    json["metrics"] = nlohmann::ordered_json::object();
    for (uint32_t i = 0; i < metrics_.count; ++i)
      json["metrics"][metrics_.values[i].name] = static_cast<double>(metrics_.values[i].value);
    if (!output_.empty()) json["output"] = output_;
    if (!arguments_.checkpoint.empty()) json["checkpoint"] = arguments_.checkpoint;
    if (score_ && run_.best.step > 0) {
      json["best"] = {
          {"score", score_->name()}, {"value", run_.best.score}, {"step", run_.best.step}, {"output", arguments_.best}};
    }
    json["skipped"] = skipped_;
    if (privacy_) {
      json["privacy"] = {
          {"clip", privacy_->clip}, {"noise", privacy_->noise}, {"rate", rate()}, {"steps", metrics_.step}};
    }
    return json;
  }

  // The share of the samples that a step draws.
  double rate() const { return static_cast<double>(run_.batch) / static_cast<double>(run_.samples); }

  static constexpr double kLossesSeconds = 5;

  const Arguments& arguments_;
  OpenModel& open_;
  uint64_t steps_;
  bool named_here_;     // the output, since the user names none
  std::string output_;  // "": the checkpoint alone
  Run run_;
  std::optional<Privacy> privacy_;
  CheckpointFolder folder_;
  bool resumed_ = false;
  uint64_t start_ = 0;
  std::optional<Batches> batches_;
  TrainingMonitor monitor_;
  std::optional<TrainingLog> log_;
  std::optional<Report> report_;
  std::optional<RunningScore> score_;
  fig_metrics metrics_{};
  uint64_t skipped_ = 0;
  double losses_written_ = 0;
  std::set<std::string> failures_;  // that were said
};

// A word as a shell reads it.
std::string quoted(const std::string& text) {
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::strchr("_-./=,:+%@", c) != nullptr;
  };
  if (!text.empty() && std::ranges::all_of(text, plain)) return text;
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? "'\\''" : std::string(1, c);
  return result + "'";
}

// The options by which the data is read, as they were given.
std::string reading_options(const DataArguments& given) {
  const PictureArguments usual;
  std::string text;
  const auto add = [&](const char* option, const std::string& value, const std::string& unless = "") {
    if (value != unless) text += std::string(" ") + option + " " + quoted(value);
  };
  add("--classes", given.classes);
  add("--limit", given.limit == 0 ? "" : std::to_string(given.limit));
  add("--background", given.pictures.background, usual.background);
  add("--fit", given.pictures.fit, usual.fit);
  add("--columns", given.table.options.columns);
  add("--time-column", given.table.options.time_column);
  add("--skip-rows", given.table.options.skip_rows == 0 ? "" : std::to_string(given.table.options.skip_rows));
  add("--fill", given.table.options.fill);
  return text;
}

// A recipe of a classifier for such images and labels, whose features samples are then compared by.
void write_classifier_recipe(const Arguments& arguments, const Dataset& data, const Generated& learned) {
  const uint32_t* extents = learned.port.shape.extents;
  arguments.data.check_kept(arguments.classifier_recipe, arguments.model);
  if (std::filesystem::exists(arguments.classifier_recipe))
    throw Error(arguments.classifier_recipe + " is there: name another file, or remove it");
  if (!learned.output.image) throw Error("--classifier-recipe is for images, which the model does not learn from");
  size_t classes = 0;
  for (size_t i = 0; data.has_labels() && i < data.count(); ++i) classes = std::max(classes, data.label(i) + 1);
  if (classes < 2) {
    throw Error("--classifier-recipe: the images have no classes: put them into subfolders, or give --labels FILE");
  }
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  uint32_t channels = 16;
  for (uint32_t size = std::min(extents[2], extents[3]); size > 4 && channels <= 64;
       size = (size + 1) / 2, channels *= 2) {
    layers.push_back({{"type", "conv"}, {"channels", channels}, {"kernel", 3}, {"stride", 2}, {"padding", 1}});
    layers.push_back("batch_norm");
    layers.push_back("leaky_relu");
  }
  layers.push_back("flatten");
  layers.push_back({{"type", "dropout"}, {"rate", 0.3}});
  layers.push_back({{"type", "linear"}, {"units", 64}});
  layers.push_back("relu");
  const nlohmann::ordered_json recipe = {
      {"name", "classifier"},
      {"objective", "classifier"},
      {"sample", {{"shape", {extents[1], extents[2], extents[3]}}}},
      {"classes", classes},
      {"classifier", {{"layers", layers}}},
      {"training", {{"batch", std::clamp<size_t>(data.count() / 2, 2, 32)}, {"steps", 1000}}}};
  io::write_file(arguments.classifier_recipe, recipe.dump(2) + "\n");
  // Its batches are "sample" and "label", whatever the model's are called.
  const std::string reading = reading_options(arguments.data);
  std::string own = " --data " + quoted(data.path());
  if (!data.label_path().empty()) own += " --data " + quoted("label=" + data.label_path());
  own += reading;
  if (data.inputs()[0].samples->measured()) own += " --normalize";
  std::string given;
  for (const std::string& file : arguments.data.data) given += " --data " + quoted(file);
  if (arguments.data.normalize) given += " --normalize";
  given += reading;
  const std::string file = quoted(arguments.classifier_recipe);
  io::print(
      "%s: a classifier of %zu classes. Train it, and score by it:\n  figment-convert %s -o untrained.figment\n"
      "  figment train untrained.figment%s --hold-out 0.1 --out classifier.figment\n"
      "  figment evaluate classifier.figment%s --hold-out 0.1\n"
      "  figment evaluate %s%s --classifier classifier.figment\n",
      arguments.classifier_recipe.c_str(), classes, file.c_str(), own.c_str(), own.c_str(),
      quoted(arguments.model).c_str(), given.c_str());
}

void train(const Arguments& arguments) {
  OpenModel open(arguments.model);
  const std::vector<fig_port_info> ports = data_inputs(open);
  const Generated learned = learned_of(open);
  if (!arguments.data.labels.empty() && arguments.data.classes.empty() && arguments.classifier_recipe.empty())
    throw Error("--labels is for --classes; labels that are trained on are a condition, --data INPUT=FILE");
  if (!arguments.data.preview.empty()) check_kind(arguments.data.preview, learned);
  Dataset data(open, arguments.data, ports, learned.output);
  if (!arguments.classifier_recipe.empty()) return write_classifier_recipe(arguments, data, learned);
  for (const Dataset::Input& input : data.inputs()) {
    if (input.samples) continue;
    const bool folder = std::filesystem::is_directory(data.path());
    throw Error("the input " + input.name + " needs data: --data " + input.name + "=FILE" +
                (folder ? ", or subfolders of " + data.path() + " as classes, with no picture beside them" : ""));
  }
  data.choose(Dataset::Part::kTraining);
  data.find_scaling();
  fig_session_options options = arguments.session.options();
  options.training = true;
  options.micro_batch = arguments.micro_batch;
  if (options.batch == 0) options.batch = static_cast<uint32_t>(metadata_number(open, "training.batch", 32));
  if (options.batch > data.count())
    throw Error(fmt::format("the batch is larger than the data: --batch {} at most", data.count()));
  const uint32_t batch = options.batch;
  const bool is_private = trains_privately(open);
  if (is_private) {
    if (batch < kLeastLot)
      throw Error(
          fmt::format("with differential privacy batches vary around --batch, which must be {} at least", kLeastLot));
    options.batch = largest_lot(batch, data.count());
    // Who knows the seed knows the noise.
    if (!arguments.seeded) options.seed = secret_seed();
  }
  if (options.batch == 1 && normalizes_batches(open))
    io::print_error("figment: batch normalization over a single sample erases it: train with a batch of 16 or more");
  const uint64_t steps = arguments.steps != 0 ? arguments.steps : metadata_number(open, "training.steps", 1000);
  open.open_session(options);
  Training training(arguments, &open, &data, steps, batch, is_private, options.seed);
  if (!arguments.data.preview.empty()) write_preview(arguments.data.preview, data, learned);
  stop_by_signals();
  training.run();
}

}  // namespace

void add_train(CLI::App* app, Commands* commands) {
  CLI::App* command = app->add_subcommand("train", "Train a model that was converted with an objective");
  auto arguments = std::make_shared<Arguments>();
  command->footer(
      "  figment train model.figment --data images --steps 2000 --out trained.figment\n"
      "  figment train model.figment --data x.npy --data label=y.npy --report report\n"
      "  figment train model.figment --data x.csv --normalize --checkpoint run");
  command->add_option("model", arguments->model, ".figment file")->required();
  arguments->data.add_to(command);
  command->option_defaults()->group("Training");
  command->add_option("--steps", arguments->steps, "train up to this step (default: the recipe's, or 1000)")
      ->check(at_least_one("the recipe's, or 1000"));
  command
      ->add_option("--micro-batch", arguments->micro_batch,
                   "micro-batch size for gradient accumulation (default: the batch, or less as --memory-limit demands)")
      ->check(at_least_one("the whole batch, or what --memory-limit allows"));
  CLI::Option* seed =
      command->add_option("--seed", arguments->session.seed, "seed of the order of the data and of what is drawn")
          ->capture_default_str();
  command->add_option(
      "--set", arguments->scalars,
      "NAME=VALUE: a hyperparameter, also of a resumed run, as in g.learning_rate=1e-5; may be repeated");
  command->option_defaults()->group("What is kept");
  command->add_option("--checkpoint", arguments->checkpoint,
                      "checkpoint folder: resumed from if it holds a checkpoint, saved to also when interrupted");
  command->add_option("--checkpoint-every", arguments->checkpoint_every, "steps between checkpoints")
      ->check(at_least_one("500"))
      ->capture_default_str();
  command->add_option("-o,--out,--output", arguments->output,
                      "write the trained model to this file, also when interrupted (default, without --checkpoint: "
                      "MODEL.trained.figment)");
  command->add_option("--keep-best", arguments->best,
                      "write the best model so far to this file, by Fréchet distance or a VAE's loss");
  arguments->features.add_to(command);
  command->add_option("--score-every", arguments->score_every, "steps between scores (default: a twentieth of all)")
      ->check(at_least_one("a twentieth of all steps"));
  command->add_option("--report", arguments->report,
                      "folder for pictures of samples during training and the losses (losses.csv, losses.svg)");
  command->add_option("--pictures-every", arguments->pictures_every, "steps between pictures (default: a tenth of all)")
      ->check(at_least_one("a tenth of all steps"));
  command->add_option(
      "--classifier-recipe", arguments->classifier_recipe,
      "do not train, but write a recipe of a classifier of the images to this file (.json), whose features "
      "samples can be compared by");
  command->add_flag("--json", arguments->json, "progress and results as lines of JSON");
  arguments->session.add_to(command, true);
  (*commands)[command] = [arguments, seed] {
    arguments->seeded = seed->count() > 0;
    train(*arguments);
  };
}

}  // namespace figment::cli
