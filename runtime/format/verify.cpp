// Decides whether bytes are a model. Order: size, identifier, schema version, FlatBuffers' verifier, then meaning:
// every index, shape, type, scale and blob, and that the ops of every program can run in the order they stand.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "core/checked.h"
#include "core/finite.h"
#include "core/memory.h"
#include "format/integer_rule.h"
#include "format/model_view.h"
#include "format/quantized.h"
#include "format/scaling.h"
#include "format/schema_access.h"

namespace figment::format {

namespace {

// The last integer that no other one is rounded to in f32.
constexpr int32_t kExactInteger = (1 << 24) - 1;

constexpr size_t kMaxConstants = 65536;
constexpr size_t kMaxPrograms = 256;
constexpr size_t kMaxPorts = 256;
constexpr size_t kMaxLevels = 16;
constexpr size_t kMaxPlans = 64;
constexpr size_t kMaxReads = 64;       // of indices, which ops may share
constexpr size_t kMaxName = 1024;      // bytes
constexpr size_t kMaxStreams = 65536;  // of a seed, before those of codes

Status bad(Message text) { return Status::plain(StatusCode::kBadFile, text); }

template <typename... Arguments>
Status bad(Message format, Arguments... arguments) {
  return Status::error(StatusCode::kBadFile, format, arguments...);
}

Status check_quantization(const schema::Quantization* quantization, DataType type, size_t channels) {
  const size_t scales = quantization == nullptr ? 0 : length(quantization->scales());
  if (type != DataType::kI8) return scales == 0 ? Status() : bad("only i8 tensors are quantized");
  if (scales > 1 && scales != channels) return bad("the number of scales is neither 1 nor that of the channels");
  for (size_t i = 0; i < scales; ++i) {
    const float scale = quantization->scales()->Get(static_cast<uint32_t>(i));
    if (!std::isnormal(scale) || scale <= 0) return bad("a scale is not a positive normal number");
  }
  return {};
}

template <typename Vector>
Status check_dimensions(const Vector* shape) {
  if (length(shape) > kMaxRank) return bad("more than %zu dimensions", kMaxRank);
  return {};
}

Status check_shape(const flatbuffers::Vector<const schema::Dimension*>* dimensions, int64_t units) {
  FIGMENT_RETURN_IF_ERROR(check_dimensions(dimensions));
  CheckedSize elements = 1;
  size_t per_batch = 0;
  for (uint32_t i = 0; i < length(dimensions); ++i) {
    const schema::Dimension* dimension = dimensions->Get(i);
    const int64_t extent = int64_t{dimension->extent()} + int64_t{dimension->growth()} * units;
    if (extent < 1 || extent > static_cast<int64_t>(kMaxExtent)) return bad("a dimension is 0 or too large");
    elements *= static_cast<uint64_t>(extent);
    per_batch += dimension->per_batch() ? 1 : 0;
  }
  if (!elements.within(kMaxElements))
    return bad("more than %llu elements", static_cast<unsigned long long>(kMaxElements));
  if (per_batch > 1) return bad("more than one dimension depends on the batch");
  return {};
}

bool same_dimensions(const Shape& a, const Shape& b) { return a == b; }

}  // namespace

class Verifier {
 public:
  // The programs of an open model at another length.
  static Result<ModelView> at_length(const ModelView& open, int64_t units) {
    Verifier verifier;
    verifier.view_ = open;
    verifier.view_.units_ = units;
    verifier.left_ = UINT64_MAX;  // of the work, which was bounded when the model was opened
    FIGMENT_RETURN_IF_ERROR(verifier.programs());
    return verifier.view_;
  }

  static Result<ModelView> open(const void* data, size_t size) {
    Verifier verifier;
    FIGMENT_RETURN_IF_ERROR(verifier.envelope(static_cast<const uint8_t*>(data), size));
    FIGMENT_RETURN_IF_ERROR(verifier.model());
    return verifier.view_;
  }

 private:
  // Parts of a file may overlap, and be named many times: what looks at all of them would take long, and tools that
  // list them much memory. So all that is looked at together must not be larger than twice the file, indices counted
  // both as they stand and as what they read.
  Status spend(uint64_t bytes) {
    if (bytes > left_) return bad("its parts overlap: together they are larger than twice the file");
    left_ -= bytes;
    return {};
  }

  Status check_text(const flatbuffers::String* text, const char* what) {
    if (text == nullptr) return {};
    FIGMENT_RETURN_IF_ERROR(spend(text->size()));
    return std::strlen(text->c_str()) == text->size() ? Status() : bad("%s contains a zero byte", what);
  }

  Status check_name(const flatbuffers::String* name) {
    if (name == nullptr || name->size() == 0) return bad("a name is missing");
    if (name->size() > kMaxName) return bad("a name is longer than %zu bytes", kMaxName);
    return check_text(name, "a name");
  }

  // Set by `envelope` before anything else runs.
  // NOLINTNEXTLINE(clang-analyzer-core.uninitialized.UndefReturn)
  const schema::Model& root() const { return *view_.model_; }

