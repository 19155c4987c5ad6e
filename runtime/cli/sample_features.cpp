#include "sample_features.h"

#include <fmt/format.h>
#include <cstring>

namespace figment::cli {

using evaluation::Features;

namespace {

constexpr size_t kProjected = 128;

fig_op_info op_of(const OpenModel& open, uint32_t program, uint32_t index) {
  fig_op_info op{};
  check(fig_model_op(open.model(), program, index, &op));
  return op;
}

// The op whose output a tensor is, or -1.
int64_t producer_of(const OpenModel& open, uint32_t program, uint32_t ops, uint32_t tensor) {
  for (uint32_t i = 0; i < ops; ++i) {
    if (op_of(open, program, i).output == tensor) return i;
  }
  return -1;
}

}  // namespace

void FeatureArguments::add_to(CLI::App* command) {
  command->add_option(
      "--classifier", classifier,
      "classifier of such images, whose features they are compared by (models/classifier, or figment train "
      "--classifier-recipe)");
  command
      ->add_option("--features", features,
                   "what images are compared by without a classifier: convolutions with random weights, the same for "
                   "all models (default), the discriminator's last hidden layer, for one model alone, or the values")
      ->check(CLI::IsMember({"random", "discriminator", "values"}));
}

SampleFeatures::SampleFeatures(const OpenModel& open, const Generated& generated, const FeatureArguments& arguments,
                               uint32_t threads)
    : open_(open), generated_(generated) {
  const fig_shape& shape = generated.port.shape;
  if (!arguments.classifier.empty()) {
    kind_ = Kind::kClassifier;
    classifier_.emplace(arguments.classifier, threads);
    classifier_->check_size(generated.sample);
  } else if (arguments.features == "discriminator") {
    kind_ = Kind::kDiscriminator;
    find_hidden_layer();
  } else if (generated.output.image && arguments.features != "values") {
    kind_ = Kind::kRandom;
    random_.emplace(shape.extents[1], shape.extents[2], shape.extents[3]);
  } else if (arguments.features == "random") {
    throw Error("--features random are of images, which the model does not generate");
  }
}

// What the last linear op of the discriminator's first output reads.
void SampleFeatures::find_hidden_layer() {
  if (!open_.has_program("discriminate")) throw Error("--features discriminator: the model has no discriminator");
  discriminator_ = open_.find_program("discriminate");
  fig_program_info program{};
  check(fig_model_program(open_.model(), discriminator_, &program));
  if (program.inputs != 1)
    throw Error("--features discriminator: the discriminator takes conditions; give --features random");
  int64_t op = producer_of(open_, discriminator_, program.ops, open_.output(discriminator_, 0).tensor);
  bool linear = false;
  while (op >= 0) {
    const fig_op_info info = op_of(open_, discriminator_, static_cast<uint32_t>(op));
    if (linear && std::strcmp(info.kind, "reshape") != 0) break;
    linear = linear || std::strcmp(info.kind, "fully_connected") == 0 || std::strcmp(info.kind, "conv2d") == 0 ||
             std::strcmp(info.kind, "matmul") == 0;
    op = producer_of(open_, discriminator_, program.ops, info.inputs[0]);
  }
  if (op < 0) throw Error("--features discriminator: it has no hidden layer; give --features random");
  op_ = static_cast<uint32_t>(op);
  const fig_tensor_info tensor = open_.tensor(discriminator_, op_of(open_, discriminator_, op_).output);
  if (tensor.type != FIG_F32) throw Error("--features discriminator: it computes in int8; give --features random");
  elements_ = sample_elements(tensor.shape);
}

Features SampleFeatures::hidden(const Features& samples) const {
  struct Shown {
    uint32_t program;
    uint32_t op;
    const float* values;
    std::vector<float> kept;
  };
  const size_t batch = open_.batch();
  Shown shown{discriminator_, op_, nullptr, std::vector<float>(batch * elements_)};
  const auto observe = [](void* context, uint32_t program, uint32_t op, const void* values) {
    auto& found = *static_cast<Shown*>(context);
    if (program == found.program && op == found.op)
      std::memcpy(found.kept.data(), values, found.kept.size() * sizeof(float));
  };
  check(fig_session_observe(open_.session(), observe, &shown));
  const fig_port_info input = open_.input(discriminator_, 0);
  const auto count = static_cast<size_t>(samples.rows());
  Features result = evaluation::rows(count, elements_);
  for (size_t done = 0; done < count; done += batch) {
    const size_t part = std::min(batch, count - done);
    // Inputs are only read.
    const fig_tensor given{input.name, const_cast<float*>(samples.row(static_cast<Eigen::Index>(done)).data()),
                           part * generated_.sample, FIG_F32};
    check(fig_run(open_.session(), "discriminate", part, &given, 1, nullptr, 0));
    std::copy_n(shown.kept.data(), part * elements_, result.row(static_cast<Eigen::Index>(done)).data());
  }
  check(fig_session_observe(open_.session(), nullptr, nullptr));
  return elements_ > kProjected ? evaluation::projected(result, kProjected) : result;
}

Classifier::Result SampleFeatures::of(const Features& samples) const {
  const float low = generated_.output.range_min;
  const float high = generated_.output.range_max;
  switch (kind_) {
    case Kind::kClassifier: return classifier_->classify(samples, low, high);
    case Kind::kRandom: return {random_->of(((samples.array() - low) * (2 / (high - low)) - 1).matrix()), {}};
    case Kind::kDiscriminator: return {hidden(samples), {}};
    case Kind::kValues: break;
  }
  return {samples, {}};
}

std::string SampleFeatures::name() const {
  switch (kind_) {
    case Kind::kClassifier: return "of features";
    case Kind::kRandom: return "of random features";
    case Kind::kDiscriminator: return "of the discriminator";
    case Kind::kValues: break;
  }
  return "of values";
}

const char* SampleFeatures::kind() const {
  switch (kind_) {
    case Kind::kClassifier: return "classifier";
    case Kind::kRandom: return "random";
    case Kind::kDiscriminator: return "discriminator";
    case Kind::kValues: break;
  }
  return "values";
}

}  // namespace figment::cli
