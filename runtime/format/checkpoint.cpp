#include "format/checkpoint.h"

#include <cstring>

#include "format/bytes.h"
#include "format/frozen.h"
#include "platform/threading.h"

namespace figment::format {

namespace {

constexpr std::array<uint8_t, 8> kMagic = {'F', 'I', 'G', 'C', 'K', 'P', 'T', '1'};
constexpr std::array<uint8_t, 8> kCommit = {'F', 'I', 'G', 'C', 'D', 'O', 'N', 'E'};
constexpr size_t kHeaderCrc = 56;
constexpr size_t kTrailerCrc = 24;

// A table for each of four bytes (Kounavis and Berry 2005, "slicing"), or where flash is small for half a byte.
constexpr size_t kEntries = platform::kHasThreads ? 256 : 16;
constexpr size_t kTableCount = platform::kHasThreads ? 4 : 1;
using Tables = std::array<std::array<uint32_t, kEntries>, kTableCount>;

constexpr Tables make_tables() {
  Tables tables{};
  for (uint32_t i = 0; i < kEntries; ++i) {
    uint32_t value = i;
    for (size_t bit = 1; bit < kEntries; bit *= 2) value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320U : 0U);
    tables[0][i] = value;
  }
  for (size_t t = 1; t < kTableCount; ++t) {
    for (uint32_t i = 0; i < kEntries; ++i)
      tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] % kEntries];
  }
  return tables;
}

constexpr Tables kTables = make_tables();

}  // namespace

uint32_t crc32(uint32_t crc, const void* data, size_t size) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  crc = ~crc;
  if constexpr (kTableCount == 4) {
    for (; size >= 4; size -= 4, bytes += 4) {
      crc ^= static_cast<uint32_t>(get(bytes, 4));
      crc = kTables[3][crc & 0xFF] ^ kTables[2][(crc >> 8) & 0xFF] ^ kTables[1][(crc >> 16) & 0xFF] ^
            kTables[0][crc >> 24];
    }
    for (; size > 0; --size) crc = (crc >> 8) ^ kTables[0][(crc ^ *bytes++) & 0xFF];
  } else {
    for (; size > 0; --size) {
      crc ^= *bytes++;
      crc = (crc >> 4) ^ kTables[0][crc & 15];
      crc = (crc >> 4) ^ kTables[0][crc & 15];
    }
  }
  return ~crc;
}

CheckpointHeaderBytes encode(const CheckpointHeader& header) {
  CheckpointHeaderBytes out{};
  std::memcpy(out.data(), kMagic.data(), kMagic.size());
  const uint64_t fields[] = {header.layout, header.generation,     header.steps,
                             header.seed,   header.variable_bytes, header.caller_bytes};
  for (size_t i = 0; i < 6; ++i) put(out.data() + 8 + 8 * i, fields[i], 8);
  put(out.data() + kHeaderCrc, crc32(0, out.data(), kHeaderCrc), 4);
  return out;
}

CheckpointTrailerBytes encode_trailer(const CheckpointHeader& header, uint32_t crc) {
  CheckpointTrailerBytes out{};
  std::memcpy(out.data(), kCommit.data(), kCommit.size());
  put(out.data() + 8, header.generation, 8);
  put(out.data() + 16, crc, 4);
  put(out.data() + kTrailerCrc, crc32(0, out.data(), kTrailerCrc), 4);
  return out;
}

bool decode(const CheckpointHeaderBytes& bytes, CheckpointHeader* header) {
  const uint8_t* data = bytes.data();
  if (std::memcmp(data, kMagic.data(), kMagic.size()) != 0) return false;
  if (get(data + kHeaderCrc, 4) != crc32(0, data, kHeaderCrc)) return false;
  uint64_t* fields[] = {&header->layout, &header->generation,     &header->steps,
                        &header->seed,   &header->variable_bytes, &header->caller_bytes};
  for (size_t i = 0; i < 6; ++i) *fields[i] = get(data + 8 + 8 * i, 8);
  return true;
}

bool decode_trailer(const CheckpointTrailerBytes& bytes, const CheckpointHeader& header, uint32_t* crc) {
  const uint8_t* trailer = bytes.data();
  if (std::memcmp(trailer, kCommit.data(), kCommit.size()) != 0) return false;
  if (get(trailer + kTrailerCrc, 4) != crc32(0, trailer, kTrailerCrc)) return false;
  *crc = static_cast<uint32_t>(get(trailer + 16, 4));
  return get(trailer + 8, 8) == header.generation;
}

CheckedSize checkpoint_bytes(const CheckpointHeader& header) {
  return CheckedSize(header.variable_bytes) + header.caller_bytes + kCheckpointHeaderBytes + kCheckpointTrailerBytes;
}

uint64_t layout_hash(const ModelView& model) {
  Hash hash;
  for (size_t i = 0; i < model.constant_count(); ++i) {
    const ConstantView constant = model.constant(i);
    if (!constant.variable || constant.transient) continue;
    hash.add_text(constant.name);
    for (const Dimension& dimension : constant.shape) hash.add_number(dimension.extent, 4);
    hash.add_number(0, 4);
  }
  if (model.has_objective()) {
    const ObjectiveView objective = model.objective();
    for (const char* text : {objective.name, objective.loss}) hash.add_text(text);
  }
  // What was trained beside other frozen weights is of another model.
  if (const uint64_t frozen = frozen_weights_hash(model); frozen != 0) hash.add_number(frozen, 8);
  return hash.value();
}

}  // namespace figment::format
