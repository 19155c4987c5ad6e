// The objective "infogan": a GAN whose latent ends in codes, which the discriminator's Q heads recover from samples.
#include <fmt/format.h>
#include <set>

#include "objectives/adversarial.h"

namespace figment::converter {

namespace {

class InfoGan : public Objective {
 public:
  void declare(OptionVisitor& visitor) override {
    declare_adversarial(visitor, &options_);
    visitor.codes({"latent.codes", "--codes",
                   "codes, the last latent values: NAME=CATEGORIES, NAME=uniform:SIZE or NAME=normal:SIZE, each with "
                   "@WEIGHT if lambda is not 1"},
                  &options_.codes);
  }

  void check() const override {
    check_adversarial(options_);
    if (options_.codes.empty())
      throw Error("infogan needs codes: \"codes\" of a recipe's latent, or --codes on the command line");
    std::set<std::string> names = {"", "real", "logit"};
    for (const CodeOptions& code : options_.codes) {
      if (!names.insert(code.name).second)
        throw Error("a code cannot be named \"" + code.name + "\": give each a name of its own, not real or logit");
    }
  }

  std::vector<NetworkRole> networks(int64_t latent) const override {
    std::vector<RecipeOutput> outputs = {{"real", 1, "logit", ""}};
    int64_t values = 0;
    for (const CodeOptions& code : options_.codes) {
      // Categories have logits, continuous codes a mean and a log deviation each.
      const int64_t units = int64_t{code.size} * (code.prior == Prior::kCategorical ? 1 : 2);
      outputs.push_back({code.name, units, "q_" + code.name, "q"});
      values += code.size;
    }
    if (latent > 0 && values > latent)
      throw Error(fmt::format("the latent's size counts the codes, and they have {} values", values));
    return {{"generator", true, true, {}}, {"discriminator", false, true, std::move(outputs)}};
  }

  TrainedModel build(std::vector<Network> networks, const ModelContext& context) override {
    return adversarial_model("infogan", networks[0], std::move(networks[1]), options_, context);
  }

 private:
  AdversarialOptions options_;
};

const Registered<InfoGan> kInfoGan("infogan", "GAN with codes: categories and continuous factors found without labels");

}  // namespace

}  // namespace figment::converter
