#include "format/model_view.h"

#include "model_generated.h"

namespace figment::format {

namespace {

const char* text(const flatbuffers::String* string) { return string == nullptr ? "" : string->c_str(); }

template <typename T>
size_t length(const T* vector) {
  return vector == nullptr ? 0 : vector->size();
}

template <typename T>
Dimensions<uint32_t> list(const flatbuffers::Vector<T>* vector) {
  Dimensions<uint32_t> result;
  for (size_t i = 0; i < length(vector); ++i) result.push_back(vector->Get(static_cast<uint32_t>(i)));
  return result;
}

template <size_t kCount>
void copy_list(const flatbuffers::Vector<uint32_t>* vector, std::array<uint32_t, kCount>* out) {
  for (size_t i = 0; i < length(vector) && i < kCount; ++i) (*out)[i] = vector->Get(static_cast<uint32_t>(i));
}

Shape shape_of(const flatbuffers::Vector<const schema::Dimension*>* vector) {
  Shape shape;
  for (size_t i = 0; i < length(vector); ++i) {
    const schema::Dimension* dimension = vector->Get(static_cast<uint32_t>(i));
    shape.push_back({dimension->extent(), dimension->per_batch()});
  }
  return shape;
}

Quantization quantization_of(const schema::Quantization* quantization) {
  Quantization result;
  if (quantization != nullptr && quantization->scales() != nullptr) {
    result.scales = {quantization->scales()->data(), quantization->scales()->size()};
    result.zero_point = quantization->zero_point();
  }
  return result;
}

PortView port_of(const schema::Port* port) {
  return {text(port->name()), port->tensor(), shape_of(port->shape()), list(port->permutation())};
}

std::span<const uint32_t> indices(const flatbuffers::Vector<uint32_t>* vector) {
  if (vector == nullptr) return {};
  return {vector->data(), vector->size()};
}

Attributes attributes_of(const schema::Op* op) {
  Attributes result;
  result.clamp_min = op->clamp_min();
  result.clamp_max = op->clamp_max();
  if (const auto* window = op->attributes_as_WindowAttributes()) {
    copy_list(window->kernel(), &result.window.kernel);
    copy_list(window->stride(), &result.window.stride);
    copy_list(window->dilation(), &result.window.dilation);
    copy_list(window->padding(), &result.window.padding);
    copy_list(window->output_padding(), &result.window.output_padding);
    result.window.groups = window->groups();
    result.window.count_padding = window->count_padding();
  } else if (const auto* axes = op->attributes_as_AxesAttributes()) {
    result.axes = list(axes->axes());
  } else if (const auto* transpose = op->attributes_as_TransposeAttributes()) {
    result.permutation = list(transpose->permutation());
  } else if (const auto* slice = op->attributes_as_SliceAttributes()) {
    result.starts = list(slice->starts());
    result.steps = list(slice->steps());
  } else if (const auto* pad = op->attributes_as_PadAttributes()) {
    result.before = list(pad->before());
    result.after = list(pad->after());
    result.pad_mode = static_cast<PadMode>(pad->mode());
    result.pad_value = pad->value();
  } else if (const auto* alpha = op->attributes_as_AlphaAttributes()) {
    result.alpha = alpha->alpha();
  } else if (const auto* matmul = op->attributes_as_MatmulAttributes()) {
    result.transpose_a = matmul->transpose_a();
    result.transpose_b = matmul->transpose_b();
  } else if (const auto* function = op->attributes_as_FunctionAttributes()) {
    result.function = static_cast<OpKind>(function->function());
    result.alpha = function->alpha();
  } else if (const auto* recurrent = op->attributes_as_RecurrentAttributes()) {
    result.linear_before_reset = recurrent->linear_before_reset();
    result.recurrent_gradient = static_cast<RecurrentGradient>(recurrent->gradient());
  }
  return result;
}

Shape constant_shape(const schema::Constant* constant) {
  Shape shape;
  for (uint32_t extent : list(constant->shape())) shape.push_back({extent, false});
  return shape;
}

}  // namespace

LatentView::LatentView(const schema::Latent* latent)
    : program(text(latent->program())),
      input(text(latent->input())),
      size(latent->size()),
      prior(static_cast<Prior>(latent->prior())),
      rate(latent->rate()),
      stream(latent->stream()),
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
PortView ProgramView::input(size_t i) const { return port_of(program_->inputs()->Get(static_cast<uint32_t>(i))); }
size_t ProgramView::output_count() const { return length(program_->outputs()); }
PortView ProgramView::output(size_t i) const { return port_of(program_->outputs()->Get(static_cast<uint32_t>(i))); }
size_t ProgramView::tensor_count() const { return length(program_->tensors()); }
size_t ProgramView::op_count() const { return length(program_->ops()); }
bool ProgramView::fully_int8() const { return program_->fully_int8(); }
bool ProgramView::couples_batch() const { return program_->couples_batch(); }

bool ProgramView::updates() const {
  for (size_t i = 0; i < op_count(); ++i) {
    if (is_update(static_cast<OpKind>(program_->ops()->Get(static_cast<uint32_t>(i))->kind()))) return true;
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
    view.type = {static_cast<DataType>(tensor->type()), shape_of(tensor->shape()),
                 quantization_of(tensor->quantization()), false, false};
  }
  return view;
}

OpView ProgramView::op(size_t i) const {
  const schema::Op* op = program_->ops()->Get(static_cast<uint32_t>(i));
  return {static_cast<OpKind>(op->kind()), text(op->name()), attributes_of(op), indices(op->inputs()),
          indices(op->outputs())};
}

PlanView ProgramView::plan() const {
  const schema::Plan* plan = program_->plan();
  if (plan == nullptr || plan->offsets() == nullptr) return {};
  return {plan->batch(), text(plan->kernels()), plan->arena_size(), {plan->offsets()->data(), plan->offsets()->size()}};
}

const char* ModelView::name() const { return text(model_->name()); }
const char* ModelView::producer() const { return text(model_->producer()); }
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
          constant->blob() == nullptr ? nullptr : blobs_ + constant->blob()->offset(),
          static_cast<size_t>(element_count(shape, 1).value()) * element_size(type),
          constant->variable(),
          constant->transient()};
}

