// One tile in GCC's vector extensions, compiled for several instruction sets. This file alone is compiled with
// -ffp-contract=fast, for fused multiply-add.
#include "kernels/gemm/gemm.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "kernels/backend.h"

namespace figment::kernels::gemm {

namespace {

constexpr size_t kVector = 16;
using Vector = float __attribute__((vector_size(kVector * sizeof(float))));

constexpr size_t kPanel = 32;  // columns of b that are rearranged together

// A tile of c: rows of a against `columns` (at most kPanel) columns of a packed panel [depth, kPanel].
struct Tile {
  const float* a;
  size_t a_row;
  size_t a_depth;
  const float* panel;
  float* c;
  size_t c_row;
  size_t depth;
  size_t columns;
  bool accumulate;
};

template <size_t kRows, size_t kVectors>
[[gnu::always_inline]] inline void compute(const Tile& tile, size_t first) {
  Vector sums[kRows][kVectors] = {};
  const float* a = tile.a;
  const float* b = tile.panel + first;
  for (size_t k = 0; k < tile.depth; ++k, a += tile.a_depth, b += kPanel) {
    Vector weights[kVectors];
    for (size_t v = 0; v < kVectors; ++v) std::memcpy(&weights[v], b + v * kVector, sizeof(Vector));
    for (size_t r = 0; r < kRows; ++r) {
      const float x = a[r * tile.a_row];
      for (size_t v = 0; v < kVectors; ++v) sums[r][v] += x * weights[v];
    }
  }
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t v = 0; v < kVectors; ++v) {
      const size_t column = first + v * kVector;
      if (column >= tile.columns) break;
      const size_t count = std::min(tile.columns - column, kVector);
      float* target = tile.c + r * tile.c_row + column;
      float values[kVector];
      std::memcpy(values, &sums[r][v], sizeof values);
      if (tile.accumulate) {
        for (size_t i = 0; i < count; ++i) target[i] += values[i];
      } else if (count == kVector) {
        std::memcpy(target, values, sizeof values);
      } else {
        std::memcpy(target, values, count * sizeof(float));
      }
    }
  }
}

// All columns of a tile, kVectors at a time.
template <size_t kRows, size_t kVectors>
[[gnu::always_inline]] inline void compute_columns(const Tile& tile) {
  size_t first = 0;
  for (; first + (kVectors - 1) * kVector < tile.columns; first += kVectors * kVector) {
    compute<kRows, kVectors>(tile, first);
  }
  for (; first < tile.columns; first += kVector) compute<kRows, 1>(tile, first);
}

[[gnu::always_inline]] inline void load(const float* from, Vector* out) { std::memcpy(out, from, sizeof *out); }
[[gnu::always_inline]] inline void load(const int8_t* from, Vector* out) {
  int8_t __attribute__((vector_size(kVector))) integers;
  std::memcpy(&integers, from, sizeof integers);
  *out = __builtin_convertvector(integers, Vector);
}

