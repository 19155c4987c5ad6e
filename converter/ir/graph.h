// The converter's intermediate representation: a program as values and nodes, with the ops of runtime/format.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/philox.h"
#include "format/model_view.h"
#include "format/op.h"
#include "io/files.h"
#include "ir/shared_bytes.h"

namespace figment::converter {

using format::Attributes;
using format::DataType;
using format::OpKind;
using format::Window;

// What went wrong and what to do, for the user.
using io::Error;

// An op that does not take its operands.
class OpError : public Error {
 public:
  // `op`: its kind and operands.
  OpError(const std::string& node, const std::string& op, const std::string& reason)
      : Error("node " + node + " (" + op + "): " + reason), reason_(op + ": " + reason) {}

  // All but the node's name.
  const std::string& reason() const { return reason_; }

 private:
  std::string reason_;
};

using ValueId = uint32_t;

// What a program may have, before passes leave out what they can.
constexpr size_t kMaxNodes = size_t{1} << 18;

// How a constant relates to the exporter's parameter: see Parameter in runtime/format/model.fbs.
struct Origin {
  std::string name;
  std::vector<uint32_t> shape;
  std::vector<uint32_t> split;
  std::vector<uint8_t> permutation;
  bool folded = false;
  bool derived = false;            // an average, a sum of gradients or an optimizer's state of another parameter
  std::vector<std::string> parts;  // if not empty, dimension 0 is equal parts that are parameters of these names
  bool fixed = false;              // no parameter: made while converting
  bool in_layers = false;          // one only as a layer's weights: numbers of the file's that are no initializer
  // Of running statistics, the weight of a batch, if the exporter says it.
  std::optional<float> batch_weight = std::nullopt;
};

// What an origin is for a constant that is rearranged once more: reshaped to `split`, transposed by `permutation`.
// Folded if that takes more dimensions than an origin has.
void follow(Origin* origin, const std::vector<uint32_t>& split, const std::vector<uint32_t>& permutation);

struct Constant {
  SharedBytes bytes;  // may be empty for a variable that starts as zeros
  std::optional<Origin> origin;
  bool variable = false;   // training changes it; it is known by its name in all programs of the model
  bool transient = false;  // without a value between train steps
  bool half = false;       // stored in f16
};

// How another tool has quantized a tensor: real = scale * (q - zero_point), q in [-128, 127].
struct FileQuantization {
  float scale = 0;
  int32_t zero_point = 0;
};

// A tensor. Constants hold their values; the others are computed.
struct Value {
  std::string name;
  DataType type = DataType::kF32;
  Shape shape;
  std::vector<float> scales;  // quantization, if any
  int32_t zero_point = 0;
  std::optional<Constant> constant;
  // There: a tensor of the exporter's file, under its name; dimension i is its dimension exporters[i].
  std::optional<Permutation> exporters;
  std::optional<FileQuantization> quantized;  // by the tool that wrote the file
  Dimensions<uint32_t> growth;                // of the dimensions, of programs that have a length to choose
  // Of a program in int8: the value of the f32 program by whose range it is quantized, or whose constant values it has.
  std::optional<uint32_t> follows = std::nullopt;

  // Holds its values all through the program: a constant, or a variable.
  bool is_constant() const { return constant.has_value(); }
  bool is_variable() const { return constant && constant->variable; }
  // At most kMaxElements.
  size_t elements() const { return static_cast<size_t>(element_count(shape, 1).value()); }
  std::span<const float> f32() const {
    return {reinterpret_cast<const float*>(constant->bytes.data()), constant->bytes.size() / sizeof(float)};
  }
};

struct Node {
  OpKind kind{};
  std::string name;  // the exporter's
  Attributes attributes;
  std::vector<ValueId> inputs;
  ValueId output = 0;
  // NOLINTNEXTLINE(readability-redundant-member-init): so that lists of fields may leave it out
  Dimensions<uint32_t> start_growth = {};  // of a slice, likewise
};

// The last integer that no other one is rounded to in f32.
constexpr int32_t kExactInteger = (1 << 24) - 1;

struct PortDefinition {
  std::string name;
  ValueId value = 0;
  Shape shape;              // the exporter's
  Permutation permutation;  // the value's dimension i is the exporter's dimension permutation[i]
  float dropout = 0;        // of a network for training: the input is a mask, drawn with this rate
  // The exporter's tensor holds integers; an input's lie in [least, greatest].
  bool integers = false;
  int32_t least = -kExactInteger;
  int32_t greatest = kExactInteger;
  // NOLINTNEXTLINE(readability-redundant-member-init): so that lists of fields may leave it out
  Dimensions<uint32_t> growth = {};           // of the dimensions, of programs that have a length to choose
  std::optional<Prior> drawn = std::nullopt;  // for inference: the session draws it where it is not given
};

// The length that a session may choose; see Length in model.fbs.
struct LengthDefinition {
  std::string name;
  uint32_t length = 0;
  uint32_t unit = 1;
  uint32_t least = 1;
  uint32_t greatest = 1;

  friend bool operator==(const LengthDefinition&, const LengthDefinition&) = default;
};

// A program. Nodes stand in the order of execution and each value is written once.
struct Graph {
  std::string name;
  std::vector<Value> values;
  std::vector<Node> nodes;
  std::vector<PortDefinition> inputs;
  std::vector<PortDefinition> outputs;
  bool fully_int8 = false;
  std::optional<LengthDefinition> length;
  uint64_t source_bytes = 0;          // of the file that it comes from, which bounds what may be made of it
  std::vector<std::string> notes;     // what became of the file
  std::vector<std::string> warnings;  // what its exporter left out and training misses, as far as the importer can tell
  uint64_t parameters = 0;            // values of parameters in that file

