// Every gradient rule against central differences of the forward op in double precision, on the best kernels and on the
// portable ones.
#include "passes/gradient.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "double_reference.h"
#include "functions.h"
#include "io/arrays.h"
#include "ir/builder.h"
#include "support.h"
#include "write/runner.h"
#include "write/write_model.h"

using namespace figment;
using namespace figment::converter;
using figment::test::Doubles;

namespace {

constexpr size_t kBatch = 3;

// A case as files, for the targets that the converter does not run on (session/gradients_test.cpp): written where
// $FIGMENT_GRADIENT_CASES says, by the build.
class GradientCase {
 public:
  GradientCase(const std::vector<uint8_t>& file, const TensorMap& inputs) {
    static int count = 0;
    const char* folder = std::getenv("FIGMENT_GRADIENT_CASES");
    if (folder == nullptr) return;
    std::filesystem::create_directories(folder);
    prefix_ = std::string(folder) + "/case" + std::to_string(count++);
    io::write_file(prefix_ + ".figment", file);
    for (const auto& [name, values] : inputs) write("input." + name, values);
  }
  void add(const std::string& name, const Doubles& expected) const {
    if (!prefix_.empty()) write("output." + name, {expected.begin(), expected.end()});
  }

 private:
  void write(const std::string& name, const std::vector<float>& values) const {
    io::write_file(prefix_ + "." + name + ".npy", io::format_npy({{values.size()}, values}));
  }
  std::string prefix_;
};

// A program under construction whose tensors hold random values.
class Case {
 public:
  explicit Case(uint64_t seed) : random_(seed) { graph.name = "run"; }

  // An input of the program with values in [low, high), none nearer to 0 than 0.05 (where some functions have no
  // derivative).
  ValueId input(const Shape& shape, double low = -1, double high = 1) {
    Value value;
    value.name = "x" + std::to_string(graph.inputs.size());
    value.shape = shape;
    const std::string name = value.name;
    const ValueId id = graph.add_value(std::move(value));
    PortDefinition port{name, id, shape, {}};
    for (uint32_t i = 0; i < shape.rank(); ++i) port.permutation.push_back(i);
    graph.inputs.push_back(port);
    values[id] = fill(element_count(shape, kBatch).value(), low, high);
    operands.push_back(id);
    return id;
  }
  ValueId weights(const std::vector<uint32_t>& shape, double low = -1, double high = 1) {
    size_t count = 1;
    for (uint32_t extent : shape) count *= extent;
    const Doubles doubles = fill(count, low, high);
    const std::vector<float> floats(doubles.begin(), doubles.end());
    const ValueId id = graph.add_constant("w" + std::to_string(graph.values.size()), shape, floats);
    operands.push_back(id);
    return id;
  }

  // Constant weights in int8, which have no gradient.
  ValueId int8_weights(const std::vector<uint32_t>& shape) {
    Value value;
    value.name = "w" + std::to_string(graph.values.size());
    value.type = DataType::kI8;
    value.shape = constant_shape(shape);
    for (uint32_t channel = 0; channel < shape[0]; ++channel)
      value.scales.push_back(0.002F + 0.006F * std::fabs(random_.real()));
    std::vector<uint8_t> bytes(value.elements());
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random_.integer(1, 255));
    value.constant = Constant{};
    value.constant->bytes.assign(std::move(bytes));
    return graph.add_value(std::move(value));
  }

  // An input without a gradient.
  ValueId fixed(const Shape& shape, const Doubles& doubles) {
    const ValueId id = input(shape);
    operands.pop_back();
    values[id] = doubles;
    return id;
  }

