#include "passes/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <optional>

#include "format/quantized.h"
#include "write/write_model.h"

namespace figment::converter {

namespace {

constexpr uint32_t kBatch = 32;

// Ops whose int8 output has the quantisation of their input.
bool passes_through(OpKind kind) {
  switch (kind) {
    case OpKind::kSlice:
    case OpKind::kPad:
    case OpKind::kReshape:
    case OpKind::kTranspose:
    case OpKind::kResizeNearest:
    case OpKind::kMaxPool2d: return true;
    default: return false;
  }
}

// Why an op has no int8 form, or "".
std::string no_int8_reason(OpKind kind) {
  switch (kind) {
    case OpKind::kDivide: return "division has no int8 form";
    case OpKind::kMatmul: return "the product of two computed matrices has no int8 form";
    case OpKind::kLstm:
    case OpKind::kGru: return "states of recurrent layers add up over time, and stay f32";
    case OpKind::kReverse:
    case OpKind::kMaskSequence:
    case OpKind::kBroadcast:
    case OpKind::kLayerNorm:
    case OpKind::kLogSoftmax: return std::string(format::name_of(kind)) + " has no int8 form";
    default: return "";
  }
}

struct QuantParameters {
  float scale = 0;
  int32_t zero_point = 0;
};

QuantParameters parameters_for(double low, double high) {
  low = std::min(low, 0.0);
  high = std::max(high, 0.0);
  const double scale = std::max((high - low) / 255, 1e-9);
  const double zero = std::nearbyint(-128 - low / scale);
  return {static_cast<float>(scale), static_cast<int32_t>(std::clamp(zero, -128.0, 127.0))};
}

// The quantisation of the outputs of functions with a known range.
std::optional<QuantParameters> known_range(OpKind kind) {
  switch (kind) {
    case OpKind::kTanh: return QuantParameters{1.0F / 128, 0};
    case OpKind::kSigmoid: return QuantParameters{1.0F / 256, -128};
    case OpKind::kSoftmax: return QuantParameters{format::kSoftmaxScale, format::kSoftmaxZeroPoint};
    default: return std::nullopt;
  }
}

enum class Choice : uint8_t { kMinMax, kPercentile, kMse, kSaturation, kFixed };
const char* name_of(Choice choice) {
  switch (choice) {
    case Choice::kMinMax: return "min-max";
    case Choice::kPercentile: return "99.99 %";
    case Choice::kMse: return "least error";
    case Choice::kSaturation: return "saturation";
    case Choice::kFixed: return "known";
  }
  return "";
}

// The values that a tensor took, as a histogram between their extremes.
class Distribution {
 public:
  void see_extremes(std::span<const float> values) {
    for (float value : values) {
      low_ = std::min<double>(low_, value);
      high_ = std::max<double>(high_, value);
    }
  }

  void see(std::span<const float> values) {
    const double width = high_ > low_ ? kBins / (high_ - low_) : 0;
    for (float value : values) {
      const auto bin = static_cast<size_t>((value - low_) * width);
      ++counts_[std::min(bin, kBins - 1)];
    }
    total_ += values.size();
  }

  std::pair<double, double> range(Choice choice) const {
    if (choice == Choice::kPercentile) return {quantile(0.00005), quantile(0.99995)};
    if (choice == Choice::kMse) return least_error();
    return {low_, high_};
  }

 private:
  static constexpr size_t kBins = 4096;

  double center(size_t bin) const { return low_ + (static_cast<double>(bin) + 0.5) * (high_ - low_) / kBins; }

  double quantile(double fraction) const {
    const auto wanted = static_cast<double>(total_) * fraction;
    double seen = 0;
    for (size_t bin = 0; bin < kBins; ++bin) {
      seen += static_cast<double>(counts_[bin]);
      if (seen > wanted) return center(bin);
    }
    return high_;
  }

