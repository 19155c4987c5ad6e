#include "target.h"

#include <fmt/format.h>
#include <cmath>
#include <cstring>
#include <optional>

#include "io/table.h"
#include "io/terminal.h"
#include "target_costs.h"

namespace figment::cli {

namespace {

using Json = nlohmann::ordered_json;

// What the stack holds at most; tests/firmware/sessions_test.sh measures it.
constexpr uint64_t kStackBytes = 4096;
constexpr uint32_t kKilobytes[] = {64, 128, 256, 512};

uint64_t sample_bytes(const fig_shape& shape, uint32_t batch) {
  uint64_t bytes = sizeof(float);
  for (uint32_t i = 0; i < shape.rank; ++i) bytes *= shape.extents[i] * (shape.per_batch[i] ? batch : 1);
  return bytes;
}

class Reporter {
 public:
  Reporter(const OpenModel& open, std::string target) : open_(open), target_(std::move(target)) {
    check(fig_model_get_info(open.model(), &model_));
    if (open.trains()) requantize_bytes_ = requantize_bytes();
  }

  Json report(uint32_t batch) const {
    Json result = {{"model", model_.name}, {"target", target_}, {"flash", model_.file_bytes}, {"stack", kStackBytes}};
    result["programs"] = Json::array();
    for (uint32_t p = 0; p < model_.programs; ++p) {
      fig_program_info program{};
      check(fig_model_program(open_.model(), p, &program));
      if (!program.trains) result["programs"].push_back(inference(p, program, batch == 0 ? 1 : batch));
    }
    if (open_.trains()) result["training"] = training(batch == 0 ? default_batch() : batch);
    return result;
  }

 private:
  uint32_t default_batch() const {
    const std::string text = open_.metadata("training.batch");
    return text.empty() ? 32 : static_cast<uint32_t>(std::stoul(text));
  }

  // What a session takes within a limit, with what the caller holds beside it; nothing if it takes more.
  std::optional<fig_footprint> footprint(const std::string& programs, bool trains, uint32_t batch,
                                         uint64_t limit) const {
    fig_session_options options{};
    options.struct_size = sizeof options;
    options.program = programs.c_str();
    options.batch = batch;
    options.training = trains;
    options.outputs_given = !trains;
    options.memory_limit = limit;
    fig_footprint found{};
    const fig_status status = fig_session_footprint(open_.model(), &options, &found);
    if (status == FIG_MEMORY_LIMIT) return std::nullopt;
    check(status);
    return found;
  }

  Json inference(uint32_t p, const fig_program_info& program, uint32_t batch) const {
    const ProgramCost cost(open_, target_, p, batch);
    const fig_footprint found = *footprint(program.name, false, batch, 0);
    uint64_t exchanged = 0;
    for (uint32_t i = 0; i < program.inputs; ++i) exchanged += sample_bytes(open_.input(p, i).shape, batch);
    for (uint32_t i = 0; i < program.outputs; ++i) exchanged += sample_bytes(open_.output(p, i).shape, batch);
    Json result = {{"name", program.name},
                   {"batch", batch},
                   {"code", code_bytes(open_, {p}, false)},
                   {"session", found.model + found.session},
                   {"exchanged", exchanged},
                   {"ram", found.model + found.session + exchanged + kStackBytes},
                   {"instructions", std::llround(cost.instructions())}};
    if (!cost.unknown().empty()) result["unmeasured"] = cost.unknown();
    result["work"] = {{std::to_string(p), cost.work()}};
    return result;
  }

  // Programs that are kept beside those that train: what generates and encodes, and what the int8 form follows.
  std::string wanted_programs() const {
    std::string names;
    for (uint32_t p = 0; p < model_.programs; ++p) {
      fig_program_info program{};
      check(fig_model_program(open_.model(), p, &program));
      const bool wanted = std::strcmp(program.name, "generate") == 0 || std::strcmp(program.name, "encode") == 0 ||
                          (requantize_bytes_ > 0 && std::strcmp(program.name, "int8") == 0);
      if (wanted && !program.trains) names += (names.empty() ? "" : ",") + std::string(program.name);
    }
    return names;
  }

