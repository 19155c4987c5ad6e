// libFuzzer targets of parsers: any bytes are read, or end in an exception of the type that says what is wrong.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "io/files.h"

namespace figment::test {

template <typename Expected, typename Parse>
int fuzz_parser(const uint8_t* data, size_t size, Parse parse) {
  try {
    parse(std::span<const uint8_t>(data, size));
  } catch (const Expected&) {
    // What a user would read.
  }
  return 0;
}

inline std::string text_of(std::span<const uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace figment::test
