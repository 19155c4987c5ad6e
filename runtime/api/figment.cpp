// The C API: checks of arguments, conversions, and nothing else.
#include "figment/figment.h"

#include <cstddef>
#include <cstring>

#include "session/model.h"
#include "session/session.h"

using figment::Model;
using figment::Result;
using figment::Session;
using figment::Status;
using figment::StatusCode;

namespace {

thread_local Status t_error;

fig_status fail(const Status& status) {
  t_error = status;
  return static_cast<fig_status>(status.code());
}

fig_status invalid(const char* text) { return fail(Status::error(StatusCode::kInvalidArgument, "%s", text)); }

fig_status done(const Status& status) { return status.ok() ? FIG_OK : fail(status); }

fig_status null_argument(const char* function) {
  return fail(Status::error(StatusCode::kInvalidArgument, "%s: an argument is NULL", function));
}

// The handles are the objects under opaque names.
Model* unwrap(fig_model* model) { return reinterpret_cast<Model*>(model); }
const Model* unwrap(const fig_model* model) { return reinterpret_cast<const Model*>(model); }
fig_model* wrap(Model* model) { return reinterpret_cast<fig_model*>(model); }
Session* unwrap(fig_session* session) { return reinterpret_cast<Session*>(session); }
const Session* unwrap(const fig_session* session) { return reinterpret_cast<const Session*>(session); }
fig_session* wrap(Session* session) { return reinterpret_cast<fig_session*>(session); }

// A field of a struct of the caller's.
struct Field {
  size_t offset;
  size_t bytes;
};
#define FIELD(type, name) \
  Field { offsetof(type, name), sizeof(type::name) }

// All fields of the structs, in order.
template <typename T>
struct Fields;
template <>
struct Fields<fig_session_options> {
  using T = fig_session_options;
  static constexpr const char* kName = "fig_session_options";
  static constexpr Field kAll[] = {FIELD(T, struct_size), FIELD(T, program),      FIELD(T, batch), FIELD(T, threads),
                                   FIELD(T, thread_pool), FIELD(T, memory_limit), FIELD(T, seed),  FIELD(T, kernels),
                                   FIELD(T, training),    FIELD(T, part)};
};
template <>
struct Fields<fig_generate_options> {
  using T = fig_generate_options;
  static constexpr const char* kName = "fig_generate_options";
  static constexpr Field kAll[] = {FIELD(T, struct_size), FIELD(T, first_index), FIELD(T, latents),
                                   FIELD(T, latents_out), FIELD(T, inputs),      FIELD(T, input_count)};
};
template <>
struct Fields<fig_batch> {
  using T = fig_batch;
  static constexpr const char* kName = "fig_batch";
  static constexpr Field kAll[] = {FIELD(T, struct_size), FIELD(T, count),   FIELD(T, inputs),
                                   FIELD(T, input_count), FIELD(T, latents), FIELD(T, latent_count)};
};
#undef FIELD

// Whether a field is missing in the list; a small one that fits into padding is not noticed.
template <typename T>
constexpr bool lists_all_fields() {
  size_t end = 0;
  for (const Field& field : Fields<T>::kAll) {
    if (field.offset < end || field.offset - end >= field.bytes) return false;
    end = field.offset + field.bytes;
  }
  return sizeof(T) - end < alignof(T);
}

// Copies a struct of the caller's, of whatever version: fields that it does not have are zero. A size that ends inside
// a field is none of any version.
template <typename T>
Status copy_options(const T* given, T* out) {
  static_assert(lists_all_fields<T>());
  *out = T{};
  if (given == nullptr) return {};
  const size_t size = given->struct_size;
  bool known = size >= sizeof(size_t) && size <= sizeof(T);
  for (const Field& field : Fields<T>::kAll)
    known = known && (size <= field.offset || size >= field.offset + field.bytes);
  if (!known) {
    return Status::error(StatusCode::kInvalidArgument, "%s: struct_size is %zu: set it to sizeof the struct, %zu",
                         Fields<T>::kName, size, sizeof(T));
  }
  std::memcpy(out, given, size);
  return {};
}

fig_shape shape_of(const figment::Shape& shape) {
  fig_shape result{};
  result.rank = static_cast<uint32_t>(shape.rank());
  for (size_t i = 0; i < shape.rank(); ++i) {
    result.extents[i] = shape[i].extent;
    result.per_batch[i] = shape[i].per_batch;
  }
  return result;
}

Result<figment::SessionOptions> session_options(const fig_session_options* given) {
  fig_session_options options;
  FIGMENT_RETURN_IF_ERROR(copy_options(given, &options));
  figment::SessionOptions result;
  result.program = options.program;
  result.batch = options.batch == 0 ? 1 : options.batch;
  result.threads = options.threads == 0 ? 1 : options.threads;
  result.thread_pool = static_cast<pthreadpool*>(options.thread_pool);
  if (options.memory_limit != 0) result.memory_limit = options.memory_limit;
  result.seed = options.seed;
  result.training = options.training;
  result.part = options.part;
  if (options.kernels == FIG_KERNELS_PORTABLE) {
    result.kernels = figment::kernels::KernelSet::kPortable;
  } else if (options.kernels != FIG_KERNELS_BEST) {
    return Status::error(StatusCode::kInvalidArgument, "fig_session_options: unknown kernels %d",
                         static_cast<int>(options.kernels));
  }
  return result;
}

fig_memory_report report_of(const figment::MemoryReport& memory) {
  return {memory.model, memory.packed_weights, memory.operators,        memory.variables,
          memory.arena, memory.total(),        memory.arena_lower_bound};
}

// The program at `index`, or an error.
Result<figment::format::ProgramView> program_at(const fig_model* model, uint32_t index) {
  const figment::format::ModelView& view = unwrap(model)->view();
  if (index < view.program_count()) return view.program(index);
  return Status::error(StatusCode::kNotFound, "no program %u: the model has %zu", index, view.program_count());
}

fig_status port_info(const fig_model* model, uint32_t program, uint32_t index, bool input, fig_port_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_input/output");
  Result<figment::format::ProgramView> view = program_at(model, program);
  if (!view.ok()) return fail(view.status());
  if (index >= (input ? view->input_count() : view->output_count())) {
    return fail(Status::error(StatusCode::kNotFound, "program %s has no port %u", view->name(), index));
  }
  const figment::format::PortView port = input ? view->input(index) : view->output(index);
  *info = {port.name, port.tensor, shape_of(port.shape)};
  return FIG_OK;
}

// NamedTensor and fig_tensor are one struct under two names.
static_assert(sizeof(figment::NamedTensor) == sizeof(fig_tensor));
std::span<const figment::NamedTensor> tensors(const fig_tensor* given, size_t count) {
  return {reinterpret_cast<const figment::NamedTensor*>(given), count};
}

}  // namespace

