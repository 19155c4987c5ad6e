// The C API: sessions and inference.
#include "api/common.h"

using namespace figment;
using namespace figment::api;

namespace {

Result<SessionOptions> session_options(const fig_session_options* given) {
  fig_session_options options;
  FIGMENT_RETURN_IF_ERROR(copy_options(given, &options));
  SessionOptions result;
  result.programs = options.program;
  result.batch = options.batch == 0 ? 1 : options.batch;
  result.threads = options.threads == 0 ? 1 : options.threads;
  result.thread_pool = static_cast<pthreadpool*>(options.thread_pool);
  if (options.memory_limit != 0) result.memory_limit = options.memory_limit;
  result.seed = options.seed;
  result.training = options.training;
  result.micro_batch = options.micro_batch;
  result.length = options.length;
  result.outputs_given = options.outputs_given;
  if (options.kernels == FIG_KERNELS_PORTABLE) {
    result.kernels = kernels::KernelSet::kPortable;
  } else if (options.kernels != FIG_KERNELS_BEST) {
    return Status::error(StatusCode::kInvalidArgument, "fig_session_options: unknown kernels %d",
                         static_cast<int>(options.kernels));
  }
  return result;
}

fig_memory_report report_of(const MemoryReport& memory) {
  fig_memory_report report;
  report.model = memory.model;
  report.packed_weights = memory.packed_weights;
  report.programs = memory.programs;
  report.operators = memory.operators;
  report.variables = memory.variables;
  report.arena = memory.arena;
  report.total = memory.total();
  report.peak = memory.peak();
  report.arena_lower_bound = memory.arena_lower_bound;
  return report;
}

// A program that the session prepared.
Status find_prepared(const fig_session* session, uint32_t program, const Program** found) {
  *found = unwrap(session)->program(program);
  if (*found != nullptr) return {};
  return Status::error(StatusCode::kNotFound, "the session was created for another program");
}

Status find_op(const fig_session* session, uint32_t program, uint32_t op, const Program** found) {
  FIGMENT_RETURN_IF_ERROR(find_prepared(session, program, found));
  if (op < (*found)->op_count()) return {};
  return Status::error(StatusCode::kNotFound, "no op %u", static_cast<unsigned>(op));
}

}  // namespace

