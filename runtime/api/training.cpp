// The C API: training. A program that calls none of it is linked without.
#include <cstring>

#include "api/common.h"
#include "platform/file.h"
#include "training/adapter.h"
#include "training/checkpoint.h"
#include "training/export.h"
#include "training/parameters.h"
#include "training/requantize.h"
#include "training/trainer.h"

using namespace figment;
using namespace figment::api;

namespace {

fig_status load(fig_session* session, platform::Storage* storage, void* bytes, size_t capacity, size_t* size) {
  size_t loaded = 0;
  const Status status = load_checkpoint(unwrap(session), storage, {static_cast<uint8_t*>(bytes), capacity}, &loaded);
  if (size != nullptr) *size = loaded;
  return done(status);
}

Status read_driver(const fig_flash* given, platform::FlashDriver* driver) {
  fig_flash flash;
  FIGMENT_RETURN_IF_ERROR(copy_options(given, &flash));
  if (flash.read == nullptr || flash.erase == nullptr || flash.program == nullptr) {
    return Status::plain(StatusCode::kInvalidArgument, "fig_flash: a function of the driver is NULL");
  }
  const size_t unit = flash.program_bytes == 0 ? 1 : flash.program_bytes;
  if ((unit & (unit - 1)) != 0 || unit > platform::FlashStorage::kMaxUnit) {
    return Status::error(StatusCode::kInvalidArgument,
                         "fig_flash: program_bytes must be a power of two up to 256, is %zu", unit);
  }
  *driver = {flash.read, flash.erase, flash.program, flash.context, flash.slot_bytes, unit};
  return {};
}

}  // namespace

