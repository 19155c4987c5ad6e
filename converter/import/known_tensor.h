// Tensors whose values are known while converting: what exporters compute shapes, indices and conditions with.
#pragma once

#include <cstdint>
#include <vector>

#include "import/onnx_tensor.h"

namespace figment::converter {

// A number, or one times the batch.
struct Number {
  int64_t value = 0;  // of integers and booleans
  bool per_batch = false;
  double real = 0;  // of floats
};

// Row-major. Integers lie in the range of the type; floats are rounded to f32, but for DOUBLE.
struct KnownTensor {
  std::vector<size_t> shape;
  std::vector<Number> values;
  int32_t type = onnx::TensorProto::INT64;

  bool is_float() const { return is_float_type(type); }
  bool depends_on_batch() const {
    for (const Number& number : values) {
      if (number.per_batch) return true;
    }
    return false;
  }
};

// Integers in one dimension.
inline KnownTensor known_list(std::vector<Number> values) { return {{values.size()}, std::move(values)}; }

}  // namespace figment::converter