extern "C" {

const char* fig_version(void) { return FIGMENT_VERSION; }

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
  }
  return "unknown status";
}

const char* fig_error_message(void) { return t_error.message(); }

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

void fig_model_close(fig_model* model) {
  if (model != nullptr) unwrap(model)->release();
}

fig_status fig_model_get_info(const fig_model* model, fig_model_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_get_info");
  const figment::format::ModelView& view = unwrap(model)->view();
  *info = {};
  info->name = view.name();
  info->producer = view.producer();
  info->schema_version = figment::format::kSchemaVersion;
  info->file_bytes = unwrap(model)->file_bytes();
  for (size_t i = 0; i < view.parameter_count(); ++i) {
    if (!view.parameter(i).derived) info->parameter_elements += view.parameter(i).elements();
  }
  info->programs = static_cast<uint32_t>(view.program_count());
  info->constants = static_cast<uint32_t>(view.constant_count());
  info->metadata = static_cast<uint32_t>(view.metadata_count());
  return FIG_OK;
}

fig_status fig_model_metadata(const fig_model* model, uint32_t index, const char** key, const char** value) {
  if (model == nullptr || key == nullptr || value == nullptr) return null_argument("fig_model_metadata");
  const figment::format::ModelView& view = unwrap(model)->view();
  if (index >= view.metadata_count()) return fail(Status::error(StatusCode::kNotFound, "no metadata entry %u", index));
  *key = view.metadata(index).key;
  *value = view.metadata(index).value;
  return FIG_OK;
}

