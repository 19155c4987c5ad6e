#include "recipe/layers.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "core/philox.h"
#include "io/files.h"
#include "ir/functions.h"

namespace figment::converter {

namespace {

constexpr int64_t kMaxUnits = 1 << 20;

int64_t elements(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (int64_t extent : shape) {
    if (__builtin_mul_overflow(count, extent, &count) || count > int64_t{1} << 31) throw Error("a tensor is too large");
  }
  return count;
}

void set_integers(onnx::NodeProto* node, const char* name, const std::vector<int64_t>& values) {
  onnx::AttributeProto* attribute = node->add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::INTS);
  for (int64_t value : values) attribute->add_ints(value);
}

void set_integer(onnx::NodeProto* node, const char* name, int64_t value) {
  onnx::AttributeProto* attribute = node->add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::INT);
  attribute->set_i(value);
}

void set_real(onnx::NodeProto* node, const char* name, double value) {
  onnx::AttributeProto* attribute = node->add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::FLOAT);
  attribute->set_f(static_cast<float>(value));
}

void set_text(onnx::NodeProto* node, const char* name, const std::string& value) {
  onnx::AttributeProto* attribute = node->add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::STRING);
  attribute->set_s(value);
}

// Functions of one tensor without numbers of their own, by their names in recipes.
const char* simple_function(const std::string& type) {
  if (type == "relu") return "Relu";
  for (const Function& function : functions()) {
    if (type == format::name_of(function.kind)) return function.onnx;
  }
  return nullptr;
}

std::vector<const char*> simple_functions() {
  std::vector<const char*> names = {"relu"};
  for (const Function& function : functions()) {
    if (function.onnx != nullptr) names.push_back(format::name_of(function.kind));
  }
  return names;
}

}  // namespace

std::string to_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += fmt::format("{}{}", i > 0 ? ", " : "", shape[i]);
  return text + "]";
}

LayerBuilder::LayerBuilder(Initialization initialization, uint64_t seed, uint32_t stream)
    : initialization_(initialization), seed_(seed), stream_(stream) {
  model_.set_ir_version(8);
  model_.add_opset_import()->set_version(17);
}

LayerBuilder::Tensor LayerBuilder::input(const std::string& name, const std::vector<int64_t>& shape) {
  onnx::ValueInfoProto* value = model_.mutable_graph()->add_input();
  value->set_name(name);
  onnx::TypeProto_Tensor* type = value->mutable_type()->mutable_tensor_type();
  type->set_elem_type(onnx::TensorProto::FLOAT);
  type->mutable_shape()->add_dim()->set_dim_param("batch");
  for (int64_t extent : shape) type->mutable_shape()->add_dim()->set_dim_value(extent);
  return {name, shape};
}

void LayerBuilder::output(const Tensor& tensor, const std::string& name) {
  node("Identity", {tensor.name}, name);
  model_.mutable_graph()->add_output()->set_name(name);
}

std::string LayerBuilder::finish() { return model_.SerializeAsString(); }

onnx::NodeProto* LayerBuilder::node(const std::string& type, const std::vector<std::string>& inputs,
                                    const std::string& output) {
  onnx::NodeProto* result = model_.mutable_graph()->add_node();
  result->set_op_type(type);
  result->set_name(output);
  for (const std::string& name : inputs) result->add_input(name);
  if (!output.empty()) result->add_output(output);
  return result;
}

std::string LayerBuilder::fresh(const std::string& what) { return fmt::format("{}/{}", what, names_++); }

std::string LayerBuilder::integers(const std::vector<int64_t>& values) {
  const std::string name = fresh("shape");
  onnx::TensorProto* tensor = model_.mutable_graph()->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::INT64);
  tensor->add_dims(static_cast<int64_t>(values.size()));
  for (int64_t value : values) tensor->add_int64_data(value);
  return name;
}

void LayerBuilder::add_tensor(const std::string& name, const std::vector<int64_t>& shape,
                              const std::vector<float>& values) {
  onnx::TensorProto* tensor = model_.mutable_graph()->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::FLOAT);
  for (int64_t extent : shape) tensor->add_dims(extent);
  tensor->set_raw_data(values.data(), values.size() * sizeof(float));
}

