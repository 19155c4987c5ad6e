// Counts what the process takes from the system's allocator: malloc and all its kin, whoever calls them.
#pragma once

#include <cstddef>

namespace figment::test {

// Allocations so far, by any thread.
size_t allocations();

// Bytes that are taken now, as they were asked for, and the most since the peak was set to what is taken.
size_t bytes_taken();
size_t bytes_peak();
void reset_peak();

}  // namespace figment::test
