// What the files of the C API share: handles, errors, structs of the caller's.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>

#include "figment/figment.h"
#include "format/scaling.h"
#include "session/model.h"
#include "session/session.h"

namespace figment::api {

static_assert(static_cast<int>(StatusCode::kOk) == FIG_OK);
static_assert(static_cast<int>(StatusCode::kInvalidArgument) == FIG_INVALID_ARGUMENT);
static_assert(static_cast<int>(StatusCode::kBadFile) == FIG_BAD_FILE);
static_assert(static_cast<int>(StatusCode::kUnsupportedVersion) == FIG_UNSUPPORTED_VERSION);
static_assert(static_cast<int>(StatusCode::kUnsupported) == FIG_UNSUPPORTED);
static_assert(static_cast<int>(StatusCode::kOutOfMemory) == FIG_OUT_OF_MEMORY);
static_assert(static_cast<int>(StatusCode::kMemoryLimit) == FIG_MEMORY_LIMIT);
static_assert(static_cast<int>(StatusCode::kIo) == FIG_IO_ERROR);
static_assert(static_cast<int>(StatusCode::kNotFound) == FIG_NOT_FOUND);
static_assert(static_cast<int>(StatusCode::kInternal) == FIG_INTERNAL);

// Keeps the error for fig_error_message and returns its code.
fig_status fail(const Status& status);

inline fig_status done(const Status& status) { return status.ok() ? FIG_OK : fail(status); }
[[gnu::always_inline]] inline fig_status null_argument([[maybe_unused]] const char* function) {
  return fail(Status::error(StatusCode::kInvalidArgument, "%s: an argument is NULL", function));
}

// The handles are the objects under opaque names.
inline Model* unwrap(fig_model* model) { return reinterpret_cast<Model*>(model); }
inline const Model* unwrap(const fig_model* model) { return reinterpret_cast<const Model*>(model); }
inline fig_model* wrap(Model* model) { return reinterpret_cast<fig_model*>(model); }
inline Session* unwrap(fig_session* session) { return reinterpret_cast<Session*>(session); }
inline const Session* unwrap(const fig_session* session) { return reinterpret_cast<const Session*>(session); }
inline fig_session* wrap(Session* session) { return reinterpret_cast<fig_session*>(session); }

// A channel's scaling in both worlds.
static_assert(sizeof(fig_scaling::name) == format::ChannelScaling::kName &&
              sizeof(fig_scaling::unit) == format::ChannelScaling::kUnit);
template <typename To, typename From>
To copy_scaling(const From& from) {
  To result;
  result.offset = from.offset;
  result.scale = from.scale;
  std::memcpy(result.name, from.name, sizeof result.name);
  std::memcpy(result.unit, from.unit, sizeof result.unit);
  return result;
}

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
  static constexpr Field kAll[] = {FIELD(T, struct_size), FIELD(T, program),     FIELD(T, batch),
                                   FIELD(T, threads),     FIELD(T, thread_pool), FIELD(T, memory_limit),
                                   FIELD(T, seed),        FIELD(T, kernels),     FIELD(T, training),
                                   FIELD(T, micro_batch), FIELD(T, length),      FIELD(T, outputs_given)};
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
template <>
struct Fields<fig_flash> {
  using T = fig_flash;
  static constexpr const char* kName = "fig_flash";
  static constexpr Field kAll[] = {FIELD(T, struct_size),   FIELD(T, context), FIELD(T, slot_bytes),
                                   FIELD(T, program_bytes), FIELD(T, read),    FIELD(T, erase),
                                   FIELD(T, program)};
};
template <>
struct Fields<fig_anomaly_vote> {
  using T = fig_anomaly_vote;
  static constexpr const char* kName = "fig_anomaly_vote";
  static constexpr Field kAll[] = {FIELD(T, struct_size), FIELD(T, threshold), FIELD(T, needed), FIELD(T, window),
                                   FIELD(T, history)};
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

inline fig_shape shape_of(const Shape& shape) {
  fig_shape result{};
  result.rank = static_cast<uint32_t>(shape.rank());
  for (size_t i = 0; i < shape.rank(); ++i) {
    result.extents[i] = shape[i].extent;
    result.per_batch[i] = shape[i].per_batch;
  }
  return result;
}

// A port of the model at the view's length.
Status read_port(const format::ModelView& view, uint32_t program, uint32_t index, bool input, fig_port_info* info);

// NamedTensor and fig_tensor are one struct under two names.
static_assert(sizeof(NamedTensor) == sizeof(fig_tensor));
static_assert(offsetof(NamedTensor, name) == offsetof(fig_tensor, name));
static_assert(offsetof(NamedTensor, data) == offsetof(fig_tensor, data));
static_assert(offsetof(NamedTensor, elements) == offsetof(fig_tensor, elements));
static_assert(offsetof(NamedTensor, type) == offsetof(fig_tensor, type) &&
              sizeof(NamedTensor::type) == sizeof(fig_tensor::type));
static_assert(static_cast<int>(ElementType::kI32) == FIG_I32 && static_cast<int>(ElementType::kI64) == FIG_I64);
inline std::span<const NamedTensor> tensors(const fig_tensor* given, size_t count) {
  return {reinterpret_cast<const NamedTensor*>(given), count};
}

}  // namespace figment::api
