#include "write/write_model.h"

#include <fmt/format.h>
#include <cmath>
#include <cstring>
#include <deque>
#include <map>

#include "core/half.h"
#include "core/memory.h"
#include "figment/version.h"
#include "format/model_view.h"
#include "format/scaling.h"
#include "ir/batch.h"
#include "model_generated.h"
#include "write/model_parts.h"

namespace figment::converter {

namespace {

using flatbuffers::Offset;
namespace schema = format::schema;

class Writer {
 public:
  std::vector<uint8_t> write(const ModelDefinition& model) {
    std::vector<Offset<schema::Program>> programs;
    for (const Graph& graph : model.programs) programs.push_back(program(graph));
    std::vector<Offset<schema::Metadata>> metadata;
    for (const auto& [key, value] : model.metadata) {
      metadata.push_back(schema::CreateMetadata(builder_, builder_.CreateString(key), builder_.CreateString(value)));
    }
    Offset<schema::Latent> latent;
    if (model.latent) latent = this->latent(*model.latent);
    std::vector<Offset<schema::Latent>> drawn;
    for (const LatentDefinition& input : model.drawn) drawn.push_back(this->latent(input));
    const auto drawn_vector = builder_.CreateVector(drawn);
    Offset<schema::Output> output;
    if (model.output) {
      output = schema::CreateOutput(builder_, builder_.CreateString(model.output->program),
                                    builder_.CreateString(model.output->port),
                                    static_cast<schema::OutputKind>(model.output->kind), model.output->range_min,
                                    model.output->range_max, model.output->bounded);
    }
    Offset<schema::Objective> objective;
    if (model.objective) objective = this->objective(*model.objective);
    std::vector<Offset<schema::ScheduleEntry>> schedule;
    for (const ScheduleDefinition& entry : model.schedule) {
      std::vector<Offset<schema::Latent>> latents;
      for (const LatentDefinition& of_step : entry.latents) latents.push_back(this->latent(of_step));
      schedule.push_back(schema::CreateScheduleEntry(builder_, builder_.CreateString(entry.program), entry.period,
                                                     entry.phase, builder_.CreateVector(latents), entry.level,
                                                     entry.per_micro_batch, entry.samples));
    }
    std::vector<Offset<schema::Scalar>> scalars;
    for (const ScalarDefinition& scalar : model.scalars) {
      scalars.push_back(
          schema::CreateScalar(builder_, builder_.CreateString(scalar.name), variable(scalar.variable), scalar.index));
    }
    std::vector<Offset<schema::Trained>> trained;
    for (const TrainedDefinition& entry : model.trained) {
      std::vector<uint32_t> state;
      for (const std::string& state_name : entry.state) state.push_back(variable(state_name));
      trained.push_back(schema::CreateTrained(builder_, builder_.CreateString(entry.network), variable(entry.variable),
                                              builder_.CreateVector(state)));
    }
    const auto schedule_vector = builder_.CreateVector(schedule);
    const auto scalars_vector = builder_.CreateVector(scalars);
    const auto trained_vector = builder_.CreateVector(trained);
    const auto name = builder_.CreateString(model.name);
    const auto producer = builder_.CreateString("figment-convert " FIGMENT_VERSION);
    const auto metadata_vector = builder_.CreateVectorOfSortedTables(&metadata);
    std::vector<Offset<schema::Scaling>> scalings;
    for (const ScalingDefinition& entry : model.scalings) scalings.push_back(scaling(entry, !model.schedule.empty()));
    const auto scalings_vector = builder_.CreateVector(scalings);
    const auto recipe = builder_.CreateString(model.recipe);
    const auto constants = builder_.CreateVector(constants_);
    const auto parameters = builder_.CreateVector(parameters_);
    const auto programs_vector = builder_.CreateVector(programs);
    Offset<schema::Length> open_length;
    if (model.length) {
      open_length = schema::CreateLength(builder_, builder_.CreateString(model.length->name), model.length->length,
                                         model.length->unit, model.length->least, model.length->greatest);
    }
    schema::ModelBuilder root(builder_);
    root.add_schema_version(format::kSchemaVersion);
    root.add_name(name);
    root.add_producer(producer);
    root.add_metadata(metadata_vector);
    root.add_constants(constants);
    root.add_parameters(parameters);
    root.add_programs(programs_vector);
    if (model.latent) root.add_latent(latent);
    if (!model.drawn.empty()) root.add_drawn(drawn_vector);
    if (model.length) root.add_length(open_length);
    if (model.parameter_elements != 0) root.add_parameter_elements(model.parameter_elements);
    if (widened_bytes_ != 0) root.add_widened_size(widened_bytes_);
    if (model.output) root.add_output(output);
    if (!model.recipe.empty()) root.add_recipe(recipe);
    root.add_blob_section_size(blob_bytes_);
    if (!schedule.empty()) {
      root.add_schedule(schedule_vector);
      root.add_scalars(scalars_vector);
      root.add_trained(trained_vector);
      if (!model.micro_batch_weight.empty())
        root.add_micro_batch_weight(static_cast<int32_t>(variable(model.micro_batch_weight)));
    }
    if (model.objective) root.add_objective(objective);
    if (!scalings.empty()) root.add_scalings(scalings_vector);
    builder_.FinishSizePrefixed(root.Finish(), schema::ModelIdentifier());
    const uint64_t header = aligned(builder_.GetSize());
    std::vector<uint8_t> file(static_cast<size_t>(header + blob_bytes_));
    std::memcpy(file.data(), builder_.GetBufferPointer(), builder_.GetSize());
    for (const auto& [offset, bytes] : blobs_) std::ranges::copy(bytes, file.data() + header + offset);
    return file;
  }

