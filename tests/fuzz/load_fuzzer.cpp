// libFuzzer target: any bytes as a model file: open, plan, run, at the file's length and at others, and what training
// sessions do beside steps.
// tests/fuzz/load_corpus is replayed by the tests.
#include <algorithm>
#include <cstring>
#include <vector>

#include "core/memory.h"
#include "figment/figment.h"

namespace {

constexpr uint32_t kBatch = 2;
constexpr size_t kMostElements = size_t{1} << 22;

void observe(void* context, uint32_t /*program*/, uint32_t /*op*/, const void* values) {
  *static_cast<const void**>(context) = values;
}

void run_program(fig_session* session, const fig_program_info& program, uint32_t index) {
  std::vector<std::vector<float>> memory;
  std::vector<fig_tensor> inputs;
  std::vector<fig_tensor> outputs;
  bool batched = false;
  for (uint32_t i = 0; i < program.inputs + program.outputs; ++i) {
    fig_port_info port{};
    const bool input = i < program.inputs;
    input ? fig_session_input(session, index, i, &port) : fig_session_output(session, index, i - program.inputs, &port);
    size_t elements = 1;
    for (uint32_t d = 0; d < port.shape.rank; ++d) {
      elements *= port.shape.extents[d] * (port.shape.per_batch[d] ? kBatch : 1);
      batched = batched || port.shape.per_batch[d];
    }
    if (elements > kMostElements) return;
    memory.emplace_back(elements, 0.5F);
    (input ? inputs : outputs).push_back({port.name, memory.back().data(), elements, FIG_F32});
  }
  (void)fig_run(session, program.name, batched ? kBatch : 1, inputs.data(), inputs.size(), outputs.data(),
                outputs.size());
}

void run_all(fig_model* model, uint32_t length) {
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.batch = kBatch;
  options.length = length;
  options.memory_limit = 32 << 20;
  fig_session* session = nullptr;
  // A huge but valid model is refused by its need alone; what is left runs quickly.
  if (fig_session_create(model, &options, &session) != FIG_OK) return;
  const void* seen = nullptr;
  (void)fig_session_observe(session, observe, &seen);
  fig_model_info info{};
  fig_model_get_info(model, &info);
  for (uint32_t p = 0; p < info.programs; ++p) {
    fig_program_info program{};
    fig_model_program(model, p, &program);
    run_program(session, program, p);
  }
  fig_session_destroy(session);
}

// What training sessions read beside programs: adapters and the int8 form.
void train(fig_model* model) {
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.batch = kBatch;
  options.memory_limit = 32 << 20;
  options.training = true;
  options.kernels = FIG_KERNELS_PORTABLE;
  fig_session* session = nullptr;
  if (fig_session_create(model, &options, &session) != FIG_OK) return;
  size_t bytes = 0;
  (void)fig_adapter_get(session, nullptr, nullptr, 0, &bytes);
  if (bytes > 0 && bytes < kMostElements) {
    std::vector<uint8_t> adapter(bytes);
    (void)fig_adapter_get(session, nullptr, adapter.data(), bytes, &bytes);
    (void)fig_adapter_set(session, adapter.data(), bytes);
  }
  figment::Array<uint8_t> form;
  if (fig_requantize_size(session, &bytes) == FIG_OK && bytes < kMostElements && form.allocate(bytes)) {
    size_t model_bytes = 0;
    (void)fig_requantize(session, form.data(), bytes, &model_bytes);
  }
  fig_parameter_info parameter{};
  for (uint32_t i = 0; fig_model_parameter(model, i, &parameter) == FIG_OK; ++i) {
    std::vector<float> values(1);
    (void)fig_parameter_get(session, parameter.name, values.data(), values.size());
  }
  fig_session_destroy(session);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  figment::Array<uint8_t> copy;
  if (size == 0 || !copy.allocate(size)) return 0;
  std::memcpy(copy.data(), data, size);
  fig_model* model = nullptr;
  if (fig_model_open_memory(copy.data(), size, &model) != FIG_OK) return 0;
  run_all(model, 0);
  fig_length_info length{};
  if (fig_model_length(model, &length) == FIG_OK) {
    run_all(model, length.least);
    run_all(model, length.length + 3 * length.unit);
  }
  train(model);
  fig_model_close(model);
  return 0;
}
