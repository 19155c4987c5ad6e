#include "io/terminal.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>

namespace figment::io {

ProgressLine::ProgressLine(std::string what)
    : what_(std::move(what)),
      start_(std::chrono::steady_clock::now()),
      shown_(start_),
      terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() {
  if (visible_) std::fprintf(stderr, "\r\033[K");
}

void ProgressLine::update(double fraction, const std::string& text) {
  if (!terminal_) return;
  using Seconds = std::chrono::duration<double>;
  const auto now = std::chrono::steady_clock::now();
  const double elapsed = Seconds(now - start_).count();
  if (elapsed < 2 || Seconds(now - shown_).count() < 0.1) return;
  shown_ = now;
  visible_ = true;
  constexpr int kWidth = 30;
  fraction = std::clamp(fraction, 0.0, 1.0);
  const int filled = static_cast<int>(fraction * kWidth);
  const double left = fraction > 0.01 ? elapsed / fraction - elapsed : 0;
  std::fprintf(stderr, "\r\033[K%s [%.*s%*s] %3.0f %%, %.0f s left%s%s", what_.c_str(), filled,
               "##############################", kWidth - filled, "", fraction * 100, left, text.empty() ? "" : "; ",
               text.c_str());
}

void ProgressLine::print(const std::string& text) {
  std::fprintf(stderr, "%s%s\n", visible_ ? "\r\033[K" : "", text.c_str());
  visible_ = false;
}

namespace {

// Columns that a UTF-8 text takes.
size_t display_width(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

bool is_number(const std::string& text) {
  return !text.empty() && (std::isdigit(static_cast<unsigned char>(text[0])) != 0 || text[0] == '-');
}

}  // namespace

std::string format_table(const std::vector<std::vector<std::string>>& rows) {
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

std::string format_count(uint64_t count) {
  std::string digits = std::to_string(count);
  for (size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, " ");
  return digits;
}

}  // namespace figment::io