fig_status fig_model_program(const fig_model* model, uint32_t index, fig_program_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_program");
  Result<figment::format::ProgramView> view = program_at(model, index);
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
  const figment::format::ModelView& all = unwrap(model)->view();
  for (size_t i = 0; i < all.schedule_count(); ++i) {
    if (std::strcmp(all.schedule(i).program, info->name) == 0) info->level = all.schedule(i).level;
  }
  return FIG_OK;
}

fig_status fig_model_input(const fig_model* model, uint32_t program, uint32_t index, fig_port_info* info) {
  return port_info(model, program, index, true, info);
}

fig_status fig_model_output(const fig_model* model, uint32_t program, uint32_t index, fig_port_info* info) {
  return port_info(model, program, index, false, info);
}

fig_status fig_model_tensor(const fig_model* model, uint32_t program, uint32_t index, fig_tensor_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_tensor");
  Result<figment::format::ProgramView> view = program_at(model, program);
  if (!view.ok()) return fail(view.status());
  if (index >= view->tensor_count()) {
    return fail(Status::error(StatusCode::kNotFound, "program %s has no tensor %u", view->name(), index));
  }
  const figment::format::TensorView tensor = view->tensor(index);
  const figment::format::Quantization& quantization = tensor.type.quantization;
  *info = {tensor.name,
           static_cast<fig_type>(tensor.type.type),
           tensor.type.constant,
           shape_of(tensor.type.shape),
           quantization.scales.size() == 1 ? quantization.scale() : 0,
           quantization.zero_point};
  return FIG_OK;
}

fig_status fig_model_op(const fig_model* model, uint32_t program, uint32_t index, fig_op_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_op");
  Result<figment::format::ProgramView> view = program_at(model, program);
  if (!view.ok()) return fail(view.status());
  if (index >= view->op_count()) {
    return fail(Status::error(StatusCode::kNotFound, "program %s has no op %u", view->name(), index));
  }
  const figment::format::OpView op = view->op(index);
  *info = {figment::format::name_of(op.kind), op.name, op.inputs.data(), static_cast<uint32_t>(op.inputs.size()),
           op.outputs[0]};
  return FIG_OK;
}

fig_status fig_model_latent(const fig_model* model, fig_latent_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_latent");
  const figment::format::ModelView& view = unwrap(model)->view();
  if (!view.has_latent()) return fail(Status::error(StatusCode::kNotFound, "the model names no latent"));
  const figment::format::LatentView latent = view.latent();
  *info = {latent.program, latent.input, latent.size, static_cast<fig_prior>(latent.prior),
           static_cast<uint32_t>(latent.code_count)};
  return FIG_OK;
}

fig_status fig_model_code(const fig_model* model, uint32_t index, fig_code_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_code");
  const figment::format::ModelView& view = unwrap(model)->view();
  if (!view.has_latent() || index >= view.latent().code_count) {
    return fail(Status::error(StatusCode::kNotFound, "no code %u", index));
  }
  const figment::format::CodeView code = view.latent().code(index);
  *info = {code.name, code.start, code.size, static_cast<fig_prior>(code.prior)};
  return FIG_OK;
}

