// libFuzzer target: any bytes as a NumPy archive, each file of it as an array.
#include "io/arrays.h"
#include "parse_fuzzer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return figment::test::fuzz_parser<figment::io::Error>(data, size, [size](std::span<const uint8_t> bytes) {
    for (const figment::io::ZipEntry& entry : figment::io::parse_zip(bytes, "input"))
      figment::io::parse_npy(figment::io::unpack(entry, "input", figment::io::Budget(size)), "input");
  });
}
