// A loaded model: the verified file and what its sessions share.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/status.h"
#include "format/model_view.h"
#include "kernels/kernel.h"
#include "platform/file.h"
#if FIGMENT_XNNPACK
#include "kernels/xnnpack/packed_weights.h"
#endif

namespace figment {

// Reference-counted: the opener and every session hold one. Thread-safe but for release of the last reference.
class Model {
 public:
  // The returned model has one reference.
  static Result<Model*> open_file(const char* path);
  static Result<Model*> open_memory(const void* data, size_t size);

  void retain() { ++references_; }
  void release();

  const format::ModelView& view() const { return view_; }
  size_t file_bytes() const { return bytes_; }
  const void* data() const { return data_; }
  kernels::PackedWeights* packed_weights();
  size_t packed_bytes() const;

  // The index of the program of that name; nullptr stands for the only program. kNotFound.
  Result<size_t> find_program(const char* name) const;

 private:
  Model() = default;

  std::atomic<uint32_t> references_{1};
  platform::MappedFile file_;
  const void* data_ = nullptr;
  size_t bytes_ = 0;
  format::ModelView view_;
#if FIGMENT_XNNPACK
  kernels::PackedWeights packed_;
#endif
};

}  // namespace figment
