// Mutual exclusion between threads and memory of each thread, where there are any: bare metal has one thread.
#pragma once

#if defined(__unix__)
#include <pthread.h>
#endif

#if defined(__unix__)
#define FIGMENT_THREAD_LOCAL thread_local
#else
#define FIGMENT_THREAD_LOCAL
#endif

namespace figment::platform {

#if defined(__unix__)
inline constexpr bool kHasThreads = true;
#else
inline constexpr bool kHasThreads = false;
#endif

#if defined(__unix__)
class Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() { pthread_mutex_lock(&mutex_); }
  void unlock() { pthread_mutex_unlock(&mutex_); }

 private:
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
};
#else
class Mutex {
 public:
  void lock() {}
  void unlock() {}
};
#endif

}  // namespace figment::platform
