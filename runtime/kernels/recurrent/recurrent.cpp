// Kernels of lstm, gru and their backward ops: a loop over time steps, of a product with the recurrent matrix and of
// what the cells compute (gates.h). The matrix is packed once a run (gemm), or read as it is by plain loops (portable).

#include <algorithm>
#include <cstring>

#include "kernels/gemm/gemm.h"
#include "kernels/gemm/gemm_kernels.h"
#include "kernels/portable/portable.h"
#include "kernels/recurrent/gates.h"
#include "kernels/sequence_length.h"

namespace figment::kernels::recurrent {

namespace {

using format::RecurrentGradient;

// A matrix b of the products, used at every time step: c = a b, or c += a b.
class StepProduct {
 public:
  // b [depth, columns].
  void set(gemm::Matrix b, size_t depth, size_t columns, bool packs) {
    b_ = b;
    depth_ = depth;
    columns_ = columns;
    packs_ = packs;
  }
  CheckedSize scratch() const { return packs_ ? gemm::packed_floats(depth_, columns_) : 0; }

  // Once a run, when b has its values; `packed` holds scratch() floats.
  void begin(const float* data, float* packed) {
    b_.data = data;
    packed_ = packed;
    if (packs_) gemm::pack(product(nullptr, 0, 0, nullptr, 0, false), packed);
  }

  // a: rows a_row apart (0: all the same); c: rows c_row apart.
  void run(const float* a, size_t a_row, size_t rows, float* c, size_t c_row, bool accumulate, Team* threads) const {
    if (packs_) {
      gemm::multiply_packed(product(a, a_row, rows, c, c_row, accumulate), packed_, threads);
      return;
    }
    for (size_t i = 0; i < rows; ++i) {
      for (size_t j = 0; j < columns_; ++j) {
        float sum = accumulate ? c[i * c_row + j] : 0;
        for (size_t k = 0; k < depth_; ++k) sum += a[i * a_row + k] * b_.data[k * b_.row + j * b_.column];
        c[i * c_row + j] = sum;
      }
    }
  }

 private:
  gemm::Product product(const float* a, size_t a_row, size_t rows, float* c, size_t c_row, bool accumulate) const {
    return {{a, a_row, 1}, b_, c, c_row, rows, depth_, columns_, accumulate};
  }

  gemm::Matrix b_{};
  size_t depth_ = 0;
  size_t columns_ = 0;
  bool packs_ = false;
  const float* packed_ = nullptr;
};

// An initial state [N, H] or [1, H], or the states after a step [N, H].
struct State {
  float* data;
  size_t row;  // floats from one sequence to the next; 0 if they share one

  State(const Operand& operand, size_t hidden)
      : data(static_cast<float*>(operand.data)), row(operand.shape[0] == 1 ? 0 : hidden) {}
  State(float* states, size_t hidden) : data(states), row(hidden) {}
  float* at(size_t n) const { return data + n * row; }
};

// What forward and backward share: shapes, and the products by rows [0, split) and [split, blocks H) of R. An LSTM has
// one part, a GRU z and r, and h.
class Recurrent {
 public:
  // Bytes.
  CheckedSize scratch() const { return (products_scratch() + buffers_) * sizeof(float); }

 protected:
  Recurrent(const Step& step, bool packs) : step_(&step), threads_(step.threads) {
    const bool backward = step.kind == OpKind::kLstmBackward || step.kind == OpKind::kGruBackward;
    lstm_ = step.kind == OpKind::kLstm || step.kind == OpKind::kLstmBackward;
    const Operand& states = backward ? step.inputs[0] : step.output;
    steps_ = states.shape[1];
    batch_ = states.shape[2];
    hidden_ = states.shape[3];
    buffers_ = CheckedSize(batch_) * hidden_ * (backward ? 7 : 4);
    const size_t rows = step.inputs[1].shape[0];
    split_ = lstm_ ? rows : 2 * hidden_;
    for (size_t part = 0; part < 2; ++part) {
      const size_t extent = part == 0 ? split_ : rows - split_;
      // Backward a R, forward a R^T.
      if (backward) {
        products_[part].set({nullptr, hidden_, 1}, extent, hidden_, packs);
      } else {
        products_[part].set({nullptr, 1, hidden_}, hidden_, extent, packs);
      }
    }
  }

