// An ONNX graph being imported: names bound to IR values or to integers known while converting.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "import/import_onnx.h"
#include "import/onnx_proto.h"
#include "io/files.h"
#include "ir/graph.h"

namespace figment::converter {

// An integer that may be a multiple of the batch, as in shape arithmetic.
struct SymbolicInteger {
  int64_t value = 0;
  bool per_batch = false;
};

// An integer tensor known while converting, row-major. Its values lie in the type's range.
struct IntegerTensor {
  std::vector<size_t> shape;
  std::vector<SymbolicInteger> values;
  int32_t type = onnx::TensorProto::INT64;

  bool scalar() const { return shape.empty(); }
};

// Integers in one dimension.
inline IntegerTensor integer_list(std::vector<SymbolicInteger> values) { return {{values.size()}, std::move(values)}; }

// Where `x` is greater than a constant: what exporters choose between two forms of one function by.
struct Comparison {
  ValueId x = 0;
  float threshold = 0;
};

// What a node that cannot be imported would compute.
struct Missing {};

// What an ONNX name stands for.
using Binding = std::variant<ValueId, IntegerTensor, Comparison, Missing>;

struct OnnxNode;

// What is wrong with a node.
class NodeError : public Error {
 public:
  NodeError(const std::string& node, const std::string& op, const std::string& reason)
      : Error("node " + node + " (" + op + "): " + reason), node_(node), op_(op), reason_(reason) {}

  const std::string& node() const { return node_; }
  const std::string& op() const { return op_; }  // with the opset
  const std::string& reason() const { return reason_; }

 private:
  std::string node_;
  std::string op_;
  std::string reason_;
};

// What a node makes is too much for the file: nothing more is imported.
class TooLarge : public NodeError {
 public:
  using NodeError::NodeError;
};

// How to get rid of shape arithmetic.
inline constexpr const char* kSimplify =
    "export with fixed sizes, or compute the shapes ahead: onnxsim IN.onnx OUT.onnx (or onnxslim)";

class OnnxImporter {
 public:
  // `file_bytes`: the size of the file, which bounds what may be made of it.
  OnnxImporter(const onnx::ModelProto& model, size_t file_bytes, Purpose purpose, Graph* graph);

  // Imports the whole graph. Throws Error.
  void run();
  Purpose purpose() const { return purpose_; }

 private:
  friend struct OnnxNode;
  bool is_fixed(ValueId id);
  void check_model() const;
  void bind_initializers(const onnx::GraphProto& graph);
  void bind_inputs();
  // Whether an input is the lengths of sequences.
  bool gives_lengths(const std::string& input) const;
  // Imports what can be; what is wrong with the other nodes is collected in problems_, and what they compute is
  // Missing.
  void import_nodes(const onnx::GraphProto& graph);
  void import_node(const OnnxNode& node);
  // Fills read_ with what the model's outputs depend on: other nodes are left out.
  void find_read();
  bool reads_missing(const onnx::NodeProto& node) const;
  // Throws one Error for all that was collected.
  void report_problems() const;
  void import_constant(const OnnxNode& node);
  // The branch that a condition known while converting selects.
  void import_if(const OnnxNode& node);
  void bind_outputs();
  // What of a network's parameters the exporter folded into others or left out, and how to export it instead.
  void note_left_out() const;

  const onnx::ModelProto& model_;
  Purpose purpose_;
  Graph& graph_;
  int64_t opset_ = 0;
  std::map<std::string, Binding> bindings_;
  std::set<std::string> read_;          // tensors that outputs depend on
  std::set<std::string> node_outputs_;  // of all nodes, to tell cycles from missing tensors
  std::vector<NodeError> problems_;
  std::vector<bool> fixed_;  // values computed from constants alone, by the nodes before fixed_nodes_
  size_t fixed_nodes_ = 0;
  io::Budget budget_;
  uint64_t made_ = 0;  // bytes of the constants and integers that nodes have made
};

// One node, with typed access to its inputs and attributes. All accessors throw Error with the node named.
struct OnnxNode {
  OnnxImporter& importer;
  const onnx::NodeProto& proto;
  Graph& graph;
  int64_t opset;
  std::string name;  // the node's own, or its first output's

  [[noreturn]] void fail(const std::string& what) const;

  // Before a constant or integers of so many bytes are made: fails if the file is too small for them.
  void expect_room(uint64_t bytes) const;
  // Counts what was made; fails likewise.
  void spend(uint64_t bytes) const;

  size_t input_count() const { return static_cast<size_t>(proto.input_size()); }
  bool has_input(size_t i) const { return i < input_count() && !proto.input(static_cast<int>(i)).empty(); }
  // Input i as a tensor of the program.
  ValueId tensor(size_t i) const;
  const Value& value(size_t i) const { return graph[tensor(i)]; }
  // Whether a value is the same in every run: a constant, or computed from constants alone, as exporters compute
  // weights from parameters.
  bool is_fixed(ValueId id) const;
  // Input i as a constant of the program.
  ValueId constant(size_t i, const char* role) const;
  bool is_integers(size_t i) const;
  // Input i if it is a comparison, else nullptr.
  const Comparison* comparison(size_t i) const;
  const IntegerTensor& integers(size_t i) const;
  // Input i as plain integers (no batch).
  std::vector<int64_t> numbers(size_t i) const;
  // Input i as one float.
  float scalar(size_t i) const;

  const onnx::AttributeProto* attribute(const char* attribute_name) const;
  int64_t integer(const char* attribute_name, int64_t fallback) const;
  float real(const char* attribute_name, float fallback) const;
  std::string text(const char* attribute_name, const std::string& fallback) const;
  std::vector<int64_t> integer_list(const char* attribute_name, std::vector<int64_t> fallback) const;

  // `axis` counted from the end if negative, checked against `rank`.
  size_t axis(int64_t axis, size_t rank) const;

  // Whether output i is there, and something depends on it.
  bool is_read(size_t i) const;
  void bind(const Binding& binding, size_t output = 0) const;

  // Appends an IR node named after this one.
  ValueId add(OpKind kind, Attributes attributes, std::vector<ValueId> inputs, const Value* declared = nullptr) const;
  ValueId transpose(ValueId x, const Permutation& permutation) const;
  ValueId reshape(ValueId x, const Shape& shape) const;
  // A constant with the same values in another shape of as many elements, or a reshape.
  ValueId reshaped(ValueId x, const Shape& shape) const;
};

// Importers by op. One function a family of ops.
using Importer = void (*)(const OnnxNode&);
using Importers = std::map<std::string, Importer>;
const Importers& arithmetic_importers();  // elementwise, softmax, matrix products, normalization
const Importers& window_importers();      // convolution, pooling, resizing
const Importers& recurrent_importers();   // LSTM, GRU, reversed sequences
const Importers& shape_importers();       // everything that moves or measures

Permutation nchw_to_nhwc();
Permutation nhwc_to_nchw();

}  // namespace figment::converter
