// Arrays and tables in files.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "io/files.h"

namespace figment::io {

// Numbers as float32, row-major.
struct Array {
  std::vector<size_t> shape;
  std::vector<float> values;
  bool bytes = false;  // read from unsigned 8-bit integers, as pictures are stored
};

// "[2, 3]"
std::string to_string(const std::vector<size_t>& shape);

// By the name's ending: .npz or .npz:NAME, .csv, and else .npy.
Array read_array(const std::string& path);

// NumPy's format, version 1 to 3: floats of 16, 32 and 64 bits, integers and bools, of either byte order, in C or
// Fortran order.
Array read_npy(const std::string& path);
Array parse_npy(std::span<const uint8_t> bytes, const std::string& origin);
// The same of bytes that were unpacked from a file, whose budget they and the array must fit in.
Array parse_npy(std::span<const uint8_t> bytes, const std::string& origin, const Budget& budget);
std::vector<uint8_t> format_npy(const Array& array);

// One array of NumPy's archive of several: PATH.npz:NAME, or PATH.npz where there is one alone.
Array read_npz(const std::string& path);

// All its arrays, by name.
std::map<std::string, Array> read_archive(const std::string& path);

// A file in a zip archive, stored or deflated.
struct ZipEntry {
  std::string name;
  std::span<const uint8_t> packed;  // in the archive's bytes
  uint64_t size;                    // unpacked
  uint32_t crc;
  uint16_t method;
};
// What is in an archive of these bytes, without unpacking it.
std::vector<ZipEntry> parse_zip(std::span<const uint8_t> bytes, const std::string& origin);
// An entry's bytes, which the archive has room for by `budget`.
std::vector<uint8_t> unpack(const ZipEntry& entry, const std::string& origin, const Budget& budget);

// Bytes in the IDX format (LeCun's; magic 0x08), plain or gzipped.
struct ByteArray {
  std::vector<size_t> shape;
  std::vector<uint8_t> values;
};
ByteArray read_idx(const std::string& path);
ByteArray parse_idx(std::span<const uint8_t> bytes, const std::string& origin);

// A table of numbers [rows, columns], without missing values; see table.h.
Array read_csv(const std::string& path);
Array parse_csv(const std::string& text, const std::string& origin);

}  // namespace figment::io
