// LSTM and GRU on int8 weights against their definition in docs/file_format.md, in double precision.
#include <algorithm>
#include <cmath>

#include "step_builder.h"

using namespace figment;
using namespace figment::test;

namespace {

struct Case {
  bool lstm;
  bool linear_before_reset;
  size_t steps;
  size_t batch;
  size_t hidden;
  bool lengths;
};

constexpr float kGateScale = 0.03F;
constexpr int32_t kGateZero = -7;
constexpr float kOutputScale = 0.008F;
constexpr int32_t kOutputZero = 3;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// Rows [first, end) of R x, x being quantized by its largest magnitude.
std::vector<double> product(const Operand& weights, const std::vector<double>& x, size_t first, size_t end) {
  double largest = 0;
  for (double v : x) largest = std::max(largest, std::abs(v));
  std::vector<double> result(end - first);
  if (largest == 0) return result;
  const double scale = largest / 127;
  for (size_t r = first; r < end; ++r) {
    double sum = 0;
    for (size_t j = 0; j < x.size(); ++j) sum += std::nearbyint(x[j] / scale) * weights.i8()[r * x.size() + j];
    result[r - first] = sum * scale * static_cast<double>(weights.quantization.scales[r]);
  }
  return result;
}

// The hidden states [T, N, H].
std::vector<double> reference(const Case& c, const std::vector<Operand>& operands) {
  const size_t blocks = c.lstm ? 4 : 3;
  const size_t h = c.hidden;
  std::vector<double> result(c.steps * c.batch * h);
  for (size_t n = 0; n < c.batch; ++n) {
    std::vector<double> hidden(h);
    std::vector<double> cell(h);
    for (size_t j = 0; j < h; ++j) {
      hidden[j] = operands[c.lstm ? 2 : 3].f32()[operands[c.lstm ? 2 : 3].shape[0] == 1 ? j : n * h + j];
      if (c.lstm) cell[j] = operands[3].f32()[n * h + j];
    }
    for (size_t t = 0; t < c.steps; ++t) {
      const size_t row = t * c.batch + n;
      const auto g = [&](size_t i) {
        return static_cast<double>(kGateScale) * (operands[0].i8()[row * blocks * h + i] - kGateZero);
      };
      const auto bias = [&](size_t i) { return static_cast<double>(operands[2].f32()[i]); };
      if (!c.lengths || static_cast<float>(t) < operands[4].f32()[n]) {
        const std::vector<double> r = product(operands[1], hidden, 0, blocks * h);
        std::vector<double> reset(h);
        for (size_t j = 0; j < h && !c.lstm; ++j) reset[j] = sigmoid(g(h + j) + r[h + j] + bias(h + j)) * hidden[j];
        const std::vector<double> after = c.lstm ? r : product(operands[1], reset, 2 * h, 3 * h);
        for (size_t j = 0; j < h; ++j) {
          if (c.lstm) {
            cell[j] = sigmoid(g(2 * h + j) + r[2 * h + j]) * cell[j] +
                      sigmoid(g(j) + r[j]) * std::tanh(g(3 * h + j) + r[3 * h + j]);
            hidden[j] = sigmoid(g(h + j) + r[h + j]) * std::tanh(cell[j]);
          } else {
            const double update = sigmoid(g(j) + r[j] + bias(j));
            const double q = c.linear_before_reset
                                 ? sigmoid(g(h + j) + r[h + j] + bias(h + j)) * (r[2 * h + j] + bias(2 * h + j))
                                 : after[j] + bias(2 * h + j);
            hidden[j] = (1 - update) * std::tanh(g(2 * h + j) + q) + update * hidden[j];
          }
        }
      }
      std::copy(hidden.begin(), hidden.end(), result.begin() + static_cast<std::ptrdiff_t>(row * h));
    }
  }
  return result;
}

}  // namespace

TEST_CASE("int8 recurrent layers compute what the file format defines") {
  constexpr Case kCases[] = {{true, false, 9, 3, 20, false},  {true, false, 5, 2, 7, true},
                             {true, false, 1, 1, 1, false},   {false, true, 9, 3, 20, false},
                             {false, false, 9, 3, 20, false}, {false, true, 6, 2, 5, true},
                             {false, false, 6, 2, 64, true}};
  Random random(5);
  for (const Case& c : kCases) {
    const size_t rows = (c.lstm ? 4 : 3) * c.hidden;
    StepBuilder builder(c.lstm ? OpKind::kLstmI8 : OpKind::kGruI8);
    builder.step.attributes.linear_before_reset = c.linear_before_reset;
    Operand& gates = builder.add(DataType::kI8, {c.steps, c.batch, rows});
    builder.fill(gates, &random);
    gates.quantization = builder.quantization({kGateScale}, kGateZero);
    Operand& weights = builder.add(DataType::kI8, {rows, c.hidden}, true);
    builder.fill(weights, &random);
    std::vector<float> scales;
    for (size_t r = 0; r < rows; ++r) scales.push_back(0.004F + 0.001F * random.real());
    weights.quantization = builder.quantization(std::move(scales), 0);
    builder.fill(c.lstm ? builder.add(DataType::kF32, {c.batch, c.hidden}) : builder.add(DataType::kF32, {rows}, true),
                 &random);
    builder.fill(builder.add(DataType::kF32, {c.lstm || c.hidden == 20 ? c.batch : 1, c.hidden}), &random);
    if (c.lengths) {
      Operand& lengths = builder.add(DataType::kF32, {c.batch});
      for (size_t n = 0; n < c.batch; ++n) static_cast<float*>(lengths.data)[n] = static_cast<float>(2 * n + 1);
    }
    builder.step.output.type = DataType::kI8;
    builder.step.output.shape = {c.steps, c.batch, c.hidden};
    builder.step.output.quantization = builder.quantization({kOutputScale}, kOutputZero);
    const std::vector<uint8_t> bytes = builder.run(KernelSet::kBest);
    const std::vector<double> expected = reference(c, builder.operands);
    for (size_t i = 0; i < expected.size(); ++i) {
      const double q = std::clamp(expected[i] / static_cast<double>(kOutputScale) + kOutputZero, -128.0, 127.0);
      INFO("LSTM " << c.lstm << ", " << c.hidden << " units, element " << i);
      // A state that is rounded the other way moves what follows a little.
      CHECK(std::abs(static_cast<int8_t>(bytes[i]) - q) < 0.5 + 0.25);
    }
  }
}
