#include <algorithm>
#include <cmath>

#include "commands.h"
#include "io/files.h"
#include "io/terminal.h"

namespace figment::cli {

namespace {

struct Arguments {
  std::string model;
  std::vector<std::string> outputs;
  std::vector<std::string> inputs;
  uint32_t count = 64;
  uint64_t first = 0;
  uint32_t columns = 0;
  uint32_t scale = 2;
  SessionArguments session;
};

fig_port_info generated_port(const fig_model* model, uint32_t program, const std::string& name) {
  fig_program_info info{};
  check(fig_model_program(model, program, &info));
  fig_port_info port{};
  for (uint32_t i = 0; i < info.outputs; ++i) {
    check(fig_model_output(model, program, i, &port));
    if (name == port.name) return port;
  }
  check(fig_model_output(model, program, 0, &port));
  return port;
}

void write_output(const std::string& path, const std::vector<float>& samples, size_t count, const fig_port_info& port,
                  const fig_output_info& output, const Arguments& arguments) {
  if (path.ends_with(".npy")) {
    io::Array array{{}, samples};
    for (uint32_t i = 0; i < port.shape.rank; ++i)
      array.shape.push_back(port.shape.extents[i] * (port.shape.per_batch[i] ? count : 1));
    return io::write_file(path, io::format_npy(array));
  }
  if (!path.ends_with(".png")) throw Error(path + ": the output must be a .png or .npy file");
  if (!output.image) throw Error(path + ": the model does not generate images; write .npy");
  const uint32_t columns = arguments.columns != 0
                               ? arguments.columns
                               : static_cast<uint32_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  const uint32_t* extents = port.shape.extents;
  const io::Picture picture = io::make_grid(samples, extents[1], extents[2], extents[3], output.range_min,
                                            output.range_max, columns, arguments.scale);
  io::write_file(path, io::encode_png(picture.pixels, picture.width, picture.height, picture.channels));
}

void generate(const Arguments& arguments) {
  OpenModel open(arguments.model);
  fig_latent_info latent{};
  fig_output_info output{};
  check(fig_model_latent(open.model(), &latent));
  check(fig_model_generated(open.model(), &output));
  const uint32_t program = open.find_program(latent.program);
  const fig_port_info port = generated_port(open.model(), program, output.port);
  const size_t sample = sample_elements(port.shape);
  if (arguments.count > (SIZE_MAX / 16) / sample || arguments.count > (uint64_t{1} << 31) / sample)
    throw Error("that many samples do not fit in memory; make fewer at a time, with --first");
  fig_session_options options = arguments.session.options();
  options.program = latent.program;
  if (options.batch == 0) options.batch = std::min<uint32_t>(arguments.count, 64);
  open.open_session(options);

  std::vector<io::Array> arrays;
  std::vector<std::string> names;
  for (const std::string& text : arguments.inputs) {
    const auto [name, path] = split_assignment(text);
    if (name.empty()) throw Error("--input " + text + ": name the input, as in label=" + text);
    arrays.push_back(io::read_npy(path));
    names.push_back(name);
    if (arrays.back().shape.empty() || arrays.back().shape[0] != arguments.count) {
      throw Error(path + ": has no row for each of the " + std::to_string(arguments.count) + " samples");
    }
  }
  std::vector<float> samples(size_t{arguments.count} * sample);
  io::ProgressLine line("generating");
  // Pieces small enough that the progress moves, and whole batches.
  const size_t piece = size_t{options.batch} * 8;
  for (size_t done = 0; done < arguments.count; done += piece) {
    const size_t part = std::min<size_t>(piece, arguments.count - done);
    std::vector<fig_tensor> conditions;
    for (size_t i = 0; i < arrays.size(); ++i) {
      const size_t size = arrays[i].values.size() / arguments.count;
      conditions.push_back({names[i].c_str(), arrays[i].values.data() + done * size, part * size});
    }
    fig_generate_options generate_options{};
    generate_options.struct_size = sizeof generate_options;
    generate_options.first_index = arguments.first + done;
    generate_options.inputs = conditions.data();
    generate_options.input_count = conditions.size();
    check(fig_generate(open.session(), part, &generate_options, samples.data() + done * sample, part * sample));
    line.update(static_cast<double>(done + part) / static_cast<double>(arguments.count));
  }
  for (const std::string& path : arguments.outputs)
    write_output(path, samples, arguments.count, port, output, arguments);
}

}  // namespace

void add_generate(CLI::App* app, Commands* commands) {
  CLI::App* command = app->add_subcommand("generate", "Draw samples");
  auto arguments = std::make_shared<Arguments>();
  command->add_option("model", arguments->model, ".figment file")->required();
  command->add_option("-o,--output", arguments->outputs, "a .png grid or .npy array to write; may be repeated")
      ->required();
  command->add_option("-n,--count", arguments->count, "number of samples")
      ->check(CLI::Range(1U, 1U << 31))
      ->capture_default_str();
  command
      ->add_option("--seed", arguments->session.seed, "of the latents: the same seed gives the same latents everywhere")
      ->capture_default_str();
  command->add_option("--first", arguments->first, "index of the first latent")->capture_default_str();
  command->add_option("--input", arguments->inputs, "NAME=FILE.npy: a condition of the generator, one row a sample");
  command->add_option("--columns", arguments->columns, "samples in a row of the picture (default: a square)")
      ->check(CLI::Range(1, 10000));
  command->add_option("--scale", arguments->scale, "picture pixels for each sample pixel")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  arguments->session.add_to(command, true);
  (*commands)[command] = [arguments] { generate(*arguments); };
}

}  // namespace figment::cli
