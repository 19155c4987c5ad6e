// The generated ONNX classes, with the build configuration of Debian's libonnx.
#pragma once

#define ONNX_ML 1
#define ONNX_NAMESPACE onnx
#define ONNX_API
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#include <onnx/onnx-ml.pb.h>
#pragma GCC diagnostic pop
