// Ops that only move elements, of any type.
#include <algorithm>
#include <cstring>

#include "format/quantized.h"
#include "kernels/permute.h"
#include "kernels/portable/portable.h"

namespace figment::kernels::portable {

using format::PadMode;

namespace {

// Row-major strides of `shape`, in elements.
std::array<size_t, kMaxRank> strides_of(const Extents& shape) {
  std::array<size_t, kMaxRank> strides{};
  size_t size = 1;
  for (size_t i = shape.rank(); i > 0; --i) {
    strides[i - 1] = size;
    size *= shape[i - 1];
  }
  return strides;
}

// out[p] = in[start + sum p[i] * stride[i]] over all positions p of `shape`.
template <typename T>
void gather_strided(const T* in, T* out, const Extents& shape, const std::array<size_t, kMaxRank>& stride) {
  const size_t rank = shape.rank();
  if (rank == 0) {
    *out = *in;
    return;
  }
  const size_t inner = shape[rank - 1];
  const size_t inner_stride = stride[rank - 1];
  const size_t rows = shape.elements() / inner;
  std::array<size_t, kMaxRank> position{};
  for (size_t r = 0; r < rows; ++r, out += inner) {
    size_t offset = 0;
    for (size_t i = 0; i + 1 < rank; ++i) offset += position[i] * stride[i];
    const T* row = in + offset;
    if (inner_stride == 1) {
      std::memcpy(out, row, inner * sizeof(T));
    } else {
      for (size_t i = 0; i < inner; ++i) out[i] = row[i * inner_stride];
    }
    for (size_t i = rank - 1; i > 0; --i) {
      if (++position[i - 1] < shape[i - 1]) break;
      position[i - 1] = 0;
    }
  }
}

template <typename T>
void pad_as(const Step& step, T fill) {
  const Extents& in_shape = step.inputs[0].shape;
  const Extents& shape = step.output.shape;
  const auto* in = static_cast<const T*>(step.inputs[0].data);
  auto* out = static_cast<T*>(step.output.data);
  const std::array<size_t, kMaxRank> strides = strides_of(in_shape);
  const PadMode mode = step.attributes.pad_mode;
  const size_t count = shape.elements();
  std::array<size_t, kMaxRank> position{};
  for (size_t index = 0; index < count; ++index) {
    size_t offset = 0;
    bool inside = true;
    for (size_t i = 0; i < shape.rank(); ++i) {
      auto source = static_cast<int64_t>(position[i]) - static_cast<int64_t>(step.attributes.before[i]);
      const auto last = static_cast<int64_t>(in_shape[i]) - 1;
      if (source < 0 || source > last) {
        if (mode == PadMode::kConstant) {
          inside = false;
          break;
        }
        if (mode == PadMode::kEdge) source = std::clamp<int64_t>(source, 0, last);
        if (mode == PadMode::kReflect) source = source < 0 ? -source : 2 * last - source;
      }
      offset += static_cast<size_t>(source) * strides[i];
    }
    out[index] = inside ? in[offset] : fill;
    for (size_t i = shape.rank(); i > 0; --i) {
      if (++position[i - 1] < shape[i - 1]) break;
      position[i - 1] = 0;
    }
  }
}

}  // namespace

}  // namespace figment::kernels::portable

namespace figment::kernels {

void permute(const void* in, void* out, const Extents& in_shape, const Permutation& permutation, size_t element_bytes) {
  const std::array<size_t, kMaxRank> strides = portable::strides_of(in_shape);
  Extents shape;
  std::array<size_t, kMaxRank> stride{};
  for (size_t i = 0; i < permutation.rank(); ++i) {
    shape.push_back(in_shape[permutation[i]]);
    stride[i] = strides[permutation[i]];
  }
  if (element_bytes == 1) {
    portable::gather_strided(static_cast<const int8_t*>(in), static_cast<int8_t*>(out), shape, stride);
  } else {
    portable::gather_strided(static_cast<const float*>(in), static_cast<float*>(out), shape, stride);
  }
}

}  // namespace figment::kernels

namespace figment::kernels::portable {

void transpose(const Step& step) {
  permute(step.inputs[0].data, step.output.data, step.inputs[0].shape, step.attributes.permutation,
          format::element_size(step.output.type));
}

void reshape(const Step& step) {
  if (step.output.data == step.inputs[0].data) return;
  std::memcpy(step.output.data, step.inputs[0].data, step.output.elements() * format::element_size(step.output.type));
}

void concat(const Step& step) {
  const size_t axis = step.attributes.axes[0];
  const size_t size = format::element_size(step.output.type);
  const Extents& shape = step.output.shape;
  const size_t outer = shape.product(0, axis);
  const size_t row = shape.product(axis, shape.rank()) * size;
  auto* out = static_cast<uint8_t*>(step.output.data);
  for (const Operand& input : step.inputs) {
    const size_t part = input.shape.product(axis, shape.rank()) * size;
    const auto* in = static_cast<const uint8_t*>(input.data);
    for (size_t i = 0; i < outer; ++i) std::memcpy(out + i * row, in + i * part, part);
    out += part;
  }
}

void slice(const Step& step) {
  std::array<size_t, kMaxRank> stride = strides_of(step.inputs[0].shape);
  size_t start = 0;
  for (size_t i = 0; i < step.output.shape.rank(); ++i) {
    start += step.attributes.starts[i] * stride[i];
    stride[i] *= step.attributes.steps[i];
  }
  if (step.output.type == DataType::kI8) {
    gather_strided(step.inputs[0].i8() + start, static_cast<int8_t*>(step.output.data), step.output.shape, stride);
  } else {
    gather_strided(step.inputs[0].f32() + start, static_cast<float*>(step.output.data), step.output.shape, stride);
  }
}

void pad(const Step& step) {
  if (step.output.type == DataType::kI8) {
    const Quantization& q = step.output.quantization;
    pad_as<int8_t>(step, format::quantize(step.attributes.pad_value, q.scale(), q.zero_point));
  } else {
    pad_as<float>(step, step.attributes.pad_value);
  }
}

void resize_nearest(const Step& step) {
  const Extents& in = step.inputs[0].shape;
  const Extents& shape = step.output.shape;
  const size_t pixel = shape[3] * format::element_size(step.output.type);
  const int32_t* rows = step.inputs[1].i32();
  const int32_t* columns = step.inputs[2].i32();
  const auto* x = static_cast<const uint8_t*>(step.inputs[0].data);
  auto* out = static_cast<uint8_t*>(step.output.data);
  const size_t out_row = shape[2] * pixel;
  for (size_t n = 0; n < shape[0]; ++n) {
    for (size_t y = 0; y < shape[1]; ++y, out += out_row) {
      if (y > 0 && rows[y] == rows[y - 1]) {
        std::memcpy(out, out - out_row, out_row);
        continue;
      }
      const uint8_t* row = x + (n * in[1] + static_cast<size_t>(rows[y])) * in[2] * pixel;
      for (size_t c = 0; c < shape[2]; ++c) {
        std::memcpy(out + c * pixel, row + static_cast<size_t>(columns[c]) * pixel, pixel);
      }
    }
  }
}

}  // namespace figment::kernels::portable
