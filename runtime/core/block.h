// One block of memory, laid out twice by the same code: without memory, to know its size, and then in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "core/checked.h"
#include "core/memory.h"

namespace figment {

class Block {
 public:
  // Measures: take() returns nullptr and only counts.
  Block() = default;
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
    auto* elements = static_cast<T*>(take(CheckedSize(count) * sizeof(T), alignof(T)));
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
  CheckedSize used_;
};

}  // namespace figment