std::vector<float> LayerBuilder::drawn(int64_t count, int64_t fan_in, int64_t fan_out) {
  std::vector<float> values(static_cast<size_t>(count));
  const bool normal = initialization_ == Initialization::kDcgan || initialization_ == Initialization::kHe;
  draw_latent(normal ? Prior::kNormal : Prior::kUniform, seed_, stream_, drawn_++, values.size(), values.data());
  double scale = 0.02;
  if (initialization_ == Initialization::kPytorch) scale = 1 / std::sqrt(static_cast<double>(fan_in));
  if (initialization_ == Initialization::kXavier) scale = std::sqrt(6 / static_cast<double>(fan_in + fan_out));
  if (initialization_ == Initialization::kHe) scale = std::sqrt(2 / static_cast<double>(fan_in));
  for (float& value : values) value *= static_cast<float>(scale);
  return values;
}

int64_t LayerBuilder::counted(const std::string& name, const std::vector<int64_t>& shape) {
  const int64_t count = elements(shape);
  parameters_ += count;
  io::Budget::least().check(static_cast<uint64_t>(parameters_) * sizeof(float),
                            "with parameter " + name + ", " + to_text(shape) + ", the network");
  return count;
}

void LayerBuilder::weights(const std::string& name, const std::vector<int64_t>& shape, int64_t fan_in,
                           int64_t fan_out) {
  add_tensor(name, shape, drawn(counted(name, shape), fan_in, fan_out));
}

void LayerBuilder::constant(const std::string& name, const std::vector<int64_t>& shape, float value) {
  add_tensor(name, shape, std::vector<float>(static_cast<size_t>(counted(name, shape)), value));
}

std::vector<float> LayerBuilder::drawn_bias(int64_t count, int64_t fan_in) {
  if (initialization_ == Initialization::kPytorch) return drawn(count, fan_in, 0);
  return std::vector<float>(static_cast<size_t>(count));
}

void LayerBuilder::bias(const std::string& name, const std::vector<int64_t>& shape, int64_t fan_in) {
  add_tensor(name, shape, drawn_bias(counted(name, shape), fan_in));
}

LayerBuilder::Tensor LayerBuilder::reshaped(const Tensor& x, const std::vector<int64_t>& shape) {
  if (x.shape == shape) return x;
  std::vector<int64_t> with_batch = {-1};
  with_batch.insert(with_batch.end(), shape.begin(), shape.end());
  const std::string name = fresh("reshape");
  node("Reshape", {x.name, integers(with_batch)}, name);
  return {name, shape};
}

LayerBuilder::Tensor LayerBuilder::expanded(const Tensor& x, const std::vector<int64_t>& shape) {
  std::vector<int64_t> with_batch = {1};
  with_batch.insert(with_batch.end(), shape.begin(), shape.end());
  const std::string name = fresh("expand");
  node("Expand", {x.name, integers(with_batch)}, name);
  return {name, shape};
}

LayerBuilder::Tensor LayerBuilder::linear(const Tensor& x, int64_t units, bool with_bias, const std::string& name) {
  const int64_t features = x.shape.back();
  std::vector<int64_t> shape = x.shape;
  shape.back() = units;
  weights(name + ".weight", {units, features}, features, units);
  if (with_bias) bias(name + ".bias", {units}, features);
  if (x.shape.size() == 1) {
    std::vector<std::string> inputs = {x.name, name + ".weight"};
    if (with_bias) inputs.push_back(name + ".bias");
    set_integer(node("Gemm", inputs, name), "transB", 1);
    return {name, shape};
  }
  const std::string transposed = fresh("transpose");
  set_integers(node("Transpose", {name + ".weight"}, transposed), "perm", {1, 0});
  const std::string product = with_bias ? fresh("product") : name;
  node("MatMul", {x.name, transposed}, product);
  if (with_bias) node("Add", {product, name + ".bias"}, name);
  return {name, shape};
}

LayerBuilder::Tensor LayerBuilder::head(const Tensor& x, int64_t units, const std::string& name) {
  return linear(reshaped(x, {elements(x.shape)}), units, true, name);
}

