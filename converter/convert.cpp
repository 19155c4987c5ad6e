#include "convert.h"

#include <fmt/format.h>
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <limits>
#include <sstream>

#include "calibration.h"
#include "import/import_figment.h"
#include "import/import_onnx.h"
#include "int8.h"
#include "io/files.h"
#include "io/samples.h"
#include "io/terminal.h"
#include "ir/batch.h"
#include "ir/cost.h"
#include "ir/output_range.h"
#include "lengths.h"
#include "passes/fold.h"
#include "passes/halve.h"
#include "passes/optimize.h"
#include "passes/simplify.h"
#include "write/int8_form.h"
#include "write/repack.h"
#include "write/runner.h"
#include "write/write_model.h"

namespace figment::converter {

namespace {

size_t sample_elements(const PortDefinition& port) { return static_cast<size_t>(element_count(port.shape, 1).value()); }

// The input that generation draws: the one asked for, one of a usual name, or the only one if it is smaller than the
// output. nullptr if the program does not generate.
const PortDefinition* find_latent(const Graph& graph, const std::string& wanted) {
  if (!wanted.empty()) {
    const PortDefinition* port = find_port(graph.inputs, wanted);
    if (port != nullptr && port->integers)
      throw Error("--latent " + wanted + ": it takes integers, and latents are real");
    return port;
  }
  if (const PortDefinition* port = find_named_latent(graph.inputs); port != nullptr && !port->integers) return port;
  std::vector<const PortDefinition*> given;
  for (const PortDefinition& port : graph.inputs) {
    if (!port.drawn) given.push_back(&port);
  }
  if (given.empty() && graph.inputs.size() == 1) given.push_back(graph.inputs.data());
  if (given.size() != 1 || sample_elements(*given[0]) >= sample_elements(graph.outputs[0])) return nullptr;
  // Vectors, or vectors shaped as 1x1 images.
  const Shape& shape = given[0]->shape;
  const bool vector = !given[0]->integers && shape.rank() >= 2 && shape[0].per_batch &&
                      element_count(shape, 1).value() == shape[1].extent;
  return vector ? given[0] : nullptr;
}

// By how many values a sample of an input grows with each unit of the length.
uint32_t growth_of_sample(const PortDefinition& port) {
  Shape longer = port.shape;
  for (size_t d = 0; d < port.growth.rank(); ++d) longer[d].extent += port.growth[d];
  return static_cast<uint32_t>(element_count(longer, 1).value() - element_count(port.shape, 1).value());
}

constexpr std::pair<float, float> kUnknownRange = {-1.0F, 1.0F};

// `known`: the range that samples have, whatever the last function.
void describe_output(const ConvertOptions& options, const Graph& graph, std::optional<std::pair<float, float>> known,
                     bool trains, ModelDefinition* model, ConvertReport* report) {
  const PortDefinition& port = graph.outputs[0];
  OutputDefinition output;
  output.program = graph.name;
  output.port = port.name;
  const bool image = port.shape.rank() == 4 && (port.shape[1].extent == 1 || port.shape[1].extent == 3);
  output.kind = image ? format::OutputKind::kImage : format::OutputKind::kOther;
  const std::optional<std::pair<float, float>> possible = range_of(graph, port.value);
  if (!known) known = possible;
  std::tie(output.range_min, output.range_max) = known.value_or(kUnknownRange);
  output.bounded = known || options.range_min;
  if (!output.bounded) {
    report->notes.push_back("the range of " + port.name +
                            " is not known from its last op: black and white are taken to be -1 and 1, and data is not "
                            "checked; give --range MIN MAX");
  }
  output.range_min = options.range_min.value_or(output.range_min);
  output.range_max = options.range_max.value_or(output.range_max);
  if (!(output.range_min < output.range_max)) throw Error("the output's range is empty: --range needs MIN < MAX");
  const auto [least, most] = reach_of(graph, port.value);
  if (output.range_min < least || output.range_max > most) {
    std::string text = fmt::format("{} cannot be {}, by its last op, and its range is said to be [{}, {}]: ", port.name,
                                   std::isinf(most)    ? fmt::format("below {}", least)
                                   : std::isinf(least) ? fmt::format("above {}", most)
                                                       : fmt::format("below {} or above {}", least, most),
                                   output.range_min, output.range_max);
    const std::string range = fmt::format("{} {}", std::max(least, output.range_min), std::min(most, output.range_max));
    if (trains && output.range_min == -1 && output.range_max == 1)
      text += "end the network in tanh, or give the range " + range + " and data in it";
    else
      text += trains ? "give the range " + range + " and data in it" : "give --range " + range;
    if (trains) throw Error(text);
    report->warnings.push_back(text);
  } else if (possible && (possible->first < output.range_min || possible->second > output.range_max)) {
    report->warnings.push_back(
        fmt::format("{} reaches from {} to {} by its last op, beyond its range [{}, {}]: samples there are no data's; "
                    "end the network "
                    "in a function of that range (sigmoid: 0 to 1, tanh: -1 to 1), or give the range {} {}",
                    port.name, possible->first, possible->second, output.range_min, output.range_max, possible->first,
                    possible->second));
  }
  model->output = output;
}

std::string to_text(const fig_shape& shape) {
  std::string text = "[";
  for (uint32_t d = 0; d < shape.rank; ++d) {
    text += d > 0 ? ", " : "";
    text += shape.per_batch[d] && shape.extents[d] == 1 ? "N" : std::to_string(shape.extents[d]);
    if (shape.per_batch[d] && shape.extents[d] != 1) text += "·N";
  }
  return text + "]";
}

// The batch that a recipe trains with, or a usual one.
uint32_t training_batch(const fig_model* model) {
  constexpr uint32_t kUsualBatch = 32;
  const char* key = "";
  const char* value = "";
  for (uint32_t i = 0; fig_model_metadata(model, i, &key, &value) == FIG_OK; ++i) {
    if (std::string(key) == "training.batch") return static_cast<uint32_t>(std::strtoul(value, nullptr, 10));
  }
  return kUsualBatch;
}

void describe_memory(Runner* runner, bool training, ConvertReport* report) {
  fig_memory_report memory{};
  if (!training) {
    // The runner's session is of one sample.
    if (fig_session_memory_used(runner->session(), &memory) == FIG_OK) report->run_bytes = memory.total;
    return;
  }
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.batch = report->training_batch;
  options.training = true;
  if (fig_session_memory(runner->model(), &options, &memory) == FIG_OK) report->training_bytes = memory.total;
  // Behind it: this packs weights, which stay with the model.
  options.training = false;
  options.batch = 1;
  if (fig_session_memory(runner->model(), &options, &memory) == FIG_OK) report->run_bytes = memory.total;
}

bool has_program(const fig_model* model, const std::string& name) {
  fig_program_info program{};
  for (uint32_t p = 0; fig_model_program(model, p, &program) == FIG_OK; ++p) {
    if (program.name == name) return true;
  }
  return false;
}

void describe_ops(const std::vector<uint8_t>& file, bool training, ConvertReport* report) {
  // A recipe states the size of its networks, others come in files.
  Runner runner(file, 1, FIG_KERNELS_BEST, training, 0, training ? 0 : report->source_bytes);
  fig_program_info program{};
  for (uint32_t p = 0; fig_model_program(runner.model(), p, &program) == FIG_OK; ++p) {
    // Those of a file that is taken as it is have no entry yet.
    if (p == report->programs.size()) report->programs.emplace_back().name = program.name;
    ProgramReport& described = report->programs[p];
    described.trains = program.trains;
    described.level = program.level;
    fig_port_info port{};
    for (uint32_t i = 0; fig_model_input(runner.model(), p, i, &port) == FIG_OK; ++i)
      described.inputs.push_back(port.name + (" " + to_text(port.shape)));
    for (uint32_t i = 0; fig_model_output(runner.model(), p, i, &port) == FIG_OK; ++i)
      described.outputs.push_back(port.name + (" " + to_text(port.shape)));
    for (uint32_t i = 0; i < program.ops; ++i) {
      fig_op_info op{};
      fig_tensor_info output{};
      const char* kernel = "";
      if (fig_model_op(runner.model(), p, i, &op) != FIG_OK ||
          fig_model_tensor(runner.model(), p, op.output, &output) != FIG_OK) {
        throw Error(fig_error_message());
      }
      // Programs of other levels of the schedule have no kernels in this session.
      if (fig_session_kernel(runner.session(), p, i, &kernel) != FIG_OK) kernel = "";
      described.ops.push_back(
          {op.kind, op.name, (output.type == FIG_I8 ? "i8 " : "f32 ") + to_text(output.shape), kernel});
    }
  }
  fig_model_info info{};
  if (fig_model_get_info(runner.model(), &info) != FIG_OK) throw Error(fig_error_message());
  report->parameters = info.parameter_elements;
  if (training) report->training_batch = training_batch(runner.model());
  describe_memory(&runner, training, report);
}

}  // namespace

namespace {

Graph load_network(const ConvertOptions& options, const std::string& role) {
  const auto found = options.networks.find(role);
  if (found == options.networks.end()) throw Error("the objective needs --" + role + " FILE.onnx");
  return import_onnx_file(found->second, role, {Purpose::kTraining, !options.fixed_batch, options.dimensions});
}

// Parameters take the values that a trained model has under their names, the averaged ones where there are.
void start_from(const std::string& path, const std::string& role, Runner& trained, Graph* graph) {
  // Which constants are parameters, were nothing frozen. More than one can be the same parameter, in other layouts.
  std::set<std::string> parameters;
  for (const Value& value : make_network(role, *graph, {}).graph.values) {
    if (value.is_variable()) parameters.insert(value.name);
  }
  std::set<std::string> missing = parameters;
  for (Value& value : graph->values) {
    if (!value.is_constant() || !value.constant->origin) continue;
    const Origin& origin = *value.constant->origin;
    if (!parameters.contains(role + "." + origin.name)) continue;
    missing.erase(role + "." + origin.name);
    std::vector<std::string> names = origin.parts;
    if (names.empty()) names.push_back(origin.name);
    std::vector<float> values(value.constant->bytes.size() / sizeof(float));
    const size_t part = values.size() / names.size();
    for (size_t i = 0; i < names.size(); ++i) {
      const std::string name = role + "." + names[i];
      fig_status status = FIG_NOT_FOUND;
      for (const char* average : {".ema", ""}) {
        status = fig_parameter_get(trained.session(), (name + average).c_str(), values.data() + i * part, part);
        if (status != FIG_NOT_FOUND) break;
      }
      if (status == FIG_NOT_FOUND)
        throw Error("--start-from " + path + ": trains no parameter " + name +
                    "; it must be of the same networks, and train all of them");
      if (status != FIG_OK) throw Error("--start-from " + path + ": " + fig_error_message());
    }
    const std::vector<float> ours =
        transposed(values, origin.split, {origin.permutation.begin(), origin.permutation.end()});
    std::memcpy(value.constant->bytes.edit(), ours.data(), value.constant->bytes.size());
  }
  if (!missing.empty()) throw Error("--start-from: the exporter has no name for parameter " + *missing.begin());
}

// A scope that fits nothing is a mistake.
void check_scope(const TrainingScope& scope, const std::vector<Network>& networks) {
  for (const std::string& pattern : scope.freeze) {
    if (std::none_of(networks.begin(), networks.end(),
                     [&](const Network& network) { return network.matched.contains(pattern); })) {
      throw Error("--freeze " + pattern + ": no parameter has such a name");
    }
  }
  const auto check_networks = [&](const char* option, const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      const std::string network = scope_item(text).network;
      if (!network.empty() && std::ranges::none_of(networks, [&](const Network& n) { return n.name == network; }))
        throw Error(std::string(option) + " " + text + ": there is no network " + network);
    }
  };
  check_networks("--train-only", scope.train_only);
  check_networks("--adapters", scope.adapters);
  // Of a network that has adapters these say what trains; others train as before.
  for (const std::string& text : scope.adapters) {
    const std::string adapted = scope_item(text).network;
    const bool frozen = std::ranges::any_of(scope.freeze, [&](const std::string& pattern) {
      return adapted.empty() || pattern.starts_with(adapted + ".");
    });
    const bool chosen = std::ranges::any_of(scope.train_only, [&](const std::string& item) {
      const std::string network = scope_item(item).network;
      return adapted.empty() || network.empty() || network == adapted;
    });
    if (frozen || chosen) {
      throw Error("--adapters " + text + " says what trains, and all else is frozen: leave out " +
                  (frozen ? "--freeze" : "--train-only") + (adapted.empty() ? "" : " of " + adapted));
    }
  }
  if (scope.int8_base && std::ranges::all_of(networks, [](const Network& n) { return n.int8_elements == 0; }))
    throw Error(
        scope.adapters.empty()
            ? "--int8-base: no weights are frozen; say what is to learn, as with --adapters lora:4"
            : "--int8-base: no weights are frozen: adapters of this rank are larger than the layers, which train "
              "whole; give a lower rank");
}

// The objective's model of networks that come from ONNX files or from a recipe.
TrainedModel train_model(const ConvertOptions& options, const Recipe& recipe) {
  std::vector<std::string> notes;
  std::optional<Runner> trained_before;
  if (!options.start_from.empty()) {
    const std::vector<uint8_t> file = io::read_file(options.start_from);
    try {
      trained_before.emplace(file, 1, FIG_KERNELS_BEST, true);
    } catch (const Error& error) {
      throw Error("--start-from " + options.start_from + ": " + error.what());
    }
  }
  std::vector<std::string> warnings;
  uint64_t source_bytes = 0;
  std::vector<Network> networks;
  std::set<std::string> roles;
  size_t generates = 0;
  for (const NetworkRole& role : recipe.objective->networks(0)) {
    roles.insert(role.name);
    if (role.takes_latent) generates = networks.size();
    Graph graph = options.recipe.empty() ? load_network(options, role.name) : recipe.networks.at(role.name);
    if (trained_before) start_from(options.start_from, role.name, *trained_before, &graph);
    if (options.recipe.empty()) source_bytes += graph.source_bytes;
    for (const std::string& note : graph.notes) notes.push_back(role.name + ": " + note);
    for (const std::string& warning : graph.warnings) warnings.push_back(role.name + ": " + warning);
    networks.push_back(make_network(role.name, std::move(graph), options.scope));
  }
  check_scope(options.scope, networks);
  for (const auto& [role, path] : options.networks) {
    if (!roles.contains(role)) throw Error("--" + role + " does not go with the objective " + options.objective);
  }
  ModelContext context;
  context.latent = options.latent;
  const Graph& generator = networks[generates].graph;
  const auto [low, high] = range_of(generator, generator.outputs[0].value)
                               .value_or(recipe.objective->sample_range().value_or(kUnknownRange));
  context.range = {options.range_min.value_or(low), options.range_max.value_or(high)};
  TrainedModel trained = recipe.objective->build(std::move(networks), context);
  trained.notes.insert(trained.notes.begin(), notes.begin(), notes.end());
  trained.warnings = std::move(warnings);
  trained.source_bytes = source_bytes;
  return trained;
}

// Of the inputs of a batch that are vectors or sequences of measurements: what is generated, unless that is an image,
// and conditions that are sequences.
std::vector<ScalingDefinition> scalings_of(const ModelDefinition& model) {
  constexpr uint32_t kMostChannels = 256;
  const Graph& generates = model.programs[0];
  const Shape& sample = generates.outputs[0].shape;
  std::vector<ScalingDefinition> result;
  for (const ScheduleDefinition& entry : model.schedule) {
    const auto program = std::ranges::find_if(model.programs, [&](const Graph& p) { return p.name == entry.program; });
    for (const PortDefinition& port : program->inputs) {
      const bool drawn =
          std::ranges::any_of(entry.latents, [&](const LatentDefinition& latent) { return latent.input == port.name; });
      const bool known =
          std::ranges::any_of(result, [&](const ScalingDefinition& other) { return other.input == port.name; });
      // A condition may have their shape; it is an input of the generator.
      const bool condition =
          std::ranges::any_of(generates.inputs, [&](const PortDefinition& input) { return input.name == port.name; });
      const bool samples = port.shape == sample && !condition;
      const size_t rank = port.shape.rank();
      if (drawn || known || port.integers || rank < 2 || rank > 3 || !(samples || rank == 3)) continue;
      const uint32_t channels = port.shape[rank - 1].extent;
      if (port.shape[rank - 1].per_batch || channels > kMostChannels) continue;
      ScalingDefinition scaling{port.name, samples, channels, {}};
      result.insert(samples ? result.begin() : result.end(), std::move(scaling));
    }
  }
  return result;
}

// A model that starts from a trained one goes on in its units.
void keep_scalings(const std::string& path, ModelDefinition* model) {
  for (const ScalingDefinition& trained : import_figment(io::read_file(path), path).scalings) {
    for (ScalingDefinition& scaling : model->scalings) {
      if (scaling.input == trained.input && scaling.channels == trained.channels) scaling.values = trained.values;
    }
  }
}

// What gradients train, in the order of its use.
std::vector<TrainedReport> list_trained(const ModelDefinition& model) {
  std::vector<TrainedReport> result;
  for (const TrainedDefinition& trained : model.trained) {
    const Value* found = nullptr;
    for (const Graph& program : model.programs) {
      for (const Value& value : program.values) {
        if (found == nullptr && value.is_variable() && value.name == trained.variable) found = &value;
      }
    }
    if (found == nullptr) continue;
    const std::optional<Origin>& origin = found->constant->origin;
    result.push_back({trained.variable, origin ? origin->shape : extents_of(found->shape)});
  }
  return result;
}

// Writes the file, and describes it. The programs are gone then: they hold the weights once more.
void write(ModelDefinition* model, bool training, Converted* result) {
  result->file = write_model(*model);
  model->programs.clear();
  describe_ops(result->file, training, &result->report);
}

Converted convert_training(ConvertOptions options) {
  if (options.length != 0)
    throw Error("--length: train steps have one length; --dim NAME=N gives an open dimension a size");
  std::vector<std::string> paths;
  for (const auto& [role, path] : options.networks) paths.push_back(path);
  check_dimensions(paths, options);
  if (options.half_weights) throw Error("--f16 is for models that only run: train first, then convert the result");
  if (options.int8) throw Error("--int8 quantizes a model after training: convert without it, train, then quantize");
  Converted result;
  Recipe recipe;
  if (!options.recipe.empty()) {
    recipe = read_recipe(options.recipe);
    if (recipe.range) {
      options.range_min = options.range_min.value_or(recipe.range->first);
      options.range_max = options.range_max.value_or(recipe.range->second);
    }
    if (options.name.empty()) options.name = recipe.name;
  } else {
    recipe.objective =
        configured_objective(options.objective, options.objective_options, "--objective " + options.objective);
  }
  TrainedModel trained = train_model(options, recipe);
  ModelDefinition& model = trained.model;
  if (model.objective->metrics.size() > FIG_MAX_METRICS) {
    throw Error(fmt::format("a train step would report {} metrics, {} at most: use fewer codes",
                            model.objective->metrics.size(), size_t{FIG_MAX_METRICS}));
  }
  model.name = options.name.empty() ? options.fallback_name : options.name;
  model.metadata.insert(model.metadata.end(), recipe.metadata.begin(), recipe.metadata.end());
  model.recipe = recipe.text;
  const std::optional<std::pair<float, float>> known = recipe.objective->sample_range();
  if (known && (options.range_min.value_or(known->first) < known->first ||
                options.range_max.value_or(known->second) > known->second)) {
    throw Error("the loss (" + model.objective->loss + ") is of samples in [" + io::format_number(known->first, 0) +
                ", " + io::format_number(known->second, 0) + "], not in the range that is given");
  }
  result.report.notes = trained.notes;
  result.report.warnings = trained.warnings;
  if (model.latent) {
    describe_output(options, model.programs[0], known, true, &model, &result.report);
  } else if (options.range_min.value_or(-1) != -1 || options.range_max.value_or(1) != 1) {
    throw Error(
        "a classifier takes samples in [-1, 1], whatever range they have elsewhere: give it that range or none");
  }
  model.scalings = scalings_of(model);
  if (!options.start_from.empty()) keep_scalings(options.start_from, &model);
  for (const Graph& graph : model.programs) result.report.programs.emplace_back().name = graph.name;
  result.report.trained = list_trained(model);
  result.report.source_bytes = trained.source_bytes;
  write(&model, true, &result);
  return result;
}

}  // namespace