  // The container: alignment, sizes, identifier, version, FlatBuffers' own structure.
  Status envelope(const uint8_t* data, size_t size) {
    if (data == nullptr || reinterpret_cast<uintptr_t>(data) % kTensorAlignment != 0) {
      return Status::error(StatusCode::kInvalidArgument, "the model's memory must be aligned to %zu bytes",
                           kTensorAlignment);
    }
    if (size < 32) return bad("not a Figment model: only %zu bytes", size);
    if (!flatbuffers::BufferHasIdentifier(data, schema::ModelIdentifier(), true)) {
      return bad("not a Figment model: the identifier \"FIGM\" is missing");
    }
    uint32_t header = 0;
    std::memcpy(&header, data, sizeof header);
    if (header > size - sizeof header) {
      return bad("truncated: the header needs %u bytes, the file has %zu", header, size - sizeof header);
    }
    flatbuffers::Verifier::Options options;
    options.max_depth = 16;
    // Each table has at least its vtable's offset, and the offset that names it.
    options.max_tables = std::min<uint32_t>(1U << 20, header / 8 + 8);
    flatbuffers::Verifier verifier(data, header + sizeof header, options);
    // The version is read before the rest is verified: another version may have another structure.
    const auto* table = flatbuffers::GetSizePrefixedRoot<flatbuffers::Table>(data);
    const bool readable = verifier.VerifySizePrefixedBuffer<schema::Model>(schema::ModelIdentifier());
    if (!readable) {
      flatbuffers::Verifier version_only(data, header + sizeof header, options);
      const auto* start = reinterpret_cast<const uint8_t*>(table);
      const bool table_inside = start > data && start < data + header && table->VerifyTableStart(version_only);
      if (table_inside && table->VerifyField<uint32_t>(version_only, schema::Model::VT_SCHEMA_VERSION, 4)) {
        FIGMENT_RETURN_IF_ERROR(version(table->GetField<uint32_t>(schema::Model::VT_SCHEMA_VERSION, 0)));
      }
      return bad("corrupt: the FlatBuffers header does not verify");
    }
    view_.model_ = flatbuffers::GetSizePrefixedRoot<schema::Model>(data);
    FIGMENT_RETURN_IF_ERROR(version(root().schema_version()));
    const CheckedSize start = (CheckedSize(header) + sizeof header).aligned(kTensorAlignment);
    if (!start.within(size) || root().blob_section_size() != size - start.value()) {
      return bad("truncated or with trailing bytes: the weights need %llu bytes, the file has %zu in all",
                 static_cast<unsigned long long>(root().blob_section_size()), size);
    }
    if (root().widened_size() > 2 * root().blob_section_size() || root().widened_size() > SIZE_MAX / 2)
      return bad("its f16 constants would take more than they can");
    view_.blobs_ = data + start.value();
    left_ = 2 * uint64_t{size};
    return {};
  }

  static Status version(uint32_t found) {
    if (found == kSchemaVersion) return {};
    return Status::error(StatusCode::kUnsupportedVersion,
                         "the file has schema version %u, this library reads version %u; convert the model again with "
                         "a figment-convert of the same release",
                         found, kSchemaVersion);
  }

  Status model() {
    if (length(root().constants()) > kMaxConstants) return bad("more than %zu constants", kMaxConstants);
    for (uint32_t i = 0; i < length(root().constants()); ++i) {
      const schema::Constant* entry = root().constants()->Get(i);
      const char* name = entry->name() == nullptr ? "" : entry->name()->c_str();
      if (Status status = constant(entry); !status.ok()) return status.with_prefix("constant %u (%s)", i, name);
    }
    for (uint32_t i = 0; i < length(root().parameters()); ++i) {
      if (Status status = parameter(root().parameters()->Get(i)); !status.ok()) {
        return status.with_prefix("parameter %u", i);
      }
    }
    FIGMENT_RETURN_IF_ERROR(check_text(root().name(), "the model's name"));
    FIGMENT_RETURN_IF_ERROR(check_text(root().producer(), "the producer's name"));
    for (uint32_t i = 0; i < length(root().metadata()); ++i) {
      FIGMENT_RETURN_IF_ERROR(check_name(root().metadata()->Get(i)->key()));
      FIGMENT_RETURN_IF_ERROR(check_text(root().metadata()->Get(i)->value(), "a value of the metadata"));
    }
    FIGMENT_RETURN_IF_ERROR(length_to_choose());
    FIGMENT_RETURN_IF_ERROR(programs());
    FIGMENT_RETURN_IF_ERROR(output());
    FIGMENT_RETURN_IF_ERROR(scalings());
    FIGMENT_RETURN_IF_ERROR(objective());
    return training();
  }

