// What the runtime needs of the library that its fast kernels are built on. One implementation is linked:
// xnnpack/backend.cpp, or portable/backend.cpp where there is no such library. The backend also supplies the default
// table of kernels (figment/ops.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "core/status.h"
#include "kernels/team.h"

struct pthreadpool;  // pthreadpool.h

namespace figment::kernels {

// Prepares the library, once a process; cheap afterwards. Thread-safe. kUnsupported, kOutOfMemory.
Status start_backend();

// What the library is and which instructions its kernels have here: "XNNPACK 0.20241108, AVX2". Never nullptr.
const char* backend_name();

// The threads that kernels compute on: a pool of a session's own, or one of the caller's; none where one thread
// computes. The portable backend has one thread.
class Threads {
 public:
  Threads() = default;
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  Threads(Threads&& other) noexcept { *this = std::move(other); }
  // Only into an object that has none.
  Threads& operator=(Threads&& other) noexcept {
    pool_ = std::exchange(other.pool_, nullptr);
    owned_ = std::exchange(other.owned_, false);
    process_ = other.process_;
    return *this;
  }

  // Starts `count` - 1 threads, unless there is a pool already (`given`, which must outlive this). Called once. A pool
  // of its own takes memory from the system, beside the threads' stacks. kOutOfMemory, saying why a thread does not
  // start.
  Status start(size_t count, pthreadpool* given);

  // Of the threads; its pool is nullptr where there are none.
  Team team() const;

  // kInvalidArgument in a forked child: threads do not come along.
  Status check() const;

 private:
  pthreadpool* pool_ = nullptr;
  bool owned_ = false;
  uint64_t process_ = 0;
};

// The threads of a team; 1 for nullptr.
size_t thread_count(const Team* team);

// Calls task(context, thread, i) for i in [0, count), with thread < thread_count(team), and returns when all have
// returned. Denormal numbers may count as zero.
void parallelize(Team* team, void (*task)(void* context, size_t thread, size_t i), void* context, size_t count);

// Memory that the library's small objects (operators, indirection buffers) come from, given before they are made: a
// session's need is known, and no allocation of the library's can fail half-way, which XNNPACK does not always survive.
// A bump allocator for one thread.
class OperatorPool {
 public:
  OperatorPool(void* memory, size_t bytes) : memory_(static_cast<unsigned char*>(memory)), bytes_(bytes) {}
  OperatorPool(const OperatorPool&) = delete;
  OperatorPool& operator=(const OperatorPool&) = delete;

  size_t used() const { return used_; }
  size_t left() const { return bytes_ - used_; }
  // Bytes that did not fit and were taken from the system instead.
  size_t overflow() const { return overflow_; }

  // The library's allocations of this thread come from `pool` while the scope lives.
  class Scope {
   public:
    explicit Scope(OperatorPool* pool);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
  };

  // For the backend: `bytes` (a multiple of the alignment), or nullptr, counted as overflow.
  void* take(size_t bytes) {
    if (bytes > bytes_ - used_) {
      overflow_ += bytes;
      return nullptr;
    }
    unsigned char* start = memory_ + used_;
    used_ += bytes;
    return start;
  }

 private:
  unsigned char* memory_;
  size_t bytes_;
  size_t used_ = 0;
  size_t overflow_ = 0;
};

}  // namespace figment::kernels