fig_status fig_model_draw_latent(const fig_model* model, uint64_t seed, uint64_t index, float* latent,
                                 size_t elements) {
  if (model == nullptr || latent == nullptr) return null_argument("fig_model_draw_latent");
  const figment::format::ModelView& view = unwrap(model)->view();
  if (!view.has_latent()) return fail(Status::error(StatusCode::kNotFound, "the model names no latent"));
  const figment::format::LatentView drawn = view.latent();
  if (elements != drawn.size) {
    return fail(Status::error(StatusCode::kInvalidArgument, "a latent has %zu values, not %zu",
                              static_cast<size_t>(drawn.size), elements));
  }
  drawn.draw(seed, index, latent);
  return FIG_OK;
}

fig_status fig_model_generated(const fig_model* model, fig_output_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_generated");
  const figment::format::ModelView& view = unwrap(model)->view();
  if (!view.has_output()) return fail(Status::error(StatusCode::kNotFound, "the model describes no generated output"));
  const figment::format::OutputView output = view.output();
  *info = {output.program,   output.port,      output.kind == figment::format::OutputKind::kImage,
           output.range_min, output.range_max, output.bounded};
  return FIG_OK;
}

fig_status fig_session_create(fig_model* model, const fig_session_options* options, fig_session** session) {
  if (model == nullptr || session == nullptr) return null_argument("fig_session_create");
  Result<figment::SessionOptions> converted = session_options(options);
  if (!converted.ok()) return fail(converted.status());
  Result<Session*> created = Session::create(unwrap(model), *converted);
  if (!created.ok()) return fail(created.status());
  *session = wrap(*created);
  return FIG_OK;
}

void fig_session_destroy(fig_session* session) { Session::destroy(unwrap(session)); }

fig_status fig_session_memory(fig_model* model, const fig_session_options* options, fig_memory_report* report) {
  if (model == nullptr || report == nullptr) return null_argument("fig_session_memory");
  Result<figment::SessionOptions> converted = session_options(options);
  if (!converted.ok()) return fail(converted.status());
  converted->memory_limit = UINT64_MAX;
  Result<figment::MemoryReport> measured = Session::measure(unwrap(model), *converted);
  if (!measured.ok()) return fail(measured.status());
  *report = report_of(*measured);
  return FIG_OK;
}

fig_status fig_session_memory_used(const fig_session* session, fig_memory_report* report) {
  if (session == nullptr || report == nullptr) return null_argument("fig_session_memory_used");
  *report = report_of(unwrap(session)->memory());
  return FIG_OK;
}

fig_status fig_session_placement(const fig_session* session, uint32_t program, uint32_t tensor,
                                 fig_placement* placement) {
  if (session == nullptr || placement == nullptr) return null_argument("fig_session_placement");
  Result<const figment::ProgramInstance*> instance = unwrap(session)->instance(program);
  if (!instance.ok()) return fail(instance.status());
  figment::ProgramInstance::Placement found{};
  if (tensor >= (*instance)->tensor_count() || !(*instance)->placement(tensor, &found)) {
    return fail(Status::error(StatusCode::kNotFound, "tensor %u is a constant or does not exist", tensor));
  }
  *placement = {found.offset, found.bytes, found.first, found.last};
  return FIG_OK;
}

bool fig_session_has_program(const fig_session* session, uint32_t program) {
  return session != nullptr && unwrap(session)->instance(program).ok();
}

fig_status fig_session_kernel(const fig_session* session, uint32_t program, uint32_t op, const char** name) {
  if (session == nullptr || name == nullptr) return null_argument("fig_session_kernel");
  Result<const figment::ProgramInstance*> instance = unwrap(session)->instance(program);
  if (!instance.ok()) return fail(instance.status());
  if (op >= (*instance)->step_count()) return fail(Status::error(StatusCode::kNotFound, "no op %u", op));
  *name = (*instance)->kernel_name(op);
  return FIG_OK;
}