  // Compares the gradients of all operands, of a random weighting of `outputs`.
  void check(const std::vector<ValueId>& outputs, const std::string& what) {
    INFO(what);
    const Graph forward = graph;
    Gradients seeds;
    std::map<ValueId, Doubles> weighting;
    for (ValueId output : outputs) {
      // A seed with a batch must be an input.
      const Shape shape = graph[output].shape;
      const size_t before = operands.size();
      const ValueId seed = input(shape);
      operands.resize(before);
      seeds[output] = seed;
      weighting[output] = values[seed];
    }
    const Gradients gradients = differentiate(&graph, seeds, {operands.begin(), operands.end()});
    for (ValueId operand : operands) {
      REQUIRE(gradients.contains(operand));
      PortDefinition port{"g" + std::to_string(operand), gradients.at(operand), graph[operand].shape, {}};
      CHECK(graph[port.value].shape == port.shape);
      for (uint32_t i = 0; i < port.shape.rank(); ++i) port.permutation.push_back(i);
      graph.outputs.push_back(port);
    }
    TensorMap inputs;
    for (const PortDefinition& port : graph.inputs)
      inputs[port.name] = {values[port.value].begin(), values[port.value].end()};
    ModelDefinition model;
    model.name = "gradient";
    model.programs.push_back(graph);
    const std::vector<uint8_t> file = write_model(model);
    Runner best(file, kBatch, FIG_KERNELS_BEST);
    Runner portable(file, kBatch, FIG_KERNELS_PORTABLE);
    const TensorMap results[] = {best.run("run", inputs, kBatch), portable.run("run", inputs, kBatch)};
    const auto objective = [&](const std::map<ValueId, Doubles>& operand_values) {
      const std::map<ValueId, Doubles> all = test::evaluate(forward, operand_values, kBatch);
      double sum = 0;
      for (const auto& [output, weights] : weighting) {
        for (size_t i = 0; i < weights.size(); ++i) sum += weights[i] * all.at(output)[i];
      }
      return sum;
    };
    const GradientCase recorded(file, inputs);
    for (ValueId operand : operands) {
      std::map<ValueId, Doubles> moved = values;
      if (forward[operand].is_constant())
        moved[operand].assign(forward[operand].f32().begin(), forward[operand].f32().end());
      Doubles& x = moved[operand];
      Doubles expected(x.size());
      double largest = 1e-3;
      constexpr double kStep = 1e-5;
      // Of large operands every few elements.
      const size_t stride = x.size() / 61 + 1;
      for (size_t i = 0; i < x.size(); i += stride) {
        const double at = x[i];
        x[i] = at + kStep;
        const double above = objective(moved);
        x[i] = at - kStep;
        const double below = objective(moved);
        x[i] = at;
        expected[i] = (above - below) / (2 * kStep);
        largest = std::max(largest, std::fabs(expected[i]));
      }
      recorded.add("g" + std::to_string(operand), expected);
      for (const TensorMap& result : results) {
        const std::vector<float>& actual = result.at("g" + std::to_string(operand));
        REQUIRE(actual.size() == expected.size());
        double worst = 0;
        for (size_t i = 0; i < expected.size(); i += stride)
          worst = std::max(worst, std::fabs(actual[i] - expected[i]));
        CHECK_MESSAGE(worst / largest < 1e-4, "operand ", operand);
      }
    }
    for (const Node& node : forward.nodes) covered[static_cast<size_t>(node.kind)] = true;
  }

  Graph graph;
  std::map<ValueId, Doubles> values;
  std::vector<ValueId> operands;
  static std::array<bool, format::kOpKindCount> covered;

 private:
  Doubles fill(size_t count, double low, double high) {
    Doubles result(count);
    for (double& x : result) {
      do {
        x = static_cast<float>(low + (high - low) * (random_.real() + 1) / 2);
      } while (std::fabs(x) < 0.05);
    }
    return result;
  }

  test::Random random_;
};

std::array<bool, format::kOpKindCount> Case::covered{};

Shape batched(std::initializer_list<uint32_t> rest) {
  Shape shape = {{1, true}};
  for (uint32_t extent : rest) shape.push_back({extent, false});
  return shape;
}

}  // namespace

TEST_CASE("gradients: arithmetic with broadcasting") {
  for (OpKind kind : {OpKind::kAdd, OpKind::kSubtract, OpKind::kMultiply, OpKind::kDivide}) {
    for (int form = 0; form < 4; ++form) {
      Case c(100 + static_cast<uint64_t>(form));
      const ValueId a = form == 2 ? c.weights({1, 1, 4}) : c.input(batched({3, 4}));
      const ValueId b = form == 0   ? c.input(batched({3, 4}), 0.5, 2)
                        : form == 1 ? c.weights({1, 3, 1}, 0.5, 2)
                        : form == 2 ? c.input(batched({3, 1}), 0.5, 2)
                                    : c.weights({1, 1, 1}, 0.5, 2);
      Attributes attributes;
      if (form == 3) attributes.clamp_max = 0.4F;
      c.check({c.graph.add_node(kind, "node", attributes, {a, b})}, format::name_of(kind));
    }
  }
  Case twice(7);
  const ValueId x = twice.input(batched({5}));
  twice.check({Builder(&twice.graph, "square").add(OpKind::kMultiply, {x, x})}, "a value that is used twice");
}

