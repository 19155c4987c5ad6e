#include "write/repack.h"

#include <fmt/format.h>
#include <algorithm>
#include <cstring>
#include <memory>
#include <set>
#include <string>

#include "core/memory.h"
#include "format/scaling.h"
#include "ir/graph.h"
#include "write/model_parts.h"
#include "write/runner.h"

namespace figment::converter {

namespace {

namespace schema = format::schema;

// Leaves out all levels but one, which becomes the first.
void keep_level(schema::ModelT* model, uint32_t level) {
  std::set<std::string> kept;
  std::set<std::string> dropped;
  for (const auto& entry : model->schedule) (entry->level == level ? kept : dropped).insert(entry->program);
  if (kept.empty()) {
    throw Error(
        fmt::format("--level {}: the model has no such level of a train step; --strip leaves one, 0 then: take "
                    "the recipe, or the file before it",
                    level));
  }
  std::erase_if(model->schedule, [&](const auto& entry) { return entry->level != level; });
  for (const auto& entry : model->schedule) entry->level = 0;
  std::erase_if(model->programs,
                [&](const auto& program) { return dropped.contains(program->name) && !kept.contains(program->name); });
  const bool parts = std::ranges::any_of(model->schedule, [](const auto& entry) { return entry->per_micro_batch; });
  if (!parts) model->micro_batch_weight = -1;
}

// Constants that nothing names any more.
void drop_unused(schema::ModelT* model) {
  std::vector<bool> used(model->constants.size());
  const auto use = [&](int64_t index) {
    if (index >= 0) used[static_cast<size_t>(index)] = true;
  };
  for (const auto& program : model->programs) {
    for (const auto& tensor : program->tensors) use(tensor->constant);
  }
  for (const auto& scalar : model->scalars) use(scalar->constant);
  for (const auto& scaling : model->scalings) use(scaling->constant);
  for (const auto& trained : model->trained) {
    use(trained->constant);
    for (uint32_t state : trained->state) use(state);
  }
  use(model->micro_batch_weight);
  std::vector<int32_t> places(used.size(), -1);
  int32_t next = 0;
  for (size_t i = 0; i < used.size(); ++i) {
    if (used[i]) places[i] = next++;
  }
  for (size_t i = used.size(); i > 0; --i) {
    if (!used[i - 1]) model->constants.erase(model->constants.begin() + static_cast<std::ptrdiff_t>(i - 1));
  }
  const auto move = [&](auto* index) {
    *index = static_cast<std::remove_pointer_t<decltype(index)>>(places[static_cast<size_t>(*index)]);
  };
  for (const auto& program : model->programs) {
    for (const auto& tensor : program->tensors) {
      if (tensor->constant >= 0) move(&tensor->constant);
    }
  }
  for (const auto& scalar : model->scalars) move(&scalar->constant);
  for (const auto& scaling : model->scalings) move(&scaling->constant);
  for (const auto& trained : model->trained) {
    move(&trained->constant);
    for (uint32_t& state : trained->state) move(&state);
  }
  if (model->micro_batch_weight >= 0) move(&model->micro_batch_weight);
  std::erase_if(model->parameters, [&](const auto& parameter) { return places[parameter->constant] < 0; });
  for (const auto& parameter : model->parameters) move(&parameter->constant);
}

// Leaves out all programs that do not train but those of the names, and what is said of them.
void keep_programs(schema::ModelT* model, const std::vector<std::string>& names) {
  std::set<std::string> trains;
  for (const auto& entry : model->schedule) trains.insert(entry->program);
  std::set<std::string> kept(names.begin(), names.end());
  for (const std::string& name : kept) {
    if (std::ranges::any_of(model->programs, [&](const auto& program) { return program->name == name; })) continue;
    std::string known;
    for (const auto& program : model->programs) {
      if (!trains.contains(program->name)) known += (known.empty() ? "" : ", ") + program->name;
    }
    throw Error(fmt::format("--programs: the model has no program \"{}\"; it has {}", name, known));
  }
  kept.insert(trains.begin(), trains.end());
  // What sessions write in int8 is what generates.
  if (model->requantization) kept.insert({model->requantization->program, model->latent->program});
  std::erase_if(model->programs, [&](const auto& program) { return !kept.contains(program->name); });
  if (model->latent && !kept.contains(model->latent->program)) model->latent.reset();
  if (model->output && !kept.contains(model->output->program)) model->output.reset();
  std::erase_if(model->drawn, [&](const auto& drawn) { return !kept.contains(drawn->program); });
  drop_unused(model);
}

// Whether what people measure is known of any channel.
bool is_known(const ModelParts& parts, const schema::ConstantT& constant) {
  if (!constant.blob) return false;
  const auto* values = reinterpret_cast<const float*>(parts.values(constant).data());
  const size_t channels =
      static_cast<size_t>(constant.blob->size()) / (format::ChannelScaling::kValues * sizeof(float));
  for (size_t i = 0; i < channels; ++i) {
    if (format::read_scaling(values + i * format::ChannelScaling::kValues).scale != 0) return true;
  }
  return false;
}

// What only training reads, of a model that does not.
void drop_training(schema::ModelT* model) {
  if (!model->schedule.empty()) return;
  model->objective.reset();
  model->parameters.clear();
  model->scalings.clear();
}

void strip(ModelParts* parts, uint32_t level) {
  schema::ModelT* const model = &parts->model();
  if (!model->schedule.empty()) keep_level(model, level);
  std::erase_if(model->scalings,
                [&](const auto& scaling) { return !is_known(*parts, *model->constants[scaling->constant]); });
  model->metadata.clear();
  model->recipe.clear();
  for (const auto& program : model->programs) {
    for (const auto& tensor : program->tensors) {
      tensor->name.clear();
      tensor->permutation.clear();
    }
    for (const auto& op : program->ops) op->name.clear();
  }
  // A checkpoint knows variables by their names, and callers know parameters.
  for (size_t i = 0; i < model->constants.size(); ++i) {
    if (!model->constants[i]->variable) model->constants[i]->name = std::to_string(i);
  }
}

// Of program `index`, as the session has it.
std::unique_ptr<schema::PlanT> plan_of(const fig_session* session, uint32_t index, uint32_t batch,
                                       const schema::ProgramT& program) {
  auto plan = std::make_unique<schema::PlanT>();
  plan->batch = batch;
  if (fig_session_arena(session, index, &plan->arena_size) != FIG_OK) throw Error(fig_error_message());
  fig_placement place{};
  for (uint32_t i = 0; i < program.tensors.size(); ++i) {
    const bool planned = fig_session_placement(session, index, i, &place) == FIG_OK;
    plan->offsets.push_back(planned ? place.offset : 0);
  }
  bool scratch = false;
  for (uint32_t i = 0; i < program.ops.size(); ++i) {
    const bool planned = fig_session_scratch(session, index, i, &place) == FIG_OK;
    plan->scratch.push_back(planned ? place.offset : 0);
    scratch = scratch || planned;
  }
  if (!scratch) plan->scratch.clear();
  return plan;
}

// How the int8 form of a model is repacked with it.
RepackOptions for_form(const RepackOptions& options) {
  RepackOptions result;
  result.strip = options.strip;
  // Of what is planned for training, generating takes one sample at a time.
  result.plan_batches = options.plan_batches;
  if (!result.plan_batches.empty() && std::ranges::find(result.plan_batches, 1U) == result.plan_batches.end())
    result.plan_batches.push_back(1);
  result.all_fields = true;
  return result;
}

}  // namespace

std::vector<uint8_t> repack(const std::vector<uint8_t>& file, const RepackOptions& options) {
  ModelParts parts(file);
  schema::ModelT& model = parts.model();
  if (!options.name.empty()) model.name = options.name;
  if (!options.programs.empty()) keep_programs(&model, options.programs);
  if (options.strip) strip(&parts, options.level);
  if (options.strip || options.without_training) {
    drop_training(&model);
    drop_unused(&model);
  }
  if (model.requantization) model.requantization->model = repack(model.requantization->model, for_form(options));
  if (options.plan_batches.empty()) return parts.write(options.all_fields);
  for (const auto& program : model.programs) program->plans.clear();
  const std::vector<uint8_t> without = parts.write();
  ModelParts planned(without);
  for (uint32_t batch : options.plan_batches) {
    fig_session_options session{};
    session.struct_size = sizeof session;
    session.batch = batch;
    session.kernels = FIG_KERNELS_PORTABLE;
    session.training = !model.schedule.empty();
    session.outputs_given = options.outputs_given && !session.training;
    session.micro_batch = session.training ? options.micro_batch : 0;
    Runner runner(without, session);
    fig_footprint steps{};
    if (fig_session_footprint(runner.model(), &session, &steps) != FIG_OK) throw Error(fig_error_message());
    const auto at_a_time = [&](const schema::ProgramT& program) {
      for (const auto& entry : model.schedule) {
        if (entry->program != program.name || entry->level != steps.level) continue;
        if (entry->samples > 0) return std::min(entry->samples, batch);
        if (entry->per_micro_batch) return steps.micro_batch;
      }
      return batch;
    };
    for (uint32_t i = 0; i < planned.model().programs.size(); ++i) {
      if (!fig_session_has_program(runner.session(), i)) continue;
      schema::ProgramT& program = *planned.model().programs[i];
      program.plans.push_back(plan_of(runner.session(), i, at_a_time(program), program));
    }
  }
  return planned.write(options.all_fields);
}

}  // namespace figment::converter
