// ONNX models (opset 6 and later) as programs of the IR. Images stay in ONNX's layout, with transposes around the ops
// that want NHWC; passes/layout.h removes them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace figment::converter {

// For inference, batch normalization becomes two numbers per channel, to fold away, and dropout nothing. For training
// both stay: dropout as a product with an input (PortDefinition::dropout) that a train step draws.
enum class Purpose : uint8_t { kInference, kTraining };

struct ImportOptions {
  Purpose purpose = Purpose::kInference;
  // Opens a batch that the exporter has fixed, if the network computes each sample from that sample alone.
  bool reopen_batch = false;
  // Sizes of dimensions that the exporter left open, by their names; INPUT:AXIS where they have none.
  // NOLINTNEXTLINE(readability-redundant-member-init): so that lists of fields may leave it out
  std::map<std::string, uint32_t> dimensions = {};
  // One of them stays open, in the end.
  bool open_length = false;
};

// The open dimensions of a file's inputs, but those that have a size.
struct OpenDimensions {
  std::string batch;            // "": there is none
  bool batch_in_front = false;  // it is the first dimension of an input
  std::vector<std::string> others;
  // Whether a length may be among them: beside the batch, or in its place where it is not in front.
  bool may_have_length() const { return !others.empty() || (!batch.empty() && !batch_in_front); }
  std::vector<std::string> all;  // in the order of the inputs; of several inputs' the name comes as often
};
OpenDimensions open_dimensions(const std::string& path, const std::map<std::string, uint32_t>& sizes);

// Reads the file, and those beside it that it names. Throws Error naming the file, the node, the op, the opset, and
// what to do.
Graph import_onnx_file(const std::string& path, const std::string& program, const ImportOptions& options = {});

// The same for the bytes of a file; `origin` stands for the file in messages. Tensors stored outside are an error.
Graph import_onnx(const std::string& bytes, const std::string& origin, const std::string& program,
                  const ImportOptions& options = {});

// An op of ONNX that is imported.
struct OnnxOp {
  std::string name;
  int64_t since;              // the oldest opset
  std::vector<OpKind> kinds;  // that it may become, beside reshapes and transposes
  std::string limits;         // for people; "": none
};
// Sorted by name.
std::vector<OnnxOp> imported_ops();

}  // namespace figment::converter