namespace {

// Quantizes, if asked for, writes and describes a model whose programs only run.
Converted finish(const ConvertOptions& options, ModelDefinition model, Converted result, const Progress& progress) {
  ConvertReport& report = result.report;
  if (options.int8) {
    const auto count = static_cast<double>(model.programs.size());
    for (size_t i = 0; i < model.programs.size(); ++i) {
      const Progress part = [&](double fraction, const char* phase) {
        if (progress) progress((static_cast<double>(i) + fraction) / count, phase);
      };
      report.programs[i].int8 = quantize_program(options, model, &model.programs[i], part);
      remove_dead(&model.programs[i]);
    }
  }
  if (options.half_weights) {
    for (Graph& program : model.programs)
      report.notes.push_back("program " + program.name + ": " + store_in_half(&program));
  }
  write(&model, false, &result);
  return result;
}

// A model file as it is, described.
Converted take(const ConvertOptions& options, std::vector<uint8_t> file, Converted result) {
  if ((!options.keep_f32.empty() && !options.int8) || options.range_min)
    throw Error(options.model + ": is taken as it is: what is quantized or described anew begins with the f32 model");
  result.file = std::move(file);
  describe_ops(result.file, options.keep_training, &result.report);
  return result;
}

// A model of ours for inference: what generates, and with calibration data the others.
Converted convert_model(const ConvertOptions& options, const Progress& progress) {
  if (options.length != 0 || !options.dimensions.empty())
    throw Error("--length and --dim are set in the model already: convert it from its source");
  std::vector<uint8_t> file = io::read_file(options.model);
  Converted result;
  result.report.source_bytes = file.size();
  if (!options.checkpoint.empty()) file = with_checkpoint(file, options.checkpoint);
  if (!options.adapter.empty()) file = with_adapter(file, options.adapter);
  if (options.int8 && options.keep_training) {
    CarriedForm carried = add_int8_form(options, file, progress);
    result = take(options, std::move(carried.file), std::move(result));
    for (ProgramReport& program : result.report.programs) {
      if (program.name == kInt8Source) program.int8 = carried.report;
    }
    result.report.notes.push_back(
        fmt::format("sessions write what they train in int8, {} bytes, by fig_requantize", carried.bytes));
    return result;
  }
  if (options.int8 && int8_form_samples(file, options.model) > 0) {
    WrittenForm written = write_int8_form(options, file);
    result = take(options, std::move(written.file), std::move(result));
    result.report.notes.push_back(
        fmt::format("the int8 form that the model carries, as fig_requantize writes it; its outputs have {:.1f} dB of "
                    "signal to noise",
                    written.decibels));
    if (written.decibels < options.snr_goal_db) {
      result.report.warnings.push_back(fmt::format(
          "the int8 form has {:.1f} dB of signal to noise, less than {:g}: which layers are int8 was settled for "
          "other weights; --int8 --keep-training settles it for these",
          written.decibels, options.snr_goal_db));
    }
    return result;
  }
  const bool finished = !options.int8 && !options.half_weights && is_int8(file, options.model);
  if (options.keep_training || finished) return take(options, std::move(file), std::move(result));
  ModelDefinition model = import_figment(file, options.model);
  if (model.objective)
    result.report.notes.emplace_back("the programs that train are left out: the result is for inference");
  if (!options.name.empty()) model.name = options.name;
  check_calibration_names(options, model);
  if (options.int8) {
    // Programs that int8 has no examples for are left out, and the report says so.
    std::erase_if(model.programs, [&](const Graph& graph) {
      const bool generates = model.latent && model.latent->program == graph.name;
      if (generates) return false;
      const std::string missing = missing_examples(options, model, graph);
      if (!missing.empty())
        result.report.notes.push_back("program " + graph.name + " is left out: int8 needs examples of its inputs, " +
                                      missing);
      return !missing.empty();
    });
    if (model.programs.empty()) throw Error(options.model + ": " + result.report.notes.back());
  }
  for (Graph& graph : model.programs) {
    ProgramReport program;
    program.name = graph.name;
    lower_batch_norms(&graph);
    program.notes = simplify(&graph);
    result.report.programs.push_back(std::move(program));
  }
  return finish(options, std::move(model), std::move(result), progress);
}

Converted make(const ConvertOptions& options, const Progress& progress) {
  if (!options.objective.empty() || !options.recipe.empty()) return convert_training(options);
  if (!options.model.empty()) return convert_model(options, progress);
  if (options.sources.empty()) throw Error("no model given");
  std::vector<std::string> paths;
  for (const Source& source : options.sources) paths.push_back(source.path);
  check_dimensions(paths, options);
  ModelDefinition model;
  model.name = options.name.empty() ? options.fallback_name : options.name;
  Converted result;
  ConvertReport& report = result.report;
  bool latent_found = false;
  for (const Source& source : options.sources) {
    ProgramReport program;
    Graph graph = import_with_length(source, options, &program.notes);
    report.source_bytes += graph.source_bytes;
    for (const std::string& note : graph.notes) report.notes.push_back(source.path + ": " + note);
    const bool open =
        std::ranges::any_of(graph.inputs, [](const PortDefinition& port) { return has_batch(port.shape); });
    for (const PortDefinition& port : graph.inputs) {
      if (port.drawn || has_batch(port.shape)) continue;
      const std::string input = source.path + ": input " + port.name + " is " + to_string(port.shape);
      report.notes.push_back(open ? input + ", the same for all samples, so that the program cannot be int8"
                                  : input +
                                        ": its batch is fixed, so that it computes that many samples at a time and "
                                        "cannot be int8; " +
                                        open_batch_advice(port.name));
    }
    const PortDefinition* latent = find_latent(graph, options.latent);
    latent_found = latent_found || (latent != nullptr && latent->name == options.latent);
    if (source.program.empty()) graph.name = latent != nullptr ? "generate" : "run";
    for (const Graph& other : model.programs) {
      if (other.name == graph.name)
        throw Error("two programs are named " + graph.name + "; name them: PROGRAM=" + source.path);
    }
    const bool generates = latent != nullptr && !model.latent &&
                           (source.program.empty() || graph.name == "generate" || graph.name == "decode");
    program.name = graph.name;
    if (generates) {
      model.latent = LatentDefinition{graph.name,
                                      latent->name,
                                      static_cast<uint32_t>(sample_elements(*latent)),
                                      options.prior,
                                      0,
                                      0,
                                      {},
                                      growth_of_sample(*latent)};
      describe_output(options, graph, std::nullopt, false, &model, &report);
    }
    for (const PortDefinition& port : graph.inputs) {
      if (!port.drawn || (model.latent && model.latent->program == graph.name && model.latent->input == port.name))
        continue;
      const auto stream = static_cast<uint32_t>(model.drawn.size() + 1);
      model.drawn.push_back({graph.name,
                             port.name,
                             static_cast<uint32_t>(sample_elements(port)),
                             *port.drawn,
                             0,
                             stream,
                             {},
                             growth_of_sample(port)});
    }
    if (graph.length) {
      if (model.length && !(*model.length == *graph.length))
        throw Error(
            fmt::format("{} has a length of its own ({}): make it a file of its own, or give lengths a size with "
                        "--dim {}=N",
                        source.path, graph.length->name, graph.length->name));
      model.length = graph.length;
    }
    model.parameter_elements += graph.parameters;
    model.programs.push_back(std::move(graph));
    report.programs.push_back(std::move(program));
  }
  if (!options.latent.empty() && !latent_found)
    throw Error("--latent " + options.latent + ": no model has an input of that name");
  if (!model.latent)
    report.notes.emplace_back(
        "no latent was found, so that figment generate does not apply: name it with --latent INPUT");
  check_calibration_names(options, model);
  return finish(options, std::move(model), std::move(result), progress);
}

}  // namespace

