// The classes of ONNX files, generated from onnx.proto.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#include <onnx/onnx.pb.h>
#pragma GCC diagnostic pop
