// What people see: progress while something takes long, and tables that fit a terminal.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace figment::io {

// One line on standard error with a bar and the time left, from two seconds on and only on a terminal.
class ProgressLine {
 public:
  explicit ProgressLine(std::string what);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // `fraction` done, 0 to 1; `text` is shown behind the time left.
  void update(double fraction, const std::string& text = {});
  // A line of its own on standard error, terminal or not, above the progress.
  void print(const std::string& text);

 private:
  std::string what_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point shown_;
  bool terminal_;
  bool visible_ = false;
};

// `text` with its control characters, and bytes that are no UTF-8, as \\xNN: names from files could else steer a
// terminal. Ends of lines stay if `lines`.
std::string printable(const std::string& text, bool lines = false);

// printf to standard output, printable. Throws Error if that fails.
[[gnu::format(printf, 1, 2)]] void print(const char* format, ...);
// The same with a line's end behind, to standard error; whether that fails is not told.
void print_error(const std::string& text);
// What is still to be written to standard output is; throws Error, saying why, if anything printed was lost.
void finish_output();

// Rows of cells, made printable, in aligned columns; the first row is the header. Columns of numbers are aligned to the
// right.
std::string format_table(const std::vector<std::vector<std::string>>& rows);

// "12.3 kB" (powers of 1000).
std::string format_bytes(double bytes);
// "a, b and 3 more": the first names, for a message; "none".
std::string list_of(const std::vector<std::string>& names);
// "1 234 567"
std::string format_count(uint64_t count);
// printf's %.*f
std::string format_number(double value, int decimals);

}  // namespace figment::io
