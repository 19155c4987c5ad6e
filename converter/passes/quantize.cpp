#include "passes/quantize.h"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <numeric>

#include "io/files.h"
#include "io/signal_to_noise.h"
#include "ir/batch.h"
#include "ir/cost.h"
#include "passes/quantize_rewrite.h"
#include "passes/sample_runs.h"

namespace figment::converter {

namespace {

using io::kExactDecibels;
using io::SignalToNoise;

constexpr size_t kMaxAtOnce = 32;  // samples that are computed together
// Bytes that they may take, or a quarter of the file's: a large file takes more than three times its size besides, for
// the program, the model that runs, its packed weights, and the same of the int8 model.
constexpr uint64_t kLeastForSamples = uint64_t{32} << 20;
// Where all values of a sample are shown, they are held in the arenas of both models, there in f32 as well, and as
// outputs of both.
constexpr uint64_t kCopiesOfShown = 5;

std::string observer(ValueId id) { return fmt::format("#{}", id); }

// An output for a value, in the program's own layout.
PortDefinition observer_port(ValueId id, ValueId observed, const Shape& shape) {
  PortDefinition port{observer(id), observed, shape, {}};
  for (uint32_t i = 0; i < shape.rank(); ++i) port.permutation.push_back(i);
  return batch_first(port);
}

// Programs with every computed f32 value as an output of its own, as many as outputs are allowed in each.
std::vector<Graph> observed(const Graph& graph) {
  constexpr size_t kMaxOutputs = 256;
  std::vector<Graph> result;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (i % kMaxOutputs == 0) {
      result.push_back(graph);
      result.back().outputs.clear();
    }
    const ValueId id = graph.nodes[i].output;
    result.back().outputs.push_back(observer_port(id, id, graph[id].shape));
  }
  return result;
}

constexpr double kReserve = 3;  // dB of signal to noise, for other samples than were seen

void check_finite(std::span<const float> values, const std::string& what) {
  if (!std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); }))
    throw Error(what + " NaN or infinite values, which int8 cannot hold");
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
        all_(calibration),
        most_at_once_(most_within(options, bytes_of_sample(*graph))),
        most_shown_(most_within(options, kCopiesOfShown * bytes_of_sample(*graph))),
        calibration_(part_of(calibration, samples, 0, calibrated_)),
        held_out_(part_of(calibration, samples, calibrated_, samples)),
        tried_(affordable(operations(*graph), samples - calibrated_)),
        trials_left_(kTrialOperations / tried_ / std::max<uint64_t>(operations(*graph), 1)),
        choices_(graph->values.size(), RangeRule::kMinMax),
        of_file_(quantized_by_file(*graph)),
        saturation_(graph->values.size()),
        infinite_(graph->values.size()),
        distributions_(graph->values.size()),
        ranges_(graph->values.size()) {}

  QuantizeReport run() {
    if (graph_.nodes.empty()) return {{}, kExactDecibels, kExactDecibels, calibrated_, false, {}};
    phase_ = "the values' distributions";
    observe();
    phase_ = "the f32 network";
    all_reference_ = run_whole(graph_, all_, samples_, most_at_once_);
    reference_ = part_of(all_reference_, samples_, calibrated_, samples_);
    trial_ = part_of(held_out_, held_out_samples(), 0, tried_);
    trial_reference_ = part_of(reference_, held_out_samples(), 0, tried_);
    for (const auto& [name, values] : all_reference_)
      check_finite(values, "output " + name + " has, on the calibration data,");
    peak_ = options_.peak;
    if (peak_ <= 0) {
      float low = std::numeric_limits<float>::max();
      float high = std::numeric_limits<float>::lowest();
      for (const auto& [name, values] : reference_) {
        for (float value : values) low = std::min(low, value), high = std::max(high, value);
      }
      peak_ = std::max(static_cast<double>(high) - low, 1e-30);
    }
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (options_.keep_f32.contains(graph_.nodes[i].name)) {
        kept_.insert(i);
        kept_reasons_[i] = "kept f32 as asked";
      }
    }
    keep_islands();
    phase_ = "ranges";
    choose_ranges();
    phase_ = "layers to keep in f32";
    keep_costly_layers();
    reach_least_quality();
    keep_islands();
    return finish();
  }

 private:
  // A trial of a choice runs the whole program on so many samples, so that it takes a second or two of one core; ranges
  // are tried for some minutes at most. That a layer is kept in f32 is tried for each layer, which a network that int8
  // suits does not need.
  static constexpr uint64_t kOperationsOfTrial = 20000000000;
  static constexpr uint64_t kTrialOperations = 4000000000000;
  static size_t affordable(uint64_t operations, size_t held_out) {
    constexpr uint64_t kLeast = 8;
    const uint64_t wanted = std::max(kLeast, kOperationsOfTrial / std::max<uint64_t>(operations, 1));
    return static_cast<size_t>(std::min<uint64_t>(wanted, held_out));
  }

  static size_t most_within(const QuantizeOptions& options, uint64_t bytes_of_each) {
    const uint64_t bytes = std::max(kLeastForSamples, options.source_bytes / 4);
    return static_cast<size_t>(std::clamp<uint64_t>(bytes / (bytes_of_each + 1), 1, kMaxAtOnce));
  }
  size_t held_out_samples() const { return samples_ - calibrated_; }

  void tick(double fraction) const {
    if (progress_) progress_(std::min(fraction, 1.0), phase_);
  }

  // Collects the distribution of every computed value and input.
  void observe() {
    for (const PortDefinition& port : graph_.inputs)
      check_finite(calibration_.at(port.name), "the calibration data of input " + port.name + " has");
    for (const PortDefinition& port : graph_.inputs)
      check_finite(held_out_.at(port.name), "the calibration data of input " + port.name + " has");
    const std::vector<Graph> all = observed(graph_);
    const double steps = 2.0 * static_cast<double>(all.size()) * static_cast<double>(calibrated_);
    double done = 0;
    for (const Graph& part : all) {
      const fig_kernels kernels = options_.ranges == Ranges::kFollowed ? FIG_KERNELS_PORTABLE : FIG_KERNELS_BEST;
      BatchedRun program(part, calibration_, calibrated_, most_shown_, Outputs::kAll, kernels);
      for (int pass = 0; pass < 2; ++pass) {
        for (size_t begin = 0; begin < calibrated_; begin += program.batch()) {
          const size_t count = program.batch();
          const auto see = [&](ValueId id, std::span<const float> values) {
            pass == 0 ? distributions_[id].see_extremes(values, count) : distributions_[id].see(values);
          };
          const TensorMap outputs = program.run(begin);
          for (const PortDefinition& port : part.outputs) {
            const std::vector<float>& values = outputs.at(port.name);
            if (std::ranges::any_of(values, [](float x) { return std::isnan(x); }))
              throw Error("node " + graph_[port.value].name + " computes, on the calibration data, NaN");
            infinite_[port.value] =
                infinite_[port.value] || std::ranges::any_of(values, [](float x) { return std::isinf(x); });
            if (!infinite_[port.value]) see(port.value, values);
          }
          for (const PortDefinition& port : graph_.inputs) {
            const std::span<const float> values = calibration_.at(port.name);
            const size_t size = values.size() / calibrated_;
            if (&part == all.data()) see(port.value, values.subspan(begin * size, count * size));
          }
          done += static_cast<double>(count);
          tick(0.3 * done / steps);
        }
      }
    }
    // What masks leave out is infinite, and no integer.
    for (ValueId id = 0; id < graph_.values.size(); ++id) {
      const Value& value = graph_[id];
      if (value.is_constant() && value.type == DataType::kF32)
        infinite_[id] = std::ranges::any_of(value.f32(), [](float x) { return !std::isfinite(x); });
    }
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      if (!infinite_[node.output] && std::ranges::none_of(node.inputs, [&](ValueId id) { return infinite_[id]; }))
        continue;
      kept_.insert(i);
      kept_reasons_[i] = "infinite values have no int8 form";
    }
    // Asked for with every trial of a choice.
    for (ValueId id = 0; id < distributions_.size(); ++id) {
      for (const RangeRule rule : {RangeRule::kMinMax, RangeRule::kPercentile, RangeRule::kMse})
        ranges_[id][static_cast<size_t>(rule)] = distributions_[id].range(rule);
    }
    // Where the only reader is a squashing function, larger inputs change its int8 output by less than half a step.
    const std::vector<uint32_t> uses = graph_.use_counts();
    for (const Node& node : graph_.nodes) {
      const ValueId x = node.inputs[0];
      if (uses[x] != 1) continue;
      if (node.kind == OpKind::kTanh) saturation_[x] = static_cast<float>(std::atanh(1 - 0.5 / 128));
      if (node.kind == OpKind::kSigmoid) saturation_[x] = static_cast<float>(std::log(511.0));
    }
    for (const PortDefinition& port : graph_.inputs) choices_[port.value] = RangeRule::kFixed;
    for (const Node& node : graph_.nodes) {
      if (known_range(node.kind)) choices_[node.output] = RangeRule::kFixed;
    }
    for (ValueId id = 0; id < graph_.values.size(); ++id) {
      if (of_file_[id]) choices_[id] = RangeRule::kFile;
    }
  }

  static bool is_given(RangeRule rule) { return rule == RangeRule::kFixed || rule == RangeRule::kFile; }

  QuantAssignment assignment() const {
    QuantAssignment result(graph_.values.size());
    for (ValueId id = 0; id < graph_.values.size(); ++id) {
      const RangeRule rule = choices_[id];
      const bool clips = rule == RangeRule::kPercentile || rule == RangeRule::kMse;
      auto [low, high] = ranges_[id][static_cast<size_t>(clips ? rule : RangeRule::kMinMax)];
      if (choices_[id] == RangeRule::kSaturation) {
        low = std::max<double>(low, -saturation_[id]);
        high = std::min<double>(high, saturation_[id]);
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
    for (ValueId id = 0; id < graph_.values.size(); ++id) {
      if (of_file_[id]) result[id] = {of_file_[id]->scale, of_file_[id]->zero_point};
    }
    return result;
  }

  Int8Program rewritten(const QuantAssignment& assigned, const std::set<size_t>& kept) const {
    return rewrite_in_int8(graph_, assigned, kept, options_.ranges);
  }

  // The outputs of the int8 program.
  TensorMap outputs_of(const std::set<size_t>& kept, const TensorMap& inputs, size_t samples) const {
    return run_whole(rewritten(assignment(), kept).graph, inputs, samples, most_at_once_);
  }

  // On all that is held out; of a trial, on a part of it where a sample takes long.
  double psnr(const std::set<size_t>& kept, bool trial = true) const {
    double error = 0;
    size_t count = 0;
    const TensorMap& reference = trial ? trial_reference_ : reference_;
    const TensorMap results =
        trial ? outputs_of(kept, trial_, tried_) : outputs_of(kept, held_out_, held_out_samples());
    for (const auto& [name, values] : results) {
      const std::vector<float>& expected = reference.at(name);
      for (size_t i = 0; i < values.size(); ++i) error += std::pow(static_cast<double>(values[i]) - expected[i], 2);
      count += values.size();
    }
    if (count == 0) return kExactDecibels;
    return io::decibels(peak_ * peak_, error / static_cast<double>(count));
  }

  // The signal to noise of the output that has least, on the samples held out and on all.
  struct Quality {
    double held_out = kExactDecibels;
    double all = kExactDecibels;

    double least() const { return std::min(held_out, all); }
  };

  Quality quality_of(const std::set<size_t>& kept) const {
    BatchedRun program(rewritten(assignment(), kept).graph, all_, samples_, most_at_once_);
    std::map<std::string, SignalToNoise> all;
    std::map<std::string, SignalToNoise> held_out;
    for (size_t begin = 0; begin < samples_; begin += program.batch()) {
      const size_t count = program.batch();
      const size_t seen = std::clamp(calibrated_, begin, begin + count) - begin;
      for (const auto& [name, values] : program.run(begin)) {
        const size_t size = values.size() / count;
        const std::span<const float> actual = values;
        const std::span<const float> expected = std::span(all_reference_.at(name)).subspan(begin * size, values.size());
        all[name].add(actual, expected, count);
        held_out[name].add(actual.subspan(seen * size), expected.subspan(seen * size), count - seen);
      }
    }
    Quality result;
    for (const auto& [name, ratio] : all) result.all = std::min(result.all, ratio.decibels());
    for (const auto& [name, ratio] : held_out) result.held_out = std::min(result.held_out, ratio.decibels());
    return result;
  }

  // The same of a trial, on its samples alone.
  double trial_quality(const std::set<size_t>& kept) const {
    double result = kExactDecibels;
    for (const auto& [name, values] : outputs_of(kept, trial_, tried_)) {
      SignalToNoise ratio;
      ratio.add(values, trial_reference_.at(name), tried_);
      result = std::min(result, ratio.decibels());
    }
    return result;
  }

  // Few samples may bring most of the noise: all are asked, and there is a reserve for others.
  bool reaches_goal(const Quality& quality, double reserve = kReserve) const {
    return quality.held_out >= options_.snr_goal_db && quality.all >= options_.snr_goal_db + reserve;
  }

  bool applies(RangeRule rule, ValueId id) const {
    if (rule == RangeRule::kSaturation) return saturation_[id] != 0;
    return rule == RangeRule::kMinMax || distributions_[id].may_clip();
  }

  // First the best of three rules for all tensors, then for each tensor what is best given the others.
  void choose_ranges() {
    const RangeRule rules[] = {RangeRule::kMinMax, RangeRule::kPercentile, RangeRule::kMse, RangeRule::kSaturation};
    const std::vector<RangeRule> fixed = choices_;
    const auto set_all = [&](RangeRule rule) {
      for (ValueId id = 0; id < choices_.size(); ++id) {
        if (!is_given(fixed[id])) choices_[id] = applies(rule, id) ? rule : RangeRule::kMinMax;
      }
    };
    if (options_.ranges == Ranges::kFollowed) {
      // Sessions do not try.
      set_all(RangeRule::kSaturation);
      best_ = psnr(kept_);
      return;
    }
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
    const std::vector<bool> tried = worth_trying();
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      tick(0.35 + 0.35 * static_cast<double>(i) / static_cast<double>(graph_.nodes.size()));
      const ValueId id = graph_.nodes[i].output;
      if (!tried[i]) continue;
      RangeRule chosen = choices_[id];
      for (RangeRule rule : rules) {
        if (rule == chosen || !applies(rule, id)) continue;
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

  // The nodes whose output's range is tried apart: all that have a choice, or as many as there is time for, first those
  // whose rules differ most.
  std::vector<bool> worth_trying() const {
    constexpr uint64_t kTrialsOfNode = 3;
    std::vector<bool> result(graph_.nodes.size());
    std::vector<std::pair<double, size_t>> by_spread;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const ValueId id = graph_.nodes[i].output;
      if (is_given(choices_[id]) || passes_through(graph_.nodes[i].kind)) continue;
      const auto width = [&](RangeRule rule) {
        const auto [low, high] = ranges_[id][static_cast<size_t>(rule)];
        return std::max(high - low, 1e-30);
      };
      by_spread.emplace_back(-width(RangeRule::kMinMax) / width(RangeRule::kMse), i);
    }
    std::ranges::sort(by_spread);
    const uint64_t affordable = std::max<uint64_t>(trials_left_ / kTrialsOfNode, 1);
    for (size_t k = 0; k < std::min<uint64_t>(by_spread.size(), affordable); ++k) result[by_spread[k].second] = true;
    return result;
  }

  // What is int8 between f32 ops alone, and has no product to gain by, is f32 too: but for networks without products.
  void keep_islands() {
    const bool products = std::ranges::any_of(
        graph_.nodes, [](const Node& node) { return format::is_linear(node.kind) || node.kind == OpKind::kMatmul; });
    if (!products) return;
    const std::vector<std::string> reasons = rewritten(assignment(), kept_).reasons;
    // The ops that int8 values connect: each is in the island of the first.
    std::vector<size_t> island(graph_.nodes.size());
    std::iota(island.begin(), island.end(), size_t{0});
    const auto root = [&](size_t i) {
      while (island[i] != i) i = island[i];
      return i;
    };
    const std::vector<int32_t> producers = graph_.producers();
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      for (ValueId id : graph_.nodes[i].inputs) {
        const auto producer = static_cast<size_t>(std::max(producers[id], 0));
        if (producers[id] >= 0 && reasons[i].empty() && reasons[producer].empty()) island[root(i)] = root(producer);
      }
    }
    std::set<size_t> with_product;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (reasons[i].empty() && format::is_linear(graph_.nodes[i].kind)) with_product.insert(root(i));
    }
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (!reasons[i].empty() || with_product.contains(root(i))) continue;
      kept_.insert(i);
      kept_reasons_[i] = "kept f32: no product beside it is int8, so that nothing would be gained";
    }
  }

  // Until the goal is reached, keeps the linear layer f32 whose int8 form costs most, if that is more than the
  // threshold: of all, and once one is kept of those that cost most before.
  void keep_costly_layers() {
    constexpr size_t kTriedAgain = 8;
    std::vector<size_t> candidates;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (format::is_linear(graph_.nodes[i].kind) && !kept_.contains(i)) candidates.push_back(i);
    }
    while (best_ < options_.psnr_goal_db) {
      std::vector<std::pair<double, size_t>> gains;
      for (size_t i : candidates) {
        tick(0.7 + 0.25 * static_cast<double>(i) / static_cast<double>(graph_.nodes.size()));
        std::set<size_t> trial = kept_;
        trial.insert(i);
        gains.emplace_back(best_ - psnr(trial), i);
      }
      std::ranges::sort(gains);
      if (gains.empty() || -gains[0].first <= options_.keep_threshold_db) return;
      const double most = -gains[0].first;
      const size_t costly = gains[0].second;
      candidates.clear();
      for (size_t k = 1; k < std::min(gains.size(), kTriedAgain + 1); ++k) candidates.push_back(gains[k].second);
      kept_.insert(costly);
      best_ += most;
      char text[96];
      std::snprintf(text, sizeof text, "kept f32: in int8 it costs %.1f dB of PSNR", most);
      kept_reasons_[costly] = text;
    }
  }

  // Keeps in f32 what stands in the way of the least signal to noise at each output: the layers that alone, all others
  // being f32, cost most, and no more of them than it takes.
  void reach_least_quality() {
    const Quality all_int8 = quality_of(kept_);
    if (reaches_goal(all_int8)) return;
    const std::vector<std::string> reasons = rewritten(assignment(), kept_).reasons;
    std::vector<std::pair<double, size_t>> costs;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (!reasons[i].empty()) continue;
      std::set<size_t> others;
      for (size_t j = 0; j < graph_.nodes.size(); ++j) {
        if (j != i) others.insert(j);
      }
      costs.emplace_back(trial_quality(others), i);
      tick(0.95 + 0.04 * static_cast<double>(i) / static_cast<double>(graph_.nodes.size()));
    }
    std::sort(costs.begin(), costs.end());
    const auto with = [&](size_t count) {
      std::set<size_t> kept = kept_;
      for (size_t i = 0; i < count; ++i) kept.insert(costs[i].second);
      return kept;
    };
    // The fewest that do; with all of them the program is f32, which is worse than no reserve.
    double reserve = kReserve;
    const auto fewest = [&] {
      size_t enough = costs.size();
      for (size_t too_few = 0; too_few < enough;) {
        const size_t middle = (too_few + enough) / 2;
        if (reaches_goal(quality_of(with(middle)), reserve)) {
          enough = middle;
        } else {
          too_few = middle + 1;
        }
      }
      return enough;
    };
    size_t enough = fewest();
    if (enough == costs.size()) {
      reserve = 0;
      enough = fewest();
    }
    kept_ = with(enough);
    // Of those, the ones that the others make superfluous; the least costly first, as many as there is time for.
    constexpr size_t kLeftOut = 32;
    for (size_t i = enough; i > 0 && enough - i < kLeftOut; --i) {
      std::set<size_t> fewer = kept_;
      fewer.erase(costs[i - 1].second);
      if (reaches_goal(quality_of(fewer), reserve)) kept_ = std::move(fewer);
    }
    for (size_t i = 0; i < enough; ++i) {
      if (!kept_.contains(costs[i].second)) continue;
      kept_reasons_[costs[i].second] = fmt::format(
          "kept f32: all layers in int8 leave {:.1f} dB of signal to noise, of {:g} that each output is to have and "
          "{:g} to spare; this one alone leaves {:.1f}",
          all_int8.least(), options_.snr_goal_db, reserve, costs[i].first);
    }
  }

  QuantizeReport finish() {
    const QuantAssignment assigned = assignment();
    Int8Program quantized = rewritten(assigned, kept_);
    QuantizeReport report;
    report.psnr_db = psnr(kept_, false);
    report.snr_db = quality_of(kept_).least();
    report.calibration_samples = calibrated_;
    report.fully_int8 = quantized.graph.fully_int8;
    for (ValueId id = 0; id < graph_.values.size(); ++id) {
      report.limits.emplace_back();
      if (is_given(choices_[id])) continue;
      report.limits.back() = choices_[id] == RangeRule::kSaturation ? saturation_[id] : 0.0F;
    }
    const std::vector<double> noise = layer_noise(quantized);
    std::vector<ValueId> source(graph_.values.size());
    std::iota(source.begin(), source.end(), ValueId{0});
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      LayerReport layer;
      layer.name = node.name;
      layer.kind = node.kind;
      layer.int8 = quantized.reasons[i].empty();
      layer.reason = kept_reasons_.contains(i) ? kept_reasons_[i] : quantized.reasons[i];
      layer.sqnr_db = noise[node.output];
      layer.range_choice = passes_through(node.kind) ? "as its input" : name_of(choices_[node.output]);
      // What only moves values has its input's.
      source[node.output] = passes_through(node.kind) ? source[node.inputs[0]] : node.output;
      layer.scale_of_file = choices_[source[node.output]] == RangeRule::kFile;
      const QuantParameters& range = assigned[source[node.output]];
      layer.low = range.scale * (-128.0 - range.zero_point);
      layer.high = range.scale * (127.0 - range.zero_point);
      report.layers.push_back(std::move(layer));
    }
    tick(1);
    graph_ = std::move(quantized.graph);
    return report;
  }

  // Signal to noise of every value that has an int8 form, in dB. The last to read the f32 program's constants, which
  // are not there any more afterwards: the model that runs has its own copy.
  std::vector<double> layer_noise(const Int8Program& quantized) {
    std::vector<double> result(graph_.values.size());
    std::vector<Graph> parts = observed(graph_);
    for (Value& value : graph_.values) {
      if (value.is_constant()) value.constant->bytes = {};
    }
    for (Graph& part : parts) {
      const std::vector<PortDefinition> outputs = part.outputs;
      Graph with_outputs = quantized.graph;
      with_outputs.outputs.clear();
      for (const PortDefinition& port : outputs) {
        const Value& value = graph_[port.value];
        if (!quantized.values[port.value]) continue;
        Value f32;
        f32.name = value.name;
        const ValueId id =
            with_outputs.add_node(OpKind::kDequantize, value.name, {}, {*quantized.values[port.value]}, &f32);
        with_outputs.outputs.push_back(observer_port(port.value, id, value.shape));
      }
      if (with_outputs.outputs.empty()) continue;
      const size_t samples = held_out_samples();
      BatchedRun int8(std::move(with_outputs), held_out_, samples, most_shown_, Outputs::kAll);
      BatchedRun f32(std::move(part), held_out_, samples, most_shown_, Outputs::kAll);
      std::map<std::string, SignalToNoise> ratios;
      for (size_t begin = 0; begin < samples; begin += int8.batch()) {
        const TensorMap expected = f32.run(begin);
        const TensorMap actual = int8.run(begin);
        for (const PortDefinition& port : outputs) {
          const auto found = actual.find(port.name);
          if (found == actual.end()) continue;
          const size_t count = has_batch(port.shape) ? int8.batch() : 1;
          ratios[port.name].add(found->second, expected.at(port.name), count);
        }
      }
      for (const PortDefinition& port : outputs) {
        if (const auto found = ratios.find(port.name); found != ratios.end())
          result[port.value] = found->second.decibels();
      }
    }
    return result;
  }

  Graph& graph_;
  const QuantizeOptions& options_;
  const Progress& progress_;
  const char* phase_ = "";
  size_t samples_;
  size_t calibrated_;
  const TensorMap& all_;
  size_t most_at_once_;
  size_t most_shown_;  // where all values are
  TensorMap calibration_;
  TensorMap held_out_;
  size_t tried_;          // samples of trials, the first of those held out
  uint64_t trials_left_;  // that there is time for
  TensorMap trial_;
  TensorMap trial_reference_;
  TensorMap reference_;  // outputs in f32 on what is held out
  TensorMap all_reference_;
  double peak_ = 0;
  double best_ = 0;
  std::vector<RangeRule> choices_;
  std::vector<std::optional<FileQuantization>> of_file_;
  std::vector<float> saturation_;  // of the function that alone reads a value; 0 if there is none
  std::vector<bool> infinite_;     // values that are infinite somewhere, on the calibration data
  std::vector<Distribution> distributions_;
  std::vector<std::array<std::pair<double, double>, 3>> ranges_;  // by kMinMax, kPercentile and kMse
  std::set<size_t> kept_;
  std::map<size_t, std::string> kept_reasons_;
};

}  // namespace

