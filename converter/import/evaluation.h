// What the rules of evaluate.h share: a rule for each op, in a table for each family of ops.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "import/known_tensor.h"
#include "import/onnx_graph.h"

namespace figment::converter::evaluation {

using Inputs = std::vector<const KnownTensor*>;  // nullptr: not given
using Known = std::optional<std::vector<KnownTensor>>;
using Extents = std::vector<size_t>;
using Rule = Known (*)(const OnnxNode&, const Inputs&);
using Rules = std::map<std::string, Rule>;

// Functions of each element; casts.
Rules arithmetic_rules();
// Ops that move elements, and shapes.
Rules movement_rules();
// Ops that make tensors, of a number or of places.
Rules fill_rules();
// Ops that sum, fold or order elements along axes.
Rules reduction_rules();

inline constexpr int32_t kBool = onnx::TensorProto::BOOL;
inline constexpr int32_t kInt64 = onnx::TensorProto::INT64;
// Beyond this, a tensor of floats is left to the program's constants, which take less memory.
inline constexpr size_t kManyFloats = 4096;

size_t count_of(const Extents& shape);
// Elements between neighbors of each dimension.
Extents strides_of(const Extents& shape);
// A tensor of that shape, still of zeros; the file must be large enough for it.
KnownTensor make(const OnnxNode& node, const Extents& shape, int32_t type);
// A real number as a number of a type of floats.
Number rounded(double real, int32_t type);
// The number itself, of which the batch is no factor.
Number plain(const OnnxNode& node, const Number& x);
std::vector<int64_t> integers_of(const OnnxNode& node, const KnownTensor& x);
// Integers of an input, or where it is not given, of an attribute.
std::vector<int64_t> integers_of(const OnnxNode& node, const Inputs& inputs, size_t i, const char* attribute);
const KnownTensor& required(const OnnxNode& node, const Inputs& inputs, size_t i);
const KnownTensor* optional(const Inputs& inputs, size_t i);
size_t index_in(const OnnxNode& node, int64_t index, size_t extent);
// The shape that shapes broadcast to.
Extents broadcast_shape(const OnnxNode& node, const Extents& a, const Extents& b);
// The place in `x` that an index of a larger shape reads.
size_t broadcast_place(const KnownTensor& x, const Extents& at);
// Extents from integers; nothing if one is a multiple of the batch.
std::optional<Extents> extents_from(const OnnxNode& node, const KnownTensor& x);

// Arithmetic. Multiples of the batch stay such where they can.
using Binary = Number (*)(const OnnxNode&, const Number&, const Number&, int32_t type);
Number add(const OnnxNode& node, const Number& x, const Number& y, int32_t type);
Number multiply(const OnnxNode& node, const Number& x, const Number& y, int32_t type);
Number divide(const OnnxNode& node, const Number& x, const Number& y, int32_t type);
Number larger(const OnnxNode& node, const Number& x, const Number& y, int32_t type);
Number smaller(const OnnxNode& node, const Number& x, const Number& y, int32_t type);
// -1, 0 or 1 as x is less than, equal to or greater than y, for all batches from 1 on.
int compare(const OnnxNode& node, const Number& x, const Number& y, int32_t type);

// Calls visit(place in row-major order, indices) for all elements of a shape.
template <typename Visit>
void for_each(const Extents& shape, const Visit& visit) {
  Extents at(shape.size());
  const size_t count = count_of(shape);
  for (size_t i = 0; i < count; ++i) {
    visit(i, at);
    for (size_t d = shape.size(); d-- > 0;) {
      if (++at[d] < shape[d]) break;
      at[d] = 0;
    }
  }
}

// out[at] = x[source(at)], `source` being a place in row-major order.
template <typename Source>
KnownTensor picked(const OnnxNode& node, const KnownTensor& x, const Extents& shape, const Source& source) {
  KnownTensor result = make(node, shape, x.type);
  for_each(shape, [&](size_t i, const Extents& at) { result.values[i] = x.values[source(at)]; });
  return result;
}

}  // namespace figment::converter::evaluation
