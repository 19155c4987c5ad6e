// The end of a sub-step: from a loss to changed variables.
#pragma once

#include <functional>

#include "objectives/network.h"
#include "objectives/optimizer.h"
#include "objectives/programs.h"
#include "passes/gradient.h"

namespace figment::converter {

// The option of all objectives: the weight of a batch in running statistics. None: the file's, or 0.1.
void visit_batch_norm(OptionVisitor& visitor, std::optional<double>* momentum);

// The optimizer of a sub-step NAME ("d"): its hyperparameters are the variable NAME.optimizer, which the model exposes
// as scalars (NAME.learning_rate, ...). The networks' trained variables, their optimizer states and, in the order of
// use, everything else that a step changes: running statistics, spectral vectors, averages.
class Updates {
 public:
  Updates(std::string name, std::vector<const Network*> networks, const OptimizerOptions& optimizer,
          std::optional<double> batch_norm_momentum, ModelDefinition* model);

  // Clips the trained variables to [-bound, bound] after each update.
  void clip_weights(double bound) { clip_weights_ = bound; }

  // The trained variables' averages, NAME.ema in the end, follow them; for the generator.
  void average(double decay);

  // Spectral vectors of another network, which the loss is computed with, advance with the step too.
  void advance(const Network* network) { advanced_.push_back(network); }

  // Appends the gradients of `loss`, a scalar, and the updates.
  void update(Composer* composer, ValueId loss, const std::vector<RunningStatistics>& statistics);
  // For a step by micro-batches: accumulates the gradients of one, and in the end updates by the sums.
  void accumulate(Composer* composer, ValueId loss);
  void update_accumulated(Composer* composer);

  // For differential privacy (Abadi et al. 2016): accumulates the gradient of one sample's loss, of a norm of at most
  // the scalar NAME.privacy.clip; and in the end updates by the sums and normal noise, of a deviation of
  // NAME.privacy.noise times the bound, over NAME.privacy.lot. The noise is appended to `drawn`.
  void set_privacy(double clip, double noise, double lot);
  void accumulate_private(Composer* composer, ValueId loss);
  void update_private(Composer* composer, std::vector<LatentDefinition>* drawn);

  // What the averages' names end in; "" without averages.
  std::string suffix() const { return ema_decay_ > 0 ? ".ema" : ""; }
  // The variable of the hyperparameters (HyperParameter), in the program.
  ValueId hyper(Composer* composer) const;

 private:
  Gradients gradients(Composer* composer, ValueId loss) const;
  void apply(Composer* composer, Gradients gradients, const std::vector<RunningStatistics>& statistics);
  ValueId privacy(Composer* composer, uint32_t index) const;
  Gradients accumulated(Composer* composer);
  void advance_spectral(Composer* composer);
  // All trained variables, by network.
  std::vector<std::pair<const Network*, std::string>> trained() const;
  std::vector<const char*> states() const;

  std::string name_;
  std::vector<const Network*> networks_;
  std::vector<const Network*> advanced_;
  OptimizerOptions optimizer_;
  std::optional<double> batch_norm_momentum_;  // none: as the exporter says, or 0.1
  double clip_weights_ = 0;
  double ema_decay_ = 0;
  std::vector<float> privacy_;  // clip, noise, lot; empty: none
  ModelDefinition* model_;
};

// The schedule of an objective of one loss, which `loss` adds to a train program: "train.step", its levels in less
// memory, and, if `micro_batches`, one that accumulates gradients. `drawn` is what it draws beside dropout masks.
void schedule_one_loss(Updates* updates, const std::string& network, const std::function<ValueId(TrainProgram&)>& loss,
                       const std::vector<LatentDefinition>& drawn, bool micro_batches, Streams* streams,
                       ModelDefinition* model);

}  // namespace figment::converter
