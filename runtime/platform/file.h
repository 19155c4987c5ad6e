// Whole files: read into memory that tensors can be used from, and replaced. One implementation a platform.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/status.h"

namespace figment::platform {

// Opens a regular file for reading, without waiting: pipes and devices are refused. The caller closes the descriptor.
// kNotFound, kIo; the message names the path.
Result<int> open_regular(const char* path);

// A read-only file in memory, aligned to kTensorAlignment.
class MappedFile {
 public:
  MappedFile() = default;
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // A regular file that is not empty. kNotFound, kIo, kBadFile; the message names the path. Allocates nothing.
  Status open(const char* path);

  const void* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

// Makes a folder, whose parent exists, if it is not there. kIo; the message names the path.
Status make_folder(const char* path);

// What is done to a file that is written.
enum class FileOperation : uint8_t { kCreate, kWrite, kSync, kRename, kSyncFolder };
// Called before every such operation of any thread; returning false makes it fail like a broken disk. For tests.
// nullptr removes it.
using FileHook = bool (*)(FileOperation operation);
void set_file_hook(FileHook hook);

// A file that is written beside `path` and takes its place at once when it is complete and on the disk. Until then, and
// after a crash or a failure before, `path` is as it was; after a failure to put the new name on the disk it is the new
// file. What a killed process left beside `path` the next write of `path` replaces; a process that is still writing is
// left alone (kIo). Allocates nothing.
class FileReplacement {
 public:
  FileReplacement() = default;
  ~FileReplacement();  // without commit, nothing is left behind
  FileReplacement(const FileReplacement&) = delete;
  FileReplacement& operator=(const FileReplacement&) = delete;

  // Each is called in turn, and none after a failure. kIo, kInvalidArgument; the message names the path.
  Status begin(const char* path);
  Status write(uint64_t offset, const void* data, size_t bytes);
  Status commit();

  // Removes what a killed process left beside `path`, if it can be removed.
  static void clean(const char* path);

 private:
  Status failed(const char* what) const;

  static constexpr const char* kSuffix = ".figment-partial";
  static constexpr size_t kMaxPath = 4096;
  char path_[kMaxPath] = "";
  char temporary_[kMaxPath] = "";
  int file_ = -1;
};

}  // namespace figment::platform
