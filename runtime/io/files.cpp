#include "io/files.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/terminal.h"
#include "platform/file.h"

namespace figment::io {

namespace {

[[noreturn]] void fail(const std::string& what, const std::string& path) {
  throw Error(what + " " + path + ": " + std::strerror(errno));
}

void check(const Status& status) {
  if (!status.ok()) throw Error(status.message());
}

class Descriptor {
 public:
  explicit Descriptor(int file) : file_(file) {}
  ~Descriptor() {
    if (file_ >= 0) ::close(file_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return file_; }

 private:
  int file_;
};

void write_all(int file, std::span<const uint8_t> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) fail("cannot write", path);
    if (written > 0) bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void write_special(const std::string& path, std::span<const uint8_t> bytes) {
  // A pipe that nobody reads would block here.
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) fail("cannot write", path);
  const int flags = ::fcntl(file.get(), F_GETFL);
  ::fcntl(file.get(), F_SETFL, flags & ~O_NONBLOCK);
  write_all(file.get(), bytes, path);
}

std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

void write_file(const std::string& path, std::span<const uint8_t> bytes) {
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
    return write_special(path, bytes);
  platform::FileReplacement file;
  check(file.begin(path.c_str()));
  check(file.write(0, bytes.data(), bytes.size()));
  check(file.commit());
}

void write_file(const std::string& path, const std::string& text) { write_file(path, bytes_of(text)); }

void append_file(const std::string& path, const std::string& text) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_APPEND));
  if (file.get() < 0) fail("cannot write", path);
  write_all(file.get(), bytes_of(text), path);
}

bool is_model(const std::string& path) {
  constexpr size_t kPlace = 8;  // behind the size and the root
  const std::string_view identifier = "FIGM";
  std::ifstream file(path, std::ios::binary);
  std::string start(kPlace + identifier.size(), 0);
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  return file && std::string_view(start).substr(kPlace) == identifier;
}

bool same_file(const std::string& a, const std::string& b) {
  std::error_code error;
  const std::filesystem::path first = std::filesystem::weakly_canonical(a, error);
  if (error) return a == b;
  const std::filesystem::path second = std::filesystem::weakly_canonical(b, error);
  if (error) return a == b;
  return first == second && !std::filesystem::is_other(first, error);
}

std::vector<uint8_t> read_file(const std::string& path) {
  const Result<int> opened = platform::open_regular(path.c_str());
  check(opened.status());
  const Descriptor file(*opened);
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) fail("cannot read", path);
  // One byte more than expected, to see the end.
  std::vector<uint8_t> bytes(static_cast<size_t>(info.st_size) + 1);
  size_t have = 0;
  while (true) {
    if (have == bytes.size()) bytes.resize(have + 1);
    const ssize_t count = ::read(file.get(), bytes.data() + have, bytes.size() - have);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("cannot read", path);
    if (count == 0) break;
    have += static_cast<size_t>(count);
  }
  bytes.resize(have);
  return bytes;
}

