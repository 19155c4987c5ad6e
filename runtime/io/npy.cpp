// NumPy's .npy format, version 1.0 to 3.0 (numpy.lib.format): a magic string, a version, the length of a header, the
// header (a Python dictionary of three known keys), the values.
#include <fmt/format.h>
#include <algorithm>
#include <bit>
#include <cctype>
#include <cmath>
#include <cstring>

#include "core/half.h"
#include "io/arrays.h"

namespace figment::io {

static_assert(std::endian::native == std::endian::little, "values are written little-endian");

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

// How a value is stored: NumPy's "<f4" and so on.
struct Type {
  char kind = 0;  // f: float, i and u: integers, b: bool
  size_t size = 0;
  bool big_endian = false;
};

Type parse_type(const std::string& text, const std::string& origin) {
  const std::string quoted = text.substr(0, text.find(','));
  if (quoted.size() >= 5 && quoted[0] == '\'' && std::strchr("<>|=", quoted[1]) != nullptr && quoted[4] == '\'') {
    const Type type{quoted[2], static_cast<size_t>(quoted[3] - '0'), quoted[1] == '>'};
    const char* sizes = type.kind == 'f'                       ? "248"
                        : type.kind == 'i' || type.kind == 'u' ? "1248"
                        : type.kind == 'b'                     ? "1"
                                                               : "";
    if (std::strchr(sizes, quoted[3]) != nullptr) return type;
  }
  throw Error(origin + ": holds values of type " + quoted + ", not numbers: save with x.astype('float32')");
}

template <typename T>
double value_as(const uint8_t* little_endian) {
  T value{};
  std::memcpy(&value, little_endian, sizeof value);
  return static_cast<double>(value);
}

double decode(const Type& type, const uint8_t* data) {
  uint8_t bytes[8] = {};
  for (size_t i = 0; i < type.size; ++i) bytes[i] = data[type.big_endian ? type.size - 1 - i : i];
  const bool is_signed = type.kind == 'i';
  if (type.kind == 'f') {
    uint16_t half = 0;
    std::memcpy(&half, bytes, sizeof half);
    if (type.size == 2) return static_cast<double>(from_half(half));
    return type.size == 4 ? value_as<float>(bytes) : value_as<double>(bytes);
  }
  switch (type.size) {
    case 1: return is_signed ? value_as<int8_t>(bytes) : value_as<uint8_t>(bytes);
    case 2: return is_signed ? value_as<int16_t>(bytes) : value_as<uint16_t>(bytes);
    case 4: return is_signed ? value_as<int32_t>(bytes) : value_as<uint32_t>(bytes);
    default: return is_signed ? value_as<int64_t>(bytes) : value_as<uint64_t>(bytes);
  }
}

// From Fortran's order (the first dimension innermost) to row-major.
std::vector<float> from_columns(const std::vector<float>& values, const std::vector<size_t>& shape) {
  std::vector<float> result(values.size());
  std::vector<size_t> position(shape.size());
  for (float& value : result) {
    size_t offset = 0;
    for (size_t i = shape.size(); i > 0; --i) offset = offset * shape[i - 1] + position[i - 1];
    value = values[offset];
    for (size_t i = shape.size(); i > 0; --i) {
      if (++position[i - 1] < shape[i - 1]) break;
      position[i - 1] = 0;
    }
  }
  return result;
}

}  // namespace

std::string to_string(const std::vector<size_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += fmt::format("{}{}", i > 0 ? ", " : "", shape[i]);
  return text + "]";
}

Array parse_npy(std::span<const uint8_t> bytes, const std::string& origin) {
  return parse_npy(bytes, origin, Budget(bytes.size()));
}

Array parse_npy(std::span<const uint8_t> bytes, const std::string& origin, const Budget& budget) {
  if (bytes.size() < 12 || std::memcmp(bytes.data(), kMagic, kMagicBytes) != 0)
    throw Error(origin + ": not a .npy file");
  const uint8_t version = bytes[6];
  if (version < 1 || version > 3) throw Error(fmt::format("{}: .npy version {} is unknown", origin, version));
  const size_t prefix = version == 1 ? 10 : 12;
  size_t length = bytes[8] | size_t{bytes[9]} << 8;
  if (version > 1) length |= size_t{bytes[10]} << 16 | size_t{bytes[11]} << 24;
  if (length > kLargestHeader || length > bytes.size() - prefix) throw Error(origin + ": truncated in its header");
  const std::string header(reinterpret_cast<const char*>(bytes.data()) + prefix, length);
  const Type type = parse_type(value_of(header, "descr", origin), origin);
  const std::string order = value_of(header, "fortran_order", origin);
  const bool columns_first = order.starts_with("True");
  if (!columns_first && !order.starts_with("False"))
    throw Error(origin + ": the .npy header has a broken fortran_order");
  Array array;
  array.bytes = type.kind == 'u' && type.size == 1;
  array.shape = parse_shape(value_of(header, "shape", origin), origin);
  size_t count = 1;
  for (size_t extent : array.shape) {
    if (__builtin_mul_overflow(count, extent, &count)) throw Error(origin + ": its shape is too large");
  }
  const size_t available = bytes.size() - prefix - length;
  if (count > available / type.size || count * type.size != available) {
    throw Error(
        fmt::format("{}: has {} bytes of values, its shape needs {} of {}", origin, available, count, type.size));
  }
  // Bytes become pixels once more.
  const uint64_t copies = array.bytes ? 2 : 1;
  budget.check(bytes.size() + count * sizeof(float) * copies, origin + ": its " + to_string(array.shape) + " values");
  const uint8_t* data = bytes.data() + prefix + length;
  array.values.resize(count);
  if (type.kind == 'f' && type.size == 4 && !type.big_endian && count > 0) {
    std::memcpy(array.values.data(), data, count * type.size);
  } else {
    for (size_t i = 0; i < count; ++i) {
      const double value = decode(type, data + i * type.size);
      array.values[i] = static_cast<float>(value);
      if (std::isfinite(value) && !std::isfinite(array.values[i]))
        throw Error(fmt::format("{}: value {} is too large for float32", origin, i));
    }
  }
  if (columns_first) array.values = from_columns(array.values, array.shape);
  return array;
}

Array read_array(const std::string& path) {
  if (path.ends_with(".npz") || path.find(".npz:") != std::string::npos) return read_npz(path);
  return path.ends_with(".csv") ? read_csv(path) : read_npy(path);
}

Array read_npy(const std::string& path) { return parse_npy(read_file(path), path); }

std::vector<uint8_t> format_npy(const Array& array) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  for (size_t extent : array.shape) header += fmt::format("{},", extent);
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