TEST_CASE("gradients: a choice, with broadcasting") {
  for (int form = 0; form < 3; ++form) {
    Case c(150 + static_cast<uint64_t>(form));
    Builder build(&c.graph, "node");
    const ValueId a = c.input(batched({3, 4}));
    const ValueId b = form == 0 ? c.input(batched({3, 4})) : form == 1 ? c.weights({1, 3, 1}) : c.weights({1, 1, 1});
    const ValueId condition = build.with_scalar(OpKind::kGreater, a, 0.1F);
    c.check({build.add(OpKind::kSelect, {condition, a, b})}, "select");
    Case swapped(160 + static_cast<uint64_t>(form));
    Builder other(&swapped.graph, "node");
    const ValueId x = swapped.input(batched({3, 4}));
    const ValueId y = form == 0 ? swapped.input(batched({3, 4})) : swapped.weights({1, 3, 1});
    swapped.check({other.add(OpKind::kSelect, {other.add(OpKind::kGreater, {x, y}), y, x})}, "select");
  }
}

TEST_CASE("gradients: functions") {
  for (size_t i = 0; i < format::kOpKindCount; ++i) {
    const auto kind = static_cast<OpKind>(i);
    if (!format::is_unary_function(kind)) continue;
    Case c(200 + i);
    const bool positive = test::right_function(kind).positive;
    const ValueId x = c.input(batched({7, 5}), positive ? 0.1 : -2, 2);
    Attributes attributes;
    attributes.alpha = kind == OpKind::kLeakyRelu ? 0.2F : kind == OpKind::kElu ? 1.5F : 0;
    if (kind == OpKind::kClamp) attributes.clamp_min = -0.5F, attributes.clamp_max = 1.03125F;
    c.check({c.graph.add_node(kind, "node", attributes, {x})}, format::name_of(kind));
  }
}

TEST_CASE("gradients: of gradients of piecewise linear functions, with respect to the gradient") {
  for (const OpKind function : {OpKind::kLeakyRelu, OpKind::kClamp, OpKind::kAbs}) {
    Case c(300 + static_cast<uint64_t>(function));
    const ValueId g = c.input(batched({7, 5}));
    const ValueId drawn = c.input(batched({7, 5}), -2, 2);
    c.operands.pop_back();  // it counts as constant
    Attributes attributes;
    attributes.function = function;
    if (function == OpKind::kLeakyRelu) attributes.alpha = 0.2F;
    if (function == OpKind::kClamp) attributes.clamp_min = -0.5F, attributes.clamp_max = 1.03125F;
    c.check({c.graph.add_node(OpKind::kUnaryBackward, "node", attributes, {drawn, g})}, format::name_of(function));
  }
}

TEST_CASE("gradients: matrix products") {
  for (int form = 0; form < 4; ++form) {
    Case c(300 + static_cast<uint64_t>(form));
    const bool ta = form % 2 == 1;
    const bool tb = form / 2 == 1;
    const ValueId a = c.input(ta ? batched({4, 3}) : batched({3, 4}));
    const ValueId b = c.input(tb ? batched({5, 4}) : batched({4, 5}));
    c.check({Builder(&c.graph, "node").matmul(a, ta, b, tb)}, "matmul");
  }
  for (const bool bias : {false, true}) {
    for (const bool sequence : {false, true}) {
      Case c(310);
      const ValueId x = c.input(sequence ? batched({2, 6}) : batched({6}));
      std::vector<ValueId> inputs = {x, c.weights({5, 6})};
      if (bias) inputs.push_back(c.weights({5}));
      Attributes relu;
      relu.clamp_min = 0;
      c.check({c.graph.add_node(OpKind::kFullyConnected, "node", relu, inputs)}, "fully connected");
    }
  }
}

