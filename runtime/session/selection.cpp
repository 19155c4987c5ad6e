#include "session/selection.h"
#include "core/text.h"

#include <algorithm>
#include <cstring>

namespace figment {

bool names_program(const char* list, const char* program) {
  if (same_text(list, program)) return true;
  for (; list != nullptr; list = rest_of_list(list)) {
    if (is_first_of_list(list, program)) return true;
  }
  return false;
}

size_t Selection::batch_of(const format::ModelView& model, size_t i) const {
  const format::ProgramView wanted = model.program(i);
  if (!wanted.updates()) {
    const bool chosen =
        programs == nullptr ? training || !model.is_requantized(i) : names_program(programs, wanted.name());
    return chosen ? batch : 0;
  }
  for (size_t j = 0; j < model.schedule_count() && training; ++j) {
    const format::ScheduleView entry = model.schedule(j);
    if (entry.level != strategy.level || !same_text(entry.program, wanted.name())) continue;
    return entry.at_a_time(batch, strategy.micro_batch);
  }
  return 0;
}

size_t Selection::largest_latent(const format::ModelView& model) const {
  size_t largest = model.has_latent() ? model.latent().size : 0;
  for (size_t i = 0; i < model.drawn_count(); ++i) largest = std::max(largest, model.drawn(i).size);
  for (size_t i = 0; training && i < model.schedule_count(); ++i) {
    if (model.schedule(i).level != strategy.level) continue;
    for (size_t j = 0; j < model.schedule(i).latent_count; ++j) {
      const format::LatentView drawn = model.schedule_latent(i, j);
      // Of what has no batch, one is drawn for all samples.
      const bool each = model.has_batch(drawn);
      largest = std::max(largest, each ? drawn.size : (drawn.size + batch - 1) / batch);
    }
  }
  return largest;
}

}  // namespace figment
