// Dimensions that are reduced to 1 or grown from 1, as one block if they stand together.
#pragma once

#include "core/shape.h"

namespace figment::kernels::portable {

// A shape as [outer, middle, inner], the middle being what is reduced or grown.
struct AxisRange {
  bool contiguous = false;
  size_t outer = 1;
  size_t middle = 1;
  size_t inner = 1;
};

// sums[c] += x[r][c] over `rows` rows, `stride` apart, of `columns` values. In the order of the rows.
void add_rows(const float* x, size_t stride, size_t rows, size_t columns, float* sums);

// Of `small`, which is `large` with some dimensions of 1.
inline AxisRange grown_axes(const Extents& small, const Extents& large) {
  size_t first = large.rank();
  size_t end = 0;
  for (size_t i = 0; i < large.rank(); ++i) {
    if (small[i] == large[i]) continue;
    first = i < first ? i : first;
    end = i + 1;
  }
  if (end == 0) return {true, 1, 1, large.elements()};
  for (size_t i = first; i < end; ++i) {
    if (small[i] != 1) return {};
  }
  return {true, large.product(0, first), large.product(first, end), large.product(end, large.rank())};
}

}  // namespace figment::kernels::portable