// 16 rows of `from`, `stride` apart, as the columns of 16 rows of a panel. Four perfect shuffles of the rows are a
// transposition.
template <typename T>
[[gnu::always_inline]] inline void transpose_block(const T* from, size_t stride, float* out) {
  Vector rows[kVector];
  Vector shuffled[kVector];
  for (size_t i = 0; i < kVector; ++i) load(from + i * stride, &rows[i]);
  for (int pass = 0; pass < 4; ++pass) {
    for (size_t i = 0; i < kVector / 2; ++i) {
      const Vector& a = rows[i];
      const Vector& b = rows[i + kVector / 2];
      shuffled[2 * i] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      shuffled[2 * i + 1] = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    for (size_t i = 0; i < kVector; ++i) rows[i] = shuffled[i];
  }
  for (size_t i = 0; i < kVector; ++i) std::memcpy(out + i * kPanel, &rows[i], sizeof(Vector));
}

// Panel number `panel` of b, whose elements are `data`, as [depth, kPanel], zeros behind the last column.
template <typename T>
[[gnu::always_inline]] inline void pack_elements(const Product& product, const T* data, size_t panel, float* out) {
  const size_t first = panel * kPanel;
  const size_t count = std::min(product.columns - first, kPanel);
  const T* from = data + first * product.b.column;
  if (count < kPanel) std::memset(out, 0, product.depth * kPanel * sizeof(float));
  if (product.b.column == 1) {
    // A whole panel by vectors: a call for each row would cost as much as the copy.
    for (size_t k = 0; k < product.depth; ++k) {
      const T* row = from + k * product.b.row;
      Vector values;
      if (count == kPanel) {
        for (size_t v = 0; v < kPanel; v += kVector) {
          load(row + v, &values);
          std::memcpy(out + k * kPanel + v, &values, sizeof values);
        }
      } else {
        for (size_t j = 0; j < count; ++j) out[k * kPanel + j] = static_cast<float>(row[j]);
      }
    }
    return;
  }
  // b.row is 1: its columns are contiguous.
  const size_t whole_columns = count / kVector * kVector;
  const size_t whole_depth = product.depth / kVector * kVector;
  for (size_t j = 0; j < whole_columns; j += kVector) {
    for (size_t k = 0; k < whole_depth; k += kVector) {
      transpose_block(from + j * product.b.column + k, product.b.column, out + k * kPanel + j);
    }
  }
  for (size_t j = 0; j < count; ++j) {
    for (size_t k = j < whole_columns ? whole_depth : 0; k < product.depth; ++k) {
      out[k * kPanel + j] = static_cast<float>(from[j * product.b.column + k]);
    }
  }
}

// The elements of a panel of int8 weights, times their scales.
[[gnu::always_inline]] inline void scale_panel(const Product& product, size_t panel, float* out) {
  const QuantizedMatrix& weights = product.quantized;
  float scales[kPanel];
  for (size_t j = 0; j < kPanel; ++j) scales[j] = weights.scales[(panel * kPanel + j) % weights.count];
  for (size_t k = 0; k < product.depth; ++k, out += kPanel) {
    if (weights.by_row) std::fill_n(scales, kPanel, weights.scales[k % weights.count]);
    for (size_t j = 0; j < kPanel; ++j) out[j] *= scales[j];
  }
}

[[gnu::always_inline]] inline void pack_panel(const Product& product, size_t panel, float* out) {
  if (product.quantized.data == nullptr) return pack_elements(product, product.b.data, panel, out);
  pack_elements(product, product.quantized.data, panel, out);
  scale_panel(product, panel, out);
}

using Compute = void (*)(const Tile& tile);

// What is compiled for an instruction set: tiles, by rows - 1, and packing.
struct Tiles {
  size_t most_rows;
  const Compute* by_rows;
  void (*pack)(const Product& product, size_t panel, float* out);
};

#if defined(__x86_64__)
template <size_t kRows>
[[gnu::target("avx512f")]] void compute_avx512(const Tile& tile) {
  compute_columns<kRows, 2>(tile);
}
template <size_t kRows>
[[gnu::target("avx2,fma")]] void compute_avx2(const Tile& tile) {
  compute_columns<kRows, 1>(tile);
}
[[gnu::target("avx512f")]] void pack_avx512(const Product& product, size_t panel, float* out) {
  pack_panel(product, panel, out);
}
[[gnu::target("avx2,fma")]] void pack_avx2(const Product& product, size_t panel, float* out) {
  pack_panel(product, panel, out);
}
constexpr Compute kAvx512[] = {compute_avx512<1>, compute_avx512<2>, compute_avx512<3>, compute_avx512<4>,
                               compute_avx512<5>, compute_avx512<6>, compute_avx512<7>, compute_avx512<8>};
constexpr Compute kAvx2[] = {compute_avx2<1>, compute_avx2<2>, compute_avx2<3>,
                             compute_avx2<4>, compute_avx2<5>, compute_avx2<6>};
#endif

template <size_t kRows>
void compute_baseline(const Tile& tile) {
  compute_columns<kRows, 1>(tile);
}
#if defined(__aarch64__)
constexpr Compute kBaseline[] = {compute_baseline<1>, compute_baseline<2>, compute_baseline<3>,
                                 compute_baseline<4>, compute_baseline<5>, compute_baseline<6>};
#else
constexpr Compute kBaseline[] = {compute_baseline<1>, compute_baseline<2>};
#endif

void pack_baseline(const Product& product, size_t panel, float* out) { pack_panel(product, panel, out); }

Tiles tiles() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return {std::size(kAvx512), kAvx512, pack_avx512};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {std::size(kAvx2), kAvx2, pack_avx2};
#endif
  return {std::size(kBaseline), kBaseline, pack_baseline};
}

struct Task {
  const Product* product;
  float* scratch;       // a panel for each thread to pack to, or nullptr
  const float* packed;  // all panels, or nullptr
  Tiles tiles;
};

size_t panel_count(size_t columns) { return (columns + kPanel - 1) / kPanel; }

void run_panel(void* context, size_t thread, size_t panel) {
  const auto& [given, scratch, packed, tiles] = *static_cast<const Task*>(context);
  const Product& product = *given;
  const size_t panel_floats = product.depth * kPanel;
  const float* weights = nullptr;
  if (packed != nullptr) {
    weights = packed + panel * panel_floats;
  } else {
    float* own = scratch + thread * panel_floats;
    tiles.pack(product, panel, own);
    weights = own;
  }
  const size_t first = panel * kPanel;
  size_t row = 0;
  for (size_t left = (product.rows + tiles.most_rows - 1) / tiles.most_rows; left > 0; --left) {
    const size_t count = (product.rows - row + left - 1) / left;
    const Tile tile{product.a.data + row * product.a.row,
                    product.a.row,
                    product.a.column,
                    weights,
                    product.c + row * product.c_row + first,
                    product.c_row,
                    product.depth,
                    std::min(product.columns - first, kPanel),
                    product.accumulate};
    tiles.by_rows[count - 1](tile);
    row += count;
  }
}

void run(Task task, Team* threads) {
  const Product& product = *task.product;
  constexpr size_t kWorth = 1000000;  // multiply-adds from which threads are worth their hand-over
  const size_t panels = panel_count(product.columns);
  if (threads != nullptr && product.rows * product.depth * product.columns >= kWorth) {
    parallelize(threads, run_panel, &task, panels);
  } else {
    for (size_t panel = 0; panel < panels; ++panel) run_panel(&task, 0, panel);
  }
}

}  // namespace

CheckedSize scratch_floats(CheckedSize depth, Team* threads) {
  return CheckedSize(kPanel) * depth * thread_count(threads);
}

void multiply(const Product& product, float* scratch, Team* threads) {
  run({&product, scratch, nullptr, tiles()}, threads);
}

CheckedSize packed_floats(CheckedSize depth, size_t columns) {
  return CheckedSize(panel_count(columns)) * kPanel * depth;
}

void pack(const Product& product, float* packed) {
  for (size_t panel = 0; panel < panel_count(product.columns); ++panel) {
    tiles().pack(product, panel, packed + panel * product.depth * kPanel);
  }
}

void multiply_packed(const Product& product, const float* packed, Team* threads) {
  run({&product, nullptr, packed, tiles()}, threads);
}

}  // namespace figment::kernels::gemm
