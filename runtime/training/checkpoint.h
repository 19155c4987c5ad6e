// Checkpoints: two files in a folder, of which the older is replaced.
#pragma once

#include <cstdint>
#include <span>

#include "core/status.h"
#include "session/session.h"

namespace figment {

// Everything that a later session needs to resume as if there had been no pause, with `caller`'s own bytes, in the
// older of two files in the folder, which is made if it is not there. Atomic.
Status save_checkpoint(const Session& session, const char* folder, std::span<const uint8_t> caller);
// The newest whole checkpoint of the folder: parameters, optimizer, statistics, steps and seed. kNotFound, kBadFile;
// then nothing has changed.
Status load_checkpoint(Session* session, const char* folder, std::span<uint8_t> caller, size_t* caller_bytes);

}  // namespace figment