Converted convert(const ConvertOptions& options, const Progress& progress) {
  Converted result = make(options, progress);
  const bool renamed = !options.model.empty() && !options.name.empty();
  if (options.strip || renamed || !options.plan_batches.empty() || !options.programs.empty()) {
    RepackOptions repacked;
    repacked.name = options.name;
    repacked.programs = options.programs;
    repacked.strip = options.strip;
    // Firmware that does not train is linked without what reads it.
    repacked.without_training = options.outputs_given;
    repacked.level = options.level;
    repacked.plan_batches = options.plan_batches;
    repacked.outputs_given = options.outputs_given;
    repacked.micro_batch = options.micro_batch;
    result.file = repack(result.file, repacked);
    // What is left out takes no memory.
    const bool training = result.report.training_batch != 0;
    if (training && !options.plan_batches.empty()) result.report.training_batch = options.plan_batches[0];
    Runner runner(result.file, 1, FIG_KERNELS_BEST, training, 0, training ? 0 : result.report.source_bytes);
    std::erase_if(result.report.programs,
                  [&](const ProgramReport& program) { return !has_program(runner.model(), program.name); });
    describe_memory(&runner, training, &result.report);
  }
  result.report.file_bytes = result.file.size();
  return result;
}

}  // namespace figment::converter
