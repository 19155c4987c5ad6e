// figment-convert: the command line of the converter.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>
#include <set>

#include "convert.h"
#include "figment/figment.h"
#include "import/import_onnx.h"
#include "io/arrays.h"
#include "io/files.h"
#include "io/program.h"
#include "io/terminal.h"
#include "io/usage.h"
#include "recipe/layers.h"
#include "write/embed_c.h"

namespace {

using figment::converter::Converted;
using figment::converter::ConvertOptions;
using figment::converter::Error;

void read_calibration(const std::vector<std::string>& files, ConvertOptions* options) {
  for (const std::string& text : files) {
    const auto [name, path] = figment::io::split_assignment(text);
    if (name.empty()) throw Error("--calibration-data " + text + ": name the input, as in image=" + text);
    if (path == "classes") {
      options->calibration_classes.insert(name);
      continue;
    }
    options->calibration_files[name] = path;
  }
}

// "NAME=CATEGORIES" or "NAME=PRIOR:SIZE", and maybe "@WEIGHT" behind, as recipes give a code.
nlohmann::json parse_code(const std::string& text) {
  const auto fail = [&]() -> Error {
    return Error("--codes " + text +
                 ": write NAME=CATEGORIES, NAME=uniform:SIZE or NAME=normal:SIZE, maybe with @WEIGHT");
  };
  auto [name, what] = figment::io::split_assignment(text);
  nlohmann::json code = {{"name", name}};
  if (const size_t at = what.find('@'); at != std::string::npos) {
    char* end = nullptr;
    const double weight = std::strtod(what.c_str() + at + 1, &end);
    if (end == what.c_str() + at + 1 || *end != 0 || !(weight >= 0) || std::isinf(weight)) throw fail();
    code["weight"] = weight;
    what.resize(at);
  }
  std::string key = "categories";
  for (const char* prior : {"uniform", "normal"}) {
    const std::string prefix = std::string(prior) + ":";
    if (what.rfind(prefix, 0) != 0) continue;
    key = "size";
    code["prior"] = prior;
    what.erase(0, prefix.size());
  }
  char* end = nullptr;
  const unsigned long size = std::strtoul(what.c_str(), &end, 10);
  if (name.empty() || what.empty() || *end != 0 || size < 1 || size > 65536) throw fail();
  code[key] = size;
  return code;
}

// The options of all objectives on the command line: what is given becomes what a recipe would say.
class ObjectiveFlags : public figment::converter::OptionVisitor {
 public:
  using Choices = std::vector<std::string>;
  using OptionName = figment::converter::OptionName;

  ObjectiveFlags(CLI::App* app, std::string group) : app_(*app), group_(std::move(group)) {
    for (const figment::converter::ObjectiveEntry& entry : figment::converter::objectives()) {
      objective_ = entry.name;
      entry.create()->declare(*this);
    }
  }

  bool number(const OptionName& name, double* value, double low, double high) override {
    // Bounds that are only there to keep out nonsense would read as if they said something.
    const bool open = high == figment::converter::kMaxNumber;
    add(name, "FLOAT", nlohmann::json(*value).dump(),
        open ? CLI::Validator(CLI::NonNegativeNumber) : CLI::Range(low, high),
        [](const std::string& text) { return nlohmann::json(std::strtod(text.c_str(), nullptr)); });
    return false;
  }
  bool integer(const OptionName& name, uint32_t* value, uint32_t low, uint32_t high) override {
    add(name, "UINT", std::to_string(*value), CLI::Range(low, high),
        [](const std::string& text) { return nlohmann::json(std::strtoul(text.c_str(), nullptr, 10)); });
    return false;
  }
  bool flag(const OptionName& name, bool* /*value*/) override {
    if (Flag* known = find(name)) return known->objectives.insert(objective_), false;
    Flag& flag = remember(name, {});
    flag.option = app_.add_flag_callback(name.flag, [&flag] { flag.value = true; }, name.help)->group(group_);
    return false;
  }
  bool choice(const OptionName& name, size_t* value, const Choices& choices) override {
    add(name, "TEXT", choices[*value], CLI::IsMember(choices),
        [](const std::string& text) { return nlohmann::json(text); });
    return false;
  }
  bool list(const OptionName& name, std::vector<size_t>* /*values*/, const Choices& choices) override {
    add_list(name, CLI::IsMember(choices), [](const std::string& text) { return nlohmann::json(text); });
    return false;
  }
  bool codes(const OptionName& name, std::vector<figment::converter::CodeOptions>* /*values*/) override {
    add_list(name, {}, parse_code);
    return false;
  }

