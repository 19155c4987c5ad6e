#pragma once

#include "core/status.h"
#include "session/session.h"

namespace figment {

// Writes the model's file with the session's variables, atomically: a model for inference, and to train on from, with a
// fresh optimizer.
Status export_model(const Session& session, const char* path);

}  // namespace figment
