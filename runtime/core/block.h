// One block of memory, laid out twice by the same code: without memory, to know its size, and then in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>

#include "core/checked.h"
#include "core/memory.h"

namespace figment {

// The size of a type on bare-metal targets, whose pointers have 32 bits. A type with pointers says it by kSmallBytes,
// and by kSmallAlignment where that is not 4; FIGMENT_CHECK_SMALL, behind it, holds it to what the compiler for such a
// target says.
template <typename T>
constexpr size_t small_bytes() {
  if constexpr (std::is_pointer_v<T>) return 4;
  if constexpr (requires { T::kSmallBytes; }) return T::kSmallBytes;
  return sizeof(T);
}
template <typename T>
constexpr size_t small_alignment() {
  if constexpr (requires { T::kSmallAlignment; }) return T::kSmallAlignment;
  if constexpr (std::is_pointer_v<T> || requires { T::kSmallBytes; }) return 4;
  return alignof(T);
}
#if defined(__unix__)
#define FIGMENT_CHECK_SMALL(TYPE) static_assert(small_bytes<TYPE>() <= sizeof(TYPE))
#else
#define FIGMENT_CHECK_SMALL(TYPE) \
  static_assert(small_bytes<TYPE>() == sizeof(TYPE) && small_alignment<TYPE>() == alignof(TYPE))
#endif

class Block {
 public:
  // Measures: take() returns nullptr and only counts.
  Block() = default;
  // Measures as a bare-metal target lays it out.
  static Block for_small_target() {
    Block block;
    block.small_target_ = true;
    return block;
  }
  // Places. `memory` is aligned to kTensorAlignment.
  Block(void* memory, size_t bytes) : memory_(static_cast<unsigned char*>(memory)), bytes_(bytes) {}

  bool measures() const { return memory_ == nullptr; }
  // Bytes so far, also of what did not fit.
  CheckedSize used() const { return used_; }
  // Whether something did not fit: then the layout is worth nothing.
  bool overflowed() const { return !measures() && !used_.within(bytes_); }

  // `bytes` at a multiple of `alignment` (at most kTensorAlignment); nullptr while measuring, or if they do not fit.
  void* take(CheckedSize bytes, size_t alignment = kTensorAlignment) {
    const CheckedSize start = used_.aligned(alignment);
    used_ = start + bytes;
    return measures() || overflowed() ? nullptr : memory_ + start.value();
  }

  // `count` elements, value-initialized. Their destructors are the caller's to run.
  template <typename T>
  T* array(size_t count) {
    const size_t bytes = small_target_ ? small_bytes<T>() : sizeof(T);
    auto* elements =
        static_cast<T*>(take(CheckedSize(count) * bytes, small_target_ ? small_alignment<T>() : alignof(T)));
    if (elements != nullptr) std::uninitialized_value_construct_n(elements, count);
    return elements;
  }

  // What is left, from the next multiple of kTensorAlignment on.
  void* rest() const { return measures() ? nullptr : memory_ + used_.aligned(kTensorAlignment).value(); }
  size_t rest_bytes() const {
    const CheckedSize start = used_.aligned(kTensorAlignment);
    return start.within(bytes_) ? bytes_ - static_cast<size_t>(start.value()) : 0;
  }

 private:
  unsigned char* memory_ = nullptr;
  size_t bytes_ = 0;
  bool small_target_ = false;
  CheckedSize used_;
};

}  // namespace figment
