#include <fmt/format.h>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "io/terminal.h"
#include "json.h"
#include "scaling.h"
#include "target.h"
#include "target_costs.h"

namespace figment::cli {

namespace {

const char* prior_name(fig_prior prior) {
  switch (prior) {
    case FIG_PRIOR_NORMAL: return "normal";
    case FIG_PRIOR_UNIFORM: return "uniform";
    default: return "categorical";
  }
}

using Json = nlohmann::ordered_json;

struct Arguments {
  std::string model;
  std::string target;
  bool json = false;
  SessionArguments session;
};

const char* type_name(fig_type type) { return type == FIG_F32 ? "f32" : type == FIG_I8 ? "i8" : "i32"; }

Json shape_json(const fig_shape& shape) {
  Json result = Json::array();
  for (uint32_t i = 0; i < shape.rank; ++i) {
    if (shape.per_batch[i]) {
      result.push_back(shape.extents[i] == 1 ? "N" : fmt::format("{}*N", shape.extents[i]));
    } else {
      result.push_back(shape.extents[i]);
    }
  }
  return result;
}

Json port_json(const fig_port_info& port) {
  return {{"name", port.name}, {"shape", shape_json(port.shape)}, {"tensor", port.tensor}};
}

Json program_json(const OpenModel& open, uint32_t p) {
  fig_program_info program{};
  check(fig_model_program(open.model(), p, &program));
  Json result = {{"name", program.name}, {"fully_int8", program.fully_int8}, {"trains", program.trains}};
  if (program.trains) result["level"] = program.level;
  for (const char* list : {"inputs", "outputs", "ops", "tensors"}) result[list] = Json::array();
  const bool prepared = fig_session_has_program(open.session(), p);
  for (uint32_t i = 0; i < program.inputs; ++i) {
    const fig_port_info port = open.input(p, i);
    result["inputs"].push_back(port_json(port));
  }
  for (uint32_t i = 0; i < program.outputs; ++i) {
    const fig_port_info port = open.output(p, i);
    result["outputs"].push_back(port_json(port));
  }
  for (uint32_t i = 0; i < program.ops; ++i) {
    fig_op_info op{};
    const char* kernel = "";
    check(fig_model_op(open.model(), p, i, &op));
    if (prepared) check(fig_session_kernel(open.session(), p, i, &kernel));
    result["ops"].push_back({{"kind", op.kind},
                             {"name", op.name},
                             {"inputs", std::vector<uint32_t>(op.inputs, op.inputs + op.input_count)},
                             {"output", op.output},
                             {"multiply_adds", op.multiply_adds},
                             {"kernel", kernel}});
  }
  for (uint32_t i = 0; i < program.tensors; ++i) {
    const fig_tensor_info tensor = open.tensor(p, i);
    Json entry = {{"name", tensor.name},
                  {"type", type_name(tensor.type)},
                  {"shape", shape_json(tensor.shape)},
                  {"constant", tensor.constant}};
    if (tensor.scale != 0) {
      entry["scale"] = tensor.scale;
      entry["zero_point"] = tensor.zero_point;
    }
    fig_placement placement{};
    if (prepared && !tensor.constant && fig_session_placement(open.session(), p, i, &placement) == FIG_OK) {
      entry["memory"] = {{"offset", placement.offset},
                         {"bytes", placement.bytes},
                         {"first_step", placement.first},
                         {"last_step", placement.last}};
    }
    result["tensors"].push_back(entry);
  }
  return result;
}

Json model_json(const OpenModel& open, uint32_t batch) {
  fig_model_info model{};
  fig_memory_report memory{};
  check(fig_model_get_info(open.model(), &model));
  check(fig_session_memory_used(open.session(), &memory));
  Json result = {{"name", model.name},
                 {"producer", model.producer},
                 {"schema_version", model.schema_version},
                 {"file_bytes", model.file_bytes},
                 {"parameters", model.parameter_elements},
                 {"batch", batch},
                 {"trains", open.trains()},
                 {"memory",
                  {{"model", memory.model},
                   {"packed_weights", memory.packed_weights},
                   {"programs", memory.programs},
                   {"operators", memory.operators},
                   {"variables", memory.variables},
                   {"arena", memory.arena},
                   {"arena_lower_bound", memory.arena_lower_bound},
                   {"total", memory.total},
                   {"peak", memory.peak}}}};
  result["metadata"] = Json::object();
  for (uint32_t i = 0; i < model.metadata; ++i) {
    const char* key = "";
    const char* value = "";
    check(fig_model_metadata(open.model(), i, &key, &value));
    result["metadata"][key] = value;
  }
  if (const fig_objective_info objective = objective_of(open); *objective.name != 0) {
    result["objective"] = {{"name", objective.name}, {"loss", objective.loss}, {"metrics", Json::array()}};
    for (const fig_metric_info& metric : metrics_of(open)) result["objective"]["metrics"].push_back(metric.name);
  }
  fig_latent_info latent{};
  if (fig_length_info length{}; fig_model_length(open.model(), &length) == FIG_OK) {
    result["length"] = {{"name", length.name},
                        {"default", length.length},
                        {"least", length.least},
                        {"greatest", length.greatest},
                        {"unit", length.unit}};
  }
  if (const Scaling scaling = Scaling::of(open, nullptr); scaling.known() && !scaling.identity()) {
    result["scaling"] = Json::array();
    for (size_t i = 0; i < scaling.channels(); ++i) result["scaling"].push_back(scaling.formula(i));
  }
  if (fig_model_latent(open.model(), &latent) == FIG_OK) {
    latent = open.latent();
    result["latent"] = {{"program", latent.program},
                        {"input", latent.input},
                        {"size", latent.size},
                        {"prior", prior_name(latent.prior)}};
  }
  fig_output_info output{};
  if (fig_model_generated(open.model(), &output) == FIG_OK) {
    result["output"] = {{"program", output.program},
                        {"port", output.port},
                        {"image", output.image},
                        {"range", {output.range_min, output.range_max}}};
  }
  for (uint32_t p = 0; p < model.programs; ++p) result["programs"].push_back(program_json(open, p));
  return result;
}

std::string text_of(const Json& shape) {
  std::string text = "[";
  for (const Json& extent : shape)
    text += (text.size() > 1 ? ", " : "") + (extent.is_string() ? extent.get<std::string>() : extent.dump());
  return text + "]";
}

void print(const Json& model) {
  const auto bytes = [](const Json& value) { return io::format_bytes(value.get<double>()); };
  io::print("%s: %s parameters, %s, written by %s (schema %d)\n", model["name"].get<std::string>().c_str(),
            io::format_count(model["parameters"].get<uint64_t>()).c_str(), bytes(model["file_bytes"]).c_str(),
            model["producer"].get<std::string>().c_str(), model["schema_version"].get<int>());
  for (const auto& [key, value] : model["metadata"].items())
    io::print("  %s: %s\n", key.c_str(), value.get<std::string>().c_str());
  if (model.contains("objective")) {
    const Json& objective = model["objective"];
    io::print("objective: %s, loss %s\n", objective["name"].get<std::string>().c_str(),
              objective["loss"].get<std::string>().c_str());
  }
  if (model.contains("latent")) {
    const Json& latent = model["latent"];
    io::print("latent: %s of program %s, %d values, %s\n", latent["input"].get<std::string>().c_str(),
              latent["program"].get<std::string>().c_str(), latent["size"].get<int>(),
              latent["prior"].get<std::string>().c_str());
  }
  for (const Json& channel : model.value("scaling", Json::array()))
    io::print("scaling: %s\n", channel.get<std::string>().c_str());
  if (model.contains("length")) {
    const Json& length = model["length"];
    io::print("length: %s from %u to %u, %u apart; %u if none is chosen (--length)\n",
              length["name"].get<std::string>().c_str(), length["least"].get<uint32_t>(),
              length["greatest"].get<uint32_t>(), length["unit"].get<uint32_t>(), length["default"].get<uint32_t>());
  }
  const Json& memory = model["memory"];
  io::print("memory%s at batch %d: %s\n", model["trains"].get<bool>() ? " to train" : "", model["batch"].get<int>(),
            bytes(memory["total"]).c_str());
  constexpr size_t kWidth = 78;
  std::string line;
  const std::pair<const char*, const char*> kinds[] = {{"model", "model"},         {"packed weights", "packed_weights"},
                                                       {"programs", "programs"},   {"operators", "operators"},
                                                       {"variables", "variables"}, {"arena", "arena"}};
  for (const auto& [name, key] : kinds) {
    if (memory[key].get<uint64_t>() == 0) continue;
    const std::string part = std::string(name) + " " + bytes(memory[key]);
    if (line.size() + 2 + part.size() > kWidth) {
      io::print("  %s,\n", line.c_str());
      line.clear();
    }
    line += (line.empty() ? "" : ", ") + part;
  }
  io::print("  %s\n", line.c_str());
  if (memory.contains("total_to_run"))
    io::print("memory to run at batch %d: %s\n", model["batch"].get<int>(), bytes(memory["total_to_run"]).c_str());
  if (memory["peak"] != memory["total"]) io::print("while it is created: %s\n", bytes(memory["peak"]).c_str());
  for (const Json& program : model["programs"]) {
    io::print("\nprogram %s%s\n", program["name"].get<std::string>().c_str(),
              program["fully_int8"].get<bool>() ? " (fully int8)" : "");
    for (const char* direction : {"inputs", "outputs"}) {
      for (const Json& port : program[direction]) {
        io::print("  %-7s %s %s\n", direction[0] == 'i' ? "input" : "output", port["name"].get<std::string>().c_str(),
                  text_of(port["shape"]).c_str());
      }
    }
    if (program.contains("level") && program["level"].get<int>() > 0) {
      io::print("  %zu ops, for training in less memory\n", program["ops"].size());
      continue;
    }
    std::vector<std::vector<std::string>> rows = {
        {"  step", "op", "name", "output", "offset", "bytes", "alive", "kernel"}};
    int step = 1;
    for (const Json& op : program["ops"]) {
      const Json& tensor = program["tensors"][op["output"].get<size_t>()];
      const std::string type = tensor["type"].get<std::string>() + " " + text_of(tensor["shape"]);
      std::vector<std::string> row = {
          fmt::format("  {}", step++), op["kind"], op["name"], type, "", "", "", op["kernel"]};
      if (tensor.contains("memory")) {  // what an update writes is a variable
        const Json& place = tensor["memory"];
        row[4] = place["offset"].dump();
        row[5] = place["bytes"].dump();
        row[6] = place["first_step"].dump() + "-" + place["last_step"].dump();
      }
      rows.push_back(std::move(row));
    }
    io::print_table(rows);
  }
}

void inspect(const Arguments& arguments) {
  OpenModel open(arguments.model);
  open.set_length(arguments.session.length);
  fig_session_options options = arguments.session.options();
  if (!arguments.target.empty()) {
    if (!arguments.session.memory_limit.empty())
      throw Error("--target says what fits into how much memory: leave out --memory-limit");
    const Json report = target_json(open, arguments.target, options.batch);
    if (arguments.json)
      io::print("%s\n", json_text(report, 2).c_str());
    else
      print_target(report);
    return;
  }
  if (options.batch == 0) options.batch = 1;
  options.training = open.trains();
  open.open_within_budget(options);
  Json model = model_json(open, options.batch);
  fig_memory_report run{};
  fig_session_options running = options;
  running.training = false;
  if (open.trains() && fig_session_memory(open.model(), &running, &run) == FIG_OK)
    model["memory"]["total_to_run"] = run.total;
  if (arguments.json) {
    io::print("%s\n", json_text(model, 2).c_str());
  } else {
    print(model);
  }
}

}  // namespace

void add_inspect(CLI::App* app, Commands* commands) {
  CLI::App* command = app->add_subcommand("inspect", "Show a model's programs, tensors and memory plan");
  auto arguments = std::make_shared<Arguments>();
  command->footer(
      "  figment inspect model.figment\n"
      "  figment inspect model.figment --batch 16 --memory-limit 4M\n"
      "  figment inspect model.figment --target cortex_m7");
  command->add_option("model", arguments->model, ".figment file")->required();
  command
      ->add_option("--target", arguments->target,
                   "what the model takes there instead: flash, RAM, instructions, and how it trains in how much RAM")
      ->check(CLI::IsMember(target_names()));
  command->add_flag("--json", arguments->json, "machine-readable");
  arguments->session.add_to(command, true);
  arguments->session.add_length_to(command);
  (*commands)[command] = [arguments] { inspect(*arguments); };
}

}  // namespace figment::cli
