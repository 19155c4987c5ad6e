// Tables of measurements: columns with names and units, a time for each row, values that may be missing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/arrays.h"

namespace figment::io {

// A column as a header names it: "temperature (°C)" and "temperature [°C]" are of the unit "°C".
struct ColumnName {
  std::string name;
  std::string unit;  // "": none

  bool operator==(const ColumnName&) const = default;
};

// What a user says of a table, and what a model knows of it.
struct TableOptions {
  std::string columns;      // "temperature,humidity,3-5": by name or by number from 1 on; "": all but the time's
  std::string time_column;  // likewise, one; "": none
  size_t skip_rows = 0;     // lines before the table
  std::vector<ColumnName> expected;  // if the header has these, they are read in this order
  size_t name_bytes = SIZE_MAX;      // what is longer is cut
  size_t unit_bytes = SIZE_MAX;
  std::string fill;  // for missing values: "previous", "linear", "mean" or a number; "": they are an error

  bool any() const { return !columns.empty() || !time_column.empty() || skip_rows > 0 || !fill.empty(); }
};

struct Table {
  std::vector<std::string> names;  // of the columns: of the header without units, or "" where there is no header
  std::vector<std::string> units;  // as in "temperature (°C)" or "[°C]"; "" where there is none
  std::vector<std::string> times;  // by row, as they stand; empty without a time column
  Array values;                    // [rows, columns]
  bool matched = false;            // the columns are those that were expected, by their names
  size_t missing = 0;              // values that were filled
  std::string description;         // for people: rows, columns, separator, what was filled
  std::string warning;             // likewise, of times that go back or leave gaps; "": none
};

// A cell of a .csv file separated by commas, in quotes where it must be.
std::string csv_cell(const std::string& text);

// Cells are separated by semicolons or tabs if the first line has any, else by commas; cells in quotes may hold
// separators, and numbers decimal commas, where commas separate cells in quotes. An empty cell and NA, NaN, null, None
// or - are missing values. Numbers too small for float32 are 0. What is no number, or missing and not filled, is an
// error that names the line and the column. A first line without any number is a header, whose columns without a name,
// as of row numbers, are left out. Text that is no UTF-8 is read as Latin-1.
//
// Where a header has some, but not all of the columns that are expected, that is an error, unless `columns` says what
// to read; one in another unit is an error always. Case does not matter.
Table read_table(const std::string& path, const TableOptions& options);
Table parse_table(const std::string& text, const std::string& origin, const TableOptions& options);

}  // namespace figment::io