  Status length_to_choose() {
    const schema::Length* found = root().length();
    if (found == nullptr) return {};
    FIGMENT_RETURN_IF_ERROR(check_name(found->name()));
    if (found->unit() < 1 || found->least() < 1 || found->length() < found->least() ||
        found->length() > found->greatest() || found->greatest() > kMaxExtent)
      return bad("the length has no range");
    if (length(root().schedule()) > 0) return bad("a model that trains has a length to choose");
    return {};
  }

  // The programs, and what is drawn for them: all whose sizes depend on the length.
  Status programs() {
    const size_t programs = length(root().programs());
    if (programs < 1 || programs > kMaxPrograms) return bad("needs 1 to %zu programs, has %zu", kMaxPrograms, programs);
    for (uint32_t i = 0; i < programs; ++i) {
      const schema::Program* entry = root().programs()->Get(i);
      if (Status status = check_name(entry->name()); !status.ok()) return status.with_prefix("program %u", i);
      if (Status status = program(entry); !status.ok()) return status.with_prefix("%s", entry->name()->c_str());
      for (uint32_t j = 0; j < i; ++j) {
        if (std::strcmp(root().programs()->Get(j)->name()->c_str(), entry->name()->c_str()) == 0) {
          return bad("two programs are named %s", entry->name()->c_str());
        }
      }
    }
    if (root().latent() != nullptr) FIGMENT_RETURN_IF_ERROR(latent(root().latent()));
    if (length(root().drawn()) > kMaxPorts) return bad("more than %zu inputs are drawn", kMaxPorts);
    for (uint32_t i = 0; i < length(root().drawn()); ++i) {
      const schema::Latent* drawn = root().drawn()->Get(i);
      FIGMENT_RETURN_IF_ERROR(latent(drawn));
      if (drawn->prior() == schema::Prior::dropout) return bad("a dropout mask is drawn by train steps only");
    }
    return {};
  }

  Status objective() {
    const schema::Objective* objective = root().objective();
    if (objective == nullptr) return {};
    FIGMENT_RETURN_IF_ERROR(check_name(objective->name()));
    FIGMENT_RETURN_IF_ERROR(check_text(objective->loss(), "the loss's kind"));
    FIGMENT_RETURN_IF_ERROR(check_text(objective->divergence_weight(), "the divergence's weight"));
    if (objective->score() > schema::Score::MAX) return bad("unknown score");
    if (objective->likelihood() > schema::Likelihood::MAX) return bad("unknown likelihood");
    if (objective->score() == schema::Score::evidence_lower_bound &&
        objective->likelihood() == schema::Likelihood::none) {
      return bad("a score by the evidence lower bound needs a likelihood");
    }
    for (uint32_t i = 0; i < length(objective->metrics()); ++i) {
      const schema::Metric* metric = objective->metrics()->Get(i);
      FIGMENT_RETURN_IF_ERROR(check_name(metric->name()));
      if (metric->kind() > schema::MetricKind::MAX) return bad("metric %u: unknown kind", i);
      if (!(metric->saturation() >= 0) || !std::isfinite(metric->saturation()))
        return bad("metric %u: its saturation must be finite and not negative", i);
    }
    return {};
  }

  Status constant(const schema::Constant* entry) {
    FIGMENT_RETURN_IF_ERROR(check_name(entry->name()));
    if (entry->type() > schema::DataType::MAX) return bad("unknown type");
    const auto type = static_cast<DataType>(entry->type());
    FIGMENT_RETURN_IF_ERROR(check_dimensions(entry->shape()));
    CheckedSize elements = 1;
    for (uint32_t i = 0; i < length(entry->shape()); ++i) {
      const uint32_t extent = entry->shape()->Get(i);
      if (extent < 1) return bad("a dimension is 0");
      elements *= extent;
    }
    if (!elements.within(kMaxElements)) return bad("too many elements");
    if (entry->quantization() != nullptr) {
      FIGMENT_RETURN_IF_ERROR(spend(uint64_t{length(entry->quantization()->scales())} * sizeof(float)));
    }
    const size_t channels = length(entry->shape()) == 0 ? 1 : entry->shape()->Get(0);
    FIGMENT_RETURN_IF_ERROR(check_quantization(entry->quantization(), type, channels));
    if (entry->variable() && type != DataType::kF32) return bad("a variable must be f32");
    if (entry->variable() && entry->not_finite()) return bad("a variable must be finite");
    const schema::Blob* blob = entry->blob();
    if (blob == nullptr) return entry->variable() ? Status() : bad("has no values");
    if (entry->half() && (type != DataType::kF32 || entry->variable() || entry->not_finite()))
      return bad("only finite f32 that nothing changes is stored in f16");
    const CheckedSize bytes = elements * (entry->half() ? sizeof(uint16_t) : element_size(type));
    if (bytes.value() != blob->size()) return bad("its values do not have the length of its shape");
    if (blob->offset() % kTensorAlignment != 0) return bad("its values are misaligned");
    const CheckedSize padded = bytes + kReadablePadding;
    if (!padded.valid() || !range_inside(blob->offset(), padded.value(), root().blob_section_size())) {
      return bad("its values lie outside the file");
    }
    FIGMENT_RETURN_IF_ERROR(spend(bytes.value()));
    const uint8_t* values = view_.blobs_ + blob->offset();
    if (entry->half()) {
      const CheckedSize widened = elements * sizeof(float) + kReadablePadding;
      if (entry->widened() % kTensorAlignment != 0 || !widened.valid() ||
          !range_inside(entry->widened(), widened.value(), root().widened_size()))
        return bad("its values have no place as f32");
      for (uint64_t i = 0; i < elements.value(); ++i) {
        if ((reinterpret_cast<const uint16_t*>(values)[i] & 0x7C00) == 0x7C00) return bad("has NaN or infinite values");
      }
    } else if (type == DataType::kF32 && !entry->not_finite() && !all_finite(values, elements.value())) {
      return bad("has NaN or infinite values");
    }
    return {};
  }

