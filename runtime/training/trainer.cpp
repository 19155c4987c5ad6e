#include "training/trainer.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "core/text.h"
#include "session/exchange.h"

namespace figment {

Status check_training(const Session& session) {
  if (session.training()) return {};
  return wrong("the session was not created for training: set fig_session_options.training");
}

std::optional<format::LatentView> Trainer::drawn_latent(size_t entry, const char* input) const {
  for (size_t i = 0; i < view_.schedule(entry).latent_count; ++i) {
    const format::LatentView latent = view_.schedule_latent(entry, i);
    if (same_text(latent.input, input)) return latent;
  }
  return std::nullopt;
}

Status Trainer::check_batch(const TrainBatch& batch) const {
  if (batch.count < 1 || batch.count > session_.batch()) {
    return wrong("the batch has %zu samples, the session was created for 1 to %zu", batch.count, session_.batch());
  }
  FIGMENT_RETURN_IF_ERROR(check_names(batch.inputs));
  FIGMENT_RETURN_IF_ERROR(check_names(batch.latents));
  // A batch may hold what other steps read.
  const auto is_read = [&](const NamedTensor& tensor, bool as_latent) {
    for (size_t i = 0; i < view_.schedule_count(); ++i) {
      if (view_.schedule(i).level != strategy().level) continue;
      const Result<Program*> program = session_.find_program(view_.schedule(i).program);
      if (!program.ok()) continue;
      const Port* port = find_port((*program)->inputs(), tensor.name);
      if (port != nullptr && drawn_latent(i, port->name).has_value() == as_latent) return true;
    }
    return false;
  };
  for (const NamedTensor& tensor : batch.inputs) {
    if (is_read(tensor, false)) continue;
    if (is_read(tensor, true)) return wrong("\"%s\" is drawn: give it among the latents, or not at all", tensor.name);
    char names[FIGMENT_ERROR_TEXTS ? 200 : 1] = "";
    for (size_t i = 0; const auto known = FIGMENT_ERROR_TEXTS ? view_.batch_input(i) : std::nullopt; ++i) {
      const size_t used = std::strlen(names);
      std::snprintf(names + used, sizeof names - used, "%s\"%s\"", i > 0 ? ", " : "",
                    view_.program(known->program).input(known->port).name);
    }
    return wrong("no train program has an input \"%s\"; a batch holds %s", tensor.name, names);
  }
  for (const NamedTensor& tensor : batch.latents) {
    if (!is_read(tensor, true)) return wrong("no train program draws \"%s\"", tensor.name);
  }
  for (size_t i = 0; i < view_.schedule_count(); ++i) {
    if (!is_due(view_.schedule(i))) continue;
    if (Status status = check_due(i, batch); !status.ok()) return status.with_prefix("%s", view_.schedule(i).program);
  }
  return {};
}

Status Trainer::check_due(size_t entry, const TrainBatch& batch) const {
  const format::ScheduleView due = view_.schedule(entry);
  const Result<Program*> found = session_.find_program(due.program);
  if (!found.ok()) return found.status();
  const Program& program = **found;
  const size_t size = micro_batch(due, batch.count);
  const size_t rest = batch.count % size;
  if (std::min(size, rest == 0 ? size : rest) < program.least_batch()) {
    return wrong("batch normalization of one value a channel learns nothing: give at least %zu samples",
                 program.least_batch());
  }
  for (const Port& port : program.inputs()) {
    const bool drawn = drawn_latent(entry, port.name).has_value();
    const NamedTensor* given = find_tensor(drawn ? batch.latents : batch.inputs, port.name);
    if (given == nullptr && !drawn) {
      return wrong("the batch has no \"%s\": %zu values a sample", port.name, port.sample_elements);
    }
    if (given == nullptr) continue;
    FIGMENT_RETURN_IF_ERROR(check_tensor(*given, port, batch.count));
    if (port.per_batch && !port.batch_first && size < batch.count) {
      return wrong("\"%s\" does not begin with the batch, so that it cannot be computed in micro-batches", port.name);
    }
  }
  return {};
}

Status Trainer::run_entry(size_t entry, const TrainBatch& batch, size_t first, size_t count, TrainMetrics* metrics) {
  const format::ScheduleView due = view_.schedule(entry);
  Result<Program*> found = session_.find_program(due.program);
  if (!found.ok()) return found.status();
  Program& program = **found;
  const auto input = [&](const Port& port) -> Elements {
    const std::optional<format::LatentView> drawn = drawn_latent(entry, port.name);
    const NamedTensor* given = find_tensor(drawn ? batch.latents : batch.inputs, port.name);
    if (given != nullptr) return at(*given, port, first);
    if (!port.per_batch) {
      drawn->draw(session_.seed(), session_.steps(), session_.latents());
      return {session_.latents()};
    }
    for (size_t i = 0; i < count; ++i) {
      const uint64_t index = session_.steps() * session_.batch() + first + i;
      drawn->draw(session_.seed(), index, session_.latents() + i * drawn->size);
    }
    return {session_.latents()};
  };
  FIGMENT_RETURN_IF_ERROR(compute(program, count, input, [](const Port& /*port*/) { return Elements(); }));
  metrics->skipped += program.skipped();
  // Scalars of parts are averaged.
  const bool parts = due.per_micro_batch || due.samples > 0;
  const float share = parts ? static_cast<float>(count) / static_cast<float>(batch.count) : 1;
  for (const Port& port : program.outputs()) {
    if (port.per_batch || port.sample_elements != 1) continue;
    const float value = share * *static_cast<const float*>(program.memory(port));
    size_t i = 0;
    while (i < metrics->count && !same_text(metrics->entries[i].name, port.name)) ++i;
    if (i == TrainMetrics::kMax) continue;
    if (i == metrics->count) {
      metrics->entries[metrics->count++] = {port.name, value};
    } else {
      metrics->entries[i].value = parts && first > 0 ? metrics->entries[i].value + value : value;
    }
  }
  return {};
}

Status Trainer::step(const TrainBatch& batch, TrainMetrics* metrics) {
  FIGMENT_RETURN_IF_ERROR(check_training(session_));
  FIGMENT_RETURN_IF_ERROR(session_.check_threads());
  FIGMENT_RETURN_IF_ERROR(check_batch(batch));
  *metrics = {};
  for (size_t i = 0; i < view_.schedule_count(); ++i) {
    const format::ScheduleView due = view_.schedule(i);
    if (!is_due(due)) continue;
    const size_t size = micro_batch(due, batch.count);
    for (size_t first = 0; first < batch.count; first += size) {
      const size_t count = std::min(size, batch.count - first);
      if (due.per_micro_batch) {
        *session_.variables().data(static_cast<size_t>(view_.micro_batch_weight())) =
            static_cast<float>(count) / static_cast<float>(batch.count);
      }
      if (Status status = run_entry(i, batch, first, count, metrics); !status.ok()) {
        return status.with_prefix("%s", due.program);
      }
    }
  }
  session_.set_steps(session_.steps() + 1);
  metrics->step = session_.steps();
  return {};
}

}  // namespace figment
