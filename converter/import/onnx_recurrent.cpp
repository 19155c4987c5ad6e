// ONNX's recurrent layers: LSTM, GRU and RNN, forward, reversed and both. Inside, sequences are [T, N, ...].
#include <fmt/format.h>
#include <algorithm>
#include <iterator>
#include <map>
#include <optional>

#include "import/onnx_graph.h"
#include "ir/builder.h"

namespace figment::converter {

namespace {

// What the layers differ in.
struct Cell {
  std::optional<OpKind> kind;  // the op that computes all steps, in the usual form; RNN has none
  uint32_t blocks;             // of the weights' rows
  uint32_t hidden_plane;       // of the op's output
  std::vector<std::string> activations;
};

const Cell& lstm_cell() {
  static const Cell cell = {OpKind::kLstm, 4, format::lstm_plane::kHidden, {"Sigmoid", "Tanh", "Tanh"}};
  return cell;
}
const Cell& gru_cell() {
  static const Cell cell = {OpKind::kGru, 3, format::gru_plane::kHidden, {"Sigmoid", "Tanh"}};
  return cell;
}
const Cell& rnn_cell() {
  static const Cell cell = {std::nullopt, 1, 0, {"Tanh"}};
  return cell;
}

// Whether a function of a recurrent layer takes alpha, beta, and what they are where they are not given.
struct Activation {
  const char* name;
  std::optional<float> alpha;
  std::optional<float> beta;
};
constexpr Activation kActivations[] = {{"Relu", {}, {}},           {"Tanh", {}, {}},
                                       {"Sigmoid", {}, {}},        {"Softsign", {}, {}},
                                       {"Softplus", {}, {}},       {"Affine", 1.0F, 0.0F},
                                       {"LeakyRelu", 0.01F, {}},   {"ThresholdedRelu", 1.0F, {}},
                                       {"ScaledTanh", 1.0F, 1.0F}, {"HardSigmoid", 0.2F, 0.5F},
                                       {"Elu", 1.0F, {}}};

class RecurrentLayer {
 public:
  RecurrentLayer(const OnnxNode& node, const Cell& cell) : node_(node), cell_(cell), build_(&node.graph, node.name) {
    batch_first_ = node.integer("layout", 0) != 0;
    const std::string direction = node.text("direction", "forward");
    if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
      node.fail("direction " + direction + " is not supported");
    directions_ = direction == "bidirectional" ? 2 : 1;
    reversed_first_ = direction == "reverse";
    read_activations();
    clip_ = node.real("clip", 0);
    input_forget_ = node.integer("input_forget", 0) != 0;
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
      const ValueId x = reversed ? reverse(x_) : x_;
      const States states = is_usual(d) ? run(d, x) : written_out(d, x);
      ValueId y = states.sequence;
      hidden.push_back(states.hidden);
      if (has_cell()) cells.push_back(states.cell);
      if (lengths_) y = build_.add(OpKind::kMaskSequence, {y, *lengths_});
      if (reversed) y = reverse(y);
      const Shape shape = build_.shape(y);
      sequences.push_back(build_.reshape(y, {shape[0], {}, shape[1], shape[2]}));
    }
    const ValueId y = node_.concatenate(sequences, 1);
    node_.bind(batch_first_ ? permuted(y, {2, 0, 1, 3}) : y, 0);
    node_.bind(state_output(hidden), 1);
    if (has_cell()) node_.bind(state_output(cells), 2);
  }

 private:
  struct Function {
    std::string name;
    float alpha = 0;
    float beta = 0;
  };

  // All [.., N, H]: the sequence in the order of its steps, and the states behind the last.
  struct States {
    ValueId sequence;
    ValueId hidden;
    ValueId cell;
  };

  bool has_cell() const { return cell_.kind == OpKind::kLstm; }

  // Of all directions, one behind the other; alphas and betas are for those that take them, in this order.
  void read_activations() {
    std::vector<std::string> names;
    if (const auto* given = node_.attribute("activations"))
      names.assign(given->strings().begin(), given->strings().end());
    const size_t each = cell_.activations.size();
    if (names.empty()) {
      for (uint32_t d = 0; d < directions_; ++d)
        names.insert(names.end(), cell_.activations.begin(), cell_.activations.end());
    }
    if (names.size() != each * directions_) node_.fail("it does not have its activations for each direction");
    const auto* alphas = node_.attribute("activation_alpha");
    const auto* betas = node_.attribute("activation_beta");
    int next_alpha = 0;
    int next_beta = 0;
    const auto value = [](const onnx::AttributeProto* list, int* next, std::optional<float> fallback) {
      if (!fallback) return 0.0F;
      return list != nullptr && *next < list->floats_size() ? list->floats((*next)++) : *fallback;
    };
    for (const std::string& name : names) {
      const auto* found = std::ranges::find_if(kActivations, [&](const Activation& row) { return row.name == name; });
      if (found == std::end(kActivations)) node_.fail("activation " + name + " is not supported");
      if ((name == "Affine" || name == "ScaledTanh") && (alphas == nullptr || betas == nullptr))
        node_.fail("activation " + name + " needs an alpha and a beta");
      functions_.push_back({name, value(alphas, &next_alpha, found->alpha), value(betas, &next_beta, found->beta)});
    }
  }

