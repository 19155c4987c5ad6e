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
#include <new>
#include <system_error>

#include "io/files.h"
#include "io/utf8.h"

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
  if (!line_.live()) return;
  try {
    ticker_ = std::jthread([this](const std::stop_token& stop) { tick(stop); });
  } catch (const std::system_error&) {
    // Without room for a thread, the work goes on unseen.
    ticker_ = {};
  }
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
  try {
    while (!stopped_.wait_for(lock, stop, kPause, [] { return false; }) && !stop.stop_requested()) show();
  } catch (const std::bad_alloc&) {
    // It shows the work, and must not end it.
    line_.clear();
  }
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
  for (size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    const size_t length = utf8_length(text, i);
    const bool control = first < 0x20 || first == 0x7F ||
                         (first == 0xC2 && length == 2 && static_cast<unsigned char>(text[i + 1]) < 0xA0);
    if (length > 0 && (!control || (lines && first == '\n'))) {
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

int g_lost_output = 0;  // errno of the first line that could not be printed

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
  if (std::fflush(stdout) != 0 && g_lost_output == 0) g_lost_output = errno;
}

void finish_output() {
  errno = 0;
  std::cout.flush();
  const bool flushed = std::fflush(stdout) == 0;
  if (!flushed || std::ferror(stdout) != 0 || !std::cout)
    output_lost(g_lost_output != 0 ? g_lost_output : errno == 0 ? EIO : errno);
}

namespace {

// The first `width` columns of a text, and the rest.
std::pair<std::string, std::string> split_at(const std::string& text, size_t width) {
  size_t end = 0;
  for (size_t columns = 0; end < text.size() && (columns < width || (text[end] & 0xC0) == 0x80); ++end) {
    if ((text[end] & 0xC0) != 0x80) ++columns;
  }
  return {text.substr(0, end), text.substr(end)};
}

std::string elided(const std::string& text, size_t width) {
  return display_width(text) <= width ? text : split_at(text, width - 1).first + "…";
}

// Lines of at most `width` columns, broken behind words where that can be.
std::vector<std::string> wrapped(std::string text, size_t width) {
  std::vector<std::string> lines;
  while (display_width(text) > width) {
    auto [line, rest] = split_at(text, width);
    const size_t space = rest[0] == ' ' ? line.size() : line.rfind(' ');
    if (space != std::string::npos && space > 0) {
      rest = text.substr(space + 1);
      line.resize(space);
    }
    lines.push_back(std::move(line));
    text = std::move(rest);
  }
  lines.push_back(std::move(text));
  return lines;
}

// Columns of a table, made narrower where they take more than `most` together: first the last one, whose cells can go
// on in further lines, then the widest of words, whose cells lose their ends.
void narrow(std::vector<size_t>* widths, const std::vector<bool>& numbers, size_t most) {
  constexpr size_t kLeastWrapped = 12;
  constexpr size_t kLeastElided = 8;
  size_t total = 2 * (widths->size() - 1);
  for (const size_t width : *widths) total += width;
  if (total > most && !numbers.back() && widths->back() > kLeastWrapped) {
    const size_t less = std::min(total - most, widths->back() - kLeastWrapped);
    widths->back() -= less;
    total -= less;
  }
  while (total > most) {
    size_t widest = widths->size();
    for (size_t i = 0; i + 1 < widths->size(); ++i) {
      if (!numbers[i] && (widest == widths->size() || (*widths)[i] > (*widths)[widest])) widest = i;
    }
    if (widest == widths->size() || (*widths)[widest] <= kLeastElided) return;
    --(*widths)[widest];
    --total;
  }
}

}  // namespace

std::string format_table(const std::vector<std::vector<std::string>>& given, size_t width) {
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
  if (widths.empty()) return {};
  narrow(&widths, right, width);
  std::string out;
  const auto add = [&out](std::string line) {
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  for (const std::vector<std::string>& row : rows) {
    std::string line;
    std::vector<std::string> further;
    for (size_t i = 0; i < row.size(); ++i) {
      std::string cell = row[i];
      if (i + 1 == widths.size() && !right[i]) {
        further = wrapped(cell, widths[i]);
        cell = further[0];
      }
      cell = elided(cell, widths[i]);
      const std::string padding(widths[i] - display_width(cell), ' ');
      const size_t indent = display_width(line) + (i == 0 ? 0 : 2);
      line += (i == 0 ? "" : "  ") + (right[i] ? padding + cell : cell + padding);
      for (size_t j = 1; j < further.size(); ++j) further[j].insert(0, indent, ' ');
    }
    add(std::move(line));
    for (size_t j = 1; j < further.size(); ++j) add(std::move(further[j]));
  }
  return out;
}

void print_table(const std::vector<std::vector<std::string>>& rows) {
  print("%s", format_table(rows, isatty(STDOUT_FILENO) == 1 ? terminal_width(STDOUT_FILENO) : SIZE_MAX).c_str());
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
