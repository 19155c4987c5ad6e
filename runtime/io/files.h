// Files for the command-line programs: whole or not at all. Errors are exceptions whose text names the path.
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace figment::io {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Writes beside `path` and renames, so that after a failure (a full disk, no permission) `path` is as it was, or the
// new file if only its name could not be put on the disk; nothing else is left behind. Devices and pipes are written
// to.
void write_file(const std::string& path, std::span<const uint8_t> bytes);
void write_file(const std::string& path, const std::string& text);
// Writes behind what a file holds, which is there; if that fails, a part of `text` may be.
void append_file(const std::string& path, const std::string& text);

// Whether two paths lead to one file, there or not. No device is one.
bool same_file(const std::string& a, const std::string& b);

// Whether a file is a Figment model, by its identifier.
bool is_model(const std::string& path);

// A regular file; pipes and devices are refused.
std::vector<uint8_t> read_file(const std::string& path);
std::string read_text(const std::string& path);

// A file that another one names, as it is while it is read: a regular file in the folder of the other or below, which
// no link, no ".." and no absolute path leads to. Errors name the location.
class NamedFile {
 public:
  // `location` as it stands in the file `path`.
  NamedFile(const std::string& path, const std::string& location);
  ~NamedFile();
  NamedFile(const NamedFile&) = delete;
  NamedFile& operator=(const NamedFile&) = delete;

  uint64_t size() const { return size_; }
  // Fills `out` with the bytes from `offset` on, which must be there.
  void read(uint64_t offset, std::span<uint8_t> out) const;

 private:
  std::string location_;
  int file_ = -1;
  uint64_t size_ = 0;
};

// A folder of the process's own, gone with all that it holds when this is.
class TemporaryFolder {
 public:
  // Throws Error.
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// What may be made of a file, so that a small one cannot fill the memory: 1000 times its size, or 256 MB where that is
// more.
class Budget {
 public:
  explicit Budget(uint64_t file_bytes);
  // Of what is made of a few words.
  static Budget least() { return Budget(0); }

  uint64_t bytes() const { return bytes_; }
  // For a session of a batch; all there is if that is more than can be said.
  uint64_t bytes(uint32_t batch) const;
  // Throws Error, naming `what`, the size and how to allow it, if `bytes` are more than the budget.
  void check(uint64_t bytes, const std::string& what) const;

  // Lifts all budgets of the process from now on, for --allow-large.
  static void lift();

 private:
  uint64_t bytes_;
};

inline constexpr const char* kAllowLargeHelp = "accept files that expand to far more memory than their size";

// A file name for any name: one for each, of letters, digits, '-', '_' and '.'; other bytes become %XX, and so does a
// dot that begins the name. Throws Error for names that no file system takes.
std::string file_name_of(const std::string& name);

// "NAME=FILE" -> both; "FILE" -> "" and FILE. A text that is a file's name as it stands, or has a folder before its
// first '=', is a file; names may hold a '/', as TensorFlow's do.
std::pair<std::string, std::string> split_assignment(const std::string& text);

}  // namespace figment::io
