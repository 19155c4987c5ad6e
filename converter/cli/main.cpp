// figment-convert: the command line of the converter.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "convert.h"
#include "figment/version.h"
#include "io/files.h"
#include "io/terminal.h"

namespace {

using figment::converter::Converted;
using figment::converter::ConvertOptions;
using figment::converter::Error;

// "NAME=FILE" -> the two; "FILE" -> "" and FILE.
std::pair<std::string, std::string> split_assignment(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos) return {"", text};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

void read_calibration(const std::vector<std::string>& files, ConvertOptions* options) {
  for (const std::string& text : files) {
    const auto [name, path] = split_assignment(text);
    if (name.empty()) throw Error("--calibration-data " + text + ": name the input, as in image=" + text);
    const figment::io::Array array = figment::io::read_npy(path);
    if (array.shape.empty()) throw Error(path + ": has no dimensions");
    if (options->calibration_rows != 0 && options->calibration_rows != array.shape[0]) {
      throw Error("the calibration files hold different numbers of samples");
    }
    options->calibration_rows = array.shape[0];
    options->calibration_data[name] = array.values;
  }
}

void add_train_options(CLI::App* app, const std::string& group, figment::converter::TrainOptions* train) {
  using figment::converter::GanLoss;
  using figment::converter::Likelihood;
  using figment::converter::Optimizer;
  const CLI::Range fraction(0.0, 1.0);
  app->add_option("--optimizer", train->optimizer, "adam, or sgd")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, Optimizer>{{"adam", Optimizer::kAdam}, {"sgd", Optimizer::kSgd}}))
      ->default_str("adam")
      ->group(group);
  app->add_option("--learning-rate", train->learning_rate, "of the optimiser")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->group(group);
  app->add_option("--beta1", train->beta1, "of Adam; the momentum of SGD")
      ->check(fraction)
      ->capture_default_str()
      ->group(group);
  app->add_option("--beta2", train->beta2, "of Adam")->check(fraction)->capture_default_str()->group(group);
  app->add_option("--weight-decay", train->weight_decay, "decoupled with Adam, added to gradients with SGD")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(group);
  app->add_option("--gan-loss", train->gan_loss, "non-saturating, or hinge")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, GanLoss>{{"non-saturating", GanLoss::kNonSaturating}, {"hinge", GanLoss::kHinge}}))
      ->default_str("non-saturating")
      ->group(group);
  app->add_option("--label-smoothing", train->label_smoothing, "one-sided: the target of real samples is 1 minus this")
      ->check(fraction)
      ->capture_default_str()
      ->group(group);
  app->add_option("--likelihood", train->likelihood, "of a VAE: bernoulli (on logits), or gaussian")
      ->transform(CLI::CheckedTransformer(std::map<std::string, Likelihood>{{"bernoulli", Likelihood::kBernoulli},
                                                                            {"gaussian", Likelihood::kGaussian}}))
      ->default_str("bernoulli")
      ->group(group);
  app->add_option("--beta", train->beta, "weight of a VAE's KL divergence")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(group);
}

int convert(int argc, char** argv) {
  CLI::App app("Converts ONNX models to one .figment file.", "figment-convert");
  app.set_version_flag("--version", FIGMENT_VERSION);
  std::vector<std::string> models;
  std::string output;
  std::string report_path;
  std::string prior = "normal";
  std::vector<float> range;
  std::vector<std::string> calibration;
  std::vector<std::string> keep;
  ConvertOptions options;
  bool quiet = false;
  app.add_option("model", models, "ONNX file, or PROGRAM=FILE; several make one file of several programs");
  app.add_option("-o,--output", output, "the .figment file to write")->required();
  app.add_option("--name", options.name, "name of the model (default: the output file's)");
  app.add_option("--latent", options.latent, "the input that generation draws (default: found by its name or shape)");
  app.add_option("--prior", prior, "its distribution: normal, or uniform on [-1, 1)")
      ->check(CLI::IsMember({"normal", "uniform"}));
  app.add_option("--range", range, "values of black and white in the output (default: by its last activation)")
      ->expected(2);
  app.add_flag("--int8", options.int8, "quantise to int8");
  app.add_option("--calibrate", options.calibration_samples, "latents to calibrate int8 on")
      ->check(CLI::Range(16, 1000000))
      ->capture_default_str();
  app.add_option("--calibration-data", calibration, "INPUT=FILE.npy: samples of an input to calibrate int8 on");
  app.add_option("--keep-f32", keep, "ops that stay f32, by name")->delimiter(',');
  app.add_option("--psnr-goal", options.psnr_goal_db, "below this many dB, costly layers stay f32 by themselves")
      ->capture_default_str();
  app.add_option("--keep-f32-threshold", options.keep_threshold_db, "costly: more dB of PSNR lost in int8 than this")
      ->capture_default_str();
  const std::string training = "Training";
  std::string objective;
  app.add_option("--objective", objective, "make a model that trains: gan, or vae")
      ->check(CLI::IsMember({"gan", "vae"}))
      ->group(training);
  for (const char* role : {"generator", "discriminator", "encoder", "decoder"}) {
    app.add_option_function<std::string>(
           std::string("--") + role, [&options, role](const std::string& path) { options.networks[role] = path; },
           std::string("ONNX file of the ") + role)
        ->group(training);
  }
  add_train_options(&app, training, &options.train);
  app.add_option("--report", report_path, "write the report to this file too");
  app.add_flag("-q,--quiet", quiet, "do not print the report");
  CLI11_PARSE(app, argc, argv);
  if (!objective.empty()) {
    if (!models.empty()) throw Error("--objective takes its networks by --generator and the like, not as models");
    options.objective = objective == "gan" ? figment::converter::Objective::kGan : figment::converter::Objective::kVae;
  } else if (models.empty() || !options.networks.empty()) {
    throw Error(models.empty() ? "no model given; see --help" : "--generator and the like need --objective");
  }
  for (const std::string& text : models) {
    auto [program, path] = split_assignment(text);
    options.sources.push_back({std::move(program), std::move(path)});
  }
  if (options.name.empty()) options.name = std::filesystem::path(output).stem().string();
  options.prior = prior == "uniform" ? figment::Prior::kUniform : figment::Prior::kNormal;
  if (!range.empty()) {
    options.range_min = range[0];
    options.range_max = range[1];
  }
  options.keep_f32.insert(keep.begin(), keep.end());
  if (!options.int8 && (!keep.empty() || !calibration.empty()))
    throw Error("--keep-f32 and --calibration-data need --int8");
  read_calibration(calibration, &options);
  std::optional<figment::io::ProgressLine> line(options.int8 ? "quantising" : "converting");
  const Converted converted = figment::converter::convert(options, [&](double fraction) { line->update(fraction); });
  line.reset();
  figment::io::write_file(output, converted.file);
  const std::string report = to_text(converted.report);
  if (!report_path.empty()) figment::io::write_file(report_path, report);
  if (!quiet) std::fputs(report.c_str(), stdout);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return convert(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "figment-convert: out of memory\n");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "figment-convert: %s\n", error.what());
  }
  return 1;
}
