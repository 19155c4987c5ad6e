// Data to train on.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/files.h"

namespace figment::cli {

// The samples of a file, for one input of a train program: bytes (IDX, also gzipped) or floats (.npy).
class Samples {
 public:
  // `low` and `high` are the values of black and white, for bytes. `elements` is the size of a sample of the input: a
  // file of single numbers for a larger input holds labels, which become one 1 among zeros. Throws.
  Samples(const std::string& path, const std::string& input, size_t elements, float low, float high);

  size_t count() const { return count_; }
  void copy(size_t i, float* out) const;

 private:
  void check_labels(const std::string& path) const;
  float value(size_t i) const;

  std::optional<io::Array> floats_;
  std::optional<io::ByteArray> bytes_;
  size_t count_ = 0;
  size_t elements_ = 0;
  bool labels_ = false;
  float low_;
  float high_;
};

// A permutation of `count` samples for each pass over them, from the seed alone.
class Shuffle {
 public:
  Shuffle(size_t count, uint64_t seed) : order_(count), seed_(seed) {}

  size_t at(uint64_t position);

 private:
  std::vector<size_t> order_;
  uint64_t seed_;
  uint64_t pass_ = UINT64_MAX;
};

}  // namespace figment::cli
