// libFuzzer target: any bytes as a PNG, in gray and in color.
#include "io/pictures.h"
#include "parse_fuzzer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return figment::test::fuzz_parser<figment::io::Error>(data, size, [](std::span<const uint8_t> bytes) {
    for (uint32_t channels : {3U, 1U}) figment::io::parse_png(bytes, "input", channels, {});
  });
}
