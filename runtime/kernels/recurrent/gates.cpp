#include "kernels/recurrent/gates.h"

#include "core/clones.h"
#include "core/functions.h"

namespace figment::kernels::recurrent {

FIGMENT_CLONES void lstm_forward(const float* gates, const float* recurrent, const float* previous_cell, LstmRow row,
                                 size_t hidden) {
  FIGMENT_INDEPENDENT
  for (size_t j = 0; j < hidden; ++j) {
    const float i = sigmoid(gates[j] + recurrent[j]);
    const float o = sigmoid(gates[hidden + j] + recurrent[hidden + j]);
    const float f = sigmoid(gates[2 * hidden + j] + recurrent[2 * hidden + j]);
    const float candidate = hyperbolic_tangent(gates[3 * hidden + j] + recurrent[3 * hidden + j]);
    const float cell = f * previous_cell[j] + i * candidate;
    row.input[j] = i;
    row.output[j] = o;
    row.forget[j] = f;
    row.candidate[j] = candidate;
    row.cell[j] = cell;
    row.hidden[j] = o * hyperbolic_tangent(cell);
  }
}

FIGMENT_CLONES void lstm_backward(LstmRow row, const float* previous_cell, const float* hidden_gradient, float* cell,
                                  float* gates, size_t hidden) {
  FIGMENT_INDEPENDENT
  for (size_t j = 0; j < hidden; ++j) {
    const float i = row.input[j];
    const float o = row.output[j];
    const float f = row.forget[j];
    const float candidate = row.candidate[j];
    const float squashed = hyperbolic_tangent(row.cell[j]);
    const float dh = hidden_gradient[j];
    const float dc = cell[j] + dh * o * (1 - squashed * squashed);
    gates[j] = dc * candidate * i * (1 - i);
    gates[hidden + j] = dh * squashed * o * (1 - o);
    gates[2 * hidden + j] = dc * previous_cell[j] * f * (1 - f);
    gates[3 * hidden + j] = dc * i * (1 - candidate * candidate);
    cell[j] = dc * f;
  }
}

FIGMENT_CLONES void gru_gates(const float* gates, const float* recurrent, const float* bias, GruRow row,
                              size_t hidden) {
  FIGMENT_INDEPENDENT
  for (size_t j = 0; j < hidden; ++j) {
    row.update[j] = sigmoid(gates[j] + recurrent[j] + bias[j]);
    row.reset[j] = sigmoid(gates[hidden + j] + recurrent[hidden + j] + bias[hidden + j]);
  }
}

FIGMENT_CLONES void gru_forward_linear_first(const float* gates, const float* recurrent, const float* bias,
                                             const float* previous, GruRow row, size_t hidden) {
  FIGMENT_INDEPENDENT
  for (size_t j = 0; j < hidden; ++j) {
    const float q = recurrent[j] + bias[2 * hidden + j];
    const float candidate = hyperbolic_tangent(gates[2 * hidden + j] + row.reset[j] * q);
    row.recurrent[j] = q;
    row.candidate[j] = candidate;
    row.hidden[j] = (1 - row.update[j]) * candidate + row.update[j] * previous[j];
  }
}

FIGMENT_CLONES void gru_reset(const float* previous, GruRow row, size_t hidden) {
  for (size_t j = 0; j < hidden; ++j) row.recurrent[j] = row.reset[j] * previous[j];
}

FIGMENT_CLONES void gru_forward_reset_first(const float* gates, const float* recurrent, const float* bias,
                                            const float* previous, GruRow row, size_t hidden) {
  FIGMENT_INDEPENDENT
  for (size_t j = 0; j < hidden; ++j) {
    const float candidate = hyperbolic_tangent(gates[2 * hidden + j] + recurrent[j] + bias[2 * hidden + j]);
    row.candidate[j] = candidate;
    row.hidden[j] = (1 - row.update[j]) * candidate + row.update[j] * previous[j];
  }
}

FIGMENT_CLONES void gru_backward(GruRow row, const float* previous, const float* hidden_gradient, float* gates,
                                 float* carry, size_t hidden) {
  FIGMENT_INDEPENDENT
  for (size_t j = 0; j < hidden; ++j) {
    const float z = row.update[j];
    const float candidate = row.candidate[j];
    const float dh = hidden_gradient[j];
    gates[j] = dh * (previous[j] - candidate) * z * (1 - z);
    gates[2 * hidden + j] = dh * (1 - z) * (1 - candidate * candidate);
    carry[j] = dh * z;
  }
}

FIGMENT_CLONES void gru_backward_linear_first(GruRow row, float* gates, size_t hidden) {
  FIGMENT_INDEPENDENT
  for (size_t j = 0; j < hidden; ++j) {
    const float r = row.reset[j];
    const float candidate = gates[2 * hidden + j];
    gates[hidden + j] = candidate * row.recurrent[j] * r * (1 - r);
    gates[3 * hidden + j] = candidate * r;
  }
}

FIGMENT_CLONES void gru_backward_reset_first(GruRow row, const float* previous, const float* recurrent_gradient,
                                             float* gates, float* carry, size_t hidden) {
  FIGMENT_INDEPENDENT
  for (size_t j = 0; j < hidden; ++j) {
    const float r = row.reset[j];
    const float dq = recurrent_gradient[j];
    gates[hidden + j] = dq * previous[j] * r * (1 - r);
    gates[3 * hidden + j] = 0;
    carry[j] += dq * r;
  }
}

}  // namespace figment::kernels::recurrent
