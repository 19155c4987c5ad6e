#include "passes/quantize_rewrite.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/functions.h"
#include "format/integer_rule.h"
#include "format/quantized.h"
#include "ir/functions.h"

namespace figment::converter {

std::string no_int8_reason(OpKind kind) {
  switch (kind) {
    case OpKind::kDivide: return "division has no int8 form";
    case OpKind::kMatmul: return "the product of two computed matrices has no int8 form";
    case OpKind::kSum:
    case OpKind::kGreater:
    case OpKind::kEqual:
    case OpKind::kSelect:
    case OpKind::kArgMax:
    case OpKind::kLayerNorm:
    case OpKind::kGroupNorm:
    case OpKind::kLogSoftmax: return std::string(format::name_of(kind)) + " has no int8 form";
    default: return "";
  }
}

namespace {

// An op that int8 arithmetic cannot compute under the assignment.
struct OutOfRange {
  const char* reason;
};

// Rewrites the f32 program to int8 under an assignment.
class Rewriter {
 public:
  Rewriter(const Graph& graph, const QuantAssignment& assignment, const std::set<size_t>& kept, Ranges ranges)
      : old_(graph), assignment_(assignment), kept_(kept), ranges_(ranges), forms_(graph.values.size()) {}

  Int8Program run() {
    Int8Program result;
    fresh_ = old_.empty_like();
    for (const PortDefinition& port : old_.inputs) {
      PortDefinition out = port;
      out.value = fresh_.add_value(old_[port.value]);
      forms_[port.value].f32 = out.value;
      fresh_.inputs.push_back(out);
    }
    fresh_.fully_int8 = true;
    for (size_t i = 0; i < old_.nodes.size(); ++i) {
      result.reasons.push_back(rewrite(old_.nodes[i], kept_.contains(i)));
      // Of a slice; the last of the nodes that were added is the op itself.
      if (old_.nodes[i].start_growth.rank() > 0) fresh_.nodes.back().start_growth = old_.nodes[i].start_growth;
      fresh_.fully_int8 = fresh_.fully_int8 && result.reasons[i].empty();
    }
    for (const PortDefinition& port : old_.outputs) {
      PortDefinition out = port;
      out.value = f32(port.value);
      fresh_.outputs.push_back(out);
    }
    for (ValueId id = 0; id < forms_.size(); ++id) {
      const Forms& forms = forms_[id];
      result.values.push_back(forms.i8);
      for (const std::optional<ValueId>& form : {forms.f32, forms.i8}) {
        if (form) fresh_[*form].growth = old_[id].growth;
      }
      // Of the two forms that which is computed first.
      if (!forms.f32 && !forms.i8) continue;
      Value& value = fresh_[std::min(forms.f32.value_or(UINT32_MAX), forms.i8.value_or(UINT32_MAX))];
      if (!value.is_constant()) value.exporters = old_[id].exporters;
    }
    result.graph = std::move(fresh_);
    return result;
  }

 private:
  struct Forms {
    std::optional<ValueId> f32;
    std::optional<ValueId> i8;
  };

  // An old value in int8, quantized by the range of another, or as an int8 value is.
  Value declared(ValueId old_id, ValueId of_range) const {
    Value value = old_[old_id];
    value.constant.reset();
    value.type = DataType::kI8;
    value.scales = {assignment_[of_range].scale};
    value.zero_point = assignment_[of_range].zero_point;
    value.follows = of_range;
    return value;
  }
  Value declared_as(ValueId old_id, const Value& int8) const {
    Value value = declared(old_id, old_id);
    value.scales = int8.scales;
    value.zero_point = int8.zero_point;
    value.follows = int8.follows;
    return value;
  }

  ValueId f32(ValueId old_id) {
    Forms& forms = forms_[old_id];
    if (!forms.f32) {
      if (old_[old_id].is_constant()) {
        forms.f32 = fresh_.add_value(old_[old_id]);
        if (old_[old_id].type == DataType::kF32) fresh_[*forms.f32].follows = old_id;
      } else {
        const Value value = old_[old_id];
        forms.f32 = fresh_.add_node(OpKind::kDequantize, value.name + " to f32", {}, {*forms.i8}, &value);
      }
    }
    return *forms.f32;
  }

