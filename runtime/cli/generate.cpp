#include <algorithm>

#include "commands.h"
#include "controls.h"
#include "io/files.h"
#include "io/terminal.h"
#include "output.h"

namespace figment::cli {

namespace {

struct Arguments {
  std::string model;
  std::vector<std::string> outputs;
  uint32_t count = 0;
  uint64_t first = 0;
  Layout layout;
  ControlArguments controls;
  SessionArguments session;
};

uint32_t default_count(const ControlArguments& controls) {
  return !controls.sweep.empty() || !controls.interpolate.empty() ? 8 : 64;
}

void generate(const Arguments& arguments) {
  OpenModel open(arguments.model);
  open.set_length(arguments.session.length);
  const Generated generated = generated_of(open);
  for (const std::string& path : arguments.outputs) {
    check_kind(path, generated);
    for (const std::string& condition : arguments.controls.conditions) {
      if (io::same_file(io::split_assignment(condition).second, path))
        throw Error(path + " is read, and would be overwritten: give another --output");
    }
  }
  const uint32_t count = arguments.count != 0 ? arguments.count : default_count(arguments.controls);
  if (count > (uint64_t{1} << 31) / generated.sample)
    throw Error("that many samples do not fit in memory; make fewer at a time, with --first");
  Steered steered = steer(open, arguments.controls, arguments.session.seed, arguments.first, count, Draw::kIfChanged);
  fig_session_options options = arguments.session.options();
  fig_program_info program{};
  check(fig_model_program(open.model(), open.find_program(generated.program), &program));
  if (options.batch == 0) {
    options.batch = open.open_fitting(options, program,
                                      program.couples_batch ? steered.count : std::min<size_t>(steered.count, 64));
  } else {
    open.open_session(options, program);
  }
  std::vector<float> samples(steered.count * generated.sample);
  {
    io::ProgressLine line("generating");
    // Pieces small enough that the progress moves, and whole batches.
    const size_t piece = size_t{options.batch} * 8;
    for (size_t done = 0; done < steered.count; done += piece) {
      const size_t part = std::min(piece, steered.count - done);
      const std::vector<fig_tensor> conditions = steered.condition_tensors(done, part);
      fig_generate_options generate_options{};
      generate_options.struct_size = sizeof generate_options;
      if (steered.latents.empty())
        generate_options.first_index = arguments.first + done;
      else
        generate_options.latents = steered.latents.data() + done * steered.latent_size;
      generate_options.inputs = conditions.data();
      generate_options.input_count = conditions.size();
      check(fig_generate(open.session(), part, &generate_options, samples.data() + done * generated.sample,
                         part * generated.sample));
      line.update(static_cast<double>(done + part) / static_cast<double>(steered.count));
    }
  }
  Layout layout = arguments.layout;
  if (layout.columns == 0) layout.columns = steered.columns;
  for (const std::string& path : arguments.outputs) write_samples(path, samples, generated, layout);
}

}  // namespace

void add_generate(CLI::App* app, Commands* commands) {
  CLI::App* command = app->add_subcommand("generate", "Draw samples");
  auto arguments = std::make_shared<Arguments>();
  command->footer(
      "  figment generate model.figment --seed 7 -n 64 -o grid.png\n"
      "  figment generate model.figment --sweep class -n 10 -o classes.png\n"
      "  figment generate model.figment --interpolate 3 17 -o path.png");
  command->add_option("model", arguments->model, ".figment file")->required();
  command
      ->add_option("-o,--output,--out", arguments->outputs,
                   "file to write: a .png grid of images, .svg plots of sequences, .csv or .npy; may be repeated")
      ->required();
  command
      ->add_option("-n,--count", arguments->count,
                   "number of samples (default: 64); of a --sweep's row or an --interpolate (default: 8)")
      ->check(CLI::Range(1U, 1U << 31));
  command->add_option("--seed", arguments->session.seed, "seed of the latents: the same on every device")
      ->capture_default_str();
  command->add_option("--first", arguments->first, "index of the first latent")->capture_default_str();
  arguments->controls.add_to(command);
  command->option_defaults()->group("Pictures");
  command->add_option("--columns", arguments->layout.columns, "samples per row of the picture (default: a square grid)")
      ->check(CLI::Range(1, 10000));
  command->add_option("--scale", arguments->layout.scale, "picture pixels per sample pixel")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  arguments->session.add_to(command, true);
  arguments->session.add_length_to(command);
  (*commands)[command] = [arguments] { generate(*arguments); };
}

}  // namespace figment::cli
