#include "format/scaling.h"

namespace figment::format {

namespace {

void read_text(const float* values, size_t size, char* text) {
  for (size_t i = 0; i + 1 < size; ++i) {
    const float value = values[i];
    const bool byte = value >= 0 && value < 256 && value == static_cast<float>(static_cast<int>(value));
    text[i] = byte ? static_cast<char>(static_cast<unsigned char>(value)) : '?';
  }
  text[size - 1] = 0;
}

void write_text(const char* text, size_t size, float* values) {
  size_t length = 0;
  while (length + 1 < size && text[length] != 0) ++length;
  // No part of a character of several bytes is left at the end of what is cut.
  const auto continues = [text](size_t i) { return (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80; };
  if (text[length] != 0) {
    while (length > 0 && continues(length)) --length;
  }
  for (size_t i = 0; i < size; ++i)
    values[i] = i < length ? static_cast<float>(static_cast<unsigned char>(text[i])) : 0.0F;
}

}  // namespace

ChannelScaling read_scaling(const float* values) {
  ChannelScaling scaling;
  scaling.offset = values[0];
  scaling.scale = values[1];
  read_text(values + 2, ChannelScaling::kName, scaling.name);
  read_text(values + 2 + ChannelScaling::kName, ChannelScaling::kUnit, scaling.unit);
  return scaling;
}

void write_scaling(const ChannelScaling& scaling, float* values) {
  values[0] = scaling.offset;
  values[1] = scaling.scale;
  write_text(scaling.name, ChannelScaling::kName, values + 2);
  write_text(scaling.unit, ChannelScaling::kUnit, values + 2 + ChannelScaling::kName);
}

}  // namespace figment::format
