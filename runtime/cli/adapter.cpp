// figment adapter, apply: what adapters have learned, out of a model into a small file, and into a model to run.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "commands.h"
#include "io/terminal.h"

namespace figment::cli {

namespace {

struct Arguments {
  std::string model;
  std::string adapter;
  std::string output;
  std::string program;
  std::vector<std::string> calibration;
  bool int8 = false;
  bool quiet = false;
};

void write_adapter(const Arguments& arguments) {
  OpenModel open(arguments.model);
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.batch = 1;
  options.training = true;
  open.open_within_budget(options);
  const char* program = arguments.program.empty() ? nullptr : arguments.program.c_str();
  check(fig_adapter_save(open.session(), program, arguments.output.c_str()));
  io::print("%s: %s\n", arguments.output.c_str(),
            io::format_bytes(static_cast<double>(std::filesystem::file_size(arguments.output))).c_str());
}

// Merging is the converter's: this becomes the one that lies beside it.
void apply(const Arguments& arguments) {
  std::string converter = (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "figment-convert").string();
  std::vector<std::string> words = {converter, arguments.model, "--adapter", arguments.adapter, "-o", arguments.output};
  if (arguments.int8) words.emplace_back("--int8");
  for (const std::string& data : arguments.calibration) words.insert(words.end(), {"--calibration-data", data});
  if (arguments.quiet) words.emplace_back("--quiet");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(converter.c_str(), argv.data());
  throw Error(converter + " does not start (" + std::strerror(errno) + "): install it beside figment");
}

}  // namespace

void add_adapter(CLI::App* app, Commands* commands) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* adapter = app->add_subcommand("adapter", "Write what a model's adapters have learned to a small file");
  adapter->footer("  figment adapter tuned.figment -o tuned.adapter");
  adapter->add_option("model", arguments->model, ".figment file that trains, trained")->required();
  adapter->add_option("-o,--output,--out", arguments->output, "the file to write")->required();
  adapter->add_option("--program", arguments->program, "the program that is to run with it (default: what generates)");
  (*commands)[adapter] = [arguments] { write_adapter(*arguments); };
  CLI::App* applied = app->add_subcommand("apply", "Merge an adapter into the model that it was trained on");
  applied->footer("  figment apply adaptable.figment tuned.adapter -o tuned.figment --int8");
  applied->add_option("model", arguments->model, ".figment file that trains, as it was before or after")->required();
  applied->add_option("adapter", arguments->adapter, "file of figment adapter or fig_adapter_save")->required();
  applied->add_option("-o,--output,--out", arguments->output, "the .figment file to write")->required();
  applied->add_flag("--int8", arguments->int8, "quantize to int8; figment-convert --adapter has more options for that");
  applied
      ->add_option("--calibration-data", arguments->calibration,
                   "INPUT=FILE, or INPUT=classes: as figment-convert takes it")
      ->needs("--int8");
  applied->add_flag("-q,--quiet", arguments->quiet, "print no report");
  (*commands)[applied] = [arguments] { apply(*arguments); };
}

}  // namespace figment::cli
