// An ONNX graph being imported: names bound to values of the IR or to tensors known while converting.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "import/import_onnx.h"
#include "import/known_tensor.h"
#include "import/onnx_inputs.h"
#include "import/onnx_proto.h"
#include "import/onnx_tensor.h"
#include "io/files.h"
#include "ir/batch.h"
#include "ir/builder.h"
#include "ir/graph.h"

namespace figment::converter {

// What a node that cannot be imported would compute.
struct Missing {};

// Scales and zero points along an axis, or one for all, of integers of a type.
struct Scales {
  std::vector<double> scales;
  std::vector<int64_t> zero_points;  // one for all, or as many as scales
  size_t axis = 0;
  int32_t type = onnx::TensorProto::UINT8;
  bool dynamic = false;  // computed for each tensor anew

  int64_t zero_point(size_t i) const { return zero_points[zero_points.size() == 1 ? 0 : i]; }
  double scale(size_t i) const { return scales[scales.size() == 1 ? 0 : i]; }
  double real(int64_t q, size_t i) const {
    return (static_cast<double>(q) - static_cast<double>(zero_point(i))) * scale(i);
  }
  // Whether both say the same of an integer.
  bool operator==(const Scales& other) const {
    return scales == other.scales && zero_points == other.zero_points && dynamic == other.dynamic &&
           (scales.size() == 1 || axis == other.axis);
  }
};

// What a tensor is in the file, where the program computes floats.
struct Meaning {
  bool integers = false;             // integers or booleans, in value too
  std::optional<Scales> stands_for;  // integers, and the program computes what they stand for
};

// What an ONNX name stands for.
using Binding = std::variant<ValueId, KnownTensor, Missing>;

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
  // `file_bytes`: the size of the file `path`, which bounds what may be made of it. `path` is "" where there is none.
  // `reopened`: the dimensions of the inputs that become the batch.
  OnnxImporter(const onnx::ModelProto& model, const std::string& path, size_t file_bytes, const ImportOptions& options,
               const FixedBatch& reopened, Graph* graph);

  // A tensor that comes out of an inner graph.
  struct Carried {
    Binding binding;
    Meaning meaning;
  };

  // Imports the whole graph. Throws Error.
  void run();
  Purpose purpose() const { return purpose_; }
  // Whether the network is to have other lengths, too: what holds tables of a size does not.
  bool has_length() const { return options_.open_length; }
  bool from_pytorch() const { return model_.producer_name() == "pytorch"; }
  // The batch that the exporter had fixed, and that is open now: constants of the file still hold it. 0: none.
  uint32_t reopened_batch() const { return reopened_.extent; }
  // For importers that express a node by another: gives a value a name of the graph, imports a node that is not in the
  // graph, and what a name stands for, which is forgotten.
  void bind_value(const std::string& name, ValueId value) { bindings_[name] = value; }
  void import_as(const OnnxNode& node);
  ValueId take_value(const std::string& name);
  // What a tensor is in the file; nothing else than floats where it is not told.
  const Meaning& meaning(const std::string& name) const;
  void set_meaning(const std::string& name, Meaning meaning) { meanings_[name] = std::move(meaning); }
  // Says something about the file, once.
  void note(const std::string& text);

