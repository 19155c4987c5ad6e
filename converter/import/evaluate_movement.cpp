// Ops that move elements, and shapes.
#include <fmt/format.h>
#include <algorithm>
#include <numeric>
#include <set>

#include "import/evaluation.h"

namespace figment::converter::evaluation {

namespace {

Known shape(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  const auto rank = static_cast<int64_t>(x.shape.size());
  const auto clamp = [rank](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank); };
  std::vector<Number> extents;
  for (int64_t i = clamp(node.integer("start", 0)); i < clamp(node.integer("end", rank)); ++i) {
    extents.push_back({static_cast<int64_t>(x.shape[static_cast<size_t>(i)])});
  }
  return {{known_list(std::move(extents))}};
}

Known size(const OnnxNode& node, const Inputs& inputs) {
  return {{KnownTensor{{}, {{static_cast<int64_t>(required(node, inputs, 0).values.size())}}}}};
}

Known reshape(const OnnxNode& node, const Inputs& inputs) {
  KnownTensor result = required(node, inputs, 0);
  Extents shape;
  size_t known = 1;
  std::optional<size_t> open;
  const bool zeros = node.integer("allowzero", 0) != 0;
  for (int64_t extent : integers_of(node, inputs, 1, "shape")) {
    if (extent == -1 && !open) {
      open = shape.size();
      shape.push_back(1);
    } else if (extent == 0 && !zeros && shape.size() < result.shape.size()) {
      shape.push_back(result.shape[shape.size()]);
    } else if (extent >= 0) {
      shape.push_back(static_cast<size_t>(extent));
    } else {
      node.fail(fmt::format("its shape has a dimension of {}", extent));
    }
    if (__builtin_mul_overflow(known, shape.back(), &known)) node.fail("its shape is too large");
  }
  if (open && known > 0) shape[*open] = result.values.size() / known;
  if (count_of(shape) != result.values.size()) node.fail("the number of elements changes");
  result.shape = shape;
  return {{std::move(result)}};
}

Known flatten(const OnnxNode& node, const Inputs& inputs) {
  KnownTensor result = required(node, inputs, 0);
  const int64_t given = node.integer("axis", 1);
  const size_t rank = result.shape.size();
  const size_t axis = given == static_cast<int64_t>(rank) ? rank : node.axis(given, rank);
  const size_t rows = count_of({result.shape.begin(), result.shape.begin() + static_cast<ptrdiff_t>(axis)});
  result.shape = {rows, rows == 0 ? 0 : result.values.size() / rows};
  return {{std::move(result)}};
}

Known unsqueeze(const OnnxNode& node, const Inputs& inputs) {
  KnownTensor result = required(node, inputs, 0);
  std::vector<int64_t> axes = integers_of(node, inputs, 1, "axes");
  const size_t rank = result.shape.size() + axes.size();
  for (int64_t& axis : axes) axis = static_cast<int64_t>(node.axis(axis, rank));
  std::sort(axes.begin(), axes.end());
  for (int64_t axis : axes) {
    if (static_cast<size_t>(axis) > result.shape.size()) node.fail("an axis is named twice");
    result.shape.insert(result.shape.begin() + static_cast<std::ptrdiff_t>(axis), 1);
  }
  return {{std::move(result)}};
}

Known squeeze(const OnnxNode& node, const Inputs& inputs) {
  KnownTensor result = required(node, inputs, 0);
  const std::vector<int64_t> axes = integers_of(node, inputs, 1, "axes");
  Extents kept;
  for (size_t i = 0; i < result.shape.size(); ++i) {
    const bool named =
        std::any_of(axes.begin(), axes.end(), [&](int64_t axis) { return node.axis(axis, result.shape.size()) == i; });
    if (named && result.shape[i] != 1) node.fail(fmt::format("dimension {} is not 1", i));
    if (result.shape[i] != 1 || !(axes.empty() || named)) kept.push_back(result.shape[i]);
  }
  result.shape = kept;
  return {{std::move(result)}};
}

Known transpose(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  const size_t rank = x.shape.size();
  std::vector<int64_t> order(rank);
  for (size_t i = 0; i < rank; ++i) order[i] = static_cast<int64_t>(rank - 1 - i);
  order = node.integer_list("perm", order);
  const Extents strides = strides_of(x.shape);
  Extents shape;
  Extents from;
  std::set<size_t> named;
  for (int64_t axis : order) {
    const size_t d = node.axis(axis, rank);
    named.insert(d);
    shape.push_back(x.shape[d]);
    from.push_back(strides[d]);
  }
  if (order.size() != rank || named.size() != rank) node.fail("perm does not name every dimension");
  return {{picked(node, x, shape, [&](const Extents& at) {
    return std::inner_product(at.begin(), at.end(), from.begin(), size_t{0});
  })}};
}

Known expand(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  const std::optional<Extents> wanted = extents_from(node, required(node, inputs, 1));
  if (!wanted || (x.is_float() && count_of(*wanted) > kManyFloats)) return std::nullopt;
  return {{picked(node, x, broadcast_shape(node, x.shape, *wanted),
                  [&](const Extents& at) { return broadcast_place(x, at); })}};
}

Known tile(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  const std::optional<Extents> repeats = extents_from(node, required(node, inputs, 1));
  if (!repeats) return std::nullopt;
  if (repeats->size() != x.shape.size()) node.fail("repeats does not name every dimension");
  Extents shape = x.shape;
  for (size_t i = 0; i < shape.size(); ++i) shape[i] *= (*repeats)[i];
  const Extents strides = strides_of(x.shape);
  return {{picked(node, x, shape, [&](const Extents& at) {
    size_t place = 0;
    for (size_t i = 0; i < at.size(); ++i) place += at[i] % x.shape[i] * strides[i];
    return place;
  })}};
}

Known concat(const OnnxNode& node, const Inputs& inputs) {
  KnownTensor first = required(node, inputs, 0);
  const size_t axis = node.axis(node.integer("axis", 0), first.shape.size());
  size_t extent = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Extents& shape = required(node, inputs, i).shape;
    if (shape.size() != first.shape.size()) node.fail("its operands differ in their dimensions");
    for (size_t d = 0; d < shape.size(); ++d) {
      if (d != axis && shape[d] != first.shape[d]) node.fail("its operands differ in their dimensions");
    }
    extent += shape[axis];
  }
  Extents shape = first.shape;
  shape[axis] = extent;
  KnownTensor result = make(node, shape, first.type);
  size_t outer = 1;
  for (size_t d = 0; d < axis; ++d) outer *= shape[d];
  size_t place = 0;
  for (size_t o = 0; o < outer; ++o) {
    for (const KnownTensor* input : inputs) {
      const size_t rows = input->values.size() / outer;
      std::copy_n(input->values.begin() + static_cast<ptrdiff_t>(o * rows), rows,
                  result.values.begin() + static_cast<ptrdiff_t>(place));
      place += rows;
    }
  }
  return {{std::move(result)}};
}

