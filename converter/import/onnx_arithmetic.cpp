// ONNX ops on elements, matrix products, softmax and normalization.
#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "import/onnx_graph.h"
#include "ir/functions.h"

namespace figment::converter {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The operands of a broadcasting op with leading ones added so that their ranks agree.
std::pair<ValueId, ValueId> equal_ranks(const OnnxNode& node, ValueId a, ValueId b) {
  const size_t rank = std::max(node.graph[a].shape.rank(), node.graph[b].shape.rank());
  const auto extend = [&](ValueId x) {
    const Shape shape = node.graph[x].shape;
    Shape extended;
    for (size_t i = shape.rank(); i < rank; ++i) extended.push_back({});
    for (const Dimension& dimension : shape) extended.push_back(dimension);
    return node.reshaped(x, extended);
  };
  return {extend(a), extend(b)};
}

template <OpKind kKind>
void import_binary(const OnnxNode& node) {
  if (node.is_integers(0) && node.is_integers(1)) {
    const IntegerTensor& a = node.integers(0);
    const IntegerTensor& b = node.integers(1);
    const size_t count = std::max(a.values.size(), b.values.size());
    if ((a.values.size() != count && a.values.size() != 1) || (b.values.size() != count && b.values.size() != 1)) {
      node.fail("its integer operands differ in length");
    }
    IntegerTensor result;
    result.shape = a.values.size() == count && !a.scalar() ? a.shape : b.shape;
    result.type = a.type;
    for (size_t i = 0; i < count; ++i) {
      const SymbolicInteger& x = a.values[a.values.size() == 1 ? 0 : i];
      const SymbolicInteger& y = b.values[b.values.size() == 1 ? 0 : i];
      SymbolicInteger z;
      bool overflow = false;
      switch (kKind) {
        case OpKind::kAdd: overflow = __builtin_add_overflow(x.value, y.value, &z.value); break;
        case OpKind::kSubtract: overflow = __builtin_sub_overflow(x.value, y.value, &z.value); break;
        case OpKind::kMultiply: overflow = __builtin_mul_overflow(x.value, y.value, &z.value); break;
        default:
          if (y.value == 0 || (x.value == INT64_MIN && y.value == -1)) node.fail("it divides an integer by zero");
          z.value = x.value / y.value;
      }
      if (overflow) node.fail("its integers overflow");
      if (x.per_batch != y.per_batch) {
        if (kKind == OpKind::kAdd || kKind == OpKind::kSubtract || (kKind == OpKind::kDivide && y.per_batch)) {
          node.fail("it mixes the batch with constants in a way that is not a multiple of the batch");
        }
        z.per_batch = true;
      } else if (x.per_batch) {
        if (kKind == OpKind::kMultiply) node.fail("it squares the batch");
        z.per_batch = kKind != OpKind::kDivide;
      }
      result.values.push_back(z);
    }
    node.bind(result);
    return;
  }
  if (node.attribute("axis") != nullptr)
    node.fail("broadcasting along an axis ended with opset 7; export with a newer opset");
  const auto [a, b] = equal_ranks(node, node.tensor(0), node.tensor(1));
  node.bind(node.add(kKind, {}, {a, b}));
}

void import_clip(const OnnxNode& node) {
  Attributes attributes;
  attributes.clamp_min = node.has_input(1) ? node.scalar(1) : node.real("min", -kInfinity);
  attributes.clamp_max = node.has_input(2) ? node.scalar(2) : node.real("max", kInfinity);
  node.bind(node.add(OpKind::kClamp, attributes, {node.tensor(0)}));
}

void import_relu(const OnnxNode& node) {
  Attributes attributes;
  attributes.clamp_min = 0;
  node.bind(node.add(OpKind::kClamp, attributes, {node.tensor(0)}));
}

void import_alpha(const OnnxNode& node, OpKind kind, float fallback) {
  Attributes attributes;
  attributes.alpha = node.real("alpha", fallback);
  node.bind(node.add(kind, attributes, {node.tensor(0)}));
}

// max(0, min(1, alpha x + beta)).
ValueId hard_sigmoid(const OnnxNode& node, ValueId x, float alpha, float beta) {
  const auto number = [&](const char* name, float value) {
    const std::vector<uint32_t> ones(node.graph[x].shape.rank(), 1);
    return node.graph.add_constant(node.name + name, ones, {&value, 1});
  };
  Attributes bounds;
  bounds.clamp_min = 0;
  bounds.clamp_max = 1;
  const ValueId scaled = node.add(OpKind::kMultiply, {}, {x, number(".alpha", alpha)});
  return node.add(OpKind::kAdd, bounds, {scaled, number(".beta", beta)});
}

void import_hard_sigmoid(const OnnxNode& node) {
  node.bind(hard_sigmoid(node, node.tensor(0), node.real("alpha", 0.2F), node.real("beta", 0.5F)));
}

// x hard_sigmoid(x) with a slope of 1/6 (Howard et al. 2019).
void import_hard_swish(const OnnxNode& node) {
  const ValueId x = node.tensor(0);
  node.bind(node.add(OpKind::kMultiply, {}, {x, hard_sigmoid(node, x, 1.0F / 6, 0.5F)}));
}

// Softmax or its logarithm over one axis; before opset 13 over the axis and all behind it.
ValueId softmax(const OnnxNode& node, OpKind kind) {
  const ValueId x = node.tensor(0);
  const Shape shape = node.graph[x].shape;
  const size_t axis = node.axis(node.integer("axis", node.opset < 13 ? 1 : -1), std::max<size_t>(shape.rank(), 1));
  Attributes attributes;
  if (node.opset >= 13 || axis + 1 == shape.rank()) {
    attributes.axes = {static_cast<uint32_t>(axis)};
    return node.add(kind, attributes, {x});
  }
  Shape flat;
  Dimension rows;
  uint32_t columns = 1;
  for (size_t i = 0; i < shape.rank(); ++i) {
    if (i >= axis) {
      if (shape[i].per_batch) node.fail("cannot normalize over the batch");
      columns *= shape[i].extent;
    } else {
      rows.extent *= shape[i].extent;
      rows.per_batch = rows.per_batch || shape[i].per_batch;
    }
  }
  flat.push_back(rows);
  flat.push_back({columns, false});
  attributes.axes = {1};
  return node.reshape(node.add(kind, attributes, {node.reshape(x, flat)}), shape);
}

// x ** constant for the exponents that models use.
// The exponent of all elements.
float exponent_of(const OnnxNode& node) {
  std::vector<float> values;
  std::vector<size_t> shape;
  if (node.is_integers(1)) {
    for (int64_t value : node.numbers(1)) values.push_back(static_cast<float>(value));
    shape = node.integers(1).shape;
  } else {
    const Value& exponents = node.graph[node.constant(1, "exponent")];
    values.assign(exponents.f32().begin(), exponents.f32().end());
    for (const Dimension& dimension : exponents.shape) shape.push_back(dimension.extent);
  }
  if (values.empty()) node.fail("its exponent is empty");
  if (std::any_of(values.begin(), values.end(), [&](float value) { return value != values[0]; }))
    node.fail("its exponents differ: only one for all elements is supported");
  const Shape& x = node.value(0).shape;
  bool broadcasts = shape.size() > x.rank();
  for (size_t i = 0; !broadcasts && i < shape.size(); ++i) {
    const Dimension& dimension = x[x.rank() - shape.size() + i];
    broadcasts = shape[i] != 1 && (dimension.per_batch || dimension.extent != shape[i]);
  }
  if (broadcasts) node.fail("its exponent has a shape that enlarges its input; give one number");
  return values[0];
}

void import_pow(const OnnxNode& node) {
  const ValueId x = node.tensor(0);
  const float exponent = exponent_of(node);
  if (exponent == 1) return node.bind(x);
  if (exponent == 2) return node.bind(node.add(OpKind::kMultiply, {}, {x, x}));
  if (exponent == 0.5F) return node.bind(node.add(OpKind::kSqrt, {}, {x}));
  node.fail(fmt::format("only the exponents 0.5, 1 and 2 are supported, not {}", exponent));
}

// y = x ⊙ scale + shift per channel (dimension 1), which passes/simplify.h folds into a neighboring linear op.
// As the op, with the running statistics in one constant [2, C]; channels are moved last and back.
void trainable_batch_norm(const OnnxNode& node, const std::vector<std::vector<float>>& parameters, float epsilon) {
  const ValueId x = node.tensor(0);
  const auto rank = static_cast<uint32_t>(node.graph[x].shape.rank());
  const uint32_t channels = node.graph[x].shape[1].extent;
  std::vector<float> running = parameters[2];
  running.insert(running.end(), parameters[3].begin(), parameters[3].end());
  // Scales may be shared, statistics are a layer's own.
  const std::string name = node.graph[node.constant(3, "mean")].name;
  const size_t dot = name.rfind('.');
  const std::string prefix = dot == std::string::npos ? node.name : name.substr(0, dot);
  const ValueId statistics = node.graph.add_constant(prefix + ".running_statistics", {2, channels}, running);
  node.graph[statistics].constant->origin =
      Origin{prefix + ".running_statistics",
             {2, channels},
             {2, channels},
             {0, 1},
             false,
             false,
             {node.graph[node.constant(3, "mean")].name, node.graph[node.constant(4, "variance")].name}};
  Permutation last = {0};
  Permutation back = {0, rank - 1};
  for (uint32_t i = 2; i < rank; ++i) last.push_back(i);
  last.push_back(1);
  for (uint32_t i = 1; i + 1 < rank; ++i) back.push_back(i);
  Attributes attributes;
  attributes.alpha = epsilon;
  const ValueId moved = rank > 2 ? node.transpose(x, last) : x;
  const ValueId y = node.add(OpKind::kBatchNorm, attributes,
                             {moved, statistics, node.constant(1, "scale"), node.constant(2, "bias")});
  node.bind(rank > 2 ? node.transpose(y, back) : y);
}

void import_batch_normalization(const OnnxNode& node) {
  if (node.integer("training_mode", 0) != 0) {
    node.fail("it is in training mode; export the model with model.eval()");
  }
  const ValueId x = node.tensor(0);
  const Shape& shape = node.graph[x].shape;
  if (shape.rank() < 2) node.fail("its input needs a channel dimension");
  const uint32_t channels = shape[1].extent;
  std::vector<std::vector<float>> parameters;
  for (size_t i = 1; i <= 4; ++i) {
    const Value& value = node.graph[node.constant(i, "scale, bias, mean and variance")];
    if (value.f32().size() != channels) node.fail(fmt::format("input {} does not have one value per channel", i));
    parameters.emplace_back(value.f32().begin(), value.f32().end());
  }
  const float epsilon = node.real("epsilon", 1e-5F);
  if (node.importer.purpose() == Purpose::kTraining) return trainable_batch_norm(node, parameters, epsilon);
  std::vector<float> scale(channels);
  std::vector<float> shift(channels);
  for (uint32_t c = 0; c < channels; ++c) {
    const double variance = parameters[3][c];
    if (!(variance + static_cast<double>(epsilon) > 0))
      node.fail(fmt::format("channel {} has variance {}", c, variance));
    const double factor = parameters[0][c] / std::sqrt(variance + static_cast<double>(epsilon));
    scale[c] = static_cast<float>(factor);
    shift[c] = static_cast<float>(parameters[1][c] - parameters[2][c] * factor);
  }
  std::vector<uint32_t> broadcast(shape.rank(), 1);
  broadcast[1] = channels;
  const ValueId scaled =
      node.add(OpKind::kMultiply, {}, {x, node.graph.add_constant(node.name + ".scale", broadcast, scale)});
  node.bind(node.add(OpKind::kAdd, {}, {scaled, node.graph.add_constant(node.name + ".shift", broadcast, shift)}));
}

// The optional outputs of LayerNormalization: means and inverse deviations over the dimensions from `axis` on.
void import_row_statistics(const OnnxNode& node, size_t axis, float epsilon) {
  const ValueId x = node.tensor(0);
  Attributes axes;
  for (size_t i = axis; i < node.graph[x].shape.rank(); ++i) axes.axes.push_back(static_cast<uint32_t>(i));
  const ValueId mean = node.add(OpKind::kMean, axes, {x});
  const ValueId difference = node.add(OpKind::kSubtract, {}, {x, mean});
  const ValueId variance = node.add(OpKind::kMean, axes, {node.add(OpKind::kMultiply, {}, {difference, difference})});
  const std::vector<uint32_t> one(node.graph[x].shape.rank(), 1);
  const auto number = [&](float value) { return node.graph.add_constant(node.name + ".number", one, {&value, 1}); };
  const ValueId deviation = node.add(OpKind::kSqrt, {}, {node.add(OpKind::kAdd, {}, {variance, number(epsilon)})});
  node.bind(mean, 1);
  node.bind(node.add(OpKind::kDivide, {}, {number(1), deviation}), 2);
}

// Over the last dimensions, which are one to the op.
void import_layer_normalization(const OnnxNode& node) {
  const ValueId x = node.tensor(0);
  const Shape shape = node.graph[x].shape;
  const size_t axis = node.axis(node.integer("axis", -1), std::max<size_t>(shape.rank(), 1));
  Shape rows;
  Dimension channels;
  for (size_t i = 0; i < shape.rank(); ++i) {
    if (i < axis) {
      rows.push_back(shape[i]);
    } else {
      if (shape[i].per_batch) node.fail("cannot normalize over the batch");
      channels.extent *= shape[i].extent;
    }
  }
  rows.push_back(channels);
  const auto flat = [&](size_t i, float fallback) {
    if (!node.has_input(i)) {
      node.expect_room(channels.extent * sizeof(float));
      const std::vector<float> values(channels.extent, fallback);
      return node.graph.add_constant(node.name + (i == 1 ? ".scale" : ".shift"), {channels.extent}, values);
    }
    if (element_count(node.value(i).shape, 1).value() != channels.extent)
      node.fail(fmt::format("input {} does not have one value for each normalized element", i));
    return node.reshaped(node.tensor(i), {channels});
  };
  Attributes attributes;
  attributes.alpha = node.real("epsilon", 1e-5F);
  if (node.proto.output_size() > 1) import_row_statistics(node, axis, attributes.alpha);
  const ValueId y = node.add(OpKind::kLayerNorm, attributes, {node.reshaped(x, rows), flat(1, 1), flat(2, 0)});
  node.bind(node.reshaped(y, shape));
}

// The transpose [K, O] -> [O, K] of a constant, its origin following; of a computed value, as an op.
ValueId transposed_matrix(const OnnxNode& node, ValueId id) {
  if (!node.graph[id].is_constant()) return node.transpose(id, {1, 0});
  const Value& value = node.graph[id];
  const uint32_t rows = value.shape[0].extent;
  const uint32_t columns = value.shape[1].extent;
  std::vector<float> result(value.f32().size());
  for (uint32_t i = 0; i < rows; ++i) {
    for (uint32_t j = 0; j < columns; ++j) result[size_t{j} * rows + i] = value.f32()[size_t{i} * columns + j];
  }
  std::optional<Origin> origin = value.constant->origin;
  if (origin) follow(&*origin, {rows, columns}, {1, 0});
  const ValueId transposed = node.graph.add_constant(value.name, {columns, rows}, result);
  node.graph[transposed].constant->origin = origin;
  return transposed;
}

ValueId scaled_constant(const OnnxNode& node, ValueId id, float factor) {
  if (factor == 1) return id;
  std::vector<float> values(node.graph[id].f32().begin(), node.graph[id].f32().end());
  for (float& value : values) value *= factor;
  const std::vector<uint32_t> shape = extents_of(node.graph[id].shape);
  std::optional<Origin> origin = node.graph[id].constant->origin;
  if (origin) origin->folded = true;
  const ValueId scaled = node.graph.add_constant(node.graph[id].name, shape, values);
  node.graph[scaled].constant->origin = origin;
  return scaled;
}

Attributes swap_last_two(size_t rank) {
  Attributes attributes;
  for (uint32_t i = 0; i < rank; ++i) attributes.permutation.push_back(i);
  std::swap(attributes.permutation[rank - 1], attributes.permutation[rank - 2]);
  return attributes;
}

void import_gemm(const OnnxNode& node) {
  ValueId a = node.tensor(0);
  const ValueId b = node.tensor(1);
  if (node.graph[a].shape.rank() != 2 || node.graph[b].shape.rank() != 2) node.fail("its operands must be matrices");
  const float alpha = node.real("alpha", 1);
  const float beta = node.real("beta", 1);
  if (node.integer("transA", 0) != 0) a = node.add(OpKind::kTranspose, swap_last_two(2), {a});
  const bool transposed = node.integer("transB", 0) != 0;
  ValueId y = 0;
  bool scaled = alpha == 1;
  if (node.is_fixed(b) && !node.is_fixed(a) && (node.graph[b].is_constant() || alpha == 1)) {
    const ValueId weights = scaled_constant(node, transposed ? b : transposed_matrix(node, b), alpha);
    scaled = true;
    const uint32_t outputs = node.graph[weights].shape[0].extent;
    std::vector<ValueId> inputs = {a, weights};
    if (node.has_input(2) && node.graph[node.tensor(2)].is_constant()) {
      const Value& c = node.value(2);
      const std::span<const float> values = c.f32();
      const bool row = values.size() == outputs && (c.shape.rank() < 2 || c.shape[0].extent == 1);
      if (row || values.size() == 1) {
        ValueId bias = node.tensor(2);
        if (values.size() == 1 && outputs != 1) {
          bias = node.graph.add_constant(c.name, {outputs}, std::vector<float>(outputs, values[0]));
        } else {
          bias = node.reshaped(bias, {{outputs, false}});
        }
        inputs.push_back(scaled_constant(node, bias, beta));
        return node.bind(node.add(OpKind::kFullyConnected, {}, inputs));
      }
    }
    y = node.add(OpKind::kFullyConnected, {}, inputs);
  } else {
    const ValueId right = transposed ? node.add(OpKind::kTranspose, swap_last_two(2), {b}) : b;
    y = node.add(OpKind::kMatmul, {}, {a, right});
  }
  const auto times = [&](ValueId x, float factor) {
    if (factor == 1) return x;
    const auto [left, right] = equal_ranks(node, x, node.graph.add_constant(node.name + ".factor", {}, {&factor, 1}));
    return node.add(OpKind::kMultiply, {}, {left, right});
  };
  if (!scaled) y = times(y, alpha);
  if (node.has_input(2)) {
    const auto [left, right] = equal_ranks(node, y, times(node.tensor(2), beta));
    y = node.add(OpKind::kAdd, {}, {left, right});
  }
  node.bind(y);
}

void import_matmul(const OnnxNode& node) {
  ValueId a = node.tensor(0);
  ValueId b = node.tensor(1);
  const size_t rank_a = node.graph[a].shape.rank();
  const size_t rank_b = node.graph[b].shape.rank();
  if (rank_a < 1 || rank_b < 1) node.fail("its operands need at least one dimension");
  if (rank_b == 2 && node.is_fixed(b) && !node.is_fixed(a)) {
    return node.bind(node.add(OpKind::kFullyConnected, {}, {a, transposed_matrix(node, b)}));
  }
  // Vectors are matrices of one row or column.
  if (rank_a == 1) a = node.reshaped(a, {{}, node.graph[a].shape[0]});
  if (rank_b == 1) b = node.reshaped(b, {node.graph[b].shape[0], {}});
  const auto [left, right] = equal_ranks(node, a, b);
  const ValueId y = node.add(OpKind::kMatmul, {}, {left, right});
  const Shape shape = node.graph[y].shape;
  Shape result;
  for (size_t i = 0; i < shape.rank(); ++i) {
    if ((rank_a == 1 && i + 2 == shape.rank()) || (rank_b == 1 && i + 1 == shape.rank())) continue;
    result.push_back(shape[i]);
  }
  node.bind(node.reshaped(y, result));
}

void import_reduce_mean(const OnnxNode& node) {
  const ValueId x = node.tensor(0);
  const Shape shape = node.graph[x].shape;
  std::vector<int64_t> axes = node.has_input(1) ? node.numbers(1) : node.integer_list("axes", {});
  if (axes.empty()) {
    if (node.integer("noop_with_empty_axes", 0) != 0) return node.bind(x);
    for (size_t i = 0; i < shape.rank(); ++i) axes.push_back(static_cast<int64_t>(i));
  }
  Attributes attributes;
  std::vector<bool> reduced(shape.rank());
  for (int64_t axis : axes) reduced[node.axis(axis, shape.rank())] = true;
  for (uint32_t i = 0; i < shape.rank(); ++i) {
    if (reduced[i]) attributes.axes.push_back(i);
  }
  ValueId y = node.add(OpKind::kMean, attributes, {x});
  if (node.integer("keepdims", 1) == 0) {
    Shape kept;
    for (size_t i = 0; i < shape.rank(); ++i) {
      if (!reduced[i]) kept.push_back(shape[i]);
    }
    y = node.reshape(y, kept);
  }
  node.bind(y);
}

void import_function(const OnnxNode& node) {
  const auto found = std::find_if(functions().begin(), functions().end(), [&](const Function& function) {
    return function.onnx != nullptr && function.onnx == node.proto.op_type();
  });
  node.bind(node.add(found->kind, {}, {node.tensor(0)}));
}

// Adds the functions that are ONNX ops alone.
Importers with_functions(Importers table) {
  for (const Function& function : functions()) {
    if (function.onnx != nullptr) table[function.onnx] = import_function;
  }
  return table;
}

template <OpKind kKind>
void import_softmax(const OnnxNode& node) {
  node.bind(softmax(node, kKind));
}

}  // namespace

const Importers& arithmetic_importers() {
  static const Importers table = with_functions({
      {"Add", import_binary<OpKind::kAdd>},
      {"BatchNormalization", import_batch_normalization},
      {"Clip", import_clip},
      {"Div", import_binary<OpKind::kDivide>},
      {"Elu", [](const OnnxNode& node) { import_alpha(node, OpKind::kElu, 1.0F); }},
      {"Gemm", import_gemm},
      {"HardSigmoid", import_hard_sigmoid},
      {"HardSwish", import_hard_swish},
      {"LeakyRelu", [](const OnnxNode& node) { import_alpha(node, OpKind::kLeakyRelu, 0.01F); }},
      {"LayerNormalization", import_layer_normalization},
      {"LogSoftmax", import_softmax<OpKind::kLogSoftmax>},
      {"MatMul", import_matmul},
      {"Mul", import_binary<OpKind::kMultiply>},
      {"Pow", import_pow},
      {"ReduceMean", import_reduce_mean},
      {"Relu", import_relu},
      {"Softmax", import_softmax<OpKind::kSoftmax>},
      {"Sub", import_binary<OpKind::kSubtract>},
  });
  return table;
}

}  // namespace figment::converter
