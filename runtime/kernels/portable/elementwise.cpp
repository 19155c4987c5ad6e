// Ops on single elements: broadcasting arithmetic, tables, and conversions between f32 and i8.
#include <cmath>

#include "format/quantized.h"
#include "kernels/conversions.h"
#include "kernels/portable/portable.h"

namespace figment::kernels::portable {

namespace {

// Calls row(a, b, out, count, a_step, b_step) for every innermost row of a broadcast; the steps are 0 or 1.
template <typename T, typename Row>
void broadcast(const Step& step, Row row) {
  const Extents& out_shape = step.output.shape;
  const size_t rank = out_shape.rank();
  const auto* a = static_cast<const T*>(step.inputs[0].data);
  const auto* b = static_cast<const T*>(step.inputs[1].data);
  auto* out = static_cast<T*>(step.output.data);
  if (rank == 0) return row(a, b, out, size_t{1}, size_t{1}, size_t{1});
  // Equal shapes are one row.
  if (step.inputs[0].shape == step.inputs[1].shape) return row(a, b, out, out_shape.elements(), size_t{1}, size_t{1});
  std::array<size_t, kMaxRank> a_stride{};
  std::array<size_t, kMaxRank> b_stride{};
  size_t a_size = 1;
  size_t b_size = 1;
  for (size_t i = rank; i > 0; --i) {
    const size_t a_extent = step.inputs[0].shape[i - 1];
    const size_t b_extent = step.inputs[1].shape[i - 1];
    a_stride[i - 1] = a_extent == 1 ? 0 : a_size;
    b_stride[i - 1] = b_extent == 1 ? 0 : b_size;
    a_size *= a_extent;
    b_size *= b_extent;
  }
  const size_t inner = out_shape[rank - 1];
  const size_t rows = out_shape.elements() / inner;
  std::array<size_t, kMaxRank> position{};
  for (size_t r = 0; r < rows; ++r) {
    size_t a_offset = 0;
    size_t b_offset = 0;
    for (size_t i = 0; i + 1 < rank; ++i) {
      a_offset += position[i] * a_stride[i];
      b_offset += position[i] * b_stride[i];
    }
    row(a + a_offset, b + b_offset, out + r * inner, inner, a_stride[rank - 1], b_stride[rank - 1]);
    for (size_t i = rank - 1; i > 0; --i) {
      if (++position[i - 1] < out_shape[i - 1]) break;
      position[i - 1] = 0;
    }
  }
}

template <typename Function>
void binary_f32(const Step& step, Function function) {
  const float min = step.attributes.clamp_min;
  const float max = step.attributes.clamp_max;
  broadcast<float>(step, [=](const float* a, const float* b, float* out, size_t count, size_t a_step, size_t b_step) {
    for (size_t i = 0; i < count; ++i) {
      float value = function(a[i * a_step], b[i * b_step]);
      value = value < min ? min : value;
      out[i] = value > max ? max : value;
    }
  });
}

void binary_i8(const Step& step) {
  const Quantization& qa = step.inputs[0].quantization;
  const Quantization& qb = step.inputs[1].quantization;
  const Quantization& qo = step.output.quantization;
  const format::IntegerBounds bounds =
      format::integer_bounds(step.attributes.clamp_min, step.attributes.clamp_max, qo.scale(), qo.zero_point);
  const auto low = static_cast<float>(bounds.low - qo.zero_point);
  const auto high = static_cast<float>(bounds.high - qo.zero_point);
  const int32_t za = qa.zero_point;
  const int32_t zb = qb.zero_point;
  const int32_t zo = qo.zero_point;
  if (step.kind == OpKind::kMultiply) {
    const float ratio = qa.scale() * qb.scale() / qo.scale();
    broadcast<int8_t>(
        step, [=](const int8_t* a, const int8_t* b, int8_t* out, size_t count, size_t a_step, size_t b_step) {
          for (size_t i = 0; i < count; ++i) {
            const int32_t product = (a[i * a_step] - za) * (b[i * b_step] - zb);
            out[i] = static_cast<int8_t>(format::round_clamped(static_cast<float>(product) * ratio, low, high) + zo);
          }
        });
    return;
  }
  const float ra = qa.scale() / qo.scale();
  const float rb = step.kind == OpKind::kSubtract ? -(qb.scale() / qo.scale()) : qb.scale() / qo.scale();
  broadcast<int8_t>(step,
                    [=](const int8_t* a, const int8_t* b, int8_t* out, size_t count, size_t a_step, size_t b_step) {
                      for (size_t i = 0; i < count; ++i) {
                        const float left = static_cast<float>(a[i * a_step] - za) * ra;
                        const float right = static_cast<float>(b[i * b_step] - zb) * rb;
                        out[i] = static_cast<int8_t>(format::round_clamped(left + right, low, high) + zo);
                      }
                    });
}

}  // namespace

void binary(const Step& step) {
  if (step.inputs[0].type == DataType::kI8) return binary_i8(step);
  switch (step.kind) {
    case OpKind::kAdd: return binary_f32(step, [](float a, float b) { return a + b; });
    case OpKind::kSubtract: return binary_f32(step, [](float a, float b) { return a - b; });
    case OpKind::kMultiply: return binary_f32(step, [](float a, float b) { return a * b; });
    default: return binary_f32(step, [](float a, float b) { return a / b; });
  }
}

void lookup(const Step& step) {
  kernels::lookup(step.inputs[0].i8(), step.inputs[1].i8(), static_cast<int8_t*>(step.output.data),
                  step.output.elements());
}

void quantize(const Step& step) {
  const Quantization& to = step.output.quantization;
  kernels::quantize(step.inputs[0].f32(), to.scale(), to.zero_point, static_cast<int8_t*>(step.output.data),
                    step.output.elements());
}

void dequantize(const Step& step) {
  const Quantization& from = step.inputs[0].quantization;
  kernels::dequantize(step.inputs[0].i8(), from.scale(), from.zero_point, static_cast<float*>(step.output.data),
                      step.output.elements());
}

void requantize(const Step& step) {
  kernels::requantize(step.inputs[0].i8(), step.inputs[0].quantization, step.output.quantization,
                      static_cast<int8_t*>(step.output.data), step.output.elements());
}

}  // namespace figment::kernels::portable
