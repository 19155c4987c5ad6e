#include "write/model_parts.h"

#include <algorithm>
#include <cstring>

#include "core/memory.h"

namespace figment::converter {

namespace schema = format::schema;

uint64_t aligned(uint64_t size) { return (size + kTensorAlignment - 1) & ~uint64_t{kTensorAlignment - 1}; }

ModelParts::ModelParts(const std::vector<uint8_t>& file) : file_(file) {
  schema::GetSizePrefixedModel(file.data())->UnPackTo(&model_);
  blobs_ = aligned(flatbuffers::GetPrefixedSize(file.data()) + sizeof(flatbuffers::uoffset_t));
}

std::span<const uint8_t> ModelParts::values(const schema::ConstantT& constant) const {
  if (const auto added = added_.find(&constant); added != added_.end()) return added->second;
  return std::span(file_).subspan(static_cast<size_t>(blobs_ + constant.blob->offset()),
                                  static_cast<size_t>(constant.blob->size()));
}

int32_t ModelParts::add(const ModelParts& other, const schema::ConstantT& constant) {
  const auto& copy = model_.constants.emplace_back(std::make_unique<schema::ConstantT>(constant));
  const std::span<const uint8_t> bytes = other.values(constant);
  added_[copy.get()] = {bytes.begin(), bytes.end()};
  return static_cast<int32_t>(model_.constants.size() - 1);
}

std::vector<uint8_t> ModelParts::write(bool all_fields) {
  std::vector<uint8_t> section;
  std::vector<schema::Blob> places;
  for (const auto& constant : model_.constants) {
    if (!constant->blob) continue;
    const size_t offset = section.size();
    const std::span<const uint8_t> bytes = values(*constant);
    section.resize(static_cast<size_t>(aligned(offset + bytes.size() + kReadablePadding)));
    std::ranges::copy(bytes, section.data() + offset);
    places.emplace_back(offset, bytes.size());
  }
  auto place = places.begin();
  for (const auto& constant : model_.constants) {
    if (constant->blob) *constant->blob = *place++;
  }
  model_.blob_section_size = section.size();
  flatbuffers::FlatBufferBuilder builder;
  builder.ForceDefaults(all_fields);
  builder.FinishSizePrefixed(schema::CreateModel(builder, &model_), schema::ModelIdentifier());
  std::vector<uint8_t> result(static_cast<size_t>(aligned(builder.GetSize())));
  std::memcpy(result.data(), builder.GetBufferPointer(), builder.GetSize());
  result.insert(result.end(), section.begin(), section.end());
  return result;
}

}  // namespace figment::converter
