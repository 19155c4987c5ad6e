#include "io/files.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace figment::io {

namespace {

[[noreturn]] void fail(const std::string& what, const std::string& path) {
  throw Error(what + " " + path + ": " + std::strerror(errno));
}

bool write_all(int file, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace

void write_file(const std::string& path, std::span<const uint8_t> bytes) {
  struct stat info{};
  // Devices and pipes cannot be replaced; they are written to.
  const bool special = ::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
  if (special) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file < 0) fail("cannot write", path);
    const bool written = write_all(file, bytes);
    const int error = errno;
    ::close(file);
    errno = error;
    if (!written) fail("cannot write", path);
    return;
  }
  std::string temporary = path + ".XXXXXX";
  const int file = ::mkstemp(temporary.data());
  if (file < 0) fail("cannot write", path);
  const mode_t mask = ::umask(0);
  ::umask(mask);
  bool good = write_all(file, bytes) && ::fchmod(file, 0666 & ~mask) == 0 && ::fsync(file) == 0;
  int error = errno;
  if (::close(file) != 0 && good) {
    good = false;
    error = errno;
  }
  if (good && ::rename(temporary.c_str(), path.c_str()) != 0) {
    good = false;
    error = errno;
  }
  if (!good) {
    ::unlink(temporary.c_str());
    errno = error;
    fail("cannot write", path);
  }
}

void write_file(const std::string& path, const std::string& text) {
  write_file(path, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

std::vector<uint8_t> read_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail("cannot read", path);
  std::vector<uint8_t> bytes;
  std::vector<uint8_t> block(1 << 20);
  while (true) {
    const ssize_t count = ::read(file, block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const int error = errno;
      ::close(file);
      errno = error;
      fail("cannot read", path);
    }
    if (count == 0) break;
    bytes.insert(bytes.end(), block.begin(), block.begin() + count);
  }
  ::close(file);
  return bytes;
}

}  // namespace figment::io
