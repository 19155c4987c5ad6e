#include "import/import_figment.h"

#include <cstring>
#include <memory>

#include "core/memory.h"
#include "format/model_view.h"
#include "format/scaling.h"
#include "io/files.h"
#include "write/runner.h"

namespace figment::converter {

namespace {

std::vector<uint32_t> list(const Dimensions<uint32_t>& from) { return {from.begin(), from.end()}; }

// Weights may be int8 where all else is f32.
bool is_computed_in_int8(const format::ProgramView& program) {
  for (size_t i = 0; i < program.tensor_count(); ++i) {
    const format::TensorView tensor = program.tensor(i);
    if (tensor.type.type == DataType::kI8 && tensor.constant < 0) return true;
  }
  return false;
}

// Weights in int8 as what they mean.
void dequantize(Value* value) {
  const auto* integers = reinterpret_cast<const int8_t*>(value->constant->bytes.data());
  const size_t count = value->constant->bytes.size();
  std::vector<uint8_t> bytes(count * sizeof(float));
  if (value->scales.empty()) throw Error("constant " + value->name + " is i8 without a scale, and no op reads it");
  const size_t row = count / value->scales.size();
  for (size_t i = 0; i < count; ++i) {
    const float real = value->scales[i / row] * static_cast<float>(integers[i] - value->zero_point);
    std::memcpy(bytes.data() + i * sizeof real, &real, sizeof real);
  }
  value->type = DataType::kF32;
  value->scales.clear();
  value->zero_point = 0;
  value->constant->bytes.assign(std::move(bytes));
}

// By how much the dimensions grow from one length to the next.
Dimensions<uint32_t> growth_between(const Shape& shape, const Shape& longer) {
  Dimensions<uint32_t> result;
  for (size_t d = 0; d < shape.rank(); ++d) result.push_back(longer[d].extent - shape[d].extent);
  return result;
}

Value import_value(const format::ModelView& model, const format::ProgramView& program, size_t index) {
  const format::TensorView tensor = program.tensor(index);
  Value value;
  value.name = tensor.name;
  value.type = tensor.type.type;
  value.shape = tensor.type.shape;
  value.scales.assign(tensor.type.quantization.scales.begin(), tensor.type.quantization.scales.end());
  value.zero_point = tensor.type.quantization.zero_point;
  if (Permutation permutation; program.is_exporters(index, &permutation)) value.exporters = permutation;
  if (tensor.constant < 0) return value;
  const format::ConstantView constant = model.constant(static_cast<size_t>(tensor.constant));
  value.name = constant.name;
  value.constant = Constant{};
  uint8_t* bytes = value.constant->bytes.allocate(constant.bytes);
  if (constant.data != nullptr) std::memcpy(bytes, constant.data, constant.bytes);
  for (size_t i = 0; i < model.parameter_count(); ++i) {
    const format::ParameterView parameter = model.parameter(i);
    const bool whole = parameter.elements() * format::element_size(constant.type) == constant.bytes;
    if (parameter.constant != static_cast<uint32_t>(tensor.constant) || !whole) continue;
    Origin origin{
        parameter.name, list(parameter.shape), list(parameter.split), {}, parameter.folded, parameter.derived, {}};
    origin.permutation.assign(parameter.permutation.begin(), parameter.permutation.end());
    value.constant->origin = std::move(origin);
  }
  if (value.type == DataType::kI8) dequantize(&value);
  return value;
}

PortDefinition import_port(const format::PortView& port, const format::PortView& longer) {
  PortDefinition result{port.name, port.tensor, port.shape, port.permutation};
  result.growth = growth_between(port.shape, longer.shape);
  result.integers = port.integers;
  if (port.integers) {
    result.least = port.least;
    result.greatest = port.greatest;
  }
  return result;
}

// `longer`: the program for a unit of the length more, or the same.
Graph import_program(const format::ModelView& model, const format::ProgramView& program,
                     const format::ProgramView& longer) {
  Graph graph;
  graph.name = program.name();
  if (is_computed_in_int8(program)) throw Error("program " + graph.name + " is int8 already: convert the f32 model");
  for (size_t i = 0; i < program.tensor_count(); ++i) {
    Value value = import_value(model, program, i);
    value.growth = growth_between(value.shape, longer.tensor(i).type.shape);
    graph.add_value(std::move(value));
  }
  for (size_t i = 0; i < program.op_count(); ++i) {
    const format::OpView op = program.op(i);
    graph.nodes.push_back({op.kind, op.name, op.attributes, {op.inputs.begin(), op.inputs.end()}, op.outputs[0], {}});
    const Dimensions<uint32_t> starts = longer.op(i).attributes.starts;
    for (size_t d = 0; d < starts.rank(); ++d)
      graph.nodes.back().start_growth.push_back(starts[d] - op.attributes.starts[d]);
  }
  for (size_t i = 0; i < program.input_count(); ++i)
    graph.inputs.push_back(import_port(program.input(i), longer.input(i)));
  for (size_t i = 0; i < program.output_count(); ++i)
    graph.outputs.push_back(import_port(program.output(i), longer.output(i)));
  return graph;
}

// A file in memory of its own.
struct OpenFile {
  OpenFile(const std::vector<uint8_t>& file, const std::string& origin) : memory(file.size() + kTensorAlignment) {
    // Models lie at multiples of 64.
    void* start = memory.data();
    size_t space = memory.size();
    std::align(kTensorAlignment, file.size(), start, space);
    std::memcpy(start, file.data(), file.size());
    const Result<format::ModelView> opened = format::ModelView::open(start, file.size());
    if (!opened.ok()) throw Error(origin + ": " + opened.status().message());
    view = *opened;
  }

