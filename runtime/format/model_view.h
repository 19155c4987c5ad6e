// The verified view of a .figment file: everything above this layer reads models through it, never FlatBuffers.
// A view exists only of a file that passed every check of verify.cpp, so its accessors need no checks of their own.
// Nothing here allocates. Views are copyable, borrow the file's memory, and may be read from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/philox.h"
#include "core/shape.h"
#include "core/status.h"
#include "format/attribute_rule.h"

namespace figment::format {

namespace schema {
struct Latent;
struct Model;
struct Program;
}  // namespace schema

inline constexpr uint32_t kSchemaVersion = 1;

struct ConstantView {
  const char* name;
  DataType type;
  Shape shape;  // no dimension depends on the batch
  Quantization quantization;
  const void* data;  // nullptr for a variable that starts as zeros
  size_t bytes;
  bool variable;
  bool transient;
};

// How a constant came from the exporter; see Parameter in model.fbs.
struct ParameterView {
  const char* name;
  uint32_t constant;
  Dimensions<uint32_t> shape;
  Dimensions<uint32_t> split;
  Permutation permutation;
  bool folded;
  uint32_t offset;  // of its first element in the constant
  bool derived;

  size_t elements() const {
    size_t count = 1;
    for (uint32_t extent : split) count *= extent;
    return count;
  }
};

struct PortView {
  const char* name;
  uint32_t tensor;
  Shape shape;              // the exporter's
  Permutation permutation;  // our dimension i is the exporter's dimension permutation[i]
  bool integers = false;    // the exporter's tensor holds integers
  int32_t least = 0;        // of an input's integers
  int32_t greatest = 0;
  // NOLINTNEXTLINE(readability-redundant-member-init): so that lists of fields may leave it out
  Dimensions<uint32_t> growth = {};  // of the shape, for each unit of the length more
};

struct TensorView {
  const char* name;
  int32_t constant;  // index of the model's constant, or -1 for planned memory
  TensorType type;
};

// Most inputs of an op.
inline constexpr size_t kMaxOperands = 64;

struct OpView {
  OpKind kind;
  const char* name;
  Attributes attributes;
  std::span<const uint32_t> inputs;
  std::span<const uint32_t> outputs;
};

// A plan that the file carries for one batch.
struct PlanView {
  uint32_t batch;
  uint64_t arena_size;
  std::span<const uint64_t> offsets;  // of all tensors
  std::span<const uint64_t> scratch;  // of all ops, or empty
};

// Values of a latent with a meaning of their own.
struct CodeView {
  const char* name;
  size_t start;  // among the latent's values
  size_t size;
  Prior prior;
};

// What a session draws for an input of a program; see Latent in model.fbs.
class LatentView {
 public:
  LatentView() = default;

  const char* program = "";
  const char* input = "";
  size_t size = 0;
  Prior prior = Prior::kNormal;
  float rate = 0;
  uint32_t stream = 0;
  uint32_t growth = 0;  // of the size, for each unit of the length more
  size_t code_count = 0;
  CodeView code(size_t i) const;

  // Writes sample number `index`: `size` values.
  void draw(uint64_t seed, uint64_t index, float* out) const;

 private:
  friend class ModelView;
  LatentView(const schema::Latent* latent, int64_t units);

  const schema::Latent* latent_ = nullptr;
};

enum class MetricKind : uint8_t { kLoss = 0, kTerm = 1, kDiagnostic = 2 };
enum class Score : uint8_t { kNone = 0, kDistance = 1, kEvidenceLowerBound = 2 };
enum class Likelihood : uint8_t { kNone = 0, kBernoulli = 1, kBernoulliLogits = 2, kGaussian = 3 };

struct MetricView {
  const char* name;
  MetricKind kind;
  float saturation;
};

struct ObjectiveView {
  const char* name;
  const char* loss;
  Score score;
  Likelihood likelihood;
  const char* divergence_weight;
  size_t metric_count;
};

enum class OutputKind : uint8_t { kOther = 0, kImage = 1 };

struct OutputView {
  const char* program;
  const char* port;
  OutputKind kind;
  float range_min;
  float range_max;
  bool bounded;
};

// A program of a train step; see ScheduleEntry in model.fbs.
struct ScheduleView {
  const char* program;
  uint32_t period;
  uint32_t phase;
  size_t latent_count;
  uint32_t level;
  bool per_micro_batch;
  uint32_t samples;  // 0: as many as there are

  // The samples of `count` that it computes at a time.
  size_t at_a_time(size_t count, size_t micro_batch) const {
    const size_t most = samples > 0 ? samples : per_micro_batch ? micro_batch : count;
    return most < count ? most : count;
  }
};

// One value of a variable, by name.
struct ScalarView {
  const char* name;
  uint32_t constant;
  uint32_t index;
};

// A variable that gradients train; `state` are the optimizer's variables for it.
struct TrainedView {
  const char* network;
  uint32_t constant;
  std::span<const uint32_t> state;
};

// Of the values of an input, by its last dimension: format/scaling.h reads and writes them.
struct ScalingView {
  const char* input;
  bool samples;  // what is generated, too
  uint32_t constant;
  size_t channels;
};

// How a session writes what generates in int8; see Requantization in model.fbs.
struct RequantizationView {
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr float kFixed = -1;
  static constexpr uint32_t kMostSamples = 4096;
  static constexpr size_t kMostInputs = 8;  // of the program

  const char* program;
  size_t samples;
  std::span<const uint8_t> model;
  std::span<const uint32_t> sources;
  std::span<const float> limits;
};

struct MetadataView {
  const char* key;
  const char* value;
};

class ModelView;

// Where a file holds a tensor's quantization, which may be that of the constant that it names.
struct QuantizationPlace {
  std::span<const float> scales;       // empty: it has none
  const int8_t* zero_point = nullptr;  // nullptr: it is 0, and has no place
};

class ProgramView {
 public:
  ProgramView() = default;

