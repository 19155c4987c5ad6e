// The one place where the runtime takes memory from the system, so that it can be counted and made to fail.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace figment {

// Every tensor and blob starts at a multiple of this many bytes.
inline constexpr size_t kTensorAlignment = 64;
// Kernels may read (never write) this many bytes past the end of a tensor; every buffer has them.
inline constexpr size_t kReadablePadding = 16;

// `bytes` of uninitialized memory aligned to kTensorAlignment, or nullptr. Thread-safe.
void* allocate_memory(size_t bytes);
// Releases what allocate_memory returned; nullptr is allowed.
void release_memory(void* memory);

// Called before every allocation of any thread; returning false makes it fail. For tests. nullptr removes it.
using AllocationHook = bool (*)(size_t bytes);
void set_allocation_hook(AllocationHook hook);

// A fixed-size array whose allocation can fail. Elements are value-initialized.
template <typename T>
class Array {
 public:
  Array() = default;
  ~Array() { reset(); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  Array(Array&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Array& operator=(Array&& other) noexcept {
    if (this != &other) {
      reset();
      data_ = std::exchange(other.data_, nullptr);
      size_ = std::exchange(other.size_, 0);
    }
    return *this;
  }

  // Replaces the contents by `count` elements. False, and empty, when there is no memory.
  [[nodiscard]] bool allocate(size_t count) {
    reset();
    if (count == 0) return true;
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, sizeof(T), &bytes)) return false;
    void* memory = allocate_memory(bytes);
    if (memory == nullptr) return false;
    data_ = static_cast<T*>(memory);
    size_ = count;
    for (size_t i = 0; i < count; ++i) new (static_cast<void*>(data_ + i)) T();
    return true;
  }

  void reset() {
    for (size_t i = size_; i > 0; --i) data_[i - 1].~T();
    release_memory(static_cast<void*>(data_));
    data_ = nullptr;
    size_ = 0;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace figment
