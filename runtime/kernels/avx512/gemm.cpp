#include "kernels/avx512/gemm.h"

#if defined(__x86_64__)

#include <cpuinfo.h>
#include <immintrin.h>
#include <pthreadpool.h>

#include <algorithm>
#include <cstring>

namespace figment::kernels::avx512 {

namespace {

constexpr size_t kVector = 16;             // floats in a register
constexpr size_t kPanel = 2 * kVector;     // outputs that are packed together
constexpr size_t kTileRows = 8;            // rows computed together: with a panel, 16 of the 32 registers accumulate
constexpr size_t kFewRows = 4;             // up to here one tile holds all rows and takes several panels
constexpr size_t kFewRowsPanels = 4;       // the panels that a task of few rows takes
constexpr size_t kBlockBytes = 256 << 10;  // of input rows that pass over a panel in one go, to stay in the L2 cache

using Tile = void (*)(const Product& product, size_t row, size_t column);

// kRows rows by kVectors * 16 outputs from `column` on; two vectors to a panel.
template <size_t kRows, size_t kVectors>
[[gnu::target("avx512f")]] void compute_tile(const Product& product, size_t row, size_t column) {
  constexpr size_t kPanels = (kVectors + 1) / 2;
  constexpr size_t kWidth = kVectors == 1 ? kVector : kPanel;
  const size_t inputs = product.inputs;
  const float* input = product.input + row * inputs;
  const float* panels[kPanels];
  for (size_t p = 0; p < kPanels; ++p) panels[p] = product.packed + (column + p * kPanel) * (inputs + 1);
  __m512 sums[kRows][kVectors];
#pragma GCC unroll 8
  for (size_t v = 0; v < kVectors; ++v) {
    const __m512 bias = _mm512_load_ps(panels[v / 2] + v % 2 * kVector);
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) sums[r][v] = bias;
  }
  for (size_t k = 0; k < inputs; ++k) {
    __m512 weights[kVectors];
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v)
      weights[v] = _mm512_load_ps(panels[v / 2] + (k + 1) * kWidth + v % 2 * kVector);
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
      const __m512 x = _mm512_set1_ps(input[r * inputs + k]);
#pragma GCC unroll 8
      for (size_t v = 0; v < kVectors; ++v) sums[r][v] = _mm512_fmadd_ps(x, weights[v], sums[r][v]);
    }
  }
  const __m512 min = _mm512_set1_ps(product.min);
  const __m512 max = _mm512_set1_ps(product.max);
#pragma GCC unroll 8
  for (size_t v = 0; v < kVectors; ++v) {
    const size_t first = column + v * kVector;
    if (first >= product.outputs) break;
    const size_t count = std::min(product.outputs - first, kVector);
    const auto mask = static_cast<__mmask16>((1U << count) - 1);
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
      // A NaN sum stays NaN: it is the second operand.
      const __m512 value = _mm512_min_ps(max, _mm512_max_ps(min, sums[r][v]));
      _mm512_mask_storeu_ps(product.output + (row + r) * product.outputs + first, mask, value);
    }
  }
}

// By rows - 1: as many panels as keep 16 registers accumulating, one panel, half a panel.
constexpr Tile kWideTiles[kFewRows] = {compute_tile<1, 8>, compute_tile<2, 8>, compute_tile<3, 4>, compute_tile<4, 4>};
constexpr size_t kWideTileOutputs[kFewRows] = {8 * kVector, 8 * kVector, 4 * kVector, 4 * kVector};
constexpr Tile kPanelTiles[kTileRows] = {compute_tile<1, 2>, compute_tile<2, 2>, compute_tile<3, 2>,
                                         compute_tile<4, 2>, compute_tile<5, 2>, compute_tile<6, 2>,
                                         compute_tile<7, 2>, compute_tile<8, 2>};
constexpr Tile kHalfTiles[kTileRows] = {compute_tile<1, 1>, compute_tile<2, 1>, compute_tile<3, 1>, compute_tile<4, 1>,
                                        compute_tile<5, 1>, compute_tile<6, 1>, compute_tile<7, 1>, compute_tile<8, 1>};

