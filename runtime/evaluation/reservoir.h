// Scores of generated sequences by what can be learned from them, with readouts of a reservoir.
//
// Yoon et al., "Time-series Generative Adversarial Networks" (2019), train a recurrent network for each score. Here a
// fixed random recurrent network (Jaeger, "The echo state approach", 2001) gives the features and a ridge regression is
// all that is trained: it has one solution, so that the scores do not depend on how a training went. Their values are
// therefore not those of that paper; compare them with the same of real sequences.
#pragma once

#include "evaluation/scores.h"

namespace figment::evaluation {

// How sequences lie in the rows of a matrix: steps x features.
struct SequenceForm {
  size_t steps = 0;
  size_t features = 0;
};

// |a - 1/2|, where a is the accuracy of a classifier of real and generated sequences on the half that it was not
// trained on: 0 if they cannot be told apart, 1/2 if always. Both need 8 rows at least.
double discriminative_score(const Features& real, const Features& generated, const SequenceForm& form);

// The mean absolute error, in units of the values, of predicting each step of the real sequences from the steps before
// it, by a predictor that was trained on generated ones. Sequences need 2 steps at least.
double predictive_score(const Features& real, const Features& generated, const SequenceForm& form);

}  // namespace figment::evaluation
