#include "core/memory.h"

#include <atomic>
#include <cstdlib>

namespace figment {

namespace {
std::atomic<AllocationHook> g_hook{nullptr};
}

void set_allocation_hook(AllocationHook hook) { g_hook = hook; }

void* allocate_memory(size_t bytes) {
  if (AllocationHook hook = g_hook.load(std::memory_order_relaxed); hook != nullptr && !hook(bytes)) return nullptr;
  if (bytes > SIZE_MAX - kTensorAlignment) return nullptr;
  const size_t rounded = (bytes + kTensorAlignment - 1) & ~(kTensorAlignment - 1);
  return std::aligned_alloc(kTensorAlignment, rounded == 0 ? kTensorAlignment : rounded);
}

void release_memory(void* memory) { std::free(memory); }

}  // namespace figment