  ValueId i8(ValueId old_id) {
    Forms& forms = forms_[old_id];
    if (!forms.i8) {
      if (old_[old_id].is_constant()) {
        forms.i8 = constant_i8(old_[old_id]);
        fresh_[*forms.i8].follows = old_id;
      } else {
        const Value value = declared(old_id, old_id);
        forms.i8 = fresh_.add_node(OpKind::kQuantize, value.name + " to i8", {}, {*forms.f32}, &value);
      }
    }
    return *forms.i8;
  }

  ValueId constant_i8(const Value& value) {
    const QuantParameters q = format::parameters_of(value.f32());
    Value result = value;
    result.type = DataType::kI8;
    result.scales = {q.scale};
    result.zero_point = q.zero_point;
    std::vector<uint8_t> bytes(value.f32().size());
    format::quantize_all(value.f32(), q, reinterpret_cast<int8_t*>(bytes.data()));
    result.constant->bytes.assign(std::move(bytes));
    return fresh_.add_value(std::move(result));
  }

  bool has_int8_form(ValueId old_id) const { return forms_[old_id].i8.has_value(); }

  std::string rewrite(const Node& node, bool kept) {
    std::string reason = kept ? "kept f32" : no_int8_reason(node.kind);
    for (size_t i = 1; format::is_linear(node.kind) && i < node.inputs.size(); ++i) {
      if (reason.empty() && !old_[node.inputs[i]].is_constant()) reason = "its weights are computed";
    }
    if (reason.empty() && is_recurrent(node.kind)) reason = recurrent_reason(node);
    const bool input_int8 = has_int8_form(node.inputs[0]) || hidden_states_.contains(node.inputs[0]) ||
                            (node.kind == OpKind::kConcat && any_int8(node));
    if (reason.empty() && !input_int8 && (passes_through(node.kind) || format::is_unary_function(node.kind))) {
      reason = is_program_input(node.inputs[0]) ? "" : "its input is f32";
    }
    if (reason.empty()) {
      try {
        const ValueId result = rewrite_int8(node);
        // The states of a recurrent layer have no form as they were.
        if (!is_recurrent(node.kind)) forms_[node.output].i8 = result;
      } catch (const OutOfRange& out_of_range) {
        reason = out_of_range.reason;
      }
    }
    if (!reason.empty()) {
      std::vector<ValueId> inputs;
      for (ValueId id : node.inputs) inputs.push_back(f32(id));
      const Value value = old_[node.output];
      forms_[node.output].f32 = fresh_.add_node(node.kind, node.name, node.attributes, inputs, &value);
    }
    return reason;
  }

  bool any_int8(const Node& node) const {
    return std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) { return has_int8_form(id); });
  }

  bool is_program_input(ValueId old_id) const {
    return std::any_of(old_.inputs.begin(), old_.inputs.end(),
                       [&](const PortDefinition& port) { return port.value == old_id; });
  }

  static bool is_recurrent(OpKind kind) { return kind == OpKind::kLstm || kind == OpKind::kGru; }

  // The int8 forms of recurrent layers give the hidden states alone.
  std::string recurrent_reason(const Node& node) const {
    if (!old_[node.inputs[1]].is_constant()) return "its weights are computed";
    // Which of several readers takes the widest range may change.
    const auto reads = [&](const Node& reader) { return reader.inputs[0] == node.output; };
    if (ranges_ == Ranges::kFollowed && std::ranges::count_if(old_.nodes, reads) > 1)
      return "several layers read parts of its states";
    const uint32_t hidden = node.kind == OpKind::kLstm ? format::lstm_plane::kHidden : format::gru_plane::kHidden;
    for (const PortDefinition& port : old_.outputs) {
      if (port.value == node.output) return "its states are an output";
    }
    for (size_t i = 0; i < old_.nodes.size(); ++i) {
      const Node& reader = old_.nodes[i];
      if (std::ranges::find(reader.inputs, node.output) == reader.inputs.end()) continue;
      if (kept_.contains(i)) return "what reads its states is kept f32";
      const bool hidden_alone = reader.kind == OpKind::kSlice && reader.attributes.starts[0] == hidden &&
                                old_[reader.output].shape[0].extent == 1;
      if (!hidden_alone) return "states of its cell are used";
    }
    return "";
  }

