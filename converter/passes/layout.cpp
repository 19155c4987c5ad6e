#include "passes/layout.h"

#include <fmt/format.h>
#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <set>

namespace figment::converter {

namespace {

Permutation identity(size_t rank) {
  Permutation result;
  for (uint32_t i = 0; i < rank; ++i) result.push_back(i);
  return result;
}

bool is_identity(const Permutation& permutation) { return permutation == identity(permutation.rank()); }

Permutation inverse(const Permutation& permutation) {
  Permutation result = permutation;
  for (uint32_t i = 0; i < permutation.rank(); ++i) result[permutation[i]] = i;
  return result;
}

Shape permuted(const Shape& shape, const Permutation& permutation) {
  Shape result;
  for (uint32_t axis : permutation) result.push_back(shape[axis]);
  return result;
}

// Whether transposing `shape` by `permutation` keeps the order of elements in memory.
bool moves_only_ones(const Shape& shape, const Permutation& permutation) {
  uint32_t previous = 0;
  for (uint32_t axis : permutation) {
    if (shape[axis] == Dimension{}) continue;
    if (axis < previous) return false;
    previous = axis;
  }
  return true;
}

// Ops whose attributes name dimensions of their one operand.
bool names_axes(OpKind kind) {
  return kind == OpKind::kSlice || kind == OpKind::kPad || kind == OpKind::kMean || kind == OpKind::kArgMax ||
         kind == OpKind::kSoftmax;
}

// Ops that can be computed in any order of dimensions.
bool keeps_dimensions(OpKind kind) {
  return format::is_unary_function(kind) || format::is_binary(kind) || kind == OpKind::kConcat ||
         kind == OpKind::kSelect || names_axes(kind);
}

// What an old value is in the new graph: dimension i of the old is dimension permutation[i] of `value`. If
// `features` is not empty, the old value is [N, F] and F is a flattened [features...]; `value` is [N, F] with those
// features transposed by feature_permutation (new feature dimension i is the old feature_permutation[i]).
struct Lazy {
  ValueId value = 0;
  Permutation permutation;
  std::vector<uint32_t> features;
  std::vector<uint32_t> feature_permutation;

  bool plain() const { return features.empty() && is_identity(permutation); }
};

class LayoutPass {
 public:
  explicit LayoutPass(Graph* graph) : old_(*graph), uses_(graph->use_counts()), lazy_(graph->values.size()) {
    fresh_ = old_.empty_like();
    for (size_t i = 0; i < old_.nodes.size(); ++i) {
      for (ValueId id : old_.nodes[i].inputs) readers_[id].push_back(i);
    }
  }

  std::vector<std::string> run(Graph* result) {
    for (ValueId id = 0; id < old_.values.size(); ++id) {
      if (old_[id].is_constant()) lazy_[id] = {fresh_.add_value(old_[id]), identity(old_[id].shape.rank()), {}, {}};
    }
    find_wanted();
    for (const PortDefinition& port : old_.inputs) import_input(port);
    for (const Node& node : old_.nodes) rewrite(node);
    for (const PortDefinition& port : old_.outputs) {
      PortDefinition out = port;
      Lazy& lazy = lazy_[port.value];
      if (!lazy.features.empty()) lazy = plain(lazy, port.name);
      out.value = lazy.value;
      out.permutation = inverse(lazy.permutation);
      fresh_.outputs.push_back(std::move(out));
    }
    keep_names();
    if (canceled_ > 0) notes_.push_back(fmt::format("{} transposes canceled, {} kept", canceled_, kept_));
    *result = std::move(fresh_);
    return std::move(notes_);
  }

 private:
  // From the last node to the first: in which order of its dimensions a value is wanted by the transposes behind it,
  // with nothing between that could not be computed in that order. The first of several readers decides.
  void find_wanted() {
    wanted_.resize(old_.values.size());
    for (size_t i = old_.nodes.size(); i > 0; --i) {
      const Node& node = old_.nodes[i - 1];
      for (ValueId id : node.inputs) {
        if (std::optional<Permutation> wanted = wanted_by(node, id)) wanted_[id] = wanted;
      }
    }
  }

