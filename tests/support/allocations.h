// Counts what the process takes from the system's allocator: malloc and all its kin, whoever calls them.
#pragma once

#include <cstddef>

namespace figment::test {

// Allocations so far, by any thread.
size_t allocations();

}  // namespace figment::test
