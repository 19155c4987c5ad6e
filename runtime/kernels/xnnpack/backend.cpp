// XNNPACK: its start, its memory, and pthreadpool's threads.
#include "kernels/backend.h"

#include <cpuinfo.h>
#include <pthread.h>
#include <pthreadpool.h>
#include <xnnpack.h>

#include <cstdio>
#include <cstring>
#include <ctime>
#include <utility>

#include "core/memory.h"
#include "platform/process.h"

namespace figment::kernels {

namespace {

thread_local OperatorPool* t_pool = nullptr;

// Stands before every block.
struct Header {
  size_t size;
  bool pooled;
};
constexpr size_t kHeaderBytes = kTensorAlignment;

Header* header_of(void* block) { return reinterpret_cast<Header*>(static_cast<unsigned char*>(block) - kHeaderBytes); }

void* xnnpack_allocate(void* /*context*/, size_t size) {
  if (size > SIZE_MAX / 2) return nullptr;
  const size_t total = kHeaderBytes + ((size + kTensorAlignment - 1) & ~(kTensorAlignment - 1));
  auto* start = static_cast<unsigned char*>(t_pool == nullptr ? nullptr : t_pool->take(total));
  const bool pooled = start != nullptr;
  if (!pooled) start = static_cast<unsigned char*>(allocate_memory(total));
  if (start == nullptr) return nullptr;
  *reinterpret_cast<Header*>(start) = {size, pooled};
  return start + kHeaderBytes;
}

void xnnpack_deallocate(void* /*context*/, void* block) {
  if (block != nullptr && !header_of(block)->pooled) release_memory(header_of(block));
}

void* xnnpack_reallocate(void* context, void* block, size_t size) {
  void* bigger = xnnpack_allocate(context, size);
  if (bigger == nullptr || block == nullptr) return bigger;
  const size_t old = header_of(block)->size;
  std::memcpy(bigger, block, old < size ? old : size);
  xnnpack_deallocate(context, block);
  return bigger;
}

void* xnnpack_aligned_allocate(void* context, size_t alignment, size_t size) {
  return alignment <= kTensorAlignment ? xnnpack_allocate(context, size) : nullptr;
}

constexpr xnn_allocator kAllocator = {
    nullptr, xnnpack_allocate, xnnpack_reallocate, xnnpack_deallocate, xnnpack_aligned_allocate, xnnpack_deallocate};

// What initializing ended in.
enum class Start : uint8_t { kDone, kNoProcessor, kNoMemory, kUnsupported };

Start start_xnnpack() {
  if (!cpuinfo_initialize()) return Start::kNoProcessor;
#if CPUINFO_ARCH_X86_64
  // The int8 convolution for AMX of XNNPACK 2024-11-08 (Debian 13) reads channels 0 to 63 again instead of 64 and up in
  // a tile of one pixel (16 n + 1 pixels). XNNPACK does not tell its version, so AMX is hidden from any: it looks once,
  // and takes its kernels for AVX-512 VNNI.
  const bool amx = std::exchange(cpuinfo_isa.amx_int8, false);
  const xnn_status status = xnn_initialize(&kAllocator);
  cpuinfo_isa.amx_int8 = amx;
#else
  const xnn_status status = xnn_initialize(&kAllocator);
#endif
  switch (status) {
    case xnn_status_success: return Start::kDone;
    case xnn_status_out_of_memory: return Start::kNoMemory;
    default: return Start::kUnsupported;
  }
}

}  // namespace

// Whoever initializes XNNPACK first decides on its allocator: in a process that did so before, its small objects come
// from that allocator and not from the sessions' pools. On x86-64, being first also keeps XNNPACK from AMX for the
// whole process; during this call cpuinfo_has_x86_amx_int8 says no to other threads, too.
Status start_backend() {
  static const Start start = start_xnnpack();
  switch (start) {
    case Start::kDone: return {};
    case Start::kNoMemory: return Status::error(StatusCode::kOutOfMemory, "no memory to initialize XNNPACK");
    case Start::kNoProcessor:
#if defined(__linux__)
      for (const char* path :
           {"/proc/cpuinfo", "/sys/devices/system/cpu/possible", "/sys/devices/system/cpu/present"}) {
        if (platform::is_readable(path)) continue;
        return Status::error(StatusCode::kUnsupported,
                             "XNNPACK cannot find out what processor this is: %s cannot be read; mount /proc and /sys, "
                             "or use the portable kernels",
                             path);
      }
#endif
      return Status::error(
          StatusCode::kOutOfMemory,
          "XNNPACK cannot find out what processor this is, for want of memory or for what /proc and /sys "
          "say of it; use the portable kernels");
    case Start::kUnsupported: break;
  }
  return Status::error(StatusCode::kUnsupported, "XNNPACK has no kernels for this processor; use the portable kernels");
}

OperatorPool::Scope::Scope(OperatorPool* pool) { t_pool = pool; }
OperatorPool::Scope::~Scope() { t_pool = nullptr; }

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

const char* backend_name() {
#if defined(__x86_64__) || defined(__i386__)
  const auto instructions = [] {
    return !cpuinfo_initialize()       ? "unknown processor"
           : cpuinfo_has_x86_avx512f() ? "AVX-512"
           : cpuinfo_has_x86_avx2()    ? "AVX2"
           : cpuinfo_has_x86_avx()     ? "AVX"
                                       : "SSE2";
  };
#else
  const auto instructions = [] {
    return !cpuinfo_initialize()        ? "unknown processor"
           : cpuinfo_has_arm_neon_dot() ? "NEON with dot products"
           : cpuinfo_has_arm_neon()     ? "NEON"
                                        : "no vectors";
  };
#endif
  static const struct Name {
    char text[64];
    explicit Name(const char* processor) {
      std::snprintf(text, sizeof text, "XNNPACK %s, %s", FIGMENT_XNNPACK_VERSION, processor);
    }
  } name(instructions());
  return name.text;
}

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

namespace {

uint64_t nanoseconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1000000000 + static_cast<uint64_t>(time.tv_nsec);
}
uint64_t passed() { return nanoseconds(CLOCK_MONOTONIC); }
uint64_t computed() { return nanoseconds(CLOCK_PROCESS_CPUTIME_ID); }

// A task, and when the calling thread, which is thread 0, ended its last part.
struct Timed {
  void (*task)(void* context, size_t thread, size_t i);
  void* context;
  uint64_t last;

  static void run(void* timed, size_t thread, size_t i) {
    auto& self = *static_cast<Timed*>(timed);
    self.task(self.context, thread, i);
    if (thread == 0) self.last = passed();
  }
};

}  // namespace

Team Threads::team() const {
  return {pool_, pool_ == nullptr ? 1 : pthreadpool_get_threads_count(pool_), {passed, computed}};
}

size_t thread_count(const Team* team) { return team == nullptr ? 1 : team->count(); }

void parallelize(Team* team, void (*task)(void* context, size_t thread, size_t i), void* context, size_t count) {
  pthreadpool* pool = now(team);
  if (pool == nullptr) {
    // Denormals are flushed here, too: where something is computed does not change what it is.
    pthreadpool_parallelize_1d_with_thread(nullptr, task, context, count, PTHREADPOOL_FLAG_DISABLE_DENORMALS);
    return;
  }
  Timed timed{task, context, passed()};
  pthreadpool_parallelize_1d_with_thread(pool, Timed::run, &timed, count, PTHREADPOOL_FLAG_DISABLE_DENORMALS);
  team->waited(static_cast<double>(passed() - timed.last));
}

}  // namespace figment::kernels
