// What people measured for the values of an input, a channel at a time, as a file keeps it: see Scaling in model.fbs.
#pragma once

#include <cstddef>

namespace figment::format {

struct ChannelScaling {
  static constexpr size_t kName = 32;  // bytes, with the zero that ends them
  static constexpr size_t kUnit = 16;
  static constexpr size_t kValues = 2 + kName + kUnit;  // that a file has for a channel

  float offset = 0;
  float scale = 0;  // 0: not known
  char name[kName] = "";
  char unit[kUnit] = "";
};

// Of kValues values. Text that is none becomes '?'.
ChannelScaling read_scaling(const float* values);
// Text that is too long is cut between two characters.
void write_scaling(const ChannelScaling& scaling, float* values);

}  // namespace figment::format