 private:
  friend struct OnnxNode;
  bool is_fixed(ValueId id);
  void know_nodes();
  void check_model() const;
  void bind_initializers(const onnx::GraphProto& graph);
  // That the constant is the exporter's, of that name; `in_layers`: see Origin.
  void set_origin(ValueId id, const std::string& name, bool in_layers = false);
  // Of a graph that is to be trained. Throws Error.
  void refuse_spectral_norm() const;
  // Of a graph that is to be trained: constants without an origin are no parameters.
  void fix_other_constants();
  void bind_inputs();
  // Whether an input is the lengths of sequences.
  bool gives_lengths(const std::string& input) const;
  // Imports what can be; what is wrong with the other nodes is collected in problems_, and what they compute is
  // Missing.
  void import_nodes(const onnx::GraphProto& graph);
  void import_node(const OnnxNode& node);
  // The value that an output of a node stands for is the exporter's tensor of that name.
  void name_value(const std::string& output);
  bool reads_missing(const onnx::NodeProto& node) const;
  // Throws one Error for all that was collected.
  void report_problems() const;
  // Computes what a node makes of known tensors alone. False where it must be imported.
  bool evaluate_node(const OnnxNode& node);
  // A known tensor as a constant of the program.
  ValueId constant_of(const KnownTensor& known, const std::string& name);
  // A constant for the program, or where it holds integers a known tensor.
  Binding binding_of(const onnx::TensorProto& tensor, const std::string& name);
  void import_constant(const OnnxNode& node);
  // The branch that a condition known while converting selects.
  void import_if(const OnnxNode& node);
  // As often as is known while converting: every pass through the body is imported by itself.
  void import_loop(const OnnxNode& node);
  // What a name of an inner graph stands for, and that as an output of the node that holds the graph.
  Carried carried(const OnnxNode& node, const std::string& name) const;
  void bind_carried(const OnnxNode& node, const Carried& value, size_t output);
  // What the names of a graph inside a node stand for is forgotten.
  void forget(const onnx::GraphProto& graph);
  // Whether an output of a node whose output is f32 in the program are integers or booleans by its type.
  bool makes_integers(const OnnxNode& node, size_t output) const;
  void bind_outputs();
  // Fails where a constant that is no mask has NaN or infinite values.
  void check_constants() const;
  // What of a network's parameters the exporter folded into others or left out, and how to export it instead.
  void note_left_out() const;

  const onnx::ModelProto& model_;
  const ImportOptions& options_;
  Purpose purpose_;
  const FixedBatch& reopened_;
  Graph& graph_;
  TensorReader reader_;
  int64_t opset_ = 0;
  std::map<std::string, Binding> bindings_;
  std::set<std::string> read_;          // tensors that outputs depend on
  std::set<std::string> node_outputs_;  // of all nodes, to tell cycles from missing tensors
  std::vector<NodeError> problems_;
  std::map<std::string, Meaning> meanings_;
  int64_t passes_ = 0;       // through loops
  std::string name_suffix_;  // of nodes that are imported several times
  // Of the nodes before known_nodes_: values that they compute from constants alone, and which gives each value.
  std::vector<bool> fixed_;
  std::vector<int32_t> producers_;
  size_t known_nodes_ = 0;
  BatchOrder order_;
  io::Budget budget_;
  uint64_t made_ = 0;  // bytes of the constants and known tensors that nodes have made
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
  // What input i stands for. Fails where it is missing, or computed only later.
  Binding& binding(size_t i) const;
  // Input i as a tensor of the program.
  ValueId tensor(size_t i) const;
  // The same; integers known while converting are numbers as well.
  ValueId number(size_t i) const;
  const Value& value(size_t i) const { return graph[tensor(i)]; }
  // Whether a value is the same in every run: a constant, or computed from constants alone, as exporters compute
  // weights from parameters.
  bool is_fixed(ValueId id) const;
  // The node of the program that gives a value; nullptr for inputs and constants.
  const Node* producer(ValueId id) const;
  // How many elements of a sample stand together in a value's dimension of the batch, if that is known.
  std::optional<uint32_t> inner_of_batch(ValueId id) const { return importer.order_.inner(id); }
  // Input i as a constant of the program.
  ValueId constant(size_t i, const char* role) const;
  // Whether input i is a tensor known while converting; floats may be constants of the program instead.
  bool is_known(size_t i) const;
  bool is_integers(size_t i) const;
  // Whether input i is computed by the program, and integers or booleans in the file.
  bool holds_integers(size_t i) const;
  // Input i if it holds integers known while converting.
  const KnownTensor& integers(size_t i) const;
  // The same as plain integers (no batch).
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
  // A tensor of the file, as one that is known.
  KnownTensor known(const onnx::TensorProto& tensor) const;

  // Appends an IR node named after this one.
  ValueId add(OpKind kind, Attributes attributes, std::vector<ValueId> inputs, const Value* declared = nullptr) const;
  ValueId transpose(ValueId x, const Permutation& permutation) const;
  // One behind the other along an axis, any number but none.
  ValueId concatenate(std::vector<ValueId> parts, uint32_t axis) const;
  ValueId reshape(ValueId x, const Shape& shape) const;
  // A constant with the same values in another shape of as many elements, or a reshape.
  ValueId reshaped(ValueId x, const Shape& shape) const;
};

