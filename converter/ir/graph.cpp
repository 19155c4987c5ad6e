#include "ir/graph.h"

#include <fmt/format.h>
#include <algorithm>
#include <cstring>
#include <set>
#include <sstream>

namespace figment::converter {

const PortDefinition* find_port(const std::vector<PortDefinition>& ports, const std::string& name) {
  for (const PortDefinition& port : ports) {
    if (port.name == name) return &port;
  }
  return nullptr;
}

const PortDefinition* find_named_latent(const std::vector<PortDefinition>& inputs) {
  for (const char* name : {"latent", "z", "noise"}) {
    if (const PortDefinition* port = find_port(inputs, name)) return port;
  }
  return nullptr;
}

Graph Graph::empty_like() const {
  Graph result;
  result.name = name;
  result.source_bytes = source_bytes;
  result.length = length;
  result.quantized = quantized;
  result.notes = notes;
  result.parameters = parameters;
  return result;
}

ValueId Graph::add_value(Value value) {
  values.push_back(std::move(value));
  return static_cast<ValueId>(values.size() - 1);
}

ValueId Graph::add_constant(std::string constant_name, const std::vector<uint32_t>& shape,
                            std::span<const float> values_f32) {
  Value value;
  value.name = std::move(constant_name);
  value.shape = constant_shape(shape);
  value.constant.emplace();
  uint8_t* bytes = value.constant->bytes.allocate(values_f32.size_bytes());
  if (!values_f32.empty()) std::memcpy(bytes, values_f32.data(), values_f32.size_bytes());
  return add_value(std::move(value));
}

ValueId Graph::add_constant_i32(std::string constant_name, std::span<const int32_t> values_i32) {
  Value value;
  value.name = std::move(constant_name);
  value.type = DataType::kI32;
  value.shape = constant_shape({static_cast<uint32_t>(values_i32.size())});
  value.constant.emplace();
  uint8_t* bytes = value.constant->bytes.allocate(values_i32.size_bytes());
  if (!values_i32.empty()) std::memcpy(bytes, values_i32.data(), values_i32.size_bytes());
  return add_value(std::move(value));
}

format::TensorType infer(const Graph& graph, OpKind kind, const Attributes& attributes,
                         const std::vector<ValueId>& inputs, const Value& declared, const std::string& node_name) {
  std::vector<format::TensorType> types;
  for (ValueId id : inputs) {
    const Value& value = graph[id];
    types.push_back(
        {value.type, value.shape, {value.scales, value.zero_point}, value.is_constant(), value.is_variable()});
  }
  const format::TensorType wanted{declared.type, declared.shape, {declared.scales, declared.zero_point}, false, false};
  Result<format::TensorType> output = format::infer_output(kind, attributes, types, wanted);
  if (!output.ok()) {
    std::string shapes;
    for (ValueId id : inputs) shapes += (shapes.empty() ? "" : ", ") + to_string(graph[id].shape);
    throw OpError(node_name, std::string(format::name_of(kind)) + " of " + shapes, output.status().message());
  }
  if (!element_count(output->shape, 1).within(kMaxElements)) {
    throw OpError(node_name, format::name_of(kind), "its output " + to_string(output->shape) + " is too large");
  }
  return *output;
}

const LatentDefinition* ModelDefinition::find_drawn(const std::string& program, const std::string& input) const {
  const auto found = std::ranges::find_if(
      drawn, [&](const LatentDefinition& latent) { return latent.program == program && latent.input == input; });
  return found == drawn.end() ? nullptr : &*found;
}

ValueId Graph::add_node(OpKind kind, std::string node_name, Attributes attributes, std::vector<ValueId> node_inputs,
                        const Value* declared) {
  // The type borrows from the declaration.
  static const Value kUndeclared;
  const Value& wanted = declared != nullptr ? *declared : kUndeclared;
  const format::TensorType type = infer(*this, kind, attributes, node_inputs, wanted, node_name);
  if (nodes.size() == kMaxNodes)
    throw OpError(node_name, std::string(format::name_of(kind)),
                  fmt::format("the program has more than {} ops", kMaxNodes));
  Value value;
  value.name = declared != nullptr && !declared->name.empty() ? declared->name : node_name;
  value.type = type.type;
  value.shape = type.shape;
  value.scales.assign(type.quantization.scales.begin(), type.quantization.scales.end());
  value.zero_point = type.quantization.zero_point;
  if (value.shape == wanted.shape) value.growth = wanted.growth;
  value.follows = wanted.follows;
  const ValueId output = add_value(std::move(value));
  nodes.push_back({kind, std::move(node_name), attributes, std::move(node_inputs), output});
  return output;
}

std::vector<uint32_t> Graph::use_counts() const {
  std::vector<uint32_t> counts(values.size());
  for (const Node& node : nodes) {
    for (ValueId id : node.inputs) ++counts[id];
  }
  for (const PortDefinition& port : outputs) ++counts[port.value];
  return counts;
}

std::vector<int32_t> Graph::producers() const {
  std::vector<int32_t> result(values.size(), -1);
  for (size_t i = 0; i < nodes.size(); ++i) result[nodes[i].output] = static_cast<int32_t>(i);
  return result;
}

void LatentDefinition::draw(uint64_t seed, uint64_t index, float* out) const {
  uint32_t noise = size;
  for (const CodeDefinition& code : codes) noise -= code.size;
  draw_latent(prior, seed, stream, index, noise, out, rate);
  out += noise;
  for (size_t i = 0; i < codes.size(); ++i) {
    draw_latent(codes[i].prior, seed, code_stream(stream, i), index, codes[i].size, out);
    out += codes[i].size;
  }
}

std::optional<std::vector<std::optional<uint32_t>>> added_ones(const Shape& from, const Shape& to) {
  std::vector<std::optional<uint32_t>> result(to.rank());
  uint32_t next = 0;
  for (uint32_t d = 0; d < to.rank(); ++d) {
    if (to[d] == Dimension{}) {
      if (next < from.rank() && from[next] == Dimension{}) result[d] = next++;
      continue;
    }
    while (next < from.rank() && from[next] == Dimension{}) ++next;
    if (next == from.rank() || !(from[next] == to[d])) return std::nullopt;
    result[d] = next++;
  }
  while (next < from.rank() && from[next] == Dimension{}) ++next;
  if (next != from.rank()) return std::nullopt;
  return result;
}

std::string to_string(const Shape& shape) {
  std::ostringstream out;
  out << '[';
  for (size_t i = 0; i < shape.rank(); ++i) {
    if (i > 0) out << ", ";
    if (!shape[i].per_batch) {
      out << shape[i].extent;
    } else if (shape[i].extent == 1) {
      out << 'N';
    } else {
      out << shape[i].extent << "·N";
    }
  }
  out << ']';
  return out.str();
}

std::string dump(const Graph& graph) {
  std::ostringstream out;
  const auto describe = [&](ValueId id) {
    const Value& value = graph[id];
    out << '%' << id << ' ' << format::name_of(value.type) << to_string(value.shape);
    if (value.scales.size() == 1) out << " scale " << value.scales[0] << " zero " << value.zero_point;
    if (value.is_constant()) out << " const";
  };
  out << "program " << graph.name << '\n';
  for (const PortDefinition& port : graph.inputs) {
    out << "  input " << port.name << " = ";
    describe(port.value);
    out << '\n';
  }
  for (const Node& node : graph.nodes) {
    out << "  ";
    describe(node.output);
    out << " = " << format::name_of(node.kind) << '(';
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (i > 0) out << ", ";
      describe(node.inputs[i]);
    }
    out << ")  # " << node.name << '\n';
  }
  for (const PortDefinition& port : graph.outputs) {
    out << "  output " << port.name << " = ";
    describe(port.value);
    out << '\n';
  }
  return out.str();
}

