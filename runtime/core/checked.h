// Arithmetic on sizes that come from files and callers: overflow is remembered, never wrapped.
#pragma once

#include <cstddef>
#include <cstdint>

namespace figment {

// A 64-bit size that turns invalid when an operation overflows and stays invalid from then on.
class CheckedSize {
 public:
  constexpr CheckedSize(uint64_t value = 0) : value_(value) {}  // NOLINT(google-explicit-constructor)

  constexpr bool valid() const { return valid_; }
  constexpr uint64_t value() const { return value_; }
  // True when valid and at most `limit`.
  constexpr bool within(uint64_t limit) const { return valid_ && value_ <= limit; }

  friend constexpr CheckedSize operator+(CheckedSize a, CheckedSize b) {
    CheckedSize sum;
    sum.valid_ = !__builtin_add_overflow(a.value_, b.value_, &sum.value_) && a.valid_ && b.valid_;
    return sum;
  }
  friend constexpr CheckedSize operator*(CheckedSize a, CheckedSize b) {
    CheckedSize product;
    product.valid_ = !__builtin_mul_overflow(a.value_, b.value_, &product.value_) && a.valid_ && b.valid_;
    return product;
  }
  constexpr CheckedSize& operator+=(CheckedSize other) { return *this = *this + other; }
  constexpr CheckedSize& operator*=(CheckedSize other) { return *this = *this * other; }

  // The smallest multiple of `alignment` (a power of two) that is not smaller.
  constexpr CheckedSize aligned(uint64_t alignment) const {
    CheckedSize padded = *this + CheckedSize(alignment - 1);
    padded.value_ &= ~(alignment - 1);
    return padded;
  }

 private:
  uint64_t value_ = 0;
  bool valid_ = true;
};

// The larger of two; invalid if one is.
constexpr CheckedSize larger(CheckedSize a, CheckedSize b) {
  if (!a.valid() || !b.valid()) return a.valid() ? b : a;
  return a.value() < b.value() ? b : a;
}

// True when [offset, offset + length) lies inside [0, size).
constexpr bool range_inside(uint64_t offset, uint64_t length, uint64_t size) {
  return offset <= size && length <= size - offset;
}

}  // namespace figment