  // Whether the cell's op computes direction d.
  bool is_usual(uint32_t d) const {
    if (!cell_.kind || clip_ > 0 || input_forget_ || (has_cell() && node_.has_input(7))) return false;
    for (size_t i = 0; i < cell_.activations.size(); ++i) {
      if (functions_[d * cell_.activations.size() + i].name != cell_.activations[i]) return false;
    }
    return true;
  }

  ValueId lengths() const { return node_.number(4); }

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
    const ValueId state = direction_of(batch_first_ ? permuted(given, {1, 0, 2}) : given, d);
    if (build_.shape(state).rank() != 2 || build_.shape(state)[1] != Dimension{hidden_, false})
      node_.fail(
          fmt::format("an initial state does not have {} values, as its recurrent weights have: projections of "
                      "states are not supported",
                      hidden_));
    return state;
  }

  // Of direction d: the input's part of all gates, [T, N, blocks H], the recurrent weights and their bias.
  struct Operands {
    ValueId gates;
    ValueId recurrence;
    std::optional<ValueId> recurrent_bias;
  };

  // `one_bias`: both biases are added to the input's part.
  Operands operands(uint32_t d, ValueId x, bool one_bias) const {
    const ValueId weights = direction_of(node_.tensor(1), d);
    Operands result{0, direction_of(node_.tensor(2), d), {}};
    const uint32_t rows = cell_.blocks * hidden_;
    if (build_.shape(weights).rank() != 2 || build_.shape(weights)[0] != Dimension{rows, false} ||
        build_.shape(result.recurrence)[0] != Dimension{rows, false}) {
      node_.fail(fmt::format("its weights do not have {} rows", rows));
    }
    std::vector<ValueId> layer = {x, weights};
    if (node_.has_input(3)) {
      const ValueId both = direction_of(node_.tensor(3), d);
      if (build_.shape(both) != Shape{{2 * rows, false}}) node_.fail("its bias does not have twice the weights' rows");
      const ValueId recurrent_bias = build_.slice(both, 0, rows, rows);
      const ValueId bias = build_.slice(both, 0, 0, rows);
      layer.push_back(one_bias ? build_.add(OpKind::kAdd, {bias, recurrent_bias}) : bias);
      if (!one_bias) result.recurrent_bias = recurrent_bias;
    }
    result.gates = build_.add(OpKind::kFullyConnected, layer);
    return result;
  }

  // By the cell's op.
  States run(uint32_t d, ValueId x) const {
    const Operands given = operands(d, x, has_cell());
    std::vector<ValueId> inputs = {given.gates, given.recurrence};
    Attributes attributes;
    if (has_cell()) {
      inputs.push_back(initial_state(5, d));
      inputs.push_back(initial_state(6, d));
    } else {
      const uint32_t rows = cell_.blocks * hidden_;
      inputs.push_back(given.recurrent_bias
                           ? *given.recurrent_bias
                           : build_.graph().add_constant(node_.name + ".zeros", {rows}, std::vector<float>(rows)));
      inputs.push_back(initial_state(5, d));
      attributes.linear_before_reset = node_.integer("linear_before_reset", 0) != 0;
    }
    if (lengths_) inputs.push_back(*lengths_);
    const ValueId states = build_.add(*cell_.kind, inputs, attributes);
    const ValueId y = plane(states, cell_.hidden_plane);
    return {y, last(y), has_cell() ? last(plane(states, format::lstm_plane::kCell)) : 0};
  }

