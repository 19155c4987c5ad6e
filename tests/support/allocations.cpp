#include "allocations.h"

#include <atomic>
#include <cstdint>
#include <cstring>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIGMENT_HOOKED 1
#endif
#endif

namespace {

std::atomic<size_t> g_allocations{0};
std::atomic<size_t> g_taken{0};
std::atomic<size_t> g_peak{0};

void count_taken(size_t bytes) {
  ++g_allocations;
  const size_t taken = g_taken += bytes;
  size_t peak = g_peak;
  while (taken > peak && !g_peak.compare_exchange_weak(peak, taken)) {
  }
}

void count_released(size_t bytes) { g_taken -= bytes; }

}  // namespace

namespace figment::test {

size_t allocations() { return g_allocations; }
size_t bytes_taken() { return g_taken; }
size_t bytes_peak() { return g_peak; }
void reset_peak() { g_peak = g_taken.load(); }

}  // namespace figment::test

#ifdef FIGMENT_HOOKED

#include <sanitizer/allocator_interface.h>

namespace {

void taken(const volatile void* /*block*/, size_t bytes) { count_taken(bytes); }
void released(const volatile void* block) {
  const auto* start = const_cast<const void*>(block);
  if (start != nullptr && __sanitizer_get_ownership(start) != 0) {
    count_released(__sanitizer_get_allocated_size(start));
  }
}
[[maybe_unused]] const int g_installed = __sanitizer_install_malloc_and_free_hooks(taken, released);

}  // namespace

#else

// The C library's own, which the functions below stand before. Each block begins with a header that says where the C
// library's begins and how many bytes were asked for.
extern "C" {
void* __libc_malloc(size_t bytes);
void __libc_free(void* block);
}

namespace {

struct Header {
  void* start;
  size_t bytes;
};

Header* header_of(void* block) { return static_cast<Header*>(block) - 1; }

void* take(size_t alignment, size_t bytes) {
  if (alignment < alignof(std::max_align_t)) alignment = alignof(std::max_align_t);
  if (bytes > SIZE_MAX / 2) return nullptr;
  void* start = __libc_malloc(bytes + alignment + sizeof(Header));
  if (start == nullptr) return nullptr;
  const uintptr_t first = reinterpret_cast<uintptr_t>(start) + sizeof(Header);
  void* block = reinterpret_cast<void*>((first + alignment - 1) / alignment * alignment);
  *header_of(block) = {start, bytes};
  count_taken(bytes);
  return block;
}

}  // namespace

extern "C" {

void* malloc(size_t bytes) { return take(1, bytes); }

void free(void* block) {
  if (block == nullptr) return;
  count_released(header_of(block)->bytes);
  __libc_free(header_of(block)->start);
}

void* calloc(size_t count, size_t bytes) {
  size_t total = 0;
  if (__builtin_mul_overflow(count, bytes, &total)) return nullptr;
  void* block = take(1, total);
  if (block != nullptr) std::memset(block, 0, total);
  return block;
}

void* realloc(void* block, size_t bytes) {
  if (block == nullptr) return malloc(bytes);
  void* moved = take(1, bytes);
  if (moved == nullptr) return nullptr;
  std::memcpy(moved, block, header_of(block)->bytes < bytes ? header_of(block)->bytes : bytes);
  free(block);
  return moved;
}

void* memalign(size_t alignment, size_t bytes) { return take(alignment, bytes); }
void* aligned_alloc(size_t alignment, size_t bytes) { return take(alignment, bytes); }
int posix_memalign(void** block, size_t alignment, size_t bytes) {
  *block = take(alignment, bytes);
  return *block == nullptr ? 12 : 0;  // ENOMEM
}
size_t malloc_usable_size(void* block) { return block == nullptr ? 0 : header_of(block)->bytes; }
}

#endif