std::string read_text(const std::string& path) {
  const std::vector<uint8_t> bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

namespace {

// Opens what `location` names below `folder`, one name at a time, so that none is a link. -1, with errno, if it cannot
// be opened.
int open_below(const std::string& folder, const std::string& location) {
  int at = ::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  size_t begin = 0;
  while (at >= 0) {
    const size_t end = std::min(location.find('/', begin), location.size());
    const bool last = end == location.size();
    const int flags = O_NOFOLLOW | O_CLOEXEC | (last ? O_RDONLY | O_NONBLOCK : O_PATH | O_DIRECTORY);
    const int next = ::openat(at, location.substr(begin, end - begin).c_str(), flags);
    const int error = errno;
    ::close(at);
    errno = error;
    if (last) return next;
    at = next;
    begin = end + 1;
  }
  return at;
}

bool is_below(const std::string& location) {
  for (size_t begin = 0; begin <= location.size();) {
    const size_t end = std::min(location.find('/', begin), location.size());
    const std::string name = location.substr(begin, end - begin);
    if (name.empty() || name == "..") return false;
    begin = end + 1;
  }
  return location.find('\0') == std::string::npos;
}

}  // namespace

TemporaryFolder::TemporaryFolder() : path_((std::filesystem::temp_directory_path() / "figment.XXXXXX").string()) {
  if (mkdtemp(path_.data()) == nullptr) throw Error(path_ + ": the folder cannot be made: " + std::strerror(errno));
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

NamedFile::NamedFile(const std::string& path, const std::string& location) : location_(location) {
  if (!is_below(location))
    throw Error("its file \"" + location + "\" may only lie in the folder of " + path + " or below");
  const size_t slash = path.rfind('/');
  file_ = open_below(slash == std::string::npos ? "." : path.substr(0, slash + 1), location);
  if (file_ < 0) {
    const char* reason =
        errno == ELOOP || errno == EMLINK ? "it is a link, which is not followed" : std::strerror(errno);
    throw Error("its file \"" + location + "\", which must lie beside " + path + ", cannot be opened: " + reason);
  }
  struct stat info{};
  if (::fstat(file_, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(file_);
    throw Error("its file \"" + location + "\" is not a regular file");
  }
  size_ = static_cast<uint64_t>(info.st_size);
}

NamedFile::~NamedFile() { ::close(file_); }

void NamedFile::read(uint64_t offset, std::span<uint8_t> out) const {
  while (!out.empty()) {
    const ssize_t count = ::pread(file_, out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("cannot read", location_);
    if (count == 0) throw Error("its file \"" + location_ + "\" ends too early");
    offset += static_cast<uint64_t>(count);
    out = out.subspan(static_cast<size_t>(count));
  }
}

namespace {

std::atomic<bool> g_lifted{false};

constexpr uint64_t kLeastBudget = 256000000;
constexpr uint64_t kBudgetFactor = 1000;

}  // namespace

Budget::Budget(uint64_t file_bytes)
    : bytes_(g_lifted ? UINT64_MAX
                      : std::max(kLeastBudget, std::min(file_bytes, UINT64_MAX / kBudgetFactor) * kBudgetFactor)) {}

uint64_t Budget::bytes(uint32_t batch) const {
  uint64_t product = 0;
  return __builtin_mul_overflow(bytes_, uint64_t{batch}, &product) ? UINT64_MAX : product;
}

void Budget::check(uint64_t bytes, const std::string& what) const {
  const std::string needs = what + " would take " + format_bytes(static_cast<double>(bytes));
  if (bytes > SIZE_MAX / 2) throw Error(needs + ", more memory than this machine can address");
  if (bytes <= bytes_) return;
  throw Error(needs + ", more than the " + format_bytes(static_cast<double>(bytes_)) +
              " that a file of this size may take; --allow-large lifts this limit");
}

void Budget::lift() { g_lifted = true; }

std::string file_name_of(const std::string& name) {
  // File systems take 255 bytes, of which endings take 8 (".2.png") and a file that is being written 16
  // (platform/file.h).
  constexpr size_t kMaxFileName = 255 - 8 - 16;
  std::string result;
  for (const char c : name) {
    const bool plain =
        std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || (c == '.' && !result.empty());
    if (plain) {
      result += c;
    } else {
      constexpr const char* kDigits = "0123456789ABCDEF";
      const auto byte = static_cast<unsigned char>(c);
      result += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  if (result.empty() || result.size() > kMaxFileName)
    throw Error("the name " + name.substr(0, 60) + (name.size() > 60 ? "..." : "") + " is " +
                (name.empty() ? "empty" : "too long") + " for a file");
  return result;
}

std::pair<std::string, std::string> split_assignment(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos) return {"", text};
  struct stat info{};
  if (::stat(text.c_str(), &info) == 0) return {"", text};
  const size_t slash = text.rfind('/', equals);
  if (slash != std::string::npos && ::stat(text.substr(0, slash + 1).c_str(), &info) == 0) return {"", text};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

}  // namespace figment::io
