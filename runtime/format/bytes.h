// Numbers as bytes, little-endian on every machine, and a hash of bytes: for files beside models.
#pragma once

#include <cstddef>
#include <cstdint>

namespace figment::format {

inline void put(uint8_t* out, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) out[i] = static_cast<uint8_t>(value >> (8 * i));
}

inline uint64_t get(const uint8_t* in, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value |= uint64_t{in[i]} << (8 * i);
  return value;
}

// FNV-1a of 64 bits.
class Hash {
 public:
  void add(const void* data, size_t size) {
    const auto* bytes = static_cast<const uint8_t*>(data);
    for (size_t i = 0; i < size; ++i) value_ = (value_ ^ bytes[i]) * 0x100000001B3;
  }
  void add_number(uint64_t number, size_t bytes) {
    uint8_t encoded[sizeof number];
    put(encoded, number, bytes);
    add(encoded, bytes);
  }
  // With the zero that ends it.
  void add_text(const char* text) {
    for (;; ++text) {
      add(text, 1);
      if (*text == 0) return;
    }
  }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xCBF29CE484222325;
};

}  // namespace figment::format