fig_status fig_generate(fig_session* session, size_t count, const fig_generate_options* options, float* out,
                        size_t out_elements) {
  if (session == nullptr || out == nullptr) return null_argument("fig_generate");
  fig_generate_options given;
  if (Status status = copy_options(options, &given); !status.ok()) return fail(status);
  if (given.inputs == nullptr && given.input_count != 0) return null_argument("fig_generate");
  figment::GenerateOptions converted;
  converted.first_index = given.first_index;
  converted.latents = given.latents;
  converted.latents_out = given.latents_out;
  converted.inputs = tensors(given.inputs, given.input_count);
  return done(unwrap(session)->generate(count, converted, {out, out_elements}));
}

fig_status fig_run(fig_session* session, const char* program, size_t count, const fig_tensor* inputs,
                   size_t input_count, const fig_tensor* outputs, size_t output_count) {
  if (session == nullptr || (inputs == nullptr && input_count != 0) || (outputs == nullptr && output_count != 0)) {
    return null_argument("fig_run");
  }
  return done(unwrap(session)->run(program, count, tensors(inputs, input_count), tensors(outputs, output_count)));
}

fig_status fig_train_step(fig_session* session, const fig_batch* batch, fig_metrics* metrics) {
  if (session == nullptr || batch == nullptr || metrics == nullptr) return null_argument("fig_train_step");
  fig_batch given;
  if (Status status = copy_options(batch, &given); !status.ok()) return fail(status);
  if ((given.inputs == nullptr && given.input_count != 0) || (given.latents == nullptr && given.latent_count != 0)) {
    return null_argument("fig_train_step");
  }
  const figment::TrainBatch converted{given.count, tensors(given.inputs, given.input_count),
                                      tensors(given.latents, given.latent_count)};
  figment::TrainMetrics result;
  if (Status status = unwrap(session)->train_step(converted, &result); !status.ok()) return fail(status);
  *metrics = {};
  metrics->step = result.step;
  metrics->skipped = result.skipped;
  metrics->count = static_cast<uint32_t>(result.count);
  static_assert(FIG_MAX_METRICS == figment::TrainMetrics::kMost);
  for (size_t i = 0; i < result.count; ++i) metrics->values[i] = {result.entries[i].name, result.entries[i].value};
  return FIG_OK;
}

uint64_t fig_session_steps(const fig_session* session) { return session == nullptr ? 0 : unwrap(session)->steps(); }

fig_status fig_model_drawn(const fig_model* model, uint32_t index, fig_drawn_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_drawn");
  const figment::format::ModelView& view = unwrap(model)->view();
  size_t left = index;
  for (size_t i = 0; i < view.schedule_count(); ++i) {
    const size_t count = view.schedule(i).latent_count;
    if (left >= count) {
      left -= count;
      continue;
    }
    const figment::format::LatentView drawn = view.schedule_latent(i, left);
    *info = {drawn.program, drawn.input, drawn.size};
    return FIG_OK;
  }
  return fail(Status::error(StatusCode::kNotFound, "nothing number %u is drawn", index));
}

fig_status fig_model_number(const fig_model* model, uint32_t index, const char** name) {
  if (model == nullptr || name == nullptr) return null_argument("fig_model_number");
  const figment::format::ModelView& view = unwrap(model)->view();
  if (index >= view.scalar_count()) return fail(Status::error(StatusCode::kNotFound, "no number %u", index));
  *name = view.scalar(index).name;
  return FIG_OK;
}

fig_status fig_session_get_number(fig_session* session, const char* name, double* value) {
  if (session == nullptr || name == nullptr || value == nullptr) return null_argument("fig_session_get_number");
  Result<float*> found = unwrap(session)->scalar(name);
  if (!found.ok()) return fail(found.status());
  *value = static_cast<double>(**found);
  return FIG_OK;
}

fig_status fig_session_set_number(fig_session* session, const char* name, double value) {
  if (session == nullptr || name == nullptr) return null_argument("fig_session_set_number");
  const auto narrow = static_cast<float>(value);
  if (!(narrow - narrow == 0)) return invalid("fig_session_set_number: the value is not finite");
  Result<float*> found = unwrap(session)->scalar(name);
  if (!found.ok()) return fail(found.status());
  **found = narrow;
  return FIG_OK;
}

