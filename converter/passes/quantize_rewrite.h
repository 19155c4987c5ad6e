// A program in f32, written again in int8.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "passes/quantize_ranges.h"

namespace figment::converter {

// How every value of the f32 program would be quantized.
using QuantAssignment = std::vector<QuantParameters>;

// Ops whose int8 output has the quantization of their input.
bool passes_through(OpKind kind);

// Why an op has no int8 form, or "".
std::string no_int8_reason(OpKind kind);

// Whether ops are left out and put in by the ranges as they are, or so that the program stays right when other ranges
// take their place (fig_requantize).
enum class Ranges : uint8_t { kSettled, kFollowed };

struct Int8Program {
  Graph graph;
  std::vector<std::optional<ValueId>> values;  // for each old value the int8 one that stands for it, if any
  std::vector<std::string> reasons;            // for each old node why it stayed f32, or ""
};

// Every node that has an int8 form takes it, but those of `kept` (indices of nodes), and those that only pass on, or
// map one by one, what is f32. Inputs and outputs stay f32.
Int8Program rewrite_in_int8(const Graph& graph, const QuantAssignment& assignment, const std::set<size_t>& kept,
                            Ranges ranges = Ranges::kSettled);

}  // namespace figment::converter
