// Which programs of a model a session prepares.
#pragma once

#include <cstddef>

#include "format/model_view.h"
#include "session/strategy.h"

namespace figment {

// Whether a list of programs, with commas between them, names one; a program whose name holds commas is the whole list.
bool names_program(const char* list, const char* program);

struct Selection {
  // Those that do not train, by a list of their names; nullptr: all, and that which int8 follows if the session trains.
  // Valid while the session is created.
  const char* programs = nullptr;
  size_t batch = 1;
  bool training = false;  // and those that train by
  Strategy strategy;

  // For how many samples program `i` is prepared; 0: it is not.
  size_t batch_of(const format::ModelView& model, size_t i) const;
  // The most values of latents that a sample has.
  size_t largest_latent(const format::ModelView& model) const;
};

}  // namespace figment
