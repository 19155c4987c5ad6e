// The commands of the figment program. Each adds its subcommand to the command line and a function to run.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "figment/figment.h"
#include "io/files.h"

namespace figment::cli {

using io::Error;

// Throws the library's message unless `status` is FIG_OK.
void check(fig_status status);

// A model and, if asked for, a session; closed together.
class OpenModel {
 public:
  explicit OpenModel(const std::string& path);
  ~OpenModel();
  OpenModel(const OpenModel&) = delete;
  OpenModel& operator=(const OpenModel&) = delete;

  // Replaces the session.
  void open_session(fig_session_options options);
  // The same, in no more memory than a file of the model's size may take, unless the options set a limit.
  void open_within_budget(fig_session_options options);
  // The same with a session that can run the program: of it alone, or a training session if it trains.
  void open_session(fig_session_options options, const fig_program_info& program);
  void open_within_budget(fig_session_options options, const fig_program_info& program);
  // The same with a batch of `most` samples or, in turn, half as many, until that takes no more memory than a file of
  // the model's size may; one sample takes what it needs. Programs that couple the batch, or train, compute it whole.
  // Returns the batch.
  uint32_t open_fitting(fig_session_options options, const fig_program_info& program, size_t most);
  // Whether any program trains.
  bool trains() const;

  // Of models that have a length to choose: that of ports, latents and sessions from now on. 0: the file's. Throws
  // Error.
  void set_length(uint32_t length);
  // At that length.
  fig_port_info input(uint32_t program, uint32_t index) const;
  fig_port_info output(uint32_t program, uint32_t index) const;
  fig_tensor_info tensor(uint32_t program, uint32_t index) const;
  // Throws the library's message if the model does not generate.
  fig_latent_info latent() const;

  fig_model* model() const { return model_; }
  fig_session* session() const { return session_; }
  // The session's.
  uint32_t batch() const { return batch_; }
  // The program of that name, or the only one if it is empty.
  uint32_t find_program(const std::string& name) const;
  bool has_program(const std::string& name) const;
  // An entry of the model's metadata, "" if there is none.
  std::string metadata(const std::string& key) const;

 private:
  fig_model* model_ = nullptr;
  fig_session* session_ = nullptr;
  uint32_t batch_ = 1;
  uint32_t length_ = 0;
  int64_t units_ = 0;  // that it is more than the file's
};

// What the model was trained to do; of one that was not, an objective without a name, score and metrics.
fig_objective_info objective_of(const OpenModel& open);
std::vector<fig_metric_info> metrics_of(const OpenModel& open);

// Options that several commands share.
struct SessionArguments {
  uint32_t batch = 0;
  uint32_t threads = 1;
  std::string memory_limit;  // "64M"
  uint64_t seed = 0;
  bool portable = false;
  uint32_t length = 0;  // of models that have one to choose

  void add_to(CLI::App* command, bool with_batch);
  // Of commands that call OpenModel::set_length.
  void add_length_to(CLI::App* command);
  fig_session_options options() const;
};

// Of an option: a whole number from 1 on. `absent` says what leaving the option out means.
CLI::Validator at_least_one(const std::string& absent);

// "64M" -> bytes (K, M, G are powers of 1024).
uint64_t parse_bytes(const std::string& text);

size_t sample_elements(const fig_shape& shape);
std::string to_string(const fig_shape& shape);

using Commands = std::map<CLI::App*, std::function<void()>>;
void add_adapter(CLI::App* app, Commands* commands);
void add_bench(CLI::App* app, Commands* commands);
void add_explain(CLI::App* app, Commands* commands);
void add_compare(CLI::App* app, Commands* commands);
void add_evaluate(CLI::App* app, Commands* commands);
void add_generate(CLI::App* app, Commands* commands);
void add_inspect(CLI::App* app, Commands* commands);
void add_parameters(CLI::App* app, Commands* commands);
void add_project(CLI::App* app, Commands* commands);
void add_run(CLI::App* app, Commands* commands);
void add_score(CLI::App* app, Commands* commands);
void add_train(CLI::App* app, Commands* commands);

}  // namespace figment::cli