  // What was given, for the objective. Throws Error for an option that it does not have.
  nlohmann::json options(const std::string& objective) const {
    nlohmann::json result = nlohmann::json::object();
    for (const Flag& flag : flags_) {
      if (flag.value.is_null()) continue;
      if (!flag.objectives.contains(objective))
        throw Error(flag.name.flag + " does not go with the objective " + objective);
      std::string path = "/" + flag.name.key;
      std::replace(path.begin(), path.end(), '.', '/');
      result[nlohmann::json::json_pointer(path)] = flag.value;
    }
    return result;
  }

 private:
  using Parse = std::function<nlohmann::json(const std::string&)>;

  struct Flag {
    OptionName name;
    std::set<std::string> objectives;                           // that have it
    std::vector<std::pair<std::string, std::string>> initials;  // by objective
    CLI::Option* option = nullptr;
    nlohmann::json value;
  };

  Flag* find(const OptionName& name) {
    const auto found =
        std::find_if(flags_.begin(), flags_.end(), [&](const Flag& f) { return f.name.flag == name.flag; });
    return found == flags_.end() ? nullptr : &*found;
  }

  Flag& remember(const OptionName& name, const std::string& initial) {
    flags_.push_back({name, {objective_}, {{objective_, initial}}, nullptr, nullptr});
    return flags_.back();
  }

  // "0.1", or where objectives differ "0.001 (gan, infogan: 0.0002)".
  static std::string defaults_of(const Flag& flag) {
    std::map<std::string, std::string> others;
    for (const auto& [objective, initial] : flag.initials) {
      if (initial == flag.initials[0].second) continue;
      std::string& list = others[initial];
      list += (list.empty() ? "" : ", ") + objective;
    }
    std::string text;
    for (const auto& [initial, list] : others) text += (text.empty() ? " (" : "; ") + list + ": " + initial;
    return flag.initials[0].second + text + (text.empty() ? "" : ")");
  }

  void add(const OptionName& name, const char* type, const std::string& initial, const CLI::Validator& check,
           const Parse& parse) {
    if (Flag* known = find(name)) {
      known->initials.emplace_back(objective_, initial);
      if (name.like.empty()) known->option->default_str(defaults_of(*known));
      known->objectives.insert(objective_);
      return;
    }
    Flag& flag = remember(name, initial);
    flag.option = app_.add_option_function<std::string>(
                          name.flag, [&flag, parse](const std::string& text) { flag.value = parse(text); }, name.help)
                      ->check(check)
                      ->type_name(type)
                      ->default_str(name.like.empty() ? initial : "as " + name.like)
                      ->group(group_);
  }

  void add_list(const OptionName& name, const CLI::Validator& check, const Parse& parse) {
    if (Flag* known = find(name)) {
      known->objectives.insert(objective_);
      return;
    }
    Flag& flag = remember(name, {});
    flag.option = app_.add_option_function<std::vector<std::string>>(
                          name.flag,
                          [&flag, parse](const std::vector<std::string>& texts) {
                            for (const std::string& text : texts) flag.value.push_back(parse(text));
                          },
                          name.help)
                      ->check(check)
                      ->delimiter(',')
                      ->group(group_);
  }

