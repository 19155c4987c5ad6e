// libFuzzer target: any bytes as an IDX file, plain or gzipped.
#include "io/arrays.h"
#include "parse_fuzzer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return figment::test::fuzz_parser<figment::io::Error>(
      data, size, [](std::span<const uint8_t> bytes) { figment::io::parse_idx(bytes, "input"); });
}
