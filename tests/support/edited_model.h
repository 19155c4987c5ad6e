// Model files whose header a test has changed.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "model_generated.h"

namespace figment::test {

// The file with a header that edit(ModelT*) has changed, and the values as they are.
template <typename Edit>
std::vector<uint8_t> edited_file(std::span<const uint8_t> bytes, const Edit& edit) {
  namespace schema = figment::format::schema;
  const auto padded = [](size_t size) { return (size + 63) / 64 * 64; };
  uint32_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  schema::ModelT model;
  schema::GetSizePrefixedModel(bytes.data())->UnPackTo(&model);
  edit(&model);
  flatbuffers::FlatBufferBuilder builder;
  builder.FinishSizePrefixed(schema::CreateModel(builder, &model), schema::ModelIdentifier());
  std::vector<uint8_t> file(padded(builder.GetSize()));
  std::memcpy(file.data(), builder.GetBufferPointer(), builder.GetSize());
  const std::span<const uint8_t> values = bytes.subspan(padded(header + sizeof header));
  file.insert(file.end(), values.begin(), values.end());
  return file;
}

}  // namespace figment::test
