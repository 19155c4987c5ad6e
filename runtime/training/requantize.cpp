#include "training/requantize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/finite.h"
#include "core/memory.h"
#include "core/text.h"
#include "format/quantized.h"
#include "session/exchange.h"
#include "training/trainer.h"

namespace figment {

namespace {

using format::OpKind;
using format::QuantParameters;
using format::RequantizationView;

constexpr size_t kTableEntries = 256;
constexpr uint32_t kNone = RequantizationView::kNone;

Status bad_form() {
  return Status::error(StatusCode::kBadFile, "its int8 form does not fit the program that it follows");
}

Status not_finite() { return wrong("a value has become NaN or infinite, which int8 cannot hold"); }

Status out_of_range() {
  return Status::plain(StatusCode::kUnsupported,
                       "int8 cannot hold what was trained: values are too small or too large");
}

// Into `count` values in descending order, the least of which goes.
void insert(float value, float* descending, size_t count) {
  if (!(value > descending[count - 1])) return;
  size_t place = count - 1;
  for (; place > 0 && value > descending[place - 1]; --place) descending[place] = descending[place - 1];
  descending[place] = value;
}

// Parts of a form may overlap: what has been written there is any number.
bool is_scale(float scale) { return scale > 0 && std::isnormal(scale); }

bool is_recurrent(OpKind kind) { return kind == OpKind::kLstmI8 || kind == OpKind::kGruI8; }

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
  const Result<format::ModelView> target = format::ModelView::open(form.model.data(), form.model.size());
  if (!target.ok()) return target.status().as(StatusCode::kBadFile).with_prefix("its int8 form");
  if (target->program_count() != 1 || target->program(0).tensor_count() != form.sources.size()) return bad_form();
  return Requantizer(session, *program, form, *target);
}

size_t Requantizer::tail() const { return std::min(format::tail_size(form_.samples) + 1, form_.samples); }

// No more than this are found: of each source one.
size_t Requantizer::range_count() const {
  size_t count = 0;
  for (size_t i = 0; i < form_.limits.size(); ++i) {
    count += form_.sources[i] != kNone && form_.limits[i] != RequantizationView::kFixed ? 1 : 0;
  }
  return count;
}

size_t Requantizer::input_elements() const {
  size_t count = 0;
  for (const Port& port : program_->inputs()) count += port.sample_elements * program_->planned_batch();
  return count;
}

CheckedSize Requantizer::place(void* memory, Memory* placed) const {
  static_assert(sizeof(float) == sizeof(uint32_t));
  CheckedSize end = CheckedSize(form_.model.size()).aligned(kTensorAlignment);
  placed->out = static_cast<uint8_t*>(memory);
  const auto take = [&](CheckedSize count, auto** array) {
    if (memory != nullptr)
      *array = reinterpret_cast<std::remove_reference_t<decltype(*array)>>(placed->out + end.value());
    end = end + count * sizeof(float);
  };
  const size_t sources = program_->view().tensor_count();
  const size_t targets = form_.sources.size();
  take(CheckedSize(range_count()) * (2 * tail()), &placed->ranges);
  take(2 * kTableEntries, &placed->table);
  take(input_elements(), &placed->inputs);
  take(sources, &placed->range_of);
  take(sources, &placed->first_follower);
  take(targets, &placed->next_follower);
  take(targets, &placed->op_of);
  return end;
}

CheckedSize Requantizer::memory_bytes() const {
  Memory ignored;
  return place(nullptr, &ignored);
}

void Requantizer::index_tensors() {
  const format::ProgramView source = program_->view();
  const format::ProgramView target = target_.program(0);
  const size_t sources = source.tensor_count();
  const size_t targets = form_.sources.size();
  std::fill_n(memory_.range_of, sources, kNone);
  std::fill_n(memory_.first_follower, sources, kNone);
  std::fill_n(memory_.op_of, targets, kNone);
  uint32_t ranges = 0;
  for (auto to = static_cast<uint32_t>(targets); to > 0; --to) {
    const uint32_t from = form_.sources[to - 1];
    if (from == kNone) continue;
    memory_.next_follower[to - 1] = memory_.first_follower[from];
    memory_.first_follower[from] = to - 1;
    if (form_.limits[to - 1] != RequantizationView::kFixed && memory_.range_of[from] == kNone)
      memory_.range_of[from] = ranges++;
  }
  for (size_t i = target.op_count(); i > 0; --i) {
    const auto op = static_cast<uint32_t>(i - 1);
    memory_.op_of[target.op_output(op)] = op;
    for (uint32_t tensor : target.op_inputs(op)) {
      if (target.is_constant(tensor)) memory_.op_of[tensor] = op;
    }
  }
}

// A batch of the samples from `first` on of what is calibrated on: latents, and of other inputs class after class.
Status Requantizer::run(size_t first) {
  const format::ModelView& view = session_->model()->view();
  NamedTensor inputs[RequantizationView::kMostInputs];
  const std::span<const Port> ports = program_->inputs();
  const format::LatentView latent = view.latent();
  const size_t count = program_->planned_batch();
  float* values = memory_.inputs;
  for (size_t p = 0; p < ports.size(); ++p) {
    const Port& port = ports[p];
    const size_t size = port.sample_elements;
    inputs[p] = {port.name, values, count * size, ElementType::kF32};
    const bool is_latent = same_text(port.name, latent.input);
    const std::optional<format::LatentView> drawn = is_latent ? latent : view.find_drawn(latent.program, port.name);
    const bool counts = !port.integers || (port.least == 0 && port.greatest >= 0);
    if (!port.per_batch || (drawn ? drawn->size != size : !counts)) return bad_form();
    for (uint64_t i = first; i < first + count; ++i, values += size) {
      if (drawn) {
        drawn->draw(format::kCalibrationSeed, i, values);
      } else if (port.integers) {
        const uint64_t range = static_cast<uint64_t>(port.greatest) + 1;
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
Status Requantizer::find_ranges() {
  const size_t kept = tail();
  std::fill_n(memory_.ranges, range_count() * 2 * kept, -std::numeric_limits<float>::infinity());
  const size_t batch = program_->planned_batch();
  bool finite = true;
  for (size_t first = 0; first < form_.samples; first += batch) {
    // Of the last batch some may be too many.
    const size_t count = std::min(batch, form_.samples - first);
    const Watch watch(program_, [&](uint32_t op, const float* values) {
      const uint32_t tensor = program_->view().op_output(op);
      if (memory_.range_of[tensor] == kNone) return;
      float* greatest = memory_.ranges + size_t{memory_.range_of[tensor]} * 2 * kept;
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
        insert(most, greatest, kept);
        insert(-least, greatest + kept, kept);
      }
    });
    FIGMENT_RETURN_IF_ERROR(run(first));
  }
  return finite ? Status() : not_finite();
}

Status Requantizer::set_quantization(uint32_t tensor, QuantParameters parameters) {
  const format::QuantizationPlace place = target_.program(0).quantization_place(tensor);
  if (place.scales.size() != 1 || place.zero_point == nullptr) return bad_form();
  *written(place.scales.data()) = parameters.scale;
  *written(place.zero_point) = static_cast<int8_t>(parameters.zero_point);
  return {};
}

// As it has been written of a tensor with one scale; a scale of 0: it has none.
QuantParameters Requantizer::quantization_of(uint32_t tensor) const {
  const format::QuantizationPlace place = target_.program(0).quantization_place(tensor);
  if (place.scales.size() != 1) return {};
  return {*written(place.scales.data()), place.zero_point == nullptr ? 0 : *written(place.zero_point)};
}

// The quantization of what int8 ops compute.
Status Requantizer::set_ranges() {
  const size_t kept = tail();
  for (uint32_t to = 0; to < form_.sources.size(); ++to) {
    if (form_.sources[to] == kNone || form_.limits[to] == RequantizationView::kFixed) continue;
    const float* greatest = memory_.ranges + size_t{memory_.range_of[form_.sources[to]]} * 2 * kept;
    const bool seen = greatest[0] >= -std::numeric_limits<float>::max();
    if (!seen || target_.program(0).is_constant(to)) return bad_form();
    double high = std::max(0.0, format::expected_extreme({greatest, kept}, form_.samples));
    double low = std::min(0.0, -format::expected_extreme({greatest + kept, kept}, form_.samples));
    if (const double limit = form_.limits[to]; limit > 0) {
      low = std::max(low, -limit);
      high = std::min(high, limit);
    }
    const QuantParameters parameters = format::parameters_for(low, high);
    if (!is_scale(parameters.scale)) return out_of_range();
    FIGMENT_RETURN_IF_ERROR(set_quantization(to, parameters));
  }
  return {};
}

// A constant that `reader` reads: f32 as it is, else integers with a scale for each row of recurrent weights, or one
// for all.
Status Requantizer::set_constant(uint32_t tensor, uint32_t reader, const float* values, size_t count) {
  const format::ProgramView target = target_.program(0);
  const format::ConstantView to = target_.constant(static_cast<size_t>(target.constant_of(tensor)));
  if (to.data == nullptr || count * format::element_size(to.type) != to.bytes) return bad_form();
  if (!all_finite(values, count)) return not_finite();
  if (to.type == format::DataType::kF32) {
    std::memcpy(written(static_cast<const float*>(to.data)), values, to.bytes);
    return {};
  }
  const std::span<const float> scales = to.quantization.scales;
  if (to.type != format::DataType::kI8 || scales.empty()) return bad_form();
  int8_t* integers = written(static_cast<const int8_t*>(to.data));
  if (!is_recurrent(target.op_kind(reader)) || target.op_inputs(reader)[1] != tensor) {
    const QuantParameters parameters = format::parameters_of({values, count});
    FIGMENT_RETURN_IF_ERROR(set_quantization(tensor, parameters));
    format::quantize_all({values, count}, parameters, integers);
    return {};
  }
  const size_t row = count / scales.size();
  for (size_t i = 0; i < scales.size(); ++i) {
    const std::span<const float> of_row(values + i * row, row);
    const float scale = format::row_scale(of_row);
    written(scales.data())[i] = scale;
    format::quantize_all(of_row, {scale, 0}, integers + i * row);
  }
  return {};
}

// The weights and the bias of int8 op `to` from those of op `from`, which has just run: a linear op takes no input's
// place.
Status Requantizer::set_linear(uint32_t from, uint32_t to) {
  const format::ProgramView source = program_->view();
  const format::ProgramView target = target_.program(0);
  const std::span<const uint32_t> given = source.op_inputs(from);
  const std::span<const uint32_t> taken = target.op_inputs(to);
  // Not only of the same kind, but of what is known to be f32.
  bool follows = source.op_kind(from) == target.op_kind(to) && given.size() == taken.size();
  for (size_t i = 1; follows && i < given.size(); ++i) follows = form_.sources[taken[i]] == given[i];
  if (!follows) return bad_form();
  const auto constant_of = [&](uint32_t tensor) {
    return target_.constant(static_cast<size_t>(target.constant_of(tensor)));
  };
  const auto elements_of = [&](uint32_t tensor) {
    return resolve_extents(source.tensor(tensor).type.shape, program_->planned_batch()).elements();
  };
  const format::ConstantView weights = constant_of(taken[1]);
  const std::span<const float> scales = weights.quantization.scales;
  const size_t count = weights.bytes;
  if (elements_of(given[1]) != count || scales.empty()) return bad_form();
  const auto* values = static_cast<const float*>(program_->address(given[1]));
  const float* bias = nullptr;
  int32_t* sums = nullptr;
  if (given.size() == 3) {
    if (elements_of(given[2]) != scales.size()) return bad_form();
    bias = static_cast<const float*>(program_->address(given[2]));
    sums = written(static_cast<const int32_t*>(constant_of(taken[2]).data));
    if (!all_finite(bias, scales.size())) return not_finite();
  }
  if (!all_finite(values, count)) return not_finite();
  const float input_scale = quantization_of(taken[0]).scale;
  const float output_scale = quantization_of(target.op_output(to)).scale;
  if (!is_scale(input_scale) || !is_scale(output_scale)) return bad_form();
  const size_t row = count / scales.size();
  int8_t* integers = written(static_cast<const int8_t*>(weights.data));
  for (size_t i = 0; i < scales.size(); ++i) {
    const std::span<const float> channel(values + i * row, row);
    const float scale =
        format::channel_scale(channel, 0, bias == nullptr ? 0 : bias[i], double{input_scale}, double{output_scale});
    if (!is_scale(scale)) return out_of_range();
    written(scales.data())[i] = scale;
    format::quantize_channel(channel, scale, integers + i * row);
    if (sums != nullptr) sums[i] = format::quantize_bias(bias[i], double{input_scale}, scale, row);
  }
  return {};
}

// The table of int8 op `to` from the function of op `from`.
Status Requantizer::set_table(uint32_t from, uint32_t to) {
  const OpKind function = program_->view().op_kind(from);
  if (!format::is_unary_function(function)) return bad_form();
  const format::ProgramView target = target_.program(0);
  const std::span<const uint32_t> taken = target.op_inputs(to);
  const QuantParameters input = quantization_of(taken[0]);
  const QuantParameters output = quantization_of(target.op_output(to));
  if (!is_scale(input.scale) || !is_scale(output.scale)) return bad_form();
  for (size_t i = 0; i < kTableEntries; ++i) {
    const auto q = static_cast<int8_t>(static_cast<int32_t>(i) - 128);
    memory_.table[i] = format::in_domain(function, format::dequantize(q, input.scale, input.zero_point));
  }
  float* results = memory_.table + kTableEntries;
  program_->compute_function(from, memory_.table, results, kTableEntries);
  FIGMENT_RETURN_IF_ERROR(set_quantization(taken[1], output));
  const format::ConstantView table = target_.constant(static_cast<size_t>(target.constant_of(taken[1])));
  format::quantize_all({results, kTableEntries}, output, written(static_cast<const int8_t*>(table.data)));
  return {};
}

// The constants that hold what tensor `source` does.
Status Requantizer::set_followers(uint32_t source, const float* values) {
  const format::ProgramView target = target_.program(0);
  const size_t count =
      resolve_extents(program_->view().tensor(source).type.shape, program_->planned_batch()).elements();
  for (uint32_t to = memory_.first_follower[source]; to != kNone; to = memory_.next_follower[to]) {
    const uint32_t reader = memory_.op_of[to];
    if (!target.is_constant(to) || reader == kNone) continue;
    // Weights and biases of int8 products come together.
    const bool in_int8 = target.tensor(target.op_inputs(reader)[0]).type.type == format::DataType::kI8;
    if (format::is_linear(target.op_kind(reader)) && in_int8 && target.op_inputs(reader)[0] != to) continue;
    FIGMENT_RETURN_IF_ERROR(set_constant(to, reader, values, count));
  }
  return {};
}

// Weights, biases, other constants and tables: those that follow what is computed when that is, in a run of one batch.
Status Requantizer::set_values() {
  const format::ProgramView source = program_->view();
  const format::ProgramView target = target_.program(0);
  for (size_t to = 0; to < target.op_count(); ++to) {
    const std::span<const uint32_t> taken = target.op_inputs(to);
    if (target.op_kind(to) != OpKind::kSoftmax || taken.size() != 2) continue;
    const float scale = quantization_of(taken[0]).scale;
    if (!is_scale(scale)) return bad_form();
    const format::ConstantView table = target_.constant(static_cast<size_t>(target.constant_of(taken[1])));
    format::softmax_table(scale, written(static_cast<const int32_t*>(table.data)));
  }
  for (uint32_t tensor = 0; tensor < source.tensor_count(); ++tensor) {
    if (source.is_constant(tensor) && memory_.first_follower[tensor] != kNone)
      FIGMENT_RETURN_IF_ERROR(set_followers(tensor, static_cast<const float*>(program_->address(tensor))));
  }
  Status status;
  const Watch watch(program_, [&](uint32_t op, const float* values) {
    const uint32_t tensor = source.op_output(op);
    if (status.ok() && memory_.first_follower[tensor] != kNone) status = set_followers(tensor, values);
    for (uint32_t to = memory_.first_follower[tensor]; status.ok() && to != kNone; to = memory_.next_follower[to]) {
      if (target.is_constant(to) || memory_.op_of[to] == kNone) continue;
      const OpKind kind = target.op_kind(memory_.op_of[to]);
      const bool in_int8 = target.tensor(target.op_inputs(memory_.op_of[to])[0]).type.type == format::DataType::kI8;
      if (format::is_linear(kind) && in_int8) status = set_linear(op, memory_.op_of[to]);
      if (kind == OpKind::kLookup) status = set_table(op, memory_.op_of[to]);
    }
  });
  FIGMENT_RETURN_IF_ERROR(run(0));
  return status;
}

// What people measure goes with it.
Status Requantizer::set_scalings() {
  const format::ModelView& view = session_->model()->view();
  for (size_t i = 0; i < target_.scaling_count(); ++i) {
    const format::ScalingView to = target_.scaling(i);
    for (size_t j = 0; j < view.scaling_count(); ++j) {
      const format::ScalingView from = view.scaling(j);
      const float* values = session_->variables().data(from.constant);
      if (values == nullptr || !same_text(from.input, to.input)) continue;
      const format::ConstantView constant = target_.constant(to.constant);
      if (view.constant(from.constant).bytes != constant.bytes) return bad_form();
      std::memcpy(written(static_cast<const float*>(constant.data)), values, constant.bytes);
    }
  }
  return {};
}

Status Requantizer::write(void* memory) {
  place(memory, &memory_);
  std::memcpy(memory_.out, form_.model.data(), form_.model.size());
  index_tensors();
  FIGMENT_RETURN_IF_ERROR(find_ranges());
  FIGMENT_RETURN_IF_ERROR(set_ranges());
  FIGMENT_RETURN_IF_ERROR(set_values());
  FIGMENT_RETURN_IF_ERROR(set_scalings());
  const Result<format::ModelView> result = format::ModelView::open(memory, form_.model.size());
  if (!result.ok())
    return result.status().as(StatusCode::kUnsupported).with_prefix("int8 cannot hold what was trained");
  return {};
}

}  // namespace figment
