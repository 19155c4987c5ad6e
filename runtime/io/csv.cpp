#include <fmt/format.h>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string_view>

#include "io/arrays.h"

namespace figment::io {

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \r\t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \r\t") - first + 1);
}

// ';' or tab if one stands outside quotes, else ','.
char separator_of(std::string_view line) {
  char found = ',';
  bool quoted = false;
  for (const char c : line) {
    quoted = quoted != (c == '"');
    if (!quoted && c == ';') return c;
    if (!quoted && c == '\t') found = c;
  }
  return found;
}

// The cells of a line. What is in quotes may hold separators; the quotes are taken off.
std::vector<std::string> split(std::string_view line, char separator) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == separator && !quoted) {
      cells.emplace_back();
    } else {
      cells.back() += c;
    }
  }
  for (std::string& cell : cells) cell = trimmed(cell);
  return cells;
}

enum class Cell { kNumber, kText, kTooLarge };

// The number that a cell holds; `comma`: it may have a decimal comma.
Cell parse(std::string cell, bool comma, float* number) {
  if (comma) {
    const size_t place = cell.find(',');
    if (place != std::string::npos && cell.find_first_of(",.", place + 1) == std::string::npos) cell[place] = '.';
  }
  const char* first = cell.data() + (cell.starts_with('+') && !cell.starts_with("+-") ? 1 : 0);
  const char* last = cell.data() + cell.size();
  double value = 0;
  const auto [stop, error] = std::from_chars(first, last, value);
  if (first == last || stop != last || error == std::errc::invalid_argument) return Cell::kText;
  if (error == std::errc::result_out_of_range) {
    // Too small for a double, or too large: whichever strtod says.
    value = std::strtod(cell.c_str(), nullptr);
    if (std::fabs(value) > 1) return Cell::kTooLarge;
  }
  *number = static_cast<float>(value);
  return std::isfinite(*number) || !std::isfinite(value) ? Cell::kNumber : Cell::kTooLarge;
}

}  // namespace

Array parse_csv(const std::string& text, const std::string& origin) {
  std::string_view rest = text;
  if (rest.starts_with(kByteOrderMark)) rest.remove_prefix(kByteOrderMark.size());
  Array array;
  size_t columns = 0;
  size_t rows = 0;
  char separator = 0;
  bool first = true;
  for (size_t number = 1; !rest.empty(); ++number) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    // A tab may be space around a cell, or stand between cells.
    if (trimmed(line).empty() && (separator != '\t' || line.find('\t') == std::string_view::npos)) continue;
    if (separator == 0) separator = separator_of(line);
    const std::string place = fmt::format("{}, line {}: ", origin, number);
    const std::vector<std::string> cells = split(line, separator);
    std::vector<float> values(cells.size());
    size_t texts = 0;
    std::string mistake;
    for (size_t i = 0; i < cells.size(); ++i) {
      const Cell cell = parse(cells[i], separator != ',', &values[i]);
      texts += cell == Cell::kText ? 1 : 0;
      if (cell == Cell::kNumber || !mistake.empty()) continue;
      const std::string what = cell == Cell::kTooLarge ? ", " + cells[i] + ", is too large for float32"
                               : cells[i].empty()      ? " is empty"
                                                       : ", \"" + cells[i].substr(0, 40) + "\", is no number";
      mistake = fmt::format("cell {}{}", i + 1, what);
    }
    const bool header = first && texts == cells.size();
    first = false;
    if (header) continue;
    if (!mistake.empty()) throw Error(place + mistake);
    if (columns == 0) columns = values.size();
    if (values.size() != columns) {
      throw Error(fmt::format("{}has {} cells, the lines before have {}", place, values.size(), columns));
    }
    array.values.insert(array.values.end(), values.begin(), values.end());
    ++rows;
  }
  array.shape = {rows, columns};
  return array;
}

Array read_csv(const std::string& path) { return parse_csv(read_text(path), path); }

}  // namespace figment::io
