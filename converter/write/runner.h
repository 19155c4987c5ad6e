// Runs programs of the IR through the public API: to calibrate, to compare, and to fold.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "figment/figment.h"
#include "ir/graph.h"

namespace figment::converter {

// Tensors by port name, in the exporter's layout.
using TensorMap = std::map<std::string, std::vector<float>>;

class Runner {
 public:
  // Takes the bytes of a model file. `source_bytes` is the size of what it was made from, which bounds the memory that
  // it may take; 0: its own. Throws Error.
  Runner(const std::vector<uint8_t>& file, uint32_t batch, fig_kernels kernels = FIG_KERNELS_BEST,
         bool training = false, uint64_t seed = 0, uint64_t source_bytes = 0);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // All outputs of a program for `count` samples. Throws Error.
  TensorMap run(const std::string& program, const TensorMap& inputs, size_t count);

  fig_model* model() { return model_; }
  fig_session* session() { return session_; }

 private:
  void release();

  std::vector<uint8_t> memory_;
  fig_model* model_ = nullptr;
  fig_session* session_ = nullptr;
};

}  // namespace figment::converter
