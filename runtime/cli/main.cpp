// figment: generate, run, inspect and time models from the command line, on top of the public API.
#include <fmt/format.h>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <limits>
#include <map>

#include "commands.h"
#include "io/files.h"
#include "io/program.h"
#include "io/terminal.h"
#include "io/usage.h"

namespace figment::cli {

void check(fig_status status) {
  if (status != FIG_OK) throw Error(fig_error_message());
}

OpenModel::OpenModel(const std::string& path) {
  if (path.ends_with(".onnx")) throw Error(path + ": is an ONNX file: convert it with figment-convert");
  if (path.ends_with(".json")) throw Error(path + ": is a recipe: convert it with figment-convert");
  check(fig_model_open(path.c_str(), &model_));
}

OpenModel::~OpenModel() {
  fig_session_destroy(session_);
  fig_model_close(model_);
}

void OpenModel::open_session(fig_session_options options) {
  options.length = length_;
  fig_session_destroy(session_);
  session_ = nullptr;
  check(fig_session_create(model_, &options, &session_));
  batch_ = std::max(options.batch, 1U);
}

void OpenModel::set_length(uint32_t length) {
  length_ = length;
  units_ = 0;
  if (length == 0) return;
  fig_length_info info{};
  check(fig_model_length(model_, &info));
  if (length < info.least || length > info.greatest || (length - info.least) % info.unit != 0) {
    throw Error(fmt::format("{} cannot be {}: it is from {} to {}, and {} apart", info.name, length, info.least,
                            info.greatest, info.unit));
  }
  units_ = (int64_t{length} - int64_t{info.length}) / int64_t{info.unit};
}

namespace {

template <typename Info>
Info grown(Info info, int64_t units) {
  for (uint32_t d = 0; d < info.shape.rank; ++d)
    info.shape.extents[d] = static_cast<uint32_t>(int64_t{info.shape.extents[d]} + int64_t{info.growth[d]} * units);
  return info;
}

}  // namespace

fig_port_info OpenModel::input(uint32_t program, uint32_t index) const {
  fig_port_info port{};
  check(fig_model_input(model_, program, index, &port));
  return grown(port, units_);
}

fig_port_info OpenModel::output(uint32_t program, uint32_t index) const {
  fig_port_info port{};
  check(fig_model_output(model_, program, index, &port));
  return grown(port, units_);
}

fig_tensor_info OpenModel::tensor(uint32_t program, uint32_t index) const {
  fig_tensor_info info{};
  check(fig_model_tensor(model_, program, index, &info));
  return grown(info, units_);
}

fig_latent_info OpenModel::latent() const {
  fig_latent_info info{};
  check(fig_model_latent(model_, &info));
  const uint32_t program = find_program(info.program);
  fig_program_info of{};
  check(fig_model_program(model_, program, &of));
  for (uint32_t i = 0; i < of.inputs && units_ != 0; ++i) {
    const fig_port_info port = input(program, i);
    if (std::string(port.name) == info.input) info.size = sample_elements(port.shape);
  }
  return info;
}

namespace {

// For a session that can run the program: of it alone, or a training session if it trains.
fig_session_options options_for(fig_session_options options, const fig_program_info& program) {
  options.training = program.trains;
  options.program = program.trains ? nullptr : program.name;
  return options;
}

}  // namespace

void OpenModel::open_within_budget(fig_session_options options) {
  options.length = length_;
  fig_model_info info{};
  check(fig_model_get_info(model_, &info));
  const bool asked = options.memory_limit != 0;
  if (!asked) options.memory_limit = io::Budget(info.file_bytes).bytes();
  fig_session_destroy(session_);
  session_ = nullptr;
  const fig_status status = fig_session_create(model_, &options, &session_);
  if (status == FIG_MEMORY_LIMIT && !asked)
    throw Error(std::string(fig_error_message()) + "; if a file this small needs that, give --allow-large");
  check(status);
  batch_ = std::max(options.batch, 1U);
}

void OpenModel::open_session(fig_session_options options, const fig_program_info& program) {
  open_session(options_for(options, program));
}

void OpenModel::open_within_budget(fig_session_options options, const fig_program_info& program) {
  open_within_budget(options_for(options, program));
}

uint32_t OpenModel::open_fitting(fig_session_options options, const fig_program_info& program, size_t most) {
  fig_model_info info{};
  check(fig_model_get_info(model_, &info));
  const bool whole = program.couples_batch || program.trains;
  const uint64_t asked = options.memory_limit;
  options.batch = static_cast<uint32_t>(std::min<size_t>(most, UINT32_MAX));
  options = options_for(options, program);
  options.length = length_;
  for (;; options.batch = (options.batch + 1) / 2) {
    const bool last = whole || options.batch == 1;
    options.memory_limit = asked == 0 && !last ? io::Budget(info.file_bytes).bytes() : asked;
    fig_session_destroy(session_);
    session_ = nullptr;
    const fig_status status = fig_session_create(model_, &options, &session_);
    // A batch whose tensors have too many elements is an invalid argument.
    if (last || (status != FIG_MEMORY_LIMIT && status != FIG_INVALID_ARGUMENT)) {
      check(status);
      batch_ = options.batch;
      return options.batch;
    }
  }
}

bool OpenModel::has_program(const std::string& name) const {
  fig_model_info info{};
  check(fig_model_get_info(model_, &info));
  for (uint32_t i = 0; i < info.programs; ++i) {
    fig_program_info program{};
    check(fig_model_program(model_, i, &program));
    if (name == program.name) return true;
  }
  return false;
}

std::string OpenModel::metadata(const std::string& key) const {
  fig_model_info info{};
  check(fig_model_get_info(model_, &info));
  for (uint32_t i = 0; i < info.metadata; ++i) {
    const char* name = "";
    const char* value = "";
    check(fig_model_metadata(model_, i, &name, &value));
    if (key == name) return value;
  }
  return "";
}

fig_objective_info objective_of(const OpenModel& open) {
  fig_objective_info info{"", "", FIG_SCORE_NONE, FIG_LIKELIHOOD_NONE, "", 0};
  if (const fig_status status = fig_model_objective(open.model(), &info); status != FIG_NOT_FOUND) check(status);
  return info;
}

std::vector<fig_metric_info> metrics_of(const OpenModel& open) {
  std::vector<fig_metric_info> result;
  fig_metric_info metric{};
  for (uint32_t i = 0; fig_model_metric(open.model(), i, &metric) == FIG_OK; ++i) result.push_back(metric);
  return result;
}

bool OpenModel::trains() const {
  fig_model_info info{};
  check(fig_model_get_info(model_, &info));
  fig_program_info program{};
  for (uint32_t i = 0; i < info.programs; ++i) {
    check(fig_model_program(model_, i, &program));
    if (program.trains) return true;
  }
  return false;
}

uint32_t OpenModel::find_program(const std::string& name) const {
  fig_model_info model{};
  check(fig_model_get_info(model_, &model));
  std::string names;
  for (uint32_t i = 0; i < model.programs; ++i) {
    fig_program_info program{};
    check(fig_model_program(model_, i, &program));
    if (name == program.name || (name.empty() && model.programs == 1)) return i;
    names += std::string(names.empty() ? "" : ", ") + program.name;
  }
  if (name.empty()) throw Error("the model has several programs; name one with --program: " + names);
  throw Error("the model has no program " + name + "; it has " + names);
}

void SessionArguments::add_to(CLI::App* command, bool with_batch) {
  command->option_defaults()->group("Computing");
  if (with_batch)
    command->add_option("--batch", batch, "batch size (default: up to 64; to train, the recipe's, or 32)")
        ->check(CLI::Range(1, 1 << 20));
  command->add_option("--threads", threads, "number of threads")->check(CLI::Range(1, 256))->capture_default_str();
  command->add_option("--memory-limit", memory_limit, "memory limit, such as 64M: train in less memory, or refuse");
  command->add_flag("--portable", portable, "plain C++ kernels only: slow, for comparison");
}

void SessionArguments::add_length_to(CLI::App* command) {
  command->add_option("--length", length, "length of the samples, of models that leave it open")
      ->check(CLI::Range(1, 1 << 24));
}

fig_session_options SessionArguments::options() const {
  fig_session_options result{};
  result.struct_size = sizeof result;
  result.batch = batch;
  result.threads = threads;
  result.seed = seed;
  if (!memory_limit.empty()) result.memory_limit = parse_bytes(memory_limit);
  result.kernels = portable ? FIG_KERNELS_PORTABLE : FIG_KERNELS_BEST;
  return result;
}

CLI::Validator at_least_one(const std::string& absent) {
  const auto check = [absent](const std::string& text) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && value > 0) return std::string();
    return "\"" + text + "\" is not a positive integer" + (absent.empty() ? "" : "; leave it out for " + absent);
  };
  return {check, "N >= 1"};
}

