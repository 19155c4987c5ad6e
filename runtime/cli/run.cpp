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
  io::print("%s", io::format_table(rows).c_str());
}

void run(const Arguments& arguments) {
  OpenModel open(arguments.model);
  const uint32_t index = open.find_program(arguments.program);
  fig_program_info program{};
  check(fig_model_program(open.model(), index, &program));
  std::map<std::string, io::Array> arrays;
  size_t batch = 0;
  for (const std::string& text : arguments.inputs) {
    auto [name, path] = io::split_assignment(text);
    fig_port_info port{};
    if (name.empty() && program.inputs == 1) {
      port = open.input(index, 0);
      name = port.name;
    }
    bool found = false;
    std::string known;
    for (uint32_t i = 0; i < program.inputs && !found; ++i) {
      port = open.input(index, i);
      found = name == port.name;
      known += std::string(known.empty() ? "" : ", ") + port.name;
    }
    if (!found) throw Error("program " + std::string(program.name) + " has no input \"" + name + "\"; it has " + known);
    arrays[name] = io::read_array(path);
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
  for (const std::string& text : arguments.outputs) {
    auto [name, path] = io::split_assignment(text);
    if (name.empty() && outputs.size() == 1) name = outputs[0].name;
    const auto found = std::find_if(outputs.begin(), outputs.end(),
                                    [wanted = name](const fig_tensor& tensor) { return wanted == tensor.name; });
    if (found == outputs.end()) {
      std::string known;
      for (const fig_tensor& tensor : outputs) known += std::string(known.empty() ? "" : ", ") + tensor.name;
      throw Error("program " + std::string(program.name) + " has no output \"" + name + "\"; it has " + known);
    }
    io::write_file(path, io::format_npy(results[static_cast<size_t>(found - outputs.begin())]));
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
