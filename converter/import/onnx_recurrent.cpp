// ONNX's recurrent layers: LSTM, GRU and RNN, forward, reversed and both. Inside, sequences are [T, N, ...].
#include <fmt/format.h>
#include <functional>
#include <map>

#include "import/onnx_graph.h"
#include "ir/builder.h"

namespace figment::converter {

namespace {

// What LSTM and GRU differ in.
struct Cell {
  OpKind kind;
  uint32_t blocks;
  uint32_t hidden_plane;
};

class RecurrentLayer {
 public:
  RecurrentLayer(const OnnxNode& node, const Cell& cell) : node_(node), cell_(cell), build_(&node.graph, node.name) {
    batch_first_ = node.integer("layout", 0) != 0;
    const std::string direction = node.text("direction", "forward");
    if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
      node.fail("direction " + direction + " is not supported");
    directions_ = direction == "bidirectional" ? 2 : 1;
    reversed_first_ = direction == "reverse";
    if (const auto* activations = node.attribute("activations")) check_activations(*activations);
    if (node.attribute("clip") != nullptr) node.fail("clip is not supported");
    if (node.integer("input_forget", 0) != 0) node.fail("input_forget is not supported");
    if (cell.kind == OpKind::kLstm && node.has_input(7)) node.fail("peepholes are not supported");
    x_ = sequence_first(node.tensor(0));
    const Shape shape = build_.shape(x_);
    if (shape.rank() != 3 || shape[0].per_batch) {
      node.fail("the number of time steps must be fixed: export with an open batch dimension only, the batch");
    }
    if (build_.shape(node.tensor(2)).rank() != 3) node.fail("its recurrent weights must have three dimensions");
    hidden_ = build_.shape(node.tensor(2))[2].extent;
    if (node.has_input(4)) lengths_ = lengths();
  }

  void import() {
    std::vector<ValueId> sequences;
    std::vector<ValueId> hidden;
    std::vector<ValueId> cells;
    for (uint32_t d = 0; d < directions_; ++d) {
      const bool reversed = reversed_first_ || d == 1;
      const ValueId states = run(d, reversed ? reverse(x_) : x_);
      ValueId y = plane(states, cell_.hidden_plane);
      hidden.push_back(last(y));
      if (cell_.kind == OpKind::kLstm) cells.push_back(last(plane(states, format::lstm_plane::kCell)));
      if (lengths_) y = build_.add(OpKind::kMaskSequence, {y, *lengths_});
      if (reversed) y = reverse(y);
      const Shape shape = build_.shape(y);
      sequences.push_back(build_.reshape(y, {shape[0], {}, shape[1], shape[2]}));
    }
    const ValueId y = node_.concatenate(sequences, 1);
    node_.bind(batch_first_ ? permuted(y, {2, 0, 1, 3}) : y, 0);
    node_.bind(state_output(hidden), 1);
    if (cell_.kind == OpKind::kLstm) node_.bind(state_output(cells), 2);
  }

 private:
  void check_activations(const onnx::AttributeProto& attribute) const {
    const std::vector<std::string> expected = cell_.kind == OpKind::kLstm
                                                  ? std::vector<std::string>{"Sigmoid", "Tanh", "Tanh"}
                                                  : std::vector<std::string>{"Sigmoid", "Tanh"};
    for (int i = 0; i < attribute.strings_size(); ++i) {
      if (attribute.strings(i) != expected[static_cast<size_t>(i) % expected.size()])
        node_.fail("activation " + attribute.strings(i) + " is not supported; only the usual Sigmoid and Tanh are");
    }
  }

  // Integers known while converting, or an input of the program.
  ValueId lengths() const {
    if (!node_.is_integers(4)) return node_.tensor(4);
    std::vector<float> values;
    for (int64_t value : node_.numbers(4)) values.push_back(static_cast<float>(value));
    return build_.graph().add_constant(node_.name + ".lengths", {static_cast<uint32_t>(values.size())}, values);
  }