Known split(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  const size_t axis = node.axis(node.integer("axis", 0), x.shape.size());
  std::vector<int64_t> sizes = integers_of(node, inputs, 1, "split");
  const auto parts = static_cast<int64_t>(node.proto.output_size());
  const auto extent = static_cast<int64_t>(x.shape[axis]);
  if (sizes.empty()) {
    const int64_t part = (extent + parts - 1) / parts;
    for (int64_t left = extent; left > 0; left -= part) sizes.push_back(std::min(part, left));
  }
  const bool inside = std::ranges::all_of(sizes, [&](int64_t part) { return part >= 0 && part <= extent; });
  if (!inside || static_cast<int64_t>(sizes.size()) != parts ||
      std::accumulate(sizes.begin(), sizes.end(), int64_t{0}) != extent)
    node.fail("its parts do not make up the dimension");
  std::vector<KnownTensor> results;
  const Extents strides = strides_of(x.shape);
  size_t start = 0;
  for (int64_t part : sizes) {
    Extents shape = x.shape;
    shape[axis] = static_cast<size_t>(part);
    results.push_back(picked(node, x, shape, [&](const Extents& at) {
      return std::inner_product(at.begin(), at.end(), strides.begin(), start * strides[axis]);
    }));
    start += static_cast<size_t>(part);
  }
  return results;
}