 private:
  Offset<schema::Scaling> scaling(const ScalingDefinition& entry, bool trains) {
    Value& value = scalings_.emplace_back();
    value.name = "scaling." + entry.input;
    value.shape = constant_shape({entry.channels, format::ChannelScaling::kValues});
    std::vector<float> values = entry.values;
    values.resize(entry.channels * format::ChannelScaling::kValues);
    value.constant.emplace();
    value.constant->variable = trains;
    const auto* bytes = reinterpret_cast<const uint8_t*>(values.data());
    value.constant->bytes.assign({bytes, bytes + values.size() * sizeof(float)});
    return schema::CreateScaling(builder_, builder_.CreateString(entry.input), entry.samples,
                                 static_cast<uint32_t>(constant(value, false)));
  }

  Offset<schema::Objective> objective(const ObjectiveDefinition& objective) {
    std::vector<Offset<schema::Metric>> metrics;
    for (const MetricDefinition& metric : objective.metrics) {
      metrics.push_back(schema::CreateMetric(builder_, builder_.CreateString(metric.name),
                                             static_cast<schema::MetricKind>(metric.kind), metric.saturation));
    }
    return schema::CreateObjective(builder_, builder_.CreateString(objective.name),
                                   builder_.CreateString(objective.loss), static_cast<schema::Score>(objective.score),
                                   static_cast<schema::Likelihood>(objective.likelihood),
                                   builder_.CreateString(objective.divergence_weight), builder_.CreateVector(metrics));
  }

  Offset<flatbuffers::Vector<const schema::Dimension*>> shape(const Shape& shape, const Dimensions<uint32_t>& growth) {
    std::vector<schema::Dimension> dimensions;
    for (size_t d = 0; d < shape.rank(); ++d) {
      const uint32_t grows = d < growth.rank() ? growth[d] : 0;
      dimensions.emplace_back(shape[d].extent, shape[d].per_batch, static_cast<uint16_t>(grows));
    }
    return builder_.CreateVectorOfStructs(dimensions);
  }

  Offset<flatbuffers::Vector<uint8_t>> bytes(const Permutation& list) {
    std::vector<uint8_t> result(list.begin(), list.end());
    return builder_.CreateVector(result);
  }

