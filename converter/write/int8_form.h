// The int8 form of a model that trains: what a session needs to write it (fig_requantize).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace figment::converter {

// The program that int8 follows, as the API documents it.
inline constexpr const char* kInt8Source = "int8";

struct Int8Form {
  Graph source;                              // f32, of the model's variables
  Graph program;                             // its int8 version, whose values follow the source's
  std::vector<std::optional<float>> limits;  // QuantizeReport's
  std::vector<uint8_t> model;                // a file of `program` alone, in which tensors have its order
  size_t samples = 0;
};

// The model file with the form. Throws Error where that is impossible.
std::vector<uint8_t> with_int8_form(const std::vector<uint8_t>& file, const Int8Form& form);

// What a training session of the file writes. Throws Error.
std::vector<uint8_t> requantized(const std::vector<uint8_t>& file, uint32_t batch = 16);

}  // namespace figment::converter
