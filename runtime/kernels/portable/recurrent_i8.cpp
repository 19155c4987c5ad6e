// LSTM and GRU on int8 weights: docs/file_format.md defines the arithmetic. Of the states only what the next step needs
// is kept, and weights are read as they lie in the file.
#include <algorithm>
#include <cstring>

#include "core/clones.h"
#include "format/quantized.h"
#include "kernels/conversions.h"
#include "kernels/portable/dot.h"
#include "kernels/portable/portable.h"
#include "kernels/recurrent/gates.h"
#include "kernels/sequence_length.h"

namespace figment::kernels::portable {

namespace {

// out[r] = the sum of x[j] weights[r][j], times its scales, for `count` rows of `hidden` weights.
FIGMENT_CLONES void multiply_rows(const int8_t* x, float scale, const int8_t* weights, const float* scales,
                                  size_t count, size_t hidden, float* out) {
  size_t r = 0;
  for (; r + kDotRows <= count; r += kDotRows) {
    int32_t sums[kDotRows] = {};
    dot_rows(x, int32_t{0}, weights + r * hidden, hidden, hidden, sums);
    for (size_t i = 0; i < kDotRows; ++i) out[r + i] = static_cast<float>(sums[i]) * (scale * scales[r + i]);
  }
  for (; r < count; ++r) {
    int32_t sum = 0;
    dot_row(x, int32_t{0}, weights + r * hidden, hidden, &sum);
    out[r] = static_cast<float>(sum) * (scale * scales[r]);
  }
}

class RecurrentI8 {
 public:
  explicit RecurrentI8(const Step& step)
      : step_(step),
        lstm_(step.kind == OpKind::kLstmI8),
        steps_(step.output.shape[0]),
        batch_(step.output.shape[1]),
        hidden_(step.output.shape[2]),
        blocks_(lstm_ ? 4 : 3) {}

  // Bytes: for each sequence h and c, f32, and for one at a time the gates, R h, what cells compute beside the states,
  // and a state in int8.
  CheckedSize scratch() const {
    const CheckedSize states = CheckedSize(batch_) * hidden_ * (lstm_ ? 2 : 1);
    return (states + CheckedSize(hidden_) * (2 * blocks_ + 2)) * sizeof(float) + hidden_;
  }

  void run() {
    auto* scratch = static_cast<float*>(step_.scratch);
    states_ = scratch;
    cells_ = states_ + batch_ * hidden_;
    gates_ = lstm_ ? cells_ + batch_ * hidden_ : cells_;
    recurrent_ = gates_ + blocks_ * hidden_;
    reset_ = recurrent_ + blocks_ * hidden_;
    unused_ = reset_ + hidden_;
    quantized_ = reinterpret_cast<int8_t*>(unused_ + hidden_);
    begin(step_.inputs[lstm_ ? 2 : 3], states_);
    if (lstm_) begin(step_.inputs[3], cells_);
    const Quantization& input = step_.inputs[0].quantization;
    const Quantization& output = step_.output.quantization;
    for (size_t t = 0; t < steps_; ++t) {
      for (size_t n = 0; n < batch_; ++n) {
        const size_t row = t * batch_ + n;
        float* hidden = states_ + n * hidden_;
        if (t < sequence_length(step_, 4, n, steps_)) {
          kernels::dequantize(step_.inputs[0].i8() + row * blocks_ * hidden_, input.scale(), input.zero_point, gates_,
                              blocks_ * hidden_);
          lstm_ ? step_lstm(hidden, cells_ + n * hidden_) : step_gru(hidden);
        }
        kernels::quantize(hidden, output.scale(), output.zero_point,
                          static_cast<int8_t*>(step_.output.data) + row * hidden_, hidden_);
      }
    }
  }

 private:
  void begin(const Operand& initial, float* states) const {
    const size_t row = initial.shape[0] == 1 ? 0 : hidden_;
    for (size_t n = 0; n < batch_; ++n) std::copy_n(initial.f32() + n * row, hidden_, states + n * hidden_);
  }

  // out[r] = row r of R times x, for rows [first, end); x is quantized by its largest magnitude.
  void multiply(const float* x, size_t first, size_t end, float* out) const {
    float largest = 0;
    for (size_t j = 0; j < hidden_; ++j) {
      const float magnitude = x[j] < 0 ? -x[j] : x[j];
      largest = magnitude > largest ? magnitude : largest;
    }
    const float scale = largest / 127.0F;
    if (!(scale > 0)) {
      std::fill(out + first, out + end, 0.0F);
      return;
    }
    kernels::quantize(x, scale, 0, quantized_, hidden_);
    multiply_rows(quantized_, scale, step_.inputs[1].i8() + first * hidden_,
                  step_.inputs[1].quantization.scales.data() + first, end - first, hidden_, out + first);
  }

  void step_lstm(float* hidden, float* cell) const {
    multiply(hidden, 0, 4 * hidden_, recurrent_);
    recurrent::lstm_forward(gates_, recurrent_, cell, {unused_, unused_, unused_, unused_, cell, hidden}, hidden_);
  }

  void step_gru(float* hidden) const {
    const float* bias = step_.inputs[2].f32();
    // The update gate takes the place of its block of the gates, which is not read again.
    const recurrent::GruRow row = {gates_, reset_, unused_, unused_, hidden};
    float* candidate = recurrent_ + 2 * hidden_;
    if (step_.attributes.linear_before_reset) {
      multiply(hidden, 0, 3 * hidden_, recurrent_);
      recurrent::gru_gates(gates_, recurrent_, bias, row, hidden_);
      recurrent::gru_forward_linear_first(gates_, candidate, bias, hidden, row, hidden_);
      return;
    }
    multiply(hidden, 0, 2 * hidden_, recurrent_);
    recurrent::gru_gates(gates_, recurrent_, bias, row, hidden_);
    recurrent::gru_reset(hidden, row, hidden_);
    multiply(unused_, 2 * hidden_, 3 * hidden_, recurrent_);
    recurrent::gru_forward_reset_first(gates_, candidate, bias, hidden, row, hidden_);
  }

  const Step& step_;
  bool lstm_;
  size_t steps_;
  size_t batch_;
  size_t hidden_;
  size_t blocks_;
  float* states_ = nullptr;
  float* cells_ = nullptr;
  float* gates_ = nullptr;
  float* recurrent_ = nullptr;
  float* reset_ = nullptr;
  float* unused_ = nullptr;  // and q of a GRU
  int8_t* quantized_ = nullptr;
};

}  // namespace

void recurrent_i8(const Step& step) { RecurrentI8(step).run(); }
CheckedSize recurrent_i8_scratch(const Step& step) { return RecurrentI8(step).scratch(); }

}  // namespace figment::kernels::portable