LayerBuilder::Tensor LayerBuilder::convolution(const Tensor& x, const RecipeValue& value, const std::string& name,
                                               bool transposed) {
  if (x.shape.size() != 3) value.fail("needs an image [channels, height, width], has " + to_text(x.shape));
  const int64_t channels = value.integer("channels", 1, kMaxUnits);
  const int64_t kernel = value.integer("kernel", 1, 1024);
  const int64_t stride = value.integer("stride", 1, 1, 1024);
  const int64_t padding = value.integer("padding", 0, 0, 1024);
  const int64_t dilation = value.integer("dilation", 1, 1, 1024);
  const int64_t groups = value.integer("groups", 1, 1, kMaxUnits);
  const int64_t output_padding = transposed ? value.integer("output_padding", 0, 0, 1023) : 0;
  if (x.shape[0] % groups != 0 || channels % groups != 0) value.fail("its groups do not divide the channels");
  const std::vector<int64_t> shape = transposed ? std::vector<int64_t>{x.shape[0], channels / groups, kernel, kernel}
                                                : std::vector<int64_t>{channels, x.shape[0] / groups, kernel, kernel};
  // PyTorch takes dimension 1 for the fan in of both.
  const int64_t fan_in = shape[1] * kernel * kernel;
  weights(name + ".weight", shape, fan_in, shape[0] * kernel * kernel);
  std::vector<std::string> inputs = {x.name, name + ".weight"};
  if (value.flag("bias", true)) {
    bias(name + ".bias", {channels}, fan_in);
    inputs.push_back(name + ".bias");
  }
  onnx::NodeProto* result = node(transposed ? "ConvTranspose" : "Conv", inputs, name);
  set_integers(result, "kernel_shape", {kernel, kernel});
  set_integers(result, "strides", {stride, stride});
  set_integers(result, "pads", {padding, padding, padding, padding});
  set_integers(result, "dilations", {dilation, dilation});
  set_integer(result, "group", groups);
  if (transposed) set_integers(result, "output_padding", {output_padding, output_padding});
  std::vector<int64_t> out = {channels, 0, 0};
  for (size_t i = 1; i < 3; ++i) {
    const int64_t span = (kernel - 1) * dilation + 1;
    out[i] = transposed ? (x.shape[i] - 1) * stride - 2 * padding + span + output_padding
                        : (x.shape[i] + 2 * padding - span >= 0 ? (x.shape[i] + 2 * padding - span) / stride + 1 : 0);
    if (out[i] < 1) value.fail("its output would be empty: its input is " + to_text(x.shape));
  }
  return {name, out};
}

LayerBuilder::Tensor LayerBuilder::recurrent(const Tensor& x, const RecipeValue& value, const std::string& name,
                                             bool lstm) {
  if (x.shape.size() != 2) value.fail("needs a sequence [steps, features], has " + to_text(x.shape));
  const int64_t units = value.integer("units", 1, kMaxUnits);
  const int64_t blocks = (lstm ? 4 : 3) * units;
  const bool last = value.choice("return", 0, {"sequence", "last"}) == 1;
  // PyTorch's recurrent layers take the units for the fan in of all.
  weights(name + ".weight_ih", {1, blocks, x.shape[1]}, units, units);
  weights(name + ".weight_hh", {1, blocks, units}, units, units);
  std::vector<float> biases = drawn_bias(counted(name + ".bias", {2 * blocks}), units);
  // ONNX's gates are input, output, forget, cell; their biases are of the input, then of the state.
  if (lstm && value.has("forget_bias")) {
    const auto gate = static_cast<std::ptrdiff_t>(units);
    const auto state = static_cast<std::ptrdiff_t>(blocks);
    const auto forget = biases.begin() + 2 * gate;
    std::fill(forget, forget + gate, static_cast<float>(value.number("forget_bias", 0, -100, 100)));
    std::fill(forget + state, forget + state + gate, 0.0F);
  }
  add_tensor(name + ".bias", {1, 2 * blocks}, biases);
  const std::string sequence = fresh("sequence");
  set_integers(node("Transpose", {x.name}, sequence), "perm", {1, 0, 2});
  onnx::NodeProto* cell =
      node(lstm ? "LSTM" : "GRU", {sequence, name + ".weight_ih", name + ".weight_hh", name + ".bias"}, "");
  cell->set_name(name);
  const std::string y = fresh("states");
  const std::string hidden = fresh("last");
  cell->add_output(last ? "" : y);
  cell->add_output(last ? hidden : "");
  set_integer(cell, "hidden_size", units);
  if (value.flag("reversed", false)) set_text(cell, "direction", "reverse");
  if (!lstm) set_integer(cell, "linear_before_reset", 1);
  const std::string squeezed = fresh("squeeze");
  if (last) {
    node("Squeeze", {hidden, integers({0})}, squeezed);
    return {squeezed, {units}};
  }
  node("Squeeze", {y, integers({1})}, squeezed);
  const std::string result = fresh("batch_first");
  set_integers(node("Transpose", {squeezed}, result), "perm", {1, 0, 2});
  return {result, {x.shape[0], units}};
}