  std::vector<uint8_t> memory;
  format::ModelView view;
};

// Train programs are left behind, and with them what the averages are of: these are the parameters now.
void name_averages_as_parameters(ModelDefinition* model) {
  constexpr std::string_view kAverage = ".ema";
  for (Graph& graph : model->programs) {
    for (Value& value : graph.values) {
      if (!value.constant || !value.constant->origin || !value.constant->origin->derived) continue;
      Origin& origin = *value.constant->origin;
      if (!origin.name.ends_with(kAverage)) continue;
      origin.derived = false;
      origin.name.resize(origin.name.size() - kAverage.size());
      for (std::string& part : origin.parts) {
        if (part.ends_with(kAverage)) part.resize(part.size() - kAverage.size());
      }
    }
  }
}

}  // namespace

ModelDefinition import_figment(const std::vector<uint8_t>& file, const std::string& origin, Variables variables) {
  OpenFile opened(file, origin);
  format::ModelView& view = opened.view;
  std::vector<std::max_align_t> widened(view.widened_bytes() / sizeof(std::max_align_t) + 1);
  view.widen(widened.data());
  ModelDefinition model;
  model.name = view.name();
  if (view.schedule_count() == 0) model.parameter_elements = view.parameter_elements();
  format::ModelView longer = view;
  if (view.has_open_length()) {
    const format::LengthView length = view.open_length();
    const Result<format::ModelView> next = view.at_length(size_t{length.length} + length.unit);
    if (!next.ok()) throw Error(origin + ": " + next.status().message());
    longer = *next;
    model.length = LengthDefinition{length.name, length.length, length.unit, length.least, length.greatest};
  }
  // By how much what is drawn grows.
  const auto growth_of = [](const format::LatentView& latent, const format::LatentView& next) {
    return static_cast<uint32_t>(next.size - latent.size);
  };
  for (size_t i = 0; i < view.metadata_count(); ++i)
    model.metadata.emplace_back(view.metadata(i).key, view.metadata(i).value);
  for (size_t i = 0; i < view.program_count(); ++i) {
    if (view.program(i).updates() || view.is_requantized(i)) continue;
    model.programs.push_back(import_program(view, view.program(i), longer.program(i)));
    model.programs.back().source_bytes = file.size();
    for (size_t t = 0; variables == Variables::kKept && t < view.program(i).tensor_count(); ++t) {
      const format::TensorType type = view.program(i).tensor(t).type;
      if (type.type == DataType::kI8)
        throw Error(origin + ": weights of program " + view.program(i).name() +
                    " are int8 beside what trains (--int8-base): \"figment apply MODEL ADAPTER --int8\" makes a model "
                    "that is int8 as a whole");
      Value& value = model.programs.back()[static_cast<ValueId>(t)];
      if (value.is_constant()) value.constant->variable = type.variable;
    }
  }
  if (view.has_latent()) {
    const format::LatentView latent = view.latent();
    model.latent =
        LatentDefinition{latent.program, latent.input, static_cast<uint32_t>(latent.size), latent.prior, latent.rate,
                         latent.stream,  {},           growth_of(latent, longer.latent())};
    for (size_t i = 0; i < latent.code_count; ++i) {
      model.latent->codes.push_back(
          {latent.code(i).name, static_cast<uint32_t>(latent.code(i).size), latent.code(i).prior});
    }
  }
  for (size_t i = 0; i < view.drawn_count(); ++i) {
    const format::LatentView drawn = view.drawn(i);
    model.drawn.push_back({drawn.program,
                           drawn.input,
                           static_cast<uint32_t>(drawn.size),
                           drawn.prior,
                           drawn.rate,
                           drawn.stream,
                           {},
                           growth_of(drawn, longer.drawn(i))});
  }
  for (size_t i = 0; i < view.scaling_count(); ++i) {
    const format::ScalingView scaling = view.scaling(i);
    const auto* values = static_cast<const float*>(view.constant_data(scaling.constant));
    const auto channels = static_cast<uint32_t>(scaling.channels);
    model.scalings.push_back(
        {scaling.input, scaling.samples, channels, {values, values + channels * format::ChannelScaling::kValues}});
  }
  if (view.has_output()) {
    const format::OutputView output = view.output();
    model.output =
        OutputDefinition{output.program, output.port, output.kind, output.range_min, output.range_max, output.bounded};
  }
  name_averages_as_parameters(&model);
  if (view.has_objective()) {
    const format::ObjectiveView objective = view.objective();
    model.objective = ObjectiveDefinition{
        objective.name, objective.loss, objective.score, objective.likelihood, objective.divergence_weight, {}};
    for (size_t i = 0; i < objective.metric_count; ++i)
      model.objective->metrics.push_back({view.metric(i).name, view.metric(i).kind, view.metric(i).saturation});
  }
  return model;
}

bool is_int8(const std::vector<uint8_t>& file, const std::string& origin) {
  const OpenFile opened(file, origin);
  for (size_t p = 0; p < opened.view.program_count(); ++p) {
    if (is_computed_in_int8(opened.view.program(p))) return true;
  }
  return false;
}

size_t int8_form_samples(const std::vector<uint8_t>& file, const std::string& origin) {
  const OpenFile opened(file, origin);
  return opened.view.has_requantization() ? opened.view.requantization().samples : 0;
}

std::string recipe_of(const std::vector<uint8_t>& file, const std::string& origin) {
  return OpenFile(file, origin).view.recipe();
}

namespace {

// The model file with the variables of a training session into which `load` has loaded.
template <typename Load>
std::vector<uint8_t> with_loaded(const std::vector<uint8_t>& file, const Load& load) {
  Runner runner(file, 1, FIG_KERNELS_BEST, true);
  const io::TemporaryFolder folder;
  const std::string path = folder.file("model");
  if (load(runner.session()) != FIG_OK || fig_session_export(runner.session(), path.c_str()) != FIG_OK)
    throw Error(fig_error_message());
  return io::read_file(path);
}

}  // namespace

std::vector<uint8_t> with_checkpoint(const std::vector<uint8_t>& file, const std::string& checkpoint) {
  return with_loaded(file, [&](fig_session* session) {
    std::vector<uint8_t> ignored;  // the application's own bytes
    size_t size = 0;
    fig_status loaded = fig_checkpoint_load(session, checkpoint.c_str(), nullptr, 0, &size);
    if (loaded != FIG_OK && size > 0) {
      ignored.resize(size);
      loaded = fig_checkpoint_load(session, checkpoint.c_str(), ignored.data(), size, nullptr);
    }
    return loaded;
  });
}

std::vector<uint8_t> with_adapter(const std::vector<uint8_t>& file, const std::string& adapter) {
  return with_loaded(file, [&](fig_session* session) { return fig_adapter_load(session, adapter.c_str()); });
}

}  // namespace figment::converter