  const char* name() const;
  size_t input_count() const;
  PortView input(size_t i) const;
  size_t output_count() const;
  PortView output(size_t i) const;
  size_t tensor_count() const;
  TensorView tensor(size_t i) const;
  QuantizationPlace quantization_place(size_t tensor) const;
  int32_t constant_of(size_t i) const;  // the constant that a tensor is, or -1
  bool is_constant(size_t i) const { return constant_of(i) >= 0; }
  // Whether a tensor is one of the exporter's, of its name; ours is that transposed by `permutation`.
  bool is_exporters(size_t i, Permutation* permutation) const;
  // Of a computed tensor's shape, for each unit of the length more.
  Dimensions<uint32_t> tensor_growth(size_t i) const;
  // A tensor for one batch, and without its name. Returns the constant's index, or -1.
  int32_t resolve(size_t i, size_t batch, DataType* type, bool* variable, Extents* shape,
                  Quantization* quantization) const;
  size_t op_count() const;
  OpView op(size_t i) const;
  // Parts of it.
  OpKind op_kind(size_t i) const;
  const char* op_name(size_t i) const;
  // `group`: of the op's rule.
  void read_attributes(size_t i, const attribute_rule::Group& group, Attributes* attributes) const;
  std::span<const uint32_t> op_inputs(size_t i) const;
  uint32_t op_output(size_t i) const;
  bool fully_int8() const;
  // Whether its samples depend on each other, so that only a whole batch gives the right results.
  bool couples_batch() const;
  // Whether it changes variables, and so runs in training sessions only.
  bool updates() const;
  size_t plan_count() const;
  PlanView plan(size_t i) const;

 private:
  friend class ModelView;
  friend class Checker;
  friend class Verifier;
  ProgramView(const schema::Model* model, const schema::Program* program, int64_t units)
      : model_(model), program_(program), units_(units) {}

  const schema::Model* model_ = nullptr;
  const schema::Program* program_ = nullptr;
  int64_t units_ = 0;
};

// The length that a session may choose; see Length in model.fbs.
struct LengthView {
  const char* name;
  uint32_t length;
  uint32_t unit;
  uint32_t least;
  uint32_t greatest;
};

// Of a program.
inline constexpr size_t kMaxOps = 65536;
inline constexpr size_t kMaxTensors = 65536;

// An input of a train program that comes with the batch: the first program, by number, that reads it.
struct BatchInput {
  size_t program;
  size_t port;
};

class ModelView {
 public:
  // Checks all of `data` and returns the view. `data` is aligned to 64 bytes and must outlive the view.
  // Errors: kBadFile, kUnsupportedVersion, kInvalidArgument (misaligned), each naming what is wrong.
  static Result<ModelView> open(const void* data, size_t size);

  const char* name() const;
  const char* producer() const;
  const char* recipe() const;  // "": it holds none
  size_t metadata_count() const;
  MetadataView metadata(size_t i) const;
  size_t constant_count() const;
  ConstantView constant(size_t i) const;
  const void* constant_data(size_t i) const;  // nullptr for a variable that starts as zeros
  // Bytes that the constants stored in f16 take as f32, and making them that in memory which outlives the view, aligned
  // to 64. Before, they have no data.
  size_t widened_bytes() const;
  void widen(void* memory);
  // Values of the exporter's parameters.
  uint64_t parameter_elements() const;
  size_t parameter_count() const;
  ParameterView parameter(size_t i) const;
  size_t program_count() const;
  ProgramView program(size_t i) const;
  bool has_open_length() const;
  LengthView open_length() const;
  // The same model at another length, whose shapes are checked like a file's; 0: the file's. kInvalidArgument: there is
  // none to choose, it is no whole number of units, or too small or large for the network.
  Result<ModelView> at_length(size_t length) const;
  bool has_latent() const;
  LatentView latent() const;
  size_t drawn_count() const;
  LatentView drawn(size_t i) const;
  // What is drawn for an input of a program where it is not given.
  std::optional<LatentView> find_drawn(const char* program, const char* input) const;
  bool has_output() const;
  OutputView output() const;
  size_t schedule_count() const;
  ScheduleView schedule(size_t i) const;
  LatentView schedule_latent(size_t i, size_t latent) const;
  // What the train programs of level 0 read and do not draw, each name once; none past the last.
  std::optional<BatchInput> batch_input(size_t i) const;
  // Whether each sample has a latent of its own.
  bool has_batch(const LatentView& drawn) const;
  size_t scalar_count() const;
  ScalarView scalar(size_t i) const;
  int32_t micro_batch_weight() const;  // a variable's constant, or -1
  bool has_objective() const;
  ObjectiveView objective() const;
  MetricView metric(size_t i) const;
  size_t scaling_count() const;
  ScalingView scaling(size_t i) const;
  size_t trained_count() const;
  TrainedView trained(size_t i) const;
  bool has_requantization() const;
  RequantizationView requantization() const;
  // Whether it is the program that int8 follows.
  bool is_requantized(size_t program) const;

 private:
  friend class Checker;
  friend class Verifier;
  const schema::Model* model_ = nullptr;
  const unsigned char* widened_ = nullptr;
  const uint8_t* blobs_ = nullptr;
  int64_t units_ = 0;  // that the length is more than the file's, or less
};

// Of an input that has such a channel, or nullptr: of the samples. kNotFound, saying what the file keeps.
Result<ScalingView> find_scaling(const ModelView& view, const char* input, size_t channel);

}  // namespace figment::format
