// Shapes: with symbolic batch (as in the file), and resolved for one batch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "core/checked.h"

namespace figment {

inline constexpr size_t kMaxRank = 6;
// Largest extent of one dimension and largest number of elements of one tensor.
inline constexpr uint64_t kMaxExtent = uint64_t{1} << 31;
inline constexpr uint64_t kMaxElements = sizeof(size_t) > 4 ? uint64_t{1} << 31 : uint64_t{1} << 28;

// One dimension of a tensor: `extent`, or `extent` times the batch.
struct Dimension {
  uint32_t extent = 1;
  bool per_batch = false;

  friend bool operator==(const Dimension&, const Dimension&) = default;
};

// Up to kMaxRank dimensions, outermost first, stored densely in that order (row-major).
template <typename T>
class Dimensions {
 public:
  Dimensions() = default;
  Dimensions(std::initializer_list<T> values) {
    for (const T& value : values) push_back(value);
  }

  size_t rank() const { return rank_; }
  bool full() const { return rank_ == kMaxRank; }
  // Requires !full().
  void push_back(T value) { values_[rank_++] = value; }
  T& operator[](size_t i) { return values_[i]; }
  const T& operator[](size_t i) const { return values_[i]; }
  // The i-th dimension counted from the innermost.
  const T& from_end(size_t i) const { return values_[rank_ - 1 - i]; }
  const T* begin() const { return values_.data(); }
  const T* end() const { return values_.data() + rank_; }

  friend bool operator==(const Dimensions& a, const Dimensions& b) {
    if (a.rank_ != b.rank_) return false;
    for (size_t i = 0; i < a.rank_; ++i) {
      if (!(a.values_[i] == b.values_[i])) return false;
    }
    return true;
  }

 private:
  std::array<T, kMaxRank> values_{};
  size_t rank_ = 0;
};

using Permutation = Dimensions<uint32_t>;

// A shape whose dimensions may be multiples of the batch.
using Shape = Dimensions<Dimension>;

// A shape for one batch.
class Extents : public Dimensions<size_t> {
 public:
  using Dimensions::Dimensions;

  size_t elements() const { return product(0, rank()); }
  // Product of dimensions [begin, end).
  size_t product(size_t begin, size_t end) const {
    size_t result = 1;
    for (size_t i = begin; i < end; ++i) result *= (*this)[i];
    return result;
  }
};

// Number of elements of `shape` at `batch`; invalid on overflow.
inline CheckedSize element_count(const Shape& shape, uint64_t batch) {
  CheckedSize count = 1;
  for (const Dimension& dimension : shape) {
    count *= dimension.extent;
    if (dimension.per_batch) count *= batch;
  }
  return count;
}

// `shape` at `batch`. The caller has checked the element count.
inline Extents resolve_extents(const Shape& shape, size_t batch) {
  Extents extents;
  for (const Dimension& dimension : shape) extents.push_back(dimension.extent * (dimension.per_batch ? batch : 1));
  return extents;
}

inline bool is_permutation(const Permutation& permutation, size_t rank) {
  uint32_t seen = 0;
  for (uint32_t axis : permutation) {
    if (axis >= rank) return false;
    seen |= 1U << axis;
  }
  return permutation.rank() == rank && seen == (1U << rank) - 1;
}

}  // namespace figment
