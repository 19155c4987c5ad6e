// A finished file for a device: what it does not need left out, and memory plans put in. Works on the bytes of any
// model file of ours, also one that is int8 already.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace figment::converter {

struct RepackOptions {
  std::string name;  // of the model; "": as it is
  // The only ones that are kept of the programs that do not train; empty: all.
  std::vector<std::string> programs;
  // Leaves out names of ops and tensors, metadata, how parameters came from their exporter, room for scalings that
  // nobody has found, and of the levels of a model that trains all but one.
  bool strip = false;
  // Of a model that does not train, leaves out what only training reads, as `strip` does.
  bool without_training = false;
  uint32_t level = 0;  // the one that is kept
  // For each a memory plan, in place of those that the file has.
  std::vector<uint32_t> plan_batches;
  bool outputs_given = false;  // for sessions of that option
  uint32_t micro_batch = 0;    // the same
  bool all_fields = false;     // those with default values are written, so that others can take their place
};

// Throws Error. Equal files and options give equal bytes.
std::vector<uint8_t> repack(const std::vector<uint8_t>& file, const RepackOptions& options);

}  // namespace figment::converter
