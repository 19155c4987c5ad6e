// Where XNNPACK's small objects (operators, indirection buffers) live: memory reserved before they are made, so that
// a session's need is known, and no allocation of XNNPACK's can fail half-way, which it does not always survive.
#pragma once

#include <cstddef>

#include "core/memory.h"
#include "core/status.h"

namespace figment::kernels {

// A bump allocator. Single-threaded: used by the thread that creates the session.
class Pool {
 public:
  // Takes `bytes` from the system, in the place of what it had, which nothing uses any more. kOutOfMemory.
  Status reserve(size_t bytes);

  size_t size() const { return memory_.size(); }
  size_t used() const { return used_; }
  // Bytes that did not fit and were taken from the system directly.
  size_t overflow() const { return overflow_; }

  // XNNPACK's allocations of this thread come from `pool` while the scope lives.
  class Scope {
   public:
    explicit Scope(Pool* pool);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
  };

 private:
  friend void* xnnpack_allocate(void* context, size_t size);
  Array<unsigned char> memory_;
  size_t used_ = 0;
  size_t overflow_ = 0;
};

// Initialises XNNPACK once in the process, with the pool behind its allocator. Whoever initialises XNNPACK first
// decides on its allocator: in a process that did so before, XNNPACK's small objects come from that allocator. On
// x86-64, being first also keeps XNNPACK from AMX for the whole process (pool.cpp says why); during this call
// cpuinfo_has_x86_amx_int8 says no to other threads, too. kUnsupported when XNNPACK does not run on this processor.
Status initialize_xnnpack();

}  // namespace figment::kernels
