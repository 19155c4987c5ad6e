// Runs a fuzz target over files without libFuzzer: load_replay FOLDER.
#include <cstdint>
#include <cstdio>
#include <filesystem>

#include "support.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    const std::vector<uint8_t> bytes = figment::test::read_bytes(entry.path());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    ++count;
  }
  std::printf("%d files replayed\n", count);
  return count > 0 ? 0 : 1;
}
