// libFuzzer target: any bytes as a NumPy array.
#include "io/arrays.h"
#include "parse_fuzzer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return figment::test::fuzz_parser<figment::io::Error>(
      data, size, [](std::span<const uint8_t> bytes) { figment::io::parse_npy(bytes, "input"); });
}
