// What a model holds beside its variables.
#pragma once

#include <cstdint>

#include "format/bytes.h"
#include "format/model_view.h"

namespace figment::format {

// Adds to the hash shapes, scales and values of the constants that a program reads. `budget`: the bytes of values that
// are still read; those of a file that names its constants so often that it does not suffice count without.
void add_frozen(const ModelView& model, const ProgramView& program, uint64_t* budget, Hash* hash);

// What all constants have together.
uint64_t frozen_bytes(const ModelView& model);

}  // namespace figment::format