fig_status fig_model_parameter(const fig_model* model, uint32_t index, fig_parameter_info* info) {
  if (model == nullptr || info == nullptr) return null_argument("fig_model_parameter");
  const figment::format::ModelView& view = unwrap(model)->view();
  if (index >= view.parameter_count()) return fail(Status::error(StatusCode::kNotFound, "no parameter %u", index));
  const figment::format::ParameterView parameter = view.parameter(index);
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

fig_status fig_parameter_get(const fig_session* session, const char* name, float* values, size_t elements) {
  if (session == nullptr || name == nullptr || values == nullptr) return null_argument("fig_parameter_get");
  return done(unwrap(session)->get_parameter(name, {values, elements}));
}

fig_status fig_parameter_set(fig_session* session, const char* name, const float* values, size_t elements) {
  if (session == nullptr || name == nullptr || values == nullptr) return null_argument("fig_parameter_set");
  return done(unwrap(session)->set_parameter(name, {values, elements}));
}

fig_status fig_checkpoint_save(const fig_session* session, const char* folder, const void* bytes, size_t size) {
  if (session == nullptr || folder == nullptr || (bytes == nullptr && size != 0)) {
    return null_argument("fig_checkpoint_save");
  }
  return done(unwrap(session)->save_checkpoint(folder, {static_cast<const uint8_t*>(bytes), size}));
}

fig_status fig_checkpoint_load(fig_session* session, const char* folder, void* bytes, size_t capacity, size_t* size) {
  if (session == nullptr || folder == nullptr || (bytes == nullptr && capacity != 0)) {
    return null_argument("fig_checkpoint_load");
  }
  size_t loaded = 0;
  const Status status = unwrap(session)->load_checkpoint(folder, {static_cast<uint8_t*>(bytes), capacity}, &loaded);
  if (status.ok() && size != nullptr) *size = loaded;
  return done(status);
}

fig_status fig_session_export(const fig_session* session, const char* path) {
  if (session == nullptr || path == nullptr) return null_argument("fig_session_export");
  return done(unwrap(session)->export_model(path));
}

fig_status fig_encode(fig_session* session, size_t count, const float* samples, size_t sample_elements, float* mean,
                      size_t mean_elements, float* log_variance, size_t log_variance_elements) {
  if (session == nullptr || samples == nullptr || mean == nullptr) return null_argument("fig_encode");
  const std::span<float> outputs[] = {{mean, mean_elements}, {log_variance, log_variance_elements}};
  return done(unwrap(session)->apply("encode", count, {samples, sample_elements}, outputs));
}

fig_status fig_decode(fig_session* session, size_t count, const float* latents, size_t latent_elements, float* samples,
                      size_t sample_elements) {
  if (session == nullptr || latents == nullptr || samples == nullptr) return null_argument("fig_decode");
  figment::GenerateOptions options;
  options.latents = latents;
  options.latent_elements = latent_elements;
  return done(unwrap(session)->generate(count, options, {samples, sample_elements}));
}

fig_status fig_reconstruct(fig_session* session, size_t count, const float* samples, size_t sample_elements,
                           float* reconstructions, size_t reconstruction_elements) {
  if (session == nullptr || samples == nullptr || reconstructions == nullptr) return null_argument("fig_reconstruct");
  return done(
      unwrap(session)->reconstruct(count, {samples, sample_elements}, {reconstructions, reconstruction_elements}));
}

fig_status fig_discriminate(fig_session* session, size_t count, const float* samples, size_t sample_elements,
                            float* scores, size_t score_elements) {
  if (session == nullptr || samples == nullptr || scores == nullptr) return null_argument("fig_discriminate");
  const std::span<float> outputs[] = {{scores, score_elements}};
  return done(unwrap(session)->apply("discriminate", count, {samples, sample_elements}, outputs));
}

}  // extern "C"
