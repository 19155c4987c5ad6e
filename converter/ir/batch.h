// The batch in shapes, and whether its samples can be computed apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "ir/graph.h"

namespace figment::converter {

// The first dimension of a shape that is a multiple of the batch.
std::optional<size_t> batch_axis(const Shape& shape);
inline bool has_batch(const Shape& shape) { return batch_axis(shape).has_value(); }

// How the samples of a batch lie in the values of a program, which may grow meanwhile.
class BatchOrder {
 public:
  explicit BatchOrder(const Graph& graph) : graph_(graph) {}

  // Whether a value, as an output, depends for some sample on others too, or cannot be cut into samples.
  bool couples(ValueId output);
  // Of a value with a dimension of k times the batch whose elements each depend on one sample: how many of a sample
  // stand together there, from k, where it comes sample by sample, to 1, where samples alternate.
  std::optional<uint32_t> inner(ValueId value);

 private:
  // What a value has of each sample. A dimension of k times the batch, [o, n, i] with o * i = k flattened, holds
  // `inner` elements i of sample n together: k in the ports' order.
  enum class Kind : uint8_t {
    kNone,     // the same whatever the samples are, and how many
    kUniform,  // the same for each sample, as what is broadcast along the batch
    kOwn,      // elements of sample n depend on sample n alone
    kMixed
  };
  struct Dependence {
    Kind kind = Kind::kNone;
    uint32_t inner = 1;
  };

  // Of the inputs and nodes that are new.
  void follow();
  Dependence dependence(const Node& node) const;
  // Whether the op combines, or moves, elements along the dimension of the batch.
  bool acts_along_batch(const Node& node) const;
  // The same elements in another shape.
  static Dependence reshaped(const Dependence& from, const Shape& old_shape, const Shape& shape);

  const Graph& graph_;
  std::vector<Dependence> values_;
  size_t inputs_ = 0;
  size_t nodes_ = 0;
};

// Whether an output of the program depends, for some sample, on other samples of the batch too (a mean over the batch,
// a product over it, statistics of a batch normalization), or holds samples in an order that cannot be cut into
// samples. Such a program computes a whole batch at a time, never parts of it or with padding.
bool couples_batch(const Graph& graph);

}  // namespace figment::converter