  std::optional<Permutation> wanted_by(const Node& node, ValueId input) const {
    if (node.kind == OpKind::kTranspose) return node.attributes.permutation;
    const std::optional<Permutation>& behind = wanted_[node.output];
    if (!behind) return std::nullopt;
    const size_t rank = old_[input].shape.rank();
    if (node.kind == OpKind::kReshape) {
      const auto kept = added_ones(old_[input].shape, old_[node.output].shape);
      Permutation result;
      for (uint32_t axis : *behind) {
        if (kept && (*kept)[axis]) result.push_back(*(*kept)[axis]);
      }
      return result.rank() == rank ? std::optional(result) : std::nullopt;
    }
    return keeps_dimensions(node.kind) && rank == behind->rank() ? behind : std::nullopt;
  }

  // Values that stand for the exporter's tensors say how they lie now.
  void keep_names() {
    for (ValueId id = 0; id < old_.values.size(); ++id) {
      const Value& old = old_[id];
      const Lazy& lazy = lazy_[id];
      if (old.quantized) fresh_[lazy.value].quantized = old.quantized;
      if (!old.exporters || old.is_constant() || !lazy.features.empty() || reordered_.contains(id)) continue;
      Value& value = fresh_[lazy.value];
      if (value.exporters) continue;
      value.name = old.name;
      value.exporters.emplace();
      for (uint32_t axis : inverse(lazy.permutation)) value.exporters->push_back((*old.exporters)[axis]);
    }
  }

  // An input that is transposed first thing is taken in that layout: its port does the transposing.
  void import_input(const PortDefinition& port) {
    PortDefinition out = port;
    Value value = old_[port.value];
    value.exporters.reset();
    const Permutation permutation = wanted_[port.value].value_or(identity(value.shape.rank()));
    value.shape = permuted(value.shape, permutation);
    out.value = fresh_.add_value(std::move(value));
    out.permutation = permutation;
    lazy_[port.value] = {out.value, inverse(permutation), {}, {}};
    fresh_.inputs.push_back(std::move(out));
  }

  ValueId emit_transpose(ValueId x, const Permutation& permutation, const std::string& name) {
    if (is_identity(permutation)) return x;
    const Shape shape = permuted(fresh_[x].shape, permutation);
    if (moves_only_ones(fresh_[x].shape, permutation)) return emit_reshape(x, shape, name);
    ++kept_;
    Attributes attributes;
    attributes.permutation = permutation;
    return fresh_.add_node(OpKind::kTranspose, name, attributes, {x});
  }

  ValueId emit_reshape(ValueId x, const Shape& shape, const std::string& name) {
    if (fresh_[x].shape == shape) return x;
    Value declared;
    declared.shape = shape;
    return fresh_.add_node(OpKind::kReshape, name, {}, {x}, &declared);
  }

  // The same value in its own layout.
  Lazy plain(const Lazy& lazy, const std::string& name) {
    if (lazy.plain()) return lazy;
    Lazy result;
    if (lazy.features.empty()) {
      result.value = emit_transpose(lazy.value, lazy.permutation, name);
    } else {
      const Shape flat = fresh_[lazy.value].shape;
      Shape split = {flat[0]};
      Permutation back = {0};
      std::vector<uint32_t> inverse_features(lazy.features.size());
      for (uint32_t i = 0; i < lazy.features.size(); ++i) inverse_features[lazy.feature_permutation[i]] = i;
      for (uint32_t i = 0; i < lazy.features.size(); ++i) {
        split.push_back({lazy.features[lazy.feature_permutation[i]], false});
        back.push_back(inverse_features[i] + 1);
      }
      result.value = emit_reshape(emit_transpose(emit_reshape(lazy.value, split, name), back, name), flat, name);
    }
    result.permutation = identity(fresh_[result.value].shape.rank());
    return result;
  }

