#include "platform/process.h"

#include <unistd.h>

namespace figment::platform {

uint64_t process_id() { return static_cast<uint64_t>(::getpid()); }

bool is_readable(const char* path) { return ::access(path, R_OK) == 0; }

}  // namespace figment::platform
