#include "evaluation/judge.h"

#include <algorithm>
#include <cmath>

namespace figment::cli {

using evaluation::Features;

namespace {

constexpr uint32_t kBatch = 64;
constexpr size_t kRunning = 2000;  // samples of a running score

Features rows(size_t count, size_t elements) {
  return Features(static_cast<Eigen::Index>(count), static_cast<Eigen::Index>(elements));
}

fig_port_info port_of(const OpenModel& open, uint32_t program, const std::string& output) {
  fig_program_info info{};
  check(fig_model_program(open.model(), program, &info));
  for (uint32_t i = 0; i < info.outputs; ++i) {
    fig_port_info port{};
    check(fig_model_output(open.model(), program, i, &port));
    if (output == port.name) return port;
  }
  throw Error("the program " + std::string(info.name) + " has no output \"" + output + "\"");
}

}  // namespace

bool has_program(const OpenModel& open, const std::string& name) {
  fig_model_info info{};
  check(fig_model_get_info(open.model(), &info));
  for (uint32_t i = 0; i < info.programs; ++i) {
    fig_program_info program{};
    check(fig_model_program(open.model(), i, &program));
    if (name == program.name) return true;
  }
  return false;
}

std::string metadata_of(const OpenModel& open, const std::string& key) {
  fig_model_info info{};
  check(fig_model_get_info(open.model(), &info));
  for (uint32_t i = 0; i < info.metadata; ++i) {
    const char* name = "";
    const char* value = "";
    check(fig_model_metadata(open.model(), i, &name, &value));
    if (key == name) return value;
  }
  return "";
}

Classifier::Classifier(const std::string& path, uint32_t threads) : open_(path), path_(path) {
  fig_program_info info{};
  const uint32_t program = open_.find_program("");
  check(fig_model_program(open_.model(), program, &info));
  program_ = info.name;
  if (info.inputs != 1) throw Error(path + ": a classifier has one input, not " + std::to_string(info.inputs));
  fig_port_info input{};
  check(fig_model_input(open_.model(), program, 0, &input));
  input_ = input.name;
  elements_ = sample_elements(input.shape);
  features_ = sample_elements(port_of(open_, program, "features").shape);
  classes_ = sample_elements(port_of(open_, program, "logits").shape);
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.batch = kBatch;
  options.threads = threads;
  open_.open_session(options);
}

Classifier::Result Classifier::classify(const Features& samples, float low, float high) const {
  if (static_cast<size_t>(samples.cols()) != elements_) {
    throw Error(path_ + ": takes images of " + std::to_string(elements_) + " values, the model makes " +
                std::to_string(samples.cols()));
  }
  const auto count = static_cast<size_t>(samples.rows());
  Features scaled = ((samples.array() - low) * (2 / (high - low)) - 1).matrix();
  Result result{rows(count, features_), std::vector<size_t>(count)};
  Features logits = rows(count, classes_);
  const fig_tensor input{input_.c_str(), scaled.data(), count * elements_};
  const fig_tensor outputs[] = {{"features", result.features.data(), count * features_},
                                {"logits", logits.data(), count * classes_}};
  check(fig_run(open_.session(), program_.c_str(), count, &input, 1, outputs, 2));
  for (size_t i = 0; i < count; ++i) {
    Eigen::Index best = 0;
    logits.row(static_cast<Eigen::Index>(i)).maxCoeff(&best);
    result.classes[i] = static_cast<size_t>(best);
  }
  return result;
}

Real real_samples(const Dataset& data, io::Shuffle* shuffle, size_t first, size_t count) {
  Real result;
  for (const Dataset::Input& input : data.inputs()) {
    if (!input.samples) continue;
    std::vector<float> values(count * input.elements);
    for (size_t i = 0; i < count; ++i) data.copy(input, shuffle->at(first + i), values.data() + i * input.elements);
    if (&input == data.inputs().data()) {
      result.samples = Eigen::Map<const Features>(values.data(), static_cast<Eigen::Index>(count),
                                                  static_cast<Eigen::Index>(input.elements));
    } else {
      result.conditions.push_back({input.name, {}, input.elements, std::move(values)});
    }
  }
  return result;
}

Made make_samples(const OpenModel& open, const Generated& generated, uint64_t seed, size_t count,
                  const std::vector<Steered::Condition>& conditions) {
  Steered steered = steer(open, {}, seed, 0, count, Steered::Missing::kClassesInTurn, conditions);
  Made made{rows(count, generated.sample), std::move(steered.latents)};
  const std::vector<fig_tensor> tensors = steered.condition_tensors(0, count);
  fig_generate_options options{};
  options.struct_size = sizeof options;
  options.latents = made.latents.data();
  options.inputs = tensors.data();
  options.input_count = tensors.size();
  check(fig_generate(open.session(), count, &options, made.samples.data(), count * generated.sample));
  return made;
}

bool has_bound(const OpenModel& open) {
  return has_program(open, "encode") && !metadata_of(open, "training.likelihood").empty();
}

Bound evidence_lower_bound(const OpenModel& open, const Generated& generated, const Features& samples, uint64_t seed) {
  fig_latent_info latent{};
  check(fig_model_latent(open.model(), &latent));
  const std::string likelihood = metadata_of(open, "training.likelihood");
  const auto count = static_cast<size_t>(samples.rows());
  Features mean = rows(count, latent.size);
  Features log_variance = rows(count, latent.size);
  check(fig_encode(open.session(), count, samples.data(), count * generated.sample, mean.data(), count * latent.size,
                   log_variance.data(), count * latent.size));
  Features z = rows(count, latent.size);
  for (size_t i = 0; i < count; ++i)
    check(fig_model_draw_latent(open.model(), seed, i, z.data() + i * latent.size, latent.size));
  z = (mean.array() + (log_variance.array() / 2).exp() * z.array()).matrix();
  Features made = rows(count, generated.sample);
  check(fig_decode(open.session(), count, z.data(), count * latent.size, made.data(), count * generated.sample));
  const Eigen::ArrayXXd x = samples.array().cast<double>();
  const Eigen::ArrayXXd y = made.array().cast<double>();
  Bound result;
  if (likelihood == "gaussian") {
    result.reconstruction = -((x - y).square() / 2 + std::log(2 * M_PI) / 2).sum();
  } else {
    Eigen::ArrayXXd p = y;
    if (likelihood == "bernoulli-logits") p = 1 / (1 + (-y).exp());
    p = p.max(1e-7).min(1 - 1e-7);  // what f32 tells from 0 and 1
    result.reconstruction = (x * p.log() + (1 - x) * (1 - p).log()).sum();
  }
  const Eigen::ArrayXXd m = mean.array().cast<double>();
  const Eigen::ArrayXXd v = log_variance.array().cast<double>();
  result.divergence = (m.square() + v.exp() - v - 1).sum() / 2;
  result.reconstruction /= static_cast<double>(count);
  result.divergence /= static_cast<double>(count);
  return result;
}

RunningScore::RunningScore(const OpenModel& open, const Dataset& data, const std::string& classifier, uint32_t threads)
    : open_(open), generated_(generated_of(open)), bound_(has_bound(open)) {
  if (data.count() < 8)
    throw Error(data.path() + ": leaves too few samples to score by (8; see --classes, --limit and --hold-out)");
  io::Shuffle shuffle(data.count(), 1);
  real_ = real_samples(data, &shuffle, 0, std::min(kRunning, data.count()));
  if (bound_) {
    // What is trained: of a weighted divergence the weighted bound.
    check(fig_session_get_scalar(open.session(), "vae.beta", &beta_));
    name_ = beta_ == 1 ? "negative ELBO" : "loss (with beta)";
    return;
  }
  if (classifier.empty() && generated_.output.image) throw Error("to score images, give --classifier");
  if (!classifier.empty()) classifier_.emplace(classifier, threads);
  features_ = features_of(real_.samples);
  name_ = classifier_ ? "Fréchet distance" : "Fréchet distance of values";
}

Features RunningScore::features_of(const Features& samples) const {
  if (!classifier_) return samples;
  return classifier_->classify(samples, generated_.output.range_min, generated_.output.range_max).features;
}

double RunningScore::operator()() const {
  const auto count = static_cast<size_t>(real_.samples.rows());
  if (bound_) {
    const Bound bound = evidence_lower_bound(open_, generated_, real_.samples, 1);
    return beta_ * bound.divergence - bound.reconstruction;
  }
  return evaluation::frechet_distance(features_,
                                      features_of(make_samples(open_, generated_, 1, count, real_.conditions).samples));
}

}  // namespace figment::cli
