// Checkpoints in storage of two slots, of which the older is replaced.
#pragma once

#include <cstdint>
#include <span>

#include "core/status.h"
#include "platform/storage.h"
#include "session/session.h"

namespace figment {

// The bytes that a checkpoint takes, with so many of the caller's own.
Result<uint64_t> checkpoint_size(const Session& session, size_t caller_bytes);
// Everything that a later session needs to resume as if there had been no pause, with `caller`'s own bytes, in the
// older of the two slots. Whatever stops it, the newer stays.
Status save_checkpoint(const Session& session, platform::Storage* storage, std::span<const uint8_t> caller);
// The newest checkpoint that is whole: parameters, optimizer, statistics, steps and seed. kNotFound, kBadFile; then
// nothing has changed.
Status load_checkpoint(Session* session, platform::Storage* storage, std::span<uint8_t> caller, size_t* caller_bytes);

}  // namespace figment
