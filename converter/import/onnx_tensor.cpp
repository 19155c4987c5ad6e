#include "import/onnx_tensor.h"

#include <fmt/format.h>
#include <bit>
#include <charconv>
#include <cstring>
#include <utility>

#include "core/half.h"
#include "core/shape.h"

namespace figment::converter {

using io::Error;

namespace {

// IEEE 754 binary16, in 16 bits.
struct Half {
  uint16_t bits;

  operator float() const { return from_half(bits); }
};

// The upper half of a float.
struct BFloat16 {
  uint16_t bits;

  operator float() const { return std::bit_cast<float>(uint32_t{bits} << 16); }
};

// At most kMaxElements, as extents_of sees to.
size_t count_of(const onnx::TensorProto& tensor) {
  size_t count = 1;
  for (uint32_t extent : extents_of(tensor)) count *= extent;
  return count;
}

// A number of the tensor's external_data, `fallback` if it is not there.
uint64_t external_number(const onnx::TensorProto& tensor, const char* key, uint64_t fallback) {
  for (const onnx::StringStringEntryProto& entry : tensor.external_data()) {
    if (entry.key() != key) continue;
    uint64_t number = 0;
    const char* end = entry.value().data() + entry.value().size();
    const auto [rest, error] = std::from_chars(entry.value().data(), end, number);
    if (error != std::errc() || rest != end)
      throw Error(
          fmt::format("tensor {}: the {} of its data, \"{}\", is no number", tensor.name(), key, entry.value()));
    return number;
  }
  return fallback;
}

std::string location_of(const onnx::TensorProto& tensor) {
  for (const onnx::StringStringEntryProto& entry : tensor.external_data()) {
    if (entry.key() == "location") return entry.value();
  }
  throw Error(fmt::format("tensor {} is stored outside the file, which does not say where", tensor.name()));
}

}  // namespace

std::string type_name(int32_t type) {
  return onnx::TensorProto_DataType_Name(static_cast<onnx::TensorProto_DataType>(type));
}

bool is_float_type(int32_t type) {
  switch (type) {
    case onnx::TensorProto::FLOAT:
    case onnx::TensorProto::DOUBLE:
    case onnx::TensorProto::FLOAT16:
    case onnx::TensorProto::BFLOAT16: return true;
    default: return false;
  }
}

bool is_integer_type(int32_t type) {
  switch (type) {
    case onnx::TensorProto::INT64:
    case onnx::TensorProto::INT32:
    case onnx::TensorProto::INT16:
    case onnx::TensorProto::INT8:
    case onnx::TensorProto::UINT64:
    case onnx::TensorProto::UINT32:
    case onnx::TensorProto::UINT16:
    case onnx::TensorProto::UINT8:
    case onnx::TensorProto::BOOL: return true;
    default: return false;
  }
}

std::vector<uint32_t> extents_of(const onnx::TensorProto& tensor) {
  CheckedSize count = 1;
  std::vector<uint32_t> extents;
  for (int64_t extent : tensor.dims()) {
    if (extent < 0) throw Error("tensor " + tensor.name() + " has a negative dimension");
    count *= static_cast<uint64_t>(extent);
    if (static_cast<uint64_t>(extent) > kMaxExtent) throw Error("tensor " + tensor.name() + " has too many elements");
    extents.push_back(static_cast<uint32_t>(extent));
  }
  if (!count.within(kMaxElements)) throw Error("tensor " + tensor.name() + " has too many elements");
  return extents;
}

std::vector<uint8_t> TensorReader::raw_bytes(const onnx::TensorProto& tensor, size_t count, size_t size) {
  const size_t needed = count * size;
  std::vector<uint8_t> bytes;
  if (tensor.data_location() != onnx::TensorProto::EXTERNAL) {
    if (tensor.raw_data().size() != needed) {
      throw Error(
          fmt::format("tensor {} has {} bytes, its shape needs {}", tensor.name(), tensor.raw_data().size(), needed));
    }
    bytes.assign(tensor.raw_data().begin(), tensor.raw_data().end());
    return bytes;
  }
  const std::string location = location_of(tensor);
  if (path_.empty())
    throw Error(fmt::format("tensor {} is stored in \"{}\", outside the model", tensor.name(), location));
  try {
    const auto [entry, fresh] = files_.try_emplace(location, path_, location);
    const io::NamedFile& file = entry->second;
    if (fresh) external_bytes_ += file.size();
    const uint64_t offset = external_number(tensor, "offset", 0);
    const uint64_t length = external_number(tensor, "length", needed);
    if (length != needed) throw Error(fmt::format("it has {} bytes there, its shape needs {}", length, needed));
    if (offset > file.size() || needed > file.size() - offset) {
      throw Error(
          fmt::format("its bytes {} to {} are not in \"{}\", which has {}: the file is truncated, or of another model",
                      offset, offset + needed, location, file.size()));
    }
    external_read_ += needed;
    io::Budget(external_bytes_)
        .check(external_read_, "what it and the tensors before it share of \"" + location + "\"");
    bytes.resize(needed);
    file.read(offset, bytes);
  } catch (const Error& error) {
    throw Error("tensor " + tensor.name() + ": " + error.what());
  }
  return bytes;
}

template <typename Stored, typename To, typename Field>
std::vector<To> TensorReader::elements(const onnx::TensorProto& tensor, const Field& field) {
  const size_t count = count_of(tensor);
  const bool raw = tensor.has_raw_data() || tensor.data_location() == onnx::TensorProto::EXTERNAL;
  if (!raw && static_cast<uint64_t>(field.size()) != count) {
    throw Error(fmt::format("tensor {} has {} values, its shape needs {}", tensor.name(), field.size(), count));
  }
  std::vector<To> values(count);
  const auto convert = [&](Stored stored) {
    if constexpr (std::is_same_v<Stored, uint64_t>) {
      if (std::cmp_greater(stored, INT64_MAX)) throw Error("tensor " + tensor.name() + " has integers above 2^63");
    }
    return static_cast<To>(stored);
  };
  if (raw) {
    const std::vector<uint8_t> bytes = raw_bytes(tensor, count, sizeof(Stored));
    for (size_t i = 0; i < count; ++i) {
      Stored stored;
      std::memcpy(&stored, bytes.data() + i * sizeof stored, sizeof stored);
      values[i] = convert(stored);
    }
    return values;
  }
  for (size_t i = 0; i < count; ++i) {
    const auto value = field[static_cast<int>(i)];
    if constexpr (std::is_same_v<Stored, Half> || std::is_same_v<Stored, BFloat16>) {
      values[i] = convert({static_cast<uint16_t>(value)});
    } else {
      values[i] = convert(static_cast<Stored>(value));
    }
  }
  return values;
}

std::vector<float> TensorReader::floats(const onnx::TensorProto& tensor) {
  switch (tensor.data_type()) {
    case onnx::TensorProto::FLOAT: return elements<float, float>(tensor, tensor.float_data());
    case onnx::TensorProto::DOUBLE: return elements<double, float>(tensor, tensor.double_data());
    case onnx::TensorProto::FLOAT16: return elements<Half, float>(tensor, tensor.int32_data());
    case onnx::TensorProto::BFLOAT16: return elements<BFloat16, float>(tensor, tensor.int32_data());
    default:
      throw Error("tensor " + tensor.name() + " is of type " + type_name(tensor.data_type()) + ", not of floats");
  }
}

std::vector<int64_t> TensorReader::integers(const onnx::TensorProto& tensor) {
  switch (tensor.data_type()) {
    case onnx::TensorProto::INT64: return elements<int64_t, int64_t>(tensor, tensor.int64_data());
    case onnx::TensorProto::INT32: return elements<int32_t, int64_t>(tensor, tensor.int32_data());
    case onnx::TensorProto::INT16: return elements<int16_t, int64_t>(tensor, tensor.int32_data());
    case onnx::TensorProto::INT8: return elements<int8_t, int64_t>(tensor, tensor.int32_data());
    case onnx::TensorProto::UINT64: return elements<uint64_t, int64_t>(tensor, tensor.uint64_data());
    case onnx::TensorProto::UINT32: return elements<uint32_t, int64_t>(tensor, tensor.uint64_data());
    case onnx::TensorProto::UINT16: return elements<uint16_t, int64_t>(tensor, tensor.int32_data());
    case onnx::TensorProto::UINT8:
    case onnx::TensorProto::BOOL: return elements<uint8_t, int64_t>(tensor, tensor.int32_data());
    default:
      throw Error("tensor " + tensor.name() + " is of type " + type_name(tensor.data_type()) + ", not of integers");
  }
}

}  // namespace figment::converter
