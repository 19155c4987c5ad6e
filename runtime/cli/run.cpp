#include <fmt/format.h>
#include <algorithm>
#include <numeric>

#include "commands.h"
#include "io/arrays.h"
#include "io/files.h"
#include "io/terminal.h"
#include "layers.h"

namespace figment::cli {

namespace {

struct Arguments {
  std::string model;
  std::string program;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  SessionArguments session;
};

// Where nobody asks for the values: what they look like.
void describe(const std::vector<fig_tensor>& outputs, const std::vector<io::Array>& results) {
  std::vector<std::vector<std::string>> rows = {{"output", "shape", "least", "greatest", "mean"}};
  for (size_t i = 0; i < outputs.size(); ++i) {
    const std::vector<float>& values = results[i].values;
    const auto [least, greatest] = std::ranges::minmax(values);
    const double sum = std::accumulate(values.begin(), values.end(), 0.0);
    rows.push_back({outputs[i].name, io::to_string(results[i].shape), fmt::format("{:.4g}", least),
                    fmt::format("{:.4g}", greatest), fmt::format("{:.4g}", sum / static_cast<double>(values.size()))});
  }
  io::print_table(rows);
}

// The port that "[NAME=]FILE" is for, among those of these names; without a name the only one that must be given.
std::string port_of(const std::string& text, const std::string& name, const char* kind,
                    const std::vector<std::string>& all, const std::vector<std::string>& needed, const char* program) {
  if (name.empty() && needed.size() == 1) return needed[0];
  std::string known;
  for (const std::string& other : all) {
    if (name == other) return name;
    known += (known.empty() ? "" : ", ") + other;
  }
  if (name.empty()) throw Error(fmt::format("--{} {}: name the {}, NAME=FILE, of {}", kind, text, kind, known));
  throw Error(fmt::format("program {} has no {} \"{}\"; it has {}", program, kind, name, known));
}

void run(const Arguments& arguments) {
  OpenModel open(arguments.model);
  const uint32_t index = open.find_program(arguments.program);
  fig_program_info program{};
  check(fig_model_program(open.model(), index, &program));
  std::map<std::string, io::Array> arrays;
  size_t batch = 0;
  std::vector<std::string> input_names;
  std::vector<std::string> needed;  // those that the session does not draw
  std::vector<std::string> output_names;
  for (uint32_t i = 0; i < program.inputs; ++i) {
    const fig_port_info port = open.input(index, i);
    input_names.emplace_back(port.name);
    if (!port.drawn) needed.emplace_back(port.name);
  }
  for (uint32_t i = 0; i < program.outputs; ++i) output_names.emplace_back(open.output(index, i).name);
  std::vector<std::string> read;
  for (const std::string& text : arguments.inputs) {
    const auto [given, path] = io::split_assignment(text);
    const std::string name = port_of(text, given, "input", input_names, needed, program.name);
    if (!arrays.emplace(name, io::read_array(path)).second)
      throw Error("--input " + text + ": " + name + " is given twice");
    read.push_back(path);
  }
  std::map<std::string, std::string> files;  // of outputs
  for (const std::string& text : arguments.outputs) {
    const auto [given, path] = io::split_assignment(text);
    const std::string name = port_of(text, given, "output", output_names, output_names, program.name);
    for (const std::string& input : read) {
      if (io::same_file(input, path)) throw Error(path + " is read, and would be overwritten: give another --output");
    }
    if (!files.emplace(name, path).second) throw Error("--output " + text + ": " + name + " is given twice");
  }
  open.set_length(arguments.session.length != 0 ? arguments.session.length : fitting_length(open, index, arrays));
  for (uint32_t i = 0; i < program.inputs; ++i) {
    const fig_port_info port = open.input(index, i);
    const auto given = arrays.find(port.name);
    if (given == arrays.end()) continue;
    const size_t size = batch_of(port.name, port.shape, given->second);
    if (size != 0 && batch != 0 && size != batch)
      throw Error(fmt::format("the inputs differ in batch: {} and {}", batch, size));
    if (size != 0) batch = size;
  }
  if (batch == 0) batch = 1;
  fig_session_options options = arguments.session.options();
  if (options.batch != 0) {
    open.open_session(options, program);
  } else {
    open.open_fitting(options, program, batch);
  }
  std::vector<fig_tensor> inputs;
  for (auto& [name, array] : arrays)
    inputs.push_back({name.c_str(), array.values.data(), array.values.size(), FIG_F32});
  std::vector<io::Array> results(program.outputs);
  std::vector<fig_tensor> outputs;
  for (uint32_t i = 0; i < program.outputs; ++i) {
    const fig_port_info port = open.output(index, i);
    size_t elements = 1;
    results[i].shape = resolved(port.shape, batch);
    for (size_t extent : results[i].shape) elements *= extent;
    results[i].values.resize(elements);
    outputs.push_back({port.name, results[i].values.data(), elements, FIG_F32});
  }
  check(fig_run(open.session(), program.name, batch, inputs.data(), inputs.size(), outputs.data(), outputs.size()));
  if (arguments.outputs.empty()) describe(outputs, results);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto file = files.find(outputs[i].name);
    if (file != files.end()) io::write_file(file->second, io::format_npy(results[i]));
  }
}

}  // namespace

void add_run(CLI::App* app, Commands* commands) {
  CLI::App* command = app->add_subcommand("run", "Run a program on .npy files");
  auto arguments = std::make_shared<Arguments>();
  command->footer("  figment run model.figment --program encode --input x.npy --output mean=y.npy");
  command->add_option("model", arguments->model, ".figment file")->required();
  command->add_option("--program", arguments->program, "the program (may be left out where there is one)");
  command->add_option("--input", arguments->inputs, "NAME=FILE.npy; the name may be left out where there is one input");
  command->add_option(
      "--output", arguments->outputs,
      "NAME=FILE.npy; the name may be left out where there is one output; without, the outputs are described");
  arguments->session.add_to(command, true);
  arguments->session.add_length_to(command);
  (*commands)[command] = [arguments] { run(*arguments); };
}

}  // namespace figment::cli