  ValueId permuted(ValueId x, const Permutation& permutation) const { return node_.transpose(x, permutation); }
  ValueId sequence_first(ValueId x) const { return batch_first_ ? permuted(x, {1, 0, 2}) : x; }

  ValueId reverse(ValueId x) const {
    Attributes attributes;
    attributes.axes = {0};
    std::vector<ValueId> inputs = {x};
    if (lengths_) inputs.push_back(*lengths_);
    return build_.add(OpKind::kReverse, inputs, attributes);
  }

  // Slice `d` of dimension 0, which goes.
  ValueId direction_of(ValueId x, uint32_t d) const {
    const Shape shape = build_.shape(x);
    if (shape.rank() == 0 || shape[0] != Dimension{directions_, false}) {
      node_.fail("its operands do not have one part for each direction");
    }
    Shape rest;
    for (size_t i = 1; i < shape.rank(); ++i) rest.push_back(shape[i]);
    return node_.reshaped(directions_ == 1 ? x : build_.slice(x, 0, d, 1), rest);
  }

  ValueId initial_state(size_t input, uint32_t d) const {
    if (!node_.has_input(input)) {
      return build_.graph().add_constant(node_.name + ".zeros", {1, hidden_}, std::vector<float>(hidden_));
    }
    const ValueId given = node_.tensor(input);
    return direction_of(batch_first_ ? permuted(given, {1, 0, 2}) : given, d);
  }

  // The states of direction d.
  ValueId run(uint32_t d, ValueId x) const {
    const ValueId weights = direction_of(node_.tensor(1), d);
    const ValueId recurrence = direction_of(node_.tensor(2), d);
    const uint32_t rows = cell_.blocks * hidden_;
    if (build_.shape(weights).rank() != 2 || build_.shape(weights)[0] != Dimension{rows, false}) {
      node_.fail(fmt::format("its weights do not have {} rows", rows));
    }
    std::vector<ValueId> layer = {x, weights};
    ValueId recurrent_bias = 0;
    if (node_.has_input(3)) {
      const ValueId both = direction_of(node_.tensor(3), d);
      if (build_.shape(both) != Shape{{2 * rows, false}}) node_.fail("its bias does not have twice the weights' rows");
      recurrent_bias = build_.slice(both, 0, rows, rows);
      const ValueId bias = build_.slice(both, 0, 0, rows);
      layer.push_back(cell_.kind == OpKind::kLstm ? build_.add(OpKind::kAdd, {bias, recurrent_bias}) : bias);
    } else if (cell_.kind == OpKind::kGru) {
      recurrent_bias = build_.graph().add_constant(node_.name + ".zeros", {rows}, std::vector<float>(rows));
    }
    const ValueId gates = build_.add(OpKind::kFullyConnected, layer);
    std::vector<ValueId> inputs = {gates, recurrence};
    if (cell_.kind == OpKind::kLstm) {
      inputs.push_back(initial_state(5, d));
      inputs.push_back(initial_state(6, d));
    } else {
      inputs.push_back(recurrent_bias);
      inputs.push_back(initial_state(5, d));
    }
    if (lengths_) inputs.push_back(*lengths_);
    Attributes attributes;
    if (cell_.kind == OpKind::kGru) attributes.linear_before_reset = node_.integer("linear_before_reset", 0) != 0;
    return build_.add(cell_.kind, inputs, attributes);
  }

  // Plane `index` as [T, N, H].
  ValueId plane(ValueId states, uint32_t index) const {
    const Shape shape = build_.shape(states);
    return build_.reshape(build_.slice(states, 0, index, 1), {shape[1], shape[2], shape[3]});
  }
  // Of a sequence: the last step, [1, N, H].
  ValueId last(ValueId x) const { return build_.slice(x, 0, build_.shape(x)[0].extent - 1, 1); }
  // [directions, N, H], or [N, directions, H].
  ValueId state_output(const std::vector<ValueId>& parts) const {
    const ValueId y = node_.concatenate(parts, 0);
    return batch_first_ ? permuted(y, {1, 0, 2}) : y;
  }

