#include "kernels/portable/axes.h"

#include "core/clones.h"

namespace figment::kernels::portable {

FIGMENT_CLONES void add_rows(const float* x, size_t stride, size_t rows, size_t columns, float* sums) {
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < columns; ++c) sums[c] += x[r * stride + c];
  }
}

}  // namespace figment::kernels::portable
