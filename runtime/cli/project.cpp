#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "commands.h"
#include "controls.h"
#include "dataset.h"
#include "io/arrays.h"
#include "io/files.h"
#include "io/terminal.h"
#include "output.h"

namespace figment::cli {

namespace {

struct Arguments {
  std::string model;
  std::string data;
  std::vector<std::string> outputs;
  ControlArguments controls;
  uint32_t count = 8;
  uint64_t first = 0;
  uint32_t steps = 300;
  uint32_t restarts = 4;
  float learning_rate = 0.05F;
  float prior_weight = 0.04F;
  bool normalize = false;
  PictureArguments pictures;
  TableArguments table;
  Layout layout;
  SessionArguments session;
};

// Samples with their latents and what the generator makes of these.
struct Projection {
  std::vector<float> latents;
  std::vector<float> reconstructions;
};

// The root of the mean squared difference of sample `i` of two sets.
double error_of(const float* a, const float* b, size_t elements) {
  double sum = 0;
  for (size_t i = 0; i < elements; ++i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += difference * difference;
  }
  return std::sqrt(sum / static_cast<double>(elements));
}

Projection encoded(const OpenModel& open, const std::vector<float>& samples, size_t count, size_t latent) {
  Projection result{std::vector<float>(count * latent), std::vector<float>(samples.size())};
  check(fig_encode(open.session(), count, samples.data(), samples.size(), result.latents.data(), result.latents.size(),
                   nullptr, 0));
  check(fig_decode(open.session(), count, result.latents.data(), result.latents.size(), result.reconstructions.data(),
                   samples.size()));
  return result;
}

// The search for latents by Adam (Kingma and Ba 2015) along the gradients of the program "project", for all samples and
// restarts at once. Categories stay as they were drawn; a restart has its own.
class Search {
 public:
  Search(const OpenModel& open, const Arguments& arguments, const Generated& generated, const fig_latent_info& latent,
         const std::vector<float>& samples)
      : open_(open), arguments_(arguments), generated_(generated), latent_(latent) {
    fig_code_info code{};
    for (uint32_t i = 0; fig_model_code(open.model(), i, &code) == FIG_OK; ++i) codes_.push_back(code);
    for (const fig_code_info& each : codes_) {
      if (each.prior == FIG_PRIOR_CATEGORICAL) categories_ = std::max(categories_, each.size);
    }
    restarts_ = std::max<size_t>(arguments.restarts, categories_);
    rows_ = arguments.count * restarts_;
    steered_ = steer(open, arguments.controls, arguments.session.seed, 0, rows_, Draw::kAlways,
                     Steered::Missing::kClassesInTurn);
    for (size_t row = 0; row < rows_; ++row) start(row);
    targets_.resize(rows_ * generated.sample);
    for (size_t row = 0; row < rows_; ++row) {
      std::copy_n(samples.begin() + static_cast<std::ptrdiff_t>(row / restarts_ * generated.sample), generated.sample,
                  targets_.begin() + static_cast<std::ptrdiff_t>(row * generated.sample));
    }
  }

  Projection run() {
    const size_t size = steered_.latents.size();
    std::vector<float> reconstruction(targets_.size());
    std::vector<float> gradient(size);
    std::vector<float> m(size);
    std::vector<float> v(size);
    io::ProgressLine line("searching");
    for (uint32_t step = 0; step <= arguments_.steps; ++step) {
      evaluate(&reconstruction, &gradient);
      if (step == arguments_.steps) break;
      const double part = static_cast<double>(step) / arguments_.steps;
      update(step + 1, 0.5 * (1 + std::cos(M_PI * part)) * static_cast<double>(arguments_.learning_rate), gradient, &m,
             &v);
      line.update(part);
    }
    for (float value : reconstruction) {
      if (!std::isfinite(value)) throw Error("the search has diverged: give a lower --learning-rate");
    }
    return best(reconstruction);
  }

 private:
  bool is_category(size_t value) const {
    return std::any_of(codes_.begin(), codes_.end(), [value](const fig_code_info& code) {
      return code.prior == FIG_PRIOR_CATEGORICAL && value >= code.start && value < code.start + code.size;
    });
  }