  // Step by step, in whatever form ONNX defines.
  States written_out(uint32_t d, ValueId x) const {
    const bool gru = cell_.kind == OpKind::kGru;
    const Operands given = operands(d, x, !gru);
    const uint32_t steps = build_.shape(x)[0].extent;
    const auto state = [&](size_t input) {
      const ValueId first = initial_state(input, d);
      return build_.reshape(first, {{}, build_.shape(first)[0], build_.shape(first)[1]});
    };
    ValueId h = state(5);
    ValueId c = has_cell() ? state(6) : 0;
    std::vector<ValueId> sequence;
    for (uint32_t t = 0; t < steps; ++t) {
      const ValueId g = build_.slice(given.gates, 0, t, 1);
      ValueId next_c = c;
      ValueId next_h = has_cell() ? lstm_step(d, g, given, h, &next_c)
                       : gru      ? gru_step(d, g, given, h)
                                  : function(d, 0, build_.add(OpKind::kAdd, {g, product(h, given.recurrence)}));
      if (lengths_) {
        // States stay as they are behind a sequence's end.
        const ValueId counts = build_.reshape(*lengths_, {{}, build_.shape(*lengths_)[0], {}});
        const ValueId goes_on = build_.with_scalar(OpKind::kGreater, counts, static_cast<float>(t));
        next_h = build_.add(OpKind::kSelect, {goes_on, next_h, h});
        if (has_cell()) next_c = build_.add(OpKind::kSelect, {goes_on, next_c, c});
      }
      h = next_h;
      c = next_c;
      sequence.push_back(h);
    }
    return {node_.concatenate(sequence, 0), h, c};
  }

  ValueId product(ValueId h, ValueId weights) const { return build_.add(OpKind::kFullyConnected, {h, weights}); }
  // Rows of a gate, of the gates' sum [1, N, blocks H] or of weights.
  ValueId block(ValueId x, size_t axis, uint32_t index) const {
    return build_.slice(x, axis, index * hidden_, hidden_);
  }

  // With P for peepholes: i, f = F(g + R h + P c), c' = f c + i G(g + R h), o = F(g + R h + P c'), h' = o H(c').
  ValueId lstm_step(uint32_t d, ValueId g, const Operands& given, ValueId h, ValueId* c) const {
    const ValueId sums = build_.add(OpKind::kAdd, {g, product(h, given.recurrence)});
    const auto gate = [&](uint32_t index, ValueId cell) {
      ValueId sum = block(sums, 2, index);
      if (node_.has_input(7)) {
        // In the order i, o, f, as the gates.
        const ValueId peepholes = direction_of(node_.tensor(7), d);
        if (build_.shape(peepholes) != Shape{{3 * hidden_, false}})
          node_.fail("its peepholes are not [directions, 3 H]");
        const ValueId row = build_.reshape(block(peepholes, 0, index), {{}, {}, {hidden_, false}});
        sum = build_.add(OpKind::kAdd, {sum, build_.add(OpKind::kMultiply, {cell, row})});
      }
      return function(d, 0, sum);
    };
    const ValueId input = gate(0, *c);
    const ValueId one = build_.scalar(1, 3);
    const ValueId forget = input_forget_ ? build_.add(OpKind::kSubtract, {one, input}) : gate(2, *c);
    const ValueId candidate = function(d, 1, block(sums, 2, 3));
    *c = build_.add(OpKind::kAdd,
                    {build_.add(OpKind::kMultiply, {forget, *c}), build_.add(OpKind::kMultiply, {input, candidate})});
    return build_.add(OpKind::kMultiply, {gate(1, *c), function(d, 2, *c, false)});
  }

  // z, r = F(g + R h), h~ = G(g + r (R h)) or G(g + R (r h)), h' = (1 - z) h~ + z h.
  ValueId gru_step(uint32_t d, ValueId g, const Operands& given, ValueId h) const {
    const auto weighted = [&](uint32_t index, ValueId x) {
      ValueId y = product(x, block(given.recurrence, 0, index));
      if (given.recurrent_bias) {
        const ValueId bias = block(*given.recurrent_bias, 0, index);
        y = build_.add(OpKind::kAdd, {y, build_.reshape(bias, {{}, {}, {hidden_, false}})});
      }
      return y;
    };
    const auto gate = [&](uint32_t index) {
      return function(d, 0, build_.add(OpKind::kAdd, {block(g, 2, index), weighted(index, h)}));
    };
    const ValueId update = gate(0);
    const ValueId reset = gate(1);
    const bool before = node_.integer("linear_before_reset", 0) != 0;
    const ValueId recurrent = before ? build_.add(OpKind::kMultiply, {reset, weighted(2, h)})
                                     : weighted(2, build_.add(OpKind::kMultiply, {reset, h}));
    const ValueId candidate = function(d, 1, build_.add(OpKind::kAdd, {block(g, 2, 2), recurrent}));
    const ValueId kept = build_.add(OpKind::kMultiply, {update, build_.add(OpKind::kSubtract, {h, candidate})});
    return build_.add(OpKind::kAdd, {candidate, kept});
  }

