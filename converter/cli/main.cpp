// figment-convert: the command line of the converter.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "convert.h"
#include "figment/version.h"
#include "import/import_onnx.h"
#include "io/arrays.h"
#include "io/files.h"
#include "io/finite_options.h"
#include "io/terminal.h"

namespace {

using figment::converter::Converted;
using figment::converter::ConvertOptions;
using figment::converter::Error;

void read_calibration(const std::vector<std::string>& files, ConvertOptions* options) {
  for (const std::string& text : files) {
    const auto [name, path] = figment::io::split_assignment(text);
    if (name.empty()) throw Error("--calibration-data " + text + ": name the input, as in image=" + text);
    if (path == "classes") {
      options->calibration_classes.insert(name);
      continue;
    }
    options->calibration_data[name] = figment::io::read_array(path);
  }
}

// "NAME=CATEGORIES" or "NAME=PRIOR:SIZE", and maybe ":WEIGHT" behind.
figment::converter::CodeOptions parse_code(const std::string& text) {
  const auto fail = [&]() -> Error {
    return Error("--codes " + text +
                 ": write NAME=CATEGORIES, NAME=uniform:SIZE or NAME=normal:SIZE, maybe with @WEIGHT");
  };
  figment::converter::CodeOptions code;
  auto [name, what] = figment::io::split_assignment(text);
  code.name = name;
  if (const size_t at = what.find('@'); at != std::string::npos) {
    char* end = nullptr;
    code.weight = std::strtod(what.c_str() + at + 1, &end);
    if (*end != 0 || !(code.weight >= 0)) throw fail();
    what.resize(at);
  }
  for (const auto& [prefix, prior] :
       {std::pair("uniform:", figment::Prior::kUniform), {"normal:", figment::Prior::kNormal}}) {
    if (what.rfind(prefix, 0) != 0) continue;
    code.prior = prior;
    what.erase(0, std::string(prefix).size());
  }
  char* end = nullptr;
  const unsigned long size = std::strtoul(what.c_str(), &end, 10);
  if (name.empty() || what.empty() || *end != 0 || size < 1 || size > 65536) throw fail();
  code.size = static_cast<uint32_t>(size);
  return code;
}

// Takes names for values; CLI11's own transformers would show the values as bytes.
template <typename Value>
CLI::Validator one_of(const std::map<std::string, Value>& values) {
  std::string names;
  for (const auto& [name, value] : values) names += (names.empty() ? "" : ",") + name;
  const CLI::Validator value_of = CLI::Transformer(values);
  return {[values, names, value_of](std::string& text) -> std::string {
            return values.contains(text) ? value_of(text) : text + " is none of {" + names + "}";
          },
          "{" + names + "}"};
}

void add_train_options(CLI::App* app, const std::string& group, ConvertOptions* options,
                       std::optional<double>* discriminator_rate) {
  using figment::converter::GanLoss;
  using figment::converter::Likelihood;
  using figment::converter::Optimizer;
  using figment::converter::RateSchedule;
  figment::converter::TrainOptions* train = &options->train;
  figment::converter::OptimizerOptions* optimizer = &train->optimizer;
  const CLI::Range fraction(0.0, 1.0);
  const auto number = [&](const char* name, double* value, const char* text, const CLI::Validator& check) {
    app->add_option(name, *value, text)->check(check)->capture_default_str()->group(group);
  };
  app->add_option("--optimizer", optimizer->optimizer, "adam, or sgd")
      ->transform(one_of<Optimizer>({{"adam", Optimizer::kAdam}, {"sgd", Optimizer::kSgd}}))
      ->default_str("adam")
      ->group(group);
  number("--learning-rate", &optimizer->learning_rate, "of the optimiser", CLI::PositiveNumber);
  app->add_option("--d-learning-rate", *discriminator_rate, "of the discriminator's, if it is another")
      ->check(CLI::PositiveNumber)
      ->group(group);
  const CLI::Range decay(0.0, 0.999999);
  number("--beta1", &optimizer->beta1, "of Adam; the momentum of SGD", decay);
  number("--beta2", &optimizer->beta2, "of Adam", decay);
  number("--weight-decay", &optimizer->weight_decay, "decoupled with Adam, added to gradients with SGD",
         CLI::NonNegativeNumber);
  number("--clip-value", &optimizer->clip_value, "bound of every gradient's magnitude; 0: none",
         CLI::NonNegativeNumber);
  number("--clip-norm", &optimizer->clip_norm, "bound of the norm of all gradients; 0: none", CLI::NonNegativeNumber);
  app->add_option("--rate-schedule", optimizer->schedule,
                  "constant, step (times the factor every period), or cosine (down to the factor over the period)")
      ->transform(one_of<RateSchedule>(
          {{"constant", RateSchedule::kConstant}, {"step", RateSchedule::kStep}, {"cosine", RateSchedule::kCosine}}))
      ->default_str("constant")
      ->group(group);
  number("--rate-period", &optimizer->rate_period, "of the schedule, in updates", CLI::PositiveNumber);
  number("--rate-factor", &optimizer->rate_factor, "of the schedule", fraction);
  number("--warm-up", &optimizer->warm_up_steps, "updates over which the learning rate grows to its value",
         CLI::NonNegativeNumber);
  app->add_option("--freeze", options->scope.freeze, "parameters that stay as they are, as in 'discriminator.0.*'")
      ->delimiter(',')
      ->group(group);
  app->add_option("--train-only", options->scope.train_only,
                  "bias, scale (of normalisations, with their shifts) or last:K layers; maybe as NETWORK:WHAT")
      ->delimiter(',')
      ->group(group);
  app->add_option("--start-from", options->start_from,
                  "trained .figment of the same networks: its parameters take the place of theirs")
      ->group(group);
  app->add_option("--gan-loss", train->gan_loss, "non-saturating, hinge, or wasserstein")
      ->transform(one_of<GanLoss>({{"non-saturating", GanLoss::kNonSaturating},
                                   {"hinge", GanLoss::kHinge},
                                   {"wasserstein", GanLoss::kWasserstein}}))
      ->default_str("non-saturating")
      ->group(group);
  number("--label-smoothing", &train->label_smoothing, "one-sided: the target of real samples is 1 minus this",
         fraction);
  number("--clip-weights", &train->clip_weights, "bound of a Wasserstein critic's parameters", CLI::PositiveNumber);
  app->add_option("--critic-steps", train->critic_steps, "discriminator steps to one of the generator")
      ->check(CLI::Range(1, 100))
      ->capture_default_str()
      ->group(group);
  app->add_option("--augment", train->augment.what,
                  "of all that the discriminator sees, for few samples: brightness, contrast, translation, cutout")
      ->transform(
          one_of<figment::converter::Augmentation>({{"brightness", figment::converter::Augmentation::kBrightness},
                                                    {"contrast", figment::converter::Augmentation::kContrast},
                                                    {"translation", figment::converter::Augmentation::kTranslation},
                                                    {"cutout", figment::converter::Augmentation::kCutout}}))
      ->delimiter(',')
      ->group(group);
  app->add_flag("--spectral-norm", train->spectral_norm, "normalise the discriminator's weights")->group(group);
  app->add_option("--ema", train->ema_decay, "decay of the generator's average, which then generates; 0: none")
      ->check(CLI::Range(0.0, 0.999999))
      ->capture_default_str()
      ->group(group);
  app->add_option_function<std::vector<std::string>>(
         "--codes",
         [train](const std::vector<std::string>& texts) {
           for (const std::string& text : texts) train->codes.push_back(parse_code(text));
         },
         "of InfoGAN, the latent's last values: NAME=CATEGORIES, NAME=uniform:SIZE, NAME=normal:SIZE, with @WEIGHT")
      ->delimiter(',')
      ->group(group);
  app->add_option("--likelihood", train->likelihood, "of a VAE: bernoulli (on logits), or gaussian")
      ->transform(one_of<Likelihood>({{"bernoulli", Likelihood::kBernoulli}, {"gaussian", Likelihood::kGaussian}}))
      ->default_str("bernoulli")
      ->group(group);
  number("--beta", &train->beta, "weight of a VAE's KL divergence", CLI::NonNegativeNumber);
  number("--beta-warm-up", &train->beta_warm_up, "steps over which it grows from 0", CLI::NonNegativeNumber);
  number("--free-bits", &train->free_bits, "nats of KL that each latent dimension may have without cost",
         CLI::NonNegativeNumber);
}

int convert(int argc, char** argv) {
  CLI::App app("Converts ONNX models and recipes to one .figment file.", "figment-convert");
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
  app.add_option("model", models,
                 "ONNX file, or PROGRAM=FILE; several make one file of several programs. Or one recipe (.json), or one "
                 "model of ours (.figment) to quantise");
  app.add_option("-o,--output", output, "the .figment file to write")->required();
  app.add_option("--name", options.name, "name of the model (default: the recipe's, or the output file's)");
  app.add_option("--latent", options.latent, "the input that generation draws (default: found by its name or shape)");
  app.add_option("--prior", prior, "its distribution: normal, or uniform on [-1, 1)")
      ->check(CLI::IsMember({"normal", "uniform"}));
  app.add_option("--range", range, "values of black and white in the output (default: by its last activation)")
      ->expected(2);
  app.add_flag("--int8", options.int8, "quantise to int8");
  app.add_option("--calibrate", options.calibration_samples, "latents to calibrate int8 on")
      ->check(CLI::Range(16, 1000000))
      ->capture_default_str();
  app.add_option(
      "--calibration-data", calibration,
      "INPUT=FILE (.npy, .npz, .csv): samples of an input to calibrate int8 on; INPUT=classes: one 1 among zeros");
  app.add_option("--keep-f32", keep, "ops that stay f32, by name")->delimiter(',');
  app.add_option("--psnr-goal", options.psnr_goal_db, "below this many dB, costly layers stay f32 by themselves")
      ->capture_default_str();
  app.add_option("--keep-f32-threshold", options.keep_threshold_db, "costly: more dB of PSNR lost in int8 than this")
      ->capture_default_str();
  app.add_option(
         "--snr-goal", options.snr_goal_db,
         "below this many dB of signal to noise at any output, layers stay f32 by themselves until it is reached")
      ->capture_default_str();
  app.add_option("--plan", options.plan_batches,
                 "batches for which the file carries memory plans, as 1,16: sessions of portable kernels then need no "
                 "planner")
      ->delimiter(',')
      ->check(CLI::Range(1, 1048576));
  const std::string training = "Training";
  std::string objective;
  std::optional<double> discriminator_rate;
  app.add_option("--checkpoint", options.checkpoint, "take the parameters of a .figment model from this checkpoint");
  app.add_option("--objective", objective, "make a model that trains: gan, infogan, or vae")
      ->check(CLI::IsMember({"gan", "infogan", "vae"}))
      ->group(training);
  for (const char* role : {"generator", "discriminator", "encoder", "decoder"}) {
    app.add_option_function<std::string>(
           std::string("--") + role, [&options, role](const std::string& path) { options.networks[role] = path; },
           std::string("ONNX file of the ") + role)
        ->group(training);
  }
  add_train_options(&app, training, &options, &discriminator_rate);
  app.add_flag_callback(
      "--ops",
      [] {
        for (const std::string& op : figment::converter::imported_ops()) figment::io::print("%s\n", op.c_str());
        throw CLI::Success();
      },
      "list the ONNX ops that are imported");
  app.add_option("--report", report_path, "write the report to this file too");
  app.add_flag("-q,--quiet", quiet, "do not print the report");
  app.add_flag_callback("--allow-large", figment::io::Budget::lift, figment::io::kAllowLargeHelp);
  figment::io::require_finite_options(&app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  const auto single = [&](const char* extension) {
    return models.size() == 1 && models[0].size() > std::strlen(extension) && models[0].ends_with(extension);
  };
  if (!objective.empty()) {
    if (!models.empty()) throw Error("--objective takes its networks by --generator and the like, not as models");
    options.objective = objective == "vae" ? figment::converter::Objective::kVae : figment::converter::Objective::kGan;
    if ((objective == "infogan") == options.train.codes.empty())
      throw Error("--objective infogan and --codes go together");
  } else if (models.empty() || !options.networks.empty()) {
    throw Error(models.empty() ? "no model given; see --help" : "--generator and the like need --objective");
  } else if (single(".json")) {
    options.recipe = models[0];
  } else if (single(".figment")) {
    options.model = models[0];
  } else {
    for (const std::string& text : models) {
      auto [program, path] = figment::io::split_assignment(text);
      options.sources.push_back({std::move(program), std::move(path)});
    }
  }
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = option->get_name();
    const bool scope = name == "--freeze" || name == "--train-only" || name == "--start-from";
    if (option->count() == 0 || !objective.empty()) continue;
    if (option->get_group() == training && !(scope && !options.recipe.empty()))
      throw Error(name + (options.recipe.empty() ? " needs --objective" : " is for the recipe to say"));
    if (!options.recipe.empty() && (name == "--prior" || name == "--latent"))
      throw Error(name + " is for the recipe to say");
  }
  if (!options.checkpoint.empty() && options.model.empty())
    throw Error("--checkpoint takes the .figment model that was trained");
  options.train.latent = options.latent;
  if (discriminator_rate) {
    options.train.discriminator_optimizer = options.train.optimizer;
    options.train.discriminator_optimizer->learning_rate = *discriminator_rate;
  }
  options.fallback_name = std::filesystem::path(output).stem().string();
  options.prior = prior == "uniform" ? figment::Prior::kUniform : figment::Prior::kNormal;
  options.train.prior = options.prior;
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
  if (!quiet) figment::io::print("%s", report.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a limit of file sizes (ulimit -f) is an error of the write
  try {
    const int status = convert(argc, argv);
    figment::io::finish_output();
    return status;
  } catch (const std::bad_alloc&) {
    figment::io::print_error("figment-convert: out of memory");
  } catch (const std::length_error&) {
    figment::io::print_error("figment-convert: out of memory");
  } catch (const std::exception& error) {
    figment::io::print_error(std::string("figment-convert: ") + error.what());
  }
  return 1;
}
