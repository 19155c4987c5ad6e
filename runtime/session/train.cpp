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

Status Session::train_program(size_t entry, const TrainBatch& batch, size_t first, size_t count,
                              TrainMetrics* metrics) {
  const format::ModelView& view = model_->view();
  const format::ScheduleView due = view.schedule(entry);
  Result<size_t> found = find_instance(due.program);
  if (!found.ok()) return found.status();
  ProgramInstance& program = programs_[*found];
  FIGMENT_RETURN_IF_ERROR(program.resize(count));
  for (const Port& port : program.inputs()) {
    std::optional<format::LatentView> drawn;
    for (size_t j = 0; j < due.latent_count && !drawn; ++j) {
      const format::LatentView latent = view.schedule_latent(entry, j);
      if (std::strcmp(latent.input, port.name) == 0) drawn = latent;
    }
    const NamedTensor* given = find_tensor(drawn ? batch.latents : batch.inputs, port.name);
    if (given != nullptr) {
      FIGMENT_RETURN_IF_ERROR(check_tensor(*given, port, batch.count));
      if (port.per_batch && !port.batch_first && count != batch.count) {
        return wrong("\"%s\" does not begin with the batch, so that it cannot be computed in parts", port.name);
      }
      copy_in(program, port, given->data, first, count);
    } else if (drawn) {
      for (size_t i = 0; i < count; ++i) {
        drawn->draw(seed_, steps_ * batch_ + first + i, latent_staging_.data() + i * drawn->size);
      }
      copy_in(program, port, latent_staging_.data(), 0, count);
    } else {
      return wrong("the batch has no \"%s\": %zu values a sample", port.name, port.sample_elements);
    }
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
  if (batch.count < 1 || batch.count > batch_) {
    return wrong("the batch has %zu samples, the session was created for 1 to %zu", batch.count, batch_);
  }
  const format::ModelView& view = model_->view();
  *metrics = {};
  for (size_t i = 0; i < view.schedule_count(); ++i) {
    const format::ScheduleView due = view.schedule(i);
    if (due.level != way_.level || steps_ % due.period != due.phase) continue;
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
  for (size_t i = 0; i < view.constant_count(); ++i) {
    const format::ConstantView constant = view.constant(i);
    if (variables_.data(i) == nullptr || constant.data == nullptr) continue;
    const auto offset =
        static_cast<uint64_t>(static_cast<const char*>(constant.data) - static_cast<const char*>(model_->data()));
    FIGMENT_RETURN_IF_ERROR(file.write(offset, variables_.data(i), constant.bytes));
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
