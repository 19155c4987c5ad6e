// A program that defines fig_use_training itself is linked without this file, and so without training.
#include "session/training_link.h"

using namespace figment;

static const fig_training kTraining = {
    format::verify_training,
    [](const format::ModelView& model, size_t batch, size_t micro_batch) {
      return Strategies(model, batch).first(micro_batch);
    },
    [](const format::ModelView& model, size_t batch, Strategy* strategy) {
      return Strategies(model, batch).next(strategy);
    },
    [](Variables* variables, const format::ModelView& model, const Selection& selection, Block* block) {
      variables->lay_out(model, selection, block);
    },
};

// Weak for build systems that link all files.
[[gnu::weak]] extern const fig_training* const fig_use_training;
const fig_training* const fig_use_training = &kTraining;
