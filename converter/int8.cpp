#include "int8.h"

#include <fmt/format.h>
#include <algorithm>

#include "calibration.h"
#include "format/model_view.h"
#include "import/import_figment.h"
#include "io/signal_to_noise.h"
#include "ir/batch.h"
#include "passes/fold.h"
#include "passes/optimize.h"
#include "passes/simplify.h"
#include "write/int8_form.h"
#include "write/repack.h"
#include "write/runner.h"
#include "write/write_model.h"

namespace figment::converter {

std::string open_batch_advice(const std::string& input) {
  return "export with dynamic_axes={'" + input + "': {0: 'batch'}}, or with dynamo=True and dynamic_shapes={'" + input +
         "': {0: 'batch'}}";
}

QuantizeReport quantize_program(const ConvertOptions& options, const ModelDefinition& model, Graph* graph,
                                const Progress& progress, Ranges ranges) {
  for (const PortDefinition& port : graph->inputs) {
    if (!(port.shape.rank() > 0 && port.shape[0].per_batch)) {
      for (size_t i = 1; i < port.shape.rank(); ++i) {
        if (port.shape[i].per_batch)
          throw Error(
              fmt::format("int8 needs the batch in dimension 0, but input {} has it in dimension {}: export the "
                          "network with its samples first (recurrent layers: batch_first=True)",
                          port.name, i));
      }
      const std::string advice = port.shape.rank() == 0 ? "let the network take one number for each sample, [N]"
                                                        : open_batch_advice(port.name);
      throw Error("int8 needs an open batch, but input " + port.name + " has shape " + to_string(port.shape) + "; " +
                  advice);
    }
  }
  if (couples_batch(*graph)) {
    throw Error("program " + graph->name +
                " cannot be quantized: its samples depend on each other, as by a mean over the batch; convert it "
                "without --int8");
  }
  const bool generates = model.latent && model.latent->program == graph->name;
  QuantizeOptions quantize_options;
  quantize_options.keep_f32 = options.keep_f32;
  quantize_options.psnr_goal_db = options.psnr_goal_db;
  quantize_options.keep_threshold_db = options.keep_threshold_db;
  quantize_options.snr_goal_db = options.snr_goal_db;
  quantize_options.ranges = ranges;
  const Calibration calibration(options, model, *graph);
  quantize_options.source_bytes = graph->source_bytes;
  quantize_options.source_bytes += calibration.bytes();
  check_memory(*graph, quantize_options, calibration.count());
  if (generates) {
    quantize_options.latent = model.latent->input;
    quantize_options.prior = model.latent->prior;
  }
  if (generates && model.output->bounded)
    quantize_options.peak = static_cast<double>(model.output->range_max) - model.output->range_min;
  return quantize(graph, quantize_options, calibration.samples(), calibration.count(), progress);
}

namespace {

// The program that generates, of a model that trains. Throws Error.
Graph take_generator(const std::string& path, ModelDefinition* model) {
  if (!model->objective) throw Error(path + ": does not train: --keep-training has nothing to keep");
  for (Graph& graph : model->programs) {
    if (model->latent && graph.name == model->latent->program) return std::move(graph);
  }
  throw Error(path + ": none of its programs generates, and sessions write int8 of no other");
}

// Sessions draw latents, and take classes one after the other.
ConvertOptions calibrated_by_sessions(ConvertOptions options, const ModelDefinition& model, const Graph& graph) {
  constexpr size_t kSamples = 128;
  if (!options.calibration_data.empty() || !options.calibration_files.empty())
    throw Error("--calibration-data: sessions find ranges on latents and classes, and have no other samples");
  const size_t samples = options.calibration_samples.value_or(kSamples);
  options.calibration_samples = samples;
  if (samples - samples / 4 > format::RequantizationView::kMostSamples) {
    throw Error(fmt::format("--calibrate {}: sessions find ranges on all but a quarter of them, and on {} at most",
                            samples, format::RequantizationView::kMostSamples));
  }
  if (graph.inputs.size() > format::RequantizationView::kMostInputs)
    throw Error(fmt::format("program {} has more than {} inputs, which sessions do not find ranges on", graph.name,
                            format::RequantizationView::kMostInputs));
  for (const PortDefinition& port : graph.inputs) {
    const bool drawn = port.name == model.latent->input || model.find_drawn(graph.name, port.name) != nullptr;
    const bool is_class = options.calibration_classes.contains(port.name);
    if ((drawn || port.integers) && is_class)
      throw Error("--calibration-data " + port.name + "=classes: sessions " +
                  (drawn ? "draw it" : "take its integers one after the other"));
    if (drawn || is_class || (port.integers && port.least == 0)) continue;
    throw Error("input " + port.name + " " + to_string(port.shape) +
                " is no latent, and sessions have no samples of it to find ranges on" +
                (port.integers
                     ? ""
                     : "; if it is a class, one 1 among zeros, say so: --calibration-data " + port.name + "=classes"));
  }
  return options;
}

}  // namespace

CarriedForm add_int8_form(const ConvertOptions& options, const std::vector<uint8_t>& file, const Progress& progress) {
  ModelDefinition model = import_figment(file, options.model, Variables::kKept);
  Int8Form form;
  form.source = take_generator(options.model, &model);
  const ConvertOptions own = calibrated_by_sessions(options, model, form.source);
  compute_batch_norms(&form.source);
  simplify(&form.source);
  form.program = form.source;
  for (Value& value : form.program.values) {
    if (value.is_constant()) value.constant->variable = false;
  }
  fold_constants(&form.program, FIG_KERNELS_PORTABLE);
  CarriedForm result;
  result.report = quantize_program(own, model, &form.program, progress, Ranges::kFollowed);
  if (std::ranges::none_of(result.report.layers, &LayerReport::int8))
    throw Error(options.model + ": nothing of program " + form.source.name +
                " is int8; --want-snr and --psnr-goal say what int8 must reach");
  remove_dead(&form.program);
  // Constants that are equal now will not be.
  for (ValueId id = 0; id < form.program.values.size(); ++id) {
    Value& value = form.program[id];
    if (value.is_constant()) value.name += fmt::format("#{}", id);
  }
  form.limits = result.report.limits;
  form.samples = result.report.calibration_samples;
  model.programs = {form.program};
  RepackOptions repacked;
  repacked.all_fields = true;
  form.model = repack(write_model(model), repacked);
  form.source.name = kInt8Source;
  result.file = with_int8_form(file, form);
  result.bytes = form.model.size();
  for (const uint32_t batch : {1U, 16U}) {
    if (requantized(result.file, batch) != form.model)
      throw Error(options.model + ": sessions would write another int8 form than the converter: please report this");
  }
  return result;
}

WrittenForm write_int8_form(const ConvertOptions& options, const std::vector<uint8_t>& file) {
  if (!options.keep_f32.empty() || !options.calibration_data.empty() || !options.calibration_files.empty() ||
      options.calibration_samples || options.half_weights || !options.calibration_classes.empty() ||
      options.psnr_goal_db != ConvertOptions().psnr_goal_db ||
      options.keep_threshold_db != ConvertOptions().keep_threshold_db)
    throw Error(options.model + ": carries its int8 form, which --int8 --keep-training made: give such options there");
  WrittenForm result;
  result.file = requantized(file);
  ModelDefinition model = import_figment(file, options.model);
  const Graph generator = take_generator(options.model, &model);
  ConvertOptions own = options;
  for (const PortDefinition& port : generator.inputs) {
    const bool drawn = port.name == model.latent->input || model.find_drawn(generator.name, port.name) != nullptr;
    if (!drawn && !port.integers) own.calibration_classes.insert(port.name);
  }
  // On others than ranges were found on: a third more.
  const size_t seen = int8_form_samples(file, options.model);
  const size_t count = seen / 3 + 1;
  own.calibration_samples = seen + count;
  const Calibration calibration(own, model, generator);
  TensorMap samples = calibration.samples();
  for (auto& [name, values] : samples) {
    const size_t before = values.size() / (seen + count) * seen;
    values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(before));
  }
  Runner f32(file, 1, FIG_KERNELS_BEST, false, 0, file.size());
  Runner int8(result.file, 1, FIG_KERNELS_BEST, false, 0, file.size());
  const TensorMap expected = f32.run(generator.name, samples, count);
  result.decibels = io::kExactDecibels;
  for (const auto& [name, values] : int8.run(generator.name, samples, count)) {
    io::SignalToNoise ratio;
    ratio.add(values, expected.at(name), count);
    result.decibels = std::min(result.decibels, ratio.decibels());
  }
  return result;
}

}  // namespace figment::converter
