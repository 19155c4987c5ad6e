#include "training/checkpoint.h"

#include <algorithm>

#include "core/finite.h"
#include "format/checkpoint.h"
#include "session/exchange.h"
#include "training/parameters.h"
#include "training/trainer.h"

namespace figment {

namespace {

using format::CheckpointHeader;

using platform::Storage;

// What lies in a slot. What cannot be read is damaged, as flash that the power went in the middle of may be.
struct Slot {
  Status open(Storage* storage, size_t number) {
    index = number;
    FIGMENT_RETURN_IF_ERROR(storage->open(number, &exists));
    format::CheckpointHeaderBytes head;
    format::CheckpointTrailerBytes trailer;
    if (!exists || !storage->may_hold(number, head.size(), true)) return {};
    if (!storage->read(number, 0, head.data(), head.size()).ok() || !format::decode(head, &header)) return {};
    const CheckedSize bytes = format::checkpoint_bytes(header);
    if (!bytes.valid() || !storage->may_hold(number, bytes.value(), false)) return {};
    // Of the last number there is no next: nobody writes it.
    if (header.generation == UINT64_MAX) return {};
    complete = storage->read(number, bytes.value() - trailer.size(), trailer.data(), trailer.size()).ok() &&
               format::decode_trailer(trailer, header, &crc);
    return {};
  }

  // Whether the contents are what was written; also whether the variables among them are `finite`.
  bool check(Storage* storage, bool* finite) const {
    *finite = true;
    uint32_t found = 0;
    float chunk[64];
    const uint64_t contents = complete ? header.variable_bytes + header.caller_bytes : 0;
    for (uint64_t done = 0; done < contents;) {
      // Variables first: their values end with a chunk.
      const uint64_t part = (done < header.variable_bytes ? header.variable_bytes : contents) - done;
      const auto bytes = static_cast<size_t>(std::min<uint64_t>(part, sizeof chunk));
      if (!storage->read(index, format::kCheckpointHeaderBytes + done, chunk, bytes).ok()) return false;
      found = format::crc32(found, chunk, bytes);
      if (done < header.variable_bytes) *finite = *finite && all_finite(chunk, bytes / sizeof(float));
      done += bytes;
    }
    return complete && found == crc;
  }

  size_t index = 0;
  CheckpointHeader header;
  uint32_t crc = 0;
  bool exists = false;
  bool complete = false;  // as far as header and trailer tell
};

bool is_saved(const format::ConstantView& constant) { return constant.variable && !constant.transient; }

uint64_t variable_bytes(const format::ModelView& view) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < view.constant_count(); ++i) bytes += is_saved(view.constant(i)) ? view.constant(i).bytes : 0;
  return bytes;
}

}  // namespace

Result<uint64_t> checkpoint_size(const Session& session, size_t caller_bytes) {
  FIGMENT_RETURN_IF_ERROR(check_training(session));
  const CheckedSize bytes = format::checkpoint_bytes(
      {.variable_bytes = variable_bytes(session.model()->view()), .caller_bytes = caller_bytes});
  if (!bytes.valid()) return wrong("%zu bytes are too many for a checkpoint", caller_bytes);
  return bytes.value();
}

Status save_checkpoint(const Session& session, Storage* storage, std::span<const uint8_t> caller) {
  FIGMENT_RETURN_IF_ERROR(check_training(session));
  FIGMENT_RETURN_IF_ERROR(check_variables(session, true));
  const format::ModelView& view = session.model()->view();
  CheckpointHeader header{
      format::layout_hash(view), 1, session.steps(), session.seed(), variable_bytes(view), caller.size()};
  size_t target = 0;
  {
    Slot slots[Storage::kSlots];
    for (size_t i = 0; i < 2; ++i) FIGMENT_RETURN_IF_ERROR(slots[i].open(storage, i));
    for (size_t i = 0; i < 2; ++i) {
      if (!slots[i].complete || slots[i].header.generation < header.generation) continue;
      header.generation = slots[i].header.generation + 1;
      target = 1 - i;
    }
    // Of a newer one that is corrupt, the older is all there is.
    bool finite = true;
    if (slots[1 - target].exists && !slots[1 - target].check(storage, &finite)) target = 1 - target;
  }
  FIGMENT_RETURN_IF_ERROR(storage->begin(target, format::checkpoint_bytes(header).value()));
  const format::CheckpointHeaderBytes head = format::encode(header);
  uint32_t crc = 0;
  FIGMENT_RETURN_IF_ERROR(storage->append(head.data(), head.size()));
  for (size_t i = 0; i < view.constant_count(); ++i) {
    const format::ConstantView constant = view.constant(i);
    if (!is_saved(constant)) continue;
    const float* data = session.variables().data(i);
    crc = format::crc32(crc, data, constant.bytes);
    FIGMENT_RETURN_IF_ERROR(storage->append(data, constant.bytes));
  }
  crc = format::crc32(crc, caller.data(), caller.size());
  FIGMENT_RETURN_IF_ERROR(storage->append(caller.data(), caller.size()));
  const format::CheckpointTrailerBytes trailer = format::encode_trailer(header, crc);
  FIGMENT_RETURN_IF_ERROR(storage->append(trailer.data(), trailer.size()));
  return storage->commit();
}

Status load_checkpoint(Session* session, Storage* storage, std::span<uint8_t> caller, size_t* caller_bytes) {
  FIGMENT_RETURN_IF_ERROR(check_training(*session));
  const format::ModelView& view = session->model()->view();
  Slot slots[Storage::kSlots];
  for (size_t i = 0; i < 2; ++i) FIGMENT_RETURN_IF_ERROR(slots[i].open(storage, i));
  if (!slots[0].exists && !slots[1].exists) {
    return Status::error(StatusCode::kNotFound, "there is no checkpoint in %s", storage->name());
  }
  const size_t newer =
      slots[1].complete && (!slots[0].complete || slots[1].header.generation > slots[0].header.generation);
  const Slot* found = &slots[newer];
  bool finite = true;
  bool intact = found->check(storage, &finite);
  if (!intact) {
    found = &slots[1 - newer];
    intact = found->check(storage, &finite);
  }
  if (!intact) {
    return Status::error(StatusCode::kBadFile, "the checkpoints in %s are truncated or corrupt", storage->name());
  }
  const CheckpointHeader& header = found->header;
  if (header.layout != format::layout_hash(view) || header.variable_bytes != variable_bytes(view)) {
    return wrong("the checkpoint in %s is of another model", storage->name());
  }
  if (!finite) {
    return Status::error(StatusCode::kBadFile, "the checkpoint in %s has NaN or infinite values", storage->name());
  }
  *caller_bytes = static_cast<size_t>(header.caller_bytes);
  if (header.caller_bytes > caller.size()) {
    return wrong("the checkpoint has %llu bytes of the caller's, the buffer only %zu",
                 static_cast<unsigned long long>(header.caller_bytes), caller.size());
  }
  uint64_t next = format::kCheckpointHeaderBytes;
  for (size_t i = 0; i < view.constant_count(); ++i) {
    const format::ConstantView constant = view.constant(i);
    if (!is_saved(constant)) continue;
    FIGMENT_RETURN_IF_ERROR(storage->read(found->index, next, session->variables().data(i), constant.bytes));
    next += constant.bytes;
  }
  if (!caller.empty()) {
    FIGMENT_RETURN_IF_ERROR(storage->read(found->index, next, caller.data(), static_cast<size_t>(header.caller_bytes)));
  }
  session->set_steps(header.steps);
  session->set_seed(header.seed);
  return {};
}

}  // namespace figment
