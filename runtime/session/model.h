// A loaded model: the verified file and what its sessions share.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/block.h"
#include "core/status.h"
#include "format/model_view.h"
#include "kernels/packed_weights.h"
#include "platform/file.h"

namespace figment {

// Reference-counted: the opener and every session hold one. Thread-safe but for release of the last reference.
class Model {
 public:
  static constexpr size_t kSmallBytes = 72;
  static constexpr size_t kSmallAlignment = 8;

  // The returned model has one reference.
  static Result<Model*> open_file(const char* path);
  static Result<Model*> open_memory(const void* data, size_t size);
  // Into memory of the caller's, of object_bytes() and aligned to kTensorAlignment, which must outlive all references.
  static Result<Model*> open_in(const void* data, size_t size, void* memory, size_t bytes);
  static size_t object_bytes();

  void retain() { ++references_; }
  void release();

  const format::ModelView& view() const { return view_; }
  size_t file_bytes() const { return bytes_; }
  // The file, this object, and the constants that are stored in f16, as f32.
  CheckedSize held_bytes() const { return CheckedSize(bytes_) + object_bytes() + view_.widened_bytes(); }
  const void* data() const { return data_; }
  kernels::PackedWeights* packed_weights() { return &packed_; }
  size_t packed_bytes() { return packed_.bytes(); }

  // The index of the program of that name; nullptr stands for the only program. kNotFound.
  Result<size_t> find_program(const char* name) const;

 private:
  Model() = default;
  ~Model();

  std::atomic<uint32_t> references_{1};
  bool owns_memory_ = true;  // of this object
  // A model whose object the caller's memory holds, for the present.
  static Result<Model*> make(const void* data, size_t size, void* memory);
  Status widen();

  platform::MappedFile file_;
  void* widened_ = nullptr;
  const void* data_ = nullptr;
  size_t bytes_ = 0;
  format::ModelView view_;
  kernels::PackedWeights packed_;
};
FIGMENT_CHECK_SMALL(Model);

}  // namespace figment
