// ONNX's Attention and RotaryEmbedding (opset 23), as products of matrices.
#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <limits>

#include "import/onnx_graph.h"
#include "ir/builder.h"

namespace figment::converter {

namespace {

// softmax(scale q k^T + mask) v for each head (Vaswani et al. 2017). Inside, operands are [N, heads, steps, size].
class Attention {
 public:
  explicit Attention(const OnnxNode& node) : node_(node), build_(&node.graph, node.name) {
    for (size_t i : {4, 5}) {
      if (node.has_input(i) != node.has_input(4)) node.fail("past_key and past_value must be given together");
    }
    if (node.has_input(6)) node.fail("nonpad_kv_seqlen is not supported: give a mask");
  }

  void import() {
    const size_t rank = build_.shape(node_.tensor(0)).rank();
    const ValueId q = with_heads(0, "q_num_heads");
    ValueId k = with_heads(1, "kv_num_heads");
    ValueId v = with_heads(2, "kv_num_heads");
    if (node_.has_input(4)) {
      k = node_.concatenate({node_.tensor(4), k}, 2);
      v = node_.concatenate({node_.tensor(5), v}, 2);
    }
    node_.bind(k, 1);
    node_.bind(v, 2);
    const Shape shape = build_.shape(q);
    k = for_each_query(k, shape[1]);
    v = for_each_query(v, shape[1]);
    const float scale = node_.real("scale", 1 / std::sqrt(static_cast<float>(shape[3].extent)));
    ValueId scores = build_.with_scalar(OpKind::kMultiply, build_.matmul(q, false, k, true), scale);
    std::vector<ValueId> stages = {scores};
    if (const float cap = node_.real("softcap", 0); cap != 0) {
      const ValueId bent = build_.add(OpKind::kTanh, {build_.with_scalar(OpKind::kMultiply, scores, 1 / cap)});
      scores = build_.with_scalar(OpKind::kMultiply, bent, cap);
    }
    stages.push_back(scores);
    if (node_.has_input(3)) scores = masked(scores);
    if (const std::optional<ValueId> window = window_mask(scores)) scores = build_.add(OpKind::kAdd, {scores, *window});
    stages.push_back(scores);
    Attributes along;
    along.axes = {3};
    ValueId weights = build_.add(OpKind::kSoftmax, {scores}, along);
    if (node_.has_input(3)) {
      // A query that may look at nothing sees zeros.
      weights =
          build_.add(OpKind::kSelect, {build_.add(OpKind::kEqual, {weights, weights}), weights, build_.scalar(0, 4)});
    }
    stages.push_back(weights);
    const int64_t mode = node_.integer("qk_matmul_output_mode", 0);
    if (mode < 0 || mode >= std::ssize(stages)) node_.fail("its qk_matmul_output_mode is unknown");
    node_.bind(stages[static_cast<size_t>(mode)], 3);
    ValueId y = build_.matmul(weights, false, v, false);
    if (rank == 3) {
      const Shape heads = build_.shape(y);
      y = build_.reshape(node_.transpose(y, {0, 2, 1, 3}),
                         {heads[0], heads[2], {heads[1].extent * heads[3].extent, false}});
    }
    node_.bind(y, 0);
  }

 private:
  ValueId with_heads(size_t input, const char* count) {
    const ValueId x = node_.tensor(input);
    const Shape shape = build_.shape(x);
    if (shape.rank() == 4) return x;
    const int64_t heads = node_.integer(count, 0);
    if (shape.rank() != 3 || heads < 1 || shape[2].extent % heads != 0)
      node_.fail(fmt::format("input {} is neither [N, heads, steps, size] nor [N, steps, heads size]", input));
    const auto number = static_cast<uint32_t>(heads);
    return node_.transpose(build_.reshape(x, {shape[0], shape[1], {number, false}, {shape[2].extent / number, false}}),
                           {0, 2, 1, 3});
  }

  // Heads of keys and values serve several heads of queries (Ainslie et al. 2023).
  ValueId for_each_query(ValueId x, Dimension heads) {
    const Shape shape = build_.shape(x);
    if (shape[1] == heads) return x;
    if (shape[1].extent == 0 || heads.extent % shape[1].extent != 0) node_.fail("its heads do not divide");
    const Dimension each = {heads.extent / shape[1].extent, false};
    const ValueId apart = build_.reshape(x, {shape[0], shape[1], {}, shape[2], shape[3]});
    const ValueId wide = build_.add_shaped(OpKind::kBroadcast, {apart}, {shape[0], shape[1], each, shape[2], shape[3]});
    return build_.reshape(wide, {shape[0], heads, shape[2], shape[3]});
  }

  // A mask of booleans chooses, one of floats is added.
  ValueId masked(ValueId scores) {
    const bool chooses = node_.is_integers(3) || node_.holds_integers(3);
    auto [left, mask] = equal_ranks(node_, scores, node_.number(3));
    // A shorter mask leaves out the last keys.
    const Shape shape = build_.shape(mask);
    const uint32_t keys = build_.shape(scores)[3].extent;
    if (shape[3].extent < keys && shape[3].extent > 1) {
      Attributes behind;
      behind.before = {0, 0, 0, 0};
      behind.after = {0, 0, 0, keys - shape[3].extent};
      behind.pad_value = chooses ? 0 : std::numeric_limits<float>::lowest();
      mask = build_.add(OpKind::kPad, {mask}, behind);
    }
    if (!chooses) return build_.add(OpKind::kAdd, {left, mask});
    return build_.add(OpKind::kSelect,
                      {mask, left, build_.scalar(-std::numeric_limits<float>::infinity(), build_.shape(left).rank())});
  }

