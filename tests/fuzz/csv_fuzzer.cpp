// libFuzzer target: any bytes as a table of numbers.
#include "io/arrays.h"
#include "parse_fuzzer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return figment::test::fuzz_parser<figment::io::Error>(data, size, [](std::span<const uint8_t> bytes) {
    figment::io::parse_csv(figment::test::text_of(bytes), "input");
  });
}
