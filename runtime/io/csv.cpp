#include <fmt/format.h>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <string_view>

#include "io/table.h"
#include "io/terminal.h"
#include "io/utf8.h"

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

enum class Cell { kNumber, kMissing, kText, kTooLarge };

bool is_missing(const std::string& cell) {
  for (const char* name : {"", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "null", "NULL", "None", "-"}) {
    if (cell == name) return true;
  }
  return false;
}

// The number that a cell holds; one comma in it is a decimal comma.
Cell parse(std::string cell, float* number) {
  *number = std::numeric_limits<float>::quiet_NaN();
  if (is_missing(cell)) return Cell::kMissing;
  const size_t place = cell.find(',');
  if (place != std::string::npos && cell.find_first_of(",.", place + 1) == std::string::npos) cell[place] = '.';
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

ColumnName name_of_header(const std::string& header) {
  for (const char* brackets : {"()", "[]"}) {
    const size_t open = header.rfind(brackets[0]);
    if (open == std::string::npos || open == 0 || header.back() != brackets[1]) continue;
    return {std::string(trimmed(std::string_view(header).substr(0, open))),
            header.substr(open + 1, header.size() - open - 2)};
  }
  return {header, ""};
}

// A number, or a time as in 2025-03-01T12:30:00 or 2025-03-01 12:30, in seconds; NaN if it is none of these.
double seconds_of(const std::string& text) {
  float number = 0;
  if (parse(text, &number) == Cell::kNumber) {
    // In double: a float has no room for the seconds of an epoch.
    std::string decimal = text;
    std::ranges::replace(decimal, ',', '.');
    return std::strtod(decimal.c_str(), nullptr);
  }
  int year = 0;
  int month = 0;
  int day = 0;
  int hour = 0;
  int minute = 0;
  double second = 0;
  const int found = std::sscanf(text.c_str(), "%d-%d-%d%*[T ]%d:%d:%lf", &year, &month, &day, &hour, &minute, &second);
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (found < 3 || !date.ok()) return std::numeric_limits<double>::quiet_NaN();
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  return static_cast<double>(days) * 86400 + hour * 3600.0 + minute * 60.0 + second;
}

// The lines of a table, as cells.
class Reader {
 public:
  Reader(const std::string& text, std::string origin, const TableOptions& options)
      : origin_(std::move(origin)), options_(options) {
    if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
      throw Error(origin_ + ": is text in UTF-16: save it as UTF-8");
    latin1_ = !is_utf8(text);
    if (latin1_) text_ = utf8_of_latin1(text);
    rest_ = latin1_ ? text_ : text;
    if (rest_.starts_with(kByteOrderMark)) rest_.remove_prefix(kByteOrderMark.size());
  }

  Table read() {
    for (std::vector<std::string> cells; next(&cells);) {
      if (count_ == 0) begin(cells);
      if (cells.size() != count_) {
        throw Error(
            fmt::format("{}, line {}: has {} cells, the lines before have {}", origin_, number_, cells.size(), count_));
      }
      if (header_ && number_ == header_line_) continue;
      add(cells);
    }
    const size_t columns = chosen_.size();
    table_.values.shape = {columns == 0 ? 0 : table_.values.values.size() / columns, columns};
    fill();
    check_times();
    describe();
    return std::move(table_);
  }

 private:
  // The next line that is not empty. Without columns yet, the separator is found in it.
  bool next(std::vector<std::string>* cells) {
    while (!rest_.empty()) {
      ++number_;
      const size_t end = std::min(rest_.find('\n'), rest_.size());
      const std::string_view line = rest_.substr(0, end);
      rest_.remove_prefix(std::min(end + 1, rest_.size()));
      if (number_ <= options_.skip_rows) continue;
      // A tab may be space around a cell, or stand between cells.
      if (trimmed(line).empty() && (separator_ != '\t' || line.find('\t') == std::string_view::npos)) continue;
      if (separator_ == 0) separator_ = separator_of(line);
      *cells = split(line, separator_);
      return true;
    }
    return false;
  }

  // The columns, by the first line.
  void begin(const std::vector<std::string>& cells) {
    count_ = cells.size();
    float number = 0;
    const auto is_text = [&](const std::string& cell) { return parse(cell, &number) == Cell::kText; };
    header_ = std::ranges::any_of(cells, is_text) &&
              std::ranges::all_of(cells, [&](const std::string& cell) { return cell.empty() || is_text(cell); });
    header_line_ = number_;
    if (header_) headers_ = cells;
    if (!options_.time_column.empty()) time_ = one_column(options_.time_column, "--time-column");
    if (!options_.columns.empty()) {
      choose(options_.columns);
    } else {
      for (size_t i = 0; i < count_; ++i) {
        const bool nameless = header_ && headers_[i].empty();
        nameless_ += nameless ? 1 : 0;
        if (i != time_ && !nameless) chosen_.push_back(i);
      }
    }
    if (header_) arrange();
    for (const size_t i : chosen_) {
      const ColumnName name = cut_name(i);
      for (size_t j = 0; j < table_.names.size(); ++j) {
        if (!header_ || name != ColumnName{table_.names[j], table_.units[j]} || headers_[i] == headers_[chosen_[j]])
          continue;
        throw Error(
            fmt::format("{}: the columns {} and {} are alike in the first {} bytes of their names, which is what a "
                        "model keeps: rename one",
                        origin_, headers_[chosen_[j]], headers_[i], options_.name_bytes));
      }
      table_.names.push_back(name.name);
      table_.units.push_back(name.unit);
    }
  }

  ColumnName cut_name(size_t column) const {
    if (!header_) return {};
    const ColumnName name = name_of_header(headers_[column]);
    return {cut_utf8(name.name, options_.name_bytes), cut_utf8(name.unit, options_.unit_bytes)};
  }

  static std::string lower(std::string text) {
    for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return text;
  }

  // Puts the columns that are to be read into the order of the expected ones.
  void arrange() {
    const std::vector<ColumnName>& expected = options_.expected;
    for (size_t i = 0; i < expected.size(); ++i) {
      if (std::find(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(i), expected[i]) !=
          expected.begin() + static_cast<std::ptrdiff_t>(i))
        return;  // two of one name: their places tell them apart
    }
    std::vector<size_t> found;
    const ColumnName* absent = nullptr;
    for (const ColumnName& wanted : expected) {
      const size_t place = place_of(wanted);
      if (place < count_)
        found.push_back(place);
      else
        absent = &wanted;
    }
    if (absent == nullptr && !expected.empty()) {
      chosen_ = std::move(found);
      table_.matched = true;
    } else if (!found.empty() && options_.columns.empty()) {
      throw Error(
          fmt::format("{}: has no column {}, which the model knows; it has {}: --columns says what stands for it",
                      origin_, absent->name, list_of(headers_)));
    }
  }

  // Of the columns to be read, the one that is the expected one: best with its unit, else where one of the two has
  // none, else in other case. count_ if there is none.
  size_t place_of(const ColumnName& wanted) const {
    size_t best = count_;
    int rank = 0;
    bool unique = true;
    size_t other_unit = count_;
    for (const size_t i : chosen_) {
      const ColumnName name = cut_name(i);
      if (lower(name.name) != lower(wanted.name)) continue;
      const bool compatible = name.unit == wanted.unit || name.unit.empty() || wanted.unit.empty();
      if (!compatible) other_unit = i;
      const int here = !compatible ? 0 : (name.unit == wanted.unit ? 1 : 0) + (name.name == wanted.name ? 2 : 0) + 1;
      if (here == 0 || here < rank) continue;
      unique = here > rank;
      rank = here;
      best = i;
    }
    if (rank == 0 && other_unit < count_) {
      throw Error(
          fmt::format("{}: the column {} is in other units than the model's, {} ({}): convert its values, or "
                      "correct the header",
                      origin_, headers_[other_unit], wanted.name, wanted.unit));
    }
    return unique ? best : count_;
  }

  // The column of that name, with or without its unit, or number; count_ if there is none.
  size_t find(std::string_view text) const {
    for (const bool whole : {true, false}) {
      size_t found = count_;
      for (size_t i = 0; i < headers_.size(); ++i) {
        if (text.empty() || text != (whole ? headers_[i] : name_of_header(headers_[i]).name)) continue;
        if (found < count_) {
          throw Error(fmt::format("{}: the columns {} and {} are both called {}: give their numbers", origin_,
                                  found + 1, i + 1, text));
        }
        found = i;
      }
      if (found < count_) return found;
    }
    size_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool whole = error == std::errc() && end == text.data() + text.size();
    return whole && number >= 1 && number <= count_ ? number - 1 : count_;
  }

  size_t one_column(std::string_view text, const char* option) const {
    const size_t found = find(text);
    if (found < count_) return found;
    throw Error(fmt::format("{} {}: {} has no such column; it has {}{}", option, text, origin_,
                            header_ ? list_of(headers_) : fmt::format("the columns 1 to {}", count_),
                            options_.skip_rows == 0 ? "; if lines stand before the table, give --skip-rows N" : ""));
  }

  void choose(const std::string& list) {
    for (size_t start = 0; start <= list.size();) {
      const size_t comma = std::min(list.find(',', start), list.size());
      const std::string_view item = trimmed(std::string_view(list).substr(start, comma - start));
      start = comma + 1;
      const size_t dash = item.find('-');
      if (find(item) == count_ && dash != std::string_view::npos && dash > 0) {
        const size_t first = one_column(item.substr(0, dash), "--columns");
        const size_t last = one_column(item.substr(dash + 1), "--columns");
        if (last < first) throw Error(fmt::format("--columns {}: the last column stands before the first", item));
        for (size_t i = first; i <= last; ++i) chosen_.push_back(i);
      } else {
        chosen_.push_back(one_column(item, "--columns"));
      }
    }
  }

  std::string name_of(size_t column) const {
    return header_ && !headers_[column].empty() ? headers_[column] : fmt::format("cell {}", column + 1);
  }

  void add(const std::vector<std::string>& cells) {
    for (const size_t i : chosen_) {
      float value = 0;
      const Cell cell = parse(cells[i], &value);
      const auto fail = [&](const std::string& what) {
        throw Error(fmt::format("{}, line {}: {}{}", origin_, number_, name_of(i), what));
      };
      if (cell == Cell::kTooLarge) fail(", " + cells[i] + ", is too large for float32");
      if (cell == Cell::kNumber && !std::isfinite(value)) fail(", " + cells[i] + ", is not finite");
      if (cell == Cell::kText) {
        const bool first = table_.values.values.empty() && header_;
        fail(", \"" + cells[i].substr(0, 40) + "\", is no number" +
             (options_.time_column.empty() && cells[i].find(':') != std::string::npos
                  ? fmt::format("; if it is a time, give --time-column {}", i + 1)
              : first && options_.skip_rows == 0 ? "; if lines stand before the table, give --skip-rows N"
                                                 : ""));
      }
      if (cell == Cell::kMissing && options_.fill.empty()) {
        fail(std::string(cells[i].empty() ? " is empty" : " is missing") +
             "; --fill previous, linear, mean or a number fills missing values");
      }
      if (cell == Cell::kNumber) {
        decimal_comma_ = decimal_comma_ || cells[i].find(',') != std::string::npos;
        decimal_point_ = decimal_point_ || cells[i].find('.') != std::string::npos;
        if (decimal_comma_ && decimal_point_)
          fail(", " + cells[i] +
               ": the table has numbers with commas and with points; write all decimals with one of them");
      }
      table_.values.values.push_back(value);
    }
    if (time_ < count_) add_time(cells[time_]);
  }

  void add_time(const std::string& text) {
    const double time = seconds_of(text);
    if (!table_.times.empty() && time < times_.back() && back_line_ == 0) back_line_ = number_;
    times_.push_back(time);
    table_.times.push_back(text);
  }

  // Of times that can be read: whether they go back, and where they leave gaps, more than one and a half of what
  // usually lies between two.
  void check_times() {
    if (back_line_ != 0) {
      table_.warning =
          fmt::format("{}, line {}: the time goes back: windows of rows in another order say little; sort them",
                      origin_, back_line_);
      return;
    }
    std::vector<double> steps;
    for (size_t i = 1; i < times_.size(); ++i) {
      if (std::isnan(times_[i]) || std::isnan(times_[i - 1])) return;
      steps.push_back(times_[i] - times_[i - 1]);
    }
    if (steps.empty()) return;
    std::vector<double> sorted = steps;
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    const auto wide = [usual = *middle](double step) { return usual > 0 && step > 1.5 * usual; };
    const auto gaps = std::ranges::count_if(steps, wide);
    if (gaps == 0) return;
    const auto first = std::ranges::find_if(steps, wide) - steps.begin();
    table_.warning =
        fmt::format("{}: {} gap{} between the times, the first behind {}: windows span {}", origin_, gaps,
                    gaps == 1 ? "" : "s", table_.times[static_cast<size_t>(first)], gaps == 1 ? "it" : "them");
  }

  void fill() {
    std::vector<float>& values = table_.values.values;
    const size_t columns = chosen_.size();
    for (size_t c = 0; c < columns && !options_.fill.empty(); ++c) {
      std::vector<size_t> known;
      for (size_t i = c; i < values.size(); i += columns) {
        if (!std::isnan(values[i])) known.push_back(i);
      }
      table_.missing += table_.values.shape[0] - known.size();
      if (known.empty()) throw Error(origin_ + ": " + name_of(chosen_[c]) + " has no values at all");
      fill_column(c, columns, known);
    }
  }

  void fill_column(size_t column, size_t columns, const std::vector<size_t>& known) {
    std::vector<float>& values = table_.values.values;
    float number = 0;
    double sum = 0;
    for (const size_t i : known) sum += static_cast<double>(values[i]);
    const bool is_number = parse(options_.fill, &number) == Cell::kNumber;
    if (options_.fill == "mean") number = static_cast<float>(sum / static_cast<double>(known.size()));
    size_t after = 0;  // of the known ones, the first behind the place
    for (size_t i = column; i < values.size(); i += columns) {
      while (after < known.size() && known[after] < i) ++after;
      if (!std::isnan(values[i])) continue;
      // Before the first known value, and behind the last, it is that.
      const size_t next = known[std::min(after, known.size() - 1)];
      const size_t previous = after == 0 ? next : known[after - 1];
      if (is_number || options_.fill == "mean") {
        values[i] = number;
      } else if (options_.fill == "previous" || previous >= next) {
        values[i] = values[previous];
      } else {
        const auto part = static_cast<float>(i - previous) / static_cast<float>(next - previous);
        values[i] = values[previous] + part * (values[next] - values[previous]);
      }
    }
  }

  void describe() {
    std::vector<std::string> columns;
    for (const size_t i : chosen_) columns.push_back(header_ ? headers_[i] : std::to_string(i + 1));
    std::string& text = table_.description;
    text = fmt::format("{}: {} rows of {} column{}", origin_, table_.values.shape[0], columns.size(),
                       columns.size() == 1 ? "" : "s");
    if (header_ || !options_.columns.empty()) text += " (" + list_of(columns) + ")";
    if (separator_ != ',') text += separator_ == '\t' ? ", separated by tabs" : ", separated by ';'";
    if (decimal_comma_) text += ", with decimal commas";
    if (latin1_) text += ", read as Latin-1";
    if (nameless_ > 0) text += fmt::format(", without {} that ha{} no name", nameless_, nameless_ == 1 ? "s" : "ve");
    if (!table_.times.empty()) text += fmt::format(", from {} to {}", table_.times.front(), table_.times.back());
    if (table_.missing > 0) text += fmt::format(", {} missing values filled ({})", table_.missing, options_.fill);
  }

  std::string text_;  // if it has to be made
  std::string_view rest_;
  bool latin1_ = false;
  std::string origin_;
  const TableOptions& options_;
  size_t number_ = 0;  // of the line
  char separator_ = 0;
  size_t count_ = 0;  // cells a line
  bool header_ = false;
  size_t header_line_ = 0;
  std::vector<std::string> headers_;
  size_t time_ = SIZE_MAX;      // the column
  std::vector<size_t> chosen_;  // columns
  bool decimal_comma_ = false;
  bool decimal_point_ = false;
  size_t nameless_ = 0;        // columns that are left out
  std::vector<double> times_;  // seconds by row; NaN: unknown
  size_t back_line_ = 0;       // at which the time goes back
  Table table_;
};

}  // namespace

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string cell = "\"";
  for (const char c : text) cell += c == '"' ? "\"\"" : std::string(1, c);
  return cell + "\"";
}

Table parse_table(const std::string& text, const std::string& origin, const TableOptions& options) {
  float number = 0;
  const std::string& fill = options.fill;
  if (!fill.empty() && fill != "previous" && fill != "linear" && fill != "mean" &&
      parse(fill, &number) != Cell::kNumber)
    throw Error("--fill " + fill + ": give previous, linear, mean or a number");
  return Reader(text, origin, options).read();
}

Table read_table(const std::string& path, const TableOptions& options) {
  return parse_table(read_text(path), path, options);
}

Array parse_csv(const std::string& text, const std::string& origin) {
  return std::move(parse_table(text, origin, {}).values);
}

Array read_csv(const std::string& path) { return parse_csv(read_text(path), path); }

}  // namespace figment::io
