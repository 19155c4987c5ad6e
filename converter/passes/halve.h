// Weights in half the bytes.
#pragma once

#include <string>

#include "ir/graph.h"

namespace figment::converter {

// Weights of convolutions, matrix products and recurrent layers are stored in f16, rounded to the nearest, as far as it
// holds them (magnitudes up to 65504); the program computes in f32 all the same. Returns what was done, for the report.
std::string store_in_half(Graph* graph);

}  // namespace figment::converter
