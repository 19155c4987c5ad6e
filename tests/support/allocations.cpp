#include "allocations.h"

#include <atomic>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIGMENT_HOOKED 1
#endif
#endif

namespace {

std::atomic<size_t> g_allocations{0};

}  // namespace

namespace figment::test {

size_t allocations() { return g_allocations; }

}  // namespace figment::test

#ifdef FIGMENT_HOOKED

#include <sanitizer/allocator_interface.h>

namespace {

void count(const volatile void* /*block*/, size_t /*bytes*/) { ++g_allocations; }
void ignore(const volatile void* /*block*/) {}
[[maybe_unused]] const int g_installed = __sanitizer_install_malloc_and_free_hooks(count, ignore);

}  // namespace

#else

// The C library's own, which the functions below stand before.
extern "C" {
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* block, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);

void* malloc(size_t bytes) {
  ++g_allocations;
  return __libc_malloc(bytes);
}
void* calloc(size_t count, size_t bytes) {
  ++g_allocations;
  return __libc_calloc(count, bytes);
}
void* realloc(void* block, size_t bytes) {
  ++g_allocations;
  return __libc_realloc(block, bytes);
}
void* memalign(size_t alignment, size_t bytes) {
  ++g_allocations;
  return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void** block, size_t alignment, size_t bytes) {
  *block = memalign(alignment, bytes);
  return *block == nullptr ? 12 : 0;  // ENOMEM
}
}

#endif