  Status parameter(const schema::Parameter* entry) {
    FIGMENT_RETURN_IF_ERROR(check_name(entry->name()));
    if (entry->constant() >= length(root().constants())) return bad("names no constant");
    FIGMENT_RETURN_IF_ERROR(check_dimensions(entry->shape()));
    FIGMENT_RETURN_IF_ERROR(check_dimensions(entry->split()));
    FIGMENT_RETURN_IF_ERROR(check_dimensions(entry->permutation()));
    CheckedSize elements = 1;
    CheckedSize split = 1;
    for (uint32_t i = 0; i < length(entry->shape()); ++i) elements *= entry->shape()->Get(i);
    for (uint32_t i = 0; i < length(entry->split()); ++i) split *= entry->split()->Get(i);
    if (!is_permutation(list(entry->permutation()), length(entry->split()))) return bad("its permutation is not one");
    const ConstantView values = view_.constant(entry->constant());
    const uint64_t count = values.bytes / element_size(values.type);
    if (!elements.valid() || !split.valid() || elements.value() != split.value() ||
        !range_inside(entry->offset(), split.value(), count)) {
      return bad("does not lie inside its constant");
    }
    return {};
  }

  Status program(const schema::Program* entry) {
    const size_t tensors = length(entry->tensors());
    if (tensors < 1 || tensors > kMaxTensors) return bad("needs 1 to %zu tensors", kMaxTensors);
    if (length(entry->ops()) > kMaxOps) return bad("more than %zu ops", kMaxOps);
    for (uint32_t i = 0; i < tensors; ++i) {
      if (Status status = tensor(entry->tensors()->Get(i)); !status.ok()) {
        return status.with_prefix("tensor %u", i);
      }
    }
    const ProgramView view(view_.model_, entry, view_.units_);
    FIGMENT_RETURN_IF_ERROR(ports(entry->inputs(), view, "input"));
    for (uint32_t i = 0; i < length(entry->ops()); ++i) {
      const schema::Op* op = entry->ops()->Get(i);
      const char* name = op->name() == nullptr ? "" : op->name()->c_str();
      if (op->kind() > schema::OpKind::MAX) return bad("op %u (%s): unknown kind", i, name);
      FIGMENT_RETURN_IF_ERROR(check_text(op->name(), "an op's name"));
      if (Status status = this->op(op, view, i); !status.ok()) return in_op(i, op, status);
    }
    if (length(entry->outputs()) < 1) return bad("has no output");
    FIGMENT_RETURN_IF_ERROR(ports(entry->outputs(), view, "output"));
    for (size_t first = 0; first < tensors; first += kOrderWindow) FIGMENT_RETURN_IF_ERROR(order(entry, view, first));
    return plans(view);
  }

  // `op` may have failed anything but the check of its kind and name.
  static Status in_op(size_t index, const schema::Op* op, const Status& status) {
    return status.with_prefix("op %zu (%s %s)", index, name_of(static_cast<OpKind>(op->kind())),
                              op->name() == nullptr ? "" : op->name()->c_str());
  }

  // Tensors whose order is checked together: a bit each, on the stack, because a model may be opened without a heap.
  static constexpr size_t kOrderWindow = 4096;

