#include "session/builder.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "core/text.h"
#include "platform/threading.h"
#include "session/training_link.h"

namespace figment {

namespace {

Status wrong(Message text) { return Status::plain(StatusCode::kInvalidArgument, text); }

constexpr const char* kHowToMeasure = "; a session without a limit reports what is enough";

unsigned long long printable(uint64_t bytes) { return bytes; }

// The arena, and before it is used the memory that planning works in.
CheckedSize tail_bytes(uint64_t arena, size_t planning) {
  return larger(CheckedSize(arena) + kReadablePadding, planning);
}

}  // namespace

Status Builder::check_options() const {
  const format::ModelView& view = view_;
  if (options_.batch < 1) return wrong("the batch must be at least 1");
  if (options_.batch > kMaxExtent) {
    return Status::error(StatusCode::kInvalidArgument, "the batch %zu is too large", options_.batch);
  }
  if (options_.threads < 1 || options_.threads > 256) {
    return Status::error(StatusCode::kInvalidArgument, "threads must be 1 to 256, is %zu", options_.threads);
  }
  if (options_.training && options_.outputs_given) return wrong("train steps give no memory for outputs");
  if (options_.training && fig_use_training == nullptr) {
    return Status::plain(StatusCode::kUnsupported,
                         "this program was linked without training: fig_use_training is NULL");
  }
  if (options_.training && view.schedule_count() == 0)
    return wrong("the model does not train: it was converted for inference");
  if (options_.programs != nullptr) FIGMENT_RETURN_IF_ERROR(check_programs());
  return {};
}

// Names that the list has, and the model has not, or cannot run like this.
Status Builder::check_programs() const {
  const char* list = options_.programs;
  for (size_t i = 0; i < view_.program_count(); ++i) {
    const char* name = view_.program(i).name();
    if (!view_.program(i).updates() || !names_program(list, name)) continue;
    if (options_.training) {
      return Status::error(StatusCode::kInvalidArgument,
                           "program \"%s\" trains: leave it out, it is prepared with the train step", name);
    }
    return Status::error(StatusCode::kInvalidArgument,
                         "program \"%s\" changes variables: create the session for training", name);
  }
  if (options_.training && *list == '\0') return {};
  const Status one = model_->find_program(list).status();
  if (one.ok() || rest_of_list(list) == nullptr) return one;
  for (; list != nullptr; list = rest_of_list(list)) {
    bool found = false;
    for (size_t i = 0; i < view_.program_count() && !found; ++i)
      found = is_first_of_list(list, view_.program(i).name());
    if (!found) {
      return Status::error(StatusCode::kNotFound, "the model does not have all programs of \"%s\"; its first is \"%s\"",
                           options_.programs, view_.program(0).name());
    }
  }
  return {};
}

Status Builder::start() {
  FIGMENT_RETURN_IF_ERROR(check_options());
  Result<format::ModelView> view = view_.at_length(options_.length);
  if (!view.ok()) return view.status();
  view_ = *view;
  if (options_.kernels != kernels::KernelSet::kBest) return {};
  FIGMENT_RETURN_IF_ERROR(kernels::start_backend());
  FIGMENT_RETURN_IF_ERROR(threads_.start(options_.threads, options_.thread_pool));
  team_ = threads_.team();
  return {};
}

Status Builder::first_strategy() {
  selection_ = {options_.programs, options_.batch, options_.training, {}};
  if (options_.micro_batch != 0 && options_.micro_batch < options_.batch && !options_.training) {
    return wrong("micro-batches are for training sessions");
  }
  if (options_.training) {
    Result<Strategy> first = fig_use_training->first_strategy(view_, options_.batch, options_.micro_batch);
    if (!first.ok()) return first.status();
    selection_.strategy = *first;
  }
  if (program_count() == 0) return wrong("all programs of the model train: create the session for training");
  return {};
}

bool Builder::next_strategy() {
  return options_.training && fig_use_training->next_strategy(view_, options_.batch, &selection_.strategy);
}

Result<MemoryReport> Builder::measure() {
  FIGMENT_RETURN_IF_ERROR(first_strategy());
  constexpr uint64_t kUnknown = UINT64_MAX;
  uint64_t enough = kUnknown;
  uint64_t too_little = kUnknown;
  do {
    bool whole = true;
    Result<MemoryReport> report = measure_selection(&whole);
    if (!report.ok() || report->peak() <= options_.memory_limit) return report;
    uint64_t& least = whole ? enough : too_little;
    least = std::min(least, report->peak());
  } while (next_strategy());
  return enough != kUnknown ? too_large("", enough, "") : too_large("at least ", too_little, kHowToMeasure);
}

Result<Session*> Builder::place(void* memory, size_t bytes) {
  FIGMENT_RETURN_IF_ERROR(first_strategy());
  const CheckedSize others = model_->held_bytes() + model_->packed_bytes();
  const uint64_t limit = options_.memory_limit;
  const uint64_t left = others.within(limit) ? limit - others.value() : 0;
  Result<Session*> session = wrong("");
  do {
    session = place_selection(memory, static_cast<size_t>(std::min<uint64_t>(bytes, left)));
  } while (limit != UINT64_MAX && !session.ok() && session.status().code() == StatusCode::kMemoryLimit &&
           next_strategy());
  return session;
}

size_t Builder::program_count() const {
  size_t count = 0;
  for (size_t i = 0; i < view_.program_count(); ++i) {
    count += selection_.batch_of(view_, i) == 0 ? 0 : 1;
  }
  return count;
}

size_t Builder::most_operands() const {
  const format::ModelView& view = view_;
  size_t most = 0;
  for (size_t i = 0; i < view.program_count(); ++i) {
    if (selection_.batch_of(view, i) == 0) continue;
    const format::ProgramView program = view.program(i);
    for (size_t j = 0; j < program.op_count(); ++j) most = std::max(most, program.op_inputs(j).size());
  }
  return most;
}

Builder::Parts Builder::lay_out_objects(Block* block, MemoryReport* report) {
  const format::ModelView& view = view_;
  Parts parts;
  parts.session = block->array<Session>(1);
  const size_t count = program_count();
  auto* programs = block->array<Program>(count);
  parts.setup = {&view, options_.kernels, nullptr, selection_.training, options_.outputs_given, nullptr, nullptr};
  if (platform::kHasThreads && team_.pool() != nullptr) {
    // A place of its own, to which the kernels keep its address.
    auto* team = block->array<kernels::Team>(1);
    if (team != nullptr) *team = team_;
    parts.setup.threads = team != nullptr ? team : &team_;
  }
  parts.setup.operands = block->array<kernels::Operand>(most_operands());
  const CheckedSize latents = CheckedSize(selection_.largest_latent(view)) * selection_.batch;
  parts.latents = static_cast<float*>(block->take(latents * sizeof(float)));
  const CheckedSize before = block->used();
  Variables variables;
  if (selection_.training) fig_use_training->lay_out(&variables, view, selection_, block);
  report->variables = block->used().value() - before.value();
  parts.setup.variables = variables.addresses();
  if (parts.session != nullptr && !block->overflowed()) {
    Session& session = *parts.session;
    session.model_ = model_;
    session.view_ = view_;
    parts.setup.model = &session.view_;
    model_->retain();
    session.selection_ = selection_;
    session.seed_ = options_.seed;
    session.programs_ = programs;
    session.program_count_ = count;
    session.variables_ = variables;
    session.latents_ = parts.latents;
  }
  return parts;
}

Result<MemoryReport> Builder::measure_selection(bool* whole) {
  // Few ops have more operands: on the stack there is room for theirs alone.
  constexpr size_t kFew = 16;
  return most_operands() <= kFew ? measure_with<kFew>(whole) : measure_with<format::kMaxOperands>(whole);
}

template <size_t kMost>
[[gnu::noinline]] Result<MemoryReport> Builder::measure_with(bool* whole) {
  const format::ModelView& view = view_;
  MemoryReport report;
  report.model = model_->held_bytes().value();
  const uint64_t limit = options_.memory_limit;
  const uint64_t packed_before = model_->packed_bytes() - packer_->taken_by_model();
  const uint64_t before = report.model + packed_before;
  packer_->limit(limit < before ? 0 : limit - before);
  Block block = small_target_ ? Block::for_small_target() : Block();
  Parts parts = lay_out_objects(&block, &report);
  kernels::Operand operands[kMost];
  parts.setup.operands = operands;
  OperatorDemand demand;
  plan::Arena arena;
  size_t planning = 0;
  for (size_t i = 0; i < view.program_count(); ++i) {
    const size_t batch = selection_.batch_of(view, i);
    if (batch == 0) continue;
    Program program;
    FIGMENT_RETURN_IF_ERROR(program.lay_out(parts.setup_of(i), i, batch, &block));
    const Status status = program.measure_operators(packer_, limit, &demand);
    if (packer_->refused()) {
      *whole = false;
      report.packing_peak = before + packer_->wanted();
      return report;
    }
    FIGMENT_RETURN_IF_ERROR(status);
    *whole = *whole && demand.least.within(limit);
    Array<uint8_t> memory;
    plan::Arena planned;
    if (memory.allocate(program.planning_bytes())) {
      FIGMENT_RETURN_IF_ERROR(program.plan(Block(memory.data(), memory.size()), nullptr, &planned));
    } else if (!program.find_carried(&planned)) {
      // Without a heap, what the file says is believed until the session is placed.
      return Status::error(StatusCode::kOutOfMemory,
                           "no memory for the memory plan: convert with --plan, so that the file carries it");
    }
    if (planned.size >= arena.size) arena = planned;
    planning = std::max(planning, program.planning_bytes());
  }
  const CheckedSize fixed = block.used().aligned(kTensorAlignment);
  const CheckedSize tail = tail_bytes(arena.size, planning);
  const CheckedSize total = larger(fixed + demand.used + tail, fixed + demand.least).aligned(kTensorAlignment);
  if (!total.within(SIZE_MAX / 2) || !demand.used.valid()) {
    return Status::error(StatusCode::kOutOfMemory, "no memory for a batch of %zu: lower it", selection_.batch);
  }
  report.packed_weights = packed_before + packer_->taken();
  report.packing_peak = before + packer_->peak();
  report.programs = fixed.value() - report.variables;
  report.operators = demand.used.value();
  report.arena = total.value() - fixed.value() - report.operators;
  report.arena_lower_bound = arena.lower_bound == 0 ? 0 : report.arena - arena.size + arena.lower_bound;
  return report;
}

Result<Session*> Builder::place_selection(void* memory, size_t bytes) {
  const format::ModelView& view = view_;
  const auto too_small = [&] {
    return Status::error(StatusCode::kMemoryLimit,
                         "the session does not fit into %zu bytes: fig_session_size says what it needs", bytes);
  };
  Block block(memory, bytes);
  MemoryReport report;
  const Parts parts = lay_out_objects(&block, &report);
  if (block.overflowed()) return too_small();
  Session* session = parts.session;
  const auto fail = [&](const Status& status) {
    session->~Session();
    return status;
  };
  size_t next = 0;
  for (size_t i = 0; i < view.program_count(); ++i) {
    const size_t batch = selection_.batch_of(view, i);
    if (batch == 0) continue;
    const Status status = session->programs_[next++].lay_out(parts.setup_of(i), i, batch, &block);
    if (!status.ok()) return fail(status);
    if (block.overflowed()) return fail(too_small());
  }
  block.take(0);
  report.programs = block.used().value() - report.variables;
  kernels::OperatorPool pool(block.rest(), block.rest_bytes());
  CheckedSize least;
  for (size_t i = 0; i < next; ++i) {
    const Status status = session->programs_[i].prepare(packer_, &pool, &least);
    if (!status.ok()) return fail(status.code() == StatusCode::kMemoryLimit ? too_small() : status);
  }
  if (pool.overflow() != 0) {
    return fail(Status::error(StatusCode::kInternal, "operators took %zu bytes beside their pool", pool.overflow()));
  }
  block.take(pool.used());
  report.operators = pool.used();
  plan::Arena arena;
  size_t planning = 0;
  for (size_t i = 0; i < next; ++i) {
    Program& program = session->programs_[i];
    planning = std::max(planning, program.planning_bytes());
    if (program.planning_bytes() > block.rest_bytes()) return fail(too_small());
    plan::Arena planned;
    const Status status = program.plan(Block(block.rest(), block.rest_bytes()), block.rest(), &planned);
    if (!status.ok()) return fail(status);
    if (planned.size >= arena.size) arena = planned;
  }
  // What is larger than measured stays unused.
  const CheckedSize tail = larger(tail_bytes(arena.size, planning) + pool.used(), least).aligned(kTensorAlignment);
  report.arena = std::min<uint64_t>(tail.value() - pool.used(), block.rest_bytes());
  block.take(CheckedSize(arena.size) + kReadablePadding);
  if (block.overflowed()) return fail(too_small());
  report.arena_lower_bound = arena.lower_bound == 0 ? 0 : tail_bytes(arena.lower_bound, planning).value();
  for (size_t i = 0; i < next; ++i) {
    const Status status = session->programs_[i].bind();
    if (!status.ok()) return fail(status);
  }
  session->report_ = report;
  session->threads_ = std::move(threads_);
  return session;
}

Status Builder::too_large(const char* relation, uint64_t bytes, const char* advice) const {
  const format::ModelView& view = view_;
  char largest[FIGMENT_ERROR_TEXTS ? 200 : 1] = "";
  uint64_t most = 0;
  for (size_t i = 0; FIGMENT_ERROR_TEXTS && i < view.program_count(); ++i) {
    const size_t batch = selection_.batch_of(view, i);
    for (size_t j = 0; batch != 0 && j < view.program(i).op_count(); ++j) {
      const format::OpView op = view.program(i).op(j);
      const format::TensorType type = view.program(i).tensor(op.outputs[0]).type;
      const CheckedSize size = element_count(type.shape, batch) * format::element_size(type.type);
      if (size.value() <= most) continue;
      most = size.value();
      std::snprintf(largest, sizeof largest, "; the largest tensor is that of %s %s, %llu bytes",
                    format::name_of(op.kind), op.name, printable(most));
    }
  }
  return Status::error(StatusCode::kMemoryLimit,
                       "needs %s%llu bytes for batch %zu, the limit is %llu: raise it or lower the batch%s%s", relation,
                       printable(bytes - here_ + there_), selection_.batch,
                       printable(options_.memory_limit - here_ + there_), advice, largest);
}

}  // namespace figment