  // The range among shrunken ones whose rounding and clipping error is least.
  std::pair<double, double> least_error() const {
    double best = std::numeric_limits<double>::infinity();
    std::pair<double, double> result = {low_, high_};
    for (double factor = 0.4; factor <= 1.0001; factor += 0.02) {
      const QuantParameters q = parameters_for(low_ * factor, high_ * factor);
      const double step = q.scale;
      const double bottom = (-128 - q.zero_point) * step;
      const double top = (127 - q.zero_point) * step;
      double error = 0;
      for (size_t bin = 0; bin < kBins; ++bin) {
        if (counts_[bin] == 0) continue;
        const double x = center(bin);
        const double clipped = x < bottom ? bottom - x : x > top ? x - top : 0;
        error += static_cast<double>(counts_[bin]) * (clipped * clipped + step * step / 12);
      }
      if (error < best) {
        best = error;
        result = {low_ * factor, high_ * factor};
      }
    }
    return result;
  }

  double low_ = 0;  // zero is always representable
  double high_ = 0;
  std::vector<uint64_t> counts_ = std::vector<uint64_t>(kBins);
  size_t total_ = 0;
};

// How every value of the f32 program would be quantised.
using Assignment = std::vector<QuantParameters>;

// Rewrites the f32 program to int8 under an assignment.
class Rewriter {
 public:
  Rewriter(const Graph& graph, const Assignment& assignment, const std::set<size_t>& kept)
      : old_(graph), assignment_(assignment), kept_(kept), forms_(graph.values.size()) {}

  Graph run() {
    fresh_.name = old_.name;
    for (const PortDefinition& port : old_.inputs) {
      PortDefinition out = port;
      out.value = fresh_.add_value(old_[port.value]);
      forms_[port.value].f32 = out.value;
      fresh_.inputs.push_back(out);
    }
    reasons.resize(old_.nodes.size());
    bool only_int8 = true;
    for (size_t i = 0; i < old_.nodes.size(); ++i) {
      reasons[i] = rewrite(old_.nodes[i], kept_.contains(i));
      only_int8 = only_int8 && reasons[i].empty();
    }
    for (const PortDefinition& port : old_.outputs) {
      PortDefinition out = port;
      out.value = f32(port.value);
      fresh_.outputs.push_back(out);
    }
    fresh_.fully_int8 = only_int8;
    return std::move(fresh_);
  }

  // The int8 value that stands for each old one, if any; valid after run.
  std::vector<std::optional<ValueId>> int8_values() const {
    std::vector<std::optional<ValueId>> result;
    for (const Forms& forms : forms_) result.push_back(forms.i8);
    return result;
  }

  // For each old node why it stayed f32, or "".
  std::vector<std::string> reasons;

 private:
  struct Forms {
    std::optional<ValueId> f32;
    std::optional<ValueId> i8;
  };

  Value declared(ValueId old_id, QuantParameters q) const {
    Value value = old_[old_id];
    value.constant.reset();
    value.type = DataType::kI8;
    value.scales = {q.scale};
    value.zero_point = q.zero_point;
    return value;
  }

  ValueId f32(ValueId old_id) {
    Forms& forms = forms_[old_id];
    if (!forms.f32) {
      if (old_[old_id].is_constant()) {
        forms.f32 = fresh_.add_value(old_[old_id]);
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
      } else {
        const Value value = declared(old_id, assignment_[old_id]);
        forms.i8 = fresh_.add_node(OpKind::kQuantize, value.name + " to i8", {}, {*forms.f32}, &value);
      }
    }
    return *forms.i8;
  }

  ValueId constant_i8(const Value& value) {
    double low = 0;
    double high = 0;
    for (float x : value.f32()) {
      low = std::min<double>(low, x);
      high = std::max<double>(high, x);
    }
    const QuantParameters q = parameters_for(low, high);
    Value result = value;
    result.type = DataType::kI8;
    result.scales = {q.scale};
    result.zero_point = q.zero_point;
    result.constant->bytes.clear();
    for (float x : value.f32())
      result.constant->bytes.push_back(static_cast<uint8_t>(format::quantize(x, q.scale, q.zero_point)));
    return fresh_.add_value(std::move(result));
  }

  bool has_int8_form(ValueId old_id) const { return forms_[old_id].i8.has_value(); }

