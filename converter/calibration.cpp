#include "calibration.h"

#include <fmt/format.h>
#include <algorithm>
#include <optional>
#include <random>

#include "format/int8_parameters.h"
#include "format/scaling.h"
#include "ir/cost.h"
#include "passes/quantize_ranges.h"

namespace figment::converter {

namespace {

// Where the samples of an input come from, the first that applies.
enum class Examples : uint8_t {
  kGiven,    // by the user
  kClasses,  // one 1 among zeros, a class after the other: the user says so
  kLatent,   // drawn from the latent's prior
  kDrawn,    // drawn as the program draws it
  kLabels,   // integers of a known range, one after the other
  kOfFile,   // any: all that is left to find out is whether a quantized file's scales do
  kMissing
};

// Whether an input is integers of a known range, which need no examples.
bool is_label(const PortDefinition& port) { return port.integers && port.least == 0 && port.greatest < kExactInteger; }

// Whether an input may be one 1 among zeros.
bool takes_classes(const PortDefinition& port) { return port.shape.rank() == 2; }

bool is_latent(const ModelDefinition& model, const Graph& graph, const PortDefinition& port) {
  return model.latent && model.latent->program == graph.name && model.latent->input == port.name;
}

Examples examples_of(const ConvertOptions& options, const ModelDefinition& model, const Graph& graph,
                     const PortDefinition& port, bool quantized_by_file) {
  if (options.calibration_data.contains(port.name) || options.calibration_files.contains(port.name))
    return Examples::kGiven;
  if (options.calibration_classes.contains(port.name)) return Examples::kClasses;
  if (is_latent(model, graph, port)) return Examples::kLatent;
  if (model.find_drawn(graph.name, port.name) != nullptr) return Examples::kDrawn;
  if (is_label(port)) return Examples::kLabels;
  return quantized_by_file ? Examples::kOfFile : Examples::kMissing;
}

std::vector<size_t> without_ones(const Shape& shape) {
  std::vector<size_t> result;
  for (const Dimension& dimension : shape) {
    if (dimension.extent != 1) result.push_back(dimension.extent);
  }
  return result;
}

// How samples for an input look: those in the shape of what the model generates lie in its range.
io::SampleForm form_of(const PortDefinition& port, const ModelDefinition& model) {
  io::SampleForm form;
  form.input = port.name;
  for (const Dimension& dimension : port.shape) {
    if (!dimension.per_batch || dimension.extent != 1) form.shape.push_back(dimension.extent);
  }
  if (form.shape.empty()) form.shape.push_back(1);
  form.ranged = false;
  if (!model.output) return form;
  for (const Graph& graph : model.programs) {
    for (const PortDefinition& output : graph.outputs) {
      if (graph.name != model.output->program || output.name != model.output->port) continue;
      form.generated =
          without_ones(output.shape) == without_ones(port.shape) && (!model.latent || port.name != model.latent->input);
    }
  }
  form.bounded = form.ranged = form.generated && model.output->bounded;
  if (form.ranged) form.low = model.output->range_min, form.high = model.output->range_max;
  return form;
}

// How many samples where nobody says: a multiple of 16.
size_t affordable_samples(const Graph& graph) {
  constexpr uint64_t kOperations = 200000000000;  // some ten seconds of one core, for each of several passes
  constexpr uint64_t kLeast = 64;
  constexpr uint64_t kMost = 512;
  const uint64_t affordable = kOperations / std::max<uint64_t>(operations(graph), 1);
  return static_cast<size_t>(std::clamp(affordable, kLeast, kMost)) / 16 * 16;
}

std::vector<float> draw(const LatentDefinition& latent, size_t samples, size_t size) {
  std::vector<float> values(samples * size);
  for (size_t i = 0; i < samples; ++i) latent.draw(format::kCalibrationSeed, i, values.data() + i * size);
  return values;
}

std::vector<float> classes(const PortDefinition& port, size_t samples, size_t size) {
  if (!takes_classes(port)) {
    throw Error("--calibration-data " + port.name + "=classes is for inputs of one value a class, [N, K]; " +
                port.name + " is " + to_string(port.shape) + ": give samples");
  }
  std::vector<float> values(samples * size);
  for (size_t i = 0; i < samples; ++i) values[i * size + i % size] = 1;
  return values;
}

std::vector<float> labels(const PortDefinition& port, size_t count) {
  const auto range = static_cast<size_t>(port.greatest) + 1;
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i % range);
  return values;
}

std::vector<float> values_of(const FileQuantization& quantization, size_t count) {
  std::mt19937 random(format::kCalibrationSeed);
  std::uniform_int_distribution<int> integers(INT8_MIN, INT8_MAX);
  std::vector<float> values(count);
  for (float& value : values)
    value = quantization.scale * static_cast<float>(integers(random) - quantization.zero_point);
  return values;
}

}  // namespace

void check_calibration_names(const ConvertOptions& options, const ModelDefinition& model) {
  std::set<std::string> names = options.calibration_classes;
  for (const auto& [name, examples] : options.calibration_data) names.insert(name);
  for (const auto& [name, path] : options.calibration_files) names.insert(name);
  std::string known;
  for (const Graph& graph : model.programs) {
    for (const PortDefinition& port : graph.inputs) {
      names.erase(port.name);
      known += (known.empty() ? "" : ", ") + port.name;
    }
  }
  if (!names.empty())
    throw Error("--calibration-data " + *names.begin() + ": there is no such input; there are " + known);
}