  ValueId plain_value(ValueId old_id, const std::string& name) {
    lazy_[old_id] = plain(lazy_[old_id], name);
    return lazy_[old_id].value;
  }

  // Constant `old_id` so that the old one is the new one transposed by `permutation`.
  ValueId constant_as(ValueId old_id, const Permutation& permutation) {
    const Value& value = old_[old_id];
    if (is_identity(permutation)) return lazy_[old_id].value;
    const Permutation to_new = inverse(permutation);
    const std::vector<uint32_t> order(to_new.begin(), to_new.end());
    const std::vector<float> data = transposed(value.f32(), extents_of(value.shape), order);
    const ValueId id = fresh_.add_constant(value.name, extents_of(permuted(value.shape, to_new)), data);
    if (value.constant->origin) {
      Origin origin = *value.constant->origin;
      follow(&origin, extents_of(value.shape), order);
      fresh_[id].constant->origin = origin;
    }
    return id;
  }

  ValueId emit(const Node& node, Attributes attributes, std::vector<ValueId> inputs, const Shape& shape) {
    Value declared = old_[node.output];
    declared.shape = shape;
    return fresh_.add_node(node.kind, node.name, attributes, std::move(inputs), &declared);
  }

  void rewrite(const Node& node) {
    if (format::is_unary_function(node.kind)) return rewrite_unary(node);
    if (format::is_binary(node.kind)) return rewrite_same_layout(node);
    switch (node.kind) {
      case OpKind::kTranspose: return rewrite_transpose(node);
      case OpKind::kReshape: return rewrite_reshape(node);
      case OpKind::kFullyConnected: return rewrite_fully_connected(node);
      case OpKind::kConcat:
      case OpKind::kSelect: return rewrite_same_layout(node);
      default: break;
    }
    if (names_axes(node.kind)) return rewrite_axes(node);
    std::vector<ValueId> inputs;
    for (ValueId id : node.inputs) inputs.push_back(plain_value(id, node.name));
    bind_plain(node, emit(node, node.attributes, inputs, old_[node.output].shape));
  }

  void bind_plain(const Node& node, ValueId value) {
    lazy_[node.output] = {value, identity(fresh_[value].shape.rank()), {}, {}};
  }

  void rewrite_transpose(const Node& node) {
    if (!lazy_[node.inputs[0]].features.empty()) plain_value(node.inputs[0], node.name);
    const Lazy& in = lazy_[node.inputs[0]];
    Lazy out{in.value, {}, {}, {}};
    for (uint32_t axis : node.attributes.permutation) out.permutation.push_back(in.permutation[axis]);
    if (!is_identity(node.attributes.permutation)) ++canceled_;
    lazy_[node.output] = out;
  }

  void rewrite_unary(const Node& node) {
    Lazy lazy = lazy_[node.inputs[0]];
    lazy.value = emit(node, node.attributes, {lazy.value}, fresh_[lazy.value].shape);
    lazy_[node.output] = lazy;
  }

  // Old value `id` in a layout: old dimension i is dimension permutation[i].
  ValueId value_as(ValueId id, const Permutation& permutation, const std::string& name) {
    if (old_[id].is_constant()) return constant_as(id, permutation);
    if (!lazy_[id].features.empty()) plain_value(id, name);
    const Lazy& lazy = lazy_[id];
    Permutation order = permutation;
    for (uint32_t d = 0; d < permutation.rank(); ++d) order[permutation[d]] = lazy.permutation[d];
    return emit_transpose(lazy.value, order, name);
  }

  // The layout that an op of several operands is computed in: theirs, if they have one; else their own order, or where
  // the result is transposed again that of most elements.
  Permutation common_layout(const Node& node) const {
    std::map<std::vector<uint32_t>, uint64_t> elements;
    std::vector<uint32_t> best;
    for (ValueId id : node.inputs) {
      const Lazy& lazy = lazy_[id];
      if (old_[id].is_constant() || !lazy.features.empty()) continue;
      const std::vector<uint32_t> layout(lazy.permutation.begin(), lazy.permutation.end());
      elements[layout] += element_count(old_[id].shape, 1).value();
      if (best.empty() || elements[layout] > elements[best]) best = layout;
    }
    if (best.empty() || (elements.size() > 1 && !wanted_[node.output])) return identity(old_[node.output].shape.rank());
    Permutation result;
    for (uint32_t axis : best) result.push_back(axis);
    return result;
  }

