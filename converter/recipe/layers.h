// The layers of a recipe's network, as an ONNX graph under construction: recipes and exported models take one way from
// there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "import/onnx_proto.h"
#include "ir/graph.h"
#include "recipe/json.h"

namespace figment::converter {

// How weights begin. pytorch: uniform on +-1/sqrt(fan in), its layers' default; dcgan: N(0, 0.02), and batch
// normalization's scales N(1, 0.02) (Radford et al. 2016); xavier: uniform on +-sqrt(6 / (fan in + fan out)) (Glorot
// and Bengio 2010); he: N(0, sqrt(2 / fan in)) (He et al. 2015). Biases are 0 but for pytorch's.
enum class Initialization : uint8_t { kPytorch, kDcgan, kXavier, kHe };

// "[3, 28, 28]"
std::string to_text(const std::vector<int64_t>& shape);

class LayerBuilder {
 public:
  // A tensor of the graph: its name, and its shape without the batch: [features], [steps, features] or [C, H, W].
  struct Tensor {
    std::string name;
    std::vector<int64_t> shape;
  };

  // Weights are drawn from `seed` on `stream` of it.
  LayerBuilder(Initialization initialization, uint64_t seed, uint32_t stream);

  Tensor input(const std::string& name, const std::vector<int64_t>& shape);
  void output(const Tensor& tensor, const std::string& name);

  // Appends the layers of a JSON list; parameters are named after `prefix` and the layer's number.
  Tensor layers(Tensor x, const RecipeValue& list, const std::string& prefix);
  // x with a condition joined to its features (vectors, sequences) or channels (images).
  Tensor with_condition(const Tensor& x, const Tensor& condition);
  // A fully connected layer on the flattened features.
  Tensor head(const Tensor& x, int64_t units, const std::string& name);

  // The finished graph, as the bytes of an ONNX file.
  std::string finish();

 private:
  struct Type;
  static const std::vector<Type>& types();
  friend std::vector<std::string> recipe_layers();

  Tensor layer(const Tensor& x, const RecipeValue& value, const std::string& name);
  Tensor linear(const Tensor& x, int64_t units, bool bias, const std::string& name);
  Tensor convolution(const Tensor& x, const RecipeValue& value, const std::string& name, bool transposed);
  Tensor recurrent(const Tensor& x, const RecipeValue& value, const std::string& name, bool lstm);
  Tensor normalization(const Tensor& x, const RecipeValue& value, const std::string& name, bool batch);
  Tensor pool(const Tensor& x, const RecipeValue& value, const std::string& type);
  Tensor reshaped(const Tensor& x, const std::vector<int64_t>& shape);
  Tensor expanded(const Tensor& x, const std::vector<int64_t>& shape);

  onnx::NodeProto* node(const std::string& type, const std::vector<std::string>& inputs, const std::string& output);
  std::string fresh(const std::string& what);
  std::string integers(const std::vector<int64_t>& values);
  // The elements of a parameter that is about to be made. Throws Error, naming it, if all of them grow too large.
  int64_t counted(const std::string& name, const std::vector<int64_t>& shape);
  // Values to begin with, of weights and of biases, by the initialization.
  std::vector<float> drawn(int64_t count, int64_t fan_in, int64_t fan_out);
  std::vector<float> drawn_bias(int64_t count, int64_t fan_in);
  void weights(const std::string& name, const std::vector<int64_t>& shape, int64_t fan_in, int64_t fan_out);
  void constant(const std::string& name, const std::vector<int64_t>& shape, float value);
  void bias(const std::string& name, const std::vector<int64_t>& shape, int64_t fan_in);
  void add_tensor(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values);

  onnx::ModelProto model_;
  Initialization initialization_;
  uint64_t seed_;
  uint32_t stream_;
  uint64_t drawn_ = 0;  // tensors so far
  size_t names_ = 0;
  int64_t parameters_ = 0;  // elements so far
};

// The layers that recipes may have, a line each: the type, its keys, and in brackets those that may be left out.
std::vector<std::string> recipe_layers();

}  // namespace figment::converter
