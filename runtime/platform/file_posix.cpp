#include <cerrno>
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

}  // namespace

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

}  // namespace figment::platform