  // The hidden states [T, N, H], quantized as the widest of what is read of them.
  ValueId rewrite_recurrent(const Node& node) {
    float widest = 0;
    ValueId of_range = node.output;
    for (const Node& reader : old_.nodes) {
      if (reader.inputs[0] != node.output || assignment_[reader.output].scale <= widest) continue;
      widest = assignment_[reader.output].scale;
      of_range = reader.output;
    }
    Value output = declared(node.output, of_range);
    const Shape& states = old_[node.output].shape;
    output.shape = {states[1], states[2], states[3]};
    output.growth = {};
    std::vector<ValueId> inputs = {i8(node.inputs[0]), add_rows(node.inputs[1])};
    for (size_t i = 2; i < node.inputs.size(); ++i) inputs.push_back(f32(node.inputs[i]));
    const ValueId hidden =
        add(node.kind == OpKind::kLstm ? OpKind::kLstmI8 : OpKind::kGruI8, node.name, node.attributes, inputs, output);
    const Dimensions<uint32_t>& growth = old_[node.output].growth;
    for (size_t d = 1; d < growth.rank(); ++d) fresh_[hidden].growth.push_back(growth[d]);
    return hidden;
  }

  // What a slice reads of the hidden states.
  ValueId rewrite_hidden_slice(const Node& node, ValueId hidden) {
    Value plane = declared_as(node.output, fresh_[hidden]);
    const Shape& states = fresh_[hidden].shape;
    plane.shape = {{1, false}, states[0], states[1], states[2]};
    const ValueId shaped = add(OpKind::kReshape, node.name + " states", {}, {hidden}, plane);
    fresh_[shaped].growth = {0};
    for (uint32_t growth : fresh_[hidden].growth) fresh_[shaped].growth.push_back(growth);
    if (old_[node.output].shape == plane.shape) return shaped;
    Attributes attributes = node.attributes;
    attributes.starts[0] = 0;
    const Value part = declared_as(node.output, fresh_[hidden]);
    return add(OpKind::kSlice, node.name, attributes, {shaped}, part);
  }

  // Constant weights with a scale for each row.
  ValueId add_rows(ValueId old_id) {
    const Value& weights = old_[old_id];
    Value rows = weights;
    rows.follows = old_id;
    rows.type = DataType::kI8;
    rows.scales.resize(weights.shape[0].extent);
    const size_t row = weights.f32().size() / rows.scales.size();
    std::vector<uint8_t> bytes(weights.f32().size());
    for (size_t r = 0; r < rows.scales.size(); ++r) {
      const std::span<const float> values = weights.f32().subspan(r * row, row);
      rows.scales[r] = format::row_scale(values);
      format::quantize_all(values, {rows.scales[r], 0}, reinterpret_cast<int8_t*>(bytes.data()) + r * row);
    }
    rows.constant->bytes.assign(std::move(bytes));
    return fresh_.add_value(std::move(rows));
  }

  ValueId rewrite_int8(const Node& node) {
    if (is_recurrent(node.kind)) return hidden_states_[node.output] = rewrite_recurrent(node);
    if (const auto found = hidden_states_.find(node.inputs[0]); found != hidden_states_.end())
      return rewrite_hidden_slice(node, found->second);
    const Value output = declared(node.output, node.output);
    if (bounds_by_its_scale(node)) return i8(node.inputs[0]);
    if (format::is_linear(node.kind)) return rewrite_linear(node, output);
    if (format::is_unary_function(node.kind)) return rewrite_unary(node, output);
    if (node.kind == OpKind::kSoftmax) return rewrite_softmax(node, output);
    if (node.kind == OpKind::kPad) return rewrite_pad(node);
    if (passes_through(node.kind)) {
      std::vector<ValueId> inputs = {i8(node.inputs[0])};
      for (size_t i = 1; i < node.inputs.size(); ++i) inputs.push_back(f32(node.inputs[i]));
      const Value same = declared_as(node.output, fresh_[inputs[0]]);
      return add(node.kind, node.name, node.attributes, inputs, same);
    }
    if (node.kind == OpKind::kConcat) {
      std::vector<ValueId> inputs;
      for (ValueId id : node.inputs) {
        ValueId part = i8(id);
        const bool same = ranges_ == Ranges::kFollowed
                              ? fresh_[part].follows == output.follows
                              : fresh_[part].scales == output.scales && fresh_[part].zero_point == output.zero_point;
        if (!same) {
          Value requantized = declared(id, node.output);
          part = add(OpKind::kRequantize, node.name + " scale", {}, {part}, requantized);
        }
        inputs.push_back(part);
      }
      return add(node.kind, node.name, node.attributes, inputs, output);
    }
    std::vector<ValueId> inputs;
    for (ValueId id : node.inputs) inputs.push_back(i8(id));
    return add(node.kind, node.name, node.attributes, inputs, output);
  }

