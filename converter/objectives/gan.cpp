// The objective "gan": a generator and a discriminator, with or without a condition.
#include "objectives/adversarial.h"

namespace figment::converter {

namespace {

class Gan : public Objective {
 public:
  void declare(OptionVisitor& visitor) override { declare_adversarial(visitor, &options_); }

  void check() const override { check_adversarial(options_); }

  std::vector<NetworkRole> networks(int64_t /*latent*/) const override {
    return {{"generator", true, true, {}}, {"discriminator", false, true, {{"logit", 1, "", ""}}}};
  }

  TrainedModel build(std::vector<Network> networks, const ModelContext& context) override {
    return adversarial_model("gan", networks[0], std::move(networks[1]), options_, context);
  }

 private:
  AdversarialOptions options_;
};

const Registered<Gan> kGan("gan", "generator against discriminator; conditional with a condition in both");

}  // namespace

}  // namespace figment::converter