LayerBuilder::Tensor LayerBuilder::normalization(const Tensor& x, const RecipeValue& value, const std::string& name,
                                                 bool batch) {
  const int64_t channels = batch ? x.shape[0] : x.shape.back();
  if (batch && x.shape.size() == 2) value.fail("sequences take layer_norm");
  if (batch && initialization_ == Initialization::kDcgan) {
    std::vector<float> values(static_cast<size_t>(counted(name + ".weight", {channels})));
    draw_latent(Prior::kNormal, seed_, stream_, drawn_++, values.size(), values.data());
    for (float& scale : values) scale = 1 + 0.02F * scale;
    add_tensor(name + ".weight", {channels}, values);
  } else {
    constant(name + ".weight", {channels}, 1);
  }
  constant(name + ".bias", {channels}, 0);
  std::vector<std::string> inputs = {x.name, name + ".weight", name + ".bias"};
  if (batch) {
    constant(name + ".running_mean", {channels}, 0);
    constant(name + ".running_var", {channels}, 1);
    inputs.push_back(name + ".running_mean");
    inputs.push_back(name + ".running_var");
  }
  set_real(node(batch ? "BatchNormalization" : "LayerNormalization", inputs, name), "epsilon",
           value.number("epsilon", 1e-5, 1e-12, 1));
  return {name, x.shape};
}

LayerBuilder::Tensor LayerBuilder::pool(const Tensor& x, const RecipeValue& value, const std::string& type) {
  if (x.shape.size() != 3) value.fail("needs an image [channels, height, width], has " + to_text(x.shape));
  const int64_t kernel = value.integer("kernel", 1, 1024);
  const int64_t stride = value.integer("stride", kernel, 1, 1024);
  if (kernel > x.shape[1] || kernel > x.shape[2]) value.fail("its kernel is larger than its input " + to_text(x.shape));
  const std::string name = fresh(type);
  onnx::NodeProto* result = node(type == "max_pool" ? "MaxPool" : "AveragePool", {x.name}, name);
  set_integers(result, "kernel_shape", {kernel, kernel});
  set_integers(result, "strides", {stride, stride});
  return {name, {x.shape[0], (x.shape[1] - kernel) / stride + 1, (x.shape[2] - kernel) / stride + 1}};
}

// The types of layers: what a recipe may and must say of each, and how it is built from that.
struct LayerBuilder::Type {
  std::string name;
  std::vector<std::string> required;
  std::vector<std::string> optional;
  Tensor (*build)(LayerBuilder& build, const Tensor& x, const RecipeValue& options, const std::string& name);
};