  // A clamp that does no more than its input's integers do.
  bool bounds_by_its_scale(const Node& node) {
    if (node.kind != OpKind::kClamp || ranges_ == Ranges::kFollowed) return false;
    const QuantParameters& q = assignment_[node.output];
    const ValueId x = i8(node.inputs[0]);
    const auto real = [&q](double integer) { return static_cast<double>(q.scale) * (integer - q.zero_point); };
    return fresh_[x].scales[0] == q.scale && fresh_[x].zero_point == q.zero_point &&
           static_cast<double>(node.attributes.clamp_min) < real(-127.5) &&
           static_cast<double>(node.attributes.clamp_max) > real(126.5);
  }

  // The largest scale of which all values are multiples, up to 127; 0: there is none. Weights of a file that another
  // tool has quantized are such.
  static double scale_of_multiples(std::span<const float> values) {
    constexpr double kRounding = 1e-4;  // of products in f32, up to 127
    double largest = 0;
    for (float value : values) largest = std::max<double>(largest, std::fabs(value));
    for (int levels = 1; levels <= 127 && largest > 0; ++levels) {
      const double scale = largest / levels;
      const bool all = std::ranges::all_of(values, [scale](float value) {
        const double q = static_cast<double>(value) / scale;
        return std::fabs(q - std::nearbyint(q)) < kRounding;
      });
      if (all) return scale;
    }
    return 0;
  }

  // Appends an int8 node. Throws OutOfRange if its arithmetic does not take its scales.
  ValueId add(OpKind kind, const std::string& name, const Attributes& attributes, const std::vector<ValueId>& inputs,
              const Value& output) {
    std::vector<format::TensorType> types;
    for (ValueId id : inputs) {
      const Value& value = fresh_[id];
      types.push_back({value.type, value.shape, {value.scales, value.zero_point}, value.is_constant(), false});
    }
    std::span<const int32_t> bias;
    if (format::is_linear(kind) && inputs.size() == 3) {
      const SharedBytes& bytes = fresh_[inputs[2]].constant->bytes;
      bias = {reinterpret_cast<const int32_t*>(bytes.data()), bytes.size() / sizeof(int32_t)};
    }
    for (float scale : output.scales) {
      if (!std::isnormal(scale)) throw OutOfRange{"its values are too small or too large for a scale"};
    }
    const format::TensorType type{output.type, output.shape, {output.scales, output.zero_point}, false, false};
    if (const Message violation = format::integer_violation(kind, types, type, bias)) throw OutOfRange{violation};
    return fresh_.add_node(kind, name, attributes, inputs, &output);
  }

  // A constant padding that the input's quantization cannot hold: the input takes the output's first.
  ValueId rewrite_pad(const Node& node) {
    ValueId x = i8(node.inputs[0]);
    const float scale = fresh_[x].scales[0];
    const int32_t zero_point = fresh_[x].zero_point;
    const float value = node.attributes.pad_value;
    const float held = format::dequantize(format::quantize(value, scale, zero_point), scale, zero_point);
    const bool holds = ranges_ == Ranges::kFollowed ? value == 0 : std::fabs(held - value) <= scale / 2;
    if (node.attributes.pad_mode == format::PadMode::kConstant && !holds) {
      const Value requantized = declared(node.inputs[0], node.output);
      x = add(OpKind::kRequantize, node.name + " scale", {}, {x}, requantized);
    }
    return add(node.kind, node.name, node.attributes, {x}, declared_as(node.output, fresh_[x]));
  }

