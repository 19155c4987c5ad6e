// ONNX ops that pick and place elements by their indices.
#include <fmt/format.h>
#include <algorithm>
#include <map>

#include "import/onnx_graph.h"
#include "ir/batch.h"
#include "ir/builder.h"

namespace figment::converter {

namespace {

// Integers against 0, 1, ... along a new last dimension: 1 where they are equal, else 0.
ValueId one_hot(const OnnxNode& node, ValueId indices, uint32_t classes) {
  Builder build(&node.graph, node.name);
  Shape shape = build.shape(indices);
  shape.push_back({});
  const ValueId places = counted_along(node, shape.rank() - 1, shape.rank(), classes);
  return build.add(OpKind::kEqual, {build.reshape(indices, shape), places});
}

}  // namespace

bool limit_input(const OnnxNode& node, ValueId indices, uint32_t rows) {
  for (const Node* producer = node.producer(indices); producer != nullptr && producer->kind == OpKind::kReshape;
       producer = node.producer(indices))
    indices = producer->inputs[0];
  for (PortDefinition& port : node.graph.inputs) {
    if (port.value != indices || !port.integers) continue;
    port.least = std::max(port.least, 0);
    port.greatest = std::min(port.greatest, static_cast<int32_t>(rows) - 1);
    return true;
  }
  return false;
}

namespace {

// Rows of a table by integers that the program is given: one-hot vectors times the table, whose gradient that has, too.
void import_embedding(const OnnxNode& node) {
  constexpr uint32_t kMostRows = 65536;
  Builder build(&node.graph, node.name);
  const ValueId table = node.tensor(0);
  const Shape shape = node.graph[table].shape;
  ValueId indices = node.tensor(1);
  if (shape.rank() < 1 || node.axis(node.integer("axis", 0), shape.rank()) != 0 || !node.is_fixed(table))
    node.fail("indices that are computed may pick rows of a constant table only");
  if (shape[0].extent > kMostRows)
    node.fail(fmt::format("its table has {} rows, {} at most", shape[0].extent, kMostRows));
  if (build.shape(indices).rank() + shape.rank() - 1 > kMaxRank || build.shape(indices).full())
    node.fail(fmt::format("its output has more than {} dimensions", kMaxRank));
  if (!limit_input(node, indices, shape[0].extent)) indices = from_the_end(build, indices, shape[0].extent);
  uint32_t columns = 1;
  for (size_t i = 1; i < shape.rank(); ++i) columns *= shape[i].extent;
  const ValueId flat = node.reshaped(table, {shape[0], {columns, false}});
  const ValueId rows =
      build.add(OpKind::kFullyConnected, {one_hot(node, indices, shape[0].extent), node.transpose(flat, {1, 0})});
  Shape result = build.shape(indices);
  for (size_t i = 1; i < shape.rank(); ++i) result.push_back(shape[i]);
  node.bind(build.reshape(rows, result));
}

void import_one_hot(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId indices = node.tensor(0);
  if (!node.is_known(1) && !node.value(1).is_constant()) node.fail("its depth must be known while converting");
  std::vector<int64_t> classes;
  if (node.is_integers(1)) classes = node.numbers(1);
  if (node.is_integers(1) && classes.size() != 1) node.fail("its depth must be one number");
  const double depth = classes.empty() ? static_cast<double>(node.scalar(1)) : static_cast<double>(classes[0]);
  if (!(depth >= 1 && depth <= 65536)) node.fail("its depth is out of range");
  std::vector<float> values;
  if (node.is_integers(2)) {
    for (int64_t value : node.numbers(2)) values.push_back(static_cast<float>(value));
  } else {
    const std::span<const float> given = node.graph[node.constant(2, "values")].f32();
    values.assign(given.begin(), given.end());
  }
  const size_t rank = build.shape(indices).rank();
  if (values.size() != 2 || rank == kMaxRank) node.fail("it needs two values, and a dimension for them");
  const auto rows = static_cast<uint32_t>(depth);
  // Labels of PyTorch are counted from 0.
  const bool labels = node.importer.from_pytorch() && limit_input(node, indices, rows);
  ValueId y = one_hot(node, labels ? indices : from_the_end(build, indices, rows), rows);
  if (values[1] - values[0] != 1) y = build.with_scalar(OpKind::kMultiply, y, values[1] - values[0]);
  if (values[0] != 0) y = build.with_scalar(OpKind::kAdd, y, values[0]);
  const size_t axis = node.axis(node.integer("axis", -1), rank + 1);
  if (axis < rank) {
    Permutation order;
    for (uint32_t i = 0; i <= rank; ++i)
      order.push_back(i < axis ? i : i == axis ? static_cast<uint32_t>(rank) : i - 1);
    y = node.transpose(y, order);
  }
  node.bind(y);
}

// Elements of an axis that is not the batch, in this order: slices of what stands in a row there, one behind the other.
ValueId picked_along(const OnnxNode& node, ValueId x, size_t axis, const std::vector<uint32_t>& picked) {
  const uint32_t extent = node.graph[x].shape[axis].extent;
  std::vector<ValueId> parts;
  for (size_t i = 0; i < picked.size();) {
    size_t end = i + 1;
    const int64_t step = end < picked.size() && picked[end] + 1 == picked[i] ? -1 : 1;
    while (end < picked.size() && int64_t{picked[end]} == int64_t{picked[end - 1]} + step) ++end;
    const auto count = static_cast<uint32_t>(end - i);
    const uint32_t first = step > 0 ? picked[i] : picked[end - 1];
    ValueId part = count == extent ? x : slice_axis(node, x, axis, first, count, 1);
    if (step < 0) {
      Attributes along;
      along.axes = {static_cast<uint32_t>(axis)};
      part = node.add(OpKind::kReverse, along, {part});
    }
    parts.push_back(part);
    i = end;
  }
  return node.concatenate(parts, static_cast<uint32_t>(axis));
}

// By indices that are known while converting.
void import_gather(const OnnxNode& node) {
  if (!node.is_integers(1)) return import_embedding(node);
  const KnownTensor& indices = node.integers(1);
  const ValueId x = node.tensor(0);
  const Shape shape = node.graph[x].shape;
  const size_t axis = node.axis(node.integer("axis", 0), shape.rank());
  if (shape[axis].per_batch) node.fail("cannot take a part of the batch");
  if (shape.rank() - 1 + indices.shape.size() > kMaxRank)
    node.fail(fmt::format("its output has more than {} dimensions", kMaxRank));
  const int64_t extent = shape[axis].extent;
  std::vector<uint32_t> picked;
  for (int64_t index : node.numbers(1)) {
    if (index < -extent || index >= extent) node.fail(fmt::format("index {} is out of range", index));
    picked.push_back(static_cast<uint32_t>(index < 0 ? index + extent : index));
  }
  if (picked.empty()) node.fail("its output is empty");
  const ValueId y = picked_along(node, x, axis, picked);
  Shape result;
  for (size_t i = 0; i < shape.rank(); ++i) {
    if (i != axis) {
      result.push_back(shape[i]);
      continue;
    }
    for (size_t extent_of_index : indices.shape) {
      result.push_back({static_cast<uint32_t>(extent_of_index), false});
    }
  }
  node.bind(node.reshaped(y, result));
}

// What the indices [..., depth] of GatherND and ScatterND name: places among the first `depth` dimensions, as one.
struct Places {
  std::vector<uint32_t> flat;
  std::vector<size_t> shape;  // of the indices, without depth
  size_t depth = 0;
  Shape rest;  // the dimensions behind
};

Places places_of(const OnnxNode& node, const Shape& x) {
  Places places;
  const KnownTensor& indices = node.integers(1);
  const std::vector<int64_t> numbers = node.numbers(1);
  if (node.integer("batch_dims", 0) != 0) node.fail("batch_dims are not supported");
  if (indices.shape.empty() || indices.shape.back() < 1 || indices.shape.back() > x.rank())
    node.fail("its indices do not fit its input");
  places.depth = indices.shape.back();
  places.shape.assign(indices.shape.begin(), indices.shape.end() - 1);
  for (size_t d = 0; d < x.rank(); ++d) {
    if (d >= places.depth) places.rest.push_back(x[d]);
    if (d < places.depth && x[d].per_batch)
      node.fail("its indices pick samples of the batch: export with a batch of 1, which is opened again");
  }
  for (size_t i = 0; i < numbers.size(); i += places.depth) {
    uint64_t place = 0;
    for (size_t d = 0; d < places.depth; ++d) {
      const int64_t extent = x[d].extent;
      const int64_t index = numbers[i + d];
      if (index < -extent || index >= extent) node.fail(fmt::format("index {} is out of range", index));
      place = place * x[d].extent + static_cast<uint64_t>(index < 0 ? index + extent : index);
    }
    places.flat.push_back(static_cast<uint32_t>(place));
  }
  if (places.flat.empty()) node.fail("its indices are empty");
  return places;
}

// x with its first `depth` dimensions as one.
ValueId flattened(Builder& build, ValueId x, const Places& places) {
  Shape flat = {{}};
  for (size_t d = 0; d < places.depth; ++d) flat[0].extent *= build.shape(x)[d].extent;
  for (const Dimension& dimension : places.rest) flat.push_back(dimension);
  return build.reshape(x, flat);
}

void import_gather_nd(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.number(0);
  const Places places = places_of(node, build.shape(x));
  Shape result;
  for (size_t extent : places.shape) {
    if (result.full()) node.fail(fmt::format("its output has more than {} dimensions", kMaxRank));
    result.push_back({static_cast<uint32_t>(extent), false});
  }
  for (const Dimension& dimension : places.rest) {
    if (result.full()) node.fail(fmt::format("its output has more than {} dimensions", kMaxRank));
    result.push_back(dimension);
  }
  node.bind(build.reshape(picked_along(node, flattened(build, x, places), 0, places.flat), result));
}

// Assignments to known places: each row is one of x or of the updates, the last that names it.
void import_scatter_nd(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  if (node.text("reduction", "none") != "none") node.fail("only assignments are supported, no reduction");
  const ValueId x = node.number(0);
  const Shape shape = build.shape(x);
  const Places places = places_of(node, shape);
  const ValueId rows = flattened(build, x, places);
  const uint32_t count = build.shape(rows)[0].extent;
  node.expect_room(uint64_t{count} * sizeof(uint32_t));
  Shape wanted = {{static_cast<uint32_t>(places.flat.size()), false}};
  for (const Dimension& dimension : places.rest) wanted.push_back(dimension);
  const ValueId both = node.concatenate({rows, build.reshape(node.number(2), wanted)}, 0);
  std::vector<uint32_t> picked(count);
  for (uint32_t i = 0; i < count; ++i) picked[i] = i;
  for (uint32_t i = 0; i < places.flat.size(); ++i) picked[places.flat[i]] = count + i;
  node.bind(build.reshape(picked_along(node, both, 0, picked), shape));
}

// The indices along an axis, which are the same at all other places: known while converting, or a number that an
// exporter broadcasts over a batch.
std::vector<int64_t> rows_of_indices(const OnnxNode& node, const Shape& x, const Shape& updates, size_t axis) {
  std::vector<int64_t> rows;
  const auto add = [&](double number) {
    const int64_t extent = x[axis].extent;
    if (!(number >= static_cast<double>(-extent) && number < static_cast<double>(extent)))
      node.fail(fmt::format("index {} is out of range", number));
    const auto index = static_cast<int64_t>(number);
    rows.push_back(index < 0 ? index + extent : index);
  };
  if (!node.is_integers(1)) {
    // Exporters broadcast one number.
    const ValueId indices = node.tensor(1);
    const Node* made = node.producer(indices);
    const bool broadcast = made != nullptr && made->kind == OpKind::kBroadcast;
    const ValueId source = broadcast ? made->inputs[0] : indices;
    if (!node.graph[source].is_constant() || node.graph[source].elements() != 1 || updates[axis].extent != 1)
      node.fail("its indices must be known while converting");
    add(static_cast<double>(node.graph[source].f32()[0]));
    return rows;
  }
  const std::vector<int64_t> numbers = node.numbers(1);
  const std::vector<size_t>& shape = node.integers(1).shape;
  if (shape.size() != x.rank() || shape[axis] != updates[axis].extent) node.fail("its indices do not fit its updates");
  size_t inner = 1;
  for (size_t d = axis + 1; d < shape.size(); ++d) inner *= shape[d];
  for (size_t i = 0; i < numbers.size(); ++i) {
    const size_t row = i / inner % shape[axis];
    if (row == rows.size()) add(static_cast<double>(numbers[i]));
    const int64_t index = numbers[i] < 0 ? numbers[i] + int64_t{x[axis].extent} : numbers[i];
    if (index != rows[row]) node.fail("its indices differ along other dimensions than its axis");
  }
  return rows;
}

// Assignments along an axis, each to the place of its own that an index names.
void scatter_each(const OnnxNode& node, ValueId x, ValueId updates, size_t axis) {
  Builder build(&node.graph, node.name);
  const Shape shape = build.shape(x);
  const std::vector<int64_t> indices = node.numbers(1);
  const std::vector<size_t>& given = node.integers(1).shape;
  if (given.size() != shape.rank() ||
      extents_of(build.shape(updates)) != std::vector<uint32_t>(given.begin(), given.end()))
    node.fail("its indices and updates differ in shape");
  const auto count = static_cast<uint32_t>(element_count(shape, 1).value());
  node.expect_room(uint64_t{count} * sizeof(uint32_t));
  std::vector<uint32_t> picked(count);
  for (uint32_t i = 0; i < count; ++i) picked[i] = i;
  for (size_t i = 0; i < indices.size(); ++i) {
    size_t place = 0;
    size_t rest = i;
    size_t stride = 1;
    for (size_t d = shape.rank(); d > 0; --d) {
      const int64_t extent = shape[d - 1].extent;
      int64_t at = static_cast<int64_t>(rest % given[d - 1]);
      rest /= given[d - 1];
      if (d - 1 == axis) at = indices[i] < 0 ? indices[i] + extent : indices[i];
      if (at < 0 || at >= extent) node.fail(fmt::format("index {} is out of range", at));
      place += static_cast<size_t>(at) * stride;
      stride *= shape[d - 1].extent;
    }
    picked[place] = count + static_cast<uint32_t>(i);
  }
  const auto flat = [&](ValueId value) {
    return build.reshape(value, {{static_cast<uint32_t>(build.graph()[value].elements()), false}});
  };
  const ValueId both = node.concatenate({flat(x), flat(updates)}, 0);
  node.bind(build.reshape(picked_along(node, both, 0, picked), shape));
}

// Assignments along an axis by indices that are the same wherever else they stand.
void import_scatter_elements(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  if (node.text("reduction", "none") != "none") node.fail("only assignments are supported, no reduction");
  const ValueId x = node.number(0);
  const Shape shape = build.shape(x);
  const size_t axis = node.axis(node.integer("axis", 0), shape.rank());
  if (shape[axis].per_batch) node.fail("it assigns to samples of the batch");
  const ValueId updates = node.number(2);
  const Shape given = build.shape(updates);
  if (given.rank() != shape.rank()) node.fail("its updates do not have its input's dimensions");
  if (node.is_integers(1) && !has_batch(shape)) return scatter_each(node, x, updates, axis);
  const std::vector<int64_t> rows = rows_of_indices(node, shape, given, axis);
  for (size_t d = 0; d < shape.rank(); ++d) {
    if (d != axis && given[d] != shape[d]) node.fail("its updates leave out elements off the axis");
  }
  const uint32_t count = shape[axis].extent;
  node.expect_room(uint64_t{count} * sizeof(uint32_t));
  std::vector<uint32_t> picked(count);
  for (uint32_t i = 0; i < count; ++i) picked[i] = i;
  for (uint32_t i = 0; i < rows.size(); ++i) picked[static_cast<size_t>(rows[i])] = count + i;
  node.bind(picked_along(node, node.concatenate({x, updates}, static_cast<uint32_t>(axis)), axis, picked));
}

// Of each place along an axis the element that an index there names: a product with ones where it stands.
void import_gather_elements(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.number(0);
  ValueId indices = node.number(1);
  const Shape shape = build.shape(x);
  const size_t rank = shape.rank();
  const size_t axis = axis_within_sample(node, node.integer("axis", 0), shape);
  if (build.shape(indices).rank() != rank || rank + 1 > kMaxRank) node.fail("its operands' ranks are not supported");
  const uint32_t extent = shape[axis].extent;
  indices = from_the_end(build, indices, extent);
  Shape wanted;
  Shape given;
  for (size_t i = 0; i < rank; ++i) {
    if (i != axis && build.shape(indices)[i] != shape[i]) node.fail("its indices leave out elements off the axis");
    wanted.push_back(build.shape(indices)[i]);
    given.push_back(i == axis ? Dimension{} : shape[i]);
    if (i != axis) continue;
    wanted.push_back({});
    given.push_back(shape[i]);
  }
  const ValueId places = counted_along(node, axis + 1, rank + 1, extent);
  const ValueId here = build.add(OpKind::kEqual, {build.reshape(indices, wanted), places});
  const ValueId picked = build.add(OpKind::kSelect, {here, build.reshape(x, given), build.scalar(0, rank + 1)});
  const ValueId sums = build.sum(picked, {static_cast<uint32_t>(axis + 1)});
  node.bind(build.reshape(sums, build.shape(indices)));
}

}  // namespace

const Importers& index_importers() {
  static const Importers table = {
      {"Gather",
       {import_gather,
        6,
        {OpKind::kFullyConnected, OpKind::kConcat, OpKind::kSlice, OpKind::kReverse, OpKind::kEqual, OpKind::kGreater,
         OpKind::kMultiply, OpKind::kAdd},
        "computed indices: rows of a constant table, 65536 at most"}},
      {"GatherElements",
       {import_gather_elements,
        11,
        {OpKind::kAdd, OpKind::kMultiply, OpKind::kSum, OpKind::kGreater, OpKind::kEqual, OpKind::kSelect},
        "indices for all elements off the axis"}},
      {"GatherND",
       {import_gather_nd, 11, {OpKind::kConcat, OpKind::kSlice, OpKind::kReverse}, "known indices, not of the batch"}},
      {"OneHot",
       {import_one_hot,
        9,
        {OpKind::kAdd, OpKind::kMultiply, OpKind::kEqual, OpKind::kGreater},
        "65536 classes at most"}},
      {"Scatter",
       {import_scatter_elements,
        9,
        {OpKind::kConcat, OpKind::kSlice, OpKind::kReverse},
        "known indices, not along the batch"}},
      {"ScatterElements",
       {import_scatter_elements,
        11,
        {OpKind::kConcat, OpKind::kSlice, OpKind::kReverse},
        "known indices, not along the batch; no reduction"}},
      {"ScatterND",
       {import_scatter_nd,
        11,
        {OpKind::kConcat, OpKind::kSlice, OpKind::kReverse},
        "known indices, not of the batch; no reduction"}},
  };
  return table;
}

}  // namespace figment::converter