  CheckedSize products_scratch() const { return products_[0].scratch() + products_[1].scratch(); }
  float* begin() {
    auto* scratch = static_cast<float*>(step_->scratch);
    products_[0].begin(step_->inputs[1].f32(), scratch);
    if (!lstm_) products_[1].begin(step_->inputs[1].f32() + split_ * hidden_, scratch + products_[0].scratch().value());
    return scratch + products_scratch().value();
  }
  size_t plane() const { return steps_ * batch_ * hidden_; }
  // Plane `i` of the states, at step t.
  float* plane(float* states, size_t i, size_t t) const { return states + i * plane() + t * batch_ * hidden_; }
  // The step from which on sequence n does not count.
  size_t length(size_t operand, size_t n) const { return sequence_length(*step_, operand, n, steps_); }
  LstmRow lstm_row(float* states, size_t t, size_t n) const {
    const auto at = [&](size_t i) { return plane(states, i, t) + n * hidden_; };
    return {at(format::lstm_plane::kInput),     at(format::lstm_plane::kOutput), at(format::lstm_plane::kForget),
            at(format::lstm_plane::kCandidate), at(format::lstm_plane::kCell),   at(format::lstm_plane::kHidden)};
  }
  GruRow gru_row(float* states, size_t t, size_t n) const {
    const auto at = [&](size_t i) { return plane(states, i, t) + n * hidden_; };
    return {at(format::gru_plane::kUpdate), at(format::gru_plane::kReset), at(format::gru_plane::kCandidate),
            at(format::gru_plane::kRecurrent), at(format::gru_plane::kHidden)};
  }

  const Step* step_;
  Team* threads_;
  StepProduct products_[2];
  size_t steps_ = 0;
  size_t batch_ = 0;
  size_t hidden_ = 0;
  size_t split_ = 0;
  CheckedSize buffers_;  // floats of scratch beside the packed matrices
  bool lstm_ = false;
};

class Forward final : public Recurrent {
 public:
  Forward(const Step& step, bool packs) : Recurrent(step, packs) {}

  void run() {
    float* recurrent = begin();
    auto* states = static_cast<float*>(step_->output.data);
    State hidden(step_->inputs[lstm_ ? 2 : 3], hidden_);
    State cell(step_->inputs[3], hidden_);
    for (size_t t = 0; t < steps_; ++t) {
      const float* gates = step_->inputs[0].f32() + t * batch_ * step_->inputs[1].shape[0];
      if (lstm_) {
        run_lstm(t, gates, recurrent, hidden, cell, states);
        cell = {plane(states, format::lstm_plane::kCell, t), hidden_};
        hidden = {plane(states, format::lstm_plane::kHidden, t), hidden_};
      } else {
        run_gru(t, gates, recurrent, hidden, states);
        hidden = {plane(states, format::gru_plane::kHidden, t), hidden_};
      }
    }
  }

 private:
  // Keeps the states of sequence n and sets its other planes to zero.
  void pass(float* states, size_t t, size_t n, size_t planes, std::initializer_list<std::pair<size_t, State>> kept) {
    for (size_t i = 0; i < planes; ++i) std::fill_n(plane(states, i, t) + n * hidden_, hidden_, 0.0F);
    for (const auto& [i, previous] : kept) std::copy_n(previous.at(n), hidden_, plane(states, i, t) + n * hidden_);
  }

