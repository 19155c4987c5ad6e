#include "support.h"

#include <fstream>
#include <iterator>
#include <stdexcept>

namespace figment::test {

std::vector<uint8_t> read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot open " + path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string model_path(const std::string& name) { return std::string(FIGMENT_TEST_MODELS) + "/" + name + ".figment"; }

}  // namespace figment::test
