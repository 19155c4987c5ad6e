#include "import/import_onnx.h"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "import/evaluate.h"
#include "import/onnx_graph.h"
#include "import/onnx_inputs.h"
#include "import/onnx_order.h"
#include "io/files.h"
#include "io/terminal.h"
#include "ir/batch.h"

namespace figment::converter {

namespace {

constexpr int64_t kOldestOpset = 6;
// The newest whose changes to the ops below have been read (ONNX 1.23).
constexpr int64_t kNewestOpset = 28;
// The largest single file that protobuf parses.
constexpr size_t kLargestFile = size_t{2} << 30;

}  // namespace

OnnxImporter::OnnxImporter(const onnx::ModelProto& model, const std::string& path, size_t file_bytes,
                           const ImportOptions& options, const FixedBatch& reopened, Graph* graph)
    : model_(model),
      options_(options),
      purpose_(options.purpose),
      reopened_(reopened),
      graph_(*graph),
      reader_(path),
      order_(*graph),
      budget_(file_bytes) {}

void OnnxImporter::check_model() const {
  if (model_.graph().node_size() == 0) throw Error("the file has no nodes: it is not an ONNX model, or an empty one");
  if (opset_ < kOldestOpset) {
    throw Error(
        fmt::format("the model uses opset {}; export it with opset_version=17 ({} at least)", opset_, kOldestOpset));
  }
  if (opset_ > kNewestOpset) {
    throw Error(
        fmt::format("the model uses opset {}, newer than what is known here ({}): export it with opset_version=17",
                    opset_, kNewestOpset));
  }
}

Binding OnnxImporter::binding_of(const onnx::TensorProto& tensor, const std::string& name) {
  const std::vector<uint32_t> shape = extents_of(tensor);
  if (is_float_type(tensor.data_type())) {
    if (shape.size() > kMaxRank) throw Error(fmt::format("tensor {} has more than {} dimensions", name, kMaxRank));
    return graph_.add_constant(name, shape, reader_.floats(tensor));
  }
  if (!is_integer_type(tensor.data_type())) {
    throw Error("tensor " + name + " is of type " + type_name(tensor.data_type()) +
                ", which is not supported: export the model with .float()");
  }
  KnownTensor integers;
  integers.type = tensor.data_type();
  integers.shape.assign(shape.begin(), shape.end());
  for (int64_t value : reader_.integers(tensor)) integers.values.push_back({value});
  return integers;
}

void OnnxImporter::bind_initializers(const onnx::GraphProto& graph) {
  for (const onnx::TensorProto& tensor : graph.initializer()) {
    const auto [entry, fresh] = bindings_.emplace(tensor.name(), binding_of(tensor, tensor.name()));
    if (!fresh) throw Error("initializer " + tensor.name() + " is defined twice");
    if (const ValueId* id = std::get_if<ValueId>(&entry->second)) set_origin(*id, tensor.name());
  }
}

bool OnnxImporter::gives_lengths(const std::string& input) const {
  const auto& nodes = model_.graph().node();
  return std::any_of(nodes.begin(), nodes.end(), [&](const onnx::NodeProto& node) {
    const bool recurrent = node.op_type() == "LSTM" || node.op_type() == "GRU";
    const int place = recurrent ? 4 : 1;
    return (recurrent || node.op_type() == "ReverseSequence") && node.input_size() > place &&
           node.input(place) == input;
  });
}

void OnnxImporter::bind_inputs() {
  std::set<std::string> seen;
  for (const onnx::ValueInfoProto& input : model_.graph().input()) {
    if (!seen.insert(input.name()).second) throw Error("input " + input.name() + " is defined twice");
    if (bindings_.contains(input.name())) continue;  // an initializer that is listed as an input too
    const onnx::TypeProto_Tensor& type = input.type().tensor_type();
    // Sequence lengths are small integers, which f32 holds exactly.
    const bool lengths =
        (type.elem_type() == onnx::TensorProto::INT32 || type.elem_type() == onnx::TensorProto::INT64) &&
        type.shape().dim_size() == 1 && gives_lengths(input.name());
    if (!input.type().has_tensor_type() || !(is_float_type(type.elem_type()) || is_integer_type(type.elem_type()))) {
      const std::string found = input.type().has_tensor_type() ? type_name(type.elem_type()) : "no tensor";
      throw Error("input " + input.name() + " is " + found + "; only numbers are supported");
    }
    if (!type.has_shape()) {
      throw Error("input " + input.name() +
                  " has no shape: export with example inputs, or set it with onnx.tools.update_model_dims");
    }
    if (static_cast<size_t>(type.shape().dim_size()) > kMaxRank) {
      throw Error(fmt::format("input {} has more than {} dimensions", input.name(), kMaxRank));
    }
    Value value;
    value.name = input.name();
    for (int axis = 0; axis < type.shape().dim_size(); ++axis) {
      const int64_t size = size_of_dimension(input, axis, options_.dimensions);
      if (static_cast<uint64_t>(size) > kMaxExtent)
        throw Error(fmt::format("input {} has a dimension of {}", input.name(), size));
      const bool reopens = reopened_.extent != 0 && axis == reopened_.axes.at(input.name());
      if (reopens || (size == 0 && !has_batch(value.shape))) {
        value.shape.push_back({1, true});
      } else if (size != 0) {
        value.shape.push_back({static_cast<uint32_t>(size), false});
      } else {
        throw Error(fmt::format(
            "input {}: dimension {} is open beside the batch: give it a size, --dim {}=N, or export it with one",
            input.name(), axis, name_of_dimension(input, axis)));
      }
    }
    if (!element_count(value.shape, 1).within(kMaxElements)) throw Error("input " + input.name() + " is too large");
    PortDefinition port{input.name(), 0, value.shape, {}};
    for (uint32_t i = 0; i < value.shape.rank(); ++i) port.permutation.push_back(i);
    port.value = graph_.add_value(std::move(value));
    bindings_[input.name()] = port.value;
    if (is_integer_type(type.elem_type()) && !lengths) set_meaning(input.name(), {true, {}});
    port.integers = is_integer_type(type.elem_type());
    if (type.elem_type() == onnx::TensorProto::BOOL) port.least = 0, port.greatest = 1;
    graph_.inputs.push_back(std::move(port));
  }
}

void OnnxImporter::bind_outputs() {
  for (const onnx::ValueInfoProto& output : model_.graph().output()) {
    const auto found = bindings_.find(output.name());
    if (found == bindings_.end()) throw Error("output " + output.name() + " is never computed");
    if (const auto* known = std::get_if<KnownTensor>(&found->second))
      found->second = constant_of(*known, output.name());
    ValueId id = std::get<ValueId>(found->second);
    const Meaning& meaning = this->meaning(output.name());
    if (meaning.stands_for) {
      onnx::NodeProto proto;
      proto.set_op_type("output");
      id = integers_of({*this, proto, graph_, opset_, output.name()}, id, *meaning.stands_for);
    }
    if (graph_[id].is_constant()) {
      // Copied, because what a program returns is computed.
      Value declared;
      declared.shape = graph_[id].shape;
      id = graph_.add_node(OpKind::kBroadcast, output.name(), {}, {id}, &declared);
    }
    PortDefinition port{output.name(), id, graph_[id].shape, {}};
    port.integers = meaning.integers || meaning.stands_for;
    for (uint32_t i = 0; i < port.shape.rank(); ++i) port.permutation.push_back(i);
    graph_.outputs.push_back(std::move(port));
  }
  if (graph_.outputs.empty()) throw Error("the graph has no outputs");
}

void OnnxImporter::import_constant(const OnnxNode& node) {
  if (const auto* tensor = node.attribute("value")) {
    const Binding binding = binding_of(tensor->t(), node.name);
    if (const ValueId* id = std::get_if<ValueId>(&binding)) set_origin(*id, node.name, true);
    node.bind(binding);
  } else if (const auto* integer = node.attribute("value_int")) {
    node.bind(KnownTensor{{}, {{integer->i()}}});
  } else if (const auto* real = node.attribute("value_float")) {
    const float value = real->f();
    node.bind(graph_.add_constant(node.name, {}, {&value, 1}));
  } else if (const auto* list = node.attribute("value_ints")) {
    std::vector<Number> integers;
    for (int64_t value : list->ints()) integers.push_back({value});
    node.bind(known_list(std::move(integers)));
  } else if (const auto* reals = node.attribute("value_floats")) {
    const std::vector<float> values(reals->floats().begin(), reals->floats().end());
    const ValueId id = graph_.add_constant(node.name, {static_cast<uint32_t>(values.size())}, values);
    set_origin(id, node.name, true);
    node.bind(id);
  } else {
    node.fail("its value is not a tensor of numbers");
  }
}

namespace {

std::array<const Importers*, 15> families() {
  return {&attention_importers(), &spectrum_importers(),  &arithmetic_importers(),    &function_importers(),
          &index_importers(),     &logic_importers(),     &normalization_importers(), &quantized_importers(),
          &random_importers(),    &recurrent_importers(), &reduction_importers(),     &resize_importers(),
          &sampling_importers(),  &shape_importers(),     &window_importers()};
}

const ImportedOp* find_importer(const std::string& op) {
  for (const Importers* family : families()) {
    if (const auto found = family->find(op); found != family->end()) return &found->second;
  }
  return nullptr;
}

// What to do about an op that is not supported: what a network computes in its place converts.
std::string advice_for(const std::string& op) {
  using Ops = std::set<std::string>;
  static const std::vector<std::pair<Ops, std::string>> table = {
      {{"NonZero", "Compress"},
       "keep the shape: torch.where(mask, x, y), or x * mask, in the place of x[mask] and of y[mask] = x"},
      {{"MaxUnpool"}, "upsample with nn.Upsample or a transposed convolution"},
      {{"NonMaxSuppression", "RoiAlign", "MaxRoiPool", "Unique"},
       "end the exported network before it, and let the program around it compute that"},
      {{"BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot"},
       "compute with +, * and //, as x // 2 in the place of x >> 1"},
      {{"Hardmax"}, "take F.one_hot(x.argmax(-1), classes)"},
      {{"LpPool", "GlobalLpPool"}, "average x.abs() ** p over the windows, times their size, to the power of 1 / p"},
      {{"DeformConv"}, "sample its input with F.grid_sample, ahead of a convolution"},
      {{"Scan", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceInsert", "SplitToSequence",
        "ConcatFromSequence"},
       "write the steps out in a Python loop of a known count, and stack tensors in the place of lists"},
  };
  for (const auto& [ops, advice] : table) {
    if (ops.contains(op)) return advice;
  }
  if (can_evaluate(op)) return std::string("where it computes shapes, ") + kSimplify;
  return "rewrite the model without it, or see CONTRIBUTING.md, \"Add an op\"";
}

}  // namespace

bool OnnxImporter::reads_missing(const onnx::NodeProto& node) const {
  return std::any_of(node.input().begin(), node.input().end(), [this](const std::string& input) {
    const auto found = bindings_.find(input);
    return found != bindings_.end() && std::holds_alternative<Missing>(found->second);
  });
}

ValueId OnnxImporter::constant_of(const KnownTensor& known, const std::string& name) {
  if (known.depends_on_batch()) throw Error(name + " holds multiples of the batch, which are no numbers");
  std::vector<uint32_t> shape;
  for (size_t extent : known.shape) shape.push_back(static_cast<uint32_t>(extent));
  if (shape.size() > kMaxRank) throw Error(fmt::format("{} has more than {} dimensions", name, kMaxRank));
  std::vector<float> values;
  for (const Number& number : known.values)
    values.push_back(known.is_float() ? static_cast<float>(number.real) : static_cast<float>(number.value));
  return graph_.add_constant(name, shape, values);
}

bool OnnxImporter::evaluate_node(const OnnxNode& node) {
  const std::string& op = node.proto.op_type();
  if (!can_evaluate(op)) return false;
  // Parameters stay constants of the program, which they are known by, but for single numbers and small ones beside
  // known floats.
  constexpr size_t kMaxElementsBesideFloats = 64;
  std::vector<const KnownTensor*> inputs;
  std::vector<KnownTensor> constants(node.input_count());
  bool all_small = true;
  bool all_numbers = true;
  bool all_known = true;
  bool all_unnamed = true;
  bool floats = false;
  for (size_t i = 0; i < node.input_count(); ++i) {
    inputs.push_back(nullptr);
    if (!node.has_input(i)) continue;
    const auto found = bindings_.find(node.proto.input(static_cast<int>(i)));
    if (found == bindings_.end()) return false;
    if (const auto* known = std::get_if<KnownTensor>(&found->second)) {
      inputs.back() = known;
      floats = floats || known->is_float();
      continue;
    }
    const auto* id = std::get_if<ValueId>(&found->second);
    if (id == nullptr || !graph_[*id].is_constant() || graph_[*id].type != DataType::kF32) return false;
    all_known = false;
    const Value& value = graph_[*id];
    all_numbers = all_numbers && value.elements() == 1;
    all_unnamed = all_unnamed && (!value.constant->origin || value.constant->origin->in_layers);
    all_small = all_small && value.shape.rank() <= 1 && value.elements() <= kMaxElementsBesideFloats;
    inputs.back() = &constants[i];
  }
  if (!all_known && find_importer(op) != nullptr && !(all_small && (floats || all_numbers || all_unnamed)))
    return false;
  for (size_t i = 0; i < node.input_count(); ++i) {
    if (inputs[i] != &constants[i]) continue;
    const Value& value = graph_[std::get<ValueId>(bindings_.at(node.proto.input(static_cast<int>(i))))];
    node.expect_room(value.elements() * sizeof(Number));
    constants[i].type = onnx::TensorProto::FLOAT;
    for (const Dimension& dimension : value.shape) constants[i].shape.push_back(dimension.extent);
    for (float real : value.f32()) constants[i].values.push_back({0, false, real});
  }
  std::optional<std::vector<KnownTensor>> results = evaluate(node, inputs);
  if (!results) return false;
  for (size_t i = 0; i < results->size(); ++i) node.bind(std::move((*results)[i]), i);
  return true;
}

bool OnnxImporter::makes_integers(const OnnxNode& node, size_t output) const {
  static const std::set<std::string> always = {
      "And",   "ArgMax", "ArgMin", "Multinomial", "Equal", "Greater", "GreaterOrEqual",
      "IsInf", "IsNaN",  "Less",   "LessOrEqual", "Not",   "Or",      "Xor"};
  static const std::set<std::string> floats = {"GRU", "LSTM", "RNN", "Shape", "Size"};
  // The inputs whose type the output has, where that are not all.
  static const std::map<std::string, std::vector<size_t>> alike = {
      {"Gather", {0}},          {"GatherElements", {0}}, {"GatherND", {0}}, {"OneHot", {2}},    {"Reshape", {0}},
      {"ReverseSequence", {0}}, {"Tile", {0}},           {"TopK", {0}},     {"Unsqueeze", {0}}, {"Trilu", {0}},
      {"Where", {1, 2}},        {"Expand", {0}},         {"CumSum", {0}}};
  const std::string& op = node.proto.op_type();
  if (op == "Cast") return is_integer_type(static_cast<int32_t>(node.integer("to", onnx::TensorProto::FLOAT)));
  const auto holds = [&](size_t i) { return node.holds_integers(i) || node.is_integers(i); };
  if (op == "CastLike") return holds(1);
  if (op == "ConstantOfShape") {
    const onnx::AttributeProto* value = node.attribute("value");
    return value != nullptr && is_integer_type(value->t().data_type());
  }
  if (always.contains(op) || (op == "TopK" && output == 1)) return true;
  if (floats.contains(op) || quantized_importers().contains(op)) return false;
  if (const auto found = alike.find(op); found != alike.end())
    return std::any_of(found->second.begin(), found->second.end(), holds);
  for (size_t i = 0; i < node.input_count(); ++i) {
    if (node.holds_integers(i)) return true;
  }
  return false;
}

void OnnxImporter::import_as(const OnnxNode& node) {
  const ImportedOp* importer = find_importer(node.proto.op_type());
  if (importer == nullptr) node.fail("this op is not supported");
  importer->import(node);
}

const Meaning& OnnxImporter::meaning(const std::string& name) const {
  static const Meaning floats;
  const auto found = meanings_.find(name);
  return found == meanings_.end() ? floats : found->second;
}

ValueId OnnxImporter::take_value(const std::string& name) {
  const ValueId value = std::get<ValueId>(bindings_.at(name));
  bindings_.erase(name);
  return value;
}

void OnnxImporter::name_value(const std::string& output) {
  const auto found = bindings_.find(output);
  if (found == bindings_.end() || !std::holds_alternative<ValueId>(found->second)) return;
  Value& value = graph_[std::get<ValueId>(found->second)];
  if (value.is_constant() || value.exporters) return;
  value.name = output;
  value.exporters.emplace();
  for (uint32_t i = 0; i < value.shape.rank(); ++i) value.exporters->push_back(i);
}

void OnnxImporter::import_node(const OnnxNode& node) {
  const std::string& op = node.proto.op_type();
  const std::string& domain = node.proto.domain();
  // ONNX Runtime's own: what its quantizers write.
  const bool of_runtime = domain == "com.microsoft" && quantized_importers().contains(op);
  if (!domain.empty() && domain != "ai.onnx" && !of_runtime) {
    node.fail("ops of domain " + node.proto.domain() + " are not supported; export with standard ONNX ops only");
  }
  const ImportedOp* importer = find_importer(op);
  const bool control = op == "Constant" || op == "If" || op == "Loop";
  if (importer == nullptr && !control && !can_evaluate(op)) node.fail("this op is not supported; " + advice_for(op));
  if (reads_missing(node.proto)) return;
  if (op == "Constant") return import_constant(node);
  if (op == "If") return import_if(node);
  if (op == "Loop") return import_loop(node);
  std::optional<Scales> moved;
  if (!quantized_importers().contains(op) && reads_scaled(node)) {
    moved = scales_moved(node);
    if (!moved) {
      const onnx::NodeProto reading = reading_integers(node);
      return import_node({*this, reading, graph_, opset_, node.name});
    }
  }
  if (evaluate_node(node)) {
    for (const std::string& output : node.proto.output()) {
      if (moved) set_meaning(output, {false, moved});
    }
    return;
  }
  if (importer == nullptr)
    node.fail("it is supported on tensors that are known while converting only; " + advice_for(op));
  const size_t before = graph_.values.size();
  importer->import(node);
  for (size_t i = 0; i < static_cast<size_t>(node.proto.output_size()); ++i) {
    if (moved) set_meaning(node.proto.output(static_cast<int>(i)), {false, moved});
    if (!moved && makes_integers(node, i)) set_meaning(node.proto.output(static_cast<int>(i)), {true, {}});
    name_value(node.proto.output(static_cast<int>(i)));
  }
  for (size_t i = before; i < graph_.values.size(); ++i) {
    const auto batches =
        std::ranges::count_if(graph_.values[i].shape, [](const Dimension& dimension) { return dimension.per_batch; });
    if (batches > 1 && reopened_batch() != 0)
      node.fail("it sets each sample of the batch against each other one, " + to_string(graph_.values[i].shape));
    if (batches > 1)
      node.fail("it sets each sample of the batch against each other one, " + to_string(graph_.values[i].shape) +
                ", which needs a batch of a known size: export with as many samples as the network is run on, and no "
                "open batch (no dynamic_axes or dynamic_shapes)");
  }
  uint64_t bytes = 0;
  for (size_t i = before; i < graph_.values.size(); ++i) {
    if (graph_.values[i].is_constant()) bytes += graph_.values[i].constant->bytes.size();
  }
  node.spend(bytes);
}

void OnnxImporter::import_nodes(const onnx::GraphProto& graph) {
  for (const onnx::NodeProto& node : graph.node()) {
    for (const std::string& output : node.output()) {
      if (!output.empty() && !node_outputs_.insert(output).second)
        throw Error("output " + output + " is defined twice");
    }
  }
  for (const onnx::NodeProto* sorted : sorted_nodes(graph)) {
    const onnx::NodeProto& proto = *sorted;
    std::string name = proto.name();
    if (name.empty()) name = proto.output_size() > 0 ? proto.output(0) : "?";
    name += name_suffix_;
    const OnnxNode node{*this, proto, graph_, opset_, name};
    if (std::none_of(proto.output().begin(), proto.output().end(),
                     [this](const std::string& output) { return read_.contains(output); })) {
      continue;
    }
    try {
      import_node(node);
      for (const std::string& output : proto.output()) {
        if (read_.contains(output) && !bindings_.contains(output) && !reads_missing(proto))
          node.fail("its output " + output + " is not supported");
      }
    } catch (const TooLarge&) {
      throw;
    } catch (const NodeError& error) {
      problems_.push_back(error);
    } catch (const OpError& error) {
      problems_.emplace_back(name, fmt::format("{}, opset {}", proto.op_type(), opset_), error.reason());
    } catch (const Error& error) {
      problems_.emplace_back(name, fmt::format("{}, opset {}", proto.op_type(), opset_), error.what());
    }
    for (const std::string& output : proto.output()) {
      if (!output.empty()) bindings_.emplace(output, Missing{});
    }
  }
}

void OnnxImporter::note(const std::string& text) {
  if (std::find(graph_.notes.begin(), graph_.notes.end(), text) == graph_.notes.end()) graph_.notes.push_back(text);
}

void OnnxImporter::report_problems() const {
  if (problems_.empty()) return;
  if (problems_.size() == 1) throw problems_[0];
  // One line for all nodes of one op with one problem.
  std::vector<std::pair<const NodeError*, size_t>> kinds;
  std::map<std::pair<std::string, std::string>, size_t> places;
  for (const NodeError& problem : problems_) {
    const auto [place, added] = places.emplace(std::pair(problem.op(), problem.reason()), kinds.size());
    if (added) kinds.emplace_back(&problem, 0);
    ++kinds[place->second].second;
  }
  constexpr size_t kMaxLines = 25;
  std::string text = fmt::format("{} nodes cannot be converted:", problems_.size());
  for (size_t i = 0; i < std::min(kinds.size(), kMaxLines); ++i) {
    const auto& [problem, count] = kinds[i];
    text += "\n  node " + problem->node() + (count > 1 ? fmt::format(" and {} more", count - 1) : "") + " (" +
            problem->op() + "): " + problem->reason();
  }
  if (kinds.size() > kMaxLines) text += fmt::format("\n  and {} other problems", kinds.size() - kMaxLines);
  throw Error(text);
}

void OnnxImporter::check_constants() const {
  const std::vector<bool> masks = may_be_infinite(graph_);
  for (ValueId id = 0; id < graph_.values.size(); ++id) {
    const Value& value = graph_[id];
    if (!value.is_constant() || value.type != DataType::kF32 || masks[id]) continue;
    if (!std::ranges::all_of(value.f32(), [](float x) { return std::isfinite(x); }))
      throw Error("tensor " + value.name + " has NaN or infinite values; was the training diverging?");
  }
}

namespace {

// Numbers that a network has learned, and those that stand for such in a quantized file: no shapes, indices and single
// numbers of formulas.
bool is_parameter(const onnx::TensorProto& tensor) {
  const bool weights =
      tensor.dims_size() > 1 && is_integer_type(tensor.data_type()) &&
      (tensor.data_type() == onnx::TensorProto::INT8 || tensor.data_type() == onnx::TensorProto::UINT8);
  return tensor.dims_size() > 0 && (is_float_type(tensor.data_type()) || weights);
}

uint64_t elements_of(const onnx::TensorProto& tensor) {
  CheckedSize elements = 1;
  for (int64_t extent : tensor.dims()) elements *= static_cast<size_t>(std::max<int64_t>(extent, 0));
  return elements.valid() ? elements.value() : 0;
}

}  // namespace

void OnnxImporter::run() {
  for (const onnx::OperatorSetIdProto& opset : model_.opset_import()) {
    if (opset.domain().empty() || opset.domain() == "ai.onnx") opset_ = opset.version();
  }
  check_model();
  if (purpose_ == Purpose::kTraining) refuse_spectral_norm();
  read_ = read_tensors(model_.graph());
  bind_initializers(model_.graph());
  for (const onnx::TensorProto& tensor : model_.graph().initializer()) {
    if (read_.contains(tensor.name()) && is_parameter(tensor)) graph_.parameters += elements_of(tensor);
  }
  graph_.source_bytes += reader_.external_bytes();
  budget_ = io::Budget(graph_.source_bytes);
  bind_inputs();
  import_nodes(model_.graph());
  report_problems();
  bind_outputs();
  if (purpose_ == Purpose::kTraining) {
    fix_other_constants();
    note_left_out();
  }
  check_constants();
}

namespace {

struct Source {
  const onnx::ModelProto& model;
  size_t bytes;
  std::string path;  // "" if it is no file
};

Graph import_model(const Source& source, const std::string& program, const ImportOptions& options,
                   const FixedBatch& reopened) {
  Graph graph;
  graph.name = program;
  graph.source_bytes = source.bytes;
  OnnxImporter(source.model, source.path, source.bytes, options, reopened, &graph).run();
  return graph;
}

// The values that some input changes.
std::vector<bool> depends_on_inputs(const Graph& graph) {
  std::vector<bool> result(graph.values.size());
  for (const PortDefinition& input : graph.inputs) result[input.value] = true;
  for (const Node& node : graph.nodes)
    result[node.output] = std::ranges::any_of(node.inputs, [&](ValueId id) { return result[id]; });
  return result;
}

// With the batch open, or why it stays fixed.
Graph import_reopened(const Source& source, const std::string& program, const ImportOptions& options,
                      const FixedBatch& batch) {
  Graph graph = import_model(source, program, options, batch);
  const std::vector<bool> moves = depends_on_inputs(graph);
  for (const PortDefinition& output : graph.outputs) {
    if (!moves[output.value]) continue;  // a parameter that the network returns
    if (!has_batch(output.shape)) throw Error("output " + output.name + " has no batch");
    // Where it is not the first dimension, it is found by its place alone, and must stay a dimension of its own.
    const bool in_front = std::ranges::all_of(batch.axes, [](const auto& axis) { return axis.second == 0; });
    for (const Dimension& dimension : output.shape) {
      if (!in_front && dimension.per_batch && dimension.extent != 1)
        throw Error("output " + output.name + " has the batch in a dimension with others");
    }
  }
  if (couples_batch(graph)) throw Error("an output depends on other samples of the batch");
  graph.notes.push_back(
      fmt::format("the batch, which the exporter has fixed at {}, is open: each sample is computed from its own inputs",
                  batch.extent));
  return graph;
}

// What a file with another ending than .onnx is likely to be, and what to do.
std::string likely_kind(const std::string& path) {
  const auto ends_in = [&](std::initializer_list<const char*> endings) {
    return std::ranges::any_of(endings, [&](const char* ending) { return path.ends_with(ending); });
  };
  if (ends_in({".pt", ".pth", ".ckpt", ".safetensors"}))
    return "; weights of PyTorch have no network: export it with torch.onnx.export(model.eval(), args, \"x.onnx\")";
  if (ends_in({".keras", ".h5"})) return "; export it with model.export(\"x.onnx\", format=\"onnx\")";
  if (ends_in({".data"})) return "; it holds the weights of an .onnx file beside it: give that one";
  return "";
}

Graph import_bytes(std::string bytes, const std::string& origin, const std::string& path, const std::string& program,
                   const ImportOptions& options) {
  try {
    onnx::ModelProto model;
    if (!model.ParseFromString(bytes) || !model.has_graph()) {
      throw Error("not an ONNX file, or a truncated one" + likely_kind(path));
    }
    const Source source{model, bytes.size(), path};
    std::string().swap(bytes);  // the model holds them; assigning an empty one would keep the memory
    std::vector<FixedBatch> batches;
    if (options.reopen_batch) batches = fixed_batches(model.graph(), options.dimensions);
    std::string reason;  // of the likeliest
    for (const FixedBatch& batch : batches) {
      try {
        return import_reopened(source, program, options, batch);
      } catch (const Error& error) {
        if (reason.empty()) reason = error.what();
      }
    }
    Graph graph = import_model(source, program, options, {});
    if (!batches.empty())
      graph.notes.push_back(
          fmt::format("the batch stays fixed at {}, as exported: {}", batches.front().extent, reason));
    return graph;
  } catch (const Error& error) {
    throw Error(origin + ": " + error.what());
  }
}

}  // namespace

Graph import_onnx(const std::string& bytes, const std::string& origin, const std::string& program,
                  const ImportOptions& options) {
  return import_bytes(bytes, origin, "", program, options);
}

Graph import_onnx_file(const std::string& path, const std::string& program, const ImportOptions& options) {
  std::string bytes = io::read_text(path);
  if (bytes.empty()) throw Error(path + " is empty");
  if (bytes.size() >= kLargestFile) throw Error(path + " is larger than 2 GB");
  return import_bytes(std::move(bytes), path, path, program, options);
}

OpenDimensions open_dimensions(const std::string& path, const std::map<std::string, uint32_t>& sizes) {
  onnx::ModelProto model;
  if (!model.ParseFromString(io::read_text(path))) return {};  // importing it says so
  return open_dimensions(model.graph(), sizes);
}

std::vector<OnnxOp> imported_ops() {
  std::vector<OnnxOp> ops = {{"Constant", kOldestOpset, {}, "numbers"},
                             {"If", kOldestOpset, {}, "a known condition; as its ops"},
                             {"Loop", kOldestOpset, {}, "a known count; as its ops"}};
  for (const Importers* family : families()) {
    for (const auto& [name, op] : *family) ops.push_back({name, op.since, op.kinds, op.limits});
  }
  std::ranges::sort(ops, {}, &OnnxOp::name);
  return ops;
}

}  // namespace figment::converter
