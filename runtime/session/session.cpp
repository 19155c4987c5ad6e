#include "session/session.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/text.h"
#include "session/builder.h"
#include "session/exchange.h"

namespace figment {

Session::~Session() {
  for (size_t i = program_count_; i > 0; --i) programs_[i - 1].~Program();
  if (model_ != nullptr) model_->release();
}

void Session::destroy(Session* session) {
  if (session == nullptr) return;
  const bool owned = session->owns_memory_;
  session->~Session();
  if (owned) release_memory(session);
}

Result<MemoryReport> Session::measure(Model* model, const SessionOptions& options) {
  kernels::Packer packer(model->packed_weights(), kernels::Packer::Mode::kSystem);
  Builder builder(model, options, &packer);
  FIGMENT_RETURN_IF_ERROR(builder.start());
  return builder.measure();
}

Result<MemoryReport> Session::measure_small(Model* model, const SessionOptions& options, Strategy* strategy) {
  constexpr size_t kModel = (Model::kSmallBytes + kTensorAlignment - 1) & ~(kTensorAlignment - 1);
  SessionOptions portable = options;
  portable.kernels = kernels::KernelSet::kPortable;
  portable.threads = 1;
  portable.thread_pool = nullptr;
  // A report counts what the model takes here.
  const CheckedSize held = model->held_bytes() + model->packed_bytes();
  const CheckedSize limit = CheckedSize(options.memory_limit < kModel ? 0 : options.memory_limit - kModel) + held;
  portable.memory_limit = limit.valid() ? limit.value() : UINT64_MAX;
  kernels::Packer packer(model->packed_weights(), kernels::Packer::Mode::kMeasure);
  Builder builder(model, portable, &packer);
  builder.for_small_target(held.value(), kModel);
  FIGMENT_RETURN_IF_ERROR(builder.start());
  Result<MemoryReport> report = builder.measure();
  if (!report.ok()) return report;
  report->model = kModel;
  *strategy = builder.strategy();
  return report;
}

namespace {

// Bytes of what the packer packs for a session.
Result<size_t> pack_with(kernels::Packer&& packer, Model* model, const SessionOptions& options) {
  Builder builder(model, options, &packer);
  FIGMENT_RETURN_IF_ERROR(builder.start());
  Result<MemoryReport> report = builder.measure();
  if (!report.ok()) return report.status();
  return packer.taken();
}

}  // namespace

Result<size_t> Session::pack_size(Model* model, const SessionOptions& options) {
  return pack_with({model->packed_weights(), kernels::Packer::Mode::kMeasure}, model, options);
}

Status Session::pack(Model* model, const SessionOptions& options, void* memory, size_t bytes) {
  Result<size_t> needed = pack_size(model, options);
  if (!needed.ok()) return needed.status();
  if (bytes < *needed || reinterpret_cast<uintptr_t>(memory) % kTensorAlignment != 0) {
    return wrong("the weights need %zu bytes aligned to %zu, not %zu", *needed, kTensorAlignment, bytes);
  }
  return pack_with({model->packed_weights(), memory, bytes}, model, options).status();
}

Result<Session*> Session::create(Model* model, const SessionOptions& options) {
  kernels::Packer packer(model->packed_weights(), kernels::Packer::Mode::kSystem);
  Builder builder(model, options, &packer);
  FIGMENT_RETURN_IF_ERROR(builder.start());
  Result<MemoryReport> report = builder.measure();
  if (!report.ok()) return report.status();
  const auto bytes = static_cast<size_t>(report->block());
  void* memory = allocate_memory(bytes);
  if (memory == nullptr) {
    return Status::error(StatusCode::kOutOfMemory, "no memory for a session of %zu bytes: lower the batch", bytes);
  }
  Result<Session*> session = builder.place_measured(memory, bytes);
  if (session.ok()) {
    (*session)->owns_memory_ = true;
    (*session)->report_ = *report;
  } else {
    release_memory(memory);
  }
  return session;
}

Result<Session*> Session::place(Model* model, const SessionOptions& options, void* memory, size_t bytes) {
  if (reinterpret_cast<uintptr_t>(memory) % kTensorAlignment != 0) {
    return wrong("a session's memory must be aligned to %zu bytes", kTensorAlignment);
  }
  if (options.threads > 1 && options.thread_pool == nullptr) {
    return wrong("threads take memory from the system: give a thread pool, or compute on one thread");
  }
  kernels::Packer packer(model->packed_weights(), kernels::Packer::Mode::kNever);
  Builder builder(model, options, &packer);
  FIGMENT_RETURN_IF_ERROR(builder.start());
  return builder.place(memory, bytes);
}

MemoryReport Session::memory() const {
  MemoryReport report = report_;
  report.model = model_->held_bytes().value();
  report.packed_weights = model_->packed_bytes();
  return report;
}

void Session::observe(const Observer& observer) {
  for (size_t i = 0; i < program_count_; ++i) programs_[i].observe(observer);
}

Program* Session::program(size_t i) const {
  for (size_t j = 0; j < program_count_; ++j) {
    if (programs_[j].index() == i) return &programs_[j];
  }
  return nullptr;
}

Result<Program*> Session::find_program(const char* name) const {
  if (name == nullptr && program_count_ == 1) return &programs_[0];
  Result<size_t> found = model_->find_program(name);
  if (!found.ok()) return found.status();
  Program* prepared = program(*found);
  if (prepared == nullptr) return wrong("the session was not created for program \"%s\"", name);
  return prepared;
}

namespace {

// Whether so many samples can be computed, a batch at a time.
Status check_count(const Program& program, size_t count) {
  const size_t batch = program.planned_batch();
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

// The one loop that computes any number of samples. `input(port, done, part)` is where samples [done, done + part) of
// an input begin; `output(port, done)` where those of an output go, or nullptr.
template <typename Input, typename Output>
Status compute_all(Program& program, size_t count, Input input, Output output) {
  for (size_t done = 0; done < count; done += program.planned_batch()) {
    const size_t part = std::min(program.planned_batch(), count - done);
    FIGMENT_RETURN_IF_ERROR(compute(
        program, part, [&](const Port& port) { return input(port, done, part); },
        [&](const Port& port) { return output(port, done); }));
  }
  return {};
}

}  // namespace

Elements Session::draw(const format::LatentView& drawn, uint64_t first, size_t count) {
  for (size_t i = 0; i < count; ++i) drawn.draw(seed_, first + i, latents_ + i * drawn.size);
  return {latents_};
}

Status Session::run(const char* name, size_t count, std::span<const NamedTensor> inputs,
                    std::span<const NamedTensor> outputs) {
  FIGMENT_RETURN_IF_ERROR(threads_.check());
  Result<Program*> found = find_program(name);
  if (!found.ok()) return found.status();
  Program& program = **found;
  FIGMENT_RETURN_IF_ERROR(check_count(program, count));
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
  const format::ModelView& view = view_;
  for (const Port& port : program.inputs()) {
    if (find_tensor(inputs, port.name) == nullptr && !view.find_drawn(program.name(), port.name))
      return wrong("input \"%s\" is missing", port.name);
  }
  for (const NamedTensor& tensor : outputs) {
    const Port* port = find_port(program.outputs(), tensor.name);
    if (port == nullptr) {
      return Status::error(StatusCode::kNotFound, "the program has no output \"%s\"; its first is \"%s\"", tensor.name,
                           program.outputs()[0].name);
    }
    FIGMENT_RETURN_IF_ERROR(check_tensor(tensor, *port, count));
  }
  const uint64_t first = samples_run_;
  samples_run_ += count;
  return compute_all(
      program, count,
      [&](const Port& port, size_t done, size_t part) -> Elements {
        const NamedTensor* given = find_tensor(inputs, port.name);
        if (given != nullptr) return at(*given, port, done);
        return draw(*view.find_drawn(program.name(), port.name), first + (port.per_batch ? done : 0),
                    port.per_batch ? part : 1);
      },
      [&](const Port& port, size_t done) {
        const NamedTensor* tensor = find_tensor(outputs, port.name);
        return tensor == nullptr ? Elements() : at(*tensor, port, done);
      });
}

Status Session::apply(const char* name, size_t count, std::span<const float> input,
                      std::span<const std::span<float>> outputs) {
  Result<Program*> found = find_program(name);
  if (!found.ok()) return found.status();
  const Program& program = **found;
  const Port* taken = nullptr;
  size_t wanted_inputs = 0;
  for (const Port& port : program.inputs()) {
    if (view_.find_drawn(program.name(), port.name)) continue;
    taken = &port;
    ++wanted_inputs;
  }
  if (wanted_inputs != 1) {
    return wrong("program \"%s\" has %zu inputs: give them to fig_run by name", name, wanted_inputs);
  }
  constexpr size_t kMaxOutputs = 2;
  std::array<NamedTensor, kMaxOutputs> wanted{};
  size_t count_wanted = 0;
  for (size_t i = 0; i < std::min(outputs.size(), kMaxOutputs); ++i) {
    if (outputs[i].data() == nullptr) continue;
    if (i >= program.outputs().size()) return wrong("program \"%s\" has only %zu outputs", name, i);
    wanted[count_wanted++] = {program.outputs()[i].name, outputs[i].data(), outputs[i].size(), ElementType::kF32};
  }
  // Inputs are only read.
  const NamedTensor given = {taken->name, const_cast<float*>(input.data()), input.size(), ElementType::kF32};
  return run(name, count, {&given, 1}, {wanted.data(), count_wanted});
}

Status Session::reconstruct(size_t count, std::span<const float> samples, std::span<float> out) {
  if (!view_.has_latent()) return wrong("the model does not generate: it names no latent");
  const size_t latent = view_.latent().size;
  if (count < 1 || samples.size() % count != 0 || out.size() % count != 0) {
    return wrong("%zu and %zu values are not those of %zu samples", samples.size(), out.size(), count);
  }
  const size_t sample = samples.size() / count;
  const size_t generated = out.size() / count;
  for (size_t done = 0; done < count; done += batch()) {
    const size_t part = std::min(batch(), count - done);
    const std::span<float> latents(latents_, part * latent);
    FIGMENT_RETURN_IF_ERROR(apply("encode", part, samples.subspan(done * sample, part * sample), {&latents, 1}));
    GenerateOptions options;
    options.latents = latents.data();
    FIGMENT_RETURN_IF_ERROR(generate(part, options, out.subspan(done * generated, part * generated)));
  }
  return {};
}

Status Session::generate(size_t count, const GenerateOptions& options, std::span<float> out) {
  FIGMENT_RETURN_IF_ERROR(threads_.check());
  const format::ModelView& view = view_;
  if (!view.has_latent()) return wrong("the model does not generate: it names no latent; use fig_run");
  const format::LatentView latent = view.latent();
  Result<Program*> found = find_program(latent.program);
  if (!found.ok()) return found.status();
  Program& program = **found;
  FIGMENT_RETURN_IF_ERROR(check_count(program, count));
  const Port& latent_port = *find_port(program.inputs(), latent.input);
  const bool named = view.has_output() && same_text(view.output().program, latent.program);
  const Port& output_port = named ? *find_port(program.outputs(), view.output().port) : program.outputs()[0];
  const CheckedSize expected = CheckedSize(output_port.sample_elements) * (output_port.per_batch ? count : 1);
  if (out.data() == nullptr || !expected.valid() || out.size() != expected.value()) {
    return wrong("the output has room for %zu values, %zu samples have %llu", out.size(), count,
                 static_cast<unsigned long long>(expected.value()));
  }
  const CheckedSize latent_values = CheckedSize(count) * latent.size;
  if (options.latent_elements && (!latent_values.valid() || *options.latent_elements != latent_values.value())) {
    return wrong("there are %zu values of latents, %zu samples need %llu", *options.latent_elements, count,
                 static_cast<unsigned long long>(latent_values.value()));
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
    if (&port != &latent_port && find_tensor(options.inputs, port.name) == nullptr &&
        !view.find_drawn(program.name(), port.name)) {
      return wrong("the generator's condition \"%s\" is missing: %zu values a sample", port.name, port.sample_elements);
    }
  }
  return compute_all(
      program, count,
      [&](const Port& port, size_t done, size_t part) -> Elements {
        if (&port != &latent_port) {
          const NamedTensor* given = find_tensor(options.inputs, port.name);
          if (given != nullptr) return at(*given, port, done);
          return draw(*view.find_drawn(program.name(), port.name), options.first_index + (port.per_batch ? done : 0),
                      port.per_batch ? part : 1);
        }
        const float* latents = options.latents == nullptr ? latents_ : options.latents + done * latent.size;
        for (size_t i = 0; options.latents == nullptr && i < part; ++i) {
          latent.draw(seed_, options.first_index + done + i, latents_ + i * latent.size);
        }
        if (options.latents_out != nullptr) {
          std::memcpy(options.latents_out + done * latent.size, latents, part * latent.size * sizeof(float));
        }
        return {const_cast<float*>(latents)};  // inputs are only read
      },
      [&](const Port& port, size_t done) -> Elements {
        if (&port != &output_port) return {};
        return {out.data() + (port.per_batch ? done * port.sample_elements : 0)};
      });
}

}  // namespace figment
