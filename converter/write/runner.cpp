#include "write/runner.h"

#include <cstring>

#include "io/files.h"

namespace figment::converter {

namespace {

constexpr size_t kAlignment = 64;

fig_session_options options_for(size_t file_bytes, uint32_t batch, fig_kernels kernels, bool training, uint64_t seed,
                                uint64_t source_bytes) {
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.batch = batch;
  options.kernels = kernels;
  options.training = training;
  options.seed = seed;
  options.memory_limit = io::Budget(source_bytes == 0 ? file_bytes : source_bytes).bytes(batch);
  return options;
}

}  // namespace

Runner::Runner(std::span<const uint8_t> file, uint32_t batch, fig_kernels kernels, bool training, uint64_t seed,
               uint64_t source_bytes) {
  open(copy(file), file.size(), options_for(file.size(), batch, kernels, training, seed, source_bytes));
}

Runner::Runner(std::vector<uint8_t>&& file, uint32_t batch, fig_kernels kernels, bool training, uint64_t seed,
               uint64_t source_bytes) {
  const size_t size = file.size();
  void* start = copy(file);
  std::vector<uint8_t>().swap(file);
  open(start, size, options_for(size, batch, kernels, training, seed, source_bytes));
}

void* Runner::copy(std::span<const uint8_t> file) {
  memory_.resize(file.size() + kAlignment);
  void* start = memory_.data();
  size_t space = memory_.size();
  std::align(kAlignment, file.size(), start, space);
  std::memcpy(start, file.data(), file.size());
  return start;
}

void Runner::open(void* file, size_t size, const fig_session_options& options) {
  fig_status status = fig_model_open_memory(file, size, &model_);
  if (status == FIG_OK) status = fig_session_create(model_, &options, &session_);
  if (status == FIG_OK) return;
  release();
  const std::string message = fig_error_message();
  throw Error(status != FIG_MEMORY_LIMIT ? message : message + "; if a file this small needs that, give --allow-large");
}

Runner::~Runner() { release(); }

void Runner::release() {
  fig_session_destroy(session_);
  fig_model_close(model_);
}

TensorMap Runner::run(const std::string& program, const TensorMap& inputs, size_t count) {
  fig_model_info model{};
  fig_model_get_info(model_, &model);
  TensorMap results;
  for (uint32_t p = 0; p < model.programs; ++p) {
    fig_program_info info{};
    fig_model_program(model_, p, &info);
    if (program != info.name) continue;
    std::vector<fig_tensor> in;
    for (const auto& [name, values] : inputs)
      in.push_back({name.c_str(), const_cast<float*>(values.data()), values.size(), FIG_F32});
    std::vector<fig_tensor> out;
    for (uint32_t i = 0; i < info.outputs; ++i) {
      fig_port_info port{};
      fig_model_output(model_, p, i, &port);
      size_t elements = 1;
      for (uint32_t d = 0; d < port.shape.rank; ++d)
        elements *= port.shape.extents[d] * (port.shape.per_batch[d] ? count : 1);
      std::vector<float>& values = results[port.name];
      values.resize(elements);
      out.push_back({port.name, values.data(), values.size(), FIG_F32});
    }
    if (fig_run(session_, info.name, count, in.data(), in.size(), out.data(), out.size()) != FIG_OK) {
      throw Error(fig_error_message());
    }
    return results;
  }
  throw Error("no program " + program);
}

}  // namespace figment::converter