  // The same list is written once.
  Offset<flatbuffers::Vector<uint8_t>> shared_bytes(const Permutation& list) {
    const auto [entry, fresh] = shared_.emplace(std::vector<uint32_t>(list.begin(), list.end()), 0);
    if (fresh) entry->second = bytes(list);
    return entry->second;
  }

  Offset<flatbuffers::Vector<uint32_t>> words(const Dimensions<uint32_t>& list) {
    return builder_.CreateVector(std::vector<uint32_t>(list.begin(), list.end()));
  }

  template <size_t kCount>
  Offset<flatbuffers::Vector<uint32_t>> words(const std::array<uint32_t, kCount>& list) {
    return builder_.CreateVector(list.data(), list.size());
  }

  Offset<schema::Latent> latent(const LatentDefinition& latent) {
    std::vector<Offset<schema::Code>> codes;
    for (const CodeDefinition& code : latent.codes) {
      codes.push_back(schema::CreateCode(builder_, builder_.CreateString(code.name), code.size,
                                         static_cast<schema::Prior>(code.prior)));
    }
    return schema::CreateLatent(builder_, builder_.CreateString(latent.program), builder_.CreateString(latent.input),
                                latent.size, static_cast<schema::Prior>(latent.prior), latent.rate, latent.stream,
                                builder_.CreateVector(codes), latent.growth);
  }

  // The index of a variable that a program has.
  uint32_t variable(const std::string& variable_name) const { return variable_indices_.at(variable_name); }

  Offset<schema::Quantization> quantization(const Value& value) {
    if (value.scales.empty()) return 0;
    return schema::CreateQuantization(builder_, builder_.CreateVector(value.scales),
                                      static_cast<int8_t>(value.zero_point));
  }

  void parameters(const Origin& origin, uint32_t constant) {
    const auto add = [&](const std::string& name, const std::vector<uint32_t>& shape,
                         const std::vector<uint32_t>& split, const std::vector<uint8_t>& permutation, uint32_t offset) {
      parameters_.push_back(schema::CreateParameter(
          builder_, builder_.CreateString(name), constant, builder_.CreateVector(shape), builder_.CreateVector(split),
          builder_.CreateVector(permutation), origin.folded, offset, origin.derived));
    };
    if (origin.parts.empty()) return add(origin.name, origin.shape, origin.split, origin.permutation, 0);
    const std::vector<uint32_t> part(origin.shape.begin() + 1, origin.shape.end());
    std::vector<uint8_t> order;
    uint32_t elements = 1;
    for (uint32_t extent : part) {
      order.push_back(static_cast<uint8_t>(order.size()));
      elements *= extent;
    }
    for (uint32_t i = 0; i < origin.parts.size(); ++i) add(origin.parts[i], part, part, order, i * elements);
  }

  std::span<const uint8_t> halves(std::span<const float> values) {
    std::vector<uint8_t>& bytes = halves_.emplace_back(values.size() * sizeof(uint16_t));
    for (size_t i = 0; i < values.size(); ++i) {
      const uint16_t half = to_half(values[i]);
      std::memcpy(bytes.data() + i * sizeof half, &half, sizeof half);
    }
    return bytes;
  }

