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
  for (int i = 0; i < branch->g().output_size(); ++i) {
    const auto found = bindings_.find(branch->g().output(i).name());
    if (found == bindings_.end()) node.fail("output " + branch->g().output(i).name() + " is never computed");
    const Binding binding = found->second;
    node.bind(binding, static_cast<size_t>(i));
  }
}

void OnnxImporter::forget(const onnx::GraphProto& graph) {
  for (const onnx::TensorProto& tensor : graph.initializer()) bindings_.erase(tensor.name());
  for (const onnx::ValueInfoProto& input : graph.input()) bindings_.erase(input.name());
  for (const onnx::NodeProto& node : graph.node()) {
    for (const std::string& output : node.output()) {
      bindings_.erase(output);
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
Binding stacked(const OnnxNode& node, const std::vector<Binding>& parts) {
  if (parts.empty()) node.fail("it is passed through never, so that its outputs are empty");
  if (const auto* first = std::get_if<KnownTensor>(&parts[0])) {
    KnownTensor result = *first;
    result.shape.insert(result.shape.begin(), parts.size());
    result.values.clear();
    for (const Binding& part : parts) {
      const auto* known = std::get_if<KnownTensor>(&part);
      if (known == nullptr || known->values.size() != first->values.size())
        node.fail("its passes differ in what they give");
      result.values.insert(result.values.end(), known->values.begin(), known->values.end());
    }
    return result;
  }
  std::vector<ValueId> values;
  for (const Binding& part : parts) {
    const ValueId* id = std::get_if<ValueId>(&part);
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
  constexpr size_t kMostNodes = 65536;  // what a file may have
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
  std::vector<Binding> carried;
  for (int i = 0; i < carried_count; ++i) carried.push_back(node.binding(static_cast<size_t>(i) + 2));
  std::vector<std::vector<Binding>> scanned(static_cast<size_t>(scans));
  const std::string outer = name_suffix_;
  const size_t problems = problems_.size();
  for (int64_t pass = 0; pass < limit && goes_on; ++pass) {
    if (++passes_ > kMostPasses) node.fail(fmt::format("loops are passed through more than {} times", kMostPasses));
    if (graph_.nodes.size() > kMostNodes) node.fail(fmt::format("it makes more than {} ops", kMostNodes));
    name_suffix_ = fmt::format("{}/{}", outer, pass);
    bindings_[body.input(0).name()] = KnownTensor{{}, {{pass}}};
    bindings_[body.input(1).name()] = KnownTensor{{}, {{1}}, onnx::TensorProto::BOOL};
    for (int i = 0; i < carried_count; ++i) bindings_[body.input(i + 2).name()] = carried[static_cast<size_t>(i)];
    bind_initializers(body);
    import_nodes(body);
    if (problems_.size() > problems) break;
    const auto output = [&](int i) {
      const auto found = bindings_.find(body.output(i).name());
      if (found == bindings_.end()) node.fail("output " + body.output(i).name() + " of its body is never computed");
      return found->second;
    };
    goes_on = is_true(node, output(0));
    for (int i = 0; i < carried_count; ++i) carried[static_cast<size_t>(i)] = output(i + 1);
    for (int i = 0; i < scans; ++i) scanned[static_cast<size_t>(i)].push_back(output(carried_count + 1 + i));
    forget(body);
  }
  name_suffix_ = outer;
  if (problems_.size() > problems) return forget(body);
  for (int i = 0; i < carried_count; ++i) node.bind(carried[static_cast<size_t>(i)], static_cast<size_t>(i));
  for (int i = 0; i < scans; ++i) {
    const size_t place = static_cast<size_t>(carried_count) + static_cast<size_t>(i);
    if (node.is_read(place)) node.bind(stacked(node, scanned[static_cast<size_t>(i)]), place);
  }
}

}  // namespace figment::converter
