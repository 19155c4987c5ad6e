#include <charconv>
#include <fstream>

#include "io/files.h"

namespace figment::io {

namespace {

bool is_space(char c) { return c == ' ' || c == '\r' || c == '"'; }

// The numbers of a line; false if a cell is none.
bool parse_line(const std::string& line, std::vector<float>* numbers) {
  for (size_t start = 0; start <= line.size();) {
    size_t end = line.find_first_of(",;\t", start);
    if (end == std::string::npos) end = line.size();
    size_t first = start;
    size_t last = end;
    while (first < last && is_space(line[first])) ++first;
    while (last > first && is_space(line[last - 1])) --last;
    if (first < last && line[first] == '+') ++first;
    float number = 0;
    const auto [stop, error] = std::from_chars(line.data() + first, line.data() + last, number);
    if (error != std::errc() || stop != line.data() + last) return false;
    numbers->push_back(number);
    start = end + 1;
  }
  return true;
}

}  // namespace

Array read_csv(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw Error("cannot read " + path);
  Array array;
  std::string line;
  size_t columns = 0;
  size_t rows = 0;
  for (size_t number = 1; std::getline(file, line); ++number) {
    if (line.find_first_not_of(" \r") == std::string::npos) continue;
    std::vector<float> values;
    if (!parse_line(line, &values)) {
      if (number == 1) continue;
      throw Error(path + ", line " + std::to_string(number) + ": has a cell that is no number");
    }
    if (columns == 0) columns = values.size();
    if (values.size() != columns) {
      throw Error(path + ", line " + std::to_string(number) + ": has " + std::to_string(values.size()) +
                  " cells, the lines before have " + std::to_string(columns));
    }
    array.values.insert(array.values.end(), values.begin(), values.end());
    ++rows;
  }
  if (file.bad()) throw Error("cannot read " + path);
  array.shape = {rows, columns};
  return array;
}

}  // namespace figment::io