// [start, start + step, ...) of a dimension, `extent` of them.
struct SliceRange {
  int64_t start;
  size_t extent;
  int64_t step;
};
// In ONNX's conventions: from the end if negative, clamped; backwards for a negative step.
SliceRange slice_range(const OnnxNode& node, int64_t start, int64_t end, int64_t step, size_t extent);

// The operands of a broadcasting op with leading ones added so that their ranks agree.
std::pair<ValueId, ValueId> equal_ranks(const OnnxNode& node, ValueId a, ValueId b);

// x without its fraction, and 1 where x is not 0, else 0: casts to integers and booleans.
ValueId truncated(Builder& build, ValueId x);
ValueId as_boolean(Builder& build, ValueId x);
// Indices of an axis, those that are negative counted from its end.
ValueId from_the_end(Builder& build, ValueId indices, uint32_t extent);
// An input whose integers pick one of so many rows or classes is checked where it is given. Whether the indices are
// one.
bool limit_input(const OnnxNode& node, ValueId indices, uint32_t rows);
// A new input of the program, of values that are drawn.
struct DrawnInput {
  ValueId value;   // in the shape that was asked for
  bool per_batch;  // else it is the same for all samples
};
DrawnInput drawn_input(const OnnxNode& node, const std::string& suffix, const Shape& shape);
// Elements start, start + step, ... along an axis, `extent` of them.
ValueId slice_axis(const OnnxNode& node, ValueId x, size_t axis, uint32_t start, uint32_t extent, uint32_t step);
// For ops that know nothing of scales: what the outputs of a node stand for that only moves its elements, and the node
// as it reads integers. reads_scaled: whether an input stands for something.
bool reads_scaled(const OnnxNode& node);
std::optional<Scales> scales_moved(const OnnxNode& node);
onnx::NodeProto reading_integers(const OnnxNode& node);
// x, which `scales` stand for, in integers.
ValueId integers_of(const OnnxNode& node, ValueId x, const Scales& scales);
// An axis of a shape, counted from the end if negative. Fails where it is the batch.
size_t axis_within_sample(const OnnxNode& node, int64_t axis, const Shape& shape);
// The shape that integers name.
Shape shape_of(const OnnxNode& node, const KnownTensor& integers);
// Of volumes [N, C, D, H, W].
void import_volume_convolution(const OnnxNode& node, bool transposed);
void import_volume_pool(const OnnxNode& node, OpKind kind);

// 0, 1, ... along an axis of a tensor of `rank` dimensions.
ValueId counted_along(const OnnxNode& node, size_t axis, size_t rank, uint32_t count);
// The greater of a and b, or the lesser, element by element; they have equal ranks, and broadcast.
ValueId extreme_of(Builder& build, ValueId a, ValueId b, bool greatest);

// An op of ONNX. One table a family of ops.
struct ImportedOp {
  void (*import)(const OnnxNode&);
  int64_t since;              // the oldest opset that it is imported from
  std::vector<OpKind> kinds;  // that it may become, beside reshapes and transposes
  const char* limits;         // for people; "": none
};
using Importers = std::map<std::string, ImportedOp>;
const Importers& attention_importers();
const Importers& spectrum_importers();    // Fourier transforms
const Importers& arithmetic_importers();  // two operands and more, matrix products, softmax
const Importers& function_importers();    // of one value
const Importers& index_importers();       // gathers and scatters, one-hot vectors
const Importers& logic_importers();       // comparisons, choices and the greatest elements
const Importers& normalization_importers();
const Importers& quantized_importers();
const Importers& reduction_importers();
const Importers& resize_importers();
const Importers& sampling_importers();  // images at computed places
const Importers& window_importers();    // convolution, pooling
const Importers& random_importers();
const Importers& recurrent_importers();  // LSTM, GRU, reversed sequences
const Importers& shape_importers();      // everything that moves or measures

Permutation nchw_to_nhwc();
Permutation nhwc_to_nchw();

}  // namespace figment::converter
