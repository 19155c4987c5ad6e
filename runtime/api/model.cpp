// The C API: models, and what all calls share. Checks of arguments, conversions, and nothing else.
#include "api/common.h"
#include "core/text.h"
#include "format/work.h"
#include "platform/threading.h"

using namespace figment;
using namespace figment::api;

namespace {

#if FIGMENT_ERROR_TEXTS
FIGMENT_THREAD_LOCAL Status t_error;
#else
char g_message[kMaxMessage] = "";
#endif

// The program at `index`, or an error.
Result<format::ProgramView> program_at(const fig_model* model, uint32_t index) {
  const format::ModelView& view = unwrap(model)->view();
  if (index < view.program_count()) return view.program(index);
  return Status::error(StatusCode::kNotFound, "no program %u: the model has %zu", index, view.program_count());
}

}  // namespace

Status figment::api::read_port(const format::ModelView& model, uint32_t program, uint32_t index, bool input,
                               fig_port_info* info) {
  if (program >= model.program_count())
    return Status::error(StatusCode::kNotFound, "no program %u: the model has %zu", program, model.program_count());
  const format::ProgramView view = model.program(program);
  if (index >= (input ? view.input_count() : view.output_count()))
    return Status::error(StatusCode::kNotFound, "program %s has no port %u", view.name(), index);
  const format::PortView port = input ? view.input(index) : view.output(index);
  const std::optional<format::LatentView> drawn = input ? model.find_drawn(view.name(), port.name) : std::nullopt;
  *info = {
      port.name,  port.tensor,   shape_of(port.shape), port.integers,
      port.least, port.greatest, drawn.has_value(),    drawn ? static_cast<fig_prior>(drawn->prior) : FIG_PRIOR_NORMAL,
      {}};
  std::copy(port.growth.begin(), port.growth.end(), info->growth);
  return {};
}

fig_status figment::api::fail(const Status& status) {
#if FIGMENT_ERROR_TEXTS
  t_error = status;
#else
  status.describe(g_message);
#endif
  return static_cast<fig_status>(status.code());
}

