// libFuzzer target: an ONNX file with weights beside it, converted as by the command line. The first two bytes are the
// size of the file w.data, little-endian; its bytes follow, then those of the ONNX file. tests/fuzz/external_corpus is
// replayed by the tests.
#include <algorithm>
#include <span>
#include <string>

#include "convert.h"
#include "io/files.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace figment;
  static const io::TemporaryFolder folder;
  if (size < 2) return 0;
  const size_t beside = std::min<size_t>(data[0] | data[1] << 8, size - 2);
  const std::span<const uint8_t> bytes(data + 2, size - 2);
  try {
    io::write_file(folder.file("w.data"), bytes.first(beside));
    io::write_file(folder.file("x.onnx"), bytes.subspan(beside));
    converter::ConvertOptions options;
    options.sources = {{"run", folder.file("x.onnx")}};
    options.name = "fuzz";
    converter::convert(options, {});
  } catch (const io::Error&) {
    // What is wrong with a file is said by an exception of this type, and no other.
  }
  return 0;
}
