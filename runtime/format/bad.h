// The error of a file that is not as it should be.
#pragma once

#include "core/status.h"

namespace figment::format {

inline Status bad(Message text) { return Status::plain(StatusCode::kBadFile, text); }

template <typename... Arguments>
Status bad(Message format, Arguments... arguments) {
  return Status::error(StatusCode::kBadFile, format, arguments...);
}

}  // namespace figment::format
