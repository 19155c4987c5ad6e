// Networks whose sequences or sounds may have any length: one file for all of them, by importing it at several lengths.
#pragma once

#include <string>
#include <vector>

#include "convert.h"
#include "ir/graph.h"

namespace figment::converter {

// Throws Error where a size or a length is given that no dimension of the files' inputs takes.
void check_dimensions(const std::vector<std::string>& paths, const ConvertOptions& options);

// Imports and optimizes a file's program. Where it leaves a dimension open beside the batch, that is Graph::length if
// all sizes follow from it linearly and nothing else does; else it is fixed, and the report says why. Notes of the
// passes go to `notes`. Throws Error.
Graph import_with_length(const Source& source, const ConvertOptions& options, std::vector<std::string>* notes);

// Gives `graph`, of a length, the growth of its sizes by each unit more, by the same program for so many units more; or
// checks what it has. Throws Error saying what does not follow linearly.
void fit_growth(Graph* graph, const Graph& longer, uint32_t units);

}  // namespace figment::converter