  const OnnxNode& node_;
  Cell cell_;
  mutable Builder build_;
  bool batch_first_ = false;
  bool reversed_first_ = false;
  uint32_t directions_ = 1;
  uint32_t hidden_ = 0;
  ValueId x_ = 0;
  std::optional<ValueId> lengths_;
};

// h_t = f(x_t W^T + h_(t-1) R^T + b), step by step: the input's products are one, those of the states one for each.
class SimpleRecurrentLayer {
 public:
  explicit SimpleRecurrentLayer(const OnnxNode& node) : node_(node), build_(&node.graph, node.name) {
    if (node.has_input(4)) node.fail("lengths of sequences are not supported; use a GRU or an LSTM");
    if (node.attribute("clip") != nullptr) node.fail("clip is not supported");
    batch_first_ = node.integer("layout", 0) != 0;
    direction_ = node.text("direction", "forward");
    if (direction_ != "forward" && direction_ != "reverse" && direction_ != "bidirectional")
      node.fail("direction " + direction_ + " is not supported");
    x_ = node.tensor(0);
    if (batch_first_) x_ = node.transpose(x_, {1, 0, 2});
    const Shape shape = build_.shape(x_);
    if (shape.rank() != 3 || shape[0].per_batch || build_.shape(node.tensor(2)).rank() != 3)
      node.fail("the number of time steps must be fixed: export with an open batch dimension only, the batch");
    hidden_ = build_.shape(node.tensor(2))[2].extent;
  }

  void import() {
    const uint32_t directions = direction_ == "bidirectional" ? 2 : 1;
    std::vector<ValueId> sequences;
    std::vector<ValueId> lasts;
    for (uint32_t d = 0; d < directions; ++d) run(d, directions, d == 1 || direction_ == "reverse", &sequences, &lasts);
    const ValueId y = node_.concatenate(sequences, 1);
    node_.bind(batch_first_ ? node_.transpose(y, {2, 0, 1, 3}) : y, 0);
    const ValueId last = node_.concatenate(lasts, 0);
    node_.bind(batch_first_ ? node_.transpose(last, {1, 0, 2}) : last, 1);
  }

 private:
  ValueId activated(uint32_t d, ValueId x) {
    std::string name = "Tanh";
    if (const auto* names = node_.attribute("activations");
        names != nullptr && names->strings_size() > static_cast<int>(d))
      name = names->strings(static_cast<int>(d));
    if (name == "Tanh") return build_.add(OpKind::kTanh, {x});
    if (name == "Sigmoid") return build_.add(OpKind::kSigmoid, {x});
    Attributes bounds;
    bounds.clamp_min = 0;
    if (name == "Relu") return build_.add(OpKind::kClamp, {x}, bounds);
    node_.fail("activation " + name + " is not supported; Tanh, Sigmoid and Relu are");
  }

  // Part d of an operand whose first dimension are the directions.
  ValueId part(ValueId x, uint32_t d, uint32_t directions) {
    const Shape shape = build_.shape(x);
    if (shape.rank() < 2 || shape[0] != Dimension{directions, false})
      node_.fail("its operands do not have one part for each direction");
    Shape rest;
    for (size_t i = 1; i < shape.rank(); ++i) rest.push_back(shape[i]);
    return node_.reshaped(directions == 1 ? x : build_.slice(x, 0, d, 1), rest);
  }