  void run_lstm(size_t t, const float* gates, float* recurrent, State hidden, State cell, float* states) {
    const size_t blocks = 4 * hidden_;
    products_[0].run(hidden.data, hidden.row, batch_, recurrent, blocks, false, threads_);
    for (size_t n = 0; n < batch_; ++n) {
      if (t >= length(4, n)) {
        pass(states, t, n, format::lstm_plane::kCount,
             {{format::lstm_plane::kCell, cell}, {format::lstm_plane::kHidden, hidden}});
        continue;
      }
      lstm_forward(gates + n * blocks, recurrent + n * blocks, cell.at(n), lstm_row(states, t, n), hidden_);
    }
  }

  void run_gru(size_t t, const float* gates, float* recurrent, State hidden, float* states) {
    const size_t blocks = 3 * hidden_;
    const float* bias = step_->inputs[2].f32();
    const bool linear_first = step_->attributes.linear_before_reset;
    float* candidate = recurrent + batch_ * 2 * hidden_;
    products_[0].run(hidden.data, hidden.row, batch_, recurrent, 2 * hidden_, false, threads_);
    if (linear_first) products_[1].run(hidden.data, hidden.row, batch_, candidate, hidden_, false, threads_);
    for (size_t n = 0; n < batch_; ++n) {
      const GruRow row = gru_row(states, t, n);
      gru_gates(gates + n * blocks, recurrent + n * 2 * hidden_, bias, row, hidden_);
      if (!linear_first) gru_reset(hidden.at(n), row, hidden_);
    }
    if (!linear_first) {
      products_[1].run(plane(states, format::gru_plane::kRecurrent, t), hidden_, batch_, candidate, hidden_, false,
                       threads_);
    }
    const auto finish = linear_first ? gru_forward_linear_first : gru_forward_reset_first;
    for (size_t n = 0; n < batch_; ++n) {
      if (t >= length(4, n)) {
        pass(states, t, n, format::gru_plane::kCount, {{format::gru_plane::kHidden, hidden}});
      } else {
        finish(gates + n * blocks, candidate + n * hidden_, bias, hidden.at(n), gru_row(states, t, n), hidden_);
      }
    }
  }
};

class Backward final : public Recurrent {
 public:
  Backward(const Step& step, bool packs) : Recurrent(step, packs) {}

  void run() {
    // Gradients of h(t) and c(t) from later steps, of the blocks and of q at one step.
    carry_ = begin();
    cell_ = carry_ + batch_ * hidden_;
    row_ = cell_ + batch_ * hidden_;
    gates_ = row_ + batch_ * hidden_;
    std::fill_n(carry_, 2 * batch_ * hidden_, 0.0F);
    auto* out = static_cast<float*>(step_->output.data);
    const RecurrentGradient wanted = step_->attributes.recurrent_gradient;
    for (size_t t = steps_; t > 0; --t) {
      float* gates = wanted == RecurrentGradient::kGates ? out + (t - 1) * batch_ * 4 * hidden_ : gates_;
      lstm_ ? run_lstm(t - 1, gates) : run_gru(t - 1, gates);
    }
    if (wanted == RecurrentGradient::kInitialHidden) std::copy_n(carry_, batch_ * hidden_, out);
    if (wanted == RecurrentGradient::kInitialCell) std::copy_n(cell_, batch_ * hidden_, out);
  }

 private:
  State previous(size_t t, size_t plane_index, const Operand& initial) const {
    if (t == 0) return {initial, hidden_};
    return {plane(states(), plane_index, t - 1), hidden_};
  }
  float* states() const { return static_cast<float*>(step_->inputs[0].data); }

  // row_ = the gradient of h(t); carry_ = that of sequences that have ended, zeros of the others.
  void begin_step(size_t t, size_t lengths) {
    const float* given = step_->inputs[3].f32() + t * batch_ * hidden_;
    for (size_t n = 0; n < batch_; ++n) {
      const bool counts = t < length(lengths, n);
      for (size_t i = n * hidden_; i < (n + 1) * hidden_; ++i) {
        row_[i] = carry_[i] + given[i];
        carry_[i] = counts ? 0 : row_[i];
      }
    }
  }

