// One node of an ONNX graph: its operands and attributes, checked, and what it adds to the program.
#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "import/onnx_graph.h"
#include "io/terminal.h"

namespace figment::converter {

Permutation nchw_to_nhwc() { return {0, 2, 3, 1}; }
Permutation nhwc_to_nchw() { return {0, 3, 1, 2}; }

void OnnxNode::fail(const std::string& what) const {
  throw NodeError(name, fmt::format("{}, opset {}", proto.op_type(), opset), what);
}

void OnnxNode::expect_room(uint64_t bytes) const {
  // The passes behind hold copies: of other layouts, of the folded graph, of the file that is written.
  constexpr uint64_t kCopies = 4;
  uint64_t total = 0;
  if (__builtin_add_overflow(importer.made_, bytes, &total) || __builtin_mul_overflow(total, kCopies, &total))
    total = UINT64_MAX;
  if (total <= importer.budget_.bytes()) return;
  throw TooLarge(name, fmt::format("{}, opset {}", proto.op_type(), opset),
                 "what it and the nodes before it make of constants would take " +
                     io::format_bytes(static_cast<double>(total)) +
                     ", too much for a file of this size; --allow-large lifts this limit");
}

void OnnxNode::spend(uint64_t bytes) const {
  if (bytes == 0) return;
  expect_room(bytes);
  importer.made_ += bytes;
}

Binding& OnnxNode::binding(size_t i) const {
  if (!has_input(i)) fail(fmt::format("input {} is missing", i));
  const std::string& input = proto.input(static_cast<int>(i));
  const auto found = importer.bindings_.find(input);
  if (found == importer.bindings_.end()) {
    if (importer.node_outputs_.contains(input))
      fail("input " + input + " is computed from what it computes: the graph has a cycle");
    fail("input " + input + " does not exist in the graph");
  }
  return found->second;
}

ValueId OnnxNode::tensor(size_t i) const {
  Binding& found = binding(i);
  const std::string& input = proto.input(static_cast<int>(i));
  if (const auto* known = std::get_if<KnownTensor>(&found)) {
    bool beside_integers = false;
    for (size_t j = 0; j < input_count(); ++j) beside_integers = beside_integers || holds_integers(j);
    if (!known->is_float() && !beside_integers) {
      fail("input " + input +
           " holds integers; only shapes may be computed with integers: export the model with .float()");
    }
    // Integers stay known beside the constant: others may read them as a shape.
    const ValueId constant = importer.constant_of(*known, input);
    if (!known->is_float()) return constant;
    found = constant;
  }
  return std::get<ValueId>(found);
}

ValueId OnnxNode::number(size_t i) const {
  Binding& found = binding(i);
  if (const auto* known = std::get_if<KnownTensor>(&found)) {
    const KnownTensor copy = *known;
    return importer.constant_of(copy, proto.input(static_cast<int>(i)));
  }
  return std::get<ValueId>(found);
}

bool OnnxNode::is_fixed(ValueId id) const { return importer.is_fixed(id); }

void OnnxImporter::know_nodes() {
  fixed_.resize(graph_.values.size());
  producers_.resize(graph_.values.size(), -1);
  const auto known = [this](ValueId value) { return graph_[value].is_constant() || fixed_[value]; };
  for (; known_nodes_ < graph_.nodes.size(); ++known_nodes_) {
    const Node& node = graph_.nodes[known_nodes_];
    fixed_[node.output] = std::all_of(node.inputs.begin(), node.inputs.end(), known);
    producers_[node.output] = static_cast<int32_t>(known_nodes_);
  }
}

bool OnnxImporter::is_fixed(ValueId id) {
  know_nodes();
  return graph_[id].is_constant() || fixed_[id];
}

const Node* OnnxNode::producer(ValueId id) const {
  importer.know_nodes();
  const int32_t index = importer.producers_[id];
  return index < 0 ? nullptr : &graph.nodes[static_cast<size_t>(index)];
}

ValueId OnnxNode::constant(size_t i, const char* role) const {
  const ValueId id = tensor(i);
  if (!graph[id].is_constant()) fail(std::string("its ") + role + " must be a constant (an initializer)");
  return id;
}

bool OnnxNode::is_known(size_t i) const {
  if (!has_input(i)) return false;
  const auto found = importer.bindings_.find(proto.input(static_cast<int>(i)));
  return found != importer.bindings_.end() && std::holds_alternative<KnownTensor>(found->second);
}

bool OnnxNode::is_integers(size_t i) const {
  return is_known(i) && !std::get<KnownTensor>(importer.bindings_.at(proto.input(static_cast<int>(i)))).is_float();
}

const KnownTensor& OnnxNode::integers(size_t i) const {
  if (!is_integers(i)) {
    if (!has_input(i)) fail(fmt::format("input {} is missing", i));
    fail("input " + proto.input(static_cast<int>(i)) + " must be integers known while converting: " + kSimplify);
  }
  return std::get<KnownTensor>(importer.bindings_.at(proto.input(static_cast<int>(i))));
}

std::vector<int64_t> OnnxNode::numbers(size_t i) const {
  std::vector<int64_t> result;
  for (const Number& number : integers(i).values) {
    if (number.per_batch) fail("input " + proto.input(static_cast<int>(i)) + " depends on the batch");
    result.push_back(number.value);
  }
  return result;
}

KnownTensor OnnxNode::known(const onnx::TensorProto& tensor) const {
  KnownTensor result;
  result.type = tensor.data_type();
  for (uint32_t extent : extents_of(tensor)) result.shape.push_back(extent);
  if (result.is_float()) {
    for (float value : importer.reader_.floats(tensor)) result.values.push_back({0, false, value});
  } else {
    for (int64_t value : importer.reader_.integers(tensor)) result.values.push_back({value});
  }
  return result;
}

float OnnxNode::scalar(size_t i) const {
  const Value& found = graph[constant(i, "scalar input")];
  if (found.f32().size() != 1) fail(fmt::format("input {} must be one number", i));
  return found.f32()[0];
}

const onnx::AttributeProto* OnnxNode::attribute(const char* attribute_name) const {
  for (const onnx::AttributeProto& entry : proto.attribute()) {
    if (entry.name() == attribute_name) return &entry;
  }
  return nullptr;
}

int64_t OnnxNode::integer(const char* attribute_name, int64_t fallback) const {
  const onnx::AttributeProto* found = attribute(attribute_name);
  return found == nullptr ? fallback : found->i();
}

float OnnxNode::real(const char* attribute_name, float fallback) const {
  const onnx::AttributeProto* found = attribute(attribute_name);
  return found == nullptr ? fallback : found->f();
}

std::string OnnxNode::text(const char* attribute_name, const std::string& fallback) const {
  const onnx::AttributeProto* found = attribute(attribute_name);
  return found == nullptr ? fallback : found->s();
}

std::vector<int64_t> OnnxNode::integer_list(const char* attribute_name, std::vector<int64_t> fallback) const {
  const onnx::AttributeProto* found = attribute(attribute_name);
  if (found == nullptr) return fallback;
  return {found->ints().begin(), found->ints().end()};
}

size_t OnnxNode::axis(int64_t axis, size_t rank) const {
  const auto signed_rank = static_cast<int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank) fail(fmt::format("axis {} is out of range", axis));
  return static_cast<size_t>(axis < 0 ? axis + signed_rank : axis);
}

