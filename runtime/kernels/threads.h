// The threads that kernels compute on.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/status.h"

struct pthreadpool;  // pthreadpool.h

namespace figment::kernels {

// A pool of a session's own, or one of the caller's; none where one thread computes. Builds without XNNPACK have one
// thread.
class Threads {
 public:
  Threads() = default;
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  // Starts `count` - 1 threads, unless there is a pool already (`given`, which must outlive this). Called once.
  // kOutOfMemory, saying why a thread does not start.
  Status start(size_t count, pthreadpool* given);

  pthreadpool* pool() const { return pool_; }

  // kInvalidArgument in a forked child: threads do not come along.
  Status check() const;

 private:
  pthreadpool* pool_ = nullptr;
#if FIGMENT_XNNPACK
  bool owned_ = false;
  uint64_t process_ = 0;
#endif
};

}  // namespace figment::kernels