  // Binary ops and concat: all operands in one layout.
  void rewrite_same_layout(const Node& node) {
    const Permutation permutation = common_layout(node);
    std::vector<ValueId> inputs;
    for (ValueId id : node.inputs) inputs.push_back(value_as(id, permutation, node.name));
    Attributes attributes = node.attributes;
    if (node.kind == OpKind::kConcat) attributes.axes[0] = permutation[attributes.axes[0]];
    const ValueId value = emit(node, attributes, inputs, permuted(old_[node.output].shape, inverse(permutation)));
    lazy_[node.output] = {value, permutation, {}, {}};
  }

  // Ops whose attributes name dimensions: the names change, the layout stays.
  void rewrite_axes(const Node& node) {
    if (!lazy_[node.inputs[0]].features.empty()) plain_value(node.inputs[0], node.name);
    const Lazy in = lazy_[node.inputs[0]];
    const Permutation& permutation = in.permutation;
    Attributes attributes = node.attributes;
    for (size_t i = 0; i < node.attributes.axes.rank(); ++i) attributes.axes[i] = permutation[node.attributes.axes[i]];
    const auto reorder = [&](const Dimensions<uint32_t>& from, Dimensions<uint32_t>* to) {
      for (size_t i = 0; i < from.rank(); ++i) (*to)[permutation[i]] = from[i];
    };
    reorder(node.attributes.starts, &attributes.starts);
    reorder(node.attributes.steps, &attributes.steps);
    reorder(node.attributes.before, &attributes.before);
    reorder(node.attributes.after, &attributes.after);
    const ValueId value = emit(node, attributes, {in.value}, permuted(old_[node.output].shape, inverse(permutation)));
    lazy_[node.output] = {value, permutation, {}, {}};
  }

  void rewrite_reshape(const Node& node) {
    const Shape shape = old_[node.output].shape;
    const Lazy in = lazy_[node.inputs[0]];
    if (in.plain() && unflatten(node, in)) return;
    if (in.features.empty() && rewrite_ones(node, in)) return;
    // Flattening everything but the batch: the features stay in their order, and a fully connected layer behind takes
    // its weights' columns in that order.
    const bool flattens = in.features.empty() && in.permutation.rank() > 1 && in.permutation[0] == 0 &&
                          shape.rank() == 2 && shape[0] == old_[node.inputs[0]].shape[0] &&
                          feeds_fully_connected(node.output);
    if (flattens && !moves_only_ones(fresh_[in.value].shape, in.permutation)) {
      Lazy out{emit_reshape(in.value, shape, node.name), identity(2), {}, {}};
      const Shape& from = old_[node.inputs[0]].shape;
      const Permutation to_new = inverse(in.permutation);
      for (size_t i = 1; i < from.rank(); ++i) {
        out.features.push_back(from[i].extent);
        out.feature_permutation.push_back(to_new[i] - 1);
      }
      lazy_[node.output] = out;
      return;
    }
    bind_plain(node, emit_reshape(plain_value(node.inputs[0], node.name), shape, node.name));
  }

