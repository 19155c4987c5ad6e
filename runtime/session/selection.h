// Which programs of a model a session prepares.
#pragma once

#include <cstddef>

#include "format/model_view.h"
#include "session/strategy.h"

namespace figment {

struct Selection {
  const char* program = nullptr;  // this one alone; nullptr: all that do not train, and those that train by `strategy`
  size_t batch = 1;
  bool training = false;
  Strategy strategy;

  // For how many samples program `i` is prepared; 0: it is not.
  size_t batch_of(const format::ModelView& model, size_t i) const;
  // The most values of latents that a sample has.
  size_t largest_latent(const format::ModelView& model) const;
};

}  // namespace figment
