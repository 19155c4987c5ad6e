#include "kernels/xnnpack/pool.h"

#include <cpuinfo.h>
#include <xnnpack.h>

#include <cstdint>
#include <cstring>
#include <utility>

#include "platform/process.h"

namespace figment::kernels {

namespace {

thread_local Pool* t_pool = nullptr;

// Stands before every block.
struct Header {
  size_t size;
  bool pooled;
};
constexpr size_t kHeaderBytes = kTensorAlignment;

Header* header_of(void* block) { return reinterpret_cast<Header*>(static_cast<unsigned char*>(block) - kHeaderBytes); }

}  // namespace

Status Pool::reserve(size_t bytes) {
  used_ = 0;
  overflow_ = 0;
  if (memory_.allocate(bytes)) return {};
  return Status::error(StatusCode::kOutOfMemory, "no memory for %zu bytes of operators", bytes);
}

Pool::Scope::Scope(Pool* pool) { t_pool = pool; }
Pool::Scope::~Scope() { t_pool = nullptr; }

void* xnnpack_allocate(void* /*context*/, size_t size) {
  if (size > SIZE_MAX / 2) return nullptr;
  const size_t total = kHeaderBytes + ((size + kTensorAlignment - 1) & ~(kTensorAlignment - 1));
  unsigned char* start = nullptr;
  bool pooled = false;
  if (t_pool != nullptr) {
    if (total <= t_pool->memory_.size() - t_pool->used_) {
      start = t_pool->memory_.data() + t_pool->used_;
      t_pool->used_ += total;
      pooled = true;
    } else {
      t_pool->overflow_ += total;
    }
  }
  if (start == nullptr) start = static_cast<unsigned char*>(allocate_memory(total));
  if (start == nullptr) return nullptr;
  *reinterpret_cast<Header*>(start) = {size, pooled};
  return start + kHeaderBytes;
}

namespace {

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

// What initialising ended in.
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

Status initialize_xnnpack() {
  static const Start start = start_xnnpack();
  switch (start) {
    case Start::kDone: return {};
    case Start::kNoMemory: return Status::error(StatusCode::kOutOfMemory, "no memory to initialise XNNPACK");
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

}  // namespace figment::kernels