Known slice(const OnnxNode& node, const Inputs& inputs) {
  KnownTensor x = required(node, inputs, 0);
  const std::vector<int64_t> starts = integers_of(node, inputs, 1, "starts");
  const std::vector<int64_t> ends = integers_of(node, inputs, 2, "ends");
  std::vector<int64_t> axes = integers_of(node, inputs, 3, "axes");
  std::vector<int64_t> steps(starts.size(), 1);
  if (const KnownTensor* given = optional(inputs, 4)) steps = integers_of(node, *given);
  if (axes.empty()) {
    for (size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  }
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    node.fail("starts, ends, axes and steps differ in length");
  for (size_t s = 0; s < starts.size(); ++s) {
    const size_t axis = node.axis(axes[s], x.shape.size());
    const SliceRange range = slice_range(node, starts[s], ends[s], steps[s], x.shape[axis]);
    Extents shape = x.shape;
    shape[axis] = range.extent;
    const Extents strides = strides_of(x.shape);
    x = picked(node, x, shape, [&](const Extents& at) {
      size_t place = 0;
      for (size_t d = 0; d < at.size(); ++d) {
        const auto index = static_cast<int64_t>(at[d]);
        place += static_cast<size_t>(d == axis ? range.start + index * range.step : index) * strides[d];
      }
      return place;
    });
  }
  return {{std::move(x)}};
}

Known gather(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  const KnownTensor& indices = required(node, inputs, 1);
  const size_t axis = node.axis(node.integer("axis", 0), x.shape.size());
  const std::vector<int64_t> numbers = integers_of(node, indices);
  Extents shape(x.shape.begin(), x.shape.begin() + static_cast<ptrdiff_t>(axis));
  shape.insert(shape.end(), indices.shape.begin(), indices.shape.end());
  shape.insert(shape.end(), x.shape.begin() + static_cast<ptrdiff_t>(axis) + 1, x.shape.end());
  const size_t count = numbers.size();
  size_t inner = 1;
  for (size_t d = axis + 1; d < x.shape.size(); ++d) inner *= x.shape[d];
  KnownTensor result = make(node, shape, x.type);
  for (size_t i = 0; i < result.values.size(); ++i) {
    const size_t index = index_in(node, numbers[i / inner % count], x.shape[axis]);
    result.values[i] = x.values[(i / inner / count * x.shape[axis] + index) * inner + i % inner];
  }
  return {{std::move(result)}};
}

// The place in x of the element at `at`, but for `index` along the axis.
size_t indexed_place(const OnnxNode& node, const KnownTensor& x, size_t axis, const Number& index, const Extents& at) {
  size_t place = 0;
  for (size_t d = 0; d < at.size(); ++d) {
    const int64_t wanted = d == axis ? plain(node, index).value : static_cast<int64_t>(at[d]);
    place = place * x.shape[d] + index_in(node, wanted, x.shape[d]);
  }
  return place;
}

Known gather_elements(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  const KnownTensor& indices = required(node, inputs, 1);
  const size_t axis = node.axis(node.integer("axis", 0), x.shape.size());
  if (indices.shape.size() != x.shape.size()) node.fail("its indices have other dimensions than its data");
  KnownTensor result = make(node, indices.shape, x.type);
  for_each(indices.shape, [&](size_t i, const Extents& at) {
    result.values[i] = x.values[indexed_place(node, x, axis, indices.values[i], at)];
  });
  return {{std::move(result)}};
}

// Calls visit(row, place of its first element in x, elements) for each row of indices [..., k] into x's first k
// dimensions.
template <typename Visit>
void for_each_row(const OnnxNode& node, const KnownTensor& x, const KnownTensor& indices, const Visit& visit) {
  if (indices.shape.empty() || indices.shape.back() > x.shape.size()) node.fail("its indices do not fit its data");
  const size_t depth = indices.shape.back();
  const Extents strides = strides_of(x.shape);
  size_t slice = 1;
  for (size_t d = depth; d < x.shape.size(); ++d) slice *= x.shape[d];
  const size_t rows = depth == 0 ? 0 : indices.values.size() / depth;
  for (size_t row = 0; row < rows; ++row) {
    size_t place = 0;
    for (size_t d = 0; d < depth; ++d)
      place += index_in(node, plain(node, indices.values[row * depth + d]).value, x.shape[d]) * strides[d];
    visit(row, place, slice);
  }
}

Known gather_nd(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  const KnownTensor& indices = required(node, inputs, 1);
  if (node.integer("batch_dims", 0) != 0) node.fail("batch_dims is not supported");
  if (indices.shape.empty() || indices.shape.back() > x.shape.size()) node.fail("its indices do not fit its data");
  Extents shape(indices.shape.begin(), indices.shape.end() - 1);
  shape.insert(shape.end(), x.shape.begin() + static_cast<ptrdiff_t>(indices.shape.back()), x.shape.end());
  KnownTensor result = make(node, shape, x.type);
  for_each_row(node, x, indices, [&](size_t row, size_t place, size_t slice) {
    std::copy_n(x.values.begin() + static_cast<ptrdiff_t>(place), slice,
                result.values.begin() + static_cast<ptrdiff_t>(row * slice));
  });
  return {{std::move(result)}};
}

Known scatter_nd(const OnnxNode& node, const Inputs& inputs) {
  KnownTensor x = required(node, inputs, 0);
  const KnownTensor& updates = required(node, inputs, 2);
  if (node.text("reduction", "none") != "none") node.fail("only assignments are supported, no reduction");
  for_each_row(node, x, required(node, inputs, 1), [&](size_t row, size_t place, size_t slice) {
    if ((row + 1) * slice > updates.values.size()) node.fail("its updates do not fit its indices");
    std::copy_n(updates.values.begin() + static_cast<ptrdiff_t>(row * slice), slice,
                x.values.begin() + static_cast<ptrdiff_t>(place));
  });
  return {{std::move(x)}};
}

Known scatter_elements(const OnnxNode& node, const Inputs& inputs) {
  KnownTensor x = required(node, inputs, 0);
  const KnownTensor& indices = required(node, inputs, 1);
  const KnownTensor& updates = required(node, inputs, 2);
  const size_t axis = node.axis(node.integer("axis", 0), x.shape.size());
  if (node.text("reduction", "none") != "none") node.fail("only assignments are supported, no reduction");
  if (indices.shape.size() != x.shape.size() || updates.values.size() != indices.values.size())
    node.fail("its indices, updates and data do not fit together");
  for_each(indices.shape, [&](size_t i, const Extents& at) {
    x.values[indexed_place(node, x, axis, indices.values[i], at)] = updates.values[i];
  });
  return {{std::move(x)}};
}

Known pad(const OnnxNode& node, const Inputs& inputs) {
  const KnownTensor& x = required(node, inputs, 0);
  if (node.text("mode", "constant") != "constant")
    node.fail("mode " + node.text("mode", "") + " is not supported here");
  const std::vector<int64_t> pads = integers_of(node, inputs, 1, "pads");
  const size_t rank = x.shape.size();
  std::vector<int64_t> axes = integers_of(node, inputs, 3, "axes");
  if (axes.empty()) {
    for (size_t i = 0; i < rank; ++i) axes.push_back(static_cast<int64_t>(i));
  }
  if (pads.size() != 2 * axes.size()) node.fail("pads needs two values for each dimension");
  std::vector<int64_t> before(rank);
  Extents shape = x.shape;
  for (size_t i = 0; i < axes.size(); ++i) {
    const size_t axis = node.axis(axes[i], rank);
    for (int64_t pad : {pads[i], pads[axes.size() + i]}) {
      if (pad < INT32_MIN || pad > INT32_MAX) node.fail(fmt::format("it pads by {}", pad));
    }
    const int64_t extent = static_cast<int64_t>(x.shape[axis]) + pads[i] + pads[axes.size() + i];
    if (extent < 0) node.fail("its pads take more than there is");
    shape[axis] = static_cast<size_t>(extent);
    before[axis] = pads[i];
  }
  Number fill;
  if (const KnownTensor* value = optional(inputs, 2); value != nullptr && !value->values.empty())
    fill = value->values[0];
  if (node.attribute("value") != nullptr) fill.real = node.real("value", 0);
  KnownTensor result = make(node, shape, x.type);
  const Extents strides = strides_of(x.shape);
  for_each(shape, [&](size_t i, const Extents& at) {
    size_t place = 0;
    bool inside = true;
    for (size_t d = 0; d < rank; ++d) {
      const int64_t index = static_cast<int64_t>(at[d]) - before[d];
      inside = inside && index >= 0 && index < static_cast<int64_t>(x.shape[d]);
      place += static_cast<size_t>(index) * strides[d];
    }
    result.values[i] = inside ? x.values[place] : fill;
  });
  return {{std::move(result)}};
}

}  // namespace

Rules movement_rules() {
  return {{"Concat", concat},
          {"Expand", expand},
          {"Flatten", flatten},
          {"Gather", gather},
          {"GatherElements", gather_elements},
          {"GatherND", gather_nd},
          {"Pad", pad},
          {"Reshape", reshape},
          {"ScatterElements", scatter_elements},
          {"ScatterND", scatter_nd},
          {"Shape", shape},
          {"Size", size},
          {"Slice", slice},
          {"Split", split},
          {"Squeeze", squeeze},
          {"Tile", tile},
          {"Transpose", transpose},
          {"Unsqueeze", unsqueeze}};
}

}  // namespace figment::converter::evaluation
