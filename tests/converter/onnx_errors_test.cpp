// Broken and unsupported ONNX files: one clear message each, never a crash.
#include <doctest/doctest.h>

#include <functional>
#include <limits>

#include "convert.h"
#include "import/import_onnx.h"
#include "onnx_builder.h"
#include "passes/optimize.h"
#include "support.h"
#include "write/runner.h"

using namespace figment::converter;
using figment::test::OnnxBuilder;
using figment::test::OnnxFile;

namespace {

// latent [N, 4] -> Gemm (weight [3, 4]) -> Relu -> image [N, 3].
onnx::ModelProto small_model() {
  OnnxBuilder model;
  model.input("latent", {4});
  model.output("image", {3});
  std::vector<float> weight(12);
  for (size_t i = 0; i < 12; ++i) weight[i] = 0.1F * static_cast<float>(i);
  model.floats("weight", {3, 4}, weight);
  onnx::NodeProto* gemm = model.node("Gemm", {"latent", "weight"}, {"hidden"});
  gemm->set_name("dense");
  OnnxBuilder::attribute(gemm, "transB", 1);
  model.node("Relu", {"hidden"}, {"image"})->set_name("activation");
  return model.model;
}

// Makes the input [N, extent].
void set_extent(onnx::ModelProto* model, int64_t extent) {
  onnx::TypeProto_Tensor* type = model->mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type();
  type->mutable_shape()->mutable_dim(1)->set_dim_value(extent);
}

std::string error_of(const onnx::ModelProto& model) {
  try {
    Graph graph = import_onnx(model.SerializeAsString(), "model.onnx", "run");
    optimize(&graph);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

// The error of the small model after `change` names all of `parts`.
void check_error(const std::function<void(onnx::ModelProto*)>& change, std::initializer_list<const char*> parts) {
  onnx::ModelProto model = small_model();
  change(&model);
  const std::string error = error_of(model);
  CHECK_FALSE(error.empty());
  for (const char* part : parts) CHECK_MESSAGE(error.find(part) != std::string::npos, error, " should say ", part);
}

}  // namespace

TEST_CASE("the small model itself is fine") { CHECK(error_of(small_model()) == ""); }

TEST_CASE("what is wrong with an ONNX file is said by name") {
  check_error([](auto* m) { m->mutable_graph()->mutable_node(1)->set_op_type("Det"); },
              {"activation", "Det", "opset 17", "not supported"});
  check_error([](auto* m) { m->mutable_graph()->mutable_node(1)->set_domain("com.example"); },
              {"activation", "com.example"});
  check_error([](auto* m) { m->mutable_graph()->mutable_node(1)->set_op_type("If"); },
              {"activation", "If", "condition", "known"});
  check_error([](auto* m) { m->mutable_graph()->clear_initializer(); }, {"dense", "weight", "does not exist"});
  check_error([](auto* m) { m->mutable_graph()->mutable_node(0)->set_input(0, "image"); }, {"dense", "image", "cycle"});
  check_error([](auto* m) { m->mutable_graph()->mutable_node(1)->set_output(0, "hidden"); }, {"hidden", "twice"});
  check_error([](auto* m) { m->mutable_graph()->mutable_output(0)->set_name("nothing"); },
              {"nothing", "never computed"});
  check_error([](auto* m) { m->mutable_graph()->clear_output(); }, {"no outputs"});
  check_error([](auto* m) { m->mutable_graph()->clear_node(); }, {"no nodes"});
  check_error([](auto* m) { m->mutable_opset_import(0)->set_version(5); }, {"opset 5", "opset_version=17"});
  check_error(
      [](auto* m) { m->mutable_graph()->mutable_initializer(0)->set_data_location(onnx::TensorProto::EXTERNAL); },
      {"weight", "outside"});
  check_error([](auto* m) { m->mutable_graph()->mutable_initializer(0)->set_data_type(onnx::TensorProto::STRING); },
              {"weight", "STRING", "float"});
  check_error([](auto* m) { m->mutable_graph()->mutable_initializer(0)->set_dims(0, 5); }, {"weight", "12 values"});
  check_error([](auto* m) { m->mutable_graph()->mutable_initializer(0)->set_dims(0, -5); }, {"weight", "negative"});
  check_error([](auto* m) { m->mutable_graph()->mutable_initializer(0)->set_dims(0, int64_t{1} << 60); },
              {"weight", "too many"});
  check_error(
      [](auto* m) {
        m->mutable_graph()->mutable_initializer(0)->set_float_data(3, std::numeric_limits<float>::quiet_NaN());
      },
      {"weight", "NaN"});
  check_error([](auto* m) { set_extent(m, 5); }, {"dense", "not the weights'"});
  check_error([](auto* m) { set_extent(m, int64_t{1} << 40); }, {"latent", "dimension"});
  check_error(
      [](auto* m) {
        m->mutable_graph()
            ->mutable_input(0)
            ->mutable_type()
            ->mutable_tensor_type()
            ->mutable_shape()
            ->mutable_dim(1)
            ->set_dim_param("width");
      },
      {"latent", "open"});
}

TEST_CASE("all nodes that cannot be converted are listed at once, each with what to do") {
  onnx::ModelProto model = small_model();
  onnx::GraphProto* graph = model.mutable_graph();
  graph->mutable_node(1)->set_output(0, "activated");
  const char* ops[] = {"Det", "Unique", "Det", "NonMaxSuppression", "MaxUnpool", "Relu"};
  std::string last = "activated";
  for (size_t i = 0; i < std::size(ops); ++i) {
    onnx::NodeProto* node = graph->add_node();
    node->set_op_type(ops[i]);
    node->set_name("n" + std::to_string(i));
    node->add_input(last);
    last = i + 1 == std::size(ops) ? "image" : "t" + std::to_string(i);
    node->add_output(last);
  }
  const std::string error = error_of(model);
  for (const char* part : {"5 nodes cannot be converted", "node n0 and 1 more (Det", "node n1 (Unique",
                           "end the exported network before it", "nn.Upsample", "node n3 (NonMaxSuppression",
                           "rewrite the model", "node n4 (MaxUnpool"})
    CHECK_MESSAGE(error.find(part) != std::string::npos, error, " should say ", part);
  CHECK(error.find("n5") == std::string::npos);
}

TEST_CASE("what no output depends on is left out, whatever it is") {
  onnx::ModelProto model = small_model();
  onnx::NodeProto* node = model.mutable_graph()->add_node();
  node->set_op_type("NonZero");
  node->add_input("hidden");
  node->add_output("nowhere");
  CHECK(error_of(model) == "");
}

TEST_CASE("an output of a node that is read and not supported is named") {
  OnnxBuilder model;
  model.input("x", {2});
  model.output("y", {2});
  for (const char* name : {"scale", "shift", "mean", "variance"}) model.floats(name, {2}, {1, 2});
  OnnxBuilder::attribute(
      model.node("BatchNormalization", {"x", "scale", "shift", "mean", "variance"}, {"norm", "running", "spread"}),
      "training_mode", 1);
  model.node("Add", {"norm", "running"}, {"y"});
  const std::string training = error_of(model.model);
  CHECK_MESSAGE(training.find("norm") != std::string::npos, training);
  model.graph()->mutable_node(0)->clear_attribute();
  const std::string error = error_of(model.model);
  CHECK_MESSAGE(error.find("node norm (BatchNormalization") != std::string::npos, error);
  CHECK_MESSAGE(error.find("its output running is not supported") != std::string::npos, error);
  model.graph()->mutable_node(1)->set_input(1, "norm");
  CHECK(error_of(model.model) == "");
}

namespace {

// The model's only output for x, or its error.
std::string run_or_error(const OnnxBuilder& model, std::vector<float> x, size_t count, std::vector<float>* y) {
  const OnnxFile file(model.model);
  ConvertOptions options;
  options.sources = {{"run", file.path()}};
  try {
    Runner runner(convert(options, {}).file, 1);
    *y = runner.run("run", {{"x", std::move(x)}}, count).begin()->second;
    return "";
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("a power has an exponent for all elements or for each") {
  struct Case {
    std::vector<int64_t> shape;
    std::vector<float> exponents;
    std::vector<float> powers;
  };
  const std::vector<float> squares = {4, 9, 16, 25};
  for (const Case& one :
       {Case{{}, {2}, squares}, Case{{1}, {2}, squares}, Case{{4}, {2, 2, 2, 2}, squares}, Case{{1, 1}, {2}, squares},
        Case{{4}, {2, 1, 0, -1}, {4, 3, 1, 0.2F}}, Case{{1, 1, 1}, {2}, squares}}) {
    for (const bool integers : {false, true}) {
      OnnxBuilder model;
      model.input("x", {4});
      model.output("y", {4});
      const std::string exponent = integers
                                       ? model.integers("e", one.shape, {one.exponents.begin(), one.exponents.end()})
                                       : model.floats("e", one.shape, one.exponents);
      model.node("Pow", {"x", exponent}, {"y"});
      std::vector<float> y;
      const std::string error = run_or_error(model, {2, 3, 4, 5}, 1, &y);
      REQUIRE_MESSAGE(y.size() == one.powers.size(), error);
      for (size_t i = 0; i < y.size(); ++i) CHECK(y[i] == doctest::Approx(one.powers[i]).epsilon(1e-6));
    }
  }
}

TEST_CASE("a power of negative numbers has the sign of an odd exponent, and is NaN for a broken one") {
  OnnxBuilder model;
  model.input("x", {4});
  model.output("y", {4});
  model.node("Pow", {"x", model.floats("e", {4}, {3, 2, 0, 0.5F})}, {"y"});
  std::vector<float> y;
  const std::string error = run_or_error(model, {-2, -3, -4, -5}, 1, &y);
  REQUIRE_MESSAGE(y.size() == 4, error);
  CHECK(y[0] == doctest::Approx(-8).epsilon(1e-6));
  CHECK(y[1] == doctest::Approx(9).epsilon(1e-6));
  CHECK(y[2] == 1);
  CHECK(std::isnan(y[3]));
}

TEST_CASE("arithmetic on integers is that of their type, or refused") {
  struct Case {
    const char* op;
    int32_t type;
    int64_t a;
    int64_t b;
    float result;
    const char* message;
  };
  using Type = onnx::TensorProto;
  for (const Case& one :
       {Case{"Div", Type::INT64, -7, 2, -3, ""}, Case{"Mod", Type::INT64, -7, 3, 2, ""},
        Case{"fmod", Type::INT64, -7, 3, -1, ""}, Case{"fmod", Type::INT64, 7, -3, 1, ""},
        Case{"Mod", Type::INT64, 7, 0, 0, "divides an integer by zero"}, Case{"Add", Type::UINT8, 250, 5, 255, ""},
        Case{"Add", Type::UINT8, 250, 10, 0, "260 is no UINT8"}, Case{"Sub", Type::UINT8, 1, 2, 0, "-1 is no UINT8"},
        Case{"Mul", Type::INT32, INT32_MAX, 2, 0, "4294967294 is no INT32"}}) {
    INFO(std::string(one.op), one.a, one.b);
    OnnxBuilder model;
    model.input("x", {1});
    model.output("y", {1});
    for (const auto& [name, value] : {std::pair("a", one.a), {"b", one.b}}) {
      model.integers(name, {1}, {value});
      onnx::TensorProto* tensor = model.graph()->mutable_initializer(model.graph()->initializer_size() - 1);
      tensor->set_data_type(one.type);
      if (one.type != Type::INT64) {
        tensor->clear_int64_data();
        tensor->add_int32_data(static_cast<int32_t>(value));
      }
    }
    const bool fmod = std::string(one.op) == "fmod";
    onnx::NodeProto* node = model.node(fmod ? "Mod" : one.op, {"a", "b"}, {"c"});
    if (fmod) OnnxBuilder::attribute(node, "fmod", 1);
    OnnxBuilder::attribute(model.node("Cast", {"c"}, {"d"}), "to", onnx::TensorProto::FLOAT);
    model.node("Add", {"x", "d"}, {"y"});
    std::vector<float> y;
    const std::string error = run_or_error(model, {0}, 1, &y);
    if (*one.message == '\0') {
      CHECK_MESSAGE((y == std::vector<float>{one.result}), error);
    } else {
      CHECK_MESSAGE(error.find(one.message) != std::string::npos, error);
    }
  }
}

TEST_CASE("whether an open batch is of a certain size is no question for a converter") {
  for (const auto& [number, message] :
       {std::pair(int64_t{1}, "of a certain size"), {64, "of a certain size"}, {0, ""}, {-1, ""}}) {
    OnnxBuilder model;
    model.input("x", {2});
    model.output("y", {2});
    model.node("Shape", {"x"}, {"shape"});
    model.node("Gather", {"shape", model.integers("zero", {}, {0})}, {"batch"});
    model.node("Equal", {"batch", model.integers("number", {}, {number})}, {"same"});
    model.node("Where", {"same", model.integers("yes", {}, {1}), model.integers("no", {}, {2})}, {"which"});
    OnnxBuilder::attribute(model.node("Cast", {"which"}, {"factor"}), "to", onnx::TensorProto::FLOAT);
    model.node("Mul", {"x", "factor"}, {"y"});
    std::vector<float> y;
    const std::string error = run_or_error(model, {3, 4}, 1, &y);
    CHECK_MESSAGE(error.find(message) != std::string::npos, error);
    if (*message == '\0') CHECK_MESSAGE((y == std::vector<float>{6, 8}), error);
  }
}

TEST_CASE("a resize by a factor has the size and the pixels that PyTorch's has") {
  // nn.Upsample(scale_factor=s, mode="nearest") of 0 to 9.
  const std::vector<std::pair<float, std::vector<float>>> cases = {
      {0.7F, {0, 1, 2, 4, 5, 7, 8}},
      {1.4F, {0, 0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 7, 8, 9}},
      {2.3F, {0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6, 6, 6, 7, 7, 8, 8, 9, 9}}};
  for (const auto& [scale, expected] : cases) {
    OnnxBuilder model;
    model.input("x", {1, 1, 10});
    model.output("y", {1, 1, static_cast<int64_t>(expected.size())});
    onnx::NodeProto* node = model.node("Resize", {"x", "", model.floats("scales", {4}, {1, 1, 1, scale})}, {"y"});
    OnnxBuilder::attribute(node, "coordinate_transformation_mode", "asymmetric");
    OnnxBuilder::attribute(node, "nearest_mode", "floor");
    std::vector<float> y;
    const std::string error = run_or_error(model, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 1, &y);
    CHECK_MESSAGE(y == expected, error);
  }
}

namespace {

// int8 of a model of one input x of `size` values, calibrated on examples in [low, low + 2 * half).
QuantizeReport int8_of(const OnnxBuilder& model, size_t size, float low, float half) {
  constexpr size_t kExamples = 64;
  const OnnxFile file(model.model);
  ConvertOptions options;
  options.sources = {{"run", file.path()}};
  options.int8 = true;
  figment::io::Array& examples = options.calibration_data["x"];
  examples.shape = {kExamples, size};
  figment::test::Random random(6);
  for (size_t i = 0; i < kExamples * size; ++i) examples.values.push_back(low + half * (random.real() + 1));
  return *convert(options, {}).report.programs[0].int8;
}

}  // namespace

TEST_CASE("int8 that makes NaN is noise, and stays f32") {
  // exp(x) rounds to 0 in int8 for most x in [-10, 0], and 0 / 0 is NaN.
  OnnxBuilder model;
  model.input("x", {8});
  model.output("y", {8});
  model.node("Exp", {"x"}, {"s"});
  model.node("Mul", {"x", "s"}, {"product"});
  model.node("Div", {"product", "s"}, {"y"});
  const QuantizeReport report = int8_of(model, 8, -10, 5);
  CHECK(!report.fully_int8);
  CHECK(report.snr_db >= 20);
}

TEST_CASE("what is the same in all samples is no signal of int8") {
  // Channels 100 apart, in which x is lost.
  OnnxBuilder model;
  model.input("x", {4});
  model.output("y", {4});
  model.node("Mul", {"x", model.floats("scale", {}, {0.05F})}, {"small"});
  model.node("Add", {"small", model.floats("offset", {4}, {0, 100, 0, 100})}, {"y"});
  const QuantizeReport report = int8_of(model, 4, -1, 1);
  CHECK(!report.fully_int8);
  CHECK(report.snr_db >= 20);
}

TEST_CASE("what int8 is calibrated on takes no more memory than is due to the model") {
  OnnxBuilder model;
  model.input("x", {1000000});
  model.output("y", {1000000});
  model.node("Relu", {"x"}, {"y"});
  const OnnxFile file(model.model);
  ConvertOptions options;
  options.sources = {{"generate", file.path()}};
  options.latent = "x";
  options.int8 = true;
  CHECK_THROWS_WITH_AS(convert(options, {}), doctest::Contains("to calibrate on 512 samples (--calibrate) would take"),
                       figment::io::Error);
}

TEST_CASE("samples to calibrate on are taken as data is: by shape, type and range") {
  OnnxBuilder model;
  model.input("image", {3, 2, 2});
  model.input("class", {4});
  model.output("y", {3, 2, 2});
  model.floats("weight", {4, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1});
  model.node("MatMul", {"class", "weight"}, {"shift"});
  model.node("Reshape", {"shift", model.integers("shape", {4}, {-1, 3, 1, 1})}, {"channels"});
  model.node("Add", {"image", "channels"}, {"y"});
  const OnnxFile file(model.model);
  ConvertOptions options;
  options.sources = {{"run", file.path()}};
  options.int8 = true;
  constexpr size_t kExamples = 32;
  figment::test::Random random(6);
  figment::io::Array image{{kExamples, 3, 2, 2}, {}};
  figment::io::Array last{{kExamples, 2, 2, 3}, std::vector<float>(kExamples * 12)};  // the same, channels last
  for (size_t n = 0; n < kExamples; ++n) {
    for (size_t c = 0; c < 3; ++c) {
      for (size_t i = 0; i < 4; ++i)
        image.values.push_back(last.values[n * 12 + i * 3 + c] = static_cast<float>(c + 1) * random.real());
    }
  }
  figment::io::Array labels{{kExamples}, {}};
  figment::io::Array one_hot{{kExamples, 4}, std::vector<float>(kExamples * 4), true};
  for (size_t n = 0; n < kExamples; ++n) {
    labels.values.push_back(static_cast<float>(n % 4));
    one_hot.values[n * 4 + n % 4] = 1;
  }
  const auto convert_with = [&](const figment::io::Array& images, const figment::io::Array& classes) {
    options.calibration_data = {{"image", images}, {"class", classes}};
    return convert(options, {}).file;
  };
  const std::vector<uint8_t> expected = convert_with(image, one_hot);
  CHECK(convert_with(last, labels) == expected);
  const auto error_with = [&](const figment::io::Array& images, const figment::io::Array& classes) -> std::string {
    try {
      convert_with(images, classes);
      return "";
    } catch (const std::exception& error) {
      return error.what();
    }
  };
  const auto has = [](const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  };
  figment::io::Array wide = image;
  wide.shape = {kExamples, 3, 4, 1};
  CHECK(has(error_with(wide, labels), "samples of [3, 4, 1]; input image takes samples of [3, 2, 2]"));
  const figment::io::Array pixels{image.shape, std::vector<float>(image.values.size(), 7), true};
  CHECK(has(error_with(pixels, labels), "save floats"));
  figment::io::Array fewer = labels;
  fewer.shape = {16};
  fewer.values.resize(16);
  CHECK(has(error_with(image, fewer), "different numbers of samples"));
  options.calibration_classes = {"image"};
  options.calibration_data = {{"class", labels}};
  CHECK_THROWS_WITH_AS(convert(options, {}), doctest::Contains("image is [N, 3, 2, 2]: give samples"), Error);
  options.calibration_classes = {"color"};
  CHECK_THROWS_WITH_AS(convert(options, {}), doctest::Contains("there is no such input; there are image, class"),
                       Error);
}

TEST_CASE("inputs and tensors of other types and shapes are refused with what to type") {
  check_error([](auto* m) { m->mutable_opset_import(0)->set_version(99); }, {"opset 99", "opset_version=17"});
  check_error(
      [](auto* m) { m->mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_shape(); },
      {"latent", "no shape", "update_model_dims"});
  for (const auto type : {onnx::TensorProto::BOOL, onnx::TensorProto::INT8, onnx::TensorProto::UINT64}) {
    check_error(
        [type](auto* m) {
          onnx::TensorProto* weight = m->mutable_graph()->mutable_initializer(0);
          weight->clear_float_data();
          weight->set_data_type(type);
          weight->set_raw_data(std::string(type == onnx::TensorProto::UINT64 ? 96 : 12, 1));
        },
        {"dense", "weight", "integers", ".float()"});
  }
  check_error(
      [](auto* m) {
        onnx::NodeProto* node = m->mutable_graph()->mutable_node(1);
        node->set_op_type("Dropout");
        node->add_input("ratio");
        node->add_input("training");
        onnx::TensorProto* ratio = m->mutable_graph()->add_initializer();
        ratio->set_name("ratio");
        ratio->set_data_type(onnx::TensorProto::FLOAT);
        ratio->add_float_data(0.5F);
        onnx::TensorProto* training = m->mutable_graph()->add_initializer();
        training->set_name("training");
        training->set_data_type(onnx::TensorProto::BOOL);
        training->add_int32_data(1);
      },
      {"activation", "Dropout", "training", "model.eval()"});
}

TEST_CASE("an ONNX file cut or flipped anywhere is an error or a model") {
  const std::string bytes = small_model().SerializeAsString();
  for (size_t size = 0; size < bytes.size(); ++size) {
    try {
      Graph graph = import_onnx(bytes.substr(0, size), "short", "run");
      optimize(&graph);
    } catch (const Error&) {
    }
  }
  figment::test::Random random(4);
  for (int trial = 0; trial < 3000; ++trial) {
    std::string flipped = bytes;
    for (uint32_t i = random.integer(1, 4); i > 0; --i) {
      flipped[random.integer(0, static_cast<uint32_t>(bytes.size()) - 1)] = static_cast<char>(random.next());
    }
    try {
      Graph graph = import_onnx(flipped, "flipped", "run");
      optimize(&graph);
    } catch (const Error&) {
    }
  }
}
