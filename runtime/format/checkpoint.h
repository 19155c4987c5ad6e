// The bytes of a checkpoint file; docs/file_format.md describes them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/checked.h"
#include "format/model_view.h"

namespace figment::format {

struct CheckpointHeader {
  uint64_t layout = 0;          // layout_hash of the model that was trained
  uint64_t generation = 0;      // of two files, the higher is the newer
  uint64_t steps = 0;           // train steps done
  uint64_t seed = 0;            // of what is drawn
  uint64_t variable_bytes = 0;  // of all variables, one after another
  uint64_t caller_bytes = 0;    // the caller's own, behind them
};

inline constexpr size_t kCheckpointHeaderBytes = 128;
inline constexpr size_t kCheckpointTrailerBytes = 32;
using CheckpointHeaderBytes = std::array<uint8_t, kCheckpointHeaderBytes>;
using CheckpointTrailerBytes = std::array<uint8_t, kCheckpointTrailerBytes>;

CheckpointHeaderBytes encode(const CheckpointHeader& header);
// `crc` is that of what stands between header and trailer.
CheckpointTrailerBytes encode_trailer(const CheckpointHeader& header, uint32_t crc);

// Whether the bytes are a whole header, and those of a trailer its own: `crc` is what the contents must have.
bool decode(const CheckpointHeaderBytes& bytes, CheckpointHeader* header);
bool decode_trailer(const CheckpointTrailerBytes& bytes, const CheckpointHeader& header, uint32_t* crc);
// Of a whole checkpoint.
CheckedSize checkpoint_bytes(const CheckpointHeader& header);

// CRC-32 (ISO 3309, as in PNG and gzip) of what gave `crc`, 0 for nothing, with `size` more bytes.
uint32_t crc32(uint32_t crc, const void* data, size_t size);

// Names and shapes of the variables that keep their values, the objective, and the frozen weights: which models a
// checkpoint fits.
uint64_t layout_hash(const ModelView& model);

}  // namespace figment::format