  fig_prior prior_of(size_t value) const {
    for (const fig_code_info& code : codes_) {
      if (value >= code.start && value < code.start + code.size) return code.prior;
    }
    return latent_.prior;
  }

  // Restart r of every sample has category r.
  void start(size_t row) {
    float* values = steered_.latents.data() + row * latent_.size;
    for (const fig_code_info& code : codes_) {
      if (code.prior != FIG_PRIOR_CATEGORICAL) continue;
      std::fill_n(values + code.start, code.size, 0.0F);
      values[code.start + row % restarts_ % code.size] = 1;
    }
  }

  void evaluate(std::vector<float>* reconstruction, std::vector<float>* gradient) {
    std::vector<fig_tensor> inputs = steered_.condition_tensors(0, rows_);
    inputs.push_back({latent_.input, steered_.latents.data(), steered_.latents.size(), FIG_F32});
    inputs.push_back({generated_.output.port, targets_.data(), targets_.size(), FIG_F32});
    const fig_tensor outputs[] = {{"reconstruction", reconstruction->data(), reconstruction->size(), FIG_F32},
                                  {"gradient", gradient->data(), gradient->size(), FIG_F32}};
    check(fig_run(open_.session(), "project", rows_, inputs.data(), inputs.size(), outputs, 2));
  }

  void update(uint32_t step, double rate, const std::vector<float>& gradient, std::vector<float>* m,
              std::vector<float>* v) {
    constexpr float kBeta1 = 0.9F;
    constexpr float kBeta2 = 0.999F;
    const auto corrected = static_cast<float>(rate * std::sqrt(1 - std::pow(0.999, step)) / (1 - std::pow(0.9, step)));
    for (size_t value = 0; value < latent_.size; ++value) {
      if (is_category(value)) continue;
      const bool normal = prior_of(value) == FIG_PRIOR_NORMAL;
      for (size_t i = value; i < gradient.size(); i += latent_.size) {
        float& z = steered_.latents[i];
        const float g = gradient[i] + (normal ? arguments_.prior_weight * z : 0);
        (*m)[i] = kBeta1 * (*m)[i] + (1 - kBeta1) * g;
        (*v)[i] = kBeta2 * (*v)[i] + (1 - kBeta2) * g * g;
        z -= corrected * (*m)[i] / (std::sqrt((*v)[i]) + 1e-8F);
        if (!normal) z = std::clamp(z, -1.0F, 1.0F);
      }
    }
  }

  // The restart of each sample that came nearest.
  Projection best(const std::vector<float>& reconstruction) const {
    Projection result;
    for (size_t i = 0; i < arguments_.count; ++i) {
      size_t found = i * restarts_;
      double least = INFINITY;
      for (size_t row = i * restarts_; row < (i + 1) * restarts_; ++row) {
        const double error = error_of(reconstruction.data() + row * generated_.sample,
                                      targets_.data() + row * generated_.sample, generated_.sample);
        if (error >= least) continue;
        least = error;
        found = row;
      }
      const auto append = [found](std::vector<float>* to, const std::vector<float>& from, size_t size) {
        const auto first = from.begin() + static_cast<std::ptrdiff_t>(found * size);
        to->insert(to->end(), first, first + static_cast<std::ptrdiff_t>(size));
      };
      append(&result.latents, steered_.latents, latent_.size);
      append(&result.reconstructions, reconstruction, generated_.sample);
    }
    return result;
  }

