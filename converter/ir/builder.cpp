#include "ir/builder.h"

namespace figment::converter {

ValueId Builder::add_shaped(OpKind kind, std::vector<ValueId> inputs, const Shape& shape,
                            const Attributes& attributes) {
  Value declared;
  declared.name = name_;
  declared.shape = shape;
  return graph_.add_node(kind, name_, attributes, std::move(inputs), &declared);
}

ValueId Builder::scalar(float value, size_t rank) {
  return graph_.add_constant(name_, std::vector<uint32_t>(rank, 1), {&value, 1});
}

ValueId Builder::clamp(ValueId x, float least, float greatest) {
  Attributes attributes;
  attributes.clamp_min = least;
  attributes.clamp_max = greatest;
  return add(OpKind::kClamp, {x}, attributes);
}

ValueId Builder::matmul(ValueId a, bool transpose_a, ValueId b, bool transpose_b) {
  Attributes attributes;
  attributes.transpose_a = transpose_a;
  attributes.transpose_b = transpose_b;
  return add(OpKind::kMatmul, {a, b}, attributes);
}

ValueId Builder::reshape(ValueId x, const Shape& shape) {
  return this->shape(x) == shape ? x : add_shaped(OpKind::kReshape, {x}, shape);
}

ValueId Builder::rows(ValueId x) {
  const Shape& from = shape(x);
  Dimension rows;
  for (size_t i = 0; i + 1 < from.rank(); ++i) {
    rows.extent *= from[i].extent;
    rows.per_batch = rows.per_batch || from[i].per_batch;
  }
  return reshape(x, {rows, from.from_end(0)});
}

ValueId Builder::slice(ValueId x, size_t axis, uint32_t start, uint32_t extent) {
  Attributes attributes;
  Shape sliced = shape(x);
  for (size_t i = 0; i < sliced.rank(); ++i) {
    attributes.starts.push_back(i == axis ? start : 0);
    attributes.steps.push_back(1);
  }
  sliced[axis] = {extent, false};
  return add_shaped(OpKind::kSlice, {x}, sliced, attributes);
}

ValueId Builder::sum_to(ValueId x, const Shape& shape) {
  Permutation axes;
  for (uint32_t i = 0; i < shape.rank(); ++i) {
    if (shape[i] == Dimension{} && this->shape(x)[i] != Dimension{}) axes.push_back(i);
  }
  return axes.rank() == 0 ? x : sum(x, axes);
}

ValueId Builder::reduce(OpKind kind, ValueId x, const Permutation& axes) {
  Attributes attributes;
  attributes.axes = axes;
  return add(kind, {x}, attributes);
}

Permutation Builder::all_axes(ValueId x) const {
  Permutation axes;
  for (uint32_t i = 0; i < shape(x).rank(); ++i) axes.push_back(i);
  return axes;
}

}  // namespace figment::converter
