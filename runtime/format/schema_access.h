// Reading the schema's types; for the files that implement the views of a model.
#pragma once

#include <array>
#include <span>

#include "format/model_view.h"
#include "model_generated.h"

namespace figment::format {

inline const char* text(const flatbuffers::String* string) { return string == nullptr ? "" : string->c_str(); }

template <typename T>
size_t length(const T* vector) {
  return vector == nullptr ? 0 : vector->size();
}

template <typename T>
Dimensions<uint32_t> list(const flatbuffers::Vector<T>* vector) {
  Dimensions<uint32_t> result;
  for (size_t i = 0; i < length(vector); ++i) result.push_back(vector->Get(static_cast<uint32_t>(i)));
  return result;
}

// At a length of so many units more than the file's, or less.
inline uint32_t extent_at(const schema::Dimension& dimension, int64_t units) {
  return static_cast<uint32_t>(int64_t{dimension.extent()} + int64_t{dimension.growth()} * units);
}

template <size_t kCount>
void copy_list(const flatbuffers::Vector<uint32_t>* vector, std::array<uint32_t, kCount>* out) {
  for (size_t i = 0; i < length(vector) && i < kCount; ++i) (*out)[i] = vector->Get(static_cast<uint32_t>(i));
}

inline Quantization quantization_of(const schema::Quantization* quantization) {
  Quantization result;
  if (quantization != nullptr && quantization->scales() != nullptr) {
    result.scales = {quantization->scales()->data(), quantization->scales()->size()};
    result.zero_point = quantization->zero_point();
  }
  return result;
}

inline std::span<const uint32_t> indices(const flatbuffers::Vector<uint32_t>* vector) {
  if (vector == nullptr) return {};
  return {vector->data(), vector->size()};
}

inline const schema::Op* op_at(const schema::Program* program, size_t i) {
  return program->ops()->Get(static_cast<uint32_t>(i));
}

}  // namespace figment::format
