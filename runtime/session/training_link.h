// What figment/ops.h lets a program leave out: training.
#pragma once

#include "figment/ops.h"
#include "format/checker.h"
#include "session/program.h"
#include "session/strategy.h"
#include "session/variables.h"

struct fig_training {
  figment::format::TrainingVerifier* verify;
  figment::Result<figment::Strategy> (*first_strategy)(const figment::format::ModelView& model, size_t batch,
                                                       size_t micro_batch);
  bool (*next_strategy)(const figment::format::ModelView& model, size_t batch, figment::Strategy* strategy);
  void (*lay_out)(figment::Variables* variables, const figment::format::ModelView& model,
                  const figment::Selection& selection, figment::Block* block);
};
