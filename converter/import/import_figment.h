// Model files of ours, trained ones among them, back as programs of the IR: to quantize or to re-target them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace figment::converter {

// Whether what training changes is constant, or stays variable, all else being f32.
enum class Variables : uint8_t { kSettled, kKept };

// The programs of a model that do not train, with the values of its variables, its latent and its output. Throws Error.
ModelDefinition import_figment(const std::vector<uint8_t>& file, const std::string& origin,
                               Variables variables = Variables::kSettled);

// The recipe that a model of ours was made of; "" if it does not say. Throws Error.
std::string recipe_of(const std::vector<uint8_t>& file, const std::string& origin);

// Whether a model file computes anything in int8: weights alone do not count. Throws Error.
bool is_int8(const std::vector<uint8_t>& file, const std::string& origin);

// How many samples a session finds ranges on, of a model that carries its int8 form (write/int8_form.h); 0: it does
// not. Throws Error.
size_t int8_form_samples(const std::vector<uint8_t>& file, const std::string& origin);

// The model file with the parameters of a checkpoint of it. Throws Error.
std::vector<uint8_t> with_checkpoint(const std::vector<uint8_t>& file, const std::string& checkpoint);
// The same with an adapter.
std::vector<uint8_t> with_adapter(const std::vector<uint8_t>& file, const std::string& adapter);

}  // namespace figment::converter
