#include <fmt/format.h>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "compare_layers.h"
#include "controls.h"
#include "io/files.h"
#include "io/pictures.h"
#include "io/terminal.h"
#include "json.h"

namespace figment::cli {

namespace {

using Clock = std::chrono::steady_clock;
constexpr uint32_t kBatch = 16;
constexpr uint32_t kColumns = 8;
constexpr uint32_t kGap = 8;

struct Arguments {
  std::vector<std::string> models;
  std::string pictures;
  uint32_t count = 64;
  uint64_t seed = 42;
  bool json = false;
  LayerArguments layers;
};

// What one model generates, and at what cost.
struct Candidate {
  std::string path;
  std::string name;
  std::vector<float> samples;
  fig_shape shape{};
  fig_output_info output{};
  double samples_per_second = 0;
  uint64_t memory_bytes = 0;
  uint64_t file_bytes = 0;
  uint64_t parameters = 0;
};

Candidate generate(const std::string& path, const Arguments& arguments) {
  OpenModel open(path);
  fig_latent_info latent{};
  Candidate result;
  latent = open.latent();
  check(fig_model_generated(open.model(), &result.output));
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.seed = arguments.seed;
  const uint32_t program = open.find_program(latent.program);
  fig_program_info info{};
  check(fig_model_program(open.model(), program, &info));
  open.open_fitting(options, info, info.couples_batch ? arguments.count : std::min<size_t>(arguments.count, kBatch));
  const fig_port_info port = open.output(program, 0);
  result.shape = port.shape;
  result.samples.resize(arguments.count * sample_elements(port.shape));
  // A class condition takes the classes in turn.
  Steered steered =
      steer(open, {}, arguments.seed, 0, arguments.count, Draw::kIfChanged, Steered::Missing::kClassesInTurn);
  const std::vector<fig_tensor> conditions = steered.condition_tensors(0, arguments.count);
  fig_generate_options generate_options{};
  generate_options.struct_size = sizeof generate_options;
  generate_options.inputs = conditions.data();
  generate_options.input_count = conditions.size();
  const auto run = [&] {
    check(
        fig_generate(open.session(), arguments.count, &generate_options, result.samples.data(), result.samples.size()));
  };
  run();
  double best = 1e30;
  const Clock::time_point end = Clock::now() + std::chrono::milliseconds(200);
  while (Clock::now() < end) {
    const Clock::time_point start = Clock::now();
    run();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  fig_memory_report memory{};
  fig_model_info model{};
  check(fig_session_memory_used(open.session(), &memory));
  check(fig_model_get_info(open.model(), &model));
  result.path = path;
  result.name = model.name;
  result.samples_per_second = arguments.count / best;
  result.memory_bytes = memory.total;
  result.file_bytes = model.file_bytes;
  result.parameters = model.parameter_elements;
  return result;
}

double psnr(const Candidate& reference, const Candidate& other) {
  double error = 0;
  for (size_t i = 0; i < reference.samples.size(); ++i)
    error += std::pow(static_cast<double>(reference.samples[i]) - other.samples[i], 2);
  const double peak = static_cast<double>(reference.output.range_max) - reference.output.range_min;
  if (error == 0) return INFINITY;
  return 10 * std::log10(peak * peak / (error / static_cast<double>(reference.samples.size())));
}

io::Picture picture_of(const Candidate& generated) {
  const uint32_t* extents = generated.shape.extents;
  return io::make_grid(generated.samples, extents[1], extents[2], extents[3], generated.output.range_min,
                       generated.output.range_max, kColumns, 2);
}

void compare(Arguments arguments) {
  if (!arguments.layers.against.empty()) {
    if (arguments.models.size() != 1) throw Error("--against compares one model");
    arguments.layers.model = arguments.models[0];
    arguments.layers.json = arguments.json;
    arguments.layers.seed = arguments.seed;
    return compare_layers(arguments.layers);
  }
  if (arguments.models.size() % 2 != 0) throw Error("give pairs of models: REFERENCE OTHER ...");
  std::vector<std::vector<std::string>> rows = {{"model", "size", "parameters", "PSNR", "samples/s", "memory"}};
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  std::map<std::string, size_t> pictures;
  for (size_t i = 0; i < arguments.models.size(); i += 2) {
    const Candidate pair[2] = {generate(arguments.models[i], arguments), generate(arguments.models[i + 1], arguments)};
    if (pair[0].samples.size() != pair[1].samples.size())
      throw Error(pair[0].path + " and " + pair[1].path + " make samples of different sizes");
    const double db = psnr(pair[0], pair[1]);
    for (const Candidate& generated : pair) {
      const bool reference = &generated == pair;
      const std::string quality = std::isinf(db) ? "identical" : io::format_number(db, 1) + " dB";
      rows.push_back({generated.path, io::format_bytes(static_cast<double>(generated.file_bytes)),
                      io::format_count(generated.parameters), reference ? "" : quality,
                      io::format_number(generated.samples_per_second, 0),
                      io::format_bytes(static_cast<double>(generated.memory_bytes))});
      list.push_back({{"file", generated.path},
                      {"name", generated.name},
                      {"file_bytes", generated.file_bytes},
                      {"parameters", generated.parameters},
                      {"samples_per_second", generated.samples_per_second},
                      {"memory_bytes", generated.memory_bytes}});
      if (!reference) list.back()["identical"] = std::isinf(db);
      if (!reference && !std::isinf(db)) list.back()["psnr_db"] = db;
    }
    if (!arguments.pictures.empty() && pair[0].output.image) {
      const io::Picture both = io::beside(picture_of(pair[0]), picture_of(pair[1]), kGap);
      // Pairs of one name get pictures of their own.
      const size_t same = ++pictures[pair[0].name];
      const std::string file = io::file_name_of(pair[0].name) + (same > 1 ? fmt::format(" {}", same) : "");
      io::write_file(arguments.pictures + "/" + file + ".png",
                     io::encode_png(both.pixels, both.width, both.height, both.channels));
    }
  }
  if (arguments.json) {
    io::print("%s\n", json_text(list, 2).c_str());
  } else {
    io::print_table(rows);
  }
}

}  // namespace

void add_compare(CLI::App* app, Commands* commands) {
  CLI::App* command = app->add_subcommand(
      "compare",
      "Generate with pairs of models from the same latents: size, speed, memory, PSNR; or --against "
      "what a model was made of, layer by layer");
  auto arguments = std::make_shared<Arguments>();
  command->footer(
      "  figment compare model.figment model_int8.figment --pictures folder\n"
      "  figment compare model.figment --against model.onnx");
  command->add_option("models", arguments->models, "REFERENCE OTHER pairs of .figment files; one with --against")
      ->required();
  command->add_option("--pictures", arguments->pictures, "folder for a picture of each pair, side by side");
  CLI::Option* count = command->add_option("-n,--count", arguments->count, "samples from each; --against: 4")
                           ->check(CLI::Range(1, 4096))
                           ->capture_default_str();
  command->add_option("--seed", arguments->seed, "seed of the latents")->capture_default_str();
  command->add_flag("--json", arguments->json, "machine-readable");
  LayerArguments& layers = arguments->layers;
  command->add_option("--against", layers.against,
                      "compare tensor by tensor with an .onnx file ($PYTHON or python3 computes it with onnx and "
                      "onnxruntime), recorded tensors in .npz by their names, or another .figment file");
  command->add_option("--program", layers.program, "--against: the program (may be left out where there is one)");
  command->add_option("--input", layers.inputs, "--against: [NAME=]FILE, data for an input instead of what is drawn");
  command->add_option("--tolerance", layers.tolerance, "--against: the error of an f32 tensor, of its largest value")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--want-snr", layers.want_snr, "--against: dB that outputs of an int8 model must reach")
      ->capture_default_str();
  command->add_option("--length", layers.length,
                      "--against: the length of what is drawn, of models that leave it open");
  command->add_flag("--all", layers.all, "--against: show all tensors");
  (*commands)[command] = [arguments, count] {
    if (count->count() > 0) arguments->layers.count = arguments->count;
    compare(*arguments);
  };
}

}  // namespace figment::cli
