#include "passes/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>

#include "passes/quantize_rewrite.h"
#include "write/write_model.h"

namespace figment::converter {

namespace {

constexpr uint32_t kBatch = 32;

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
        choices_(graph->values.size(), RangeRule::kMinMax),
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
    for (const PortDefinition& port : graph_.inputs) choices_[port.value] = RangeRule::kFixed;
    for (const Node& node : graph_.nodes) {
      if (known_range(node.kind)) choices_[node.output] = RangeRule::kFixed;
    }
  }

  Assignment assignment() const {
    Assignment result(graph_.values.size());
    for (ValueId id = 0; id < graph_.values.size(); ++id) {
      auto [low, high] = distributions_[id].range(choices_[id]);
      if (choices_[id] == RangeRule::kSaturation) {
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
    const Graph quantized = rewrite_in_int8(graph_, assigned, kept).graph;
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
    const RangeRule rules[] = {RangeRule::kMinMax, RangeRule::kPercentile, RangeRule::kMse, RangeRule::kSaturation};
    const std::vector<RangeRule> fixed = choices_;
    const auto set_all = [&](RangeRule rule) {
      for (ValueId id = 0; id < choices_.size(); ++id)
        choices_[id] = fixed[id] == RangeRule::kFixed ? RangeRule::kFixed : rule;
    };
    best_ = -std::numeric_limits<double>::infinity();
    RangeRule best_rule = RangeRule::kMinMax;
    for (RangeRule rule : rules) {
      if (rule == RangeRule::kSaturation) continue;
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
      if (choices_[id] == RangeRule::kFixed || passes_through(graph_.nodes[i].kind)) continue;
      RangeRule chosen = choices_[id];
      for (RangeRule rule : rules) {
        if (rule == chosen || (rule == RangeRule::kSaturation && saturation_[id] == 0)) continue;
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
    Int8Program quantized = rewrite_in_int8(graph_, assigned, kept_);
    QuantizeReport report;
    report.psnr_db = psnr(kept_);
    report.calibration_samples = calibrated_;
    report.fully_int8 = quantized.graph.fully_int8;
    const std::vector<double> noise = layer_noise(quantized);
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      LayerReport layer;
      layer.name = node.name;
      layer.kind = node.kind;
      layer.int8 = quantized.reasons[i].empty();
      layer.reason = kept_reasons_.contains(i) ? kept_reasons_[i] : quantized.reasons[i];
      layer.sqnr_db = noise[node.output];
      layer.range_choice = passes_through(node.kind) ? "as its input" : name_of(choices_[node.output]);
      layer.low = assigned[node.output].scale * (-128.0 - assigned[node.output].zero_point);
      layer.high = assigned[node.output].scale * (127.0 - assigned[node.output].zero_point);
      report.layers.push_back(std::move(layer));
    }
    tick(1);
    graph_ = std::move(quantized.graph);
    return report;
  }

  // Signal-to-noise of every value that has an int8 form, in dB.
  std::vector<double> layer_noise(const Int8Program& quantized) const {
    std::vector<double> result(graph_.values.size());
    Graph with_outputs = quantized.graph;
    with_outputs.outputs.clear();
    for (const Node& node : graph_.nodes) {
      if (!quantized.values[node.output]) continue;
      const Value& value = graph_[node.output];
      Value f32;
      f32.name = value.name;
      const ValueId id =
          with_outputs.add_node(OpKind::kDequantize, value.name, {}, {*quantized.values[node.output]}, &f32);
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
  std::vector<RangeRule> choices_;
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