  // The index of a constant, writing it if an equal one has not been written.
  // `mask`: it may be infinite or NaN; whatever else is leaves a file that does not open, and says why.
  int32_t constant(const Value& value, bool mask) {
    const std::vector<uint32_t> extents = extents_of(value.shape);
    const auto key = std::make_tuple(value.name, value.type, extents, value.scales);
    const auto [first, last] = constant_indices_.equal_range(key);
    for (auto same = first; same != last; ++same) {
      if (same->second.first->constant->bytes == value.constant->bytes) return same->second.second;
    }
    const uint64_t offset = blob_bytes_;
    const bool zeros = value.constant->variable && value.constant->bytes.empty();
    const std::span<const uint8_t> bytes =
        value.constant->half ? halves(value.f32())
                             : std::span<const uint8_t>(value.constant->bytes.data(), value.constant->bytes.size());
    const uint64_t widened = widened_bytes_;
    if (value.constant->half) widened_bytes_ = aligned(widened + value.constant->bytes.size() + kReadablePadding);
    if (!zeros) {
      blobs_.emplace_back(offset, bytes);
      blob_bytes_ = aligned(blob_bytes_ + bytes.size() + kReadablePadding);
    }
    const schema::Blob blob(offset, bytes.size());
    const auto name = builder_.CreateString(value.name.empty() ? "constant" : value.name);
    const auto shape_vector = builder_.CreateVector(extents);
    const auto scales = quantization(value);
    const auto index = static_cast<int32_t>(constants_.size());
    const bool not_finite = mask && value.type == DataType::kF32 && !value.constant->variable &&
                            !std::ranges::all_of(value.f32(), [](float x) { return std::isfinite(x); });
    constants_.push_back(schema::CreateConstant(builder_, name, static_cast<schema::DataType>(value.type), shape_vector,
                                                scales, zeros ? nullptr : &blob, value.constant->variable,
                                                value.constant->transient, not_finite, value.constant->half,
                                                value.constant->half ? widened : 0));
    const std::optional<Origin>& origin = value.constant->origin;
    if (origin && !origin->fixed && (value.constant->variable || !origin->in_layers))
      parameters(*origin, static_cast<uint32_t>(index));
    constant_indices_.emplace(key, std::pair(&value, index));
    if (value.is_variable()) variable_indices_[value.name] = static_cast<uint32_t>(index);
    return index;
  }

  Offset<flatbuffers::Vector<uint16_t>> growth(const Dimensions<uint32_t>& list) {
    if (std::ranges::all_of(list, [](uint32_t grows) { return grows == 0; })) return 0;
    return builder_.CreateVector(std::vector<uint16_t>(list.begin(), list.end()));
  }

  Offset<void> attributes(const Node& node, schema::Attributes* type) {
    const Attributes& from = node.attributes;
    switch (format::attribute_group(node.kind)) {
      case format::AttributeGroup::kNone: break;
      case format::AttributeGroup::kWindow: {
        *type = schema::Attributes::WindowAttributes;
        const format::Window& window = from.window;
        return schema::CreateWindowAttributes(builder_, words(window.kernel), words(window.stride),
                                              words(window.dilation), words(window.padding),
                                              words(window.output_padding), window.groups, window.count_padding)
            .Union();
      }
      case format::AttributeGroup::kAxes:
        *type = schema::Attributes::AxesAttributes;
        return schema::CreateAxesAttributes(builder_, bytes(from.axes)).Union();
      case format::AttributeGroup::kTranspose:
        *type = schema::Attributes::TransposeAttributes;
        return schema::CreateTransposeAttributes(builder_, bytes(from.permutation)).Union();
      case format::AttributeGroup::kSlice:
        *type = schema::Attributes::SliceAttributes;
        return schema::CreateSliceAttributes(builder_, words(from.starts), words(from.steps), growth(node.start_growth))
            .Union();
      case format::AttributeGroup::kPad:
        *type = schema::Attributes::PadAttributes;
        return schema::CreatePadAttributes(builder_, words(from.before), words(from.after),
                                           static_cast<schema::PadMode>(from.pad_mode), from.pad_value)
            .Union();
      case format::AttributeGroup::kAlpha:
        *type = schema::Attributes::AlphaAttributes;
        return schema::CreateAlphaAttributes(builder_, from.alpha).Union();
      case format::AttributeGroup::kMatmul:
        *type = schema::Attributes::MatmulAttributes;
        return schema::CreateMatmulAttributes(builder_, from.transpose_a, from.transpose_b).Union();
      case format::AttributeGroup::kFunction:
        *type = schema::Attributes::FunctionAttributes;
        return schema::CreateFunctionAttributes(builder_, static_cast<schema::OpKind>(from.function), from.alpha)
            .Union();
      case format::AttributeGroup::kRecurrent:
        *type = schema::Attributes::RecurrentAttributes;
        return schema::CreateRecurrentAttributes(builder_, from.linear_before_reset,
                                                 static_cast<schema::RecurrentGradient>(from.recurrent_gradient))
            .Union();
      case format::AttributeGroup::kGroupNorm:
        *type = schema::Attributes::GroupNormAttributes;
        return schema::CreateGroupNormAttributes(builder_, from.groups, from.alpha).Union();
    }
    *type = schema::Attributes::NONE;
    return 0;
  }