  // What causality and windows leave out of [queries, keys].
  std::optional<ValueId> window_mask(ValueId scores) {
    const bool causal = node_.integer("is_causal", 0) != 0;
    const int64_t left = node_.integer("left_window_size", -1);
    const int64_t right = node_.integer("right_window_size", -1);
    if (!causal && left < 0 && right < 0) return std::nullopt;
    const uint32_t queries = build_.shape(scores)[2].extent;
    const uint32_t keys = build_.shape(scores)[3].extent;
    // Query i stands behind the past.
    const int64_t offset = node_.has_input(4) ? int64_t{build_.shape(node_.tensor(4))[2].extent} : 0;
    node_.expect_room(uint64_t{queries} * keys * sizeof(float));
    std::vector<float> mask(size_t{queries} * keys);
    for (uint32_t i = 0; i < queries; ++i) {
      for (uint32_t j = 0; j < keys; ++j) {
        const int64_t ahead = int64_t{j} - (int64_t{i} + offset);
        const bool out = (causal && ahead > 0) || (left >= 0 && -ahead > left) || (right >= 0 && ahead > right);
        mask[size_t{i} * keys + j] = out ? -std::numeric_limits<float>::infinity() : 0;
      }
    }
    return build_.graph().add_constant(node_.name + ".mask", {1, 1, queries, keys}, mask);
  }

  const OnnxNode& node_;
  Builder build_;
};

// Pairs of elements turned by an angle of their position (Su et al. 2021): halves, or neighbors.
void import_rotary_embedding(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const Shape given = node.value(0).shape;
  ValueId x = node.tensor(0);
  // As [N, steps, heads, size].
  if (given.rank() == 4) {
    x = node.transpose(x, {0, 2, 1, 3});
  } else {
    const int64_t heads = node.integer("num_heads", 0);
    if (given.rank() != 3 || heads < 1 || given[2].extent % heads != 0)
      node.fail("its input is neither [N, heads, steps, size] nor [N, steps, heads size]");
    const auto number = static_cast<uint32_t>(heads);
    x = build.reshape(x, {given[0], given[1], {number, false}, {given[2].extent / number, false}});
  }
  const Shape shape = build.shape(x);
  const int64_t wanted = node.integer("rotary_embedding_dim", 0);
  const auto turned = static_cast<uint32_t>(wanted == 0 ? shape[3].extent : wanted);
  if (turned % 2 != 0 || turned > shape[3].extent) node.fail("its rotary_embedding_dim is odd, or too large");
  const bool neighbors = node.integer("interleaved", 0) != 0;
  // Cosines and sines as [N or 1, steps, 1, turned / 2].
  const auto angles = [&](size_t input) {
    ValueId cache = node.tensor(input);
    if (node.has_input(3)) {
      onnx::NodeProto rows;
      rows.set_op_type("Gather");
      rows.add_input(node.proto.input(static_cast<int>(input)));
      rows.add_input(node.proto.input(3));
      rows.add_output(fmt::format("{}.angles {}", node.name, input));
      node.importer.import_as({node.importer, rows, node.graph, node.opset, node.name});
      cache = node.importer.take_value(rows.output(0));
    }
    const Shape sizes = build.shape(cache);
    if (sizes.rank() != 3 || sizes[2].extent != turned / 2) node.fail("its caches do not have half of what is turned");
    return build.reshape(cache, {sizes[0], sizes[1], {}, sizes[2]});
  };
  const ValueId cosines = angles(1);
  const ValueId sines = angles(2);
  const Dimension half = {turned / 2, false};
  const auto part = [&](uint32_t which) {
    if (!neighbors) return build.slice(x, 3, which * (turned / 2), turned / 2);
    Attributes every_other;
    every_other.starts = {0, 0, 0, which};
    every_other.steps = {1, 1, 1, 2};
    return build.add_shaped(OpKind::kSlice, {x}, {shape[0], shape[1], shape[2], half}, every_other);
  };
  const ValueId first = part(0);
  const ValueId second = part(1);
  const auto product = [&](ValueId a, ValueId b) { return build.add(OpKind::kMultiply, {a, b}); };
  const ValueId real = build.add(OpKind::kSubtract, {product(first, cosines), product(second, sines)});
  const ValueId imaginary = build.add(OpKind::kAdd, {product(first, sines), product(second, cosines)});
  ValueId y = 0;
  if (neighbors) {
    const auto beside = [&](ValueId value) { return build.reshape(value, {shape[0], shape[1], shape[2], half, {}}); };
    y = build.reshape(node.concatenate({beside(real), beside(imaginary)}, 4),
                      {shape[0], shape[1], shape[2], {turned, false}});
  } else {
    y = node.concatenate({real, imaginary}, 3);
  }
  if (turned < shape[3].extent) y = node.concatenate({y, build.slice(x, 3, turned, shape[3].extent - turned)}, 3);
  node.bind(given.rank() == 4 ? node.transpose(y, {0, 2, 1, 3}) : build.reshape(y, given));
}

}  // namespace

const Importers& attention_importers() {
  static const Importers table = {
      {"Attention",
       {[](const OnnxNode& node) { Attention(node).import(); },
        23,
        {OpKind::kMatmul, OpKind::kMultiply, OpKind::kAdd, OpKind::kSoftmax, OpKind::kSelect, OpKind::kBroadcast,
         OpKind::kConcat, OpKind::kEqual, OpKind::kTanh, OpKind::kPad},
        "without nonpad_kv_seqlen"}},
      {"RotaryEmbedding",
       {import_rotary_embedding,
        23,
        {OpKind::kMultiply, OpKind::kAdd, OpKind::kSubtract, OpKind::kSlice, OpKind::kConcat, OpKind::kFullyConnected,
         OpKind::kEqual},
        ""}},
  };
  return table;
}

}  // namespace figment::converter
