#include "write/plan_memory.h"

#include "write/runner.h"

namespace figment::converter {

namespace {

// Of program `index`, as the session has it.
MemoryPlan plan_of(const fig_session* session, uint32_t index, uint32_t batch, const Graph& graph) {
  MemoryPlan plan;
  plan.batch = batch;
  if (fig_session_arena(session, index, &plan.arena_size) != FIG_OK) throw Error(fig_error_message());
  fig_placement place{};
  for (uint32_t i = 0; i < graph.values.size(); ++i) {
    const bool planned = fig_session_placement(session, index, i, &place) == FIG_OK;
    plan.offsets.push_back(planned ? place.offset : 0);
  }
  bool scratch = false;
  for (uint32_t i = 0; i < graph.nodes.size(); ++i) {
    const bool planned = fig_session_scratch(session, index, i, &place) == FIG_OK;
    plan.scratch.push_back(planned ? place.offset : 0);
    scratch = scratch || planned;
  }
  if (!scratch) plan.scratch.clear();
  return plan;
}

}  // namespace

void plan_memory(const std::vector<uint8_t>& file, const std::vector<uint32_t>& batches, uint64_t source_bytes,
                 ModelDefinition* model) {
  for (uint32_t batch : batches) {
    Runner runner(file, batch, FIG_KERNELS_PORTABLE, !model->schedule.empty(), 0, source_bytes);
    for (uint32_t i = 0; i < model->programs.size(); ++i) {
      if (!fig_session_has_program(runner.session(), i)) continue;
      Graph& graph = model->programs[i];
      graph.plans.push_back(plan_of(runner.session(), i, batch, graph));
    }
  }
}

}  // namespace figment::converter
