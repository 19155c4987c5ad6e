// What LSTM and GRU cells compute between matrix products, for one sequence of the batch at one time step: rows of
// `hidden` values.
#pragma once

#include <cstddef>

namespace figment::kernels::recurrent {

// The planes of format::lstm_plane at one row.
struct LstmRow {
  float* input;
  float* output;
  float* forget;
  float* candidate;
  float* cell;
  float* hidden;
};

// `gates` and `recurrent` are blocks i, o, f, c of W x + b and R h(t-1).
void lstm_forward(const float* gates, const float* recurrent, const float* previous_cell, LstmRow row, size_t hidden);

// Gradients at one row: `gates` receives those of the blocks i, o, f, c; `cell` is that of c(t) and becomes that of
// c(t-1).
void lstm_backward(LstmRow row, const float* previous_cell, const float* hidden_gradient, float* cell, float* gates,
                   size_t hidden);

// The planes of format::gru_plane at one row.
struct GruRow {
  float* update;
  float* reset;
  float* candidate;
  float* recurrent;
  float* hidden;
};

// Update and reset gates from the blocks z, r of W x + b, R h(t-1) and the recurrent bias.
void gru_gates(const float* gates, const float* recurrent, const float* bias, GruRow row, size_t hidden);
// q = R h(t-1) + Rb, h~ and h(t), the linear map before the reset.
void gru_forward_linear_first(const float* gates, const float* recurrent, const float* bias, const float* previous,
                              GruRow row, size_t hidden);
// q = r h(t-1); then, with `recurrent` = R q, h~ and h(t).
void gru_reset(const float* previous, GruRow row, size_t hidden);
void gru_forward_reset_first(const float* gates, const float* recurrent, const float* bias, const float* previous,
                             GruRow row, size_t hidden);

// Gradients of blocks z and h, and the part of h(t-1)'s that does not come through a matrix, from that of h(t).
void gru_backward(GruRow row, const float* previous, const float* hidden_gradient, float* gates, float* carry,
                  size_t hidden);
// The gradients of r's block and of q, the linear map before the reset.
void gru_backward_linear_first(GruRow row, float* gates, size_t hidden);
// The gradient of r's block from that of q = r h(t-1), the reset before the linear map; adds to h(t-1)'s.
void gru_backward_reset_first(GruRow row, const float* previous, const float* recurrent_gradient, float* gates,
                              float* carry, size_t hidden);

}  // namespace figment::kernels::recurrent
