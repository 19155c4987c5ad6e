// ONNX ops that draw: what they draw becomes an input of the program, which the session draws by its seed where the
// caller does not give it. So a variational autoencoder is one program, and its runs can be repeated.
#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "import/onnx_graph.h"
#include "ir/batch.h"
#include "ir/builder.h"

namespace figment::converter {

DrawnInput drawn_input(const OnnxNode& node, const std::string& suffix, const Shape& shape) {
  // Values are drawn sample by sample, the batch first.
  Value value;
  value.name = node.name + suffix;
  Permutation back;
  size_t batch = 0;
  while (batch < shape.rank() && !shape[batch].per_batch) ++batch;
  const bool per_batch = batch < shape.rank();
  if (!per_batch) batch = 0;
  if (per_batch) value.shape.push_back(shape[batch]);
  for (uint32_t i = 0; i < shape.rank(); ++i) {
    if (i != batch || !per_batch) value.shape.push_back(shape[i]);
    back.push_back(!per_batch ? i : i == batch ? 0 : i < batch ? i + 1 : i);
  }
  PortDefinition port{value.name, 0, value.shape, {}, 0, {}};
  for (uint32_t i = 0; i < shape.rank(); ++i) port.permutation.push_back(i);
  port.value = node.graph.add_value(std::move(value));
  node.graph.inputs.push_back(port);
  return {batch == 0 ? port.value : node.transpose(port.value, back), per_batch};
}

namespace {

// An input drawn from a prior of sessions.
ValueId drawn(const OnnxNode& node, const Shape& shape, Prior prior) {
  if (node.importer.purpose() == Purpose::kTraining)
    node.fail("it draws inside a network, which train steps do not: make what it draws an input of the network");
  if (shape.rank() == 0) node.fail("it draws a single number, without a dimension: export it with a shape");
  if (!element_count(shape, 1).within(kMaxElements)) node.fail("it draws too many values");
  const DrawnInput input = drawn_input(node, "", shape);
  node.graph.inputs.back().drawn = prior;
  node.importer.note("what " + node.name + " draws is an input of the program: sessions draw it by their seed, or " +
                     "give it by that name");
  return input.value;
}

Shape drawn_shape(const OnnxNode& node) {
  Shape shape;
  if (node.input_count() > 0) shape = node.value(0).shape;
  for (int64_t extent : node.integer_list("shape", {})) {
    if (extent < 1 || static_cast<uint64_t>(extent) > kMaxExtent || shape.full())
      node.fail("its shape is out of range");
    shape.push_back({static_cast<uint32_t>(extent), false});
  }
  // Where the exporter had fixed the batch, each sample draws its own.
  const uint32_t batch = node.importer.reopened_batch();
  const bool open = has_batch(shape);
  if (!open && batch != 0 && shape.rank() > 0 && shape[0].extent % batch == 0)
    shape[0] = {shape[0].extent / batch, true};
  return shape;
}

// x * factor + offset.
ValueId scaled(Builder& build, ValueId x, float factor, float offset) {
  if (factor != 1) x = build.with_scalar(OpKind::kMultiply, x, factor);
  return offset == 0 ? x : build.with_scalar(OpKind::kAdd, x, offset);
}

void import_normal(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = drawn(node, drawn_shape(node), Prior::kNormal);
  node.bind(scaled(build, x, node.real("scale", 1), node.real("mean", 0)));
}

// Sessions draw on [-1, 1).
ValueId uniform(const OnnxNode& node, const Shape& shape, float low, float high) {
  Builder build(&node.graph, node.name);
  return scaled(build, drawn(node, shape, Prior::kUniform), (high - low) / 2, (high + low) / 2);
}

void import_uniform(const OnnxNode& node) {
  node.bind(uniform(node, drawn_shape(node), node.real("low", 0), node.real("high", 1)));
}

// 1 with the probability x, else 0.
void import_bernoulli(const OnnxNode& node) {
  const ValueId x = node.tensor(0);
  node.bind(node.add(OpKind::kGreater, {}, {x, uniform(node, node.graph[x].shape, 0, 1)}));
}

// An index drawn with probabilities softmax(x): the greatest of x - log(-log u) (Gumbel 1954).
void import_multinomial(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.tensor(0);
  const Shape shape = build.shape(x);
  if (shape.rank() != 2 || shape[1].per_batch) node.fail("it needs logits [N, classes]");
  if (node.integer("sample_size", 1) != 1) node.fail("only a sample_size of 1 is supported");
  const auto negative_log = [&](ValueId value) {
    return build.add(OpKind::kNegate, {build.add(OpKind::kLog, {value})});
  };
  const ValueId noise = negative_log(negative_log(uniform(node, shape, 0, 1)));
  Attributes along;
  along.axes = {1};
  node.bind(build.add(OpKind::kArgMax, {build.add(OpKind::kAdd, {x, noise})}, along));
}

}  // namespace

const Importers& random_importers() {
  static const Importers table = {
      {"Bernoulli",
       {import_bernoulli, 15, {OpKind::kAdd, OpKind::kMultiply, OpKind::kGreater}, "with an input that sessions draw"}},
      {"Multinomial",
       {import_multinomial,
        7,
        {OpKind::kAdd, OpKind::kMultiply, OpKind::kLog, OpKind::kNegate, OpKind::kArgMax},
        "sample_size 1"}},
      {"RandomNormal", {import_normal, 6, {OpKind::kAdd, OpKind::kMultiply}, "an input that sessions draw"}},
      {"RandomNormalLike", {import_normal, 6, {OpKind::kAdd, OpKind::kMultiply}, "an input that sessions draw"}},
      {"RandomUniform", {import_uniform, 6, {OpKind::kAdd, OpKind::kMultiply}, "an input that sessions draw"}},
      {"RandomUniformLike", {import_uniform, 6, {OpKind::kAdd, OpKind::kMultiply}, "an input that sessions draw"}},
  };
  return table;
}

}  // namespace figment::converter
