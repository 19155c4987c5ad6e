// ONNX's normalizations.
#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

#include "import/onnx_graph.h"
#include "ir/builder.h"

namespace figment::converter {

namespace {

float epsilon_of(const OnnxNode& node) {
  const float epsilon = node.real("epsilon", 1e-5F);
  if (!(epsilon >= 0 && std::isfinite(epsilon))) node.fail(fmt::format("its epsilon is {}", epsilon));
  return epsilon;
}

// For ops that divide by sqrt(variance + epsilon), where the variance may be 0.
float positive_epsilon(const OnnxNode& node) { return std::max(epsilon_of(node), std::numeric_limits<float>::min()); }

// The permutation that moves dimension 1 behind all others, and the one that moves it back.
std::pair<Permutation, Permutation> channels_last(uint32_t rank) {
  Permutation last = {0};
  Permutation back = {0, rank - 1};
  for (uint32_t i = 2; i < rank; ++i) last.push_back(i);
  last.push_back(1);
  for (uint32_t i = 1; i + 1 < rank; ++i) back.push_back(i);
  return {last, back};
}

// As the op that trains, with the running statistics in one constant [2, C]; channels are moved last and back.
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
  // ONNX weighs what was, frameworks the batch: 0.9 is their 0.1, to the digits that people write.
  constexpr double kDigits = 1e6;
  const double weight = std::round((1 - static_cast<double>(node.real("momentum", 0.9F))) * kDigits) / kDigits;
  if (weight >= 0 && weight <= 1) node.graph[statistics].constant->origin->batch_weight = static_cast<float>(weight);
  const auto [last, back] = channels_last(rank);
  Attributes attributes;
  attributes.alpha = epsilon;
  const ValueId moved = rank > 2 ? node.transpose(x, last) : x;
  const ValueId y = node.add(OpKind::kBatchNorm, attributes,
                             {moved, statistics, node.constant(1, "scale"), node.constant(2, "bias")});
  node.bind(rank > 2 ? node.transpose(y, back) : y);
}

// With parameters that are computed: (x - mean) / sqrt(variance + epsilon) scale + bias, op by op.
void computed_batch_norm(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const Shape shape = node.value(0).shape;
  Shape broadcast;
  for (size_t i = 0; i < shape.rank(); ++i) broadcast.push_back(i == 1 ? shape[1] : Dimension{});
  const auto parameter = [&](size_t i) {
    if (node.value(i).shape != Shape{shape[1]})
      node.fail(fmt::format("input {} does not have one value per channel", i));
    return node.reshaped(node.tensor(i), broadcast);
  };
  const ValueId variance = build.with_scalar(OpKind::kAdd, parameter(4), positive_epsilon(node));
  const ValueId factor = build.add(OpKind::kDivide, {parameter(1), build.add(OpKind::kSqrt, {variance})});
  const ValueId centered = build.add(OpKind::kSubtract, {node.tensor(0), parameter(3)});
  node.bind(build.add(OpKind::kAdd, {build.add(OpKind::kMultiply, {centered, factor}), parameter(2)}));
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
  // Whether a factor or shift is one for each normalized element, or there is none. Others are broadcast behind the op,
  // and shifts of a broadcast factor follow it.
  std::array<bool, 3> own{};
  for (size_t i : {1U, 2U}) {
    own[i] = true;
    if (!node.has_input(i)) continue;
    const Shape& given = node.value(i).shape;
    for (size_t d = 0; d < std::max(given.rank(), shape.rank() - axis); ++d) {
      const Dimension normalized = d < shape.rank() - axis ? shape.from_end(d) : Dimension{};
      own[i] = own[i] && (d < given.rank() ? given.from_end(d) : Dimension{}) == normalized;
    }
  }
  own[2] = own[1] && own[2];
  const auto flat = [&](size_t i, float fallback) {
    if (!node.has_input(i) || !own[i])
      return node.graph.add_constant(node.name + (i == 1 ? ".scale" : ".shift"), {1}, {&fallback, 1});
    return node.reshaped(node.tensor(i), {channels});
  };
  const auto spread = [&](size_t i) {
    if (node.value(i).shape.rank() > shape.rank()) node.fail(fmt::format("input {} does not fit its input", i));
    return equal_ranks(node, x, node.tensor(i)).second;
  };
  Attributes attributes;
  attributes.alpha = positive_epsilon(node);
  if (node.proto.output_size() > 1) import_row_statistics(node, axis, attributes.alpha);
  const ValueId y = node.add(OpKind::kLayerNorm, attributes, {node.reshaped(x, rows), flat(1, 1), flat(2, 0)});
  ValueId result = node.reshaped(y, shape);
  if (!own[1]) result = node.add(OpKind::kMultiply, {}, {result, spread(1)});
  if (!own[2] && node.has_input(2)) result = node.add(OpKind::kAdd, {}, {result, spread(2)});
  node.bind(result);
}

// Input i, a factor or a shift of each channel or of each group, as group_norm's parameter: one value for each channel,
// or one where all are the same.
ValueId channel_parameter(const OnnxNode& node, size_t i, uint32_t groups, uint32_t channels) {
  Builder build(&node.graph, node.name);
  const ValueId given = node.tensor(i);
  const uint64_t size = element_count(node.graph[given].shape, 1).value();
  if (size != groups && size != channels) node.fail("scale and bias do not have one value for each channel");
  const Value& value = node.graph[given];
  // TorchScript's exporter names what it makes up for layers without parameters onnx::...
  const bool trained = node.importer.purpose() == Purpose::kTraining && size == channels && value.is_constant() &&
                       value.constant->origin && !value.constant->origin->in_layers &&
                       !value.constant->origin->name.starts_with("onnx::");
  if (value.is_constant() && !trained) {
    const std::span<const float> values = value.f32();
    const bool same = std::ranges::all_of(values, [&](float other) { return other == values[0]; });
    if (same) {
      const float one = values[0];
      return node.graph.add_constant(value.name, {1}, {&one, 1});
    }
  }
  if (size == channels) return node.reshaped(given, {{channels, false}});
  const ValueId column = node.reshaped(given, {{groups, false}, {}});
  const ValueId spread = build.add_shaped(OpKind::kBroadcast, {column}, {{groups, false}, {channels / groups, false}});
  return build.reshape(spread, {{channels, false}});
}

// x [N, C, ...] normalized over groups of channels. Channels are moved last and back.
ValueId group_norm(const OnnxNode& node, ValueId x, uint32_t groups, ValueId gamma, ValueId beta) {
  Builder build(&node.graph, node.name);
  const Shape shape = node.graph[x].shape;
  const auto rank = static_cast<uint32_t>(shape.rank());
  for (size_t i = 1; i < rank; ++i) {
    if (shape[i].per_batch) node.fail("cannot normalize over the batch");
  }
  Attributes attributes;
  attributes.alpha = positive_epsilon(node);
  attributes.groups = groups;
  if (rank == 2) {
    const ValueId rows = build.reshape(x, {shape[0], {}, shape[1]});
    return build.reshape(build.add(OpKind::kGroupNorm, {rows, gamma, beta}, attributes), shape);
  }
  const auto [last, back] = channels_last(rank);
  return node.transpose(build.add(OpKind::kGroupNorm, {node.transpose(x, last), gamma, beta}, attributes), back);
}

// What was reshaped to x [N, groups, -1], as exporters write group normalization; else x.
ValueId grouped_source(const OnnxNode& node, ValueId x) {
  const Node* reshape = node.producer(x);
  if (reshape == nullptr || reshape->kind != OpKind::kReshape) return x;
  const Shape& shape = node.graph[x].shape;
  const Shape& source = node.graph[reshape->inputs[0]].shape;
  const bool grouped = shape.rank() == 3 && source.rank() >= 2 && source[0] == shape[0] && !source[1].per_batch &&
                       source[1].extent % shape[1].extent == 0;
  return grouped ? reshape->inputs[0] : x;
}

// x [1, N·C, ...], whose channels are those of all samples, as x [N, C, ...]; scale and bias are of one or of all
// samples.
void instance_norm_of_samples(const OnnxNode& node, ValueId x) {
  Builder build(&node.graph, node.name);
  const Shape shape = node.graph[x].shape;
  Shape apart = shape;
  apart[0] = {1, true};
  apart[1] = {shape[1].extent, false};
  ValueId y = group_norm(node, build.reshape(x, apart), apart[1].extent, build.scalar(1, 1), build.scalar(0, 1));
  Shape parameter = Shape{{}, apart[1]};
  while (parameter.rank() < shape.rank()) parameter.push_back({});
  for (const auto [i, kind] : {std::pair{1U, OpKind::kMultiply}, {2U, OpKind::kAdd}}) {
    const Shape& given = node.value(i).shape;
    if (given.rank() != 1 || given[0].extent != apart[1].extent)
      node.fail("scale and bias do not have one value for each channel");
    parameter[0].per_batch = given[0].per_batch;
    y = build.add(kind, {y, build.reshape(node.tensor(i), parameter)});
  }
  node.bind(build.reshape(y, shape));
}

void import_instance_normalization(const OnnxNode& node) {
  const ValueId x = node.tensor(0);
  const Shape shape = node.graph[x].shape;
  if (shape.rank() < 3) node.fail("its input needs channels and spatial dimensions");
  if (shape[1].per_batch && shape[0] == Dimension{}) return instance_norm_of_samples(node, x);
  if (shape[1].per_batch) node.fail("cannot normalize over the batch");
  const uint32_t groups = shape[1].extent;
  const ValueId source = grouped_source(node, x);
  const uint32_t channels = node.graph[source].shape[1].extent;
  const ValueId y = group_norm(node, source, groups, channel_parameter(node, 1, groups, channels),
                               channel_parameter(node, 2, groups, channels));
  node.bind(node.reshaped(y, shape));
}

// y = x ⊙ scale + shift per channel (dimension 1), which passes/simplify.h folds into a neighboring linear op.
void import_batch_normalization(const OnnxNode& node) {
  const ValueId x = node.tensor(0);
  const Shape shape = node.graph[x].shape;
  if (shape.rank() < 2) node.fail("its input needs a channel dimension");
  if (node.integer("training_mode", 0) != 0) {
    // Statistics of the one sample there is, as of style transfer (Huang and Belongie 2017), are those of an instance.
    const bool unread = !node.is_read(1) && !node.is_read(2);
    if (shape[0] == Dimension{} && shape.rank() > 2 && unread && node.importer.purpose() == Purpose::kInference)
      return import_instance_normalization(node);
    node.fail("it is in training mode; export the model with model.eval()");
  }
  const uint32_t channels = shape[1].extent;
  for (size_t i = 1; i <= 4; ++i) {
    if (!node.value(i).is_constant() && node.importer.purpose() == Purpose::kInference)
      return computed_batch_norm(node);
  }
  std::vector<std::vector<float>> parameters;
  for (size_t i = 1; i <= 4; ++i) {
    const Value& value = node.graph[node.constant(i, "scale, bias, mean and variance")];
    if (value.f32().size() != channels) node.fail(fmt::format("input {} does not have one value per channel", i));
    parameters.emplace_back(value.f32().begin(), value.f32().end());
  }
  const float epsilon = epsilon_of(node);
  if (node.importer.purpose() == Purpose::kTraining)
    return trainable_batch_norm(node, parameters, positive_epsilon(node));
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

void import_group_normalization(const OnnxNode& node) {
  const ValueId x = node.tensor(0);
  const Shape shape = node.graph[x].shape;
  if (shape.rank() < 2 || shape[1].per_batch) node.fail("its input needs a channel dimension");
  const int64_t groups = node.integer("num_groups", 0);
  const uint32_t channels = shape[1].extent;
  if (groups < 1 || groups > channels || channels % groups != 0)
    node.fail(fmt::format("its {} groups do not divide the {} channels", groups, channels));
  const auto count = static_cast<uint32_t>(groups);
  node.bind(group_norm(node, x, count, channel_parameter(node, 1, count, channels),
                       channel_parameter(node, 2, count, channels)));
}

// x / sqrt(mean of x^2 + epsilon) * scale, over the dimensions from `axis` on (Zhang and Sennrich 2019).
void import_rms_normalization(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.tensor(0);
  const Shape shape = node.graph[x].shape;
  const size_t axis = node.axis(node.integer("axis", -1), shape.rank());
  Permutation axes;
  for (size_t i = axis; i < shape.rank(); ++i) axes.push_back(static_cast<uint32_t>(i));
  const ValueId mean = build.mean(build.add(OpKind::kMultiply, {x, x}), axes);
  const ValueId root = build.add(OpKind::kSqrt, {build.with_scalar(OpKind::kAdd, mean, positive_epsilon(node))});
  const auto [normalized, scale] = equal_ranks(node, build.add(OpKind::kDivide, {x, root}), node.tensor(1));
  node.bind(build.add(OpKind::kMultiply, {normalized, scale}));
}

// (x - mean) / deviation over axes, by default all but the channels, the batch among them.
void import_mean_variance_normalization(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.tensor(0);
  Permutation axes;
  const std::vector<int64_t> given = node.integer_list("axes", {0, 2, 3});
  if (given.size() > node.graph[x].shape.rank()) node.fail("it names more axes than there are");
  for (int64_t axis : given) axes.push_back(static_cast<uint32_t>(node.axis(axis, node.graph[x].shape.rank())));
  const ValueId centered = build.add(OpKind::kSubtract, {x, build.mean(x, axes)});
  const ValueId variance = build.mean(build.add(OpKind::kMultiply, {centered, centered}), axes);
  // ONNX's own definition adds 1e-9 to the deviation.
  const ValueId deviation = build.with_scalar(OpKind::kAdd, build.add(OpKind::kSqrt, {variance}), 1e-9F);
  node.bind(build.add(OpKind::kDivide, {centered, deviation}));
}

// x over its 1- or 2-norm along an axis.
void import_lp_normalization(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.tensor(0);
  const Permutation axes = {static_cast<uint32_t>(node.axis(node.integer("axis", -1), node.graph[x].shape.rank()))};
  const int64_t p = node.integer("p", 2);
  if (p != 1 && p != 2) node.fail(fmt::format("its p is {}, only 1 and 2 are norms of ONNX", p));
  const ValueId norm = p == 1 ? build.sum(build.add(OpKind::kAbs, {x}), axes)
                              : build.add(OpKind::kSqrt, {build.sum(build.add(OpKind::kMultiply, {x, x}), axes)});
  // Zeros stay zeros.
  Attributes positive;
  positive.clamp_min = std::numeric_limits<float>::min();
  node.bind(build.add(OpKind::kDivide, {x, build.add(OpKind::kClamp, {norm}, positive)}));
}

// x / (bias + alpha / size * sum of the squares of `size` channels around)^beta, as AlexNet has it (Krizhevsky et al.
// 2012). The sums are a product with a matrix of bands.
void import_local_response_normalization(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.tensor(0);
  const auto rank = static_cast<uint32_t>(build.shape(x).rank());
  if (rank < 2 || build.shape(x)[1].per_batch) node.fail("its input needs channels in dimension 1");
  const int64_t channels = build.shape(x)[1].extent;
  const int64_t size = node.integer("size", 0);
  if (size < 1 || size > UINT16_MAX) node.fail(fmt::format("its size is {}, and may be 1 to {}", size, UINT16_MAX));
  node.expect_room(static_cast<uint64_t>(channels) * static_cast<uint64_t>(channels) * sizeof(float));
  const float factor = node.real("alpha", 1e-4F) / static_cast<float>(size);
  std::vector<float> bands;
  for (int64_t out = 0; out < channels; ++out) {
    for (int64_t in = 0; in < channels; ++in)
      bands.push_back(in >= out - (size - 1) / 2 && in <= out + size / 2 ? factor : 0);
  }
  const auto extent = static_cast<uint32_t>(channels);
  const ValueId matrix = node.graph.add_constant(node.name, {extent, extent}, bands);
  const auto [last, back] = channels_last(rank);
  const ValueId moved = rank > 2 ? node.transpose(x, last) : x;
  const ValueId sums = build.add(OpKind::kFullyConnected, {build.add(OpKind::kMultiply, {moved, moved}), matrix});
  const ValueId log = build.add(OpKind::kLog, {build.with_scalar(OpKind::kAdd, sums, node.real("bias", 1))});
  const ValueId factors =
      build.add(OpKind::kExp, {build.with_scalar(OpKind::kMultiply, log, -node.real("beta", 0.75F))});
  const ValueId y = build.add(OpKind::kMultiply, {moved, factors});
  node.bind(rank > 2 ? node.transpose(y, back) : y);
}

}  // namespace

const Importers& normalization_importers() {
  static const Importers table = {
      {"BatchNormalization",
       {import_batch_normalization,
        6,
        {OpKind::kAdd, OpKind::kSubtract, OpKind::kMultiply, OpKind::kDivide, OpKind::kSqrt, OpKind::kBatchNorm,
         OpKind::kGroupNorm},
        "not in training mode"}},
      {"GroupNormalization", {import_group_normalization, 18, {OpKind::kGroupNorm}, ""}},
      {"InstanceNormalization",
       {import_instance_normalization, 6, {OpKind::kGroupNorm, OpKind::kMultiply, OpKind::kAdd}, ""}},
      {"LRN",
       {import_local_response_normalization,
        6,
        {OpKind::kFullyConnected, OpKind::kMultiply, OpKind::kAdd, OpKind::kLog, OpKind::kExp},
        ""}},
      {"LayerNormalization",
       {import_layer_normalization,
        17,
        {OpKind::kAdd, OpKind::kSubtract, OpKind::kMultiply, OpKind::kDivide, OpKind::kSqrt, OpKind::kMean,
         OpKind::kLayerNorm},
        ""}},
      {"LpNormalization",
       {import_lp_normalization,
        6,
        {OpKind::kMultiply, OpKind::kDivide, OpKind::kSqrt, OpKind::kAbs, OpKind::kSum, OpKind::kClamp},
        ""}},
      {"MeanVarianceNormalization",
       {import_mean_variance_normalization,
        9,
        {OpKind::kAdd, OpKind::kSubtract, OpKind::kMultiply, OpKind::kDivide, OpKind::kSqrt, OpKind::kMean},
        ""}},
      {"RMSNormalization",
       {import_rms_normalization,
        23,
        {OpKind::kAdd, OpKind::kMultiply, OpKind::kDivide, OpKind::kSqrt, OpKind::kMean},
        ""}},
  };
  return table;
}

}  // namespace figment::converter