extern "C" {

fig_status fig_train_step(fig_session* session, const fig_batch* batch, fig_metrics* metrics) {
  if (session == nullptr || batch == nullptr || metrics == nullptr) return null_argument("fig_train_step");
  fig_batch given;
  if (Status status = copy_options(batch, &given); !status.ok()) return fail(status);
  if ((given.inputs == nullptr && given.input_count != 0) || (given.latents == nullptr && given.latent_count != 0)) {
    return null_argument("fig_train_step");
  }
  const TrainBatch converted{given.count, tensors(given.inputs, given.input_count),
                             tensors(given.latents, given.latent_count)};
  TrainMetrics result;
  if (Status status = Trainer(unwrap(session)).step(converted, &result); !status.ok()) return fail(status);
  *metrics = {};
  metrics->step = result.step;
  metrics->skipped = result.skipped;
  metrics->count = static_cast<uint32_t>(result.count);
  static_assert(FIG_MAX_METRICS == TrainMetrics::kMax);
  for (size_t i = 0; i < result.count; ++i) metrics->values[i] = {result.entries[i].name, result.entries[i].value};
  return FIG_OK;
}

uint64_t fig_session_steps(const fig_session* session) { return session == nullptr ? 0 : unwrap(session)->steps(); }

fig_status fig_session_get_scalar(fig_session* session, const char* name, double* value) {
  if (session == nullptr || name == nullptr || value == nullptr) return null_argument("fig_session_get_scalar");
  Result<float*> found = find_scalar(unwrap(session), name);
  if (!found.ok()) return fail(found.status());
  *value = static_cast<double>(**found);
  return FIG_OK;
}

fig_status fig_session_set_scalar(fig_session* session, const char* name, double value) {
  if (session == nullptr || name == nullptr) return null_argument("fig_session_set_scalar");
  const auto narrow = static_cast<float>(value);
  if (!(narrow - narrow == 0)) {
    return fail(Status::error(StatusCode::kInvalidArgument, "fig_session_set_scalar: the value is not finite"));
  }
  Result<float*> found = find_scalar(unwrap(session), name);
  if (!found.ok()) return fail(found.status());
  **found = narrow;
  return FIG_OK;
}

fig_status fig_session_get_scaling(const fig_session* session, const char* input, uint32_t channel,
                                   fig_scaling* scaling) {
  if (session == nullptr || scaling == nullptr) return null_argument("fig_session_get_scaling");
  const Result<float*> found = scaling_values(*unwrap(session), input, channel);
  if (!found.ok()) return fail(found.status());
  *scaling = copy_scaling<fig_scaling>(format::read_scaling(*found));
  return FIG_OK;
}

fig_status fig_session_set_scaling(fig_session* session, const char* input, uint32_t channel,
                                   const fig_scaling* scaling) {
  if (session == nullptr || scaling == nullptr) return null_argument("fig_session_set_scaling");
  const Result<float*> found = scaling_values(*unwrap(session), input, channel);
  if (!found.ok()) return fail(found.status());
  if (!(scaling->offset - scaling->offset == 0) || !(scaling->scale - scaling->scale == 0))
    return fail(Status::error(StatusCode::kInvalidArgument, "fig_session_set_scaling: a number is not finite"));
  format::write_scaling(copy_scaling<format::ChannelScaling>(*scaling), *found);
  return FIG_OK;
}

fig_status fig_parameter_get(const fig_session* session, const char* name, float* values, size_t elements) {
  if (session == nullptr || name == nullptr || values == nullptr) return null_argument("fig_parameter_get");
  return done(get_parameter(*unwrap(session), name, {values, elements}));
}

fig_status fig_parameter_set(fig_session* session, const char* name, const float* values, size_t elements) {
  if (session == nullptr || name == nullptr || values == nullptr) return null_argument("fig_parameter_set");
  return done(set_parameter(unwrap(session), name, {values, elements}));
}

fig_status fig_checkpoint_save(const fig_session* session, const char* folder, const void* bytes, size_t size) {
  if (session == nullptr || folder == nullptr || (bytes == nullptr && size != 0)) {
    return null_argument("fig_checkpoint_save");
  }
  platform::FolderStorage storage(folder);
  return done(save_checkpoint(*unwrap(session), &storage, {static_cast<const uint8_t*>(bytes), size}));
}

fig_status fig_checkpoint_load(fig_session* session, const char* folder, void* bytes, size_t capacity, size_t* size) {
  if (session == nullptr || folder == nullptr || (bytes == nullptr && capacity != 0)) {
    return null_argument("fig_checkpoint_load");
  }
  platform::FolderStorage storage(folder);
  return load(session, &storage, bytes, capacity, size);
}

fig_status fig_checkpoint_size(const fig_session* session, size_t size, size_t* bytes) {
  if (session == nullptr || bytes == nullptr) return null_argument("fig_checkpoint_size");
  const Result<uint64_t> found = checkpoint_size(*unwrap(session), size);
  if (!found.ok()) return fail(found.status());
  *bytes = static_cast<size_t>(*found);
  return FIG_OK;
}

fig_status fig_checkpoint_save_flash(const fig_session* session, const fig_flash* flash, const void* bytes,
                                     size_t size) {
  if (session == nullptr || flash == nullptr || (bytes == nullptr && size != 0)) {
    return null_argument("fig_checkpoint_save_flash");
  }
  platform::FlashDriver driver;
  if (Status status = read_driver(flash, &driver); !status.ok()) return fail(status);
  platform::FlashStorage storage(driver);
  return done(save_checkpoint(*unwrap(session), &storage, {static_cast<const uint8_t*>(bytes), size}));
}

fig_status fig_checkpoint_load_flash(fig_session* session, const fig_flash* flash, void* bytes, size_t capacity,
                                     size_t* size) {
  if (session == nullptr || flash == nullptr || (bytes == nullptr && capacity != 0)) {
    return null_argument("fig_checkpoint_load_flash");
  }
  platform::FlashDriver driver;
  if (Status status = read_driver(flash, &driver); !status.ok()) return fail(status);
  platform::FlashStorage storage(driver);
  return load(session, &storage, bytes, capacity, size);
}

fig_status fig_adapter_save(const fig_session* session, const char* program, const char* path) {
  if (session == nullptr || path == nullptr) return null_argument("fig_adapter_save");
  const Result<Adapter> adapter = Adapter::of_program(*unwrap(session), program);
  if (!adapter.ok()) return fail(adapter.status());
  if (Status status = adapter->check(); !status.ok()) return fail(status);
  platform::FileReplacement file;
  if (Status status = file.begin(path); !status.ok()) return fail(status);
  uint64_t offset = 0;
  const Status written = adapter->write([&](const void* data, size_t size) {
    const uint64_t at = offset;
    offset += size;
    return file.write(at, data, size);
  });
  if (!written.ok()) return fail(written);
  return done(file.commit());
}

fig_status fig_adapter_load(fig_session* session, const char* path) {
  if (session == nullptr || path == nullptr) return null_argument("fig_adapter_load");
  platform::MappedFile file;
  if (Status status = file.open(path); !status.ok()) return fail(status);
  return done(load_adapter(unwrap(session), {static_cast<const uint8_t*>(file.data()), file.size()}, path));
}

fig_status fig_adapter_get(const fig_session* session, const char* program, void* bytes, size_t capacity,
                           size_t* size) {
  if (session == nullptr || size == nullptr) return null_argument("fig_adapter_get");
  const Result<Adapter> adapter = Adapter::of_program(*unwrap(session), program);
  if (!adapter.ok()) return fail(adapter.status());
  *size = static_cast<size_t>(adapter->bytes());
  if (bytes == nullptr || capacity < *size) {
    return fail(Status::error(StatusCode::kInvalidArgument, "the adapter takes %zu bytes, the buffer has %zu", *size,
                              bytes == nullptr ? 0 : capacity));
  }
  if (Status status = adapter->check(); !status.ok()) return fail(status);
  auto* out = static_cast<uint8_t*>(bytes);
  return done(adapter->write([&](const void* data, size_t part) {
    std::memcpy(out, data, part);
    out += part;
    return Status();
  }));
}

fig_status fig_adapter_set(fig_session* session, const void* bytes, size_t size) {
  if (session == nullptr || bytes == nullptr) return null_argument("fig_adapter_set");
  return done(load_adapter(unwrap(session), {static_cast<const uint8_t*>(bytes), size}, "what is given"));
}

fig_status fig_requantize_size(fig_session* session, size_t* bytes) {
  if (session == nullptr || bytes == nullptr) return null_argument("fig_requantize_size");
  const Result<Requantizer> requantizer = Requantizer::of(unwrap(session));
  if (!requantizer.ok()) return fail(requantizer.status());
  const CheckedSize needed = requantizer->memory_bytes();
  if (!needed.within(SIZE_MAX / 2)) return fail(Status::error(StatusCode::kOutOfMemory, "no memory for its int8 form"));
  *bytes = static_cast<size_t>(needed.value());
  return FIG_OK;
}

fig_status fig_requantize(fig_session* session, void* memory, size_t bytes, size_t* model_bytes) {
  if (session == nullptr || memory == nullptr || model_bytes == nullptr) return null_argument("fig_requantize");
  Result<Requantizer> requantizer = Requantizer::of(unwrap(session));
  if (!requantizer.ok()) return fail(requantizer.status());
  if (reinterpret_cast<uintptr_t>(memory) % kTensorAlignment != 0)
    return fail(
        Status::error(StatusCode::kInvalidArgument, "the memory must be aligned to %zu bytes", kTensorAlignment));
  if (!requantizer->memory_bytes().within(bytes)) {
    return fail(Status::error(StatusCode::kInvalidArgument,
                              "%zu bytes are too few: fig_requantize_size says what is needed", bytes));
  }
  if (Status status = requantizer->write(memory); !status.ok()) return fail(status);
  *model_bytes = requantizer->model_bytes();
  return FIG_OK;
}

fig_status fig_session_export(const fig_session* session, const char* path) {
  if (session == nullptr || path == nullptr) return null_argument("fig_session_export");
  return done(export_model(*unwrap(session), path));
}

}  // extern "C"
