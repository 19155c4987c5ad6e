#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <numeric>
#include <optional>
#include <random>

#include "commands.h"
#include "io/files.h"
#include "io/terminal.h"

namespace figment::cli {

namespace {

struct Arguments {
  std::string model;
  std::string data;
  std::string input;
  std::string output;
  std::string losses;
  uint64_t steps = 1000;
  SessionArguments session;
};

volatile std::sig_atomic_t g_stop = 0;

void stop(int /*signal*/) { g_stop = 1; }

// The samples to train on: bytes (IDX) or floats (NPY).
class Samples {
 public:
  // `low` and `high` are the values of black and white.
  Samples(const std::string& path, float low, float high) : low_(low), high_(high) {
    if (path.ends_with(".npy")) {
      floats_ = io::read_npy(path);
    } else {
      bytes_ = io::read_idx(path);
    }
    const std::vector<size_t>& shape = floats_ ? floats_->shape : bytes_->shape;
    if (shape.empty() || shape[0] == 0) throw Error(path + ": holds no samples");
    count_ = shape[0];
    elements_ = (floats_ ? floats_->values.size() : bytes_->values.size()) / count_;
  }

  size_t count() const { return count_; }
  size_t elements() const { return elements_; }

  void copy(size_t i, float* out) const {
    if (floats_) {
      std::copy_n(floats_->values.begin() + static_cast<std::ptrdiff_t>(i * elements_), elements_, out);
      return;
    }
    const float step = (high_ - low_) / 255;
    for (size_t j = 0; j < elements_; ++j) out[j] = low_ + step * static_cast<float>(bytes_->values[i * elements_ + j]);
  }

 private:
  std::optional<io::Array> floats_;
  std::optional<io::ByteArray> bytes_;
  size_t count_ = 0;
  size_t elements_ = 0;
  float low_;
  float high_;
};

// The input of the train program that the session does not draw.
std::string data_input(const OpenModel& open, const std::string& wanted, size_t* elements) {
  fig_program_info program{};
  fig_port_info port{};
  std::vector<std::string> names;
  const uint32_t index = open.find_program("train.step");
  check(fig_model_program(open.model(), index, &program));
  for (uint32_t i = 0; i < program.inputs; ++i) {
    check(fig_model_input(open.model(), index, i, &port));
    const std::string name = port.name;
    fig_latent_info latent{};
    const bool generated = fig_model_latent(open.model(), &latent) == FIG_OK && name == latent.input;
    if (wanted.empty() ? generated || name == "noise" : name != wanted) continue;
    *elements = sample_elements(port.shape);
    names.push_back(name);
  }
  if (names.size() != 1) throw Error("name the input that takes the data with --input");
  return names[0];
}

// A permutation of the samples for each pass over them, from the seed alone.
class Shuffle {
 public:
  Shuffle(size_t count, uint64_t seed) : order_(count), seed_(seed) {}

  size_t at(uint64_t position) {
    const uint64_t pass = position / order_.size();
    if (pass != pass_) {
      pass_ = pass;
      std::iota(order_.begin(), order_.end(), size_t{0});
      std::mt19937_64 random(seed_ * 0x9E3779B97F4A7C15 + pass);
      // std::shuffle differs between standard libraries.
      for (size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random() % i]);
    }
    return order_[position % order_.size()];
  }

 private:
  std::vector<size_t> order_;
  uint64_t seed_;
  uint64_t pass_ = UINT64_MAX;
};

void train(const Arguments& arguments) {
  OpenModel open(arguments.model);
  fig_output_info output{};
  check(fig_model_generated(open.model(), &output));
  size_t elements = 0;
  const std::string input = data_input(open, arguments.input, &elements);
  const Samples samples(arguments.data, output.range_min, output.range_max);
  if (samples.elements() != elements) {
    throw Error(arguments.data + ": a sample has " + std::to_string(samples.elements()) + " values, input " + input +
                " takes " + std::to_string(elements));
  }
  fig_session_options options = arguments.session.options();
  options.training = true;
  if (options.batch == 0) options.batch = 32;
  if (options.batch > samples.count()) throw Error("the batch is larger than the data");
  open.open_session(options);
  std::vector<float> values(options.batch * elements);
  Shuffle shuffle(samples.count(), options.seed);
  const fig_tensor tensor = {input.c_str(), values.data(), values.size()};
  const fig_batch batch{sizeof(fig_batch), options.batch, &tensor, 1, nullptr, 0};
  std::string curve;
  fig_metrics metrics{};
  uint64_t skipped = 0;
  std::signal(SIGINT, stop);
  std::signal(SIGTERM, stop);
  io::ProgressLine line("training");
  for (uint64_t step = 0; step < arguments.steps && g_stop == 0; ++step) {
    for (size_t i = 0; i < options.batch; ++i) {
      samples.copy(shuffle.at(step * options.batch + i), values.data() + i * elements);
    }
    check(fig_train_step(open.session(), &batch, &metrics));
    skipped += metrics.skipped;
    std::string row = std::to_string(metrics.step);
    std::string text;
    for (uint32_t i = 0; i < metrics.count; ++i) {
      const std::string number = io::format_number(static_cast<double>(metrics.values[i].value), 4);
      row += "," + number;
      text += std::string(i > 0 ? ", " : "") + metrics.values[i].name + " " + number;
    }
    if (curve.empty()) {
      curve = "step";
      for (uint32_t i = 0; i < metrics.count; ++i) curve += std::string(",") + metrics.values[i].name;
      curve += "\n";
    }
    curve += row + "\n";
    line.update(static_cast<double>(step + 1) / static_cast<double>(arguments.steps), text);
  }
  if (!arguments.output.empty()) check(fig_session_export(open.session(), arguments.output.c_str()));
  if (!arguments.losses.empty()) io::write_file(arguments.losses, curve);
  std::printf("%llu steps", static_cast<unsigned long long>(metrics.step));
  for (uint32_t i = 0; i < metrics.count; ++i) {
    std::printf(", %s %.4f", metrics.values[i].name, static_cast<double>(metrics.values[i].value));
  }
  std::printf("\n");
  if (skipped > 0) {
    std::fprintf(
        stderr,
        "figment: %llu sub-steps changed nothing, because a gradient was NaN or infinite: lower the learning rate\n",
        static_cast<unsigned long long>(skipped));
  }
}

}  // namespace

void add_train(CLI::App* app, Commands* commands) {
  CLI::App* command = app->add_subcommand("train", "Train a model that was converted with an objective");
  auto arguments = std::make_shared<Arguments>();
  command->add_option("model", arguments->model, ".figment file")->required();
  command->add_option("--data", arguments->data, "samples: IDX (also gzipped) or .npy")->required();
  command->add_option("--input", arguments->input, "the input that takes them (default: the one that is not drawn)");
  command->add_option("--steps", arguments->steps, "train steps")->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--seed", arguments->session.seed, "of the order of the data and of what is drawn")
      ->capture_default_str();
  command->add_option("--out", arguments->output, "write the trained model to this file, also when interrupted");
  command->add_option("--losses", arguments->losses, "write the losses of all steps to this .csv file");
  arguments->session.add_to(command, true);
  (*commands)[command] = [arguments] { train(*arguments); };
}

}  // namespace figment::cli
