// The objective "infogan": a GAN whose latent ends in codes, which the discriminator's Q heads recover from samples.
#include <fmt/format.h>
#include <algorithm>
#include <set>

#include "objectives/adversarial.h"

namespace figment::converter {

namespace {

// Generators that take each code as an input of its own, behind the noise: they become one latent, of which each takes
// its part. Nothing is done where the inputs are not these.
void join_codes(const std::vector<CodeOptions>& codes, Graph* graph) {
  const std::vector<PortDefinition> ports = graph->inputs;
  if (ports.size() != codes.size() + 1) return;
  uint32_t total = 0;
  for (size_t i = 0; i < ports.size(); ++i) {
    const bool row = ports[i].shape.rank() == 2 && ports[i].shape[0] == Dimension{1, true} && ports[i].dropout == 0;
    if (!row || (i > 0 && ports[i].shape[1].extent != codes[i - 1].size)) return;
    total += ports[i].shape[1].extent;
  }
  Value latent;
  latent.name = "latent";
  latent.shape = {{1, true}, {total, false}};
  const ValueId joined = graph->add_value(std::move(latent));
  const size_t before = graph->nodes.size();
  uint32_t start = 0;
  for (const PortDefinition& port : ports) {
    Attributes from;
    from.starts = {0, start};
    from.steps = {1, 1};
    Value declared;
    declared.shape = port.shape;
    graph->add_node(OpKind::kSlice, port.name, from, {joined}, &declared);
    graph->nodes.back().output = port.value;
    start += port.shape[1].extent;
  }
  std::rotate(graph->nodes.begin(), graph->nodes.begin() + static_cast<ptrdiff_t>(before), graph->nodes.end());
  graph->inputs = {{"latent", joined, {{1, true}, {total, false}}, {0, 1}}};
}

// Where the discriminator's heads do not have the codes' names, the outputs behind the logit are the codes' in order.
void name_heads(const std::vector<CodeOptions>& codes, std::vector<PortDefinition>* outputs) {
  const bool named =
      std::ranges::any_of(codes, [&](const CodeOptions& code) { return find_port(*outputs, code.name) != nullptr; });
  if (named || outputs->size() != codes.size() + 1) return;
  for (size_t i = 0; i < codes.size(); ++i) (*outputs)[i + 1].name = codes[i].name;
}

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
    join_codes(options_.codes, &networks[0].graph);
    name_heads(options_.codes, &networks[1].graph.outputs);
    return adversarial_model("infogan", networks[0], std::move(networks[1]), options_, context);
  }

 private:
  AdversarialOptions options_;
};

const Registered<InfoGan> kInfoGan("infogan", "GAN with codes: finds categories and continuous factors without labels");

}  // namespace

}  // namespace figment::converter