  // A table of 256 entries.
  ValueId rewrite_unary(const Node& node, const Value& output) {
    const ValueId x = i8(node.inputs[0]);
    const Value input = fresh_[x];
    Value table;
    table.name = node.name + ".table";
    table.type = DataType::kI8;
    table.shape = constant_shape({256});
    table.scales = output.scales;
    table.zero_point = output.zero_point;
    std::vector<uint8_t> values;
    for (int q = -128; q <= 127; ++q) {
      const float real =
          format::in_domain(node.kind, format::dequantize(static_cast<int8_t>(q), input.scales[0], input.zero_point));
      const float y = function_of(node.kind).evaluate(node.attributes, real);
      values.push_back(static_cast<uint8_t>(format::quantize(y, output.scales[0], output.zero_point)));
    }
    table.constant.emplace().bytes.assign(std::move(values));
    return fresh_.add_node(OpKind::kLookup, node.name, {}, {x, fresh_.add_value(std::move(table))}, &output);
  }

  // A table of 256 exponentials.
  ValueId rewrite_softmax(const Node& node, const Value& output) {
    const ValueId x = i8(node.inputs[0]);
    std::vector<int32_t> exponentials(256);
    format::softmax_table(fresh_[x].scales[0], exponentials.data());
    const ValueId table = fresh_.add_constant_i32(node.name + ".table", exponentials);
    return fresh_.add_node(OpKind::kSoftmax, node.name, node.attributes, {x, table}, &output);
  }

  ValueId rewrite_linear(const Node& node, const Value& output) {
    const ValueId x = i8(node.inputs[0]);
    const double input_scale = fresh_[x].scales[0];
    const Value& weights = old_[node.inputs[1]];
    const uint32_t outputs = weights.shape[0].extent;
    const size_t row = weights.f32().size() / outputs;
    const std::span<const float> bias = node.inputs.size() == 3 ? old_[node.inputs[2]].f32() : std::span<const float>();
    Value quantized = weights;
    quantized.follows = node.inputs[1];
    quantized.type = DataType::kI8;
    quantized.scales.resize(outputs);
    std::vector<uint8_t> bytes(weights.f32().size());
    std::vector<int32_t> integers(outputs);
    for (uint32_t o = 0; o < outputs; ++o) {
      const std::span<const float> channel = weights.f32().subspan(o * row, row);
      const double multiples = old_.quantized ? scale_of_multiples(channel) : 0;
      const float scale =
          format::channel_scale(channel, multiples, bias.empty() ? 0 : bias[o], input_scale, output.scales[0]);
      quantized.scales[o] = scale;
      format::quantize_channel(channel, scale, reinterpret_cast<int8_t*>(bytes.data()) + o * row);
      if (!bias.empty()) integers[o] = format::quantize_bias(bias[o], input_scale, scale, row);
    }
    quantized.constant->bytes.assign(std::move(bytes));
    std::vector<ValueId> inputs = {x, fresh_.add_value(std::move(quantized))};
    if (!bias.empty()) {
      inputs.push_back(fresh_.add_constant_i32(old_[node.inputs[2]].name, integers));
      fresh_[inputs.back()].follows = node.inputs[2];
      fresh_[inputs.back()].constant->origin = old_[node.inputs[2]].constant->origin;
      if (fresh_[inputs.back()].constant->origin) fresh_[inputs.back()].constant->origin->folded = true;
    }
    return add(node.kind, node.name, node.attributes, inputs, output);
  }

  const Graph& old_;
  const QuantAssignment& assignment_;
  const std::set<size_t>& kept_;
  Ranges ranges_;
  std::vector<Forms> forms_;
  std::map<ValueId, ValueId> hidden_states_;  // of recurrent layers in int8, by the states of the f32 op
  Graph fresh_;
};

}  // namespace

bool passes_through(OpKind kind) {
  switch (kind) {
    case OpKind::kSlice:
    case OpKind::kPad:
    case OpKind::kReshape:
    case OpKind::kTranspose:
    case OpKind::kResizeNearest:
    case OpKind::kBroadcast:
    case OpKind::kReverse:
    case OpKind::kMaskSequence:
    case OpKind::kMaxPool2d: return true;
    default: return false;
  }
}

Int8Program rewrite_in_int8(const Graph& graph, const QuantAssignment& assignment, const std::set<size_t>& kept,
                            Ranges ranges) {
  return Rewriter(graph, assignment, kept, ranges).run();
}

}  // namespace figment::converter
