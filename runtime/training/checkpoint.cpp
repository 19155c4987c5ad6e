#include "training/checkpoint.h"

#include <cstdio>
#include <cstring>

#include "core/finite.h"
#include "format/checkpoint.h"
#include "platform/file.h"
#include "session/exchange.h"
#include "training/parameters.h"
#include "training/trainer.h"

namespace figment {

namespace {

using format::CheckpointHeader;

constexpr size_t kMaxPath = 4096;
constexpr const char* kSlots[] = {"a", "b"};

// FOLDER/a.checkpoint or FOLDER/b.checkpoint.
struct SlotPath {
  Status set(const char* folder, size_t slot) {
    const int length = std::snprintf(text, sizeof text, "%s/%s.checkpoint", folder, kSlots[slot]);
    if (length < 0 || static_cast<size_t>(length) >= sizeof text) return wrong("the path %.60s... is too long", folder);
    return {};
  }
  char text[kMaxPath];
};

// A file of the folder, if it is there and complete as far as header and trailer tell.
struct Slot {
  Status open(const char* folder, size_t slot) {
    SlotPath path;
    FIGMENT_RETURN_IF_ERROR(path.set(folder, slot));
    const Status status = file.open(path.text);
    exists = status.ok() || status.code() == StatusCode::kBadFile;
    if (!status.ok()) {
      const bool absent = status.code() == StatusCode::kNotFound || status.code() == StatusCode::kBadFile;
      return absent ? Status() : status;
    }
    complete = format::decode_checkpoint(data(), file.size(), &header, &crc);
    return {};
  }
  const uint8_t* data() const { return static_cast<const uint8_t*>(file.data()); }
  const uint8_t* payload() const { return data() + format::kCheckpointHeaderBytes; }
  bool intact() const {
    return complete &&
           format::crc32(0, payload(), static_cast<size_t>(header.variable_bytes + header.caller_bytes)) == crc;
  }

  platform::MappedFile file;
  CheckpointHeader header;
  uint32_t crc = 0;
  bool exists = false;
  bool complete = false;
};

bool is_saved(const format::ConstantView& constant) { return constant.variable && !constant.transient; }

uint64_t variable_bytes(const format::ModelView& view) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < view.constant_count(); ++i) bytes += is_saved(view.constant(i)) ? view.constant(i).bytes : 0;
  return bytes;
}

}  // namespace

Status save_checkpoint(const Session& session, const char* folder, std::span<const uint8_t> caller) {
  FIGMENT_RETURN_IF_ERROR(check_training(session));
  FIGMENT_RETURN_IF_ERROR(check_variables(session));
  const format::ModelView& view = session.model()->view();
  CheckpointHeader header{
      format::layout_hash(view), 1, session.steps(), session.seed(), variable_bytes(view), caller.size()};
  FIGMENT_RETURN_IF_ERROR(platform::make_folder(folder));
  size_t target = 0;
  {
    Slot slots[2];
    for (size_t i = 0; i < 2; ++i) FIGMENT_RETURN_IF_ERROR(slots[i].open(folder, i));
    for (size_t i = 0; i < 2; ++i) {
      if (!slots[i].complete || slots[i].header.generation < header.generation) continue;
      header.generation = slots[i].header.generation + 1;
      target = 1 - i;
    }
    // Of a newer one that is corrupt, the older is all there is.
    if (slots[1 - target].exists && !slots[1 - target].intact()) target = 1 - target;
  }
  SlotPath path;
  FIGMENT_RETURN_IF_ERROR(path.set(folder, 1 - target));
  platform::FileReplacement::clean(path.text);
  FIGMENT_RETURN_IF_ERROR(path.set(folder, target));
  platform::FileReplacement file;
  FIGMENT_RETURN_IF_ERROR(file.begin(path.text));
  const format::CheckpointHeaderBytes head = format::encode(header);
  uint64_t offset = 0;
  uint32_t crc = 0;
  const auto append = [&](const void* data, size_t bytes) {
    const uint64_t at = offset;
    offset += bytes;
    return file.write(at, data, bytes);
  };
  FIGMENT_RETURN_IF_ERROR(append(head.data(), head.size()));
  for (size_t i = 0; i < view.constant_count(); ++i) {
    const format::ConstantView constant = view.constant(i);
    if (!is_saved(constant)) continue;
    const float* data = session.variables().data(i);
    crc = format::crc32(crc, data, constant.bytes);
    FIGMENT_RETURN_IF_ERROR(append(data, constant.bytes));
  }
  crc = format::crc32(crc, caller.data(), caller.size());
  FIGMENT_RETURN_IF_ERROR(append(caller.data(), caller.size()));
  const format::CheckpointTrailerBytes trailer = format::encode_trailer(header, crc);
  FIGMENT_RETURN_IF_ERROR(append(trailer.data(), trailer.size()));
  return file.commit();
}

Status load_checkpoint(Session* session, const char* folder, std::span<uint8_t> caller, size_t* caller_bytes) {
  FIGMENT_RETURN_IF_ERROR(check_training(*session));
  const format::ModelView& view = session->model()->view();
  Slot slots[2];
  for (size_t i = 0; i < 2; ++i) FIGMENT_RETURN_IF_ERROR(slots[i].open(folder, i));
  if (!slots[0].exists && !slots[1].exists) {
    return Status::error(StatusCode::kNotFound, "there is no checkpoint in %s", folder);
  }
  const size_t newer =
      slots[1].complete && (!slots[0].complete || slots[1].header.generation > slots[0].header.generation);
  const Slot* found = slots[newer].intact() ? &slots[newer] : slots[1 - newer].intact() ? &slots[1 - newer] : nullptr;
  if (found == nullptr) {
    return Status::error(StatusCode::kBadFile, "the checkpoints in %s are truncated or corrupt", folder);
  }
  const CheckpointHeader& header = found->header;
  if (header.layout != format::layout_hash(view) || header.variable_bytes != variable_bytes(view)) {
    return wrong("the checkpoint in %s is of another model", folder);
  }
  if (!all_finite(found->payload(), header.variable_bytes / sizeof(float))) {
    return Status::error(StatusCode::kBadFile, "the checkpoint in %s has NaN or infinite values", folder);
  }
  *caller_bytes = static_cast<size_t>(header.caller_bytes);
  if (header.caller_bytes > caller.size()) {
    return wrong("the checkpoint has %llu bytes of the caller's, the buffer only %zu",
                 static_cast<unsigned long long>(header.caller_bytes), caller.size());
  }
  const uint8_t* next = found->payload();
  for (size_t i = 0; i < view.constant_count(); ++i) {
    const format::ConstantView constant = view.constant(i);
    if (!is_saved(constant)) continue;
    std::memcpy(session->variables().data(i), next, constant.bytes);
    next += constant.bytes;
  }
  if (header.caller_bytes > 0) std::memcpy(caller.data(), next, static_cast<size_t>(header.caller_bytes));
  session->set_steps(header.steps);
  session->set_seed(header.seed);
  return {};
}

}  // namespace figment