  // Whether each of the tensors [first, first + kOrderWindow) has its value (it is a constant, an input, or the output
  // of an earlier op) before it is read, and is given it once.
  static Status order(const schema::Program* entry, const ProgramView& view, size_t first) {
    std::array<uint64_t, kOrderWindow / 64> bits{};
    const auto inside = [&](size_t tensor) { return tensor >= first && tensor - first < kOrderWindow; };
    const auto written = [&](size_t tensor) {
      return (bits[(tensor - first) / 64] >> ((tensor - first) % 64) & 1) != 0;
    };
    const auto write = [&](size_t tensor) { bits[(tensor - first) / 64] |= uint64_t{1} << ((tensor - first) % 64); };
    for (size_t i = first; i < view.tensor_count() && inside(i); ++i) {
      if (view.tensor(i).constant >= 0) write(i);
    }
    for (size_t i = 0; i < view.input_count(); ++i) {
      const PortView port = view.input(i);
      if (!inside(port.tensor)) continue;
      if (written(port.tensor)) return bad("input %s: its tensor is a constant or another input", port.name);
      write(port.tensor);
    }
    for (size_t i = 0; i < view.op_count(); ++i) {
      for (uint32_t tensor : view.op_inputs(i)) {
        if (inside(tensor) && !written(tensor))
          return in_op(i, entry->ops()->Get(static_cast<uint32_t>(i)),
                       bad("reads tensor %u before it is computed", tensor));
      }
      const uint32_t target = view.op_output(i);
      if (!inside(target)) continue;
      if (written(target) && !is_update(view.op(i).kind))
        return in_op(i, entry->ops()->Get(static_cast<uint32_t>(i)),
                     bad("writes tensor %u, which has a value already", target));
      write(target);
    }
    for (size_t i = 0; i < view.output_count(); ++i) {
      const PortView port = view.output(i);
      if (!inside(port.tensor)) continue;
      if (!written(port.tensor)) return bad("output %s is never computed", port.name);
      if (view.tensor(port.tensor).constant >= 0) return bad("output %s is a constant", port.name);
    }
    return {};
  }

  Status tensor(const schema::Tensor* entry) {
    FIGMENT_RETURN_IF_ERROR(check_text(entry->name(), "its name"));
    if (entry->constant() >= 0) {
      if (static_cast<size_t>(entry->constant()) >= length(root().constants())) return bad("names no constant");
      return {};
    }
    if (entry->constant() != -1) return bad("names no constant");
    if (entry->type() > schema::DataType::MAX) return bad("unknown type");
    FIGMENT_RETURN_IF_ERROR(check_shape(entry->shape(), view_.units_));
    if (entry->permutation() != nullptr) {
      FIGMENT_RETURN_IF_ERROR(check_dimensions(entry->permutation()));
      FIGMENT_RETURN_IF_ERROR(spend(entry->permutation()->size()));
      if (!is_permutation(list(entry->permutation()), length(entry->shape()))) return bad("its permutation is not one");
    }
    return check_quantization(entry->quantization(), static_cast<DataType>(entry->type()), 1);
  }

  Status ports(const flatbuffers::Vector<flatbuffers::Offset<schema::Port>>* entries, const ProgramView& view,
               const char* what) {
    if (length(entries) > kMaxPorts) return bad("more than %zu %ss", kMaxPorts, what);
    for (uint32_t i = 0; i < length(entries); ++i) {
      const schema::Port* entry = entries->Get(i);
      if (Status status = check_name(entry->name()); !status.ok()) return status.with_prefix("%s %u", what, i);
      const char* name = entry->name()->c_str();
      if (entry->tensor() >= view.tensor_count()) return bad("%s %s: names no tensor", what, name);
      if (Status status = check_shape(entry->shape(), view_.units_); !status.ok())
        return status.with_prefix("%s %s", what, name);
      FIGMENT_RETURN_IF_ERROR(check_dimensions(entry->permutation()));
      Shape exporter;
      const Permutation permutation = list(entry->permutation());
      for (uint32_t d = 0; d < length(entry->shape()); ++d) {
        const schema::Dimension* dimension = entry->shape()->Get(d);
        exporter.push_back({extent_at(*dimension, view_.units_), dimension->per_batch()});
      }
      if (!is_permutation(permutation, exporter.rank())) return bad("%s %s: its permutation is not one", what, name);
      Shape ours;
      for (uint32_t axis : permutation) ours.push_back(exporter[axis]);
      const TensorView tensor = view.tensor(entry->tensor());
      if (!same_dimensions(ours, tensor.type.shape)) return bad("%s %s: its shape is not its tensor's", what, name);
      if (tensor.type.type != DataType::kF32) return bad("%s %s: is not f32", what, name);
      if (entry->integers() &&
          (entry->least() > entry->greatest() || entry->least() < -kExactInteger || entry->greatest() > kExactInteger))
        return bad("%s %s: its integers have no range that f32 holds exactly", what, name);
      for (uint32_t j = 0; j < i; ++j) {
        if (std::strcmp(entries->Get(j)->name()->c_str(), name) == 0) return bad("two %ss are named %s", what, name);
      }
    }
    return {};
  }