TEST_CASE("gradients: convolution and transposed convolution") {
  const format::Window windows[] = {{{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, {0, 0}, 1, false},
                                    {{4, 4}, {2, 2}, {1, 1}, {1, 1, 1, 1}, {0, 0}, 1, false},
                                    {{3, 2}, {2, 3}, {2, 1}, {0, 1, 2, 0}, {0, 0}, 1, false},
                                    {{3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, {0, 0}, 2, false},
                                    {{1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}, {0, 0}, 1, false},
                                    {{1, 5}, {1, 2}, {1, 1}, {0, 2, 0, 2}, {0, 0}, 4, false}};
  uint64_t seed = 400;
  for (const OpKind kind : {OpKind::kConv2d, OpKind::kConvTranspose2d}) {
    for (format::Window window : windows) {
      for (const bool output_padding : {false, true}) {
        if (output_padding) {
          if (kind == OpKind::kConv2d || window.stride[1] == 1) continue;
          window.output_padding = {window.stride[0] > 1 ? 1U : 0U, 1};
        }
        Case c(++seed);
        const ValueId x = c.input(batched({5, 6, 4}));
        Attributes attributes;
        attributes.window = window;
        const ValueId w = c.weights({8, window.kernel[0], window.kernel[1], 4 / window.groups});
        const ValueId b = c.weights({8});
        c.check({c.graph.add_node(kind, "node", attributes, {x, w, b})}, format::name_of(kind));
      }
    }
  }
}

TEST_CASE("gradients: through frozen weights in int8") {
  uint64_t seed = 460;
  for (const bool bias : {false, true}) {
    Case c(++seed);
    std::vector<ValueId> operands = {c.input(batched({7})), c.int8_weights({20, 7})};
    if (bias) operands.push_back(c.weights({20}));
    c.check({c.graph.add_node(OpKind::kFullyConnected, "node", {}, operands)}, "fully connected");
    for (const OpKind kind : {OpKind::kConv2d, OpKind::kConvTranspose2d}) {
      for (const uint32_t groups : {1U, 2U, 4U}) {
        Case image(++seed);
        Attributes attributes;
        attributes.window = {{4, 3}, {2, 1}, {1, 1}, {1, 1, 1, 0}, {0, 0}, groups, false};
        operands = {image.input(batched({5, 6, 4})), image.int8_weights({8, 4, 3, 4 / groups})};
        if (bias) operands.push_back(image.weights({8}));
        image.check({image.graph.add_node(kind, "node", attributes, operands)}, format::name_of(kind));
      }
    }
  }
}

TEST_CASE("gradients: pooling, resizing, reductions, softmax") {
  for (const OpKind kind : {OpKind::kAveragePool2d, OpKind::kMaxPool2d}) {
    for (const bool count_padding : {false, true}) {
      Case c(500);
      Attributes attributes;
      attributes.window = {
          {3, 2}, {2, 1}, {1, 1}, {1, 0, 1, 1}, {0, 0}, 1, kind == OpKind::kAveragePool2d && count_padding};
      const ValueId x = c.input(batched({6, 5, 3}));
      c.check({c.graph.add_node(kind, "node", attributes, {x})}, format::name_of(kind));
    }
  }
  {
    Case c(510);
    const ValueId x = c.input(batched({2, 3, 2}));
    const int32_t rows[] = {0, 0, 1, 1};
    const int32_t columns[] = {0, 2, 2, 1, 0};
    const ValueId r = c.graph.add_constant_i32("rows", rows);
    const ValueId s = c.graph.add_constant_i32("columns", columns);
    c.check({c.graph.add_node(OpKind::kResizeNearest, "node", {}, {x, r, s})}, "resize_nearest");
  }
  for (const OpKind kind : {OpKind::kMean, OpKind::kSum}) {
    for (const Permutation& axes : {Permutation{1, 2}, Permutation{0}, Permutation{0, 1, 2}}) {
      Case c(520);
      const ValueId x = c.input(batched({3, 4}));
      Attributes attributes;
      attributes.axes = axes;
      c.check({c.graph.add_node(kind, "node", attributes, {x})}, format::name_of(kind));
    }
  }
  for (uint32_t axis : {1U, 2U}) {
    Case c(530);
    const ValueId x = c.input(batched({4, 5}));
    Attributes attributes;
    attributes.axes = {axis};
    c.check({c.graph.add_node(OpKind::kSoftmax, "node", attributes, {x})}, "softmax");
  }
  Case c(540);
  const ValueId x = c.input(batched({1, 4}));
  c.check({Builder(&c.graph, "node").add_shaped(OpKind::kBroadcast, {x}, batched({3, 4}))}, "broadcast");
}

TEST_CASE("gradients: what moves elements") {
  {
    Case c(600);
    Attributes attributes;
    attributes.axes = {1};
    const ValueId a = c.input(batched({2, 3}));
    const ValueId b = c.input(batched({4, 3}));
    c.check({c.graph.add_node(OpKind::kConcat, "node", attributes, {a, b, a})}, "concat");
  }
  for (uint32_t step : {1U, 2U}) {
    Case c(610);
    Attributes attributes;
    attributes.starts = {0, 1, 2};
    attributes.steps = {1, step, 1};
    const ValueId x = c.input(batched({5, 4}));
    c.check({Builder(&c.graph, "node").add_shaped(OpKind::kSlice, {x}, batched({2, 2}), attributes)}, "slice");
  }
  for (const format::PadMode mode : {format::PadMode::kConstant, format::PadMode::kReflect, format::PadMode::kEdge}) {
    Case c(620);
    Attributes attributes;
    attributes.before = {0, 1, 2};
    attributes.after = {0, 2, 1};
    attributes.pad_mode = mode;
    attributes.pad_value = 3;
    const ValueId x = c.input(batched({3, 4}));
    c.check({c.graph.add_node(OpKind::kPad, "node", attributes, {x})}, "pad");
  }
  Case reshaped(630);
  const ValueId x = reshaped.input(batched({3, 4}));
  reshaped.check({Builder(&reshaped.graph, "node").reshape(x, batched({2, 6}))}, "reshape");
  Case transposed(640);
  Attributes attributes;
  attributes.permutation = {2, 0, 1};
  const ValueId y = transposed.input(batched({3, 4}));
  transposed.check({transposed.graph.add_node(OpKind::kTranspose, "node", attributes, {y})}, "transpose");
}

TEST_CASE("gradients: batch normalization, with its own statistics and with given ones") {
  for (const bool own : {true, false}) {
    for (const bool image : {true, false}) {
      Case c(700);
      const ValueId x = c.input(image ? batched({3, 2, 4}) : batched({4}));
      Attributes epsilon;
      epsilon.alpha = 1e-2F;
      ValueId statistics = 0;
      if (own) {
        statistics = Builder(&c.graph, "statistics").add(OpKind::kBatchNormStatistics, {x});
      } else {
        statistics = c.weights({2, 4}, 0.5, 2);
        c.operands.pop_back();  // running statistics are not trained by gradients
      }
      const ValueId gamma = c.weights({4});
      const ValueId beta = c.weights({4});
      c.check({c.graph.add_node(OpKind::kBatchNorm, "node", epsilon, {x, statistics, gamma, beta})}, "batch_norm");
    }
  }
}

TEST_CASE("gradients: group normalization") {
  for (const uint32_t groups : {1U, 2U, 6U}) {
    for (const bool flat : {false, true}) {
      Case c(900 + groups);
      const ValueId x = c.input(flat ? batched({5, 6}) : batched({3, 2, 6}));
      const ValueId gamma = c.weights({groups == 6 ? 1U : 6U});
      const ValueId beta = c.weights({6});
      Attributes attributes;
      attributes.alpha = 1e-2F;
      attributes.groups = groups;
      c.check({c.graph.add_node(OpKind::kGroupNorm, "node", attributes, {x, gamma, beta})}, "group_norm");
    }
  }
}

TEST_CASE("gradients: layer normalization and log softmax") {
  Case c(800);
  const ValueId x = c.input(batched({3, 5}));
  const ValueId gamma = c.weights({5});
  const ValueId beta = c.weights({5});
  Attributes epsilon;
  epsilon.alpha = 1e-2F;
  c.check({c.graph.add_node(OpKind::kLayerNorm, "node", epsilon, {x, gamma, beta})}, "layer_norm");
  for (uint32_t axis : {1U, 2U}) {
    Case d(810 + axis);
    Attributes attributes;
    attributes.axes = {axis};
    const ValueId y = d.input(batched({4, 5}), -2, 2);
    d.check({d.graph.add_node(OpKind::kLogSoftmax, "node", attributes, {y})}, "log_softmax");
  }
}

TEST_CASE("gradients: LSTM and GRU through time, with initial states, lengths and every output") {
  constexpr uint32_t kSteps = 4;
  constexpr uint32_t kHidden = 5;
  const Dimension batch = {1, true};
  for (int form = 0; form < 16; ++form) {
    const bool lstm = form % 2 == 0;
    const bool lengths = form / 2 % 2 == 1;
    const bool shared_state = form / 4 % 2 == 1;
    const bool second = form / 8 % 2 == 1;  // LSTM: the cells are an output too; GRU: linear before reset
    Case c(900 + static_cast<uint64_t>(form));
    const uint32_t blocks = lstm ? 4 : 3;
    const ValueId gates = c.input({{kSteps, false}, batch, {blocks * kHidden, false}});
    const ValueId recurrence = c.weights({blocks * kHidden, kHidden});
    std::vector<ValueId> inputs = {gates, recurrence};
    const auto state = [&] { return shared_state ? c.weights({1, kHidden}) : c.input(batched({kHidden})); };
    inputs.push_back(lstm ? state() : c.weights({blocks * kHidden}));
    inputs.push_back(state());
    if (lengths) inputs.push_back(c.fixed({batch}, {4, 0, 2}));
    Attributes attributes;
    attributes.linear_before_reset = !lstm && second;
    const ValueId states = c.graph.add_node(lstm ? OpKind::kLstm : OpKind::kGru, "node", attributes, inputs);
    Builder build(&c.graph, "outputs");
    const uint32_t hidden_plane = lstm ? format::lstm_plane::kHidden : format::gru_plane::kHidden;
    const ValueId hidden = build.slice(states, 0, hidden_plane, 1);
    std::vector<ValueId> outputs = {hidden, build.slice(hidden, 1, kSteps - 1, 1)};
    if (lstm && second) outputs.push_back(build.slice(build.slice(states, 0, format::lstm_plane::kCell, 1), 1, 1, 2));
    c.check(outputs, lstm ? "lstm" : "gru");
  }
}

TEST_CASE("gradients: reversed and masked sequences") {
  const Dimension batch = {1, true};
  for (int form = 0; form < 3; ++form) {
    const bool lengths = form > 0;
    Case c(1000);
    const ValueId x = c.input({{4, false}, batch, {3, false}});
    std::vector<ValueId> inputs = {x};
    if (lengths) inputs.push_back(c.fixed({batch}, {4, 0, 3}));
    Attributes attributes;
    if (form < 2) attributes.axes = {0};
    const OpKind kind = form < 2 ? OpKind::kReverse : OpKind::kMaskSequence;
    c.check({c.graph.add_node(kind, "node", attributes, inputs)}, format::name_of(kind));
  }
}

TEST_CASE("gradients: random graphs") {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    test::Random random(seed);
    Case c(2000 + seed);
    Builder build(&c.graph, "node");
    const uint32_t features = random.integer(2, 5);
    std::vector<ValueId> values = {c.input(batched({3, features})), c.input(batched({3, features}))};
    const auto pick = [&] { return values[random.integer(0, static_cast<uint32_t>(values.size()) - 1)]; };
    for (int i = 0; i < 7; ++i) {
      switch (random.integer(0, 8)) {
        case 0: values.push_back(build.add(OpKind::kAdd, {pick(), pick()})); break;
        case 1: values.push_back(build.add(OpKind::kMultiply, {pick(), pick()})); break;
        case 2: values.push_back(build.add(OpKind::kTanh, {pick()})); break;
        case 3: values.push_back(build.add(OpKind::kSigmoid, {build.add(OpKind::kSubtract, {pick(), pick()})})); break;
        case 4:
          values.push_back(
              build.add(OpKind::kFullyConnected, {pick(), c.weights({features, features}), c.weights({features})}));
          break;
        case 5: values.push_back(build.add(OpKind::kSoftplus, {pick()})); break;
        case 6: {
          const ValueId x = pick();
          Attributes last;
          last.axes = {2};
          values.push_back(build.add(OpKind::kSoftmax, {x}, last));
          break;
        }
        case 7: {
          Attributes epsilon;
          epsilon.alpha = 0.1F;
          values.push_back(
              build.add(OpKind::kLayerNorm, {pick(), c.weights({features}), c.weights({features})}, epsilon));
          break;
        }
        default: {
          const ValueId x = pick();
          values.push_back(build.add_shaped(OpKind::kBroadcast, {build.mean(x, {1})}, c.graph[x].shape));
        }
      }
    }
    // Everything counts, so that every operand has a gradient.
    ValueId total = values[0];
    for (size_t i = 1; i < values.size(); ++i) total = build.add(OpKind::kAdd, {total, values[i]});
    c.check({total}, "random graph " + std::to_string(seed));
  }
}

TEST_CASE("every op has a gradient that was checked above, or says why it has none") {
  for (size_t i = 0; i < format::kOpKindCount; ++i) {
    const auto kind = static_cast<OpKind>(i);
    const std::string reason = no_gradient_reason(kind);
    CHECK_MESSAGE((Case::covered[i] || !reason.empty()), format::name_of(kind));
  }
}
