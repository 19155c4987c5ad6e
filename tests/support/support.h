// What several tests share.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "core/memory.h"

namespace figment::test {

// Bytes aligned as models must be.
class AlignedBytes {
 public:
  explicit AlignedBytes(std::span<const uint8_t> bytes)
      : size_(bytes.size()), data_(static_cast<uint8_t*>(allocate_memory(bytes.size()))) {
    std::copy(bytes.begin(), bytes.end(), data_);
  }
  ~AlignedBytes() { release_memory(data_); }
  AlignedBytes(const AlignedBytes&) = delete;
  AlignedBytes& operator=(const AlignedBytes&) = delete;

  uint8_t* data() { return data_; }
  size_t size() const { return size_; }

 private:
  size_t size_;
  uint8_t* data_;
};

// A small generator with a fixed sequence (SplitMix64), independent of the library's.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  // In [low, high].
  uint32_t integer(uint32_t low, uint32_t high) { return low + static_cast<uint32_t>(next() % (high - low + 1)); }
  // In [-1, 1).
  float real() { return static_cast<float>(next() >> 40) * 0x1p-23F - 1.0F; }

 private:
  uint64_t state_;
};

// FNV-1a of bytes: names an exact result in one number.
inline uint64_t hash_of(const void* data, size_t bytes) {
  uint64_t hash = 0xCBF29CE484222325;
  for (size_t i = 0; i < bytes; ++i) hash = (hash ^ static_cast<const uint8_t*>(data)[i]) * 0x100000001B3;
  return hash;
}

// Largest difference relative to the largest finite magnitude expected; what is infinite must be so on both sides.
inline double relative_error(std::span<const float> actual, std::span<const float> expected) {
  double largest = 1e-6;
  double difference = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::isfinite(expected[i])) {
      if (!std::isfinite(actual[i])) return INFINITY;
      largest = std::fmax(largest, std::fabs(expected[i]));
      difference = std::fmax(difference, std::fabs(static_cast<double>(actual[i]) - expected[i]));
    } else if (std::isnan(actual[i]) != std::isnan(expected[i]) ||
               (!std::isnan(expected[i]) && actual[i] != expected[i])) {
      return INFINITY;
    }
  }
  return difference / largest;
}

std::vector<uint8_t> read_bytes(const std::string& path);
// The folder of shipped models as converted by the x86-64 build.
std::string model_path(const std::string& name);

}  // namespace figment::test
