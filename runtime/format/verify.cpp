// Decides whether bytes are a model. Order: size, identifier, schema version, FlatBuffers' verifier, then meaning:
// every index, shape, type, scale and blob, and that the ops of every program can run in the order they stand.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "core/checked.h"
#include "core/finite.h"
#include "core/memory.h"
#include "core/text.h"
#include "format/checker.h"
#include "format/op_rule.h"
#include "format/quantized.h"

namespace figment::format {

namespace {

// The last integer that no other one is rounded to in f32.
constexpr int32_t kExactInteger = (1 << 24) - 1;

constexpr size_t kMaxConstants = 65536;
constexpr size_t kMaxPlans = 64;
constexpr size_t kMaxReads = 64;  // of indices, which ops may share

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

class Verifier : public Checker {
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
  // The container: alignment, sizes, identifier, version, FlatBuffers' own structure.
  Status envelope(const uint8_t* data, size_t size) {
    if (data == nullptr || reinterpret_cast<uintptr_t>(data) % kTensorAlignment != 0) {
      return Status::error(StatusCode::kInvalidArgument, "the model's memory must be aligned to %zu bytes",
                           kTensorAlignment);
    }
    if (size < 32) return bad("not a Figment model: only %zu bytes", size);
    // Behind the header's size and the root's offset.
    if (std::memcmp(data + 8, schema::ModelIdentifier(), 4) != 0) {
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
    const bool readable = verifier.VerifySizePrefixedBuffer<schema::Model>(nullptr);
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
    FIGMENT_RETURN_IF_ERROR(check_text(root().name(), "the model's name"));
    FIGMENT_RETURN_IF_ERROR(check_text(root().producer(), "the producer's name"));
    for (uint32_t i = 0; i < length(root().metadata()); ++i) {
      FIGMENT_RETURN_IF_ERROR(check_name(root().metadata()->Get(i)->key()));
      FIGMENT_RETURN_IF_ERROR(check_text(root().metadata()->Get(i)->value(), "a value of the metadata"));
    }
    FIGMENT_RETURN_IF_ERROR(length_to_choose());
    FIGMENT_RETURN_IF_ERROR(programs());
    FIGMENT_RETURN_IF_ERROR(output());
    return for_training();
  }

  // What running programs does not read.
  Status for_training() {
    const bool any = length(root().parameters()) > 0 || length(root().scalings()) > 0 ||
                     root().objective() != nullptr || length(root().schedule()) > 0 || length(root().scalars()) > 0 ||
                     length(root().trained()) > 0 || root().requantization() != nullptr;
    if (!any) return {};
    TrainingVerifier* verify = linked_training_verifier();
    if (verify != nullptr) return verify(this);
    return Status::plain(StatusCode::kUnsupported,
                         "the file holds what training reads, and this program was linked without training: convert "
                         "with --strip");
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
        if (same_text(root().programs()->Get(j)->name()->c_str(), entry->name()->c_str())) {
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
        if (same_text(entries->Get(j)->name()->c_str(), name)) return bad("two %ss are named %s", what, name);
      }
    }
    return {};
  }

  Status op(const schema::Op* entry, const ProgramView& view, uint32_t index) {
    if (length(entry->inputs()) < 1 || length(entry->inputs()) > kMaxOperands || length(entry->outputs()) != 1) {
      return bad("needs 1 to %zu inputs and one output", kMaxOperands);
    }
    FIGMENT_RETURN_IF_ERROR(attributes(entry));
    // Types are large, and the stack of a small target holds those of few inputs.
    if (entry->inputs()->size() <= 5) return op_of<5>(entry, view, index);
    return entry->inputs()->size() <= 16 ? op_of<16>(entry, view, index) : op_of<kMaxOperands>(entry, view, index);
  }

  template <size_t kMost>
  [[gnu::noinline]] Status op_of(const schema::Op* entry, const ProgramView& view, uint32_t index) {
    std::array<TensorType, kMost> types;
    return op_of(entry, view, index, {types.data(), entry->inputs()->size()});
  }