  const OpenModel& open_;
  const Arguments& arguments_;
  const Generated& generated_;
  fig_latent_info latent_;
  std::vector<fig_code_info> codes_;
  size_t categories_ = 0;
  size_t restarts_ = 0;
  size_t rows_ = 0;
  Steered steered_;
  std::vector<float> targets_;  // a row for each restart
};

void project(const Arguments& arguments) {
  OpenModel open(arguments.model);
  const Generated generated = generated_of(open);
  const fig_latent_info latent = open.latent();
  DataArguments read;
  read.data = {arguments.data};
  read.normalize = arguments.normalize;
  read.pictures = arguments.pictures;
  read.table = arguments.table;
  for (const std::string& path : arguments.outputs) {
    check_kind(path, generated);
    read.check_kept(path, arguments.model);
  }
  const bool encodes = open.has_program("encode");
  if (!encodes && !open.has_program("project"))
    throw Error("the model has neither an encoder nor the program \"project\": convert it with an objective, in f32");
  Dataset data(open, read, {generated.port}, generated.output);
  data.find_scaling();
  if (arguments.first >= data.count() || arguments.count > data.count() - arguments.first)
    throw Error(fmt::format("{}: holds only {} samples", arguments.data, data.count()));
  std::vector<float> samples(arguments.count * generated.sample);
  for (size_t i = 0; i < arguments.count; ++i) {
    data.copy(data.inputs()[0], static_cast<size_t>(arguments.first) + i, samples.data() + i * generated.sample);
  }
  fig_session_options options = arguments.session.options();
  if (options.batch == 0) options.batch = 64;
  open.open_session(options);
  const Projection found = encodes ? encoded(open, samples, arguments.count, latent.size)
                                   : Search(open, arguments, generated, latent, samples).run();
  std::vector<std::vector<std::string>> table = {{"sample", "rms error"}};
  std::vector<float> pairs;
  for (size_t i = 0; i < arguments.count; ++i) {
    const float* sample = samples.data() + i * generated.sample;
    const float* reconstruction = found.reconstructions.data() + i * generated.sample;
    const std::string file = data.file(static_cast<size_t>(arguments.first) + i);
    table.push_back({file.empty() ? std::to_string(arguments.first + i) : file,
                     io::format_number(error_of(sample, reconstruction, generated.sample), 4)});
    pairs.insert(pairs.end(), sample, sample + generated.sample);
    pairs.insert(pairs.end(), reconstruction, reconstruction + generated.sample);
  }
  for (const std::string& path : arguments.outputs) {
    if (path.ends_with(".npy")) {
      io::write_file(path, io::format_npy({{arguments.count, latent.size}, found.latents}));
    } else {
      Layout layout = arguments.layout;
      if (layout.columns == 0) layout.columns = 2 * static_cast<uint32_t>(std::ceil(std::sqrt(arguments.count / 2.0)));
      write_samples(path, pairs, generated, layout);
    }
  }
  io::print_table(table);
}

}  // namespace

void add_project(CLI::App* app, Commands* commands) {
  CLI::App* command = app->add_subcommand("project", "Find the latents of samples: by the encoder, or by a search");
  auto arguments = std::make_shared<Arguments>();
  command->footer("  figment project model.figment --data images -n 8 -o pairs.png -o latents.npy");
  command->add_option("model", arguments->model, ".figment file")->required();
  command->add_option("--data", arguments->data, io::kDataHelp)->required();
  command->add_flag("--normalize", arguments->normalize, io::kNormalizeHelp);
  arguments->pictures.add_to(command);
  arguments->table.add_to(command);
  command->add_option("-n,--count", arguments->count, "number of samples")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--first", arguments->first, "number of the first sample")->capture_default_str();
  command->add_option(
      "-o,--output,--out", arguments->outputs,
      "file to write: the latents as .npy; each sample beside its reconstruction as .png, .svg or .csv");
  command->add_option("--steps", arguments->steps, "steps of the search")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  command->add_option("--restarts", arguments->restarts, "searches per sample, at least one per category")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--learning-rate", arguments->learning_rate, "learning rate of the search")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      ->add_option("--prior-weight", arguments->prior_weight,
                   "weight of the latent's prior: the variance of the residual")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--condition", arguments->controls.conditions,
                      "[INPUT=]FILE: a condition for each restart of each sample (default: the classes in turn)");
  command->add_option("--seed", arguments->session.seed, "seed of the initial latents")->capture_default_str();
  arguments->session.add_to(command, true);
  (*commands)[command] = [arguments] { project(*arguments); };
}

}  // namespace figment::cli
