#include "kernels/threads.h"

#if FIGMENT_XNNPACK

#include <pthread.h>
#include <pthreadpool.h>

#include "platform/process.h"

namespace figment::kernels {

namespace {

constexpr size_t kMaxThreads = 256;

void* wait_for_release(void* mutex) {
  pthread_mutex_lock(static_cast<pthread_mutex_t*>(mutex));
  pthread_mutex_unlock(static_cast<pthread_mutex_t*>(mutex));
  return nullptr;
}

// Whether `count` threads can run at a time. pthreadpool does not ask whether its threads have started, and waits for
// those that have not for ever; so they are started here first, all together, and let go again.
Status try_threads(size_t count) {
  pthread_t threads[kMaxThreads];
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&mutex);
  size_t started = 0;
  int error = 0;
  while (started < count && error == 0) {
    error = pthread_create(&threads[started], nullptr, wait_for_release, &mutex);
    if (error == 0) ++started;
  }
  pthread_mutex_unlock(&mutex);
  for (size_t i = 0; i < started; ++i) pthread_join(threads[i], nullptr);
  if (error == 0) return {};
  return Status::error(StatusCode::kOutOfMemory,
                       "thread %zu of %zu does not start (error %d of pthread_create): use fewer threads, or raise the "
                       "limit of processes (ulimit -u) or of memory (ulimit -v)",
                       started + 2, count + 1, error);
}

}  // namespace

Threads::~Threads() {
  // A forked child has no threads to end: what is left of the pool stays.
  if (owned_ && process_ == platform::process_id()) pthreadpool_destroy(pool_);
}

Status Threads::start(size_t count, pthreadpool* given) {
  process_ = platform::process_id();
  pool_ = given;
  if (given != nullptr || count <= 1) return {};
  if (count > kMaxThreads) return Status::error(StatusCode::kInvalidArgument, "threads must be 1 to %zu", kMaxThreads);
  FIGMENT_RETURN_IF_ERROR(try_threads(count - 1));
  pool_ = pthreadpool_create(count);
  owned_ = pool_ != nullptr;
  return owned_ ? Status() : Status::error(StatusCode::kOutOfMemory, "no memory for the session's threads");
}

Status Threads::check() const {
  if (pool_ == nullptr || process_ == platform::process_id()) return {};
  return Status::error(StatusCode::kInvalidArgument,
                       "the session's threads are those of the process that this one was forked from: create a session "
                       "after the fork, or with one thread");
}

}  // namespace figment::kernels

#else

namespace figment::kernels {

Threads::~Threads() = default;
Status Threads::start(size_t /*count*/, pthreadpool* /*given*/) { return {}; }
Status Threads::check() const { return {}; }

}  // namespace figment::kernels

#endif