uint64_t parse_bytes(const std::string& text) {
  // As reports write them, too.
  static const std::map<std::string, double> units = {{"", 1},       {"K", 0x1p10}, {"k", 0x1p10}, {"M", 0x1p20},
                                                      {"m", 0x1p20}, {"G", 0x1p30}, {"g", 0x1p30}, {"kB", 1e3},
                                                      {"MB", 1e6},   {"GB", 1e9}};
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const auto unit = units.find(std::string(end, text.data() + text.size()));
  const double bytes = unit == units.end() ? 0 : value * unit->second;
  if (error != std::errc() || !(bytes >= 1 && bytes < 0x1p63))
    throw Error("\"" + text + "\" is no size: give bytes, or a number with K, M, G (powers of 1024) or kB, MB, GB");
  return static_cast<uint64_t>(bytes);
}

size_t sample_elements(const fig_shape& shape) {
  size_t elements = 1;
  for (uint32_t i = 0; i < shape.rank; ++i) elements *= shape.extents[i];
  return elements;
}

std::string to_string(const fig_shape& shape) {
  std::string text = "[";
  for (uint32_t i = 0; i < shape.rank; ++i) {
    text += i > 0 ? ", " : "";
    const std::string extent = std::to_string(shape.extents[i]);
    text += !shape.per_batch[i] ? extent : shape.extents[i] == 1 ? "N" : extent + "·N";
  }
  return text + "]";
}

}  // namespace figment::cli