  // Activation `index` of direction d, of clipped values.
  ValueId function(uint32_t d, size_t index, ValueId x, bool clipped = true) const {
    const Function& wanted = functions_[d * cell_.activations.size() + index];
    Attributes attributes;
    if (clip_ > 0 && clipped) {
      attributes.clamp_min = -clip_;
      attributes.clamp_max = clip_;
      x = build_.add(OpKind::kClamp, {x}, attributes);
    }
    const auto affine = [&](ValueId value, float factor, float offset, const Attributes& bounds) {
      return build_.add(OpKind::kAdd, {build_.with_scalar(OpKind::kMultiply, value, factor), build_.scalar(offset, 3)},
                        bounds);
    };
    Attributes bounds;
    if (wanted.name == "Tanh") return build_.add(OpKind::kTanh, {x});
    if (wanted.name == "Sigmoid") return build_.add(OpKind::kSigmoid, {x});
    if (wanted.name == "Softsign") return build_.add(OpKind::kSoftsign, {x});
    if (wanted.name == "Softplus") return build_.add(OpKind::kSoftplus, {x});
    if (wanted.name == "Affine") return affine(x, wanted.alpha, wanted.beta, bounds);
    if (wanted.name == "ScaledTanh") {
      const ValueId inner = build_.add(OpKind::kTanh, {build_.with_scalar(OpKind::kMultiply, x, wanted.beta)});
      return build_.with_scalar(OpKind::kMultiply, inner, wanted.alpha);
    }
    if (wanted.name == "LeakyRelu" || wanted.name == "Elu") {
      bounds.alpha = wanted.alpha;
      return build_.add(wanted.name == "Elu" ? OpKind::kElu : OpKind::kLeakyRelu, {x}, bounds);
    }
    if (wanted.name == "ThresholdedRelu") {
      const ValueId above = build_.with_scalar(OpKind::kGreater, x, wanted.alpha);
      return build_.add(OpKind::kSelect, {above, x, build_.scalar(0, 3)});
    }
    bounds.clamp_min = 0;
    if (wanted.name == "Relu") return build_.add(OpKind::kClamp, {x}, bounds);
    bounds.clamp_max = 1;
    return affine(x, wanted.alpha, wanted.beta, bounds);  // HardSigmoid
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
  const Cell& cell_;
  mutable Builder build_;
  bool batch_first_ = false;
  bool reversed_first_ = false;
  bool input_forget_ = false;
  float clip_ = 0;
  uint32_t directions_ = 1;
  uint32_t hidden_ = 0;
  std::vector<Function> functions_;
  ValueId x_ = 0;
  std::optional<ValueId> lengths_;
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
  const ValueId lengths = node.number(1);
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
       {[](const OnnxNode& node) { RecurrentLayer(node, gru_cell()).import(); },
        6,
        {OpKind::kFullyConnected, OpKind::kSlice, OpKind::kGru, OpKind::kReverse, OpKind::kMaskSequence,
         OpKind::kConcat, OpKind::kAdd, OpKind::kSubtract, OpKind::kMultiply, OpKind::kClamp, OpKind::kGreater,
         OpKind::kSelect, OpKind::kSigmoid, OpKind::kTanh},
        "step by step with clip or other activations"}},
      {"LSTM",
       {[](const OnnxNode& node) { RecurrentLayer(node, lstm_cell()).import(); },
        6,
        {OpKind::kFullyConnected, OpKind::kAdd, OpKind::kSlice, OpKind::kLstm, OpKind::kReverse, OpKind::kConcat,
         OpKind::kMultiply, OpKind::kMaskSequence, OpKind::kSigmoid, OpKind::kTanh, OpKind::kSubtract, OpKind::kClamp,
         OpKind::kGreater, OpKind::kSelect},
        "step by step with clip, peepholes or other activations"}},
      {"RNN",
       {[](const OnnxNode& node) { RecurrentLayer(node, rnn_cell()).import(); },
        6,
        {OpKind::kFullyConnected, OpKind::kAdd, OpKind::kTanh, OpKind::kConcat, OpKind::kSlice, OpKind::kGreater,
         OpKind::kSelect, OpKind::kMaskSequence, OpKind::kClamp, OpKind::kSubtract, OpKind::kReverse},
        "step by step"}},
      {"ReverseSequence", {import_reverse_sequence, 10, {OpKind::kReverse}, ""}},
  };
  return table;
}

}  // namespace figment::converter
