#include <fmt/format.h>
#include <cstdio>
#include <filesystem>
#include <set>

#include "commands.h"
#include "io/arrays.h"
#include "io/files.h"
#include "io/terminal.h"

namespace figment::cli {

namespace {

struct Arguments {
  std::string model;
  std::string checkpoint;
  std::string output;
  std::string load;
  std::string save;
};

io::Array shaped(const fig_parameter_info& info) {
  io::Array array;
  size_t elements = 1;
  for (uint32_t i = 0; i < info.shape.rank; ++i) {
    array.shape.push_back(info.shape.extents[i]);
    elements *= info.shape.extents[i];
  }
  array.values.resize(elements);
  return array;
}

// Sets the parameters of which the folder has files. A file that is none's is a mistake.
void load(const OpenModel& open, const std::string& folder) {
  if (!std::filesystem::is_directory(folder)) throw Error(folder + ": there is no such folder");
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".npy") files.insert(entry.path().filename().string());
  }
  fig_parameter_info info{};
  size_t loaded = 0;
  std::vector<std::string> kept;  // parameters without a file
  for (uint32_t i = 0; fig_model_parameter(open.model(), i, &info) == FIG_OK; ++i) {
    const std::string name = io::file_name_of(info.name) + ".npy";
    if (files.erase(name) == 0) {
      if (!info.derived) kept.emplace_back(info.name);
      continue;
    }
    const std::string path = folder + "/" + name;
    const io::Array expected = shaped(info);
    const io::Array array = io::read_array(path);
    if (array.shape != expected.shape) {
      throw Error(path + ": has the shape " + io::to_string(array.shape) + ", parameter " + info.name + " has " +
                  io::to_string(expected.shape));
    }
    check(fig_parameter_set(open.session(), info.name, array.values.data(), array.values.size()));
    ++loaded;
  }
  if (loaded == 0)
    throw Error(
        folder +
        ": has no file NAME.npy of a parameter; figment parameters MODEL -o FOLDER writes all with their names");
  if (!files.empty()) {
    throw Error(folder + "/" + *files.begin() + ": the model has no parameter of that name" +
                (files.size() > 1 ? fmt::format(", nor of {} other files'", files.size() - 1) : "") +
                "; figment parameters MODEL -o FOLDER writes all with their names");
  }
  io::print("%zu parameters loaded", loaded);
  if (!kept.empty())
    io::print(", %zu kept, of which the folder has no file: %s", kept.size(), io::list_of(kept).c_str());
  io::print("\n");
}

void parameters(const Arguments& arguments) {
  OpenModel open(arguments.model);
  if (!open.trains()) {
    throw Error(
        arguments.model +
        " does not train, and keeps no parameters by name: figment-convert --objective makes a model that does");
  }
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.training = true;
  open.open_session(options);
  if (!arguments.checkpoint.empty()) {
    // The caller's own bytes are of no interest.
    std::vector<uint8_t> ignored(1 << 16);
    check(fig_checkpoint_load(open.session(), arguments.checkpoint.c_str(), ignored.data(), ignored.size(), nullptr));
  }
  if (!arguments.load.empty()) load(open, arguments.load);
  fig_parameter_info info{};
  size_t written = 0;
  if (!arguments.output.empty()) std::filesystem::create_directories(arguments.output);
  for (uint32_t i = 0; !arguments.output.empty() && fig_model_parameter(open.model(), i, &info) == FIG_OK; ++i) {
    io::Array array = shaped(info);
    const fig_status status = fig_parameter_get(open.session(), info.name, array.values.data(), array.values.size());
    if (status == FIG_NOT_FOUND) continue;
    check(status);
    io::write_file(arguments.output + "/" + io::file_name_of(info.name) + ".npy", io::format_npy(array));
    ++written;
  }
  if (!arguments.output.empty()) io::print("%zu parameters written to %s\n", written, arguments.output.c_str());
  if (!arguments.save.empty()) check(fig_session_export(open.session(), arguments.save.c_str()));
}

}  // namespace

void add_parameters(CLI::App* app, Commands* commands) {
  CLI::App* command = app->add_subcommand(
      "parameters", "Write parameters and the optimizer's state as .npy files, in the exporter's layout, or load them");
  auto arguments = std::make_shared<Arguments>();
  command->footer(
      "  figment parameters trained.figment -o folder\n"
      "  figment parameters model.figment --load folder --out loaded.figment");
  command->add_option("model", arguments->model, ".figment file")->required();
  command->add_option("--checkpoint", arguments->checkpoint, "read them from this checkpoint");
  command->add_option("-o,--output", arguments->output,
                      "folder to write NAME.npy to, one for each; of a name, bytes other than letters, digits, '-', "
                      "'_' and '.' become %XX");
  CLI::Option* load = command->add_option(
      "--load", arguments->load, "folder to read NAME.npy files from; parameters without a file keep their values");
  command->add_option("--out", arguments->save, "write the model with the loaded values to this file")->needs(load);
  (*commands)[command] = [arguments] {
    if (arguments->output.empty() && arguments->load.empty()) throw Error("give -o FOLDER to write, or --load FOLDER");
    if (arguments->output.empty() && arguments->save.empty())
      throw Error("give --out FILE: a model with the loaded values is written there");
    if (io::same_file(arguments->save, arguments->model))
      throw Error(arguments->save + " is read, and would be overwritten: give another --out");
    parameters(*arguments);
  };
}

}  // namespace figment::cli
