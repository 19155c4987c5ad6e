// ONNX's tensors: numbers in the model file or in files beside it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "import/onnx_proto.h"
#include "io/files.h"

namespace figment::converter {

// "FLOAT16".
std::string type_name(int32_t type);
// Float types of any width, which are f32 in the IR.
bool is_float_type(int32_t type);
// Integers of any width and booleans.
bool is_integer_type(int32_t type);

class TensorReader {
 public:
  // `path`: the model's file, or "" if it is none; then a tensor outside of it is an error. What is read outside may be
  // some times what there is: tensors may share bytes.
  explicit TensorReader(std::string path) : path_(std::move(path)) {}

  // Sizes of the files beside the model that were read.
  uint64_t external_bytes() const { return external_bytes_; }

  // The values of a tensor, row-major, of a float or of an integer type. Throw Error, naming the tensor, where values
  // are missing, too many or too large, and for other types.
  std::vector<float> floats(const onnx::TensorProto& tensor);
  std::vector<int64_t> integers(const onnx::TensorProto& tensor);

 private:
  // The tensor's bytes, stored in the file or outside, `size` for each of `count` elements.
  std::vector<uint8_t> raw_bytes(const onnx::TensorProto& tensor, size_t count, size_t size);
  template <typename Stored, typename To, typename Field>
  std::vector<To> elements(const onnx::TensorProto& tensor, const Field& field);

  std::string path_;
  std::map<std::string, io::NamedFile> files_;  // by location
  uint64_t external_bytes_ = 0;
  uint64_t external_read_ = 0;
};

// The extents of a tensor. Throws Error, naming it, if they are negative or their product is too large.
std::vector<uint32_t> extents_of(const onnx::TensorProto& tensor);

}  // namespace figment::converter
