#include "io/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "io/files.h"

namespace figment::io {

namespace {

// Columns that a UTF-8 text takes.
size_t display_width(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

bool is_number(const std::string& text) {
  return !text.empty() && (std::isdigit(static_cast<unsigned char>(text[0])) != 0 || text[0] == '-');
}

}  // namespace

size_t terminal_width(int file) {
  constexpr size_t kUsual = 80;
  winsize size{};
  return ioctl(file, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsual;
}

StatusLine::StatusLine() : live_(isatty(STDERR_FILENO) == 1) {}

void StatusLine::show(const std::string& text) {
  if (!live_) return;
  std::string line = printable(text);
  const size_t most = terminal_width(STDERR_FILENO) - 1;
  while (display_width(line) > most) {
    // The last character, with the bytes that continue it.
    while ((line.back() & 0xC0) == 0x80) line.pop_back();
    line.pop_back();
  }
  if (line == shown_) return;
  std::fprintf(stderr, "\r%s\033[K", line.c_str());
  shown_ = std::move(line);
}

void StatusLine::print(const std::string& text) {
  clear();
  print_error(text);
}

void StatusLine::clear() {
  if (!shown_.empty()) std::fprintf(stderr, "\r\033[K");
  shown_.clear();
}

ProgressLine::ProgressLine(std::string what) : what_(std::move(what)) {
  if (line_.live()) ticker_ = std::jthread([this](const std::stop_token& stop) { tick(stop); });
}

ProgressLine::~ProgressLine() {
  ticker_.request_stop();
  if (ticker_.joinable()) ticker_.join();
}

void ProgressLine::update(double fraction, const std::string& phase) {
  const std::lock_guard lock(mutex_);
  fraction_ = std::clamp(fraction, 0.0, 1.0);
  phase_ = phase;
}

void ProgressLine::tick(const std::stop_token& stop) {
  constexpr std::chrono::milliseconds kPause{100};
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, stop, kPause, [] { return false; }) && !stop.stop_requested()) show();
}

void ProgressLine::show() {
  constexpr double kQuiet = 2;  // seconds
  constexpr int kWidth = 20;
  const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
  if (elapsed < kQuiet) return;
  const int filled = static_cast<int>(fraction_ * kWidth);
  const std::string time = fraction_ > 0.01 ? format_duration(elapsed / fraction_ - elapsed) + " left"
                                            : format_duration(elapsed) + " so far";
  line_.show(what_ + " [" + std::string(static_cast<size_t>(filled), '#') +
             std::string(static_cast<size_t>(kWidth - filled), ' ') + "] " + format_number(fraction_ * 100, 0) +
             " %  " + time + (phase_.empty() ? "" : "  " + phase_));
}

std::string printable(const std::string& text, bool lines) {
  std::string result;
  const auto byte = [&text](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  for (size_t i = 0; i < text.size();) {
    const unsigned first = byte(i);
    // The length of a UTF-8 sequence, and whether it is one.
    const size_t length = first < 0x80                    ? 1
                          : first >= 0xC2 && first < 0xE0 ? 2
                          : first >= 0xE0 && first < 0xF0 ? 3
                          : first >= 0xF0 && first < 0xF5 ? 4
                                                          : 0;
    bool good = length > 0;
    for (size_t j = 1; j < length; ++j) good = good && (byte(i + j) & 0xC0) == 0x80;
    const bool control = first < 0x20 || first == 0x7F || (first == 0xC2 && byte(i + 1) < 0xA0);
    if (good && (!control || (lines && first == '\n'))) {
      result.append(text, i, length);
      i += length;
      continue;
    }
    char escaped[8];
    std::snprintf(escaped, sizeof escaped, "\\x%02X", first);
    result += escaped;
    ++i;
  }
  return result;
}

namespace {

[[noreturn]] void output_lost(int error) {
  throw Error(std::string("cannot write to standard output: ") + std::strerror(error));
}

}  // namespace

void print(const char* format, ...) {
  va_list arguments;
  va_list again;
  va_start(arguments, format);
  va_copy(again, arguments);
  std::string text(static_cast<size_t>(std::max(std::vsnprintf(nullptr, 0, format, arguments), 0)), ' ');
  std::vsnprintf(text.data(), text.size() + 1, format, again);
  va_end(again);
  va_end(arguments);
  const std::string safe = printable(text, true);
  if (std::fwrite(safe.data(), 1, safe.size(), stdout) != safe.size()) output_lost(errno);
}

void print_error(const std::string& text) { std::fprintf(stderr, "%s\n", printable(text, true).c_str()); }

void print_line(const std::string& text) {
  const std::string safe = printable(text) + "\n";
  std::fwrite(safe.data(), 1, safe.size(), stdout);
  std::fflush(stdout);
}

void finish_output() {
  errno = 0;
  std::cout.flush();
  const bool flushed = std::fflush(stdout) == 0;
  if (!flushed || std::ferror(stdout) != 0 || !std::cout) output_lost(errno == 0 ? EIO : errno);
}

std::string format_table(const std::vector<std::vector<std::string>>& given) {
  std::vector<std::vector<std::string>> rows = given;
  for (std::vector<std::string>& row : rows) {
    for (std::string& cell : row) cell = printable(cell);
  }
  std::vector<size_t> widths;
  std::vector<bool> right;
  for (const std::vector<std::string>& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    right.resize(widths.size(), true);
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], display_width(row[i]));
      if (&row != &rows[0] && !row[i].empty() && !is_number(row[i])) right[i] = false;
    }
  }
  std::string out;
  for (const std::vector<std::string>& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - display_width(row[i]), ' ');
      line += (i == 0 ? "" : "  ") + (right[i] ? padding + row[i] : row[i] + padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string format_number(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

std::string format_bytes(double bytes) {
  const char* units[] = {"B", "kB", "MB", "GB"};
  size_t unit = 0;
  while (bytes >= 1000 && unit < 3) {
    bytes /= 1000;
    ++unit;
  }
  return format_number(bytes, unit == 0 || bytes >= 100 ? 0 : bytes >= 10 ? 1 : 2) + " " + units[unit];
}

std::string list_of(const std::vector<std::string>& names) {
  constexpr size_t kMost = 6;
  if (names.empty()) return "none";
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kMost); ++i) text += (i > 0 ? ", " : "") + names[i];
  return text + (names.size() > kMost ? " and " + std::to_string(names.size() - kMost) + " more" : "");
}

