#include "session/selection.h"
#include "core/text.h"

#include <algorithm>
#include <cstring>

namespace figment {

size_t Selection::batch_of(const format::ModelView& model, size_t i) const {
  const format::ProgramView wanted = model.program(i);
  if (program != nullptr) return same_text(program, wanted.name()) ? batch : 0;
  if (!wanted.updates()) return batch;
  for (size_t j = 0; j < model.schedule_count() && training; ++j) {
    const format::ScheduleView entry = model.schedule(j);
    if (entry.level != strategy.level || !same_text(entry.program, wanted.name())) continue;
    return entry.per_micro_batch ? strategy.micro_batch : batch;
  }
  return 0;
}

size_t Selection::largest_latent(const format::ModelView& model) const {
  size_t largest = model.has_latent() ? model.latent().size : 0;
  for (size_t i = 0; i < model.drawn_count(); ++i) largest = std::max(largest, model.drawn(i).size);
  for (size_t i = 0; training && i < model.schedule_count(); ++i) {
    if (model.schedule(i).level != strategy.level) continue;
    for (size_t j = 0; j < model.schedule(i).latent_count; ++j) {
      largest = std::max(largest, model.schedule_latent(i, j).size);
    }
  }
  return largest;
}

}  // namespace figment
