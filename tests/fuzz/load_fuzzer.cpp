// libFuzzer target: any bytes as a model file: open, plan, run. tests/fuzz/load_corpus is replayed by the
// tests.
#include <algorithm>
#include <cstring>
#include <vector>

#include "core/memory.h"
#include "figment/figment.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  figment::Array<uint8_t> copy;
  if (size == 0 || !copy.allocate(size)) return 0;
  std::memcpy(copy.data(), data, size);
  fig_model* model = nullptr;
  if (fig_model_open_memory(copy.data(), size, &model) != FIG_OK) return 0;
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.batch = 2;
  options.memory_limit = 32 << 20;
  fig_memory_report need{};
  fig_session* session = nullptr;
  // A huge but valid model is refused by its need alone; what is left runs quickly.
  if (fig_session_create(model, &options, &session) == FIG_OK && fig_session_memory_used(session, &need) == FIG_OK) {
    fig_model_info info{};
    fig_model_get_info(model, &info);
    for (uint32_t p = 0; p < info.programs; ++p) {
      fig_program_info program{};
      fig_model_program(model, p, &program);
      std::vector<std::vector<float>> memory;
      std::vector<fig_tensor> inputs;
      std::vector<fig_tensor> outputs;
      bool batched = false;
      bool small = true;
      for (uint32_t i = 0; i < program.inputs + program.outputs; ++i) {
        fig_port_info port{};
        const bool input = i < program.inputs;
        input ? fig_model_input(model, p, i, &port) : fig_model_output(model, p, i - program.inputs, &port);
        size_t elements = 1;
        for (uint32_t d = 0; d < port.shape.rank; ++d) {
          elements *= port.shape.extents[d] * (port.shape.per_batch[d] ? 2 : 1);
          batched = batched || port.shape.per_batch[d];
        }
        if (elements > (1 << 22)) small = false;
        if (!small) break;
        memory.emplace_back(elements, 0.5F);
        (input ? inputs : outputs).push_back({port.name, memory.back().data(), elements, FIG_F32});
      }
      if (small) {
        (void)fig_run(session, program.name, batched ? 2 : 1, inputs.data(), inputs.size(), outputs.data(),
                      outputs.size());
      }
    }
  }
  fig_session_destroy(session);
  fig_model_close(model);
  return 0;
}