  void run(uint32_t d, uint32_t directions, bool reversed, std::vector<ValueId>* sequences,
           std::vector<ValueId>* lasts) {
    std::vector<ValueId> layer = {x_, part(node_.tensor(1), d, directions)};
    if (node_.has_input(3)) {
      const ValueId both = part(node_.tensor(3), d, directions);
      if (build_.shape(both) != Shape{{2 * hidden_, false}})
        node_.fail("its bias does not have twice the weights' rows");
      layer.push_back(
          build_.add(OpKind::kAdd, {build_.slice(both, 0, 0, hidden_), build_.slice(both, 0, hidden_, hidden_)}));
    }
    const ValueId products = build_.add(OpKind::kFullyConnected, layer);
    const ValueId recurrence = part(node_.tensor(2), d, directions);
    const uint32_t steps = build_.shape(x_)[0].extent;
    std::optional<ValueId> state;
    if (node_.has_input(5)) {
      ValueId given = node_.tensor(5);
      if (batch_first_) given = node_.transpose(given, {1, 0, 2});
      const ValueId first = part(given, d, directions);
      const Shape shape = build_.shape(first);
      state = build_.reshape(first, {{}, shape[0], shape[1]});
    }
    std::vector<ValueId> states(steps);
    for (uint32_t i = 0; i < steps; ++i) {
      const uint32_t t = reversed ? steps - 1 - i : i;
      ValueId sum = build_.slice(products, 0, t, 1);
      if (state) sum = build_.add(OpKind::kAdd, {sum, build_.add(OpKind::kFullyConnected, {*state, recurrence})});
      state = activated(d, sum);
      states[t] = *state;
    }
    const ValueId y = node_.concatenate(states, 0);
    const Shape shape = build_.shape(y);
    sequences->push_back(build_.reshape(y, {shape[0], {}, shape[1], shape[2]}));
    lasts->push_back(*state);
  }

  const OnnxNode& node_;
  Builder build_;
  bool batch_first_ = false;
  std::string direction_;
  uint32_t hidden_ = 0;
  ValueId x_ = 0;
};

// x in reverse order within each sequence's length.
void import_reverse_sequence(const OnnxNode& node) {
  const int64_t time = node.integer("time_axis", 0);
  const int64_t batch = node.integer("batch_axis", 1);
  if (!((time == 0 && batch == 1) || (time == 1 && batch == 0))) node.fail("its axes must be 0 and 1");
  Builder build(&node.graph, node.name);
  ValueId x = node.tensor(0);
  Permutation swap;
  for (uint32_t i = 0; i < build.shape(x).rank(); ++i) swap.push_back(i < 2 ? 1 - i : i);
  ValueId lengths = 0;
  if (node.is_integers(1)) {
    std::vector<float> values;
    for (int64_t value : node.numbers(1)) values.push_back(static_cast<float>(value));
    lengths = node.graph.add_constant(node.name + ".lengths", {static_cast<uint32_t>(values.size())}, values);
  } else {
    lengths = node.tensor(1);
  }
  if (time == 1) x = node.transpose(x, swap);
  Attributes attributes;
  attributes.axes = {0};
  x = build.add(OpKind::kReverse, {x, lengths}, attributes);
  node.bind(time == 1 ? node.transpose(x, swap) : x);
}

}  // namespace

const Importers& recurrent_importers() {
  static const Importers table = {
      {"GRU",
       {[](const OnnxNode& node) { RecurrentLayer(node, {OpKind::kGru, 3, format::gru_plane::kHidden}).import(); },
        6,
        {OpKind::kFullyConnected, OpKind::kSlice, OpKind::kGru, OpKind::kReverse},
        "sigmoid and tanh, no clip"}},
      {"LSTM",
       {[](const OnnxNode& node) { RecurrentLayer(node, {OpKind::kLstm, 4, format::lstm_plane::kHidden}).import(); },
        6,
        {OpKind::kFullyConnected, OpKind::kAdd, OpKind::kConcat, OpKind::kSlice, OpKind::kLstm, OpKind::kReverse},
        "sigmoid and tanh, no clip, no peepholes"}},
      {"RNN",
       {[](const OnnxNode& node) { SimpleRecurrentLayer(node).import(); },
        6,
        {OpKind::kFullyConnected, OpKind::kAdd, OpKind::kTanh, OpKind::kConcat, OpKind::kSlice},
        "tanh or relu"}},
      {"ReverseSequence", {import_reverse_sequence, 10, {OpKind::kReverse}, ""}},
  };
  return table;
}

}  // namespace figment::converter
