#include "compare_layers.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <set>

#include "controls.h"
#include "io/signal_to_noise.h"
#include "io/terminal.h"
#include "json.h"
#include "reference.h"

namespace figment::cli {

namespace {

constexpr size_t kWorst = 10;  // that are shown

// How a layer's values differ from the reference's.
struct Difference {
  double error = 0;    // the largest
  double largest = 0;  // of the reference's magnitudes
  double least = 0;    // the reference's range
  double greatest = 0;
  size_t not_finite = 0;  // NaN or infinite in both
  double snr_db = io::kExactDecibels;
  // The signal to noise that the layer alone would leave: by what it adds to the noise of what it reads.
  double alone_db = io::kExactDecibels;
  double relative() const { return error == 0 ? 0 : error / std::max(largest, 1e-30); }
};

struct Compared {
  const Layer* layer = nullptr;
  Difference difference;
  bool wrong = false;
};

// Of the values of a layer, as figment-convert --want-snr measures them.
Difference difference_of(const Layer& layer, const std::vector<float>& reference) {
  const std::vector<float>& values = layer.values.values;
  // Elements behind one another along the batch, and their number.
  size_t inner = values.size();
  size_t samples = 1;
  if (layer.batch_axis >= 0) {
    const auto axis = static_cast<size_t>(layer.batch_axis);
    samples = std::max<size_t>(layer.values.shape[axis], 1);
    inner = 1;
    for (size_t d = axis + 1; d < layer.values.shape.size(); ++d) inner *= layer.values.shape[d];
  }
  io::SignalToNoise ratio(values.size() / samples);
  ratio.count_samples(samples);
  const auto element = [&](size_t i) { return i / (inner * samples) * inner + i % inner; };
  Difference result;
  bool lost = false;
  result.least = std::numeric_limits<double>::infinity();
  result.greatest = -result.least;
  for (size_t i = 0; i < values.size(); ++i) {
    const double wanted = reference[i];
    const double error = std::fabs(static_cast<double>(values[i]) - wanted);
    // The same infinity, or NaN where it should be.
    if (values[i] == reference[i] || (std::isnan(values[i]) && std::isnan(reference[i]))) {
      if (!std::isfinite(wanted)) {
        ++result.not_finite;
        continue;
      }
    } else if (!std::isfinite(error)) {
      result.error = std::numeric_limits<double>::infinity();
      lost = true;
      continue;
    }
    ratio.add(element(i), static_cast<double>(values[i]), wanted);
    result.error = std::max(result.error, error);
    result.largest = std::max(result.largest, std::fabs(wanted));
    result.least = std::min(result.least, wanted);
    result.greatest = std::max(result.greatest, wanted);
  }
  result.snr_db = lost ? -io::kExactDecibels : std::max(ratio.decibels(), -io::kExactDecibels);
  return result;
}

// The least and the greatest value of an input that the program quantizes, as it was calibrated.
std::optional<std::pair<float, float>> quantized_range(const OpenModel& open, uint32_t program, uint32_t tensor) {
  fig_program_info info{};
  check(fig_model_program(open.model(), program, &info));
  std::set<uint32_t> moved = {tensor};
  for (uint32_t i = 0; i < info.ops; ++i) {
    fig_op_info op{};
    check(fig_model_op(open.model(), program, i, &op));
    if (op.input_count != 1 || !moved.contains(op.inputs[0])) continue;
    if (op.kind == std::string("transpose") || op.kind == std::string("reshape")) moved.insert(op.output);
    fig_tensor_info to{};
    check(fig_model_tensor(open.model(), program, op.output, &to));
    const auto real = [&](int32_t q) { return to.scale * static_cast<float>(q - to.zero_point); };
    if (to.type == FIG_I8 && to.scale != 0) return std::pair(real(INT8_MIN), real(INT8_MAX));
  }
  return std::nullopt;
}

// Values of an input where none are given: the latents of the seed and classes in turn, whole numbers in the input's
// range, what a session would draw, what int8 can hold, else N(0, 1). `unknown`: nothing says what the last two are.
io::Array drawn_input(const OpenModel& open, uint32_t program_index, const fig_port_info& port, size_t count,
                      uint64_t seed, uint32_t index, bool* unknown) {
  fig_program_info program{};
  check(fig_model_program(open.model(), program_index, &program));
  *unknown = false;
  io::Array array;
  array.shape = resolved(port.shape, count);
  size_t elements = 1;
  for (size_t extent : array.shape) elements *= extent;
  array.values.resize(elements);
  fig_latent_info latent{};
  if (fig_model_latent(open.model(), &latent) == FIG_OK && latent.program == std::string(program.name)) {
    Steered steered = steer(open, {}, seed, 0, count, Draw::kAlways, Steered::Missing::kClassesInTurn);
    if (latent.input == std::string(port.name)) array.values = std::move(steered.latents);
    for (Steered::Condition& condition : steered.conditions) {
      if (condition.name == port.name) array.values = std::move(condition.values);
    }
    if (array.values.size() == elements && !port.drawn) return array;
    array.values.resize(elements);
  }
  std::mt19937_64 random(seed + index + 1);
  if (port.integers) {
    constexpr int32_t kUnknown = 1 << 20;  // a range this wide says nothing of what the integers are
    const bool known = port.greatest < kUnknown;
    std::uniform_int_distribution<int32_t> whole(known ? port.least : std::max(0, port.least),
                                                 known ? port.greatest : 9);
    for (float& value : array.values) value = static_cast<float>(whole(random));
  } else if (port.drawn && port.prior == FIG_PRIOR_UNIFORM) {
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (float& value : array.values) value = uniform(random);
  } else if (const auto range = quantized_range(open, program_index, port.tensor)) {
    *unknown = true;
    std::uniform_real_distribution<float> uniform(range->first, range->second);
    for (float& value : array.values) value = uniform(random);
  } else {
    *unknown = !port.drawn;
    std::normal_distribution<float> normal;
    for (float& value : array.values) value = normal(random);
  }
  return array;
}

// What the program is run on: what is given or recorded, else drawn. `recorded` may be empty.
Inputs inputs_for(OpenModel& open, uint32_t program, const LayerArguments& arguments,
                  const std::map<std::string, io::Array>& recorded) {
  fig_program_info info{};
  check(fig_model_program(open.model(), program, &info));
  std::vector<fig_port_info> ports(info.inputs);
  for (uint32_t i = 0; i < info.inputs; ++i) ports[i] = open.input(program, i);
  std::map<std::string, io::Array> given = recorded;
  for (const std::string& text : arguments.inputs) {
    auto [name, path] = io::split_assignment(text);
    if (name.empty() && ports.size() == 1) name = ports[0].name;
    if (std::ranges::none_of(ports, [&](const fig_port_info& port) { return name == port.name; }))
      throw Error("program " + std::string(info.name) + " has no input \"" + name + "\"");
    given[name] = io::read_array(path);
  }
  open.set_length(arguments.length != 0 ? arguments.length : fitting_length(open, program, given));
  for (uint32_t i = 0; i < info.inputs; ++i) ports[i] = open.input(program, i);
  Inputs result;
  for (const fig_port_info& port : ports) {
    const auto found = given.find(port.name);
    if (found == given.end()) {
      if (!recorded.empty()) {
        std::vector<std::string> names;
        for (const auto& [name, array] : recorded) names.push_back(name);
        throw Error(arguments.against + " has no array for the input " + port.name + "; it has " + io::list_of(names));
      }
      continue;
    }
    const size_t batch = batch_of(port.name, port.shape, found->second);
    if (batch != 0 && result.count != 0 && batch != result.count)
      throw Error(fmt::format("the inputs differ in batch: {} and {}", result.count, batch));
    if (batch != 0) result.count = batch;
    result.arrays[port.name] = found->second;
  }
  bool open_batch = false;
  for (const fig_port_info& port : ports) {
    for (uint32_t d = 0; d < port.shape.rank; ++d) open_batch = open_batch || port.shape.per_batch[d];
  }
  if (result.count == 0) result.count = open_batch ? arguments.count : 1;
  for (uint32_t i = 0; i < info.inputs; ++i) {
    if (result.arrays.contains(ports[i].name)) continue;
    bool unknown = false;
    result.arrays[ports[i].name] = drawn_input(open, program, ports[i], result.count, arguments.seed, i, &unknown);
    if (unknown) result.drawn.emplace_back(ports[i].name);
  }
  return result;
}

Reference reference_of_model(const LayerArguments& arguments, const std::string& program, const Inputs& inputs) {
  OpenModel other(arguments.against);
  other.set_length(fitting_length(other, other.find_program(program), inputs.arrays));
  Reference reference{arguments.against, inputs.count, {}, 0, false};
  for (Layer& layer : run_layers(&other, other.find_program(program), inputs, true))
    reference.tensors.emplace(layer.name, std::move(layer.values));
  return reference;
}

// Of a signal of power 1.
double noise_of(double decibels) { return decibels >= io::kExactDecibels ? 0 : std::pow(10, -decibels / 10); }

// What is compared of the layers, with what each adds to the noise of the worst that it reads.
std::vector<Compared> compare(const OpenModel& open, uint32_t program, const std::vector<Layer>& layers,
                              const Reference& reference) {
  fig_program_info info{};
  check(fig_model_program(open.model(), program, &info));
  std::map<uint32_t, Difference> by_tensor;
  std::vector<Compared> result;
  std::set<std::string> seen;
  for (const Layer& layer : layers) {
    const auto found = reference.tensors.find(layer.name);
    if (layer.kind == "input" || found == reference.tensors.end() || !seen.insert(layer.name).second) continue;
    if (found->second.values.size() != layer.values.values.size()) {
      throw Error("tensor " + layer.name + " has " + io::to_string(layer.values.shape) + " here, " +
                  io::to_string(found->second.shape) + " in " + reference.source + ": it is of another model");
    }
    result.push_back({&layer, difference_of(layer, found->second.values), false});
    by_tensor[layer.tensor] = result.back().difference;
  }
  // The signal to noise of what an op reads, through ops that were not compared.
  std::map<uint32_t, double> snr;
  std::map<uint32_t, double> read;
  for (uint32_t i = 0; i < info.ops; ++i) {
    fig_op_info op{};
    check(fig_model_op(open.model(), program, i, &op));
    double least = io::kExactDecibels;
    for (uint32_t j = 0; j < op.input_count; ++j) {
      if (const auto known = snr.find(op.inputs[j]); known != snr.end()) least = std::min(least, known->second);
    }
    read[op.output] = least;
    const auto compared = by_tensor.find(op.output);
    snr[op.output] = compared == by_tensor.end() ? least : compared->second.snr_db;
  }
  for (Compared& entry : result) {
    const auto found = read.find(entry.layer->tensor);
    if (found != read.end())
      entry.difference.alone_db =
          io::decibels(1, std::max(0.0, noise_of(entry.difference.snr_db) - noise_of(found->second)));
  }
  return result;
}

std::string shortened(const std::string& name) {
  constexpr size_t kLongest = 40;
  if (name.size() <= kLongest) return name;
  return name.substr(0, kLongest / 2 - 2) + "..." + name.substr(name.size() - kLongest / 2 + 1);
}

std::string decibels(double value) {
  return value >= io::kExactDecibels ? "equal" : io::format_number(value, 1) + " dB";
}

// Of the reference.
std::string range_of(const Difference& difference) {
  if (difference.least > difference.greatest) return "not finite";
  return fmt::format("{:.3g} to {:.3g}", difference.least, difference.greatest);
}

void print_table(const std::vector<Compared>& compared, const std::set<const Compared*>& shown) {
  std::vector<std::vector<std::string>> rows = {{"tensor", "op", "error", "relative", "SNR", "alone", "range"}};
  for (const Compared& entry : compared) {
    if (!shown.contains(&entry)) continue;
    const Difference& difference = entry.difference;
    const std::string snr = difference.least > difference.greatest ? "" : decibels(difference.snr_db);
    rows.push_back({shortened(entry.layer->name), entry.layer->kind + (entry.layer->int8 ? " int8" : ""),
                    fmt::format("{:.2g}", difference.error), fmt::format("{:.1e}", difference.relative()), snr,
                    difference.alone_db < io::kExactDecibels ? decibels(difference.alone_db) : "",
                    range_of(difference) + (entry.wrong ? "  wrong" : "")});
  }
  io::print_table(rows);
}

// What no error is measured of.
void print_not_finite(const std::vector<Compared>& compared) {
  const auto not_finite = [](const Compared& entry) { return entry.difference.not_finite > 0; };
  const auto first = std::ranges::find_if(compared, not_finite);
  if (first == compared.end()) return;
  io::print("%zu tensors hold NaN or infinite values on both sides, which are not compared; the first is %s (%s)\n",
            static_cast<size_t>(std::ranges::count_if(compared, not_finite)), first->layer->name.c_str(),
            first->layer->kind.c_str());
}

nlohmann::ordered_json to_json(const Compared& entry) {
  const Difference& difference = entry.difference;
  const auto finite = [](double value) {
    return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
  };
  return {{"tensor", entry.layer->name},
          {"op", entry.layer->kind},
          {"int8", entry.layer->int8},
          {"error", finite(difference.error)},
          {"relative", finite(difference.relative())},
          {"snr_db", finite(difference.snr_db)},
          {"alone_db", finite(difference.alone_db)},
          {"range", {finite(difference.least), finite(difference.greatest)}},
          {"not_finite", difference.not_finite},
          {"wrong", entry.wrong}};
}

}  // namespace

void compare_layers(const LayerArguments& arguments) {
  const bool recorded_values = arguments.against.ends_with(".npz");
  const bool beside_ours = arguments.against.ends_with(".figment");
  if (!recorded_values && !beside_ours && !arguments.against.ends_with(".onnx"))
    throw Error("--against " + arguments.against + ": give an .onnx file, recorded values in .npz, or a .figment file");
  OpenModel open(arguments.model);
  const uint32_t program = open.find_program(arguments.program);
  fig_program_info info{};
  check(fig_model_program(open.model(), program, &info));
  if (info.trains) throw Error("program " + std::string(info.name) + " trains: name another with --program");
  bool int8 = false;
  for (uint32_t i = 0; i < info.tensors; ++i) {
    fig_tensor_info tensor{};
    check(fig_model_tensor(open.model(), program, i, &tensor));
    int8 = int8 || tensor.type == FIG_I8;
  }
  Reference reference;
  std::map<std::string, io::Array> recorded;
  if (recorded_values) recorded = io::read_archive(arguments.against);
  Inputs inputs = inputs_for(open, program, arguments, recorded);
  std::vector<Layer> layers = run_layers(&open, program, inputs, beside_ours);
  if (recorded_values) {
    reference = {arguments.against, inputs.count, std::move(recorded), 0, false};
  } else if (beside_ours) {
    reference = reference_of_model(arguments, info.name, inputs);
  } else {
    reference = compute_onnx(arguments.against, open, program, inputs, layers);
    if (reference.count > inputs.count)
      throw Error(fmt::format("{} computes {} samples at a time: give -n {}", arguments.against, reference.count,
                              reference.count));
    if (reference.batch != 0) {
      inputs = inputs.part(open, program, 0, reference.count);
      layers = run_layers_in_parts(&open, program, inputs, beside_ours, reference.batch);
    }
  }

  std::vector<Compared> compared = compare(open, program, layers, reference);
  if (compared.empty()) {
    std::vector<std::string> own;
    for (const Layer& layer : layers) {
      if (layer.kind == "output") own.push_back(layer.name);
    }
    std::vector<std::string> others;
    for (const auto& [name, array] : reference.tensors) others.push_back(name);
    throw Error(fmt::format("{} has none of the tensors of program {}, whose outputs are {}; it has {}",
                            arguments.against, info.name, io::list_of(own), io::list_of(others)));
  }
  // Of integers on one side, whose rounding the other side has not.
  const bool by_noise = int8 || reference.quantized;
  const Compared* first = nullptr;
  for (Compared& entry : compared) {
    // Noise adds up on the way, and only the outputs must be good.
    entry.wrong = by_noise ? entry.layer->kind == "output" && entry.difference.snr_db < arguments.want_snr
                           : !(entry.difference.relative() <= arguments.tolerance);
    if (entry.wrong && first == nullptr) first = &entry;
  }
  std::vector<const Compared*> order;
  for (const Compared& entry : compared) order.push_back(&entry);
  std::ranges::stable_sort(order, [&](const Compared* a, const Compared* b) {
    return by_noise ? a->difference.alone_db < b->difference.alone_db
                    : !(a->difference.relative() <= b->difference.relative());
  });
  if (arguments.json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const Compared& entry : compared) list.push_back(to_json(entry));
    const nlohmann::ordered_json result = {
        {"model", arguments.model},
        {"against", arguments.against},
        {"samples", reference.count},
        {"ops", info.ops},
        {"tensors", list},
        {"first_wrong",
         first == nullptr ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(first->layer->name)}};
    io::print("%s\n", json_text(result, 2).c_str());
  } else {
    std::set<const Compared*> shown(
        order.begin(),
        arguments.all ? order.end() : order.begin() + static_cast<ptrdiff_t>(std::min(kWorst, order.size())));
    if (first != nullptr) shown.insert(first);
    for (const Compared& entry : compared) {
      if (entry.layer->kind == "output") shown.insert(&entry);
    }
    print_table(compared, shown);
    io::print("\n%zu of %zu tensors shown%s, %zu samples, %u ops\n", shown.size(), compared.size(),
              arguments.all ? "" : ": the worst, and outputs (--all)", reference.count, info.ops);
    print_not_finite(compared);
    for (const std::string& name : inputs.drawn)
      io::print("input %s was drawn at random: --input %s=FILE takes your data\n", name.c_str(), name.c_str());
    if (reference.quantized)
      io::print("%s computes with integers: its own rounding is part of the noise\n", arguments.against.c_str());
  }
  if (first == nullptr) return;
  const std::string reached = fmt::format("output {} reaches {} of signal to noise, not {:.3g} dB", first->layer->name,
                                          decibels(first->difference.snr_db), arguments.want_snr);
  if (by_noise && !inputs.drawn.empty())
    throw Error(fmt::format("{}, on inputs that were drawn: give data, --input {}=FILE", reached, inputs.drawn[0]));
  if (by_noise && reference.quantized)
    throw Error(fmt::format("{}: {} computes with integers and rounds by itself; compare with a file that does not",
                            reached, arguments.against));
  if (by_noise) {
    std::string advice;
    for (const Compared* entry : order) {
      if (advice.empty() && entry->layer->int8) advice = ", or --keep-f32 " + entry->layer->node + ", the noisiest";
    }
    throw Error(fmt::format("{}: convert with --want-snr {:.3g}{}", reached, arguments.want_snr, advice));
  }
  throw Error(fmt::format("{} ({}) is the first to go wrong: off by {:.2g} where {} has at most {:.3g}",
                          first->layer->name, first->layer->kind, first->difference.error, arguments.against,
                          first->difference.largest));
}

}  // namespace figment::cli
