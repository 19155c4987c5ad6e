// The process that a session lives in, and what it may see.
#pragma once

#include <cstdint>

namespace figment::platform {

// A number that differs between a process and what is forked from it.
uint64_t process_id();

// Whether the process may read the file of that name.
bool is_readable(const char* path);

}  // namespace figment::platform