void check_memory(const Graph& graph, const QuantizeOptions& options, size_t samples) {
  // Inputs and outputs: as given, in the parts that are calibrated on and judged by, and computed.
  constexpr uint64_t kCopies = 3;
  CheckedSize elements;
  for (const std::vector<PortDefinition>* ports : {&graph.inputs, &graph.outputs}) {
    for (const PortDefinition& port : *ports) elements += element_count(port.shape, 1);
  }
  const CheckedSize bytes = elements * kCopies * samples * sizeof(float);
  io::Budget(options.source_bytes)
      .check(bytes.valid() ? bytes.value() : UINT64_MAX,
             fmt::format("int8: to calibrate on {} samples (--calibrate)", samples));
}

QuantizeReport quantize(Graph* graph, const QuantizeOptions& options, const TensorMap& calibration, size_t samples,
                        const Progress& progress) {
  if (samples < 16) throw Error(fmt::format("int8 needs at least 16 calibration samples, there are {}", samples));
  for (const std::string& name : options.keep_f32) {
    const bool known =
        std::any_of(graph->nodes.begin(), graph->nodes.end(), [&](const Node& node) { return node.name == name; });
    if (!known) throw Error("--keep-f32 " + name + ": the program has no op of that name; figment inspect lists them");
  }
  return Quantizer(graph, options, calibration, samples, progress).run();
}

}  // namespace figment::converter