  void run_lstm(size_t t, float* gates) {
    begin_step(t, 5);
    const State cells = previous(t, format::lstm_plane::kCell, step_->inputs[2]);
    const bool given = !step_->inputs[4].constant;  // else the zero that stands for none
    const float* cell_gradient = given ? step_->inputs[4].f32() + t * batch_ * hidden_ : nullptr;
    for (size_t n = 0; n < batch_; ++n) {
      float* cell = cell_ + n * hidden_;
      if (given) {
        for (size_t j = 0; j < hidden_; ++j) cell[j] += cell_gradient[n * hidden_ + j];
      }
      float* row = gates + n * 4 * hidden_;
      if (t < length(5, n)) {
        lstm_backward(lstm_row(states(), t, n), cells.at(n), row_ + n * hidden_, cell, row, hidden_);
      } else {
        std::fill_n(row, 4 * hidden_, 0.0F);
      }
    }
    products_[0].run(gates, 4 * hidden_, batch_, carry_, hidden_, true, threads_);
  }

  void run_gru(size_t t, float* gates) {
    begin_step(t, 4);
    const size_t blocks = 4 * hidden_;
    const bool linear_first = step_->attributes.linear_before_reset;
    const State hidden = previous(t, format::gru_plane::kHidden, step_->inputs[2]);
    for (size_t n = 0; n < batch_; ++n) {
      float* row = gates + n * blocks;
      if (t >= length(4, n)) {
        std::fill_n(row, blocks, 0.0F);
        continue;
      }
      gru_backward(gru_row(states(), t, n), hidden.at(n), row_ + n * hidden_, row, carry_ + n * hidden_, hidden_);
      if (linear_first) gru_backward_linear_first(gru_row(states(), t, n), row, hidden_);
    }
    if (linear_first) {
      products_[1].run(gates + 3 * hidden_, blocks, batch_, carry_, hidden_, true, threads_);
    } else {
      products_[1].run(gates + 2 * hidden_, blocks, batch_, row_, hidden_, false, threads_);
      for (size_t n = 0; n < batch_; ++n) {
        if (t >= length(4, n)) continue;
        gru_backward_reset_first(gru_row(states(), t, n), hidden.at(n), row_ + n * hidden_, gates + n * blocks,
                                 carry_ + n * hidden_, hidden_);
      }
    }
    products_[0].run(gates, blocks, batch_, carry_, hidden_, true, threads_);
  }

  float* carry_ = nullptr;
  float* cell_ = nullptr;
  float* row_ = nullptr;
  float* gates_ = nullptr;
};

template <typename Cell, bool kPacks>
void run(const Step& step) {
  Cell(step, kPacks).run();
}

template <typename Cell, bool kPacks>
CheckedSize scratch(const Step& step) {
  return Cell(step, kPacks).scratch();
}

template <typename Cell>
constexpr fig_op packed(OpKind kind) {
  return plain_kernel(kind, "gemm recurrent", nullptr, run<Cell, true>, scratch<Cell, true>);
}

}  // namespace

}  // namespace figment::kernels::recurrent

namespace figment::kernels {

namespace gemm {

const fig_op kLstm = recurrent::packed<recurrent::Forward>(OpKind::kLstm);
const fig_op kLstmBackward = recurrent::packed<recurrent::Backward>(OpKind::kLstmBackward);
const fig_op kGru = recurrent::packed<recurrent::Forward>(OpKind::kGru);
const fig_op kGruBackward = recurrent::packed<recurrent::Backward>(OpKind::kGruBackward);

}  // namespace gemm

namespace portable {

void recurrent(const Step& step) { recurrent::run<recurrent::Forward, false>(step); }
CheckedSize recurrent_scratch(const Step& step) { return recurrent::scratch<recurrent::Forward, false>(step); }
void recurrent_backward(const Step& step) { recurrent::run<recurrent::Backward, false>(step); }

}  // namespace portable

}  // namespace figment::kernels