bool OnnxNode::is_read(size_t i) const {
  return i < static_cast<size_t>(proto.output_size()) && importer.read_.contains(proto.output(static_cast<int>(i)));
}

namespace {

// The least and greatest value of an integer type; of uint64, as far as int64 goes.
std::pair<int64_t, int64_t> range_of(int32_t type) {
  switch (type) {
    case onnx::TensorProto::BOOL: return {0, 1};
    case onnx::TensorProto::INT8: return {INT8_MIN, INT8_MAX};
    case onnx::TensorProto::INT16: return {INT16_MIN, INT16_MAX};
    case onnx::TensorProto::INT32: return {INT32_MIN, INT32_MAX};
    case onnx::TensorProto::UINT8: return {0, UINT8_MAX};
    case onnx::TensorProto::UINT16: return {0, UINT16_MAX};
    case onnx::TensorProto::UINT32: return {0, UINT32_MAX};
    case onnx::TensorProto::UINT64: return {0, INT64_MAX};
    default: return {INT64_MIN, INT64_MAX};
  }
}

}  // namespace

void OnnxNode::bind(const Binding& binding, size_t output) const {
  if (output >= static_cast<size_t>(proto.output_size()) || proto.output(static_cast<int>(output)).empty()) return;
  const std::string& key = proto.output(static_cast<int>(output));
  if (const auto* tensor = std::get_if<KnownTensor>(&binding)) {
    spend(tensor->values.size() * sizeof(Number));
    const auto [least, greatest] = range_of(tensor->type);
    for (const Number& number : tensor->values) {
      if (number.value < least || number.value > greatest)
        fail(fmt::format("its integers overflow: {} is no {}", number.value, type_name(tensor->type)));
    }
  }
  if (!importer.bindings_.emplace(key, binding).second) fail("output " + key + " is defined twice");
}

ValueId OnnxNode::add(OpKind kind, Attributes attributes, std::vector<ValueId> inputs, const Value* declared) const {
  return graph.add_node(kind, name, attributes, std::move(inputs), declared);
}

ValueId OnnxNode::transpose(ValueId x, const Permutation& permutation) const {
  Attributes attributes;
  attributes.permutation = permutation;
  return add(OpKind::kTranspose, attributes, {x});
}

ValueId OnnxNode::concatenate(std::vector<ValueId> parts, uint32_t axis) const {
  Attributes along;
  along.axes = {axis};
  // An op has so many operands at most.
  while (parts.size() > 1) {
    std::vector<ValueId> joined;
    for (size_t i = 0; i < parts.size(); i += format::kMaxOperands) {
      const auto begin = parts.begin() + static_cast<ptrdiff_t>(i);
      const size_t count = std::min(parts.size() - i, format::kMaxOperands);
      const std::vector<ValueId> some(begin, begin + static_cast<ptrdiff_t>(count));
      joined.push_back(count == 1 ? some[0] : add(OpKind::kConcat, along, some));
    }
    parts = std::move(joined);
  }
  return parts[0];
}

ValueId OnnxNode::reshape(ValueId x, const Shape& shape) const {
  Value declared;
  declared.shape = shape;
  return add(OpKind::kReshape, {}, {x}, &declared);
}

ValueId OnnxNode::reshaped(ValueId x, const Shape& shape) const {
  if (graph[x].shape == shape) return x;
  if (!graph[x].is_constant()) return reshape(x, shape);
  Value copy = graph[x];
  copy.shape = shape;
  return graph.add_value(std::move(copy));
}

bool OnnxNode::holds_integers(size_t i) const {
  return has_input(i) && importer.meaning(proto.input(static_cast<int>(i))).integers;
}

}  // namespace figment::converter
