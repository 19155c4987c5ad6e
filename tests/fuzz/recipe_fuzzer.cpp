// libFuzzer target: any bytes as a recipe.
#include "parse_fuzzer.h"
#include "recipe/recipe.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return figment::test::fuzz_parser<figment::converter::Error>(data, size, [](std::span<const uint8_t> bytes) {
    figment::converter::parse_recipe(figment::test::text_of(bytes), "input");
  });
}
