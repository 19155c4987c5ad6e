// Hashes of what a model holds beside its variables. A file that names its constants so often that it would take long
// is hashed in part.
#pragma once

#include <cstdint>

#include "format/model_view.h"

namespace figment::format {

// Of the constants that a program reads: shapes, scales and values.
uint64_t frozen_hash(const ModelView& model, const ProgramView& program);

// Of the weights that train programs read, all constants of two values and more, in any order: the same in files that
// keep other programs and levels of one model.
uint64_t frozen_weights_hash(const ModelView& model);

}  // namespace figment::format
