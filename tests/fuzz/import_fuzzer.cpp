// libFuzzer target: any bytes as an ONNX file: import, optimize, write. tests/fuzz/import_corpus is replayed by the
// tests.
#include <string>

#include "convert.h"
#include "import/import_onnx.h"
#include "passes/optimize.h"
#include "write/write_model.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace figment::converter;
  try {
    Graph graph = import_onnx(std::string(reinterpret_cast<const char*>(data), size), "input", "run");
    optimize(&graph);
    ModelDefinition model;
    model.name = "fuzz";
    model.programs.push_back(std::move(graph));
    write_model(model);
  } catch (const Error&) {
    // What is wrong with a file is said by an exception of this type, and no other.
  }
  return 0;
}
