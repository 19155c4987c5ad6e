// No memory but the caller's.
#include "core/memory.h"

namespace figment {

void set_allocation_hook(AllocationHook /*hook*/) {}
void* allocate_memory(size_t /*bytes*/) { return nullptr; }
void release_memory(void* /*memory*/) {}

}  // namespace figment
