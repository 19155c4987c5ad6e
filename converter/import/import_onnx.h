// ONNX models (opset 11 and later) as programs of the IR. Images stay in ONNX's layout, with transposes around the ops
// that want NHWC; passes/layout.h removes them.
#pragma once

#include <cstdint>
#include <string>

#include "ir/graph.h"

namespace figment::converter {

// What becomes of batch normalisation: two numbers per channel, to fold away, or an op that can be trained.
enum class BatchNorm : uint8_t { kFolded, kTrainable };

// Reads the file. Throws Error naming the file, the node, the op, the opset, and what to do.
Graph import_onnx_file(const std::string& path, const std::string& program, BatchNorm batch_norm = BatchNorm::kFolded);

// The same for the bytes of a file; `origin` stands for the file in messages.
Graph import_onnx(const std::string& bytes, const std::string& origin, const std::string& program,
                  BatchNorm batch_norm = BatchNorm::kFolded);

}  // namespace figment::converter
