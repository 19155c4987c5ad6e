#include "reference.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "io/files.h"
#include "reference_script.h"

extern char** environ;  // NOLINT(readability-redundant-declaration): not every system's headers have it

namespace figment::cli {

namespace {

constexpr int kPackagesMissing = 3;  // the script's status

// Runs a Python script with one argument; what it says of an error goes to the file `errors`. Returns its status, or -1
// where there is no such Python.
int run_python(const std::string& python, const std::string& argument, const std::string& errors) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  std::string words[] = {python, "-c", kReferenceScript, argument};
  char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), nullptr};
  pid_t child = 0;
  const int failed = posix_spawnp(&child, python.c_str(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return -1;
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

std::string last_line(const std::string& text) {
  std::string line = text;
  while (!line.empty() && line.back() == '\n') line.pop_back();
  return line.substr(line.rfind('\n') == std::string::npos ? 0 : line.rfind('\n') + 1);
}

}  // namespace

Reference compute_onnx(const std::string& path, const OpenModel& open, uint32_t program, const Inputs& inputs,
                       const std::vector<Layer>& layers) {
  const io::TemporaryFolder folder;
  nlohmann::json request = {{"model", path},
                            {"result", folder.file("result.npz")},
                            {"inputs", nlohmann::json::object()},
                            {"tensors", nlohmann::json::object()},
                            {"wanted", nlohmann::json::array()},
                            {"axes", nlohmann::json::array()},
                            {"samples", inputs.count}};
  size_t files = 0;
  const auto store = [&](const io::Array& array, int32_t batch_axis) {
    const std::string file = folder.file(std::to_string(files++) + ".npy");
    io::write_file(file, io::format_npy(array));
    return nlohmann::json{{"file", file}, {"batch", batch_axis}};
  };
  fig_program_info info{};
  check(fig_model_program(open.model(), program, &info));
  bool draws = false;
  for (uint32_t i = 0; i < info.inputs; ++i) {
    const fig_port_info port = open.input(program, i);
    draws = draws || port.drawn;
    int32_t axis = -1;
    for (uint32_t d = 0; d < port.shape.rank; ++d) {
      if (port.shape.per_batch[d]) axis = static_cast<int32_t>(d);
    }
    request["inputs"][port.name] = store(inputs.arrays.at(port.name), axis);
  }
  for (const Layer& layer : layers) {
    if (draws) request["tensors"][layer.name] = store(layer.values, layer.batch_axis);
    request["wanted"].push_back(layer.name);
    request["axes"].push_back(layer.batch_axis);
  }
  io::write_file(folder.file("request.json"), request.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  const char* chosen = std::getenv("PYTHON");
  const std::string python = chosen == nullptr || *chosen == '\0' ? "python3" : chosen;
  const int status = run_python(python, folder.file("request.json"), folder.file("errors"));
  const std::string advice = "; or compare with recorded values: --against recorded.npz, tensors by name";
  if (status == -1 || status == 127) {
    throw Error(python + ": there is no such Python to compute " + path +
                " with: set PYTHON to one with onnx and onnxruntime" + advice);
  }
  if (status == kPackagesMissing)
    throw Error(python + " has no package onnx to compute " + path +
                " with: install onnx and, since it is faster, onnxruntime, or set PYTHON to a Python that has them" +
                advice);
  if (status != 0)
    throw Error(python + " cannot compute " + path + ": " + last_line(io::read_text(folder.file("errors"))) + advice);
  std::map<std::string, io::Array> results = io::read_archive(folder.file("result.npz"));
  Reference reference;
  reference.source = path;
  reference.batch = static_cast<size_t>(results.at("batch").values.at(0));
  reference.quantized = results.at("quantized").values.at(0) != 0;
  reference.count = inputs.count;
  if (reference.batch != 0) reference.count = std::max<size_t>(inputs.count / reference.batch, 1) * reference.batch;
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto found = results.find("t" + std::to_string(i));
    if (found != results.end()) reference.tensors[layers[i].name] = std::move(found->second);
  }
  return reference;
}

}  // namespace figment::cli
