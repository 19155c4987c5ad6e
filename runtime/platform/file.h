// Reading whole files into memory that tensors can be used from. One implementation a platform.
#pragma once

#include <cstddef>

#include "core/status.h"

namespace figment::platform {

// A read-only file in memory, aligned to kTensorAlignment.
class MappedFile {
 public:
  MappedFile() = default;
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // kNotFound, kIo, kOutOfMemory; the message names the path.
  Status open(const char* path);

  const void* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace figment::platform
