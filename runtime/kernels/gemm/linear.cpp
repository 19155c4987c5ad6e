// Matrix products and fully connected layers.
#include <algorithm>

#include "kernels/gemm/finish.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/gemm_kernels.h"

namespace figment::kernels::gemm {

namespace {

size_t depth_of(const Step& step) { return step.inputs[0].shape.from_end(step.attributes.transpose_a ? 1 : 0); }

CheckedSize matmul_scratch(const Step& step) { return scratch_floats(depth_of(step), step.threads) * sizeof(float); }

void matmul(const Step& step) {
  const size_t rows = step.output.shape.from_end(1);
  const size_t columns = step.output.shape.from_end(0);
  const size_t depth = depth_of(step);
  const size_t matrices = step.output.elements() / (rows * columns);
  const bool ta = step.attributes.transpose_a;
  const bool tb = step.attributes.transpose_b;
  for (size_t m = 0; m < matrices; ++m) {
    Product product{};
    product.a = {step.inputs[0].f32() + m * rows * depth, ta ? 1 : depth, ta ? rows : 1};
    product.b = {nullptr, tb ? 1 : columns, tb ? depth : 1};
    set_weights(step.inputs[1], m * depth * columns, !tb, &product);
    product.c = static_cast<float*>(step.output.data) + m * rows * columns;
    product.c_row = columns;
    product.rows = rows;
    product.depth = depth;
    product.columns = columns;
    multiply(product, static_cast<float*>(step.scratch), step.threads);
  }
}

bool accepts_fully_connected(const Step& step) { return step.output.type == DataType::kF32 && packs_each_run(step); }

CheckedSize fully_connected_scratch(const Step& step) {
  return scratch_floats(step.inputs[1].shape[1], step.threads) * sizeof(float);
}

void fully_connected(const Step& step) {
  const size_t outputs = step.inputs[1].shape[0];
  const size_t inputs = step.inputs[1].shape[1];
  Product product{};
  product.a = {step.inputs[0].f32(), inputs, 1};
  product.b = {nullptr, 1, inputs};
  set_weights(step.inputs[1], 0, false, &product);
  product.c = static_cast<float*>(step.output.data);
  product.c_row = outputs;
  product.rows = step.inputs[0].elements() / inputs;
  product.depth = inputs;
  product.columns = outputs;
  multiply(product, static_cast<float*>(step.scratch), step.threads);
  finish_rows(step, product.c, product.rows, outputs);
}

}  // namespace

void finish_rows(const Step& step, float* rows, size_t count, size_t channels) {
  const float* bias = step.has_bias() ? step.inputs[2].f32() : nullptr;
  const float min = step.attributes.clamp_min;
  const float max = step.attributes.clamp_max;
  for (size_t row = 0; row < count; ++row, rows += channels) {
    if (bias != nullptr) {
      for (size_t i = 0; i < channels; ++i) rows[i] += bias[i];
    }
    if (step.attributes.clamps()) {
      for (size_t i = 0; i < channels; ++i) rows[i] = std::min(std::max(rows[i], min), max);
    }
  }
}

const fig_op kMatmul = plain_kernel(OpKind::kMatmul, "gemm", nullptr, matmul, matmul_scratch);
const fig_op kFullyConnected = plain_kernel(OpKind::kFullyConnected, "gemm fully connected", accepts_fully_connected,
                                            fully_connected, fully_connected_scratch);

}  // namespace figment::kernels::gemm