  Status op(const schema::Op* entry, const ProgramView& view, uint32_t index) {
    if (length(entry->inputs()) < 1 || length(entry->inputs()) > kMaxOperands || length(entry->outputs()) != 1) {
      return bad("needs 1 to %zu inputs and one output", kMaxOperands);
    }
    FIGMENT_RETURN_IF_ERROR(attributes(entry));
    std::array<TensorType, kMaxOperands> inputs;
    for (uint32_t i = 0; i < entry->inputs()->size(); ++i) {
      const uint32_t tensor = entry->inputs()->Get(i);
      if (tensor >= view.tensor_count()) return bad("reads tensor %u, which does not exist", tensor);
      inputs[i] = view.tensor(tensor).type;
    }
    const uint32_t target = entry->outputs()->Get(0);
    if (target >= view.tensor_count()) return bad("writes tensor %u, which does not exist", target);
    const bool updates = is_update(static_cast<OpKind>(entry->kind()));
    if (updates && target != entry->inputs()->Get(0))
      return bad("an update writes its first input, not tensor %u", target);
    const TensorType declared = view.tensor(target).type;
    const OpView op = view.op(index);
    const std::span<const TensorType> operands(inputs.data(), op.inputs.size());
    Result<TensorType> expected = infer_output(op.kind, op.attributes, operands, declared);
    if (!expected.ok()) return expected.status();
    if (expected->type != declared.type) return bad("its output is declared with another type");
    if (!same_dimensions(expected->shape, declared.shape)) return bad("its output is declared with another shape");
    if (declared.type == DataType::kI8) {
      if (declared.quantization.scales.size() != 1) return bad("its i8 output needs one scale");
      if (declared.quantization.scale() != expected->quantization.scale() ||
          declared.quantization.zero_point != expected->quantization.zero_point) {
        return bad("its output is declared with another quantization");
      }
      if (Message violation = integer_violation(op.kind, operands, declared, bias_of(op, view))) return bad(violation);
    }
    if (op.kind == OpKind::kResizeNearest || op.kind == OpKind::kResizeNearestBackward) {
      const Shape& image = op.kind == OpKind::kResizeNearest ? inputs[0].shape : declared.shape;
      for (size_t axis = 0; axis < 2; ++axis) {
        const ConstantView rows = view_.constant(static_cast<size_t>(view.tensor(op.inputs[axis + 1]).constant));
        const auto* values = static_cast<const int32_t*>(rows.data);
        FIGMENT_RETURN_IF_ERROR(spend(rows.bytes / kMaxReads));
        for (size_t i = 0; i < rows.shape[0].extent; ++i) {
          if (values[i] < 0 || static_cast<uint32_t>(values[i]) >= image[axis + 1].extent) {
            return bad("an index points outside the input");
          }
        }
      }
    }
    return {};
  }

  static Status attributes(const schema::Op* entry) {
    const AttributeGroup group = attribute_group(static_cast<OpKind>(entry->kind()));
    if (static_cast<uint8_t>(entry->attributes_type()) != static_cast<uint8_t>(group)) {
      return bad("carries the attributes of another op");
    }
    size_t longest = 0;
    const auto measure = [&longest](const auto* vector) {
      if (length(vector) > longest) longest = length(vector);
    };
    if (const auto* window = entry->attributes_as_WindowAttributes()) {
      if (length(window->kernel()) != 2 || length(window->stride()) != 2 || length(window->dilation()) != 2 ||
          length(window->padding()) != 4 ||
          (window->output_padding() != nullptr && window->output_padding()->size() != 2)) {
        return bad("kernel, stride, dilation need two values, padding four");
      }
    } else if (const auto* axes = entry->attributes_as_AxesAttributes()) {
      measure(axes->axes());
    } else if (const auto* transpose = entry->attributes_as_TransposeAttributes()) {
      measure(transpose->permutation());
    } else if (const auto* slice = entry->attributes_as_SliceAttributes()) {
      measure(slice->starts());
      measure(slice->steps());
      measure(slice->growth());
      if (length(slice->growth()) > length(slice->starts())) return bad("more starts grow than there are");
    } else if (const auto* pad = entry->attributes_as_PadAttributes()) {
      measure(pad->before());
      measure(pad->after());
      if (pad->mode() > schema::PadMode::MAX) return bad("unknown padding mode");
    } else if (const auto* function = entry->attributes_as_FunctionAttributes()) {
      if (function->function() > schema::OpKind::MAX) return bad("unknown function");
    } else if (const auto* recurrent = entry->attributes_as_RecurrentAttributes()) {
      if (recurrent->gradient() > schema::RecurrentGradient::MAX) return bad("unknown gradient");
    }
    if (longest > kMaxRank) return bad("has attributes for more than %zu dimensions", kMaxRank);
    return {};
  }

  // The values of a linear op's bias.
  std::span<const int32_t> bias_of(const OpView& op, const ProgramView& view) const {
    if (!is_linear(op.kind) || op.inputs.size() < 3) return {};
    const ConstantView bias = view_.constant(static_cast<size_t>(view.tensor(op.inputs[2]).constant));
    return {static_cast<const int32_t*>(bias.data), bias.shape[0].extent};
  }

  // A carried plan is checked in full when a session uses it (session/program_plan.h); here only that it fits the
  // program.
  Status plans(const ProgramView& view) {
    if (view.plan_count() > kMaxPlans) return bad("more than %zu plans", kMaxPlans);
    for (size_t i = 0; i < view.plan_count(); ++i) {
      const PlanView plan = view.plan(i);
      FIGMENT_RETURN_IF_ERROR(spend(plan.offsets.size_bytes() + plan.scratch.size_bytes()));
      if (plan.offsets.size() != view.tensor_count() || plan.batch < 1) return bad("a plan is not for its tensors");
      if (!plan.scratch.empty() && plan.scratch.size() != view.op_count()) return bad("a plan is not for its ops");
    }
    return {};
  }

