// NumPy's .npy format, version 1.0 to 3.0 (numpy.lib.format): a magic string, a version, the length of a header, the
// header (a Python dictionary of three known keys), the values.
#include <bit>
#include <cctype>
#include <cstring>

#include "io/files.h"

namespace figment::io {

static_assert(std::endian::native == std::endian::little, "values are stored little-endian");

namespace {

constexpr char kMagic[] = "\x93NUMPY";
constexpr size_t kMagicBytes = 6;
constexpr size_t kLargestHeader = 65536;

// The text behind 'key': in the header, up to the end.
std::string value_of(const std::string& header, const std::string& key, const std::string& origin) {
  const size_t at = header.find("'" + key + "'");
  const size_t colon = at == std::string::npos ? at : header.find(':', at);
  if (colon == std::string::npos) throw Error(origin + ": the .npy header has no '" + key + "'");
  const size_t start = header.find_first_not_of(' ', colon + 1);
  if (start == std::string::npos) throw Error(origin + ": the .npy header is cut off");
  return header.substr(start);
}

std::vector<size_t> parse_shape(const std::string& text, const std::string& origin) {
  const size_t end = text.find(')');
  if (text[0] != '(' || end == std::string::npos) throw Error(origin + ": the .npy header has a broken shape");
  std::vector<size_t> shape;
  for (size_t i = 1; i < end;) {
    if (text[i] == ' ' || text[i] == ',') {
      ++i;
      continue;
    }
    if (std::isdigit(static_cast<unsigned char>(text[i])) == 0)
      throw Error(origin + ": the .npy header has a broken shape");
    size_t extent = 0;
    for (; i < end && std::isdigit(static_cast<unsigned char>(text[i])) != 0; ++i) {
      if (__builtin_mul_overflow(extent, size_t{10}, &extent) ||
          __builtin_add_overflow(extent, static_cast<size_t>(text[i] - '0'), &extent)) {
        throw Error(origin + ": a dimension is too large");
      }
    }
    shape.push_back(extent);
  }
  return shape;
}

}  // namespace

Array parse_npy(std::span<const uint8_t> bytes, const std::string& origin) {
  if (bytes.size() < 12 || std::memcmp(bytes.data(), kMagic, kMagicBytes) != 0)
    throw Error(origin + ": not a .npy file");
  const uint8_t version = bytes[6];
  if (version < 1 || version > 3) throw Error(origin + ": .npy version " + std::to_string(version) + " is unknown");
  const size_t prefix = version == 1 ? 10 : 12;
  size_t length = bytes[8] | size_t{bytes[9]} << 8;
  if (version > 1) length |= size_t{bytes[10]} << 16 | size_t{bytes[11]} << 24;
  if (length > kLargestHeader || length > bytes.size() - prefix) throw Error(origin + ": truncated in its header");
  const std::string header(reinterpret_cast<const char*>(bytes.data()) + prefix, length);
  const std::string type = value_of(header, "descr", origin);
  const bool f32 = type.starts_with("'<f4'");
  const bool f64 = type.starts_with("'<f8'");
  if (!f32 && !f64) {
    throw Error(origin + ": holds values of type " + type.substr(0, type.find(',')) +
                ", expected float32: save with x.astype('float32')");
  }
  if (!value_of(header, "fortran_order", origin).starts_with("False")) {
    throw Error(origin + ": is in Fortran order: save with numpy.ascontiguousarray(x)");
  }
  Array array;
  array.shape = parse_shape(value_of(header, "shape", origin), origin);
  size_t count = 1;
  for (size_t extent : array.shape) {
    if (__builtin_mul_overflow(count, extent, &count)) throw Error(origin + ": its shape is too large");
  }
  const size_t size = f32 ? 4 : 8;
  const size_t available = bytes.size() - prefix - length;
  if (count > available / size || count * size != available) {
    throw Error(origin + ": has " + std::to_string(available) + " bytes of values, its shape needs " +
                std::to_string(count) + " of " + std::to_string(size));
  }
  const uint8_t* data = bytes.data() + prefix + length;
  array.values.resize(count);
  if (f32 && count > 0) {
    std::memcpy(array.values.data(), data, count * size);
  } else {
    for (size_t i = 0; i < count; ++i) {
      double value = 0;
      std::memcpy(&value, data + i * size, size);
      array.values[i] = static_cast<float>(value);
    }
  }
  return array;
}

Array read_npy(const std::string& path) { return parse_npy(read_file(path), path); }

std::vector<uint8_t> format_npy(const Array& array) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  for (size_t extent : array.shape) header += std::to_string(extent) + ",";
  header += "), }";
  // The values begin at a multiple of 64.
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::vector<uint8_t> bytes(10 + header.size() + array.values.size() * 4);
  std::memcpy(bytes.data(), kMagic, kMagicBytes);
  bytes[6] = 1;
  bytes[8] = static_cast<uint8_t>(header.size());
  bytes[9] = static_cast<uint8_t>(header.size() >> 8);
  std::memcpy(bytes.data() + 10, header.data(), header.size());
  if (!array.values.empty())
    std::memcpy(bytes.data() + 10 + header.size(), array.values.data(), array.values.size() * 4);
  return bytes;
}

}  // namespace figment::io
