#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "io/terminal.h"
#include "json.h"

namespace figment::cli {

namespace {

using Clock = std::chrono::steady_clock;

struct Arguments {
  std::string model;
  std::string program;
  std::vector<uint32_t> batches = {1, 16, 64};
  std::vector<uint32_t> threads = {1};
  double seconds = 0.5;
  bool json = false;
  SessionArguments session;
};

struct Timing {
  std::string program;
  uint32_t batch;
  uint32_t threads;
  double median_us;
  double min_us;
};

double microseconds(Clock::duration duration) { return std::chrono::duration<double, std::micro>(duration).count(); }

// Whether a program takes any number of samples, not one.
bool is_batched(const OpenModel& open, uint32_t index) {
  fig_program_info program{};
  check(fig_model_program(open.model(), index, &program));
  fig_port_info port{};
  const auto open_batch = [&port] {
    return std::any_of(port.shape.per_batch, port.shape.per_batch + port.shape.rank, [](bool b) { return b; });
  };
  for (uint32_t i = 0; i < program.inputs; ++i) {
    port = open.input(index, i);
    if (open_batch()) return true;
  }
  for (uint32_t i = 0; i < program.outputs; ++i) {
    port = open.output(index, i);
    if (open_batch()) return true;
  }
  return false;
}

// Values of both signs and no subnormals; integers that the port takes.
float value_at(const fig_port_info& port, size_t i) {
  constexpr int32_t kMiddle = 11;
  constexpr int32_t kValues = 2 * kMiddle + 1;
  const auto step = static_cast<int32_t>(i * 7 % kValues);
  if (!port.integers) return static_cast<float>(step - kMiddle) / static_cast<float>(kMiddle);
  const int32_t low = std::clamp(0, port.least, port.greatest);
  return static_cast<float>(low + step % std::min(port.greatest - low + 1, kValues));
}

Timing time_program(OpenModel* open, uint32_t index, uint32_t batch, uint32_t threads, const Arguments& arguments) {
  fig_program_info program{};
  check(fig_model_program(open->model(), index, &program));
  fig_session_options options = arguments.session.options();
  options.batch = batch;
  options.threads = threads;
  open->open_within_budget(options, program);
  std::vector<std::vector<float>> memory;
  const auto tensor_of = [&](const fig_port_info& port) {
    size_t elements = 1;
    for (uint32_t d = 0; d < port.shape.rank; ++d)
      elements *= port.shape.extents[d] * (port.shape.per_batch[d] ? batch : 1);
    std::vector<float>& values = memory.emplace_back(elements);
    for (size_t i = 0; i < elements; ++i) values[i] = value_at(port, i);
    return fig_tensor{port.name, values.data(), elements, FIG_F32};
  };
  std::vector<fig_tensor> inputs;
  std::vector<fig_tensor> outputs;
  fig_port_info port{};
  for (uint32_t i = 0; i < program.inputs; ++i) {
    port = open->input(index, i);
    inputs.push_back(tensor_of(port));
  }
  for (uint32_t i = 0; i < program.outputs; ++i) {
    port = open->output(index, i);
    outputs.push_back(tensor_of(port));
  }
  const auto call = [&] {
    check(fig_run(open->session(), program.name, batch, inputs.data(), inputs.size(), outputs.data(), outputs.size()));
  };
  for (int i = 0; i < 3; ++i) call();
  std::vector<double> times;
  const Clock::time_point end =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(arguments.seconds));
  while (times.size() < 5 || (Clock::now() < end && times.size() < 1000000)) {
    const Clock::time_point start = Clock::now();
    call();
    times.push_back(microseconds(Clock::now() - start));
  }
  std::sort(times.begin(), times.end());
  return {program.name, batch, threads, times[times.size() / 2], times[0]};
}

void bench(const Arguments& arguments) {
  OpenModel open(arguments.model);
  open.set_length(arguments.session.length);
  fig_model_info model{};
  check(fig_model_get_info(open.model(), &model));
  std::vector<uint32_t> programs;
  if (arguments.program.empty()) {
    for (uint32_t i = 0; i < model.programs; ++i) {
      fig_program_info program{};
      check(fig_model_program(open.model(), i, &program));
      if (program.level == 0) programs.push_back(i);
    }
  } else {
    programs.push_back(open.find_program(arguments.program));
  }
  std::vector<Timing> timings;
  std::vector<std::vector<uint32_t>> batches;  // of each program
  size_t total = 0;
  for (uint32_t program : programs) {
    batches.push_back(is_batched(open, program) ? arguments.batches : std::vector<uint32_t>{1});
    total += batches.back().size() * arguments.threads.size();
  }
  {
    io::ProgressLine line("timing");
    for (size_t i = 0; i < programs.size(); ++i) {
      for (uint32_t batch : batches[i]) {
        for (uint32_t threads : arguments.threads) {
          timings.push_back(time_program(&open, programs[i], batch, threads, arguments));
          line.update(static_cast<double>(timings.size()) / static_cast<double>(total));
        }
      }
    }
  }
  if (arguments.json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const Timing& t : timings) {
      list.push_back({{"program", t.program},
                      {"batch", t.batch},
                      {"threads", t.threads},
                      {"median_us", t.median_us},
                      {"min_us", t.min_us}});
    }
    io::print("%s\n", json_text(list, 2).c_str());
    return;
  }
  std::vector<std::vector<std::string>> rows = {{"program", "batch", "threads", "median µs", "min µs", "samples/s"}};
  for (const Timing& t : timings) {
    rows.push_back({t.program, std::to_string(t.batch), std::to_string(t.threads), io::format_number(t.median_us, 1),
                    io::format_number(t.min_us, 1), io::format_number(t.batch / t.median_us * 1e6, 0)});
  }
  io::print_table(rows);
}

}  // namespace

void add_bench(CLI::App* app, Commands* commands) {
  CLI::App* command = app->add_subcommand("bench", "Time a model's programs");
  auto arguments = std::make_shared<Arguments>();
  command->footer("  figment bench model.figment --batch 1,16 --threads 1,4");
  command->add_option("model", arguments->model, ".figment file")->required();
  command->add_option("--program", arguments->program, "the program (default: all)");
  command->add_option("--batch", arguments->batches, "batches to time")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--threads", arguments->threads, "numbers of threads to time")
      ->delimiter(',')
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_option("--seconds", arguments->seconds, "seconds per measurement")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  command->add_option("--memory-limit", arguments->session.memory_limit,
                      "memory limit, such as 64M: train in less memory, or refuse");
  arguments->session.add_length_to(command);
  command->add_flag("--portable", arguments->session.portable, "plain C++ kernels only");
  command->add_flag("--json", arguments->json, "machine-readable");
  (*commands)[command] = [arguments] { bench(*arguments); };
}

}  // namespace figment::cli