  std::string rewrite(const Node& node, bool kept) {
    std::string reason = kept ? "kept f32" : no_int8_reason(node.kind);
    for (size_t i = 1; format::is_linear(node.kind) && i < node.inputs.size(); ++i) {
      if (reason.empty() && !old_[node.inputs[i]].is_constant()) reason = "its weights are computed";
    }
    const bool input_int8 = has_int8_form(node.inputs[0]) || (node.kind == OpKind::kConcat && any_int8(node));
    if (reason.empty() && !input_int8 && (passes_through(node.kind) || format::is_unary_function(node.kind))) {
      reason = is_program_input(node.inputs[0]) ? "" : "its input is f32";
    }
    if (reason.empty()) {
      forms_[node.output].i8 = rewrite_int8(node);
    } else {
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

  ValueId rewrite_int8(const Node& node) {
    const Value output = declared(node.output, assignment_[node.output]);
    if (format::is_linear(node.kind)) return rewrite_linear(node, output);
    if (format::is_unary_function(node.kind)) return rewrite_unary(node, output);
    if (node.kind == OpKind::kSoftmax) return rewrite_softmax(node, output);
    if (passes_through(node.kind)) {
      std::vector<ValueId> inputs = {i8(node.inputs[0])};
      for (size_t i = 1; i < node.inputs.size(); ++i) inputs.push_back(fresh_.add_value(old_[node.inputs[i]]));
      const Value same = declared(node.output, {fresh_[inputs[0]].scales[0], fresh_[inputs[0]].zero_point});
      return fresh_.add_node(node.kind, node.name, node.attributes, inputs, &same);
    }
    if (node.kind == OpKind::kConcat) {
      std::vector<ValueId> inputs;
      for (ValueId id : node.inputs) {
        ValueId part = i8(id);
        if (fresh_[part].scales != output.scales || fresh_[part].zero_point != output.zero_point) {
          Value requantized = declared(id, assignment_[node.output]);
          part = fresh_.add_node(OpKind::kRequantize, node.name + " scale", {}, {part}, &requantized);
        }
        inputs.push_back(part);
      }
      return fresh_.add_node(node.kind, node.name, node.attributes, inputs, &output);
    }
    std::vector<ValueId> inputs;
    for (ValueId id : node.inputs) inputs.push_back(i8(id));
    return fresh_.add_node(node.kind, node.name, node.attributes, inputs, &output);
  }

  // A table of 256 entries, computed in double precision.
  ValueId rewrite_unary(const Node& node, const Value& output) {
    const ValueId x = i8(node.inputs[0]);
    const Value input = fresh_[x];
    Value table;
    table.name = node.name + ".table";
    table.type = DataType::kI8;
    table.shape = constant_shape({256});
    table.scales = output.scales;
    table.zero_point = output.zero_point;
    table.constant.emplace();
    for (int q = -128; q <= 127; ++q) {
      const double real = static_cast<double>(input.scales[0]) * (q - input.zero_point);
      const double y = evaluate(node, real);
      table.constant->bytes.push_back(
          static_cast<uint8_t>(format::quantize(static_cast<float>(y), output.scales[0], output.zero_point)));
    }
    return fresh_.add_node(OpKind::kLookup, node.name, {}, {x, fresh_.add_value(std::move(table))}, &output);
  }

  // A table of 256 exponentials, computed in double precision.
  ValueId rewrite_softmax(const Node& node, const Value& output) {
    const ValueId x = i8(node.inputs[0]);
    std::vector<int32_t> exponentials;
    for (int below = 0; below < 256; ++below) {
      exponentials.push_back(static_cast<int32_t>(
          std::nearbyint(format::kSoftmaxOne * std::exp(-below * static_cast<double>(fresh_[x].scales[0])))));
    }
    const ValueId table = fresh_.add_constant_i32(node.name + ".table", exponentials);
    return fresh_.add_node(OpKind::kSoftmax, node.name, node.attributes, {x, table}, &output);
  }

  static double evaluate(const Node& node, double x) {
    const Attributes& attributes = node.attributes;
    switch (node.kind) {
      case OpKind::kClamp: return std::min<double>(std::max<double>(x, attributes.clamp_min), attributes.clamp_max);
      case OpKind::kLeakyRelu: return x < 0 ? attributes.alpha * x : x;
      case OpKind::kElu: return x < 0 ? attributes.alpha * std::expm1(x) : x;
      case OpKind::kSigmoid: return 1 / (1 + std::exp(-x));
      case OpKind::kTanh: return std::tanh(x);
      case OpKind::kExp: return std::exp(x);
      case OpKind::kLog: return std::log(std::max(x, 1e-30));
      case OpKind::kSqrt: return std::sqrt(std::max(x, 0.0));
      case OpKind::kAbs: return std::fabs(x);
      case OpKind::kNegate: return -x;
      default: return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
    }
  }

  ValueId rewrite_linear(const Node& node, const Value& output) {
    const ValueId x = i8(node.inputs[0]);
    const double input_scale = fresh_[x].scales[0];
    const Value& weights = old_[node.inputs[1]];
    const uint32_t outputs = weights.shape[0].extent;
    const size_t row = weights.f32().size() / outputs;
    const std::span<const float> bias = node.inputs.size() == 3 ? old_[node.inputs[2]].f32() : std::span<const float>();
    Value quantized = weights;
    quantized.type = DataType::kI8;
    quantized.scales.resize(outputs);
    quantized.constant->bytes.resize(weights.f32().size());
    std::vector<int32_t> integers(outputs);
    // Below this the ratio of scales could not be represented.
    const double smallest = 4.0 * format::kSmallestRatio * output.scales[0] / input_scale;
    for (uint32_t o = 0; o < outputs; ++o) {
      const std::span<const float> channel = weights.f32().subspan(o * row, row);
      double largest = 0;
      for (float w : channel) largest = std::max<double>(largest, std::fabs(w));
      double scale = std::max(largest / 127, std::max(smallest, 1e-30));
      // The bias must fit the 32-bit sum beside the products.
      if (!bias.empty()) scale = std::max(scale, std::fabs(static_cast<double>(bias[o])) / (input_scale * (1 << 30)));
      quantized.scales[o] = static_cast<float>(scale);
      for (size_t i = 0; i < row; ++i) {
        const double q = std::nearbyint(channel[i] / static_cast<double>(quantized.scales[o]));
        quantized.constant->bytes[o * row + i] =
            static_cast<uint8_t>(static_cast<int8_t>(std::clamp(q, -127.0, 127.0)));
      }
      if (!bias.empty())
        integers[o] = static_cast<int32_t>(std::nearbyint(bias[o] / (input_scale * quantized.scales[o])));
    }
    std::vector<ValueId> inputs = {x, fresh_.add_value(std::move(quantized))};
    if (!bias.empty()) {
      inputs.push_back(fresh_.add_constant_i32(old_[node.inputs[2]].name, integers));
      fresh_[inputs.back()].constant->origin = old_[node.inputs[2]].constant->origin;
      if (fresh_[inputs.back()].constant->origin) fresh_[inputs.back()].constant->origin->folded = true;
    }
    return fresh_.add_node(node.kind, node.name, node.attributes, inputs, &output);
  }

  const Graph& old_;
  const Assignment& assignment_;
  const std::set<size_t>& kept_;
  std::vector<Forms> forms_;
  Graph fresh_;
};

std::string observer(ValueId id) { return "#" + std::to_string(id); }

// An output for a value whatever its layout, with the batch first, so that it can be computed in parts.
PortDefinition observer_port(ValueId id, ValueId observed, const Shape& shape) {
  PortDefinition port{observer(id), observed, {}, {}};
  uint32_t batch = 0;
  for (uint32_t i = 0; i < shape.rank(); ++i) batch = shape[i].per_batch ? i : batch;
  if (shape.rank() > 0) port.shape.push_back(shape[batch]);
  for (uint32_t i = 0; i < shape.rank(); ++i) {
    if (i != batch) port.shape.push_back(shape[i]);
    port.permutation.push_back(i == batch ? 0 : i < batch ? i + 1 : i);
  }
  return port;
}

// The program with every computed f32 value as an output of its own.
Graph observed(const Graph& graph) {
  Graph result = graph;
  result.outputs.clear();
  for (const Node& node : graph.nodes)
    result.outputs.push_back(observer_port(node.output, node.output, graph[node.output].shape));
  return result;
}

ModelDefinition single(Graph graph) {
  ModelDefinition model;
  model.name = "calibration";
  model.programs.push_back(std::move(graph));
  return model;
}

// Samples [begin, end) of all inputs.
TensorMap part_of(const TensorMap& inputs, size_t samples, size_t begin, size_t end) {
  TensorMap result;
  for (const auto& [name, values] : inputs) {
    const size_t size = values.size() / samples;
    result[name].assign(values.begin() + static_cast<std::ptrdiff_t>(begin * size),
                        values.begin() + static_cast<std::ptrdiff_t>(end * size));
  }
  return result;
}

double decibels(double signal, double noise) {
  return noise <= 0 ? 200 : 10 * std::log10(std::max(signal, 1e-30) / noise);
}

class Quantizer {
 public:
  Quantizer(Graph* graph, const QuantizeOptions& options, const TensorMap& calibration, size_t samples,
            const Progress& progress)
      : graph_(*graph),
        options_(options),
        progress_(progress),
        samples_(samples),
        calibrated_(samples - samples / 4),
        calibration_(part_of(calibration, samples, 0, calibrated_)),
        held_out_(part_of(calibration, samples, calibrated_, samples)),
        choices_(graph->values.size(), Choice::kMinMax),
        saturation_(graph->values.size()),
        distributions_(graph->values.size()) {}

  QuantizeReport run() {
    observe();
    reference_ = Runner(write_model(single(graph_)), kBatch).run(graph_.name, held_out_, held_out_samples());
    peak_ = options_.peak;
    if (peak_ <= 0) {
      float low = std::numeric_limits<float>::max();
      float high = std::numeric_limits<float>::lowest();
      for (const auto& [name, values] : reference_) {
        for (float value : values) low = std::min(low, value), high = std::max(high, value);
      }
      peak_ = std::max(static_cast<double>(high) - low, 1e-6);
    }
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (options_.keep_f32.contains(graph_.nodes[i].name)) {
        kept_.insert(i);
        kept_reasons_[i] = "kept f32 as asked";
      }
    }
    choose_ranges();
    keep_costly_layers();
    return finish();
  }

 private:
  size_t held_out_samples() const { return samples_ - calibrated_; }

  void tick(double fraction) const {
    if (progress_) progress_(std::min(fraction, 1.0));
  }

  // Collects the distribution of every computed value and input.
  void observe() {
    const Graph all = observed(graph_);
    Runner runner(write_model(single(all)), kBatch);
    for (int pass = 0; pass < 2; ++pass) {
      const auto see = [&](ValueId id, std::span<const float> values) {
        pass == 0 ? distributions_[id].see_extremes(values) : distributions_[id].see(values);
      };
      for (size_t begin = 0; begin < calibrated_; begin += kBatch) {
        const size_t end = std::min(begin + kBatch, calibrated_);
        const TensorMap inputs = part_of(calibration_, calibrated_, begin, end);
        const TensorMap outputs = runner.run(all.name, inputs, end - begin);
        for (const Node& node : graph_.nodes) see(node.output, outputs.at(observer(node.output)));
        for (const PortDefinition& port : graph_.inputs) see(port.value, inputs.at(port.name));
        tick(0.3 * (pass + static_cast<double>(end) / static_cast<double>(calibrated_)) / 2);
      }
    }
    // Where the only reader is a squashing function, larger inputs change its int8 output by less than half a step.
    const std::vector<uint32_t> uses = graph_.use_counts();
    for (const Node& node : graph_.nodes) {
      const ValueId x = node.inputs[0];
      if (uses[x] != 1) continue;
      if (node.kind == OpKind::kTanh) saturation_[x] = std::atanh(1 - 0.5 / 128);
      if (node.kind == OpKind::kSigmoid) saturation_[x] = std::log(511.0);
    }
    for (const PortDefinition& port : graph_.inputs) choices_[port.value] = Choice::kFixed;
    for (const Node& node : graph_.nodes) {
      if (known_range(node.kind)) choices_[node.output] = Choice::kFixed;
    }
  }

  Assignment assignment() const {
    Assignment result(graph_.values.size());
    for (ValueId id = 0; id < graph_.values.size(); ++id) {
      auto [low, high] = distributions_[id].range(choices_[id]);
      if (choices_[id] == Choice::kSaturation) {
        low = std::max(low, -saturation_[id]);
        high = std::min(high, saturation_[id]);
      }
      result[id] = parameters_for(low, high);
    }
    for (const PortDefinition& port : graph_.inputs) {
      if (port.name != options_.latent) continue;
      // N(0, 1) is clipped at four standard deviations.
      result[port.value] = options_.prior == Prior::kNormal ? parameters_for(-4, 4) : parameters_for(-1, 1);
    }
    for (const Node& node : graph_.nodes) {
      if (const auto known = known_range(node.kind)) result[node.output] = *known;
    }
    return result;
  }

  double psnr(const std::set<size_t>& kept) const {
    const Assignment assigned = assignment();
    const Graph quantized = Rewriter(graph_, assigned, kept).run();
    const TensorMap outputs =
        Runner(write_model(single(quantized)), kBatch).run(graph_.name, held_out_, held_out_samples());
    double error = 0;
    size_t count = 0;
    for (const auto& [name, values] : outputs) {
      const std::vector<float>& expected = reference_.at(name);
      for (size_t i = 0; i < values.size(); ++i) error += std::pow(static_cast<double>(values[i]) - expected[i], 2);
      count += values.size();
    }
    return decibels(peak_ * peak_, error / static_cast<double>(count));
  }

  // First the best of three rules for all tensors, then for each tensor what is best given the others.
  void choose_ranges() {
    const Choice rules[] = {Choice::kMinMax, Choice::kPercentile, Choice::kMse, Choice::kSaturation};
    const std::vector<Choice> fixed = choices_;
    const auto set_all = [&](Choice rule) {
      for (ValueId id = 0; id < choices_.size(); ++id)
        choices_[id] = fixed[id] == Choice::kFixed ? Choice::kFixed : rule;
    };
    best_ = -std::numeric_limits<double>::infinity();
    Choice best_rule = Choice::kMinMax;
    for (Choice rule : rules) {
      if (rule == Choice::kSaturation) continue;
      set_all(rule);
      const double result = psnr(kept_);
      if (result > best_) {
        best_ = result;
        best_rule = rule;
      }
    }
    set_all(best_rule);
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      tick(0.35 + 0.35 * static_cast<double>(i) / static_cast<double>(graph_.nodes.size()));
      const ValueId id = graph_.nodes[i].output;
      if (choices_[id] == Choice::kFixed || passes_through(graph_.nodes[i].kind)) continue;
      Choice chosen = choices_[id];
      for (Choice rule : rules) {
        if (rule == chosen || (rule == Choice::kSaturation && saturation_[id] == 0)) continue;
        choices_[id] = rule;
        const double result = psnr(kept_);
        if (result > best_ + 0.01) {
          best_ = result;
          chosen = rule;
        }
      }
      choices_[id] = chosen;
    }
  }

