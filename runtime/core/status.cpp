#include "core/status.h"

#include <cstdarg>
#include <cstdio>

namespace figment {

Status Status::error(StatusCode code, const char* format, ...) {
  Status status;
  status.code_ = code;
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(status.message_, sizeof status.message_, format, arguments);
  va_end(arguments);
  return status;
}

Status Status::with_prefix(const char* prefix) const { return error(code_, "%s: %s", prefix, message_); }

}  // namespace figment