  // Dimensions of 1 come and go in whatever layout the others have: those that are added stand before the dimension
  // that follows them. So one-dimensional convolutions, which are two-dimensional ones of one row, keep theirs.
  bool rewrite_ones(const Node& node, const Lazy& in) {
    if (in.plain()) return false;
    const Shape& to = old_[node.output].shape;
    const auto kept = added_ones(old_[node.inputs[0]].shape, to);
    if (!kept) return false;
    // The old dimensions in the order of the new value's, with those that are added.
    std::vector<uint32_t> order;
    for (uint32_t d = 0; d < to.rank(); ++d) {
      if ((*kept)[d]) order.push_back(d);
    }
    std::ranges::sort(order, {}, [&](uint32_t d) { return in.permutation[*(*kept)[d]]; });
    for (uint32_t d = static_cast<uint32_t>(to.rank()); d > 0; --d) {
      if ((*kept)[d - 1]) continue;
      order.insert(std::ranges::find(order, d), d - 1);
    }
    Lazy out;
    Shape shape;
    for (uint32_t d = 0; d < to.rank(); ++d) out.permutation.push_back(0);
    for (uint32_t i = 0; i < order.size(); ++i) {
      shape.push_back(to[order[i]]);
      out.permutation[order[i]] = i;
    }
    out.value = emit_reshape(in.value, shape, node.name);
    lazy_[node.output] = out;
    return true;
  }

  bool feeds_fully_connected(ValueId id) const {
    const auto readers = readers_.find(id);
    if (readers == readers_.end() || readers->second.size() != uses_[id]) return false;
    return std::all_of(readers->second.begin(), readers->second.end(), [&](size_t reader) {
      const Node& node = old_.nodes[reader];
      return node.kind == OpKind::kFullyConnected ||
             (format::is_unary_function(node.kind) && feeds_fully_connected(node.output));
    });
  }

  // [N, F] -> [N, C, H, W] that is then wanted as [N, H, W, C]: the fully connected layer that made the features
  // gets its outputs in that order instead.
  bool unflatten(const Node& node, const Lazy& in) {
    const Shape shape = old_[node.output].shape;
    const Shape from = old_[node.inputs[0]].shape;
    if (shape.rank() != 4 || from.rank() != 2 || shape[0] != from[0] || !wanted_[node.output]) return false;
    const Permutation permutation = *wanted_[node.output];
    if (permutation[0] != 0) return false;
    if (moves_only_ones(shape, permutation)) return false;
    // The chain of elementwise functions back to the fully connected layer, each read once.
    ValueId old_id = node.inputs[0];
    ValueId id = in.value;
    const std::vector<int32_t> old_producers = old_.producers();
    const std::vector<int32_t> new_producers = fresh_.producers();
    std::set<ValueId> reordered;
    while (true) {
      reordered.insert(old_id);
      if (uses_[old_id] != 1 || old_producers[old_id] < 0 || new_producers[id] < 0) return false;
      const Node& producer = old_.nodes[static_cast<size_t>(old_producers[old_id])];
      if (producer.kind == OpKind::kFullyConnected) break;
      if (!format::is_unary_function(producer.kind)) {
        // An affine map per feature (BatchNorm1d): its constant is permuted as well.
        if (!format::is_binary(producer.kind)) return false;
        const bool first = old_[producer.inputs[0]].is_constant();
        const bool second = old_[producer.inputs[1]].is_constant();
        if (first == second) return false;
        old_id = producer.inputs[first ? 1 : 0];
        id = fresh_.nodes[static_cast<size_t>(new_producers[id])].inputs[first ? 1 : 0];
        continue;
      }
      old_id = producer.inputs[0];
      id = fresh_.nodes[static_cast<size_t>(new_producers[id])].inputs[0];
    }
    const std::vector<uint32_t> features = {shape[1].extent, shape[2].extent, shape[3].extent};
    const std::vector<uint32_t> order = {permutation[1] - 1, permutation[2] - 1, permutation[3] - 1};
    // Permute the weights' rows, the bias, and constants on the way.
    ValueId walk = in.value;
    while (true) {
      Node& producer = fresh_.nodes[static_cast<size_t>(new_producers[walk])];
      if (producer.kind == OpKind::kFullyConnected) {
        for (size_t i = 1; i < producer.inputs.size(); ++i)
          producer.inputs[i] = rows_permuted(producer.inputs[i], features, order, true);
        break;
      }
      if (format::is_binary(producer.kind)) {
        const size_t constant = fresh_[producer.inputs[0]].is_constant() ? 0 : 1;
        producer.inputs[constant] = rows_permuted(producer.inputs[constant], features, order, false);
        walk = producer.inputs[1 - constant];
        continue;
      }
      walk = producer.inputs[0];
    }
    reordered_.merge(reordered);
    const ValueId value = emit_reshape(in.value, permuted(shape, permutation), node.name);
    lazy_[node.output] = {value, inverse(permutation), {}, {}};
    notes_.push_back(node.name + ": channel order folded into the fully connected layer before it");
    return true;
  }

