#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/file.h"

namespace figment::platform {

namespace {

Status failed(const char* path, int error) {
  const StatusCode code = error == ENOENT ? StatusCode::kNotFound : StatusCode::kIo;
  return Status::error(code, "cannot open %s: %s", path, std::strerror(error));
}

std::atomic<FileHook> g_hook{nullptr};

bool allowed(FileOperation operation) {
  const FileHook hook = g_hook.load();
  if (hook == nullptr || hook(operation)) return true;
  errno = EIO;
  return false;
}

}  // namespace

void set_file_hook(FileHook hook) { g_hook = hook; }

Status make_folder(const char* path) {
  if (::mkdir(path, 0777) == 0) return {};
  struct stat info{};
  if (errno == EEXIST && ::stat(path, &info) == 0 && S_ISDIR(info.st_mode)) return {};
  return Status::error(StatusCode::kIo, "cannot make the folder %s: %s", path,
                       std::strerror(errno == EEXIST ? ENOTDIR : errno));
}

Status MappedFile::open(const char* path) {
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return failed(path, errno);
  struct stat info{};
  Status status;
  if (fstat(file, &info) != 0) {
    status = failed(path, errno);
  } else if (!S_ISREG(info.st_mode)) {
    status = failed(path, S_ISDIR(info.st_mode) ? EISDIR : EINVAL);
  } else if (info.st_size == 0) {
    status = Status::error(StatusCode::kBadFile, "%s is empty", path);
  } else {
    void* data = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_PRIVATE, file, 0);
    if (data == MAP_FAILED) {
      status = failed(path, errno);
    } else {
      data_ = data;
      size_ = static_cast<size_t>(info.st_size);
    }
  }
  ::close(file);
  return status;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(data_, size_);
}

Status FileReplacement::failed(const char* what) const {
  return Status::error(StatusCode::kIo, "cannot %s %s: %s", what, path_, std::strerror(errno));
}

Status FileReplacement::begin(const char* path) {
  const int length = std::snprintf(temporary_, sizeof temporary_, "%s.XXXXXX", path);
  if (length < 0 || static_cast<size_t>(length) >= sizeof temporary_) {
    temporary_[0] = 0;
    return Status::error(StatusCode::kInvalidArgument, "the path %.60s... is too long", path);
  }
  std::snprintf(path_, sizeof path_, "%s", path);
  file_ = allowed(FileOperation::kCreate) ? ::mkstemp(temporary_) : -1;
  if (file_ < 0) {
    temporary_[0] = 0;
    return failed("write");
  }
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return ::fchmod(file_, 0666 & ~mask) == 0 ? Status() : failed("write");
}

Status FileReplacement::write(uint64_t offset, const void* data, size_t bytes) {
  const auto* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const bool may = allowed(FileOperation::kWrite);
    const ssize_t count = may ? ::pwrite(file_, from, bytes, static_cast<off_t>(offset)) : -1;
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return failed("write");
    from += count;
    offset += static_cast<uint64_t>(count);
    bytes -= static_cast<size_t>(count);
  }
  return {};
}

Status FileReplacement::commit() {
  if (!allowed(FileOperation::kSync) || ::fsync(file_) != 0) return failed("write");
  const int closed = ::close(file_);
  file_ = -1;
  if (closed != 0 || !allowed(FileOperation::kRename) || ::rename(temporary_, path_) != 0) return failed("write");
  temporary_[0] = 0;
  // The new name is on the disk once its folder is.
  char* slash = std::strrchr(path_, '/');
  char folder[kMostPath] = ".";
  if (slash != nullptr) std::snprintf(folder, sizeof folder, "%.*s", static_cast<int>(slash - path_ + 1), path_);
  const int directory = ::open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return failed("write");
  const int synced = allowed(FileOperation::kSyncFolder) ? ::fsync(directory) : -1;
  // Some file systems cannot sync folders, and say so by EINVAL.
  const bool good = synced == 0 || errno == EINVAL;
  const Status status = good ? Status() : failed("write");
  ::close(directory);
  return status;
}

FileReplacement::~FileReplacement() {
  if (file_ >= 0) ::close(file_);
  if (temporary_[0] != 0) ::unlink(temporary_);
}

}  // namespace figment::platform