extern "C" {

const char* fig_version(void) { return FIGMENT_VERSION; }
const char* fig_kernels_name(void) { return figment::kernels::backend_name(); }

const char* fig_status_name(fig_status status) {
  switch (status) {
    case FIG_OK: return "ok";
    case FIG_INVALID_ARGUMENT: return "invalid argument";
    case FIG_BAD_FILE: return "bad file";
    case FIG_UNSUPPORTED_VERSION: return "unsupported version";
    case FIG_UNSUPPORTED: return "unsupported";
    case FIG_OUT_OF_MEMORY: return "out of memory";
    case FIG_MEMORY_LIMIT: return "memory limit";
    case FIG_IO_ERROR: return "i/o error";
    case FIG_NOT_FOUND: return "not found";
    case FIG_INTERNAL: return "internal error";
    case FIG_STATUS_32_BITS: break;
  }
  return "unknown status";
}

#if FIGMENT_ERROR_TEXTS
const char* fig_error_message(void) { return t_error.message(); }
#else
const char* fig_error_message(void) { return g_message; }
#endif

fig_status fig_model_open(const char* path, fig_model** model) {
  if (path == nullptr || model == nullptr) return null_argument("fig_model_open");
  Result<Model*> opened = Model::open_file(path);
  if (!opened.ok()) return fail(opened.status());
  *model = wrap(*opened);
  return FIG_OK;
}

fig_status fig_model_open_memory(const void* data, size_t size, fig_model** model) {
  if (data == nullptr || model == nullptr) return null_argument("fig_model_open_memory");
  Result<Model*> opened = Model::open_memory(data, size);
  if (!opened.ok()) return fail(opened.status());
  *model = wrap(*opened);
  return FIG_OK;
}

size_t fig_model_size(void) { return Model::object_bytes(); }

fig_status fig_model_init(const void* data, size_t size, void* memory, size_t bytes, fig_model** model) {
  if (data == nullptr || memory == nullptr || model == nullptr) return null_argument("fig_model_init");
  Result<Model*> opened = Model::open_in(data, size, memory, bytes);
  if (!opened.ok()) return fail(opened.status());
  *model = wrap(*opened);
  return FIG_OK;
}

void fig_model_close(fig_model* model) {
  if (model != nullptr) unwrap(model)->release();
}

fig_status fig_model_get_info(const fig_model* model, fig_model_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_get_info");
  const format::ModelView& view = unwrap(model)->view();
  *info = {};
  info->name = view.name();
  info->producer = view.producer();
  info->schema_version = format::kSchemaVersion;
  info->file_bytes = unwrap(model)->file_bytes();
  info->parameter_elements = view.parameter_elements();
  info->programs = static_cast<uint32_t>(view.program_count());
  info->constants = static_cast<uint32_t>(view.constant_count());
  info->metadata = static_cast<uint32_t>(view.metadata_count());
  return FIG_OK;
}

fig_status fig_model_metadata(const fig_model* model, uint32_t index, const char** key, const char** value) {
  if (model == nullptr || key == nullptr || value == nullptr) return null_argument("fig_model_metadata");
  const format::ModelView& view = unwrap(model)->view();
  if (index >= view.metadata_count()) return fail(Status::error(StatusCode::kNotFound, "no metadata entry %u", index));
  *key = view.metadata(index).key;
  *value = view.metadata(index).value;
  return FIG_OK;
}

static_assert(static_cast<int>(format::Score::kDistance) == FIG_SCORE_DISTANCE);
static_assert(static_cast<int>(format::Score::kEvidenceLowerBound) == FIG_SCORE_EVIDENCE_LOWER_BOUND);
static_assert(static_cast<int>(format::Likelihood::kBernoulli) == FIG_LIKELIHOOD_BERNOULLI);
static_assert(static_cast<int>(format::Likelihood::kBernoulliLogits) == FIG_LIKELIHOOD_BERNOULLI_LOGITS);
static_assert(static_cast<int>(format::Likelihood::kGaussian) == FIG_LIKELIHOOD_GAUSSIAN);
static_assert(static_cast<int>(format::MetricKind::kTerm) == FIG_METRIC_TERM);
static_assert(static_cast<int>(format::MetricKind::kDiagnostic) == FIG_METRIC_DIAGNOSTIC);

fig_status fig_model_objective(const fig_model* model, fig_objective_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_objective");
  const format::ModelView& view = unwrap(model)->view();
  if (!view.has_objective()) return fail(Status::error(StatusCode::kNotFound, "the model has no objective"));
  const format::ObjectiveView objective = view.objective();
  *info = {objective.name,
           objective.loss,
           static_cast<fig_score>(objective.score),
           static_cast<fig_likelihood>(objective.likelihood),
           objective.divergence_weight,
           static_cast<uint32_t>(objective.metric_count)};
  return FIG_OK;
}

fig_status fig_model_metric(const fig_model* model, uint32_t index, fig_metric_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_metric");
  const format::ModelView& view = unwrap(model)->view();
  if (!view.has_objective() || index >= view.objective().metric_count)
    return fail(Status::error(StatusCode::kNotFound, "no metric %u", index));
  const format::MetricView metric = view.metric(index);
  *info = {metric.name, static_cast<fig_metric_kind>(metric.kind), metric.saturation};
  return FIG_OK;
}

fig_status fig_model_program(const fig_model* model, uint32_t index, fig_program_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_program");
  Result<format::ProgramView> view = program_at(model, index);
  if (!view.ok()) return fail(view.status());
  *info = {view->name(),
           static_cast<uint32_t>(view->input_count()),
           static_cast<uint32_t>(view->output_count()),
           static_cast<uint32_t>(view->tensor_count()),
           static_cast<uint32_t>(view->op_count()),
           view->fully_int8(),
           view->updates(),
           0,
           view->couples_batch()};
  const format::ModelView& all = unwrap(model)->view();
  for (size_t i = 0; i < all.schedule_count(); ++i) {
    if (same_text(all.schedule(i).program, info->name)) info->level = all.schedule(i).level;
  }
  return FIG_OK;
}

fig_status fig_model_input(const fig_model* model, uint32_t program, uint32_t index, fig_port_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_input");
  return done(read_port(unwrap(model)->view(), program, index, true, info));
}

fig_status fig_model_output(const fig_model* model, uint32_t program, uint32_t index, fig_port_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_output");
  return done(read_port(unwrap(model)->view(), program, index, false, info));
}

fig_status fig_model_length(const fig_model* model, fig_length_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_length");
  const format::ModelView& view = unwrap(model)->view();
  if (!view.has_open_length()) return fail(Status::error(StatusCode::kNotFound, "the model has no length to choose"));
  const format::LengthView length = view.open_length();
  *info = {length.name, length.length, length.least, length.unit, length.greatest};
  return FIG_OK;
}

fig_status fig_model_tensor(const fig_model* model, uint32_t program, uint32_t index, fig_tensor_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_tensor");
  Result<format::ProgramView> view = program_at(model, program);
  if (!view.ok()) return fail(view.status());
  if (index >= view->tensor_count()) {
    return fail(Status::error(StatusCode::kNotFound, "program %s has no tensor %u", view->name(), index));
  }
  const format::TensorView tensor = view->tensor(index);
  const format::Quantization& quantization = tensor.type.quantization;
  *info = {tensor.name,
           static_cast<fig_type>(tensor.type.type),
           tensor.type.constant,
           shape_of(tensor.type.shape),
           quantization.scales.size() == 1 ? quantization.scale() : 0,
           quantization.zero_point,
           false,
           {},
           {}};
  Permutation permutation;
  info->exporters = view->is_exporters(index, &permutation);
  std::copy(permutation.begin(), permutation.end(), info->permutation);
  const Dimensions<uint32_t> growth = view->tensor_growth(index);
  std::copy(growth.begin(), growth.end(), info->growth);
  return FIG_OK;
}

fig_status fig_model_op(const fig_model* model, uint32_t program, uint32_t index, fig_op_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_op");
  Result<format::ProgramView> view = program_at(model, program);
  if (!view.ok()) return fail(view.status());
  if (index >= view->op_count()) {
    return fail(Status::error(StatusCode::kNotFound, "program %s has no op %u", view->name(), index));
  }
  const format::OpView op = view->op(index);
  *info = {format::name_of(op.kind),
           op.name,
           op.inputs.data(),
           static_cast<uint32_t>(op.inputs.size()),
           op.outputs[0],
           format::multiply_adds(*view, index)};
  return FIG_OK;
}

fig_status fig_model_latent(const fig_model* model, fig_latent_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_latent");
  const format::ModelView& view = unwrap(model)->view();
  if (!view.has_latent()) return fail(Status::error(StatusCode::kNotFound, "the model names no latent"));
  const format::LatentView latent = view.latent();
  *info = {latent.program, latent.input, latent.size, static_cast<fig_prior>(latent.prior),
           static_cast<uint32_t>(latent.code_count)};
  return FIG_OK;
}

fig_status fig_model_code(const fig_model* model, uint32_t index, fig_code_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_code");
  const format::ModelView& view = unwrap(model)->view();
  if (!view.has_latent() || index >= view.latent().code_count) {
    return fail(Status::error(StatusCode::kNotFound, "no code %u", index));
  }
  const format::CodeView code = view.latent().code(index);
  *info = {code.name, code.start, code.size, static_cast<fig_prior>(code.prior)};
  return FIG_OK;
}

fig_status fig_model_draw_latent(const fig_model* model, uint64_t seed, uint64_t index, float* latent,
                                 size_t elements) {
  if (model == nullptr || latent == nullptr) return null_argument("fig_model_draw_latent");
  const format::ModelView& view = unwrap(model)->view();
  if (!view.has_latent()) return fail(Status::error(StatusCode::kNotFound, "the model names no latent"));
  format::LatentView drawn = view.latent();
  // At another length it is so many units of growth larger or smaller.
  if (drawn.growth != 0 && elements != 0 && elements % drawn.growth == drawn.size % drawn.growth) drawn.size = elements;
  if (elements != drawn.size) {
    return fail(Status::error(StatusCode::kInvalidArgument, "a latent has %zu values, not %zu", drawn.size, elements));
  }
  drawn.draw(seed, index, latent);
  return FIG_OK;
}

fig_status fig_model_generated(const fig_model* model, fig_output_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_generated");
  const format::ModelView& view = unwrap(model)->view();
  if (!view.has_output()) return fail(Status::error(StatusCode::kNotFound, "the model describes no generated output"));
  const format::OutputView output = view.output();
  *info = {output.program,   output.port,      output.kind == format::OutputKind::kImage,
           output.range_min, output.range_max, output.bounded};
  return FIG_OK;
}

fig_status fig_model_drawn(const fig_model* model, uint32_t index, fig_drawn_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_drawn");
  const format::ModelView& view = unwrap(model)->view();
  size_t left = index;
  for (size_t i = 0; i < view.schedule_count(); ++i) {
    const size_t count = view.schedule(i).latent_count;
    if (left >= count) {
      left -= count;
      continue;
    }
    const format::LatentView drawn = view.schedule_latent(i, left);
    *info = {drawn.program, drawn.input, drawn.size};
    return FIG_OK;
  }
  return fail(Status::error(StatusCode::kNotFound, "there is no drawn input %u", index));
}

fig_status fig_model_scaling(const fig_model* model, const char* input, uint32_t channel, fig_scaling* scaling) {
  if (model == nullptr || scaling == nullptr) return null_argument("fig_model_scaling");
  const format::ModelView& view = unwrap(model)->view();
  const Result<format::ScalingView> found = format::find_scaling(view, input, channel);
  if (!found.ok()) return fail(found.status());
  const auto* values = static_cast<const float*>(view.constant_data(found->constant));
  *scaling = copy_scaling<fig_scaling>(format::read_scaling(values + channel * format::ChannelScaling::kValues));
  return FIG_OK;
}

fig_status fig_model_batch_input(const fig_model* model, uint32_t index, fig_port_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_batch_input");
  const format::ModelView& view = unwrap(model)->view();
  const std::optional<format::BatchInput> input = view.batch_input(index);
  if (!input) return fail(Status::error(StatusCode::kNotFound, "a batch has no input %u", index));
  return done(read_port(view, static_cast<uint32_t>(input->program), static_cast<uint32_t>(input->port), true, info));
}

fig_status fig_model_scalar(const fig_model* model, uint32_t index, const char** name) {
  if (model == nullptr || name == nullptr) return null_argument("fig_model_scalar");
  const format::ModelView& view = unwrap(model)->view();
  if (index >= view.scalar_count()) return fail(Status::error(StatusCode::kNotFound, "no scalar %u", index));
  *name = view.scalar(index).name;
  return FIG_OK;
}

fig_status fig_model_parameter(const fig_model* model, uint32_t index, fig_parameter_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_parameter");
  const format::ModelView& view = unwrap(model)->view();
  if (index >= view.parameter_count()) return fail(Status::error(StatusCode::kNotFound, "no parameter %u", index));
  const format::ParameterView parameter = view.parameter(index);
  *info = {};
  info->name = parameter.name;
  info->derived = parameter.derived;
  info->shape.rank = static_cast<uint32_t>(parameter.shape.rank());
  for (size_t i = 0; i < parameter.shape.rank(); ++i) info->shape.extents[i] = parameter.shape[i];
  for (size_t i = 0; i < view.trained_count(); ++i) {
    info->trained = info->trained || view.trained(i).constant == parameter.constant;
  }
  return FIG_OK;
}

}  // extern "C"