  // Instructions of a step at a level, and the programs it runs.
  Json step(uint32_t level, uint32_t batch, uint32_t micro_batch) const {
    double instructions = 0;
    std::vector<uint32_t> programs;
    std::vector<std::string> unknown;
    Json work = Json::object();
    for (uint32_t p = 0; p < model_.programs; ++p) {
      fig_program_info program{};
      check(fig_model_program(open_.model(), p, &program));
      const bool critic = std::strcmp(program.name, "train.critic") == 0;  // in the place of the step, some times
      if (!program.trains || program.level != level || critic) continue;
      programs.push_back(p);
      const bool parts = std::string(program.name).ends_with(".micro_batch");
      const ProgramCost cost(open_, target_, p, parts ? micro_batch : batch);
      const uint32_t times = parts ? (batch + micro_batch - 1) / micro_batch : 1;
      instructions += cost.instructions() * times;
      work[std::to_string(p)] = cost.work();
      unknown.insert(unknown.end(), cost.unknown().begin(), cost.unknown().end());
    }
    Json result = {{"code", code_bytes(open_, programs, true)}, {"instructions", std::llround(instructions)}};
    if (!unknown.empty()) result["unmeasured"] = unknown;
    result["work"] = work;
    return result;
  }

  // How it trains in so much RAM, with no more than a batch at a time: fewer samples where it must.
  Json fit(uint64_t ram, uint32_t most) const {
    const std::string programs = wanted_programs();
    for (uint32_t batch = most;; batch = (batch + 1) / 2) {
      const uint64_t beside = batch_bytes(batch) + kStackBytes;
      const auto found = beside < ram ? footprint(programs, true, batch, ram - beside) : std::nullopt;
      if (found) {
        Json result = {{"batch", batch},
                       {"level", found->level},
                       {"micro_batch", found->micro_batch},
                       {"session", found->model + found->session},
                       {"variables", found->variables},
                       {"exchanged", batch_bytes(batch)},
                       {"ram", found->model + found->session + beside}};
        result.update(step(found->level, batch, found->micro_batch));
        return result;
      }
      if (batch == 1) return nullptr;
    }
  }

  uint64_t batch_bytes(uint32_t batch) const {
    uint64_t bytes = 0;
    fig_port_info port{};
    for (uint32_t i = 0; fig_model_batch_input(open_.model(), i, &port) == FIG_OK; ++i)
      bytes += sample_bytes(port.shape, batch);
    return bytes;
  }

  // Bytes of what the optimizer keeps beside the parameters, and of trained parameters.
  std::pair<uint64_t, uint64_t> optimizer_bytes() const {
    uint64_t state = 0;
    uint64_t trained = 0;
    fig_parameter_info parameter{};
    for (uint32_t i = 0; fig_model_parameter(open_.model(), i, &parameter) == FIG_OK; ++i) {
      const std::string name = parameter.name;
      const uint64_t bytes = sample_bytes(parameter.shape, 1);
      if (name.ends_with(".adam_m") || name.ends_with(".adam_v") || name.ends_with(".velocity")) state += bytes;
      if (parameter.trained) trained += bytes;
    }
    return {state, trained};
  }

  // What fig_requantize takes of the caller's memory; 0: the model carries no int8 form.
  size_t requantize_bytes() const {
    fig_session_options options{};
    options.struct_size = sizeof options;
    options.batch = 1;
    options.kernels = FIG_KERNELS_PORTABLE;
    options.training = true;
    fig_session* session = nullptr;
    check(fig_session_create(open_.model(), &options, &session));
    size_t bytes = 0;
    const fig_status status = fig_requantize_size(session, &bytes);
    fig_session_destroy(session);
    if (status != FIG_NOT_FOUND) check(status);
    return bytes;
  }

  Json training(uint32_t batch) const {
    constexpr uint64_t kAny = uint64_t{1} << 40;
    Json result = fit(kAny, batch);
    result["budgets"] = Json::array();
    for (const uint32_t kilobytes : kKilobytes) {
      Json budget = {{"ram", kilobytes * 1024}};
      budget["fit"] = fit(uint64_t{kilobytes} * 1024, batch);
      result["budgets"].push_back(budget);
    }
    // The least that it takes.
    const auto [state, trained] = optimizer_bytes();
    for (uint64_t low = 0, high = result["ram"].get<uint64_t>(); low + 16 < high;) {
      const uint64_t middle = (low + high) / 2;
      const Json found = fit(middle, batch);
      if (found.is_null()) {
        low = middle;
      } else {
        high = found["ram"].get<uint64_t>();
        result["least"] = found;
      }
    }
    if (!result.contains("least")) result["least"] = fit(kAny, 1);
    if (requantize_bytes_ > 0) result["requantize_bytes"] = requantize_bytes_;
    result["trained_bytes"] = trained;
    result["optimizer_bytes"] = state;
    return result;
  }

