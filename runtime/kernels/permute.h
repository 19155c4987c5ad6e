#pragma once

#include <cstddef>

#include "core/shape.h"

namespace figment::kernels {

// out[i] = in[...] with the output's dimension i being the input's dimension permutation[i]; elements of
// `element_bytes` (1 or 4).
void permute(const void* in, void* out, const Extents& in_shape, const Permutation& permutation, size_t element_bytes);

}  // namespace figment::kernels
