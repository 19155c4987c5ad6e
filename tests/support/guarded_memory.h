// Buffers between guard pages, for code that no sanitizer sees into.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>

#include "core/memory.h"

namespace figment::test {

// `bytes` of memory whose readable padding ends at a page that cannot be touched; the page before cannot be either.
// The start is aligned to `alignment` only as far as the end allows: what lies between the padding and the guard page
// is less than `alignment` bytes. A read or write beyond ends the process; writes to the padding are found by intact().
class GuardedMemory {
 public:
  explicit GuardedMemory(size_t bytes, size_t alignment = 4) : bytes_(bytes) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t used = (bytes + kReadablePadding + alignment - 1) / alignment * alignment;
    size_ = (used + page - 1) / page * page + 2 * page;
    void* mapped = mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::runtime_error("no memory for a test");
    start_ = static_cast<uint8_t*>(mapped);
    mprotect(start_ + page, size_ - 2 * page, PROT_READ | PROT_WRITE);
    data_ = start_ + size_ - page - used;
    std::memset(data_ + bytes_, kPattern, kReadablePadding);
  }
  ~GuardedMemory() { munmap(start_, size_); }
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  uint8_t* data() { return data_; }

  // Whether the padding is as it was.
  bool intact() const {
    for (size_t i = 0; i < kReadablePadding; ++i) {
      if (data_[bytes_ + i] != kPattern) return false;
    }
    return true;
  }

 private:
  static constexpr uint8_t kPattern = 0xA5;

  size_t bytes_;
  size_t size_ = 0;
  uint8_t* start_ = nullptr;
  uint8_t* data_ = nullptr;
};

}  // namespace figment::test
