// From the IR to the bytes of a .figment file (docs/file_format.md).
#pragma once

#include <cstdint>
#include <vector>

#include "ir/graph.h"

namespace figment::converter {

// Two equal models give equal bytes.
std::vector<uint8_t> write_model(const ModelDefinition& model);

}  // namespace figment::converter