  // A constant whose rows (dimension 0, or the last of a broadcast [1, F]) are `features` in the order `order`.
  ValueId rows_permuted(ValueId id, const std::vector<uint32_t>& features, const std::vector<uint32_t>& order,
                        bool leading) {
    const Value value = fresh_[id];
    uint32_t count = 1;
    for (uint32_t feature : features) count *= feature;
    if (value.f32().size() % count != 0 || (!leading && value.f32().size() != count)) return id;  // one value for all
    std::vector<uint32_t> split = features;
    std::vector<uint32_t> permutation = order;
    const auto rest = static_cast<uint32_t>(value.f32().size() / count);
    if (rest > 1) {
      split.push_back(rest);
      permutation.push_back(static_cast<uint32_t>(features.size()));
    }
    const std::vector<float> data = transposed(value.f32(), split, permutation);
    const ValueId result = fresh_.add_constant(value.name, extents_of(value.shape), data);
    if (value.constant->origin) {
      Origin origin = *value.constant->origin;
      follow(&origin, split, permutation);
      fresh_[result].constant->origin = origin;
    }
    return result;
  }

  void rewrite_fully_connected(const Node& node) {
    const Lazy in = lazy_[node.inputs[0]];
    // The order of features can go into weights that are known.
    if (in.features.empty() || !old_[node.inputs[1]].is_constant()) {
      std::vector<ValueId> inputs;
      for (ValueId id : node.inputs) inputs.push_back(plain_value(id, node.name));
      return bind_plain(node, emit(node, node.attributes, inputs, old_[node.output].shape));
    }
    const Value weights = fresh_[lazy_[node.inputs[1]].value];
    std::vector<uint32_t> split = {weights.shape[0].extent};
    std::vector<uint32_t> permutation = {0};
    for (size_t i = 0; i < in.features.size(); ++i) {
      split.push_back(in.features[i]);
      permutation.push_back(in.feature_permutation[i] + 1);
    }
    const std::vector<float> data = transposed(weights.f32(), split, permutation);
    const ValueId permuted_weights = fresh_.add_constant(weights.name, extents_of(weights.shape), data);
    if (weights.constant && weights.constant->origin) {
      Origin origin = *weights.constant->origin;
      follow(&origin, split, permutation);
      fresh_[permuted_weights].constant->origin = origin;
    }
    std::vector<ValueId> inputs = {in.value, permuted_weights};
    if (node.inputs.size() == 3) inputs.push_back(lazy_[node.inputs[2]].value);
    notes_.push_back(node.name + ": channel order of its flattened input folded into its weights");
    bind_plain(node, emit(node, node.attributes, inputs, old_[node.output].shape));
  }

  const Graph& old_;
  std::vector<uint32_t> uses_;
  std::vector<Lazy> lazy_;
  std::map<ValueId, std::vector<size_t>> readers_;
  Graph fresh_;
  std::vector<std::optional<Permutation>> wanted_;  // of the old values; see find_wanted
  std::set<ValueId> reordered_;                     // old values whose features stand in another order now
  std::vector<std::string> notes_;
  size_t canceled_ = 0;
  size_t kept_ = 0;
};

}  // namespace

std::vector<std::string> assign_layouts(Graph* graph) {
  Graph result;
  std::vector<std::string> notes = LayoutPass(graph).run(&result);
  *graph = std::move(result);
  return notes;
}

}  // namespace figment::converter
