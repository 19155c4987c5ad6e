#include "format/model_view.h"

#include <cstring>

#include "core/half.h"
#include "core/text.h"
#include "format/op_rule.h"
#include "format/schema_access.h"

namespace figment::format {

namespace {

Shape shape_of(const flatbuffers::Vector<const schema::Dimension*>* vector, int64_t units) {
  Shape shape;
  for (size_t i = 0; i < length(vector); ++i) {
    const schema::Dimension* dimension = vector->Get(static_cast<uint32_t>(i));
    shape.push_back({extent_at(*dimension, units), dimension->per_batch()});
  }
  return shape;
}

Dimensions<uint32_t> growth_of(const flatbuffers::Vector<const schema::Dimension*>* vector) {
  Dimensions<uint32_t> growth;
  for (size_t i = 0; i < length(vector); ++i) growth.push_back(vector->Get(static_cast<uint32_t>(i))->growth());
  return growth;
}

PortView port_of(const schema::Port* port, int64_t units) {
  return {text(port->name()),        port->tensor(),          shape_of(port->shape(), units),
          list(port->permutation()), port->integers(),        port->least(),
          port->greatest(),          growth_of(port->shape())};
}

std::span<const uint64_t> offsets_of(const flatbuffers::Vector<uint64_t>* vector) {
  if (vector == nullptr) return {};
  return {vector->data(), vector->size()};
}

Shape constant_shape(const schema::Constant* constant) {
  Shape shape;
  for (uint32_t extent : list(constant->shape())) shape.push_back({extent, false});
  return shape;
}

}  // namespace

LatentView::LatentView(const schema::Latent* latent, int64_t units)
    : program(text(latent->program())),
      input(text(latent->input())),
      size(static_cast<size_t>(int64_t{latent->size()} + int64_t{latent->growth()} * units)),
      prior(static_cast<Prior>(latent->prior())),
      rate(latent->rate()),
      stream(latent->stream()),
      growth(latent->growth()),
      code_count(length(latent->codes())),
      latent_(latent) {}

CodeView LatentView::code(size_t i) const {
  size_t end = size;
  for (size_t j = code_count; j > i + 1; --j) end -= latent_->codes()->Get(static_cast<uint32_t>(j - 1))->size();
  const schema::Code* code = latent_->codes()->Get(static_cast<uint32_t>(i));
  return {text(code->name()), end - code->size(), code->size(), static_cast<Prior>(code->prior())};
}

void LatentView::draw(uint64_t seed, uint64_t index, float* out) const {
  const size_t noise = code_count == 0 ? size : code(0).start;
  draw_latent(prior, seed, stream, index, noise, out, rate);
  for (size_t i = 0; i < code_count; ++i) {
    const CodeView drawn = code(i);
    draw_latent(drawn.prior, seed, code_stream(stream, i), index, drawn.size, out + drawn.start);
  }
}

const char* ProgramView::name() const { return text(program_->name()); }
size_t ProgramView::input_count() const { return length(program_->inputs()); }
PortView ProgramView::input(size_t i) const {
  return port_of(program_->inputs()->Get(static_cast<uint32_t>(i)), units_);
}
size_t ProgramView::output_count() const { return length(program_->outputs()); }
PortView ProgramView::output(size_t i) const {
  return port_of(program_->outputs()->Get(static_cast<uint32_t>(i)), units_);
}
size_t ProgramView::tensor_count() const { return length(program_->tensors()); }
size_t ProgramView::op_count() const { return length(program_->ops()); }
bool ProgramView::fully_int8() const { return program_->fully_int8(); }
bool ProgramView::couples_batch() const { return program_->couples_batch(); }

bool ProgramView::updates() const {
  for (size_t i = 0; i < op_count(); ++i) {
    if (is_update(op_kind(i))) return true;
  }
  return false;
}

TensorView ProgramView::tensor(size_t i) const {
  const schema::Tensor* tensor = program_->tensors()->Get(static_cast<uint32_t>(i));
  TensorView view{text(tensor->name()), tensor->constant(), {}};
  if (tensor->constant() >= 0) {
    const schema::Constant* constant = model_->constants()->Get(static_cast<uint32_t>(tensor->constant()));
    view.type = {static_cast<DataType>(constant->type()), constant_shape(constant),
                 quantization_of(constant->quantization()), true, constant->variable()};
  } else {
    view.type = {static_cast<DataType>(tensor->type()), shape_of(tensor->shape(), units_),
                 quantization_of(tensor->quantization()), false, false};
  }
  return view;
}

QuantizationPlace ProgramView::quantization_place(size_t i) const {
  const schema::Tensor* tensor = program_->tensors()->Get(static_cast<uint32_t>(i));
  const schema::Quantization* found =
      tensor->constant() >= 0 ? model_->constants()->Get(static_cast<uint32_t>(tensor->constant()))->quantization()
                              : tensor->quantization();
  if (found == nullptr || length(found->scales()) == 0) return {};
  const auto* table = reinterpret_cast<const flatbuffers::Table*>(found);
  const size_t offset = table->GetOptionalFieldOffset(schema::Quantization::VT_ZERO_POINT);
  return {{found->scales()->data(), found->scales()->size()},
          offset == 0 ? nullptr : reinterpret_cast<const int8_t*>(found) + offset};
}

OpView ProgramView::op(size_t i) const {
  OpView view{op_kind(i), op_name(i), {}, op_inputs(i), indices(op_at(program_, i)->outputs())};
  if (const OpRule* rule = linked_rule(view.kind)) read_attributes(i, *rule->attributes, &view.attributes);
  return view;
}

int32_t ProgramView::constant_of(size_t i) const {
  return program_->tensors()->Get(static_cast<uint32_t>(i))->constant();
}

bool ProgramView::is_exporters(size_t i, Permutation* permutation) const {
  const auto* stored = program_->tensors()->Get(static_cast<uint32_t>(i))->permutation();
  *permutation = list(stored);
  return stored != nullptr;
}

Dimensions<uint32_t> ProgramView::tensor_growth(size_t i) const {
  return growth_of(program_->tensors()->Get(static_cast<uint32_t>(i))->shape());
}

// Plans are for the file's length.
size_t ProgramView::plan_count() const { return units_ == 0 ? length(program_->plans()) : 0; }

PlanView ProgramView::plan(size_t i) const {
  const schema::Plan* plan = program_->plans()->Get(static_cast<uint32_t>(i));
  return {plan->batch(), plan->arena_size(), offsets_of(plan->offsets()), offsets_of(plan->scratch())};
}

const char* ModelView::name() const { return text(model_->name()); }
const char* ModelView::producer() const { return text(model_->producer()); }
const char* ModelView::recipe() const { return text(model_->recipe()); }
size_t ModelView::metadata_count() const { return length(model_->metadata()); }
MetadataView ModelView::metadata(size_t i) const {
  const schema::Metadata* entry = model_->metadata()->Get(static_cast<uint32_t>(i));
  return {text(entry->key()), text(entry->value())};
}

size_t ModelView::constant_count() const { return length(model_->constants()); }
ConstantView ModelView::constant(size_t i) const {
  const schema::Constant* constant = model_->constants()->Get(static_cast<uint32_t>(i));
  const Shape shape = constant_shape(constant);
  const auto type = static_cast<DataType>(constant->type());
  return {text(constant->name()),
          type,
          shape,
          quantization_of(constant->quantization()),
          constant_data(i),
          static_cast<size_t>(element_count(shape, 1).value()) * element_size(type),
          constant->variable(),
          constant->transient()};
}

const void* ModelView::constant_data(size_t i) const {
  const schema::Constant* constant = model_->constants()->Get(static_cast<uint32_t>(i));
  if (constant->half()) return widened_ == nullptr ? nullptr : widened_ + constant->widened();
  return constant->blob() == nullptr ? nullptr : blobs_ + constant->blob()->offset();
}

uint64_t ModelView::parameter_elements() const {
  if (model_->parameter_elements() != 0) return model_->parameter_elements();
  // Of a model made of averages alone, those.
  uint64_t own = 0;
  uint64_t derived = 0;
  for (size_t i = 0; i < parameter_count(); ++i) (parameter(i).derived ? derived : own) += parameter(i).elements();
  return own != 0 ? own : derived;
}

size_t ModelView::widened_bytes() const { return static_cast<size_t>(model_->widened_size()); }

void ModelView::widen(void* memory) {
  auto* target = static_cast<unsigned char*>(memory);
  std::memset(target, 0, widened_bytes());
  for (size_t i = 0; i < constant_count(); ++i) {
    const schema::Constant* constant = model_->constants()->Get(static_cast<uint32_t>(i));
    if (!constant->half()) continue;
    const auto* from = reinterpret_cast<const uint16_t*>(blobs_ + constant->blob()->offset());
    auto* to = reinterpret_cast<float*>(target + constant->widened());
    const auto count = static_cast<size_t>(constant->blob()->size() / sizeof(uint16_t));
    for (size_t j = 0; j < count; ++j) to[j] = from_half(from[j]);
  }
  widened_ = target;
}

size_t ModelView::parameter_count() const { return length(model_->parameters()); }
ParameterView ModelView::parameter(size_t i) const {
  const schema::Parameter* parameter = model_->parameters()->Get(static_cast<uint32_t>(i));
  return {text(parameter->name()),        parameter->constant(), list(parameter->shape()), list(parameter->split()),
          list(parameter->permutation()), parameter->folded(),   parameter->offset(),      parameter->derived()};
}

size_t ModelView::program_count() const { return length(model_->programs()); }
ProgramView ModelView::program(size_t i) const {
  return {model_, model_->programs()->Get(static_cast<uint32_t>(i)), units_};
}

bool ModelView::has_open_length() const { return model_->length() != nullptr; }

LengthView ModelView::open_length() const {
  const schema::Length* found = model_->length();
  return {text(found->name()), found->length(), found->unit(), found->least(), found->greatest()};
}

bool ModelView::has_latent() const { return model_->latent() != nullptr; }
LatentView ModelView::latent() const { return LatentView(model_->latent(), units_); }

size_t ModelView::drawn_count() const { return length(model_->drawn()); }
LatentView ModelView::drawn(size_t i) const {
  return LatentView(model_->drawn()->Get(static_cast<uint32_t>(i)), units_);
}
std::optional<LatentView> ModelView::find_drawn(const char* program, const char* input) const {
  for (size_t i = 0; i < drawn_count(); ++i) {
    const LatentView found = drawn(i);
    if (same_text(found.program, program) && same_text(found.input, input)) return found;
  }
  return std::nullopt;
}

bool ModelView::has_batch(const LatentView& drawn) const {
  for (size_t p = 0; p < program_count(); ++p) {
    const ProgramView of = program(p);
    if (!same_text(of.name(), drawn.program)) continue;
    for (size_t i = 0; i < of.input_count(); ++i) {
      const PortView port = of.input(i);
      if (!same_text(port.name, drawn.input)) continue;
      for (const Dimension& dimension : port.shape) {
        if (dimension.per_batch) return true;
      }
      return false;
    }
  }
  return true;
}

std::optional<BatchInput> ModelView::batch_input(size_t i) const {
  // Those of all entries in turn; one that came before under its name does not count.
  const auto is_drawn = [&](size_t entry, const char* input) {
    for (size_t latent = 0; latent < schedule(entry).latent_count; ++latent) {
      if (same_text(schedule_latent(entry, latent).input, input)) return true;
    }
    return false;
  };
  const auto program_of = [&](size_t entry) {
    size_t found = 0;
    while (!same_text(program(found).name(), schedule(entry).program)) ++found;
    return found;
  };
  const auto comes_before = [&](size_t entry, size_t port, const char* name) {
    for (size_t before = 0; before <= entry; ++before) {
      if (schedule(before).level != 0) continue;
      const ProgramView view = program(program_of(before));
      for (size_t p = 0; p < (before == entry ? port : view.input_count()); ++p) {
        if (same_text(view.input(p).name, name) && !is_drawn(before, name)) return true;
      }
    }
    return false;
  };
  size_t left = i;
  for (size_t entry = 0; entry < schedule_count(); ++entry) {
    if (schedule(entry).level != 0) continue;
    const size_t found = program_of(entry);
    for (size_t port = 0; port < program(found).input_count(); ++port) {
      const char* name = program(found).input(port).name;
      if (is_drawn(entry, name) || comes_before(entry, port, name)) continue;
      if (left-- == 0) return BatchInput{found, port};
    }
  }
  return std::nullopt;
}

bool ModelView::has_output() const { return model_->output() != nullptr; }
OutputView ModelView::output() const {
  const schema::Output* output = model_->output();
  return {text(output->program()), text(output->port()), static_cast<OutputKind>(output->kind()),
          output->range_min(),     output->range_max(),  output->bounded()};
}

size_t ModelView::schedule_count() const { return length(model_->schedule()); }
ScheduleView ModelView::schedule(size_t i) const {
  const schema::ScheduleEntry* entry = model_->schedule()->Get(static_cast<uint32_t>(i));
  return {text(entry->program()), entry->period(),          entry->phase(),  length(entry->latents()),
          entry->level(),         entry->per_micro_batch(), entry->samples()};
}
LatentView ModelView::schedule_latent(size_t i, size_t latent) const {
  return LatentView(model_->schedule()->Get(static_cast<uint32_t>(i))->latents()->Get(static_cast<uint32_t>(latent)),
                    units_);
}

size_t ModelView::scalar_count() const { return length(model_->scalars()); }
ScalarView ModelView::scalar(size_t i) const {
  const schema::Scalar* scalar = model_->scalars()->Get(static_cast<uint32_t>(i));
  return {text(scalar->name()), scalar->constant(), scalar->index()};
}

int32_t ModelView::micro_batch_weight() const { return model_->micro_batch_weight(); }

static_assert(static_cast<size_t>(schema::Score::MAX) == static_cast<size_t>(Score::kEvidenceLowerBound));
static_assert(static_cast<size_t>(schema::Likelihood::MAX) == static_cast<size_t>(Likelihood::kGaussian));
static_assert(static_cast<size_t>(schema::MetricKind::MAX) == static_cast<size_t>(MetricKind::kDiagnostic));

bool ModelView::has_requantization() const { return model_->requantization() != nullptr; }
RequantizationView ModelView::requantization() const {
  const schema::Requantization* from = model_->requantization();
  return {text(from->program()),
          from->samples(),
          {from->model()->data(), from->model()->size()},
          {from->sources()->data(), from->sources()->size()},
          {from->limits()->data(), from->limits()->size()}};
}
bool ModelView::is_requantized(size_t i) const {
  return has_requantization() && same_text(text(model_->requantization()->program()), program(i).name());
}
bool ModelView::has_objective() const { return model_->objective() != nullptr; }
ObjectiveView ModelView::objective() const {
  const schema::Objective* objective = model_->objective();
  return {text(objective->name()),
          text(objective->loss()),
          static_cast<Score>(objective->score()),
          static_cast<Likelihood>(objective->likelihood()),
          text(objective->divergence_weight()),
          length(objective->metrics())};
}
MetricView ModelView::metric(size_t i) const {
  const schema::Metric* metric = model_->objective()->metrics()->Get(static_cast<uint32_t>(i));
  return {text(metric->name()), static_cast<MetricKind>(metric->kind()), metric->saturation()};
}

size_t ModelView::scaling_count() const { return length(model_->scalings()); }
ScalingView ModelView::scaling(size_t i) const {
  const schema::Scaling* scaling = model_->scalings()->Get(static_cast<uint32_t>(i));
  return {text(scaling->input()), scaling->samples(), scaling->constant(),
          constant(scaling->constant()).shape[0].extent};
}
size_t ModelView::trained_count() const { return length(model_->trained()); }
TrainedView ModelView::trained(size_t i) const {
  const schema::Trained* trained = model_->trained()->Get(static_cast<uint32_t>(i));
  return {text(trained->network()), trained->constant(), indices(trained->state())};
}

Result<ScalingView> find_scaling(const ModelView& view, const char* input, size_t channel) {
  for (size_t i = 0; i < view.scaling_count(); ++i) {
    const ScalingView found = view.scaling(i);
    if (input == nullptr ? !found.samples : !same_text(found.input, input)) continue;
    if (channel < found.channels) return found;
    return Status::error(StatusCode::kNotFound, "\"%s\" has %zu channels", found.input, found.channels);
  }
  return Status::error(StatusCode::kNotFound, "the model keeps no scaling of %s",
                       input == nullptr ? "its samples" : input);
}

}  // namespace figment::format
