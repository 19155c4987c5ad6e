// Runs programs of the IR through the public API: to calibrate, to compare, and to fold.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "figment/figment.h"
#include "ir/graph.h"

namespace figment::converter {

// Tensors by port name, in the exporter's layout.
using TensorMap = std::map<std::string, std::vector<float>>;

class Runner {
 public:
  // Of a model file, whose bytes are copied. `source_bytes` is the size of what it was made from, which bounds the
  // memory that it may take; 0: its own. Throws Error.
  Runner(std::span<const uint8_t> file, uint32_t batch, fig_kernels kernels = FIG_KERNELS_BEST, bool training = false,
         uint64_t seed = 0, uint64_t source_bytes = 0);
  // The same of one that is not needed any more: its memory is free before the session takes its own.
  Runner(std::vector<uint8_t>&& file, uint32_t batch, fig_kernels kernels = FIG_KERNELS_BEST, bool training = false,
         uint64_t seed = 0, uint64_t source_bytes = 0);
  // With all options of a session.
  Runner(std::span<const uint8_t> file, const fig_session_options& options) { open(copy(file), file.size(), options); }
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // All outputs of a program for `count` samples. Throws Error.
  TensorMap run(const std::string& program, const TensorMap& inputs, size_t count);

  fig_model* model() { return model_; }
  fig_session* session() { return session_; }

 private:
  // The address of a copy in memory_, aligned.
  void* copy(std::span<const uint8_t> file);
  void open(void* file, size_t size, const fig_session_options& options);
  void release();

  std::vector<uint8_t> memory_;
  fig_model* model_ = nullptr;
  fig_session* session_ = nullptr;
};

}  // namespace figment::converter