std::string format_duration(double seconds) {
  constexpr double kMost = 359999;  // 99:59:59
  const auto whole = static_cast<int>(std::clamp(std::round(seconds), 0.0, kMost));
  char text[32];
  if (whole >= 3600)
    std::snprintf(text, sizeof text, "%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60);
  else
    std::snprintf(text, sizeof text, "%02d:%02d", whole / 60, whole % 60);
  return text;
}

std::string format_short(double value) {
  char text[32];
  const double size = std::fabs(value);
  if (!std::isfinite(value) || size == 0 || (size >= 0.01 && size < 1e5)) {
    std::snprintf(text, sizeof text, size >= 100 ? "%.0f" : "%.3g", value);
    return text;
  }
  std::snprintf(text, sizeof text, "%.2e", value);
  // "2.00e-04" as "2e-4".
  std::string mantissa(text, std::strchr(text, 'e'));
  mantissa.erase(mantissa.find_last_not_of('0') + 1);
  if (mantissa.back() == '.') mantissa.pop_back();
  return mantissa + "e" + std::to_string(std::atoi(std::strchr(text, 'e') + 1));
}

std::string format_count(uint64_t count) {
  std::string digits = std::to_string(count);
  for (size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, " ");
  return digits;
}

}  // namespace figment::io
