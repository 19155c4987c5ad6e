// Ops on single elements: broadcasting arithmetic, tables, and conversions between f32 and i8.
#include <cmath>

#include "format/quantized.h"
#include "kernels/conversions.h"
#include "kernels/portable/portable.h"

namespace figment::kernels::portable {

namespace {

// Calls row(operands, out, count, steps) for every innermost row of a broadcast; the steps are 0 or 1.
template <typename T, size_t kOperands, typename Row>
void broadcast(const Step& step, Row row) {
  const Extents& out_shape = step.output.shape;
  const size_t rank = out_shape.rank();
  auto* out = static_cast<T*>(step.output.data);
  std::array<const T*, kOperands> operands{};
  std::array<size_t, kOperands> steps{};
  bool equal = true;
  for (size_t k = 0; k < kOperands; ++k) {
    operands[k] = static_cast<const T*>(step.inputs[k].data);
    steps[k] = 1;
    equal = equal && step.inputs[k].shape == out_shape;
  }
  // Equal shapes are one row.
  if (equal) return row(operands, out, out_shape.elements(), steps);
  std::array<std::array<size_t, kMaxRank>, kOperands> strides{};
  for (size_t k = 0; k < kOperands; ++k) {
    size_t size = 1;
    for (size_t i = rank; i > 0; --i) {
      const size_t extent = step.inputs[k].shape[i - 1];
      strides[k][i - 1] = extent == 1 ? 0 : size;
      size *= extent;
    }
    steps[k] = strides[k][rank - 1];
  }
  const size_t inner = out_shape[rank - 1];
  const size_t rows = out_shape.elements() / inner;
  std::array<size_t, kMaxRank> position{};
  for (size_t r = 0; r < rows; ++r) {
    std::array<const T*, kOperands> places = operands;
    for (size_t k = 0; k < kOperands; ++k) {
      for (size_t i = 0; i + 1 < rank; ++i) places[k] += position[i] * strides[k][i];
    }
    row(places, out + r * inner, inner, steps);
    for (size_t i = rank - 1; i > 0; --i) {
      if (++position[i - 1] < out_shape[i - 1]) break;
      position[i - 1] = 0;
    }
  }
}

template <typename T>
using Pair = std::array<const T*, 2>;
using Steps = std::array<size_t, 2>;

template <typename Function>
void binary_f32(const Step& step, Function function) {
  const float min = step.attributes.clamp_min;
  const float max = step.attributes.clamp_max;
  broadcast<float, 2>(step, [=](const Pair<float>& x, float* out, size_t count, const Steps& steps) {
    for (size_t i = 0; i < count; ++i) {
      float value = function(x[0][i * steps[0]], x[1][i * steps[1]]);
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
    broadcast<int8_t, 2>(step, [=](const Pair<int8_t>& x, int8_t* out, size_t count, const Steps& steps) {
      for (size_t i = 0; i < count; ++i) {
        const int32_t product = (x[0][i * steps[0]] - za) * (x[1][i * steps[1]] - zb);
        out[i] = static_cast<int8_t>(format::round_clamped(static_cast<float>(product) * ratio, low, high) + zo);
      }
    });
    return;
  }
  const float ra = qa.scale() / qo.scale();
  const float rb = step.kind == OpKind::kSubtract ? -(qb.scale() / qo.scale()) : qb.scale() / qo.scale();
  broadcast<int8_t, 2>(step, [=](const Pair<int8_t>& x, int8_t* out, size_t count, const Steps& steps) {
    for (size_t i = 0; i < count; ++i) {
      const float left = static_cast<float>(x[0][i * steps[0]] - za) * ra;
      const float right = static_cast<float>(x[1][i * steps[1]] - zb) * rb;
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
    case OpKind::kGreater: return binary_f32(step, [](float a, float b) { return a > b ? 1.0F : 0.0F; });
    case OpKind::kEqual: return binary_f32(step, [](float a, float b) { return a == b ? 1.0F : 0.0F; });
    default: return binary_f32(step, [](float a, float b) { return a / b; });
  }
}

void select(const Step& step) {
  broadcast<float, 3>(
      step, [](const std::array<const float*, 3>& x, float* out, size_t count, const std::array<size_t, 3>& steps) {
        for (size_t i = 0; i < count; ++i) out[i] = x[0][i * steps[0]] != 0 ? x[1][i * steps[1]] : x[2][i * steps[2]];
      });
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
