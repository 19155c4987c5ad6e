#include "training/requantize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/finite.h"
#include "core/memory.h"
#include "core/text.h"
#include "format/calibration.h"
#include "format/checker.h"
#include "format/quantized.h"
#include "model_generated.h"
#include "session/exchange.h"
#include "training/trainer.h"

namespace figment {

namespace {

namespace schema = format::schema;
using format::OpKind;
using format::QuantParameters;
using format::RequantizationView;

constexpr size_t kTableEntries = 256;

// Behind the file in the caller's memory: of each range the greatest values of samples, in descending order, and those
// of the samples' negatives; the values of a table and what a function makes of them; a batch of inputs.
CheckedSize scratch_elements(size_t ranges, size_t tail, size_t inputs) {
  return CheckedSize(ranges) * (2 * tail) + 2 * kTableEntries + inputs;
}

Status bad_form() {
  return Status::error(StatusCode::kBadFile, "its int8 form does not fit the program that it follows");
}

Status not_finite() { return wrong("a value has become NaN or infinite, which int8 cannot hold"); }

// Into `count` values in descending order, the least of which goes.
void insert(float value, float* descending, size_t count) {
  if (!(value > descending[count - 1])) return;
  size_t place = count - 1;
  for (; place > 0 && value > descending[place - 1]; --place) descending[place] = descending[place - 1];
  descending[place] = value;
}

// The memory of the file that is being written.
template <typename T>
T* writable(const T* data) {
  return const_cast<T*>(data);
}

bool set_quantization(const schema::Quantization* quantization, QuantParameters parameters) {
  if (quantization == nullptr || format::length(quantization->scales()) != 1) return false;
  const auto* table = reinterpret_cast<const flatbuffers::Table*>(quantization);
  const size_t zero_point = table->GetOptionalFieldOffset(schema::Quantization::VT_ZERO_POINT);
  if (zero_point == 0) return false;
  *writable(quantization->scales()->data()) = parameters.scale;
  writable(reinterpret_cast<const int8_t*>(quantization))[zero_point] = static_cast<int8_t>(parameters.zero_point);
  return true;
}

QuantParameters parameters_of(const float* values, size_t count) {
  float low = 0;
  float high = 0;
  for (size_t i = 0; i < count; ++i) {
    low = std::min(low, values[i]);
    high = std::max(high, values[i]);
  }
  return format::parameters_for(low, high);
}

// Calls show(op, values) with what each op of a program computes, as long as this lives.
template <typename Show>
class Watch {
 public:
  Watch(Program* program, Show show) : program_(program), before_(program->observer()), show_(show) {
    program->observe({[](void* context, uint32_t, uint32_t op, const void* values) {
                        static_cast<Watch*>(context)->show_(op, static_cast<const float*>(values));
                      },
                      this});
  }
  ~Watch() { program_->observe(before_); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  Program* program_;
  Observer before_;
  Show show_;
};

}  // namespace

struct Requantizer::Memory {
  float* ranges;
  float* table;  // and behind it what a function makes of it
  float* inputs;
};

Result<Requantizer> Requantizer::of(Session* session) {
  FIGMENT_RETURN_IF_ERROR(check_training(*session));
  FIGMENT_RETURN_IF_ERROR(session->check_threads());
  const format::ModelView& view = session->model()->view();
  if (!view.has_requantization()) {
    return Status::error(StatusCode::kNotFound,
                         "the model carries no int8 form: convert it with --int8 --keep-training");
  }
  const RequantizationView form = view.requantization();
  Result<Program*> program = session->find_program(form.program);
  if (!program.ok()) return program.status();
  return Requantizer(session, *program, form);
}

size_t Requantizer::tail() const { return std::min(format::tail_size(form_.samples) + 1, form_.samples); }

// Whether ranges of what an op computes are to be found: something int8 follows it.
bool Requantizer::is_ranged(uint32_t tensor) const {
  for (size_t i = 0; i < form_.sources.size(); ++i) {
    if (form_.sources[i] == tensor && form_.limits[i] != RequantizationView::kFixed) return true;
  }
  return false;
}

size_t Requantizer::range_count() const {
  size_t count = 0;
  for (size_t i = 0; i < program_->op_count(); ++i) count += is_ranged(program_->view().op_output(i)) ? 1 : 0;
  return count;
}

size_t Requantizer::input_elements() const {
  size_t count = 0;
  for (const Port& port : program_->inputs()) count += port.sample_elements * program_->planned_batch();
  return count;
}

CheckedSize Requantizer::memory_bytes() const {
  const CheckedSize scratch = scratch_elements(range_count(), tail(), input_elements()) * sizeof(float);
  return CheckedSize(form_.model.size()).aligned(kTensorAlignment) + scratch;
}

// Samples [first, first + count) of what is calibrated on: latents, and of other inputs class after class.
Status Requantizer::run(const Memory& memory, size_t first, size_t count) {
  const format::ModelView& view = session_->model()->view();
  constexpr size_t kMostInputs = 8;
  NamedTensor inputs[kMostInputs];
  const std::span<const Port> ports = program_->inputs();
  if (!view.has_latent() || ports.size() > kMostInputs) return bad_form();
  const format::LatentView latent = view.latent();
  float* values = memory.inputs;
  for (size_t p = 0; p < ports.size(); ++p) {
    const Port& port = ports[p];
    const size_t size = port.sample_elements;
    inputs[p] = {port.name, values, count * size, ElementType::kF32};
    const bool is_latent = same_text(port.name, latent.input);
    const std::optional<format::LatentView> drawn = is_latent ? latent : view.find_drawn(latent.program, port.name);
    if (!port.per_batch || (drawn && drawn->size != size)) return bad_form();
    for (size_t i = first; i < first + count; ++i, values += size) {
      if (drawn) {
        drawn->draw(format::kCalibrationSeed, i, values);
      } else if (port.integers) {
        const size_t range = static_cast<size_t>(std::max<int32_t>(port.greatest, 0)) + 1;
        for (size_t j = 0; j < size; ++j) values[j] = static_cast<float>((i * size + j) % range);
      } else {
        for (size_t j = 0; j < size; ++j) values[j] = j == i % size ? 1.0F : 0.0F;
      }
    }
  }
  const uint64_t before = session_->samples_run();
  const Status status = session_->run(form_.program, count, {inputs, ports.size()}, {});
  session_->set_samples_run(before);
  return status;
}

// Shows all samples to the ranges.
Status Requantizer::find_ranges(const Memory& memory) {
  const size_t kept = tail();
  const size_t floats = range_count() * 2 * kept;
  for (size_t i = 0; i < floats; ++i) memory.ranges[i] = -std::numeric_limits<float>::infinity();
  const size_t batch = program_->planned_batch();
  bool finite = true;
  for (size_t first = 0; first < form_.samples; first += batch) {
    const size_t count = std::min(batch, form_.samples - first);
    float* range = memory.ranges;
    const Watch watch(program_, [&](uint32_t op, const float* values) {
      const uint32_t tensor = program_->view().op_output(op);
      if (!is_ranged(tensor)) return;
      const Shape shape = program_->view().tensor(tensor).type.shape;
      // Values lie [before, sample, behind]; without samples they are those of each.
      size_t before = 1;
      size_t behind = 1;
      size_t samples = 1;
      for (const Dimension& dimension : shape) {
        if (dimension.per_batch) {
          samples = batch;
          before = behind;
          behind = 1;
        }
        behind *= dimension.extent;
      }
      for (size_t i = 0; i < count; ++i) {
        float least = std::numeric_limits<float>::infinity();
        float most = -least;
        for (size_t b = 0; b < before; ++b) {
          const float* part = values + (b * samples + i % samples) * behind;
          finite = finite && all_finite(part, behind);
          for (size_t j = 0; j < behind; ++j) {
            least = std::min(least, part[j]);
            most = std::max(most, part[j]);
          }
        }
        insert(most, range, kept);
        insert(-least, range + kept, kept);
      }
      range += 2 * kept;
    });
    FIGMENT_RETURN_IF_ERROR(run(memory, first, count));
  }
  return finite ? Status() : not_finite();
}

// The quantization of what int8 ops compute.
Status Requantizer::set_ranges(const Memory& memory) {
  const format::ProgramView source = program_->view();
  const schema::Program* program = schema::GetSizePrefixedModel(file_)->programs()->Get(0);
  const size_t kept = tail();
  for (uint32_t to = 0; to < form_.sources.size(); ++to) {
    if (form_.sources[to] == RequantizationView::kNone || form_.limits[to] == RequantizationView::kFixed) continue;
    const float* range = memory.ranges;
    size_t op = 0;
    for (; op < source.op_count() && source.op_output(op) != form_.sources[to]; ++op) {
      if (is_ranged(source.op_output(op))) range += 2 * kept;
    }
    if (op == source.op_count() || model_.program(0).is_constant(to)) return bad_form();
    double high = std::max(0.0, format::expected_extreme({range, kept}, form_.samples));
    double low = std::min(0.0, -format::expected_extreme({range + kept, kept}, form_.samples));
    if (const double limit = form_.limits[to]; limit > 0) {
      low = std::max(low, -limit);
      high = std::min(high, limit);
    }
    const QuantParameters parameters = format::parameters_for(low, high);
    if (!std::isnormal(parameters.scale))
      return Status::plain(StatusCode::kUnsupported,
                           "int8 cannot hold what was trained: values are too small or too large");
    if (!set_quantization(program->tensors()->Get(to)->quantization(), parameters)) return bad_form();
  }
  return {};
}

// A constant that follows `count` values: integers with a scale for each of its first dimension's elements (`rows`) or
// one for all, or the values.
Status Requantizer::set_constant(uint32_t constant, const float* values, size_t count, bool rows) {
  const format::ConstantView to = model_.constant(constant);
  if (to.data == nullptr || count * format::element_size(to.type) != to.bytes) return bad_form();
  if (!all_finite(values, count)) return not_finite();
  if (to.type == format::DataType::kF32) {
    std::memcpy(writable(static_cast<const float*>(to.data)), values, to.bytes);
    return {};
  }
  const std::span<const float> scales = to.quantization.scales;
  if (to.type != format::DataType::kI8 || scales.empty()) return bad_form();
  auto* integers = writable(static_cast<const int8_t*>(to.data));
  if (!rows) {
    const QuantParameters parameters = parameters_of(values, count);
    const schema::Model* file = schema::GetSizePrefixedModel(file_);
    if (!set_quantization(file->constants()->Get(constant)->quantization(), parameters)) return bad_form();
    format::quantize_all({values, count}, parameters, integers);
    return {};
  }
  const size_t row = count / scales.size();
  for (size_t i = 0; i < scales.size(); ++i) {
    const std::span<const float> of_row(values + i * row, row);
    const float scale = format::row_scale(of_row);
    writable(scales.data())[i] = scale;
    format::quantize_all(of_row, {scale, 0}, integers + i * row);
  }
  return {};
}

// The weights and the bias of an int8 op from those of op `from`.
Status Requantizer::set_linear(size_t from, size_t to) {
  const format::ProgramView source = program_->view();
  const format::ProgramView target = model_.program(0);
  const std::span<const uint32_t> given = source.op_inputs(from);
  const std::span<const uint32_t> taken = target.op_inputs(to);
  const auto constant_of = [&](uint32_t tensor) {
    return model_.constant(static_cast<size_t>(target.constant_of(tensor)));
  };
  // Not only of the same kind, but of what is known to be f32.
  bool follows = source.op_kind(from) == target.op_kind(to) && given.size() == taken.size();
  for (size_t i = 1; follows && i < given.size(); ++i) follows = form_.sources[taken[i]] == given[i];
  if (!follows) return bad_form();
  const format::ConstantView weights = constant_of(taken[1]);
  const std::span<const float> scales = weights.quantization.scales;
  const size_t count = weights.bytes;
  const auto elements_of = [&](uint32_t tensor) {
    return resolve_extents(source.tensor(tensor).type.shape, program_->planned_batch()).elements();
  };
  if (elements_of(given[1]) != count || scales.empty()) return bad_form();
  const auto* values = static_cast<const float*>(program_->address(given[1]));
  const float* bias = nullptr;
  int32_t* sums = nullptr;
  if (given.size() == 3) {
    if (elements_of(given[2]) != scales.size()) return bad_form();
    bias = static_cast<const float*>(program_->address(given[2]));
    sums = writable(static_cast<const int32_t*>(constant_of(taken[2]).data));
    if (!all_finite(bias, scales.size())) return not_finite();
  }
  if (!all_finite(values, count)) return not_finite();
  const double input_scale = target.tensor(taken[0]).type.quantization.scale();
  const double output_scale = target.tensor(target.op_output(to)).type.quantization.scale();
  const size_t row = count / scales.size();
  auto* integers = writable(static_cast<const int8_t*>(weights.data));
  for (size_t i = 0; i < scales.size(); ++i) {
    const std::span<const float> channel(values + i * row, row);
    const float scale = format::channel_scale(channel, 0, bias == nullptr ? 0 : bias[i], input_scale, output_scale);
    writable(scales.data())[i] = scale;
    format::quantize_channel(channel, scale, integers + i * row);
    if (sums != nullptr) sums[i] = format::quantize_bias(bias[i], input_scale, scale);
  }
  return {};
}

// What follows from the inputs of op `from`, which has just run, and from its function.
Status Requantizer::set_values_of(size_t from, const Memory& memory) {
  const format::ProgramView source = program_->view();
  const format::ProgramView target = model_.program(0);
  const std::span<const uint32_t> given = source.op_inputs(from);
  for (size_t to = 0; to < target.op_count(); ++to) {
    const OpKind kind = target.op_kind(to);
    const std::span<const uint32_t> taken = target.op_inputs(to);
    const uint32_t output = target.op_output(to);
    const bool in_int8 = target.tensor(taken[0]).type.type == format::DataType::kI8;
    const bool same = form_.sources[output] == source.op_output(from);
    if (format::is_linear(kind) && in_int8) {
      if (same) FIGMENT_RETURN_IF_ERROR(set_linear(from, to));
      continue;
    }
    if (kind == OpKind::kLookup && same) {
      if (!format::is_unary_function(source.op_kind(from))) return bad_form();
      const format::Quantization input = target.tensor(taken[0]).type.quantization;
      const format::Quantization result = target.tensor(output).type.quantization;
      for (size_t i = 0; i < kTableEntries; ++i) {
        const auto q = static_cast<int8_t>(static_cast<int32_t>(i) - 128);
        memory.table[i] =
            format::in_domain(source.op_kind(from), format::dequantize(q, input.scale(), input.zero_point));
      }
      float* results = memory.table + kTableEntries;
      program_->compute_function(from, memory.table, results, kTableEntries);
      const format::ConstantView table = model_.constant(static_cast<size_t>(target.constant_of(taken[1])));
      const schema::Model* file = schema::GetSizePrefixedModel(file_);
      const auto* entry = file->constants()->Get(static_cast<uint32_t>(target.constant_of(taken[1])));
      if (!set_quantization(entry->quantization(), {result.scale(), result.zero_point})) return bad_form();
      format::quantize_all({results, kTableEntries}, {result.scale(), result.zero_point},
                           writable(static_cast<const int8_t*>(table.data)));
      continue;
    }
    const bool recurrent = kind == OpKind::kLstmI8 || kind == OpKind::kGruI8;
    for (size_t i = 0; i < taken.size(); ++i) {
      const int32_t constant = target.constant_of(taken[i]);
      const uint32_t tensor = form_.sources[taken[i]];
      if (constant < 0 || std::find(given.begin(), given.end(), tensor) == given.end()) continue;
      const size_t count = resolve_extents(source.tensor(tensor).type.shape, program_->planned_batch()).elements();
      FIGMENT_RETURN_IF_ERROR(set_constant(static_cast<uint32_t>(constant),
                                           static_cast<const float*>(program_->address(tensor)), count,
                                           recurrent && i == 1));
    }
  }
  return {};
}

// Constants, whose sources hold their values while one sample is computed.
Status Requantizer::set_values(const Memory& memory) {
  const format::ProgramView target = model_.program(0);
  for (size_t to = 0; to < target.op_count(); ++to) {
    const std::span<const uint32_t> taken = target.op_inputs(to);
    if (target.op_kind(to) != OpKind::kSoftmax || taken.size() != 2) continue;
    const format::ConstantView table = model_.constant(static_cast<size_t>(target.constant_of(taken[1])));
    format::softmax_table(target.tensor(taken[0]).type.quantization.scale(),
                          writable(static_cast<const int32_t*>(table.data)));
  }
  Status status;
  const Watch watch(program_, [&](uint32_t op, const float*) {
    if (status.ok()) status = set_values_of(op, memory);
  });
  FIGMENT_RETURN_IF_ERROR(run(memory, 0, 1));
  return status;
}

// What people measure goes with it.
Status Requantizer::set_scalings() {
  const format::ModelView& view = session_->model()->view();
  for (size_t i = 0; i < model_.scaling_count(); ++i) {
    const format::ScalingView to = model_.scaling(i);
    for (size_t j = 0; j < view.scaling_count(); ++j) {
      const format::ScalingView from = view.scaling(j);
      const float* values = session_->variables().data(from.constant);
      if (values == nullptr || !same_text(from.input, to.input)) continue;
      const format::ConstantView constant = model_.constant(to.constant);
      if (view.constant(from.constant).bytes != constant.bytes) return bad_form();
      std::memcpy(writable(static_cast<const float*>(constant.data)), values, constant.bytes);
    }
  }
  return {};
}

Status Requantizer::write(void* memory) {
  std::memcpy(memory, form_.model.data(), form_.model.size());
  const auto open = [&] { return format::ModelView::open(memory, form_.model.size()); };
  Result<format::ModelView> opened = open();
  if (!opened.ok()) return opened.status().with_prefix("its int8 form");
  file_ = static_cast<uint8_t*>(memory);
  model_ = *opened;
  if (model_.program_count() != 1 || model_.program(0).tensor_count() != form_.sources.size()) return bad_form();
  const size_t ranges = range_count() * 2 * tail();
  auto* scratch = reinterpret_cast<float*>(static_cast<uint8_t*>(memory) +
                                           CheckedSize(form_.model.size()).aligned(kTensorAlignment).value());
  const Memory parts = {scratch, scratch + ranges, scratch + ranges + 2 * kTableEntries};
  FIGMENT_RETURN_IF_ERROR(find_ranges(parts));
  FIGMENT_RETURN_IF_ERROR(set_ranges(parts));
  FIGMENT_RETURN_IF_ERROR(set_values(parts));
  FIGMENT_RETURN_IF_ERROR(set_scalings());
  opened = open();
  if (!opened.ok())
    return opened.status().as(StatusCode::kUnsupported).with_prefix("int8 cannot hold what was trained");
  return {};
}

}  // namespace figment