  // The index of `port` among the inputs or outputs of `program`, as a view; nullptr name when there is none.
  PortView find_port(const flatbuffers::String* program, const flatbuffers::String* port, bool input) const {
    for (size_t p = 0; p < view_.program_count() && program != nullptr && port != nullptr; ++p) {
      const ProgramView view = view_.program(p);
      if (std::strcmp(view.name(), program->c_str()) != 0) continue;
      for (size_t i = 0; i < (input ? view.input_count() : view.output_count()); ++i) {
        const PortView found = input ? view.input(i) : view.output(i);
        if (std::strcmp(found.name, port->c_str()) == 0) return found;
      }
    }
    return {nullptr, 0, {}, {}};
  }

  Status latent(const schema::Latent* latent) {
    const PortView port = find_port(latent->program(), latent->input(), true);
    if (port.name == nullptr) return bad("the latent names no input of a program");
    if (latent->prior() > schema::Prior::MAX) return bad("the latent has an unknown prior");
    if (latent == root().latent() && latent->prior() == schema::Prior::dropout)
      return bad("the latent is a dropout mask, which only train steps draw");
    const int64_t size = int64_t{latent->size()} + int64_t{latent->growth()} * view_.units_;
    if (size < 0 || element_count(port.shape, 1).value() != static_cast<uint64_t>(size))
      return bad("the latent does not have its input's size");
    if (latent->growth() != 0 && length(latent->codes()) > 0) return bad("a latent with codes has one size");
    if (latent->prior() == schema::Prior::dropout && !(latent->rate() >= 0 && latent->rate() < 1)) {
      return bad("a dropout rate must be in [0, 1)");
    }
    if (latent->stream() >= kMaxStreams) return bad("the latent's stream is out of range");
    if (length(latent->codes()) > kMaxPorts) return bad("more than %zu codes", kMaxPorts);
    CheckedSize codes = 0;
    for (uint32_t i = 0; i < length(latent->codes()); ++i) {
      const schema::Code* code = latent->codes()->Get(i);
      FIGMENT_RETURN_IF_ERROR(check_name(code->name()));
      if (code->size() < 1 || code->prior() >= schema::Prior::dropout) return bad("a code is empty or has no prior");
      codes += code->size();
    }
    if (!codes.within(static_cast<uint64_t>(size))) return bad("the codes are larger than their latent");
    return {};
  }

  Status output() const {
    const schema::Output* output = root().output();
    if (output == nullptr) return {};
    const PortView port = find_port(output->program(), output->port(), false);
    if (port.name == nullptr) return bad("the output names no output of a program");
    if (output->kind() > schema::OutputKind::MAX) return bad("the output has an unknown kind");
    if (output->kind() == schema::OutputKind::image && port.shape.rank() != 4)
      return bad("an image output needs rank 4");
    if (!std::isfinite(output->range_min()) || !std::isfinite(output->range_max()) ||
        !(output->range_min() < output->range_max())) {
      return bad("the output's range is empty");
    }
    return {};
  }

  Status scalings() {
    if (length(root().scalings()) > kMaxPorts) return bad("more than %zu scalings", kMaxPorts);
    for (uint32_t i = 0; i < length(root().scalings()); ++i) {
      const schema::Scaling* scaling = root().scalings()->Get(i);
      FIGMENT_RETURN_IF_ERROR(check_name(scaling->input()));
      if (scaling->constant() >= length(root().constants())) return bad("scaling %u names no constant", i);
      const schema::Constant* constant = root().constants()->Get(scaling->constant());
      if (constant->type() != schema::DataType::f32 || constant->transient() || constant->half() ||
          constant->not_finite() || constant->blob() == nullptr || length(constant->shape()) != 2 ||
          constant->shape()->Get(1) != ChannelScaling::kValues) {
        return bad("scaling %u is not f32 [channels, %zu]", i, size_t{ChannelScaling::kValues});
      }
      for (uint32_t j = 0; j < i; ++j) {
        const schema::Scaling* other = root().scalings()->Get(j);
        if (std::strcmp(other->input()->c_str(), scaling->input()->c_str()) == 0)
          return bad("scalings %u and %u are of one input", j, i);
        if (other->samples() && scaling->samples()) return bad("scalings %u and %u are both of the samples", j, i);
      }
    }
    return {};
  }

  bool is_variable(uint32_t constant) const {
    return constant < length(root().constants()) && root().constants()->Get(constant)->variable();
  }

  // That every training session holds.
  bool is_kept_variable(uint32_t constant) const {
    return is_variable(constant) && !root().constants()->Get(constant)->transient();
  }

