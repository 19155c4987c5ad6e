#include "objectives/optimizer.h"

namespace figment::converter {

void declare_optimizer(OptionVisitor& visitor, const std::string& object, const std::string& prefix,
                       OptimizerOptions* options) {
  const auto name = [&](const char* key, const char* flag, const char* help) {
    const std::string common = std::string("--") + flag;
    const bool own = prefix == "--";
    return OptionName{object + "." + key, prefix + flag, own ? help : object + ": " + key, own ? "" : common};
  };
  visitor.choice(name("kind", "optimizer", "adam (AdamW with weight decay), or sgd (with momentum)"),
                 &options->optimizer, {"adam", "sgd"});
  visitor.number(name("learning_rate", "learning-rate", "learning rate"), &options->learning_rate, 0, kMaxNumber);
  visitor.number(name("beta1", "beta1", "beta1 of Adam, or the momentum of SGD"), &options->beta1, 0, kMaxDecay);
  visitor.number(name("beta2", "beta2", "beta2 of Adam"), &options->beta2, 0, kMaxDecay);
  visitor.number(name("epsilon", "epsilon", "epsilon of Adam"), &options->epsilon, 1e-30, 1);
  visitor.number(name("weight_decay", "weight-decay", "weight decay: decoupled for Adam, an L2 penalty for SGD"),
                 &options->weight_decay, 0, kMaxNumber);
  visitor.number(name("clip_value", "clip-value", "clip every gradient element to this magnitude; 0: off"),
                 &options->clip_value, 0, kMaxNumber);
  visitor.number(name("clip_norm", "clip-norm", "clip the global gradient norm; 0: off"), &options->clip_norm, 0,
                 kMaxNumber);
  visitor.number(name("warm_up_steps", "warm-up", "updates of linear learning rate warm-up"), &options->warm_up_steps,
                 0, kMaxNumber);
  visitor.choice(name("schedule.kind", "rate-schedule",
                      "learning rate schedule: constant, step (times the factor every period), or cosine (decay to the "
                      "factor over one period)"),
                 &options->schedule, {"constant", "step", "cosine"});
  visitor.number(name("schedule.period", "rate-period", "period of the schedule, in updates"), &options->rate_period, 1,
                 kMaxNumber);
  visitor.number(name("schedule.factor", "rate-factor", "factor of the schedule"), &options->rate_factor, 0, 1);
}

}  // namespace figment::converter