std::vector<uint32_t> extents_of(const Shape& shape) {
  std::vector<uint32_t> extents;
  for (const Dimension& dimension : shape) extents.push_back(dimension.extent);
  return extents;
}

Shape constant_shape(const std::vector<uint32_t>& extents) {
  if (extents.size() > kMaxRank) throw Error(fmt::format("a constant has more than {} dimensions", kMaxRank));
  Shape shape;
  for (uint32_t extent : extents) shape.push_back({extent, false});
  return shape;
}

std::vector<float> transposed(std::span<const float> in, const std::vector<uint32_t>& shape,
                              const std::vector<uint32_t>& permutation) {
  std::vector<size_t> strides(shape.size());
  size_t size = 1;
  for (size_t i = shape.size(); i > 0; --i) {
    strides[i - 1] = size;
    size *= shape[i - 1];
  }
  std::vector<float> out(in.size());
  std::vector<uint32_t> position(shape.size());
  for (float& element : out) {
    size_t offset = 0;
    for (size_t i = 0; i < shape.size(); ++i) offset += position[i] * strides[permutation[i]];
    element = in[offset];
    for (size_t i = shape.size(); i > 0; --i) {
      if (++position[i - 1] < shape[permutation[i - 1]]) break;
      position[i - 1] = 0;
    }
  }
  return out;
}