  // Until the goal is reached, keeps the linear layer f32 whose int8 form costs most, if that is more than the
  // threshold.
  void keep_costly_layers() {
    while (best_ < options_.psnr_goal_db) {
      double most = options_.keep_threshold_db;
      size_t costly = graph_.nodes.size();
      for (size_t i = 0; i < graph_.nodes.size(); ++i) {
        tick(0.7 + 0.25 * static_cast<double>(i) / static_cast<double>(graph_.nodes.size()));
        if (!format::is_linear(graph_.nodes[i].kind) || kept_.contains(i)) continue;
        std::set<size_t> trial = kept_;
        trial.insert(i);
        const double gain = psnr(trial) - best_;
        if (gain > most) {
          most = gain;
          costly = i;
        }
      }
      if (costly == graph_.nodes.size()) return;
      kept_.insert(costly);
      best_ += most;
      char text[96];
      std::snprintf(text, sizeof text, "kept f32: in int8 it costs %.1f dB of PSNR", most);
      kept_reasons_[costly] = text;
    }
  }

  QuantizeReport finish() {
    const Assignment assigned = assignment();
    Rewriter rewriter(graph_, assigned, kept_);
    Graph quantized = rewriter.run();
    QuantizeReport report;
    report.psnr_db = psnr(kept_);
    report.calibration_samples = calibrated_;
    report.fully_int8 = quantized.fully_int8;
    const std::vector<double> noise = layer_noise(quantized, rewriter.int8_values());
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      LayerReport layer;
      layer.name = node.name;
      layer.kind = node.kind;
      layer.int8 = rewriter.reasons[i].empty();
      layer.reason = kept_reasons_.contains(i) ? kept_reasons_[i] : rewriter.reasons[i];
      layer.sqnr_db = noise[node.output];
      layer.range_choice = passes_through(node.kind) ? "as its input" : name_of(choices_[node.output]);
      layer.low = assigned[node.output].scale * (-128.0 - assigned[node.output].zero_point);
      layer.high = assigned[node.output].scale * (127.0 - assigned[node.output].zero_point);
      report.layers.push_back(std::move(layer));
    }
    tick(1);
    graph_ = std::move(quantized);
    return report;
  }