  // The schedule, the scalars and the trained parameters.
  Status training() {
    if (length(root().schedule()) > kMaxPrograms) return bad("more than %zu entries in the schedule", kMaxPrograms);
    for (uint32_t i = 0; i < length(root().schedule()); ++i) {
      const schema::ScheduleEntry* entry = root().schedule()->Get(i);
      if (entry->period() < 1 || entry->phase() >= entry->period())
        return bad("schedule entry %u: its period is empty", i);
      if (entry->per_micro_batch() && root().micro_batch_weight() < 0)
        return bad("schedule entry %u: no weight for its micro-batches", i);
      if (entry->level() >= kMaxLevels) return bad("schedule entry %u: its level is out of range", i);
      bool found = false;
      for (size_t p = 0; p < view_.program_count() && entry->program() != nullptr; ++p) {
        const bool named = std::strcmp(view_.program(p).name(), entry->program()->c_str()) == 0;
        if (named && !view_.program(p).updates()) return bad("schedule entry %u: its program changes nothing", i);
        found = found || named;
      }
      if (!found) return bad("schedule entry %u names no program", i);
      for (uint32_t j = 0; j < i; ++j) {
        const schema::ScheduleEntry* other = root().schedule()->Get(j);
        const bool same =
            other->level() == entry->level() && std::strcmp(other->program()->c_str(), entry->program()->c_str()) == 0;
        if (same && other->per_micro_batch() != entry->per_micro_batch())
          return bad("schedule entry %u: its program runs in parts and whole", i);
      }
      if (length(entry->latents()) > kMaxPorts) return bad("schedule entry %u: more than %zu latents", i, kMaxPorts);
      for (uint32_t j = 0; j < length(entry->latents()); ++j) {
        const schema::Latent* drawn = entry->latents()->Get(j);
        FIGMENT_RETURN_IF_ERROR(latent(drawn));
        if (std::strcmp(drawn->program()->c_str(), entry->program()->c_str()) != 0) {
          return bad("schedule entry %u draws for another program", i);
        }
      }
    }
    if (root().micro_batch_weight() >= 0 && !is_variable(static_cast<uint32_t>(root().micro_batch_weight()))) {
      return bad("the weight of the parts is no variable");
    }
    for (uint32_t i = 0; i < length(root().scalars()); ++i) {
      const schema::Scalar* scalar = root().scalars()->Get(i);
      FIGMENT_RETURN_IF_ERROR(check_name(scalar->name()));
      if (!is_kept_variable(scalar->constant()) ||
          scalar->index() >= view_.constant(scalar->constant()).bytes / sizeof(float)) {
        return bad("scalar %s is no value of a variable", scalar->name()->c_str());
      }
    }
    const schema::Objective* objective = root().objective();
    if (objective != nullptr && length(root().schedule()) > 0 && length(objective->divergence_weight()) > 0) {
      bool named = false;
      for (uint32_t i = 0; i < length(root().scalars()); ++i) {
        named = named ||
                std::strcmp(root().scalars()->Get(i)->name()->c_str(), objective->divergence_weight()->c_str()) == 0;
      }
      if (!named) return bad("the divergence's weight is no scalar");
    }
    for (uint32_t i = 0; i < length(root().trained()); ++i) {
      const schema::Trained* trained = root().trained()->Get(i);
      if (!is_kept_variable(trained->constant())) return bad("trained parameter %u is no variable", i);
      for (uint32_t j = 0; j < length(trained->state()); ++j) {
        const uint32_t state = trained->state()->Get(j);
        if (!is_kept_variable(state) || view_.constant(state).shape != view_.constant(trained->constant()).shape) {
          return bad("trained parameter %u: its state is no variable of its shape", i);
        }
      }
    }
    return {};
  }

  ModelView view_;
  uint64_t left_ = 0;  // bytes that may still be looked at
};

Result<ModelView> ModelView::open(const void* data, size_t size) { return Verifier::open(data, size); }

Result<ModelView> ModelView::at_length(size_t wanted) const {
  const auto invalid = [](Message format, auto... arguments) {
    return Status::error(StatusCode::kInvalidArgument, format, arguments...);
  };
  if (wanted == 0) return *this;
  if (!has_open_length()) return invalid("the model has no length to choose, %zu or any other", wanted);
  const LengthView ours = open_length();
  const auto difference = static_cast<int64_t>(std::min<size_t>(wanted, SIZE_MAX / 4)) - int64_t{ours.length};
  if (wanted < ours.least || wanted > ours.greatest || difference % ours.unit != 0) {
    return invalid("%s cannot be %zu: it is from %u to %u, and %u apart", ours.name, wanted, ours.least, ours.greatest,
                   ours.unit);
  }
  Result<ModelView> view = Verifier::at_length(*this, difference / ours.unit);
  if (view.ok()) return view;
  return view.status().as(StatusCode::kInvalidArgument).with_prefix("%s cannot be %zu", ours.name, wanted);
}

}  // namespace figment::format
