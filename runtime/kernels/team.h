// The threads that the ops of a session are computed on, and when: an op runs on all of them where that has proved
// faster than the calling thread alone. pthreadpool's threads wait for each other by spinning, tens of milliseconds
// before they sleep, and each must have had its turn before an op is done; where another process has the cores, an op
// of microseconds then takes milliseconds. So the team measures, and rests from its threads while they cost time.
#pragma once

#include <cstddef>
#include <cstdint>

struct pthreadpool;  // pthreadpool.h

namespace figment::kernels {

class Team {
 public:
  // What the team knows of one op: nanoseconds, smoothed; 0: not yet known.
  struct Times {
    float alone = 0;
    float together = 0;
    uint32_t runs = 0;
    bool threaded = true;  // it asks for threads
  };
  // Nanoseconds that have passed, and that all threads of the process have computed.
  struct Clock {
    uint64_t (*passed)();
    uint64_t (*computed)();
  };

  Team() = default;
  // `count` threads, the caller's among them; `pool` is nullptr for one.
  Team(pthreadpool* pool, size_t count, const Clock& clock) : pool_(pool), count_(count), clock_(clock) {}

  // All threads, for what is prepared once.
  pthreadpool* pool() const { return pool_; }
  size_t count() const { return count_; }

  // What the op that runs now is to be computed on: the pool, or nullptr for the calling thread alone.
  pthreadpool* now() {
    asked_ = true;
    return now_;
  }

  // That the calling thread has waited so long for the others within the op that runs.
  void waited(double nanoseconds);

  // Before and after each run of an op. Any thread, one at a time.
  void begin(const Times& op);
  void end(Times* op);

  // Nanoseconds that threads have saved, or cost (negative), as far as that counts.
  double balance() const { return balance_; }

 private:
  bool wants_threads(const Times& op) const;
  void learn(Times* op, double passed);

  pthreadpool* pool_ = nullptr;
  pthreadpool* now_ = nullptr;
  size_t count_ = 1;
  Clock clock_{};
  bool asked_ = false;
  bool together_ = false;  // the op that runs began on the pool
  bool resting_ = false;
  double balance_ = 0;
  double waited_ = 0;  // within the op that runs, and in the balance already
  uint64_t started_ = 0;
  uint64_t computed_ = 0;
};

// Of a team that may be nullptr, which is the calling thread alone.
inline pthreadpool* now(Team* team) { return team == nullptr ? nullptr : team->now(); }
inline pthreadpool* pool_of(const Team* team) { return team == nullptr ? nullptr : team->pool(); }

}  // namespace figment::kernels