  // Signal-to-noise of every value that has an int8 form, in dB.
  std::vector<double> layer_noise(const Graph& quantized, const std::vector<std::optional<ValueId>>& forms) const {
    std::vector<double> result(graph_.values.size());
    Graph with_outputs = quantized;
    with_outputs.outputs.clear();
    for (const Node& node : graph_.nodes) {
      if (!forms[node.output]) continue;
      const Value& value = graph_[node.output];
      Value f32;
      f32.name = value.name;
      const ValueId id = with_outputs.add_node(OpKind::kDequantize, value.name, {}, {*forms[node.output]}, &f32);
      with_outputs.outputs.push_back(observer_port(node.output, id, value.shape));
    }
    if (with_outputs.outputs.empty()) return result;
    const size_t count = held_out_samples();
    const TensorMap actual = Runner(write_model(single(with_outputs)), kBatch).run(graph_.name, held_out_, count);
    const TensorMap expected = Runner(write_model(single(observed(graph_))), kBatch).run(graph_.name, held_out_, count);
    for (const Node& node : graph_.nodes) {
      const auto found = actual.find(observer(node.output));
      if (found == actual.end()) continue;
      const std::vector<float>& reference = expected.at(observer(node.output));
      double signal = 0;
      double noise = 0;
      for (size_t i = 0; i < reference.size(); ++i) {
        signal += std::pow(static_cast<double>(reference[i]), 2);
        noise += std::pow(static_cast<double>(found->second[i]) - reference[i], 2);
      }
      result[node.output] = decibels(signal, noise);
    }
    return result;
  }

  Graph& graph_;
  const QuantizeOptions& options_;
  const Progress& progress_;
  size_t samples_;
  size_t calibrated_;
  TensorMap calibration_;
  TensorMap held_out_;
  TensorMap reference_;
  double peak_ = 0;
  double best_ = 0;
  std::vector<Choice> choices_;
  std::vector<double> saturation_;  // of the function that alone reads a value; 0 if there is none
  std::vector<Distribution> distributions_;
  std::set<size_t> kept_;
  std::map<size_t, std::string> kept_reasons_;
};

}  // namespace

QuantizeReport quantize(Graph* graph, const QuantizeOptions& options, const TensorMap& calibration, size_t samples,
                        const Progress& progress) {
  if (samples < 16) throw Error("int8 needs at least 16 calibration samples, there are " + std::to_string(samples));
  for (const std::string& name : options.keep_f32) {
    const bool known =
        std::any_of(graph->nodes.begin(), graph->nodes.end(), [&](const Node& node) { return node.name == name; });
    if (!known) throw Error("--keep-f32 " + name + ": the program has no op of that name; figment inspect lists them");
  }
  return Quantizer(graph, options, calibration, samples, progress).run();
}

}  // namespace figment::converter
