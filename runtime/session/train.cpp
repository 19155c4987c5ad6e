// Train steps, and what the caller reads and sets between them.
#include <algorithm>
#include <cstring>
#include <optional>

#include "core/finite.h"
#include "kernels/portable/portable.h"
#include "platform/file.h"
#include "session/ports.h"
#include "session/session.h"

namespace figment {

namespace {

Status needs_training() {
  return Status::error(StatusCode::kInvalidArgument,
                       "the session was not created for training: set fig_session_options.training");
}

}  // namespace

std::optional<format::LatentView> Session::drawn_latent(size_t entry, const char* input) const {
  const format::ModelView& view = model_->view();
  for (size_t i = 0; i < view.schedule(entry).latent_count; ++i) {
    const format::LatentView latent = view.schedule_latent(entry, i);
    if (std::strcmp(latent.input, input) == 0) return latent;
  }
  return std::nullopt;
}

Status Session::check_batch(const TrainBatch& batch) const {
  if (batch.count < 1 || batch.count > batch_) {
    return wrong("the batch has %zu samples, the session was created for 1 to %zu", batch.count, batch_);
  }
  FIGMENT_RETURN_IF_ERROR(check_names(batch.inputs));
  FIGMENT_RETURN_IF_ERROR(check_names(batch.latents));
  const format::ModelView& view = model_->view();
  // A batch may hold what other steps read.
  const auto is_read = [&](const NamedTensor& tensor, bool as_latent) {
    for (size_t i = 0; i < view.schedule_count(); ++i) {
      if (view.schedule(i).level != way_.level) continue;
      const Result<size_t> found = find_instance(view.schedule(i).program);
      if (!found.ok()) continue;
      const Port* port = find_port(programs_[*found].inputs(), tensor.name);
      if (port != nullptr && drawn_latent(i, port->name).has_value() == as_latent) return true;
    }
    return false;
  };
  for (const NamedTensor& tensor : batch.inputs) {
    if (is_read(tensor, false)) continue;
    return wrong(is_read(tensor, true) ? "\"%s\" is drawn: give it among the latents, or not at all"
                                       : "no train program has an input \"%s\"",
                 tensor.name);
  }
  for (const NamedTensor& tensor : batch.latents) {
    if (!is_read(tensor, true)) return wrong("no train program draws \"%s\"", tensor.name);
  }
  for (size_t i = 0; i < view.schedule_count(); ++i) {
    const format::ScheduleView due = view.schedule(i);
    if (!is_due(due)) continue;
    const Result<size_t> found = find_instance(due.program);
    if (!found.ok()) return found.status();
    const ProgramInstance& program = programs_[*found];
    const size_t part = due.part ? way_.part : batch.count;
    const size_t rest = batch.count % part;
    if (std::min(part, rest == 0 ? part : rest) < program.least_batch()) {
      return wrong("%s: batch normalisation of one value a channel learns nothing: give at least %zu samples",
                   due.program, program.least_batch());
    }
    for (const Port& port : program.inputs()) {
      const bool drawn = drawn_latent(i, port.name).has_value();
      const NamedTensor* given = find_tensor(drawn ? batch.latents : batch.inputs, port.name);
      if (given == nullptr && !drawn) {
        return wrong("%s: the batch has no \"%s\": %zu values a sample", due.program, port.name, port.sample_elements);
      }
      if (given == nullptr) continue;
      if (Status status = check_tensor(*given, port, batch.count); !status.ok()) return status.with_prefix(due.program);
      if (port.per_batch && !port.batch_first && part < batch.count) {
        return wrong("%s: \"%s\" does not begin with the batch, so that it cannot be computed in parts", due.program,
                     port.name);
      }
    }
  }
  return {};
}

Status Session::train_program(size_t entry, const TrainBatch& batch, size_t first, size_t count,
                              TrainMetrics* metrics) {
  const format::ScheduleView due = model_->view().schedule(entry);
  Result<size_t> found = find_instance(due.program);
  if (!found.ok()) return found.status();
  ProgramInstance& program = programs_[*found];
  FIGMENT_RETURN_IF_ERROR(program.resize(count));
  for (const Port& port : program.inputs()) {
    const std::optional<format::LatentView> drawn = drawn_latent(entry, port.name);
    const NamedTensor* given = find_tensor(drawn ? batch.latents : batch.inputs, port.name);
    if (given != nullptr) {
      copy_in(program, port, given->data, first, count);
      continue;
    }
    for (size_t i = 0; i < count; ++i) {
      drawn->draw(seed_, steps_ * batch_ + first + i, latent_staging_.data() + i * drawn->size);
    }
    copy_in(program, port, latent_staging_.data(), 0, count);
  }
  // A run by name may have left an output at the caller's.
  for (const Port& port : program.outputs()) {
    if (port.direct_step >= 0) FIGMENT_RETURN_IF_ERROR(program.redirect(port, nullptr));
  }
  program.run();
  metrics->skipped += program.skipped();
  // Numbers of parts are means over them.
  const float share = due.part ? static_cast<float>(count) / static_cast<float>(batch.count) : 1;
  for (const Port& port : program.outputs()) {
    if (port.per_batch || port.exporter.elements() != 1) continue;
    const float value = share * *static_cast<const float*>(program.memory(port));
    size_t i = 0;
    while (i < metrics->count && std::strcmp(metrics->entries[i].name, port.name) != 0) ++i;
    if (i == TrainMetrics::kMost) continue;
    if (i == metrics->count) {
      metrics->entries[metrics->count++] = {port.name, value};
    } else {
      metrics->entries[i].value = due.part && first > 0 ? metrics->entries[i].value + value : value;
    }
  }
  return {};
}

Status Session::train_step(const TrainBatch& batch, TrainMetrics* metrics) {
  if (!training_) return needs_training();
  FIGMENT_RETURN_IF_ERROR(threads_.check());
  FIGMENT_RETURN_IF_ERROR(check_batch(batch));
  const format::ModelView& view = model_->view();
  *metrics = {};
  for (size_t i = 0; i < view.schedule_count(); ++i) {
    const format::ScheduleView due = view.schedule(i);
    if (!is_due(due)) continue;
    const size_t part = due.part ? way_.part : batch.count;
    for (size_t first = 0; first < batch.count; first += part) {
      const size_t count = std::min(part, batch.count - first);
      if (due.part) {
        *variables_.data(static_cast<size_t>(view.part_weight())) =
            static_cast<float>(count) / static_cast<float>(batch.count);
      }
      if (Status status = train_program(i, batch, first, count, metrics); !status.ok()) {
        return status.with_prefix(due.program);
      }
    }
  }
  metrics->step = ++steps_;
  return {};
}

Result<float*> Session::scalar(const char* name) {
  if (!training_) return needs_training();
  const format::ModelView& view = model_->view();
  for (size_t i = 0; i < view.scalar_count(); ++i) {
    const format::ScalarView scalar = view.scalar(i);
    if (std::strcmp(scalar.name, name) == 0) return variables_.data(scalar.constant) + scalar.index;
  }
  return Status::error(StatusCode::kNotFound, "the model has no number \"%s\"%s%s", name,
                       view.scalar_count() == 0 ? "" : "; its first is ",
                       view.scalar_count() == 0 ? "" : view.scalar(0).name);
}

Result<float*> Session::find_parameter(const char* name, size_t elements, format::ParameterView* parameter) const {
  if (!training_) return needs_training();
  const format::ModelView& view = model_->view();
  for (size_t i = 0; i < view.parameter_count(); ++i) {
    *parameter = view.parameter(i);
    float* data = variables_.data(parameter->constant);
    if (data == nullptr || std::strcmp(parameter->name, name) != 0) continue;
    const size_t expected = parameter->elements();
    if (elements != expected) return wrong("parameter \"%s\" has %zu values, not %zu", name, expected, elements);
    return data + parameter->offset;
  }
  return Status::error(StatusCode::kNotFound, "the model trains no parameter \"%s\"", name);
}

Status Session::check_variables() const {
  const format::ModelView& view = model_->view();
  for (size_t i = 0; i < view.constant_count(); ++i) {
    const format::ConstantView constant = view.constant(i);
    if (constant.transient || variables_.data(i) == nullptr) continue;
    if (!all_finite(variables_.data(i), constant.bytes / sizeof(float))) {
      return wrong("\"%s\" has become NaN or infinite: go back to an earlier checkpoint with a lower learning rate",
                   constant.name);
    }
  }
  return {};
}

Status Session::export_model(const char* path) const {
  if (!training_) return needs_training();
  FIGMENT_RETURN_IF_ERROR(check_variables());
  const format::ModelView& view = model_->view();
  platform::FileReplacement file;
  FIGMENT_RETURN_IF_ERROR(file.begin(path));
  FIGMENT_RETURN_IF_ERROR(file.write(0, model_->data(), model_->file_bytes()));
  const auto offset_of = [this](const format::ConstantView& constant) {
    return static_cast<uint64_t>(static_cast<const char*>(constant.data) - static_cast<const char*>(model_->data()));
  };
  for (size_t i = 0; i < view.constant_count(); ++i) {
    const format::ConstantView constant = view.constant(i);
    if (variables_.data(i) == nullptr || constant.data == nullptr) continue;
    FIGMENT_RETURN_IF_ERROR(file.write(offset_of(constant), variables_.data(i), constant.bytes));
  }
  // The file has no moments, so that an optimiser that goes on from it counts its steps from the beginning.
  for (size_t i = 0; i < view.program_count(); ++i) {
    const format::ProgramView program = view.program(i);
    for (size_t j = 0; j < program.op_count(); ++j) {
      const format::OpView op = program.op(j);
      if (op.kind != format::OpKind::kCountStep) continue;
      const auto index = static_cast<size_t>(program.tensor(op.inputs[0]).constant);
      const float none = 0;
      const uint64_t place = offset_of(view.constant(index)) + format::kSteps * sizeof none;
      FIGMENT_RETURN_IF_ERROR(file.write(place, &none, sizeof none));
    }
  }
  return file.commit();
}

namespace {

Extents extents_of(const Dimensions<uint32_t>& shape) {
  Extents extents;
  for (uint32_t extent : shape) extents.push_back(extent);
  return extents;
}

}  // namespace

Status Session::get_parameter(const char* name, std::span<float> out) const {
  format::ParameterView parameter{};
  Result<float*> data = find_parameter(name, out.size(), &parameter);
  if (!data.ok()) return data.status();
  // Ours is the exporter's `split`, transposed by `permutation`: back.
  Extents ours;
  Permutation back = parameter.permutation;
  for (uint32_t i = 0; i < parameter.permutation.rank(); ++i) {
    ours.push_back(parameter.split[parameter.permutation[i]]);
    back[parameter.permutation[i]] = i;
  }
  kernels::portable::permute(*data, out.data(), ours, back, sizeof(float));
  return {};
}

Status Session::set_parameter(const char* name, std::span<const float> values) {
  format::ParameterView parameter{};
  Result<float*> data = find_parameter(name, values.size(), &parameter);
  if (!data.ok()) return data.status();
  for (float value : values) {
    if (!(value - value == 0)) return wrong("parameter \"%s\": a value is NaN or infinite", name);
  }
  kernels::portable::permute(values.data(), *data, extents_of(parameter.split), parameter.permutation, sizeof(float));
  return {};
}

}  // namespace figment
