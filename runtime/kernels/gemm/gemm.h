// f32 matrix products whose operands all change from run to run, as in training: nothing is packed ahead.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/checked.h"
#include "kernels/team.h"

namespace figment::kernels::gemm {

// Element (i, j) is data[i * row + j * column].
struct Matrix {
  const float* data;
  size_t row;
  size_t column;
};

// Weights in int8: element (i, j) is data[i * row + j * column] times a scale, that of its row or its column, of which
// there are `count` in turn.
struct QuantizedMatrix {
  const int8_t* data;  // nullptr: none
  const float* scales;
  size_t count;
  bool by_row;
};

// c = a b, or c += a b: a [rows, depth], b [depth, columns], c [rows, columns] with rows c_row apart. One
// stride of b is 1. Every sum runs over the depth in order: results do not depend on the number of threads.
struct Product {
  Matrix a;
  Matrix b;
  float* c;
  size_t c_row;
  size_t rows;
  size_t depth;
  size_t columns;
  bool accumulate = false;
  QuantizedMatrix quantized{};  // b, if it has data: with the strides of `b`, which has none then
};

// Floats of scratch that a product needs: each thread rearranges a panel of b's columns, which stays in the cache while
// the rows of a pass over it.
CheckedSize scratch_floats(CheckedSize depth, Team* threads);

void multiply(const Product& product, float* scratch, Team* threads);

// The same in two parts, for a b that is used several times: `packed` holds all its panels.
CheckedSize packed_floats(CheckedSize depth, size_t columns);
void pack(const Product& product, float* packed);
void multiply_packed(const Product& product, const float* packed, Team* threads);

}  // namespace figment::kernels::gemm
