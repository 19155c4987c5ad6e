// ONNX's control flow, as far as it is known while converting.
#include <fmt/format.h>

#include "import/onnx_graph.h"

namespace figment::converter {

void OnnxImporter::import_if(const OnnxNode& node) {
  if (!node.is_integers(0)) node.fail("its condition must be known while converting");
  const KnownTensor& condition = node.integers(0);
  if (condition.values.size() != 1) node.fail("its condition must be one value");
  const char* name = condition.values[0].value != 0 ? "then_branch" : "else_branch";
  const onnx::AttributeProto* branch = node.attribute(name);
  if (branch == nullptr || !branch->has_g() || branch->g().output_size() != node.proto.output_size()) {
    node.fail(std::string("its ") + name + " does not give its outputs");
  }
  bind_initializers(branch->g());
  import_nodes(branch->g());
  std::vector<Carried> outputs;
  for (const onnx::ValueInfoProto& output : branch->g().output()) outputs.push_back(carried(node, output.name()));
  forget(branch->g());
  for (size_t i = 0; i < outputs.size(); ++i) bind_carried(node, outputs[i], i);
}

OnnxImporter::Carried OnnxImporter::carried(const OnnxNode& node, const std::string& name) const {
  const auto found = bindings_.find(name);
  if (found == bindings_.end()) node.fail("output " + name + " is never computed");
  return {found->second, meaning(name)};
}

void OnnxImporter::bind_carried(const OnnxNode& node, const Carried& value, size_t output) {
  node.bind(value.binding, output);
  if (node.proto.output_size() > static_cast<int>(output))
    set_meaning(node.proto.output(static_cast<int>(output)), value.meaning);
}

void OnnxImporter::forget(const onnx::GraphProto& graph) {
  for (const onnx::TensorProto& tensor : graph.initializer()) bindings_.erase(tensor.name());
  for (const onnx::ValueInfoProto& input : graph.input()) {
    bindings_.erase(input.name());
    meanings_.erase(input.name());
  }
  for (const onnx::NodeProto& node : graph.node()) {
    for (const std::string& output : node.output()) {
      bindings_.erase(output);
      meanings_.erase(output);
      node_outputs_.erase(output);
    }
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_g()) forget(attribute.g());
    }
  }
}

namespace {

bool is_true(const OnnxNode& node, const Binding& binding) {
  const auto* known = std::get_if<KnownTensor>(&binding);
  if (known == nullptr || known->values.size() != 1 || known->values[0].per_batch)
    node.fail("whether it goes on must be known while converting");
  return known->values[0].value != 0;
}

// The values of all passes behind each other, along a new first dimension.
Binding stacked(const OnnxNode& node, const std::vector<OnnxImporter::Carried>& parts) {
  if (parts.empty()) node.fail("it is passed through never, so that its outputs are empty");
  if (const auto* first = std::get_if<KnownTensor>(&parts[0].binding)) {
    KnownTensor result = *first;
    result.shape.insert(result.shape.begin(), parts.size());
    result.values.clear();
    for (const OnnxImporter::Carried& part : parts) {
      const auto* known = std::get_if<KnownTensor>(&part.binding);
      if (known == nullptr || known->values.size() != first->values.size())
        node.fail("its passes differ in what they give");
      result.values.insert(result.values.end(), known->values.begin(), known->values.end());
    }
    return result;
  }
  std::vector<ValueId> values;
  for (const OnnxImporter::Carried& part : parts) {
    const ValueId* id = std::get_if<ValueId>(&part.binding);
    if (id == nullptr) node.fail("its passes differ in what they give");
    Shape shape = {{}};
    for (const Dimension& dimension : node.graph[*id].shape) {
      if (shape.full()) node.fail(fmt::format("its output has more than {} dimensions", kMaxRank));
      shape.push_back(dimension);
    }
    values.push_back(node.reshaped(*id, shape));
  }
  return node.concatenate(values, 0);
}

}  // namespace

void OnnxImporter::import_loop(const OnnxNode& node) {
  constexpr int64_t kMostPasses = 4096;
  const onnx::AttributeProto* attribute = node.attribute("body");
  if (attribute == nullptr || !attribute->has_g()) node.fail("it has no body");
  const onnx::GraphProto& body = attribute->g();
  const auto carried_count = static_cast<int>(node.input_count()) - 2;
  const int scans = body.output_size() - 1 - carried_count;
  if (carried_count < 0 || scans < 0 || body.input_size() != carried_count + 2)
    node.fail("its body does not take and give what the loop carries");
  const std::vector<int64_t> count = node.has_input(0) ? node.numbers(0) : std::vector<int64_t>{INT64_MAX};
  if (count.size() != 1) node.fail("its count must be one number");
  const int64_t limit = count[0];
  bool goes_on = !node.has_input(1) || is_true(node, node.binding(1));
  std::vector<Carried> state;
  for (int i = 0; i < carried_count; ++i) {
    const std::string& input = node.proto.input(i + 2);
    state.push_back({node.binding(static_cast<size_t>(i) + 2), meaning(input)});
  }
  std::vector<std::vector<Carried>> scanned(static_cast<size_t>(scans));
  const std::string outer = name_suffix_;
  const size_t problems = problems_.size();
  for (int64_t pass = 0; pass < limit && goes_on; ++pass) {
    if (++passes_ > kMostPasses) node.fail(fmt::format("loops are passed through more than {} times", kMostPasses));
    name_suffix_ = fmt::format("{}/{}", outer, pass);
    bindings_[body.input(0).name()] = KnownTensor{{}, {{pass}}};
    bindings_[body.input(1).name()] = KnownTensor{{}, {{1}}, onnx::TensorProto::BOOL};
    for (int i = 0; i < carried_count; ++i) {
      bindings_[body.input(i + 2).name()] = state[static_cast<size_t>(i)].binding;
      set_meaning(body.input(i + 2).name(), state[static_cast<size_t>(i)].meaning);
    }
    bind_initializers(body);
    import_nodes(body);
    if (problems_.size() > problems) break;
    const auto output = [&](int i) { return carried(node, body.output(i).name()); };
    goes_on = is_true(node, output(0).binding);
    for (int i = 0; i < carried_count; ++i) state[static_cast<size_t>(i)] = output(i + 1);
    for (int i = 0; i < scans; ++i) scanned[static_cast<size_t>(i)].push_back(output(carried_count + 1 + i));
    forget(body);
  }
  name_suffix_ = outer;
  if (problems_.size() > problems) return forget(body);
  for (int i = 0; i < carried_count; ++i) bind_carried(node, state[static_cast<size_t>(i)], static_cast<size_t>(i));
  for (int i = 0; i < scans; ++i) {
    const size_t place = static_cast<size_t>(carried_count) + static_cast<size_t>(i);
    const std::vector<Carried>& parts = scanned[static_cast<size_t>(i)];
    if (node.is_read(place)) bind_carried(node, {stacked(node, parts), parts[0].meaning}, place);
  }
}

}  // namespace figment::converter