// All rows [first, first + rows), at most kFewRows, of the outputs [column, end).
void few_rows(const Product& product, size_t first, size_t rows, size_t column, size_t end) {
  while (column < end) {
    const size_t left = end - column;
    const size_t wide = kWideTileOutputs[rows - 1];
    // A wide tile reads whole panels.
    if (left > wide - kVector) {
      kWideTiles[rows - 1](product, first, column);
      column += wide;
    } else {
      (left > kVector ? kPanelTiles : kHalfTiles)[rows - 1](product, first, column);
      column += kPanel;
    }
  }
}

// The rows [first, first + rows) of the panel at `column`, in tiles that differ by one row at most.
void panel_rows(const Product& product, size_t first, size_t rows, size_t column) {
  const Tile* tiles = product.outputs - column > kVector ? kPanelTiles : kHalfTiles;
  for (size_t left = (rows + kTileRows - 1) / kTileRows; left > 0; --left) {
    const size_t count = (rows + left - 1) / left;
    tiles[count - 1](product, first, column);
    first += count;
    rows -= count;
  }
}

// How the product is cut into tasks.
struct Tasks {
  const Product* product;
  size_t block_rows;
  size_t task_outputs;
};

void run_task(void* context, size_t block, size_t task) {
  const auto& [product, block_rows, task_outputs] = *static_cast<const Tasks*>(context);
  const size_t first = block * block_rows;
  const size_t rows = std::min(block_rows, product->rows - first);
  const size_t column = task * task_outputs;
  if (rows <= kFewRows) {
    few_rows(*product, first, rows, column, std::min(product->outputs, column + task_outputs));
  } else {
    for (size_t panel = column; panel < std::min(product->outputs, column + task_outputs); panel += kPanel) {
      panel_rows(*product, first, rows, panel);
    }
  }
}

}  // namespace

bool available() { return cpuinfo_has_x86_avx512f(); }

size_t packed_size(size_t inputs, size_t outputs) { return (outputs + kVector - 1) / kVector * kVector * (inputs + 1); }

void pack(const float* kernel, const float* bias, size_t inputs, size_t outputs, float* packed) {
  for (size_t column = 0; column < outputs; column += kPanel) {
    const size_t width = outputs - column > kVector ? kPanel : kVector;
    const size_t count = std::min(outputs - column, width);
    float* panel = packed + column * (inputs + 1);
    std::memset(panel, 0, width * (inputs + 1) * sizeof(float));
    if (bias != nullptr) std::memcpy(panel, bias + column, count * sizeof(float));
    for (size_t i = 0; i < count; ++i) {
      const float* row = kernel + (column + i) * inputs;
      for (size_t k = 0; k < inputs; ++k) panel[(k + 1) * width + i] = row[k];
    }
  }
}

void multiply(const Product& product, pthreadpool* threads) {
  const size_t rows_in_cache = kBlockBytes / (product.inputs * sizeof(float)) / kTileRows * kTileRows;
  const size_t block_rows = std::min(product.rows, std::max(rows_in_cache, kTileRows));
  const size_t task_outputs = block_rows <= kFewRows ? kFewRowsPanels * kPanel : kPanel;
  Tasks tasks{&product, block_rows, task_outputs};
  pthreadpool_parallelize_2d(threads, run_task, &tasks, (product.rows + block_rows - 1) / block_rows,
                             (product.outputs + task_outputs - 1) / task_outputs, PTHREADPOOL_FLAG_DISABLE_DENORMALS);
}

}  // namespace figment::kernels::avx512

#else

namespace figment::kernels::avx512 {

bool available() { return false; }

// Never called where nothing is available.
size_t packed_size(size_t /*inputs*/, size_t /*outputs*/) { return 0; }
void pack(const float* /*kernel*/, const float* /*bias*/, size_t /*inputs*/, size_t /*outputs*/, float* /*packed*/) {}
void multiply(const Product& /*product*/, pthreadpool* /*threads*/) {}

}  // namespace figment::kernels::avx512

#endif