namespace {

// Where the dimensions of a dense shape end, in elements from the right: [2, 3, 4] -> 4, 12, 24. Dimensions of 1 end
// nowhere.
std::set<uint64_t> ends_of(const std::vector<uint32_t>& shape) {
  std::set<uint64_t> ends;
  uint64_t product = 1;
  for (size_t i = shape.size(); i > 0; --i) {
    product *= shape[i - 1];
    if (product > 1) ends.insert(product);
  }
  return ends;
}

// For each dimension of `shape` the parts, by number, of a shape that splits it further: parts[i] ends at ends[i] from
// the right; those of one dimension are listed from the left.
std::vector<std::vector<size_t>> parts_of(const std::vector<uint32_t>& shape, const std::vector<uint64_t>& ends) {
  std::vector<std::vector<size_t>> parts(shape.size());
  uint64_t product = 1;
  size_t next = 0;
  for (size_t i = shape.size(); i > 0; --i) {
    product *= shape[i - 1];
    while (next < ends.size() && ends[next] <= product) parts[i - 1].insert(parts[i - 1].begin(), next++);
  }
  return parts;
}

}  // namespace

void follow(Origin* origin, const std::vector<uint32_t>& split, const std::vector<uint32_t>& permutation) {
  // The constant's present order, dimension by dimension, and the parts that both it and `split` are made of.
  std::vector<uint32_t> present;
  for (uint8_t axis : origin->permutation) present.push_back(origin->split[axis]);
  std::set<uint64_t> all = ends_of(present);
  all.merge(ends_of(split));
  const std::vector<uint64_t> ends(all.begin(), all.end());
  std::vector<uint32_t> extents;
  uint64_t before = 1;
  for (uint64_t end : ends) {
    if (end % before != 0) {
      origin->folded = true;
      return;
    }
    extents.push_back(static_cast<uint32_t>(end / before));
    before = end;
  }
  // The parts as they stand in the exporter's order, and as they come to stand.
  const std::vector<std::vector<size_t>> of_present = parts_of(present, ends);
  std::vector<size_t> exporters;
  for (size_t axis = 0; axis < origin->split.size(); ++axis) {
    const auto place = std::find(origin->permutation.begin(), origin->permutation.end(), axis);
    const std::vector<size_t>& parts = of_present[static_cast<size_t>(place - origin->permutation.begin())];
    exporters.insert(exporters.end(), parts.begin(), parts.end());
  }
  const std::vector<std::vector<size_t>> of_split = parts_of(split, ends);
  std::vector<size_t> ours;
  for (uint32_t axis : permutation) ours.insert(ours.end(), of_split[axis].begin(), of_split[axis].end());
  // Parts that stay neighbors are one dimension.
  std::vector<uint32_t> merged;
  std::vector<size_t> dimension_of(extents.size());
  for (size_t i = 0; i < exporters.size(); ++i) {
    const auto place = std::find(ours.begin(), ours.end(), exporters[i]);
    const bool joined = i > 0 && place != ours.begin() && *(place - 1) == exporters[i - 1];
    if (joined) {
      merged.back() *= extents[exporters[i]];
    } else {
      merged.push_back(extents[exporters[i]]);
    }
    dimension_of[exporters[i]] = merged.size() - 1;
  }
  if (merged.size() > kMaxRank) {
    origin->folded = true;
    return;
  }
  origin->split = merged;
  origin->permutation.clear();
  for (size_t part : ours) {
    const auto dimension = static_cast<uint8_t>(dimension_of[part]);
    if (origin->permutation.empty() || origin->permutation.back() != dimension)
      origin->permutation.push_back(dimension);
  }
  if (merged.empty()) {
    origin->split = {1};
    origin->permutation = {0};
  }
}

std::vector<bool> may_be_infinite(const Graph& graph) {
  const auto takes_infinite = [](OpKind kind) {
    switch (kind) {
      case OpKind::kAdd:
      case OpKind::kSubtract:
      case OpKind::kGreater:
      case OpKind::kEqual:
      case OpKind::kSelect:
      case OpKind::kClamp:
      case OpKind::kBroadcast:
      case OpKind::kReshape:
      case OpKind::kTranspose:
      case OpKind::kSlice:
      case OpKind::kConcat: return true;
      default: return false;
    }
  };
  std::vector<bool> result(graph.values.size(), true);
  for (const Node& node : graph.nodes) {
    for (ValueId id : node.inputs) result[id] = result[id] && takes_infinite(node.kind);
  }
  return result;
}

}  // namespace figment::converter
