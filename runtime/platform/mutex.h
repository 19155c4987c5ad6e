// Mutual exclusion between threads, where there are any.
#pragma once

#if defined(__unix__)
#include <pthread.h>
#endif

namespace figment::platform {

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
