// What people see: progress while something takes long, and tables that fit a terminal.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace figment::io {

// A line on standard error that is written over itself, cut to the terminal's width. Where standard error is no
// terminal, nothing is shown.
class StatusLine {
 public:
  StatusLine();
  ~StatusLine() { clear(); }
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  bool live() const { return live_; }
  void show(const std::string& text);
  // A line of its own on standard error, terminal or not, above this one.
  void print(const std::string& text);
  void clear();

 private:
  bool live_;
  std::string shown_;
};

// The columns of the terminal that a file descriptor is, or 80.
size_t terminal_width(int file);

// A status line with a bar and the time left, from two seconds on. It moves by itself, so that what takes long between
// two updates is not taken for a program that hangs.
class ProgressLine {
 public:
  explicit ProgressLine(std::string what);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // `fraction` done, 0 to 1; `phase` says what is being done.
  void update(double fraction, const std::string& phase = {});

 private:
  using Clock = std::chrono::steady_clock;

  void tick(const std::stop_token& stop);
  void show();

  std::string what_;
  Clock::time_point start_ = Clock::now();
  StatusLine line_;
  std::mutex mutex_;  // of what follows
  std::condition_variable_any stopped_;
  double fraction_ = 0;
  std::string phase_;
  std::jthread ticker_;
};

// `text` with its control characters, and bytes that are no UTF-8, as \\xNN: names from files could else steer a
// terminal. Ends of lines stay if `lines`.
std::string printable(const std::string& text, bool lines = false);

// printf to standard output, printable. Throws Error if that fails.
[[gnu::format(printf, 1, 2)]] void print(const char* format, ...);
// The same with a line's end behind, to standard error; whether that fails is not told.
void print_error(const std::string& text);
// A line on standard output that a reader sees at once. If that fails, finish_output says so.
void print_line(const std::string& text);
// What is still to be written to standard output is; throws Error, saying why, if anything printed was lost.
void finish_output();

// Rows of cells, made printable, in aligned columns; the first row is the header. Columns of numbers are aligned to the
// right. Beyond `width` columns the last one goes on in further lines, and words in others lose their ends to a "…";
// numbers stay whole, whatever that takes.
std::string format_table(const std::vector<std::vector<std::string>>& rows, size_t width = SIZE_MAX);
// To standard output, and in a terminal as wide as that is.
void print_table(const std::vector<std::vector<std::string>>& rows);

// "12.3 kB" (powers of 1000).
std::string format_bytes(double bytes);
// "a, b and 3 more": the first names, for a message; "none".
std::string list_of(const std::vector<std::string>& names);
// "00:55", "2:03:00"
std::string format_duration(double seconds);
// Three significant digits, and an exponent where those are far from 1: "0.612", "231", "2e-4".
std::string format_short(double value);
// "1 234 567"
std::string format_count(uint64_t count);
// printf's %.*f
std::string format_number(double value, int decimals);

}  // namespace figment::io