extern "C" {

fig_status fig_session_input(const fig_session* session, uint32_t program, uint32_t index, fig_port_info* info) {
  if (session == nullptr || info == nullptr) return null_argument("fig_session_input");
  return done(read_port(unwrap(session)->view(), program, index, true, info));
}

fig_status fig_session_output(const fig_session* session, uint32_t program, uint32_t index, fig_port_info* info) {
  if (session == nullptr || info == nullptr) return null_argument("fig_session_output");
  return done(read_port(unwrap(session)->view(), program, index, false, info));
}

fig_status fig_session_observe(fig_session* session, fig_observer observer, void* context) {
  if (session == nullptr) return null_argument("fig_session_observe");
  unwrap(session)->observe({observer, context});
  return FIG_OK;
}

fig_status fig_session_create(fig_model* model, const fig_session_options* options, fig_session** session) {
  if (model == nullptr || session == nullptr) return null_argument("fig_session_create");
  Result<SessionOptions> converted = session_options(options);
  if (!converted.ok()) return fail(converted.status());
  Result<Session*> created = Session::create(unwrap(model), *converted);
  if (!created.ok()) return fail(created.status());
  *session = wrap(*created);
  return FIG_OK;
}

fig_status fig_session_size(fig_model* model, const fig_session_options* options, size_t* bytes) {
  if (model == nullptr || bytes == nullptr) return null_argument("fig_session_size");
  Result<SessionOptions> converted = session_options(options);
  if (!converted.ok()) return fail(converted.status());
  Result<MemoryReport> measured = Session::measure(unwrap(model), *converted);
  if (!measured.ok()) return fail(measured.status());
  *bytes = static_cast<size_t>(measured->block());
  return FIG_OK;
}

fig_status fig_session_init(fig_model* model, const fig_session_options* options, void* memory, size_t bytes,
                            fig_session** session) {
  if (model == nullptr || memory == nullptr || session == nullptr) return null_argument("fig_session_init");
  Result<SessionOptions> converted = session_options(options);
  if (!converted.ok()) return fail(converted.status());
  Result<Session*> placed = Session::place(unwrap(model), *converted, memory, bytes);
  if (!placed.ok()) return fail(placed.status());
  *session = wrap(*placed);
  return FIG_OK;
}

fig_status fig_model_pack_size(fig_model* model, const fig_session_options* options, size_t* bytes) {
  if (model == nullptr || bytes == nullptr) return null_argument("fig_model_pack_size");
  Result<SessionOptions> converted = session_options(options);
  if (!converted.ok()) return fail(converted.status());
  Result<size_t> needed = Session::pack_size(unwrap(model), *converted);
  if (!needed.ok()) return fail(needed.status());
  *bytes = *needed;
  return FIG_OK;
}

fig_status fig_model_pack(fig_model* model, const fig_session_options* options, void* memory, size_t bytes) {
  if (model == nullptr || (memory == nullptr && bytes != 0)) return null_argument("fig_model_pack");
  Result<SessionOptions> converted = session_options(options);
  if (!converted.ok()) return fail(converted.status());
  return done(Session::pack(unwrap(model), *converted, memory, bytes));
}

void fig_session_destroy(fig_session* session) { Session::destroy(unwrap(session)); }

fig_status fig_session_footprint(fig_model* model, const fig_session_options* options, fig_footprint* footprint) {
  if (model == nullptr || footprint == nullptr) return null_argument("fig_session_footprint");
  Result<SessionOptions> converted = session_options(options);
  if (!converted.ok()) return fail(converted.status());
  Strategy strategy;
  const Result<MemoryReport> report = Session::measure_small(unwrap(model), *converted, &strategy);
  if (!report.ok()) return fail(report.status());
  *footprint = {
      unwrap(model)->file_bytes(), report->model, report->block(), report->programs,
      report->variables,           report->arena, strategy.level,  static_cast<uint32_t>(strategy.micro_batch)};
  return FIG_OK;
}

fig_status fig_session_memory(fig_model* model, const fig_session_options* options, fig_memory_report* report) {
  if (model == nullptr || report == nullptr) return null_argument("fig_session_memory");
  Result<SessionOptions> converted = session_options(options);
  if (!converted.ok()) return fail(converted.status());
  converted->memory_limit = UINT64_MAX;
  Result<MemoryReport> measured = Session::measure(unwrap(model), *converted);
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
  const Program* found = nullptr;
  if (Status status = find_prepared(session, program, &found); !status.ok()) return fail(status);
  Program::Placement place{};
  if (tensor >= found->view().tensor_count() || !found->placement(tensor, &place)) {
    return fail(Status::error(StatusCode::kNotFound, "tensor %u is a constant or does not exist",
                              static_cast<unsigned>(tensor)));
  }
  *placement = {place.offset, place.bytes, place.first, place.last};
  return FIG_OK;
}

fig_status fig_session_scratch(const fig_session* session, uint32_t program, uint32_t op, fig_placement* placement) {
  if (session == nullptr || placement == nullptr) return null_argument("fig_session_scratch");
  const Program* found = nullptr;
  if (Status status = find_op(session, program, op, &found); !status.ok()) return fail(status);
  Program::Placement place{};
  if (!found->scratch_placement(op, &place)) {
    return fail(Status::error(StatusCode::kNotFound, "op %u needs no scratch", static_cast<unsigned>(op)));
  }
  *placement = {place.offset, place.bytes, place.first, place.last};
  return FIG_OK;
}

fig_status fig_session_arena(const fig_session* session, uint32_t program, uint64_t* bytes) {
  if (session == nullptr || bytes == nullptr) return null_argument("fig_session_arena");
  const Program* found = nullptr;
  if (Status status = find_prepared(session, program, &found); !status.ok()) return fail(status);
  *bytes = found->arena_bytes();
  return FIG_OK;
}

bool fig_session_has_program(const fig_session* session, uint32_t program) {
  return session != nullptr && unwrap(session)->program(program) != nullptr;
}

fig_status fig_session_kernel(const fig_session* session, uint32_t program, uint32_t op, const char** name) {
  if (session == nullptr || name == nullptr) return null_argument("fig_session_kernel");
  const Program* found = nullptr;
  if (Status status = find_op(session, program, op, &found); !status.ok()) return fail(status);
  *name = found->kernel_name(op);
  return FIG_OK;
}

fig_status fig_generate(fig_session* session, size_t count, const fig_generate_options* options, float* out,
                        size_t out_elements) {
  if (session == nullptr || out == nullptr) return null_argument("fig_generate");
  fig_generate_options given;
  if (Status status = copy_options(options, &given); !status.ok()) return fail(status);
  if (given.inputs == nullptr && given.input_count != 0) return null_argument("fig_generate");
  GenerateOptions converted;
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

fig_status fig_encode(fig_session* session, size_t count, const float* samples, size_t sample_elements, float* mean,
                      size_t mean_elements, float* log_variance, size_t log_variance_elements) {
  if (session == nullptr || samples == nullptr || mean == nullptr) return null_argument("fig_encode");
  const std::span<float> outputs[] = {{mean, mean_elements}, {log_variance, log_variance_elements}};
  return done(unwrap(session)->apply("encode", count, {samples, sample_elements}, outputs));
}

fig_status fig_decode(fig_session* session, size_t count, const float* latents, size_t latent_elements, float* samples,
                      size_t sample_elements) {
  if (session == nullptr || latents == nullptr || samples == nullptr) return null_argument("fig_decode");
  GenerateOptions options;
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