  // Whether the tool that wrote the file has quantized weights: they are multiples of a scale.
  bool quantized = false;

  // A program without values and nodes, of the same file.
  Graph empty_like() const;

  Value& operator[](ValueId id) { return values[id]; }
  const Value& operator[](ValueId id) const { return values[id]; }

  ValueId add_value(Value value);
  ValueId add_constant(std::string name, const std::vector<uint32_t>& shape, std::span<const float> values_f32);
  ValueId add_constant_i32(std::string name, std::span<const int32_t> values_i32);
  // Appends a node whose output's type and shape follow from op.h's rules; `declared` is needed where they do not
  // determine it. Throws Error when the op is invalid.
  ValueId add_node(OpKind kind, std::string node_name, Attributes attributes, std::vector<ValueId> node_inputs,
                   const Value* declared = nullptr);

  // How often each value is read by nodes and output ports.
  std::vector<uint32_t> use_counts() const;
  // The node that writes each value, or -1.
  std::vector<int32_t> producers() const;
};

// The port of that name, or nullptr.
const PortDefinition* find_port(const std::vector<PortDefinition>& ports, const std::string& name);

// The values that nothing reads but ops of masks, bounds and choices: constants among them may be infinite or NaN.
// Anywhere else such a constant is a mistake.
std::vector<bool> may_be_infinite(const Graph& graph);

// The input that is a latent by its name, "latent", else "z", else "noise"; or nullptr.
const PortDefinition* find_named_latent(const std::vector<PortDefinition>& inputs);

// The rule of op.h applied to a node's inputs.
format::TensorType infer(const Graph& graph, OpKind kind, const Attributes& attributes,
                         const std::vector<ValueId>& inputs, const Value& declared, const std::string& node_name);

// What is drawn for an input: see Latent and Code in runtime/format/model.fbs.
struct CodeDefinition {
  std::string name;
  uint32_t size = 0;
  Prior prior = Prior::kNormal;
};

struct LatentDefinition {
  std::string program;
  std::string input;
  uint32_t size = 0;
  Prior prior = Prior::kNormal;
  float rate = 0;
  uint32_t stream = 0;
  std::vector<CodeDefinition> codes;
  uint32_t growth = 0;  // of the size

  // Writes sample `index`: `size` values.
  void draw(uint64_t seed, uint64_t index, float* out) const;
};

struct OutputDefinition {
  std::string program;
  std::string port;
  format::OutputKind kind = format::OutputKind::kOther;
  float range_min = -1;
  float range_max = 1;
  bool bounded = false;
};

// See the tables of the same names in runtime/format/model.fbs; variables are named.
struct ScheduleDefinition {
  std::string program;
  uint32_t period = 1;
  uint32_t phase = 0;
  std::vector<LatentDefinition> latents;
  uint32_t level = 0;
  bool per_micro_batch = false;
  uint32_t samples = 0;
};

struct ScalarDefinition {
  std::string name;
  std::string variable;
  uint32_t index = 0;
};

struct MetricDefinition {
  std::string name;
  format::MetricKind kind = format::MetricKind::kLoss;
  float saturation = 0;
};

struct ObjectiveDefinition {
  std::string name;
  std::string loss;
  format::Score score = format::Score::kNone;
  format::Likelihood likelihood = format::Likelihood::kNone;
  std::string divergence_weight;
  std::vector<MetricDefinition> metrics;
};

struct TrainedDefinition {
  std::string network;
  std::string variable;
  std::vector<std::string> state;
};

// What people measure for the values of an input, [channels, 50]; empty: not known yet. See Scaling in model.fbs.
struct ScalingDefinition {
  std::string input;
  bool samples = false;
  uint32_t channels = 0;
  std::vector<float> values;
};

// A whole model file.
struct ModelDefinition {
  std::string name;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<Graph> programs;
  std::optional<LengthDefinition> length;  // of all programs
  uint64_t parameter_elements = 0;         // of the exporter's files; 0: those that the programs have
  std::optional<LatentDefinition> latent;
  std::vector<LatentDefinition> drawn;
  std::optional<OutputDefinition> output;
  std::vector<ScheduleDefinition> schedule;
  std::vector<ScalarDefinition> scalars;
  std::vector<TrainedDefinition> trained;
  std::string micro_batch_weight;  // a variable, or ""
  std::optional<ObjectiveDefinition> objective;
  std::vector<ScalingDefinition> scalings;
  std::string recipe;  // that it was made of, or ""

  // What is drawn for an input beside the latent, or nullptr.
  const LatentDefinition* find_drawn(const std::string& program, const std::string& input) const;
};

// Of a reshape that only adds and removes dimensions of 1: which dimension of `from` each of `to` is, or nothing where
// it is added. Nothing where the reshape does more.
std::optional<std::vector<std::optional<uint32_t>>> added_ones(const Shape& from, const Shape& to);

// "[4·N, 28, 28, 1]" and a listing of the whole program, for people.
std::string to_string(const Shape& shape);
std::string dump(const Graph& graph);

// out[p] = in[...] with out's dimension i being in's dimension permutation[i]; `shape` is that of `in`.
std::vector<float> transposed(std::span<const float> in, const std::vector<uint32_t>& shape,
                              const std::vector<uint32_t>& permutation);

std::vector<uint32_t> extents_of(const Shape& shape);
Shape constant_shape(const std::vector<uint32_t>& extents);

}  // namespace figment::converter