  CLI::App& app_;
  std::string group_;
  std::string objective_;  // whose options are being added
  std::deque<Flag> flags_;
};

void add_scope_options(CLI::App* app, const std::string& group, ConvertOptions* options) {
  app->add_option("--freeze", options->scope.freeze, "parameters to keep fixed, as in 'discriminator.0.*'")
      ->delimiter(',')
      ->group(group);
  app->add_option("--train-only", options->scope.train_only,
                  "train only bias, scale (of normalizations, with their shifts) or last:K layers; or NETWORK:WHAT")
      ->delimiter(',')
      ->group(group);
  app->add_option(
         "--adapters", options->scope.adapters,
         "freeze all but adapters: lora:R (two matrices of rank R beside each weight), input:NAME[:FIRST-LAST] "
         "(what layers read of an input), bias, scale, last:K; or NETWORK:WHAT, and others train as before. Of "
         "a recipe or of a .figment model that was made of one and trained")
      ->delimiter(',')
      ->group(group);
  app->add_flag("--int8-base", options->scope.int8_base, "store frozen weights in int8")->group(group);
  app->add_option("--start-from", options->start_from,
                  "trained .figment file of the same networks, whose parameters to start from")
      ->group(group);
}

int convert(int argc, char** argv) {
  CLI::App app("Converts ONNX models and recipes to one .figment file.", "figment-convert");
  app.footer(
      "  figment-convert generator.onnx -o model.figment --int8\n"
      "  figment-convert recipe.json -o model.figment\n"
      "  figment-convert --objective gan --generator g.onnx --discriminator d.onnx \\\n    -o gan.figment\n"
      "  figment-convert trained.figment --int8 -o trained_int8.figment");
  app.set_version_flag("--version",
                       std::string("figment-convert ") + fig_version() + "\nkernels: " + fig_kernels_name(),
                       "print the version, and which kernels are in use");
  std::vector<std::string> models;
  std::string output;
  std::string embed_folder;
  std::string report_path;
  std::vector<float> range;
  std::vector<std::string> calibration;
  std::vector<std::string> keep;
  ConvertOptions options;
  bool quiet = false;
  bool verbose = false;
  app.add_option("model", models,
                 "ONNX file, or PROGRAM=FILE; several make one file of several programs. Or one recipe (.json), or one "
                 "model of ours (.figment) to quantize");
  app.add_option("-o,--output,--out", output, "the .figment file to write");
  app.add_option("--name", options.name, "name of the model (default: the recipe's, or the output file's)");
  app.option_defaults()->group("Inputs and outputs");
  app.add_option("--latent", options.latent, "the input that generation draws (default: found by its name or shape)");
  app.add_option("--range", range, "values of black and white in the output (default: by its last activation)")
      ->expected(2);
  std::vector<std::string> dimensions;
  app.add_option("--dim", dimensions, "NAME=N: the size of a dimension that the exporter left open beside the batch");
  app.add_option("--length", options.length,
                 "size of the one that stays open, which sessions may choose, where they do not choose")
      ->check(CLI::Range(1, 1 << 24));
  app.add_flag("--fixed-batch", options.fixed_batch, "keep a batch that the exporter has fixed");
  app.option_defaults()->group("int8, f16 and memory plans");
  app.add_flag("--int8", options.int8, "quantize to int8");
  app.add_flag("--f16", options.half_weights,
               "store weights in f16, half the bytes; they are f32 again in memory, and what is computed is");
  app.add_option("--calibrate", options.calibration_samples,
                 "latents to calibrate int8 on (default: 512, fewer where a sample takes long)")
      ->check(CLI::Range(16, 1000000));
  app.add_option("--calibration-data", calibration,
                 "INPUT=FILE (.npy, .npz, .csv, IDX, a folder of pictures): samples of an input to calibrate int8 on, "
                 "which the model "
                 "scales as it was trained; INPUT=classes: one 1 among zeros");
  app.add_option("--columns", options.calibration_table.columns, "columns of the .csv file, by names or numbers");
  app.add_option("--time-column", options.calibration_table.time_column, "its column of times");
  app.add_option("--skip-rows", options.calibration_table.skip_rows, "its lines before the table");
  app.add_option("--fill", options.calibration_table.fill,
                 "fill its missing values: previous, linear, mean or a number");
  app.add_option("--keep-f32", keep, "ops that stay f32, by name")->delimiter(',');
  app.add_option("--psnr-goal", options.psnr_goal_db, "below this many dB, costly layers stay f32 by themselves")
      ->capture_default_str();
  app.add_option("--keep-f32-threshold", options.keep_threshold_db, "costly: more dB of PSNR lost in int8 than this")
      ->capture_default_str();
  app.add_option(
         "--want-snr", options.snr_goal_db,
         "below this many dB of signal to noise at any output, layers stay f32 by themselves until it is reached")
      ->capture_default_str();
  std::vector<std::string> plans;
  app.add_option(
         "--plan", plans,
         "batch=N (or N,M,...): for which the file carries memory plans: sessions of portable kernels then need "
         "no planner")
      ->delimiter(',');
  app.option_defaults()->group("Devices");
  app.add_option("--embed-c", embed_folder,
                 "write the model as C sources for firmware into this folder, with the plan (default: batch=1), the "
                 "table of its kernels, and what it takes; -o may be left out");
  app.add_flag("--strip", options.strip, "leave out what a device does not need: names, and all levels but one");
  app.add_option("--programs", options.programs, "keep these programs alone, beside those that train (default: all)")
      ->delimiter(',');
  app.add_flag("--keep-training", options.keep_training, "leave the programs that train in a .figment model");
  app.add_option("--level", options.level, "the level of a train step that --strip keeps: higher ones take less memory")
      ->capture_default_str();
  app.add_option("--micro-batch", options.micro_batch,
                 "plan train steps that compute so many samples of a batch at a time, in less memory")
      ->check(CLI::Range(1U, 1U << 20));
  const std::string training = "Training";
  app.option_defaults()->group("Options");
  app.add_option("--checkpoint", options.checkpoint, "take the parameters of a .figment model from this checkpoint");
  app.add_option("--adapter", options.adapter, "take what a .figment model's adapters have learned from this file");
  std::vector<std::string> names;
  std::set<std::string> roles;
  for (const figment::converter::ObjectiveEntry& entry : figment::converter::objectives()) {
    names.push_back(entry.name);
    for (const figment::converter::NetworkRole& role : entry.create()->networks(0)) roles.insert(role.name);
  }
  app.add_option("--objective", options.objective, "make a model that trains (--objectives lists them)")
      ->check(CLI::IsMember(names))
      ->group(training);
  for (const std::string& role : roles) {
    app.add_option_function<std::string>(
           "--" + role, [&options, role](const std::string& path) { options.networks[role] = path; },
           "ONNX file of the " + role)
        ->group(training);
  }
  add_scope_options(&app, training, &options);
  ObjectiveFlags objective_flags(&app, training);
  CLI::Option* prior = app.get_option("--prior")->group(app.get_option("--latent")->get_group());  // of any generator
  app.option_defaults()->group("Lists");
  app.add_flag_callback(
      "--objectives",
      [] {
        for (const figment::converter::ObjectiveEntry& entry : figment::converter::objectives())
          figment::io::print("%-10s %s\n", entry.name.c_str(), entry.summary.c_str());
        throw CLI::Success();
      },
      "list the objectives");
  app.add_flag_callback(
      "--ops",
      [] {
        figment::io::print_table(figment::converter::op_table());
        throw CLI::Success();
      },
      "list the ONNX ops that are imported: opsets, gradients, int8, XNNPACK, limits");
  app.add_flag_callback(
      "--layers",
      [] {
        for (const std::string& layer : figment::converter::recipe_layers()) figment::io::print("%s\n", layer.c_str());
        throw CLI::Success();
      },
      "list the layers of recipes: type, keys, and in brackets optional keys");
  app.option_defaults()->group("Report");
  app.add_option("--report", report_path, "write all of the report to this file");
  app.add_flag("-v,--verbose", verbose, "print all of the report: every op, layer and parameter");
  app.add_flag("-q,--quiet", quiet, "print no report");
  app.add_flag_callback("--allow-large", figment::io::Budget::lift, figment::io::kAllowLargeHelp);
  if (const int status = figment::io::parse(&app, argc, argv); status >= 0) return status;
  if (output.empty() && embed_folder.empty()) throw Error("name the file to write: -o FILE.figment");
  const auto single = [&](const char* extension) {
    return models.size() == 1 && models[0].size() > std::strlen(extension) && models[0].ends_with(extension);
  };
  const bool trains = !options.objective.empty();
  if (trains) {
    if (!models.empty()) throw Error("--objective takes its networks by --generator and the like, not as models");
    options.objective_options = objective_flags.options(options.objective);
  } else if (models.empty() || !options.networks.empty()) {
    throw Error(models.empty() ? "no model given; see --help" : "--generator and the like need --objective");
  } else if (single(".json")) {
    options.recipe = models[0];
  } else if (single(".figment") && (!options.scope.adapters.empty() || options.scope.int8_base)) {
    if (!options.start_from.empty())
      throw Error("--start-from is for recipes and ONNX files: adapters of " + models[0] + " start from itself");
    // What it was made of, with what it has learned.
    options.recipe = models[0];
    options.start_from = models[0];
  } else if (single(".figment")) {
    options.model = models[0];
  } else {
    for (const std::string& text : models) {
      auto [program, path] = figment::io::split_assignment(text);
      options.sources.push_back({std::move(program), std::move(path)});
    }
  }
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = option->get_name();
    const bool scope = name == "--freeze" || name == "--train-only" || name == "--start-from" || name == "--adapters" ||
                       name == "--int8-base";
    if (option->count() == 0 || trains) continue;
    if (option->get_group() == training && !(scope && !options.recipe.empty()))
      throw Error(name + (!options.recipe.empty()  ? " is set by the recipe"
                          : !options.model.empty() ? " is for networks: give RECIPE --start-from " + options.model
                                                   : " needs --objective"));
    if (!options.recipe.empty() && (name == "--prior" || name == "--latent"))
      throw Error(name + " is set by the recipe");
  }
  if (!options.checkpoint.empty() && options.model.empty())
    throw Error("--checkpoint takes the .figment model that was trained");
  if (!options.adapter.empty() && options.model.empty())
    throw Error("--adapter takes the .figment model that has the adapters");
  if (!options.adapter.empty() && !options.checkpoint.empty())
    throw Error("--adapter and --checkpoint both say what was learned: give one");
  for (std::string plan : plans) {
    constexpr std::string_view kBatch = "batch=";
    if (plan.starts_with(kBatch)) plan.erase(0, kBatch.size());
    uint32_t batch = 0;
    const auto [rest, error] = std::from_chars(plan.data(), plan.data() + plan.size(), batch);
    if (error != std::errc() || rest != plan.data() + plan.size() || batch < 1 || batch > (1U << 20))
      throw Error("--plan " + plan + ": give batch=N");
    options.plan_batches.push_back(batch);
  }
  if (!embed_folder.empty() && options.plan_batches.empty()) options.plan_batches.push_back(1);
  const bool training_model = trains || !options.recipe.empty() || options.keep_training;
  options.outputs_given = !embed_folder.empty() && !training_model;
  if (!embed_folder.empty() && options.half_weights)
    throw Error("--embed-c: weights in f16 take memory of the system's, which firmware has none of: leave out --f16");
  if (app.get_option("--level")->count() > 0 && !training_model)
    throw Error("--level is for a model that trains: a recipe, or --keep-training");
  if (options.micro_batch != 0 && (options.plan_batches.empty() || !training_model))
    throw Error("--micro-batch is for --plan and --embed-c of a model that trains");
  if (options.keep_training && (trains || !options.recipe.empty())) {
    throw Error(options.int8 ? "an int8 form is of a .figment model that trains: write that first, without --int8 and "
                               "--keep-training, and convert it with both"
                             : "--keep-training is for .figment models: a recipe and --objective make one that trains");
  }
  if (options.keep_training && options.model.empty()) throw Error("--keep-training takes a .figment model that trains");
  if (options.keep_training && options.half_weights)
    throw Error("--keep-training: a model that trains is f32; --f16 is for what was trained");
  std::vector<std::string> inputs = {options.recipe, options.model, options.start_from, options.adapter};
  for (const auto& source : options.sources) inputs.push_back(source.path);
  for (const auto& [role, path] : options.networks) inputs.push_back(path);
  for (const std::string& input : inputs) {
    if (!output.empty() && figment::io::same_file(input, output))
      throw Error(output + " is read, and would be overwritten: give another -o");
  }
  if (std::filesystem::is_regular_file(output) && std::filesystem::file_size(output) > 0 &&
      !figment::io::is_model(output))
    throw Error(output + " is there, and no Figment model: name another file, or remove it");
  if (app.get_option("--level")->count() > 0 && !options.strip)
    throw Error("--level says which level --strip keeps: give both");
  if (!report_path.empty() && !output.empty() && figment::io::same_file(report_path, output))
    throw Error("-o and --report are one file: " + output);
  for (const std::string& input : inputs) {
    if (!input.empty() && figment::io::same_file(input, report_path))
      throw Error(report_path + " is read, and would be overwritten: give another --report");
  }
  // An embedded model that has no file has the name of what it is made from.
  const std::string named = !output.empty() ? output : models.empty() ? options.objective : models[0];
  options.fallback_name = std::filesystem::path(named).stem().string();
  if (prior->count() > 0 && prior->as<std::string>() == "uniform") options.prior = figment::Prior::kUniform;
  if (!range.empty()) {
    options.range_min = range[0];
    options.range_max = range[1];
  }
  options.keep_f32.insert(keep.begin(), keep.end());
  for (const std::string& text : dimensions) {
    const size_t equals = text.rfind('=');
    uint32_t size = 0;
    const char* end = text.data() + text.size();
    const char* begin = equals == std::string::npos ? end : text.data() + equals + 1;
    const auto [rest, error] = std::from_chars(begin, end, size);
    if (error != std::errc() || rest != end || size == 0) throw Error("--dim " + text + ": give NAME=N");
    options.dimensions[text.substr(0, equals)] = size;
  }
  for (const char* name : {"--keep-f32", "--calibration-data", "--columns", "--time-column", "--skip-rows", "--fill",
                           "--calibrate", "--psnr-goal", "--want-snr", "--keep-f32-threshold"}) {
    if (!options.int8 && app.get_option(name)->count() > 0) throw Error(std::string(name) + " needs --int8");
  }
  for (const char* name : {"--prior", "--latent", "--range"}) {
    if (!options.model.empty() && app.get_option(name)->count() > 0)
      throw Error(std::string(name) + " is set in the model already: convert it from its source");
  }
  read_calibration(calibration, &options);
  std::optional<figment::io::ProgressLine> line(options.int8 ? "quantizing" : "converting");
  const Converted converted =
      figment::converter::convert(options, [&](double fraction, const char* phase) { line->update(fraction, phase); });
  line.reset();
  const bool embeds = !embed_folder.empty();
  figment::converter::Embedded embedded;
  if (embeds)
    embedded =
        figment::converter::embed_c(converted.file, {options.plan_batches[0], training_model, options.micro_batch});
  if (!embeds || app.get_option("--output")->count() > 0) figment::io::write_file(output, converted.file);
  if (embeds) std::filesystem::create_directories(embed_folder);
  for (const auto& [name, text] : embedded.files) figment::io::write_file(embed_folder + "/" + name, text);
  const std::string report = to_text(converted.report);
  if (!report_path.empty()) figment::io::write_file(report_path, report);
  if (verbose) figment::io::print("%s", report.c_str());
  if (!quiet && !verbose) {
    figment::io::print("%s%s: --verbose, or --report FILE, shows all ops\n", summary(converted.report).c_str(),
                       output.empty() ? embed_folder.c_str() : output.c_str());
  }
  if (embeds && !quiet) {
    const bool chosen = app.get_option("--plan")->count() > 0;
    figment::io::print(
        "on Cortex-M: %s of flash and %s of RAM, with code and stack to come; %s%u sample%s at a time%s\n",
        figment::io::format_bytes(static_cast<double>(embedded.flash_bytes)).c_str(),
        figment::io::format_bytes(static_cast<double>(embedded.arena_bytes)).c_str(),
        training_model ? "trains on " : "", options.plan_batches[0], options.plan_batches[0] == 1 ? "" : "s",
        chosen || !training_model ? "" : ": --plan batch=N takes N");
  }
  for (const std::string& warning : converted.report.warnings) {
    if (!verbose) figment::io::print_error("figment-convert: " + warning);
  }
  for (const figment::converter::ProgramReport& program : converted.report.programs) {
    const bool in_int8 =
        program.int8 && std::ranges::any_of(program.int8->layers, &figment::converter::LayerReport::int8);
    if (quiet && program.int8 && !program.int8->layers.empty() && !in_int8)
      std::fprintf(stderr,
                   "figment-convert: program %s: nothing is int8, the file is as without --int8; the report, without "
                   "-q, says why\n",
                   program.name.c_str());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return figment::io::run_program("figment-convert", [&] { return convert(argc, argv); });
}