const std::vector<LayerBuilder::Type>& LayerBuilder::types() {
  using Build = LayerBuilder;
  using Options = RecipeValue;
  using Name = std::string;
  static const std::vector<Type> all = {
      {"linear",
       {"units"},
       {"bias"},
       [](Build& build, const Tensor& x, const Options& options, const Name& name) {
         if (x.shape.size() == 3)
           options.fail("needs features: put \"flatten\" before it, its input is " + to_text(x.shape));
         return build.linear(x, options.integer("units", 1, kMaxUnits), options.flag("bias", true), name);
       }},
      {"conv",
       {"channels", "kernel"},
       {"stride", "padding", "dilation", "groups", "bias"},
       [](Build& build, const Tensor& x, const Options& options, const Name& name) {
         return build.convolution(x, options, name, false);
       }},
      {"conv_transpose",
       {"channels", "kernel"},
       {"stride", "padding", "dilation", "groups", "bias", "output_padding"},
       [](Build& build, const Tensor& x, const Options& options, const Name& name) {
         return build.convolution(x, options, name, true);
       }},
      {"lstm",
       {"units"},
       {"reversed", "return", "forget_bias"},
       [](Build& build, const Tensor& x, const Options& options, const Name& name) {
         return build.recurrent(x, options, name, true);
       }},
      {"gru",
       {"units"},
       {"reversed", "return"},
       [](Build& build, const Tensor& x, const Options& options, const Name& name) {
         return build.recurrent(x, options, name, false);
       }},
      {"batch_norm",
       {},
       {"epsilon"},
       [](Build& build, const Tensor& x, const Options& options, const Name& name) {
         return build.normalization(x, options, name, true);
       }},
      {"layer_norm",
       {},
       {"epsilon"},
       [](Build& build, const Tensor& x, const Options& options, const Name& name) {
         return build.normalization(x, options, name, false);
       }},
      {"dropout",
       {},
       {"rate"},
       [](Build& build, const Tensor& x, const Options& options, const Name& name) {
         const Name rate = build.fresh("rate");
         build.add_tensor(rate, {}, {static_cast<float>(options.number("rate", 0.5, 0, 0.99))});
         build.node("Dropout", {x.name, rate}, name);
         return Tensor{name, x.shape};
       }},
      {"leaky_relu",
       {},
       {"slope"},
       [](Build& build, const Tensor& x, const Options& options, const Name& /*name*/) {
         const Name output = build.fresh("leaky_relu");
         set_real(build.node("LeakyRelu", {x.name}, output), "alpha", options.number("slope", 0.2, 0, 1));
         return Tensor{output, x.shape};
       }},
      {"elu",
       {},
       {"alpha"},
       [](Build& build, const Tensor& x, const Options& options, const Name& /*name*/) {
         const Name output = build.fresh("elu");
         set_real(build.node("Elu", {x.name}, output), "alpha", options.number("alpha", 1, 0, 100));
         return Tensor{output, x.shape};
       }},
      {"flatten",
       {},
       {},
       [](Build& build, const Tensor& x, const Options& /*options*/, const Name& /*name*/) {
         return build.reshaped(x, {elements(x.shape)});
       }},
      {"reshape",
       {"shape"},
       {},
       [](Build& build, const Tensor& x, const Options& options, const Name& /*name*/) {
         const std::vector<int64_t> shape = options.extents("shape");
         if (elements(shape) != elements(x.shape))
           options.fail("cannot reshape " + to_text(x.shape) + " to " + to_text(shape));
         return build.reshaped(x, shape);
       }},
      {"repeat",
       {"steps"},
       {},
       [](Build& build, const Tensor& x, const Options& options, const Name& /*name*/) {
         if (x.shape.size() != 1) options.fail("needs features [n], has " + to_text(x.shape));
         const int64_t steps = options.integer("steps", 1, 65536);
         return build.expanded(build.reshaped(x, {1, x.shape[0]}), {steps, x.shape[0]});
       }},
      {"reverse",
       {},
       {},
       [](Build& build, const Tensor& x, const Options& options, const Name& /*name*/) {
         if (x.shape.size() != 2) options.fail("needs a sequence [steps, features], has " + to_text(x.shape));
         const Name output = build.fresh("reverse");
         build.node(
             "Slice",
             {x.name, build.integers({-1}), build.integers({INT64_MIN + 1}), build.integers({1}), build.integers({-1})},
             output);
         return Tensor{output, x.shape};
       }},
      {"upsample",
       {},
       {"factor"},
       [](Build& build, const Tensor& x, const Options& options, const Name& /*name*/) {
         if (x.shape.size() != 3) options.fail("needs an image [channels, height, width], has " + to_text(x.shape));
         const int64_t factor = options.integer("factor", 2, 1, 64);
         const Name scales = build.fresh("scales");
         const auto scale = static_cast<float>(factor);
         build.add_tensor(scales, {4}, {1, 1, scale, scale});
         const Name output = build.fresh("upsample");
         onnx::NodeProto* resize = build.node("Resize", {x.name, "", scales}, output);
         set_text(resize, "mode", "nearest");
         set_text(resize, "coordinate_transformation_mode", "asymmetric");
         set_text(resize, "nearest_mode", "floor");
         return Tensor{output, {x.shape[0], x.shape[1] * factor, x.shape[2] * factor}};
       }},
      {"max_pool",
       {"kernel"},
       {"stride"},
       [](Build& build, const Tensor& x, const Options& options, const Name& /*name*/) {
         return build.pool(x, options, "max_pool");
       }},
      {"average_pool",
       {"kernel"},
       {"stride"},
       [](Build& build, const Tensor& x, const Options& options, const Name& /*name*/) {
         return build.pool(x, options, "average_pool");
       }},
  };
  return all;
}