namespace {

int run(int argc, char** argv) {
  using namespace figment::cli;  // NOLINT(google-build-using-namespace)
  CLI::App app("Generates with Figment models, trains, scores and inspects them. figment COMMAND --help explains one.",
               "figment");
  app.footer(
      "  figment generate model.figment --seed 7 -n 64 -o grid.png\n"
      "  figment train model.figment --data images --checkpoint run --out trained.figment\n"
      "  figment evaluate trained.figment --data images");
  app.set_version_flag("--version", fmt::format("figment {}\nkernels: {}", fig_version(), fig_kernels_name()),
                       "print the version, and which kernels are in use");
  app.require_subcommand(1);
  app.fallthrough();  // commands inherit it when they are made
  Commands commands;
  add_generate(&app, &commands);
  add_run(&app, &commands);
  add_train(&app, &commands);
  add_evaluate(&app, &commands);
  add_score(&app, &commands);
  add_project(&app, &commands);
  add_inspect(&app, &commands);
  add_parameters(&app, &commands);
  add_compare(&app, &commands);
  add_adapter(&app, &commands);
  add_bench(&app, &commands);
  add_explain(&app, &commands);
  app.add_flag_callback("--allow-large", figment::io::Budget::lift, figment::io::kAllowLargeHelp);
  if (const int status = figment::io::parse(&app, argc, argv); status >= 0) return status;
  for (const auto& [command, function] : commands) {
    if (command->parsed()) function();
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return figment::io::run_program("figment", [&] { return run(argc, argv); });
}