  Offset<schema::Port> port(const PortDefinition& port) {
    return schema::CreatePort(builder_, builder_.CreateString(port.name), port.value, shape(port.shape, port.growth),
                              bytes(port.permutation), port.integers, port.least, port.greatest);
  }

  Offset<schema::Program> program(const Graph& graph) {
    std::vector<Offset<schema::Tensor>> tensors;
    const std::vector<bool> masks = may_be_infinite(graph);
    for (ValueId id = 0; id < graph.values.size(); ++id) {
      const Value& value = graph[id];
      const int32_t index = value.is_constant() ? constant(value, masks[id]) : -1;
      const auto name = builder_.CreateString(value.name);
      const auto dimensions = index >= 0 ? 0 : shape(value.shape, value.growth);
      const auto scales = index >= 0 ? 0 : quantization(value);
      const auto permutation = index >= 0 || !value.exporters ? 0 : shared_bytes(*value.exporters);
      tensors.push_back(schema::CreateTensor(builder_, name, index, static_cast<schema::DataType>(value.type),
                                             dimensions, scales, permutation));
    }
    std::vector<Offset<schema::Op>> ops;
    for (const Node& node : graph.nodes) {
      schema::Attributes type{};
      const Offset<void> union_value = attributes(node, &type);
      const auto name = builder_.CreateString(node.name);
      const auto inputs = builder_.CreateVector(node.inputs);
      const auto outputs = builder_.CreateVector(&node.output, 1);
      ops.push_back(schema::CreateOp(builder_, static_cast<schema::OpKind>(node.kind), name, inputs, outputs, type,
                                     union_value, node.attributes.clamp_min, node.attributes.clamp_max));
    }
    std::vector<Offset<schema::Port>> inputs;
    for (const PortDefinition& entry : graph.inputs) inputs.push_back(port(entry));
    std::vector<Offset<schema::Port>> outputs;
    for (const PortDefinition& entry : graph.outputs) outputs.push_back(port(entry));
    return schema::CreateProgram(builder_, builder_.CreateString(graph.name), builder_.CreateVector(inputs),
                                 builder_.CreateVector(outputs), builder_.CreateVector(tensors),
                                 builder_.CreateVector(ops), graph.fully_int8, 0, couples_batch(graph));
  }

  flatbuffers::FlatBufferBuilder builder_;
  std::vector<Offset<schema::Constant>> constants_;
  std::vector<Offset<schema::Parameter>> parameters_;
  // With the value in the model that is being written.
  std::multimap<std::tuple<std::string, DataType, std::vector<uint32_t>, std::vector<float>>,
                std::pair<const Value*, int32_t>>
      constant_indices_;
  std::map<std::string, uint32_t> variable_indices_;
  std::map<std::vector<uint32_t>, Offset<flatbuffers::Vector<uint8_t>>> shared_;
  // Of the model that is being written, and where they go in the blob section.
  std::vector<std::pair<uint64_t, std::span<const uint8_t>>> blobs_;
  uint64_t blob_bytes_ = 0;
  std::deque<Value> scalings_;
  std::deque<std::vector<uint8_t>> halves_;  // constants in f16
  uint64_t widened_bytes_ = 0;               // that these take as f32
};

}  // namespace

std::vector<uint8_t> write_model(const ModelDefinition& model) {
  for (const Graph& program : model.programs) {
    if (program.nodes.size() > format::kMaxOps || program.values.size() > format::kMaxTensors)
      throw Error(
          fmt::format("program {} has {} ops on {} tensors, and {} of each at most: loops and recurrent layers of many "
                      "steps are written out step by step, export them shorter",
                      program.name, program.nodes.size(), program.values.size(), format::kMaxOps));
  }
  return Writer().write(model);
}

}  // namespace figment::converter
