// A finished file taken apart, to be changed and put together again.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "model_generated.h"

namespace figment::converter {

// Where what follows `size` bytes of a file may begin.
uint64_t aligned(uint64_t size);

// The header as objects, and the values of its constants.
class ModelParts {
 public:
  // The file must outlive it.
  explicit ModelParts(const std::vector<uint8_t>& file);

  format::schema::ModelT& model() { return model_; }

  // Of a constant that has values.
  std::span<const uint8_t> values(const format::schema::ConstantT& constant) const;
  // The index of another file's constant, which has values, as the last of this one's.
  int32_t add(const ModelParts& other, const format::schema::ConstantT& constant);

  // The values of the constants that are left stand one behind the other. `all_fields`: those with default values are
  // written, too.
  std::vector<uint8_t> write(bool all_fields = false);

 private:
  const std::vector<uint8_t>& file_;
  format::schema::ModelT model_;
  uint64_t blobs_ = 0;
  std::map<const format::schema::ConstantT*, std::vector<uint8_t>> added_;
};

}  // namespace figment::converter