std::string missing_examples(const ConvertOptions& options, const ModelDefinition& model, const Graph& graph) {
  const std::vector<std::optional<FileQuantization>> of_files = quantized_by_file(graph);
  std::string text;
  for (const PortDefinition& port : graph.inputs) {
    if (examples_of(options, model, graph, port, of_files[port.value].has_value()) != Examples::kMissing) continue;
    text += (text.empty() ? "" : ", ") + std::string("--calibration-data ") + port.name + "=x.npy" +
            (takes_classes(port) ? " (or =classes)" : "");
  }
  return text;
}

namespace {

// By which the model scales what people measure for an input; nothing where it keeps none, or has not found any.
std::vector<format::ChannelScaling> scaling_of(const ModelDefinition& model, const std::string& input, bool generated) {
  std::vector<format::ChannelScaling> result;
  for (const ScalingDefinition& scaling : model.scalings) {
    if (scaling.input != input && !(scaling.samples && generated)) continue;
    for (size_t c = 0; c < scaling.channels && !scaling.values.empty(); ++c) {
      result.push_back(format::read_scaling(scaling.values.data() + c * format::ChannelScaling::kValues));
      if (result.back().scale == 0) return {};
    }
    return result;
  }
  return result;
}

}  // namespace

std::optional<io::Samples> Calibration::read_samples(const PortDefinition& port) const {
  const auto array = options_.calibration_data.find(port.name);
  const auto file = options_.calibration_files.find(port.name);
  if (array == options_.calibration_data.end() && file == options_.calibration_files.end()) return std::nullopt;
  io::SampleForm form = form_of(port, model_);
  const std::vector<format::ChannelScaling> scaling = scaling_of(model_, port.name, form.generated);
  if (!scaling.empty()) form.bounded = false;
  if (form.generated) {
    form.table = options_.calibration_table;
    form.table.name_bytes = format::ChannelScaling::kName - 1;
    form.table.unit_bytes = format::ChannelScaling::kUnit - 1;
    for (const format::ChannelScaling& channel : scaling) {
      if (channel.name[0] == 0) {
        form.table.expected.clear();
        break;
      }
      form.table.expected.push_back({channel.name, channel.unit});
    }
  }
  try {
    if (array != options_.calibration_data.end())
      return io::Samples(array->second, "--calibration-data " + port.name, form);
    return io::Samples(file->second, form);
  } catch (const Error& error) {
    if (!graph_.length) throw;
    throw Error(fmt::format("{}; {} is {} while converting, --length N takes another", error.what(),
                            graph_.length->name, graph_.length->length));
  }
}

Calibration::Calibration(const ConvertOptions& options, const ModelDefinition& model, const Graph& graph)
    : options_(options), model_(model), graph_(graph) {
  std::optional<size_t> rows;
  for (const PortDefinition& port : graph.inputs) {
    std::optional<io::Samples> read = read_samples(port);
    if (!read) continue;
    const io::Samples& given = given_.emplace(port.name, std::move(*read)).first->second;
    if (rows.value_or(given.count()) != given.count())
      throw Error("--calibration-data " + port.name + ": the calibration files hold different numbers of samples");
    rows = given.count();
  }
  count_ = rows.value_or(options.calibration_samples.value_or(affordable_samples(graph)));
}

uint64_t Calibration::bytes() const {
  uint64_t result = 0;
  for (const PortDefinition& port : graph_.inputs) {
    if (given_.contains(port.name)) result += count_ * element_count(port.shape, sizeof(float)).value();
  }
  return result;
}

// What was measured as the model's values.
void Calibration::scale(const PortDefinition& port, std::vector<float>* values) const {
  const io::Samples& given = given_.at(port.name);
  if (!given.measured()) return;
  const std::vector<format::ChannelScaling> scaling = scaling_of(model_, port.name, form_of(port, model_).generated);
  for (size_t i = 0; i < values->size() && !scaling.empty(); ++i) {
    const format::ChannelScaling& channel = scaling[i % scaling.size()];
    (*values)[i] = static_cast<float>((static_cast<double>((*values)[i]) - static_cast<double>(channel.offset)) /
                                      static_cast<double>(channel.scale));
  }
}

TensorMap Calibration::samples() const {
  if (const std::string missing = missing_examples(options_, model_, graph_); !missing.empty())
    throw Error("int8 needs examples of inputs that are no latents: give " + missing);
  const std::vector<std::optional<FileQuantization>> of_files = quantized_by_file(graph_);
  TensorMap result;
  for (const PortDefinition& port : graph_.inputs) {
    const auto size = static_cast<size_t>(element_count(port.shape, 1).value());
    std::vector<float>& values = result[port.name];
    const std::optional<FileQuantization>& of_file = of_files[port.value];
    switch (examples_of(options_, model_, graph_, port, of_file.has_value())) {
      case Examples::kGiven:
        values.resize(count_ * size);
        for (size_t i = 0; i < count_; ++i) given_.at(port.name).copy(i, values.data() + i * size);
        scale(port, &values);
        break;
      case Examples::kClasses: values = classes(port, count_, size); break;
      case Examples::kLatent: values = draw(*model_.latent, count_, size); break;
      case Examples::kDrawn: values = draw(*model_.find_drawn(graph_.name, port.name), count_, size); break;
      case Examples::kLabels: values = labels(port, count_ * size); break;
      case Examples::kOfFile: values = values_of(*of_file, count_ * size); break;
      case Examples::kMissing: break;
    }
  }
  return result;
}

}  // namespace figment::converter