std::vector<std::string> recipe_layers() {
  std::vector<std::string> lines;
  for (const LayerBuilder::Type& type : LayerBuilder::types()) {
    std::string line = type.name;
    for (const std::string& key : type.required) line += " " + key;
    for (const std::string& key : type.optional) line += " [" + key + "]";
    lines.push_back(line);
  }
  for (const char* name : simple_functions()) lines.emplace_back(name);
  return lines;
}

LayerBuilder::Tensor LayerBuilder::layer(const Tensor& x, const RecipeValue& value, const std::string& name) {
  static const nlohmann::json kEmpty = nlohmann::json::object();
  const std::string type = value.is_text() ? value.text() : value.at("type").text();
  const RecipeValue options = value.is_text() ? RecipeValue(kEmpty, value.place()) : value;
  if (const char* op = simple_function(type)) {
    options.expect_keys({"type"});
    const std::string output = fresh(type);
    node(op, {x.name}, output);
    return {output, x.shape};
  }
  std::string known;
  for (const Type& candidate : types()) {
    known += candidate.name + ", ";
    if (candidate.name != type) continue;
    if (value.is_text() && !candidate.required.empty())
      value.fail("\"" + type + "\" needs \"" + candidate.required[0] + "\": write it as an object");
    std::set<std::string> keys = {"type"};
    keys.insert(candidate.required.begin(), candidate.required.end());
    keys.insert(candidate.optional.begin(), candidate.optional.end());
    options.expect_keys(keys);
    const Tensor result = candidate.build(*this, x, options, name);
    elements(result.shape);  // throws where they are too many
    return result;
  }
  for (const char* function : simple_functions()) known += std::string(function) + ", ";
  known.resize(known.size() - 2);
  value.fail("does not know the layer \"" + type + "\"; it knows " + known);
}

LayerBuilder::Tensor LayerBuilder::layers(Tensor x, const RecipeValue& list, const std::string& prefix) {
  for (size_t i = 0; i < list.size(); ++i) {
    try {
      x = layer(x, list[i], fmt::format("{}{}", prefix, i));
    } catch (const Error& error) {
      // Errors of the value itself have its place.
      if (std::string(error.what()).rfind(list[i].place(), 0) == 0) throw;
      list[i].fail(error.what());
    }
  }
  return x;
}

LayerBuilder::Tensor LayerBuilder::with_condition(const Tensor& x, const Tensor& condition) {
  Tensor fitted = condition;
  size_t axis = x.shape.size() - 1;
  if (condition.shape.size() == 1 && x.shape.size() == 2) {
    fitted = expanded(reshaped(condition, {1, condition.shape[0]}), {x.shape[0], condition.shape[0]});
  } else if (condition.shape.size() == 1 && x.shape.size() == 3) {
    fitted = expanded(reshaped(condition, {condition.shape[0], 1, 1}), {condition.shape[0], x.shape[1], x.shape[2]});
    axis = 0;
  } else if (condition.shape.size() == 2 && x.shape.size() == 1) {
    fitted = reshaped(condition, {elements(condition.shape)});
  } else if (condition.shape.size() != x.shape.size() || (x.shape.size() == 2 && condition.shape[0] != x.shape[0])) {
    throw Error("a condition " + to_text(condition.shape) + " does not fit " + to_text(x.shape));
  }
  const std::string name = fresh("condition");
  set_integer(node("Concat", {x.name, fitted.name}, name), "axis", static_cast<int64_t>(axis) + 1);
  std::vector<int64_t> shape = x.shape;
  shape[axis] += fitted.shape[axis];
  return {name, shape};
}

}  // namespace figment::converter