size_t ModelView::parameter_count() const { return length(model_->parameters()); }
ParameterView ModelView::parameter(size_t i) const {
  const schema::Parameter* parameter = model_->parameters()->Get(static_cast<uint32_t>(i));
  return {text(parameter->name()),        parameter->constant(), list(parameter->shape()), list(parameter->split()),
          list(parameter->permutation()), parameter->folded(),   parameter->offset(),      parameter->derived()};
}

size_t ModelView::program_count() const { return length(model_->programs()); }
ProgramView ModelView::program(size_t i) const { return {model_, model_->programs()->Get(static_cast<uint32_t>(i))}; }

bool ModelView::has_latent() const { return model_->latent() != nullptr; }
LatentView ModelView::latent() const { return LatentView(model_->latent()); }

bool ModelView::has_output() const { return model_->output() != nullptr; }
OutputView ModelView::output() const {
  const schema::Output* output = model_->output();
  return {text(output->program()), text(output->port()), static_cast<OutputKind>(output->kind()),
          output->range_min(),     output->range_max(),  output->bounded()};
}

size_t ModelView::schedule_count() const { return length(model_->schedule()); }
ScheduleView ModelView::schedule(size_t i) const {
  const schema::ScheduleEntry* entry = model_->schedule()->Get(static_cast<uint32_t>(i));
  return {text(entry->program()),   entry->period(), entry->phase(),
          length(entry->latents()), entry->level(),  entry->part()};
}
LatentView ModelView::schedule_latent(size_t i, size_t latent) const {
  return LatentView(model_->schedule()->Get(static_cast<uint32_t>(i))->latents()->Get(static_cast<uint32_t>(latent)));
}

size_t ModelView::scalar_count() const { return length(model_->scalars()); }
ScalarView ModelView::scalar(size_t i) const {
  const schema::Scalar* scalar = model_->scalars()->Get(static_cast<uint32_t>(i));
  return {text(scalar->name()), scalar->constant(), scalar->index()};
}

int32_t ModelView::part_weight() const { return model_->part_weight(); }

size_t ModelView::trained_count() const { return length(model_->trained()); }
TrainedView ModelView::trained(size_t i) const {
  const schema::Trained* trained = model_->trained()->Get(static_cast<uint32_t>(i));
  return {text(trained->network()), trained->constant(), indices(trained->state())};
}

}  // namespace figment::format