  Status op_of(const schema::Op* entry, const ProgramView& view, uint32_t index, std::span<TensorType> types) {
    for (uint32_t i = 0; i < types.size(); ++i) {
      const uint32_t tensor = entry->inputs()->Get(i);
      if (tensor >= view.tensor_count()) return bad("reads tensor %u, which does not exist", tensor);
      types[i] = view.tensor(tensor).type;
    }
    const uint32_t target = entry->outputs()->Get(0);
    if (target >= view.tensor_count()) return bad("writes tensor %u, which does not exist", target);
    const bool updates = is_update(static_cast<OpKind>(entry->kind()));
    if (updates && target != entry->inputs()->Get(0))
      return bad("an update writes its first input, not tensor %u", target);
    const TensorType declared = view.tensor(target).type;
    const OpView op = view.op(index);
    Result<TensorType> expected = infer_output(op.kind, op.attributes, types, declared);
    if (!expected.ok()) return expected.status();
    if (expected->type != declared.type) return bad("its output is declared with another type");
    if (!same_dimensions(expected->shape, declared.shape)) return bad("its output is declared with another shape");
    if (declared.type == DataType::kI8) {
      if (declared.quantization.scales.size() != 1) return bad("its i8 output needs one scale");
      if (declared.quantization.scale() != expected->quantization.scale() ||
          declared.quantization.zero_point != expected->quantization.zero_point) {
        return bad("its output is declared with another quantization");
      }
      // An op's rule reads all scales and biases, and many ops may name the same.
      const std::span<const int32_t> bias = bias_of(op, view);
      uint64_t read = bias.size_bytes();
      for (const TensorType& type : types) read += type.quantization.scales.size_bytes();
      FIGMENT_RETURN_IF_ERROR(spend(read / kMaxReads));
      if (Message violation = integer_violation(op.kind, types, declared, bias)) return bad(violation);
    }
    if (op.kind == OpKind::kResizeNearest || op.kind == OpKind::kResizeNearestBackward) {
      const Shape& image = op.kind == OpKind::kResizeNearest ? types[0].shape : declared.shape;
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
    const auto kind = static_cast<OpKind>(entry->kind());
    if (static_cast<uint8_t>(entry->attributes_type()) != static_cast<uint8_t>(attribute_group(kind))) {
      return bad("carries the attributes of another op");
    }
    if (attribute_group(kind) != AttributeGroup::kNone && entry->attributes() == nullptr)
      return bad("lacks its attributes");
    const OpRule* rule = linked_rule(kind);
    if (rule == nullptr)
      return Status::plain(StatusCode::kUnsupported, "this program was linked without a kernel for it");
    return rule->attributes->check(*entry);
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
};

Result<ModelView> ModelView::open(const void* data, size_t size) { return Verifier::open(data, size); }

Result<ModelView> ModelView::at_length(size_t wanted) const {
  const auto invalid = [](Message format, auto... arguments) {
    return Status::error(StatusCode::kInvalidArgument, format, arguments...);
  };
  if (wanted == 0) return *this;
  if (!has_open_length()) return invalid("the model has no length to choose, %zu or any other", wanted);
  const LengthView ours = open_length();
  const bool inside = wanted >= ours.least && wanted <= ours.greatest;
  const auto length = static_cast<uint32_t>(wanted);
  const bool shorter = length < ours.length;
  const uint32_t distance = shorter ? ours.length - length : length - ours.length;
  if (!inside || distance % ours.unit != 0) {
    return invalid("%s cannot be %zu: it is from %u to %u, and %u apart", ours.name, wanted, ours.least, ours.greatest,
                   ours.unit);
  }
  Result<ModelView> view =
      Verifier::at_length(*this, shorter ? -int64_t{distance / ours.unit} : int64_t{distance / ours.unit});
  if (view.ok()) return view;
  return view.status().as(StatusCode::kInvalidArgument).with_prefix("%s cannot be %zu", ours.name, wanted);
}

}  // namespace figment::format
