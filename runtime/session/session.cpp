#include "session/session.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <new>

#include "session/ports.h"

namespace figment {

namespace {

Status no_memory(const char* what) { return Status::error(StatusCode::kOutOfMemory, "no memory for %s", what); }

}  // namespace

Session::Session(Model* model) : model_(model) { model_->retain(); }

Session::~Session() {
  programs_.reset();
  model_->release();
}

Result<Session*> Session::create(Model* model, const SessionOptions& options) {
  void* memory = allocate_memory(sizeof(Session));
  if (memory == nullptr) return no_memory("a session");
  auto* session = new (memory) Session(model);
  Status status = session->prepare(options);
  if (status.ok()) status = session->allocate_arena();
  if (status.ok()) return session;
  destroy(session);
  return status;
}

void Session::destroy(Session* session) {
  if (session == nullptr) return;
  session->~Session();
  release_memory(session);
}

Result<MemoryReport> Session::measure(Model* model, const SessionOptions& options) {
  void* memory = allocate_memory(sizeof(Session));
  if (memory == nullptr) return no_memory("a session");
  auto* session = new (memory) Session(model);
  const Status status = session->prepare(options);
  const MemoryReport report = session->memory();
  destroy(session);
  if (!status.ok()) return status;
  return report;
}

uint32_t Session::level_count() const {
  const format::ModelView& view = model_->view();
  uint32_t count = 0;
  for (size_t i = 0; i < view.schedule_count(); ++i) count = std::max(count, view.schedule(i).level + 1);
  return count;
}

bool Session::has_parts(uint32_t level) const {
  const format::ModelView& view = model_->view();
  for (size_t i = 0; i < view.schedule_count(); ++i) {
    if (view.schedule(i).level == level && view.schedule(i).part) return true;
  }
  return false;
}

Result<Session::Way> Session::first_way(const SessionOptions& options) const {
  if (options.part == 0 || options.part >= batch_) return Way{0, training_ && has_parts(0) ? (batch_ + 1) / 2 : batch_};
  if (!training_) return wrong("parts of a batch are for training sessions");
  for (uint32_t level = 0; level < level_count(); ++level) {
    if (has_parts(level)) return Way{level, options.part};
  }
  return wrong(
      "the model trains on whole batches only: its networks couple the samples of a batch, as batch normalisation "
      "does");
}

bool Session::next_way(Way* way) const {
  if (has_parts(way->level) && way->part > 1) {
    way->part = (way->part + 1) / 2;
    return true;
  }
  if (++way->level >= level_count()) return false;
  // A batch in one part is computed by the levels before.
  way->part = has_parts(way->level) ? (batch_ + 1) / 2 : batch_;
  return true;
}

bool Session::wants_program(const SessionOptions& options, size_t i, Way way, size_t* batch) const {
  const format::ModelView& view = model_->view();
  const format::ProgramView program = view.program(i);
  *batch = batch_;
  if (options.program != nullptr) return std::strcmp(options.program, program.name()) == 0;
  if (!program.updates()) return true;
  for (size_t j = 0; j < view.schedule_count() && training_; ++j) {
    const format::ScheduleView entry = view.schedule(j);
    if (entry.level != way.level || std::strcmp(entry.program, program.name()) != 0) continue;
    if (entry.part) *batch = way.part;
    return true;
  }
  return false;
}

// All variables that keep their values, and the transient ones of the programs.
Status Session::allocate_variables(Way way) {
  const format::ModelView& view = model_->view();
  Array<bool> wanted;
  if (!wanted.allocate(view.constant_count())) return no_memory("the variables");
  for (size_t i = 0; i < view.constant_count(); ++i) {
    wanted[i] = view.constant(i).variable && !view.constant(i).transient;
  }
  size_t batch = 0;
  for (size_t i = 0; i < view.program_count(); ++i) {
    if (!wants_program({}, i, way, &batch)) continue;
    const format::ProgramView program = view.program(i);
    for (size_t j = 0; j < program.tensor_count(); ++j) {
      const format::TensorView tensor = program.tensor(j);
      if (tensor.type.variable) wanted[static_cast<size_t>(tensor.constant)] = true;
    }
  }
  if (view.part_weight() >= 0) wanted[static_cast<size_t>(view.part_weight())] = true;
  const CheckedSize needed = Variables::needed(view, wanted);
  if (needed.valid() && needed.value() > memory_limit_) return too_large(needed.value());
  return variables_.allocate(view, wanted);
}

Status Session::prepare(const SessionOptions& options) {
  if (options.batch < 1) return wrong("the batch must be at least 1");
  if (options.batch > kMaxExtent) return wrong("the batch %zu is too large", options.batch);
  if (options.threads < 1 || options.threads > 256) return wrong("threads must be 1 to 256, is %zu", options.threads);
  batch_ = options.batch;
  seed_ = options.seed;
  memory_limit_ = options.memory_limit;
  training_ = options.training;
  const format::ModelView& view = model_->view();
  if (training_ && view.schedule_count() == 0) return wrong("the model does not train: it has no schedule");
  if (options.program != nullptr) {
    Result<size_t> found = model_->find_program(options.program);
    if (!found.ok()) return found.status();
    if (training_) return wrong("a training session prepares all programs: leave out the program");
    if (view.program(*found).updates()) {
      return wrong("program \"%s\" changes variables: create the session for training", options.program);
    }
  }
#if FIGMENT_XNNPACK
  if (options.kernels == kernels::KernelSet::kBest) {
    FIGMENT_RETURN_IF_ERROR(kernels::initialize_xnnpack());
    FIGMENT_RETURN_IF_ERROR(threads_.start(options.threads, options.thread_pool));
  }
#endif
  Result<Way> first = first_way(options);
  if (!first.ok()) return first.status();
  Way way = *first;
  uint64_t least = UINT64_MAX;
  while (true) {
    Result<uint64_t> needed = prepare_programs(options, way);
    if (!needed.ok()) return needed.status();
    if (*needed <= memory_limit_) return {};
    least = std::min(least, *needed);
    if (!training_ || !next_way(&way)) return too_large(least);
  }
}

Status Session::too_large(uint64_t needed) const {
  const kernels::Step* largest = nullptr;
  for (const ProgramInstance& program : programs_) {
    const kernels::Step* step = program.largest_step();
    if (step != nullptr && (largest == nullptr || step->output.bytes() > largest->output.bytes())) largest = step;
  }
  char most[200] = "";
  if (largest != nullptr) {
    std::snprintf(most, sizeof most, "; the largest tensor is that of %s %s, %llu bytes",
                  format::name_of(largest->kind), largest->name,
                  static_cast<unsigned long long>(largest->output.bytes()));
  }
  return Status::error(StatusCode::kMemoryLimit,
                       "needs at least %llu bytes for batch %zu, the limit is %llu: raise it or lower the batch%s",
                       static_cast<unsigned long long>(needed), batch_, static_cast<unsigned long long>(memory_limit_),
                       most);
}

Result<uint64_t> Session::prepare_programs(const SessionOptions& options, Way way) {
  const format::ModelView& view = model_->view();
  way_ = way;
  programs_.reset();
  arena_bytes_ = 0;
  arena_lower_bound_ = 0;
  if (training_) FIGMENT_RETURN_IF_ERROR(allocate_variables(way));
  size_t count = 0;
  size_t batch = 0;
  for (size_t i = 0; i < view.program_count(); ++i) count += wants_program(options, i, way, &batch) ? 1 : 0;
  if (count == 0) return wrong("all programs of the model train: create the session for training");
  if (!programs_.allocate(count) || !program_indices_.allocate(count)) return no_memory("the session's programs");
  for (size_t i = 0, next = 0; i < view.program_count(); ++i) {
    if (!wants_program(options, i, way, &batch)) continue;
    program_indices_[next] = i;
    if (Status status = programs_[next].resolve(view, i, batch, options.kernels, training_ ? &variables_ : nullptr);
        !status.ok()) {
      return status.with_prefix(view.program(i).name());
    }
    ++next;
  }
  kernels::Environment environment;
  environment.weights = model_->packed_weights();
#if FIGMENT_XNNPACK
  if (options.kernels == kernels::KernelSet::kBest) {
    CheckedSize pool_bytes;
    for (const ProgramInstance& program : programs_) pool_bytes += program.pool_bytes();
    if (!pool_bytes.within(SIZE_MAX / 2)) {
      return Status::error(StatusCode::kOutOfMemory, "no memory for the model's convolutions: lower the batch");
    }
    const MemoryReport others = memory();
    const uint64_t least = others.total() - others.operators + pool_bytes.value();
    if (least > memory_limit_) return least;
    FIGMENT_RETURN_IF_ERROR(pool_.reserve(static_cast<size_t>(pool_bytes.value())));
  }
  environment.threads = threads_.pool();
  const kernels::Pool::Scope scope(&pool_);
#endif
  for (size_t i = 0; i < count; ++i) {
    if (Status status = programs_[i].prepare(environment); !status.ok()) {
      return status.with_prefix(view.program(program_indices_[i]).name());
    }
    if (programs_[i].arena_bytes() > arena_bytes_) {
      arena_bytes_ = programs_[i].arena_bytes();
      arena_lower_bound_ = programs_[i].arena_lower_bound();
    }
  }
  return memory().total();
}

Status Session::allocate_arena() {
  const size_t latents = largest_latent() * batch_;
  if (!latent_staging_.allocate(latents)) return no_memory("a batch of latents");
  if (arena_bytes_ > SIZE_MAX / 2 || !arena_memory_.allocate(static_cast<size_t>(arena_bytes_) + kReadablePadding)) {
    return Status::error(StatusCode::kOutOfMemory, "no memory for an arena of %llu bytes: lower the batch",
                         static_cast<unsigned long long>(arena_bytes_));
  }
  for (ProgramInstance& program : programs_) FIGMENT_RETURN_IF_ERROR(program.bind(arena_memory_.data()));
  return {};
}

size_t Session::largest_latent() const {
  const format::ModelView& view = model_->view();
  size_t largest = view.has_latent() ? view.latent().size : 0;
  for (size_t i = 0; training_ && i < view.schedule_count(); ++i) {
    if (view.schedule(i).level != way_.level) continue;
    for (size_t j = 0; j < view.schedule(i).latent_count; ++j) {
      largest = std::max(largest, view.schedule_latent(i, j).size);
    }
  }
  return largest;
}

MemoryReport Session::memory() const {
  MemoryReport report;
  report.model = model_->file_bytes();
  report.packed_weights = model_->packed_bytes();
#if FIGMENT_XNNPACK
  report.operators = pool_.size() + pool_.overflow();
#endif
  report.arena = arena_bytes_;
  report.variables = variables_.bytes();
  report.arena += largest_latent() * batch_ * sizeof(float);
  report.arena_lower_bound = report.arena - arena_bytes_ + arena_lower_bound_;
  return report;
}

Result<const ProgramInstance*> Session::instance(size_t i) const {
  for (size_t j = 0; j < programs_.size(); ++j) {
    if (program_indices_[j] == i) return &programs_[j];
  }
  return Status::error(StatusCode::kNotFound, "the session was created for another program");
}

Result<size_t> Session::find_instance(const char* program) const {
  if (program == nullptr && programs_.size() == 1) return size_t{0};
  Result<size_t> found = model_->find_program(program);
  if (!found.ok()) return found.status();
  for (size_t j = 0; j < programs_.size(); ++j) {
    if (program_indices_[j] == *found) return j;
  }
  return wrong("the session was not created for program \"%s\"", program);
}

namespace {

// Whether so many samples can be computed, a batch at a time.
Status check_count(const ProgramInstance& program, size_t count, size_t batch) {
  if (count < 1) return wrong("the number of samples must be at least 1");
  if (count > kMaxElements) return wrong("%zu samples are too many for one call", count);
  bool batched = false;
  bool divisible = true;
  for (std::span<const Port> ports : {program.inputs(), program.outputs()}) {
    for (const Port& port : ports) {
      batched = batched || port.per_batch;
      if (port.per_batch) divisible = divisible && port.batch_first;
    }
  }
  if (!batched && count != 1)
    return wrong(
        "the program has no batch dimension: it takes 1 sample, not %zu; for more, export the network with an open "
        "batch",
        count);
  if (batched && !divisible && count != batch) {
    return wrong("the program's batch is not its first dimension: it takes exactly the session's batch of %zu", batch);
  }
  const bool fits = program.any_batch() ? count <= batch : count == batch;
  if (batched && program.couples_batch() && !fits) {
    return wrong(
        "the program's samples depend on each other, as by a mean over the batch: it takes the session's batch of %zu, "
        "not %zu; create the session for that batch",
        batch, count);
  }
  return {};
}

}  // namespace

Status Session::run(const char* name, size_t count, std::span<const NamedTensor> inputs,
                    std::span<const NamedTensor> outputs) {
  FIGMENT_RETURN_IF_ERROR(threads_.check());
  Result<size_t> found = find_instance(name);
  if (!found.ok()) return found.status();
  ProgramInstance& program = programs_[*found];
  FIGMENT_RETURN_IF_ERROR(check_count(program, count, program.planned_batch()));
  FIGMENT_RETURN_IF_ERROR(check_names(inputs));
  FIGMENT_RETURN_IF_ERROR(check_names(outputs));
  for (const NamedTensor& tensor : inputs) {
    const Port* port = find_port(program.inputs(), tensor.name);
    if (port == nullptr) {
      return Status::error(StatusCode::kNotFound, "the program has no input \"%s\"; its first is \"%s\"", tensor.name,
                           program.inputs().empty() ? "" : program.inputs()[0].name);
    }
    FIGMENT_RETURN_IF_ERROR(check_tensor(tensor, *port, count));
  }
  for (const Port& port : program.inputs()) {
    if (find_tensor(inputs, port.name) == nullptr) return wrong("input \"%s\" is missing", port.name);
  }
  for (const NamedTensor& tensor : outputs) {
    const Port* port = find_port(program.outputs(), tensor.name);
    if (port == nullptr) {
      return Status::error(StatusCode::kNotFound, "the program has no output \"%s\"; its first is \"%s\"", tensor.name,
                           program.outputs()[0].name);
    }
    FIGMENT_RETURN_IF_ERROR(check_tensor(tensor, *port, count));
  }
  const size_t planned = program.planned_batch();
  for (size_t done = 0; done < count; done += planned) {
    const size_t part = std::min(planned, count - done);
    if (program.any_batch()) FIGMENT_RETURN_IF_ERROR(program.resize(part));
    const size_t batch = program.any_batch() ? part : planned;
    for (const Port& port : program.inputs()) copy_in(program, port, find_tensor(inputs, port.name)->data, done, part);
    for (const Port& port : program.outputs()) {
      // An output that is not wanted goes to the arena.
      const NamedTensor* tensor = find_tensor(outputs, port.name);
      if (tensor == nullptr && port.direct_step >= 0) FIGMENT_RETURN_IF_ERROR(program.redirect(port, nullptr));
      if (tensor == nullptr) continue;
      Result<bool> direct = redirect_output(program, port, tensor->data, done, part, batch);
      if (!direct.ok()) return direct.status();
    }
    program.run();
    for (const NamedTensor& tensor : outputs) {
      const Port& port = *find_port(program.outputs(), tensor.name);
      const bool direct = port.direct_step >= 0 && (part == batch || !port.per_batch);
      if (!direct) copy_out(program, port, tensor.data, done, part);
    }
  }
  return {};
}

Status Session::apply(const char* name, size_t count, std::span<const float> input,
                      std::span<const std::span<float>> outputs) {
  Result<size_t> found = find_instance(name);
  if (!found.ok()) return found.status();
  const ProgramInstance& program = programs_[*found];
  if (program.inputs().size() != 1) {
    return wrong("program \"%s\" has %zu inputs: give them to fig_run by name", name, program.inputs().size());
  }
  constexpr size_t kMostOutputs = 2;
  std::array<NamedTensor, kMostOutputs> wanted{};
  size_t count_wanted = 0;
  for (size_t i = 0; i < std::min(outputs.size(), kMostOutputs); ++i) {
    if (outputs[i].data() == nullptr) continue;
    if (i >= program.outputs().size()) return wrong("program \"%s\" has only %zu outputs", name, i);
    wanted[count_wanted++] = {program.outputs()[i].name, outputs[i].data(), outputs[i].size()};
  }
  // Inputs are only read.
  const NamedTensor given = {program.inputs()[0].name, const_cast<float*>(input.data()), input.size()};
  return run(name, count, {&given, 1}, {wanted.data(), count_wanted});
}

Status Session::reconstruct(size_t count, std::span<const float> samples, std::span<float> out) {
  if (!model_->view().has_latent()) return wrong("the model does not generate: it names no latent");
  const size_t latent = model_->view().latent().size;
  if (count < 1 || samples.size() % count != 0 || out.size() % count != 0) {
    return wrong("%zu and %zu values are not those of %zu samples", samples.size(), out.size(), count);
  }
  const size_t sample = samples.size() / count;
  const size_t made = out.size() / count;
  for (size_t done = 0; done < count; done += batch_) {
    const size_t part = std::min(batch_, count - done);
    const std::span<float> latents(latent_staging_.data(), part * latent);
    FIGMENT_RETURN_IF_ERROR(apply("encode", part, samples.subspan(done * sample, part * sample), {&latents, 1}));
    GenerateOptions options;
    options.latents = latents.data();
    FIGMENT_RETURN_IF_ERROR(generate(part, options, out.subspan(done * made, part * made)));
  }
  return {};
}

Status Session::generate(size_t count, const GenerateOptions& options, std::span<float> out) {
  FIGMENT_RETURN_IF_ERROR(threads_.check());
  const format::ModelView& view = model_->view();
  if (!view.has_latent()) return wrong("the model does not generate: it names no latent; use fig_run");
  const format::LatentView latent = view.latent();
  Result<size_t> found = find_instance(latent.program);
  if (!found.ok()) return found.status();
  ProgramInstance& program = programs_[*found];
  FIGMENT_RETURN_IF_ERROR(check_count(program, count, batch_));
  const Port& latent_port = *find_port(program.inputs(), latent.input);
  const bool named = view.has_output() && std::strcmp(view.output().program, latent.program) == 0;
  const Port& output_port = named ? *find_port(program.outputs(), view.output().port) : program.outputs()[0];
  const size_t expected = output_port.per_batch ? output_port.sample_elements * count : output_port.exporter.elements();
  if (out.data() == nullptr || out.size() != expected) {
    return wrong("the output has room for %zu values, %zu samples have %zu", out.size(), count, expected);
  }
  if (options.latent_elements && *options.latent_elements != count * latent.size) {
    return wrong("there are %zu values of latents, %zu samples need %zu", *options.latent_elements, count,
                 count * latent.size);
  }
  FIGMENT_RETURN_IF_ERROR(check_names(options.inputs));
  for (const NamedTensor& tensor : options.inputs) {
    const Port* port = find_port(program.inputs(), tensor.name);
    if (port == nullptr || port == &latent_port) {
      return Status::error(StatusCode::kNotFound, "the generator has no condition \"%s\"", tensor.name);
    }
    FIGMENT_RETURN_IF_ERROR(check_tensor(tensor, *port, count));
  }
  for (const Port& port : program.inputs()) {
    if (&port != &latent_port && find_tensor(options.inputs, port.name) == nullptr) {
      return wrong("the generator's condition \"%s\" is missing: %zu values a sample", port.name, port.sample_elements);
    }
  }
  for (size_t done = 0; done < count; done += batch_) {
    const size_t part = std::min(batch_, count - done);
    const float* latents = options.latents == nullptr ? latent_staging_.data() : options.latents + done * latent.size;
    if (options.latents == nullptr) {
      for (size_t i = 0; i < part; ++i) {
        latent.draw(seed_, options.first_index + done + i, latent_staging_.data() + i * latent.size);
      }
    }
    if (options.latents_out != nullptr) {
      std::memcpy(options.latents_out + done * latent.size, latents, part * latent.size * sizeof(float));
    }
    copy_in(program, latent_port, latents, 0, part);
    for (const NamedTensor& tensor : options.inputs) {
      copy_in(program, *find_port(program.inputs(), tensor.name), tensor.data, done, part);
    }
    for (const Port& port : program.outputs()) {
      if (&port != &output_port && port.direct_step >= 0) FIGMENT_RETURN_IF_ERROR(program.redirect(port, nullptr));
    }
    Result<bool> direct = redirect_output(program, output_port, out.data(), done, part, batch_);
    if (!direct.ok()) return direct.status();
    program.run();
    if (!*direct) copy_out(program, output_port, out.data(), done, part);
  }
  return {};
}

}  // namespace figment