  const OpenModel& open_;
  std::string target_;
  fig_model_info model_{};
  size_t requantize_bytes_ = 0;
};

std::string bytes_of(const Json& value) { return io::format_bytes(value.get<double>()); }

std::string in_words(const Json& fit) {
  std::string text = fmt::format("batch {}", fit["batch"].get<uint32_t>());
  if (fit["level"].get<uint32_t>() > 0) text += fmt::format(", --level {}", fit["level"].get<uint32_t>());
  if (fit["micro_batch"].get<uint32_t>() < fit["batch"].get<uint32_t>())
    text += fmt::format(", --micro-batch {}", fit["micro_batch"].get<uint32_t>());
  return text;
}

std::string millions(const Json& value) {
  const double instructions = value.get<double>();
  return fmt::format("{:.3g} M", instructions / 1e6);
}

void print_unmeasured(const Json& entry) {
  if (!entry.contains("unmeasured")) return;
  std::string names;
  for (const Json& kind : entry["unmeasured"]) names += (names.empty() ? "" : ", ") + kind.get<std::string>();
  io::print("  without %s, which have not been measured\n", names.c_str());
}

}  // namespace

Json target_json(const OpenModel& open, const std::string& target, uint32_t batch) {
  return Reporter(open, target).report(batch);
}

void print_target(const Json& report) {
  io::print("%s on %s; flash: %s of model, and code\nStripped (--strip), it takes less of both flash and RAM.\n\n",
            report["model"].get<std::string>().c_str(), report["target"].get<std::string>().c_str(),
            bytes_of(report["flash"]).c_str());
  std::vector<std::vector<std::string>> rows = {{"", "code <=", "RAM", "session", "data", "stack", "instructions"}};
  const auto row = [&](const std::string& name, const Json& entry) {
    rows.push_back({name, bytes_of(entry["code"]), bytes_of(entry["ram"]), bytes_of(entry["session"]),
                    bytes_of(entry["exchanged"]), bytes_of(report["stack"]), millions(entry["instructions"])});
  };
  for (const Json& program : report["programs"])
    row(fmt::format("{}, batch {}", program["name"].get<std::string>(), program["batch"].get<uint32_t>()), program);
  if (report.contains("training")) row("a train step, " + in_words(report["training"]), report["training"]);
  io::print_table(rows);
  for (const Json& program : report["programs"]) print_unmeasured(program);
  if (!report.contains("training")) return;
  const Json& training = report["training"];
  print_unmeasured(training);
  io::print("\n");
  std::vector<std::vector<std::string>> budgets = {{"RAM", "trains with", "takes", "instructions a step"}};
  for (const Json& budget : training["budgets"]) {
    const std::string ram = fmt::format("{} KiB", budget["ram"].get<uint64_t>() / 1024);
    const Json& fit = budget["fit"];
    if (fit.is_null())
      budgets.push_back({ram, "-", "", ""});
    else
      budgets.push_back({ram, in_words(fit), bytes_of(fit["ram"]), millions(fit["instructions"])});
  }
  io::print_table(budgets);
  const Json& least = training["least"];
  io::print("\nThe least: %s, %s.\nParameters that train take %s of it, gradients as much, and what the\n",
            in_words(least).c_str(), bytes_of(least["ram"]).c_str(), bytes_of(training["trained_bytes"]).c_str());
  const bool keeps = training["optimizer_bytes"].get<uint64_t>() > 0;
  io::print("optimizer keeps of them %s%s.\n", bytes_of(training["optimizer_bytes"]).c_str(),
            keeps ? "; plain SGD keeps nothing,\n{\"kind\": \"sgd\", \"beta1\": 0}" : "");
  if (training.contains("requantize_bytes")) {
    io::print("fig_requantize takes %s more of RAM, and 14 kB of code, for the int8 form.\n",
              bytes_of(training["requantize_bytes"]).c_str());
  }
  io::print(
      "Parameters stay in flash by figment-convert RECIPE --start-from MODEL --freeze\nNAMES, or --train-only.\n");
}

}  // namespace figment::cli
