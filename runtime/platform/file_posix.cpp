#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/file.h"

namespace figment::platform {

namespace {

// strerror may allocate.
const char* text_of(int error) {
#if defined(__GLIBC__)
  const char* text = strerrordesc_np(error);
  return text == nullptr ? "unknown error" : text;
#else
  return std::strerror(error);
#endif
}

Status failed(const char* path, int error) {
  const StatusCode code = error == ENOENT ? StatusCode::kNotFound : StatusCode::kIo;
  return Status::error(code, "cannot open %s: %s", path, text_of(error));
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
                       text_of(errno == EEXIST ? ENOTDIR : errno));
}

Result<int> open_regular(const char* path) {
  // A pipe without a writer, or a device, would block.
  const int file = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return failed(path, errno);
  struct stat info{};
  Status status;
  if (fstat(file, &info) != 0) {
    status = failed(path, errno);
  } else if (S_ISDIR(info.st_mode)) {
    status = failed(path, EISDIR);
  } else if (!S_ISREG(info.st_mode)) {
    status =
        Status::error(StatusCode::kIo, "%s is a pipe or a device: only regular files are read; save it to one", path);
  }
  if (status.ok()) return file;
  ::close(file);
  return status;
}

Status MappedFile::open(const char* path) {
  const Result<int> file = open_regular(path);
  if (!file.ok()) return file.status();
  struct stat info{};
  Status status;
  if (fstat(*file, &info) != 0) {
    status = failed(path, errno);
  } else if (info.st_size == 0) {
    status = Status::error(StatusCode::kBadFile, "%s is empty", path);
  } else {
    void* data = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_PRIVATE, *file, 0);
    if (data == MAP_FAILED) {
      status = failed(path, errno);
    } else {
      data_ = data;
      size_ = static_cast<size_t>(info.st_size);
    }
  }
  ::close(*file);
  return status;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(data_, size_);
}

Status FileReplacement::failed(const char* what) const {
  return Status::error(StatusCode::kIo, "cannot %s %s: %s", what, path_, text_of(errno));
}

namespace {

// Whether `file` is what `path` names.
bool is_named(int file, const char* path) {
  struct stat of_file{};
  struct stat of_path{};
  return ::fstat(file, &of_file) == 0 && ::lstat(path, &of_path) == 0 && of_file.st_dev == of_path.st_dev &&
         of_file.st_ino == of_path.st_ino;
}

// Locks a file that no other process has locked. Some file systems know no locks: what is there counts as free.
bool lock(int file) {
  return ::flock(file, LOCK_EX | LOCK_NB) == 0 || errno == ENOLCK || errno == EOPNOTSUPP || errno == ENOSYS;
}

// Removes a file that an earlier write left when it was killed. False, with errno, if another process is writing it.
bool remove_stale(const char* path) {
  // To write, since network file systems lock nothing else.
  const int file = ::open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (file < 0) return errno == ENOENT;
  const bool removed = lock(file) && (!is_named(file, path) || ::unlink(path) == 0);
  const int error = errno == EWOULDBLOCK ? EBUSY : errno;
  ::close(file);
  errno = error;
  return removed;
}

// A fresh file of that name, locked while it is open; -1, with errno, if there can be none.
int create_locked(const char* path) {
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    const int file = ::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (file < 0) {
      if (errno != EEXIST || !remove_stale(path)) return -1;
      continue;
    }
    // Until it is locked, another process may take it for a stale one.
    if (lock(file) && is_named(file, path)) return file;
    ::close(file);
  }
  errno = EBUSY;
  return -1;
}

}  // namespace

Status FileReplacement::begin(const char* path) {
  const int length = std::snprintf(temporary_, sizeof temporary_, "%s%s", path, kSuffix);
  if (length < 0 || static_cast<size_t>(length) >= sizeof temporary_) {
    temporary_[0] = 0;
    return Status::error(StatusCode::kInvalidArgument, "the path %.60s... is too long", path);
  }
  std::snprintf(path_, sizeof path_, "%s", path);
  struct stat info{};
  if (::stat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
    temporary_[0] = 0;
    return Status::error(StatusCode::kIo, "cannot write %s: it is no regular file, which alone can be replaced", path_);
  }
  file_ = allowed(FileOperation::kCreate) ? create_locked(temporary_) : -1;
  if (file_ >= 0) return {};
  temporary_[0] = 0;
  if (errno == EBUSY) {
    return Status::error(StatusCode::kIo, "cannot write %s: another process is writing it", path_);
  }
  return failed("write");
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
  // Where there are no locks, another process may have taken the file for a stale one.
  if (!is_named(file_, temporary_)) {
    temporary_[0] = 0;  // which is not ours to remove
    errno = EBUSY;
    return failed("write");
  }
  char* slash = std::strrchr(path_, '/');
  char folder[kMaxPath] = ".";
  if (slash != nullptr) std::snprintf(folder, sizeof folder, "%.*s", static_cast<int>(slash - path_ + 1), path_);
  const int directory = ::open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return failed("write");
  // Renamed before it is closed, and with that unlocked.
  if (!allowed(FileOperation::kRename) || ::rename(temporary_, path_) != 0) {
    const Status status = failed("write");
    ::close(directory);
    return status;
  }
  temporary_[0] = 0;
  const int closed = ::close(file_);
  file_ = -1;
  if (closed != 0) {
    const Status status = failed("write");
    ::close(directory);
    return status;
  }
  // The new name is on the disk once its folder is.
  const int synced = allowed(FileOperation::kSyncFolder) ? ::fsync(directory) : -1;
  // Some file systems cannot sync folders, and say so by EINVAL.
  const bool good = synced == 0 || errno == EINVAL;
  const Status status = good ? Status() : failed("write");
  ::close(directory);
  return status;
}

void FileReplacement::clean(const char* path) {
  char temporary[kMaxPath];
  const int length = std::snprintf(temporary, sizeof temporary, "%s%s", path, kSuffix);
  if (length > 0 && static_cast<size_t>(length) < sizeof temporary) remove_stale(temporary);
}

FileReplacement::~FileReplacement() {
  // Removed before it is closed, and with that unlocked.
  if (temporary_[0] != 0) ::unlink(temporary_);
  if (file_ >= 0) ::close(file_);
}

}  // namespace figment::platform
