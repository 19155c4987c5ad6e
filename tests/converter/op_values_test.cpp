// Values of ops whose definitions have corners.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "imported.h"
#include "support.h"

using namespace figment::converter;
using namespace figment::test;

TEST_CASE("labels pick rows of an embedding, and one-hot vectors") {
  OnnxBuilder model;
  model.input("label", {});
  model.output("y", {2});
  make_integer(&model, 0);
  model.floats("table", {3, 2}, {1, 2, 3, 4, 5, 6});
  model.node("Gather", {"table", "label"}, {"y"});
  CHECK(run(import(model), {{"label", {2, 0, 1}}}, 3).at("y") == std::vector<float>{5, 6, 1, 2, 3, 4});

  OnnxBuilder hot;
  hot.input("label", {});
  hot.output("y", {3});
  make_integer(&hot, 0);
  hot.integers("depth", {}, {3});
  hot.floats("values", {2}, {-1, 2});
  hot.node("OneHot", {"label", "depth", "values"}, {"y"});
  CHECK(run(import(hot), {{"label", {1, 2}}}, 2).at("y") == std::vector<float>{-1, 2, -1, -1, -1, 2});

  OnnxBuilder divided;
  divided.input("label", {});
  divided.output("y", {});
  make_integer(&divided, 0);
  divided.integers("two", {}, {2});
  divided.node("Div", {"label", "two"}, {"half"});
  OnnxBuilder::attribute(divided.node("Cast", {"half"}, {"y"}), "to", int64_t{onnx::TensorProto::FLOAT});
  CHECK(run(import(divided), {{"label", {7, -7}}}, 2).at("y") == std::vector<float>{3, -3});
}

TEST_CASE("a convolution whose weights an input makes has those of each sample") {
  for (const char* op : {"Conv", "ConvTranspose"}) {
    OnnxBuilder model;
    model.input("x", {1, 2, 2});
    model.input("factor", {1});
    model.output("y", {1, 2, 2});
    fix_batch(&model, 1);
    model.floats("kernel", {1, 1, 1, 1}, {2});
    model.node("Reshape", {"factor", model.integers("square", {4}, {1, 1, 1, 1})}, {"factors"});
    model.node("Mul", {"factors", "kernel"}, {"weights"});
    model.node(op, {"x", "weights"}, {"y"});
    const std::vector<float> y =
        run(import(model, true), {{"x", {1, 2, 3, 4, 5, 6, 7, 8}}, {"factor", {1, 10}}}, 2).at("y");
    CHECK(y == std::vector<float>{2, 4, 6, 8, 100, 120, 140, 160});
  }
}

TEST_CASE("an integer without dimensions, and negative indices that are computed") {
  OnnxBuilder model;
  model.input("x", {2});
  model.input("step", {});
  model.graph()->mutable_input(1)->mutable_type()->mutable_tensor_type()->mutable_shape()->clear_dim();
  make_integer(&model, 1);
  model.output("y", {2});
  model.node("Sub", {"step", model.integers("three", {}, {3})}, {"place"});
  model.node("Gather", {model.floats("table", {3, 2}, {1, 2, 3, 4, 5, 6}), "place"}, {"row"});
  model.node("Add", {"x", "row"}, {"y"});
  ModelDefinition definition;
  definition.name = "step";
  definition.programs.push_back(import(model));
  optimize(&definition.programs[0]);
  Runner runner(write_model(definition), 1);
  float x[2] = {10, 20};
  float y[2] = {};
  const fig_tensor output = {"y", y, 2, FIG_F32};
  for (int64_t step = 0; step < 6; ++step) {
    const fig_tensor inputs[] = {{"x", x, 2, FIG_F32}, {"step", &step, 1, FIG_I64}};
    REQUIRE(fig_run(runner.session(), "run", 1, inputs, 2, &output, 1) == FIG_OK);
    CHECK(y[0] == static_cast<float>(11 + 2 * (step % 3)));
  }
  int64_t step = (int64_t{1} << 24) + 1;  // not itself in f32
  const fig_tensor inputs[] = {{"x", x, 2, FIG_F32}, {"step", &step, 1, FIG_I64}};
  CHECK(fig_run(runner.session(), "run", 1, inputs, 2, &output, 1) == FIG_INVALID_ARGUMENT);
}

TEST_CASE("composed functions are right for small, large and infinite arguments") {
  const float infinite = std::numeric_limits<float>::infinity();
  const struct {
    const char* op;
    double (*function)(double);
    std::vector<float> arguments;
  } cases[] = {
      {"Sinh", [](double x) { return std::sinh(x); }, {1e-8F, -1e-5F, 0.1F, -3, 89, -89}},
      {"Cosh", [](double x) { return std::cosh(x); }, {1e-8F, 0.1F, -3, 89, -89, 0}},
      {"Asinh", [](double x) { return std::asinh(x); }, {1e-8F, -1e-5F, 0.3F, -40, 1e20F, -1e30F}},
      {"Acosh", [](double x) { return std::acosh(x); }, {1, 1.00001F, 1.5F, 40, 1e20F, infinite}},
      {"Atanh", [](double x) { return std::atanh(x); }, {1e-8F, -1e-5F, 0.3F, -0.999F, 1, -1}},
  };
  for (const auto& [op, function, arguments] : cases) {
    OnnxBuilder model;
    model.input("x", {6});
    model.output("y", {6});
    model.node(op, {"x"}, {"y"});
    const std::vector<float> y = run(import(model), {{"x", arguments}}, 1).at("y");
    for (size_t i = 0; i < arguments.size(); ++i) {
      const double right = function(static_cast<double>(arguments[i]));
      const auto actual = static_cast<double>(y[i]);
      CHECK_MESSAGE((actual == right || std::fabs(actual - right) <= 4e-6 * std::fabs(right)), op, " of ", arguments[i],
                    " is ", actual, ", not ", right);
    }
  }
}

TEST_CASE("masked rows, negative classes and zero vectors are what ONNX says") {
  const float none = -std::numeric_limits<float>::infinity();
  {
    OnnxBuilder model;
    model.input("x", {3});
    model.output("y", {1});
    OnnxBuilder::attribute(model.node("ReduceLogSumExp", {"x"}, {"y"}), "axes", std::vector<int64_t>{1});
    const std::vector<float> y =
        run(import(model), {{"x", {-1e9F, 0.5F, 0.5F, -1e4F, 0.1234F, -50, none, 1, 2, none, none, none}}}, 4).at("y");
    CHECK(y[0] == doctest::Approx(1.1931472));
    CHECK(y[1] == doctest::Approx(0.1234));
    CHECK(y[2] == doctest::Approx(2.3132617));
    CHECK(y[3] == none);
  }
  {
    OnnxBuilder model;
    model.input("x", {3});
    model.output("y", {3});
    model.node("TopK", {"x", model.integers("k", {1}, {3})}, {"y", "places"});
    const std::vector<float> y = run(import(model), {{"x", {5, none, none, 5, none, 1}}}, 2).at("y");
    CHECK(y == std::vector<float>{5, none, none, 5, 1, none});
  }
  {
    OnnxBuilder model;
    model.input("x", {});
    model.output("y", {3});
    make_integer(&model, 0);
    model.node("OneHot", {"x", model.integers("depth", {}, {3}), model.floats("values", {2}, {0, 1})}, {"y"});
    const std::vector<float> y = run(import(model), {{"x", {-1, 0, 3}}}, 3).at("y");
    CHECK(y == std::vector<float>{0, 0, 1, 1, 0, 0, 0, 0, 0});
  }
  {
    OnnxBuilder model;
    model.input("x", {2});
    model.output("y", {2});
    model.node("LpNormalization", {"x"}, {"y"});
    const std::vector<float> y = run(import(model), {{"x", {0, 0, 3, 4}}}, 2).at("y");
    CHECK(y[0] == 0);
    CHECK(y[1] == 0);
    CHECK(y[3] == doctest::Approx(0.8));
  }
  OnnxBuilder empty;
  empty.input("x", {2});
  empty.output("y", {2});
  empty.node("Pow", {"x", empty.floats("exponent", {0}, {})}, {"y"});
  CHECK(has(error_of(empty), "its exponent is empty"));
}

TEST_CASE("an integer to the power of a float is an integer, in shapes too") {
  OnnxBuilder model;
  model.input("x", {2, 8});
  model.output("y", {16});
  model.node("Pow", {model.integers("four", {1}, {4}), model.floats("two", {1}, {2})}, {"count"});
  model.node("Concat", {model.integers("batch", {1}, {0}), "count"}, {"shape"})->add_attribute()->set_name("axis");
  auto* axis = model.graph()->mutable_node(1)->mutable_attribute(0);
  axis->set_type(onnx::AttributeProto::INT);
  axis->set_i(0);
  model.node("Reshape", {"x", "shape"}, {"y"});
  CHECK(import(model).outputs.at(0).shape == figment::Shape{{1, true}, {16, false}});
}

namespace {

std::vector<float> normalized(const std::vector<float>& x, double epsilon) {
  double mean = 0;
  double variance = 0;
  for (float value : x) mean += static_cast<double>(value) / static_cast<double>(x.size());
  for (float value : x) variance += std::pow(static_cast<double>(value) - mean, 2) / static_cast<double>(x.size());
  std::vector<float> result;
  for (float value : x)
    result.push_back(static_cast<float>((static_cast<double>(value) - mean) / std::sqrt(variance + epsilon)));
  return result;
}

void set_epsilon(onnx::NodeProto* node, float epsilon) {
  onnx::AttributeProto* attribute = node->add_attribute();
  attribute->set_name("epsilon");
  attribute->set_type(onnx::AttributeProto::FLOAT);
  attribute->set_f(epsilon);
}

}  // namespace

TEST_CASE("layer normalization takes factors and shifts that broadcast, and an epsilon of 0") {
  OnnxBuilder model;
  model.input("x", {4});
  model.output("y", {4});
  model.output("z", {4});
  model.floats("scale", {1}, {2});
  model.floats("shift", {4}, {1, 2, 3, 4});
  set_epsilon(model.node("LayerNormalization", {"x", "scale", "shift"}, {"y"}), 0);
  model.node("LayerNormalization", {"x", "shift", "scale"}, {"z"});
  const std::vector<float> x = {1, -2, 0.5F, 3};
  const TensorMap outputs = run(import(model), {{"x", x}}, 1);
  const std::vector<float> exact = normalized(x, 0);
  const std::vector<float> with_epsilon = normalized(x, 1e-5);
  for (size_t i = 0; i < 4; ++i) {
    CHECK(outputs.at("y")[i] == doctest::Approx(2 * exact[i] + static_cast<float>(i + 1)));
    CHECK(outputs.at("z")[i] == doctest::Approx(static_cast<float>(i + 1) * with_epsilon[i] + 2));
  }
  // Nothing varies: nothing is infinite.
  CHECK(run(import(model), {{"x", {5, 5, 5, 5}}}, 1).at("y") == std::vector<float>{1, 2, 3, 4});

  OnnxBuilder negative;
  negative.input("x", {4});
  negative.output("y", {4});
  negative.floats("scale", {4}, {1, 1, 1, 1});
  set_epsilon(negative.node("LayerNormalization", {"x", "scale"}, {"y"}), -1);
  CHECK(has(error_of(negative), "its epsilon is -1"));
}

TEST_CASE("channels of all samples in one image are normalized as each sample's") {
  // As adaptive instance normalization is written: x [N, 2, 1, 3] as [1, N 2, 1, 3].
  OnnxBuilder model;
  model.input("x", {2, 1, 3});
  model.output("y", {2, 1, 3});
  model.floats("scale", {2}, {1, 2});
  model.floats("shift", {2}, {0, 1});
  model.integers("front", {1}, {0});
  model.integers("one", {1}, {1});
  model.integers("minus", {1}, {-1});
  model.integers("rest", {2}, {1, 3});
  model.integers("two", {1}, {2});
  model.node("Shape", {"x"}, {"shape"});
  model.node("Gather", {"shape", "front"}, {"n"});
  model.node("Mul", {"n", "two"}, {"channels"});
  OnnxBuilder::attribute(model.node("Concat", {"one", "channels", "rest"}, {"joined"}), "axis", int64_t{0});
  model.node("Reshape", {"x", "joined"}, {"a"});
  model.node("InstanceNormalization", {"a", "scale", "shift"}, {"b"});
  model.node("Reshape", {"b", "shape"}, {"y"});
  const std::vector<float> x = {1, 2, 4, -1, 0, 3, 2, 2, 5, 7, 1, 0};
  const std::vector<float> y = run(import(model), {{"x", x}}, 2).at("y");
  REQUIRE(y.size() == x.size());
  for (size_t row = 0; row < 4; ++row) {
    const std::vector<float> expected = normalized(
        {x.begin() + static_cast<std::ptrdiff_t>(3 * row), x.begin() + static_cast<std::ptrdiff_t>(3 * row + 3)}, 1e-5);
    for (size_t i = 0; i < 3; ++i)
      CHECK(y[3 * row + i] == doctest::Approx(row % 2 == 0 ? expected[i] : 2 * expected[i] + 1));
  }
}

TEST_CASE("a batch normalization in training mode is one of instances, where there is one sample") {
  OnnxBuilder model;
  model.input("x", {1, 2, 3});
  model.output("y", {1, 2, 3});
  fix_batch(&model, 1);
  model.floats("scale", {1}, {2});
  model.floats("shift", {1}, {1});
  model.floats("mean", {1}, {100});
  model.floats("variance", {1}, {100});
  OnnxBuilder::attribute(model.node("BatchNormalization", {"x", "scale", "shift", "mean", "variance"}, {"y"}),
                         "training_mode", int64_t{1});
  const std::vector<float> x = {1, 2, 4, -1, 0, 3};
  const std::vector<float> y = run(import(model), {{"x", x}}, 1).at("y");
  const std::vector<float> expected = normalized(x, 1e-5);
  for (size_t i = 0; i < x.size(); ++i) CHECK(y[i] == doctest::Approx(2 * expected[i] + 1));
}

TEST_CASE("one-hot vectors of PyTorch's labels make classes of them") {
  for (const bool by_comparison : {false, true}) {
    OnnxBuilder model;
    model.model.set_producer_name("pytorch");
    model.input("label", {});
    model.output("y", {5});
    make_integer(&model, 0);
    if (by_comparison) {
      model.integers("axis", {1}, {-1});
      model.integers("places", {5}, {0, 1, 2, 3, 4});
      model.node("Unsqueeze", {"label", "axis"}, {"column"});
      model.node("Equal", {"column", "places"}, {"here"});
      OnnxBuilder::attribute(model.node("Cast", {"here"}, {"y"}), "to", int64_t{onnx::TensorProto::FLOAT});
    } else {
      model.integers("depth", {}, {5});
      model.floats("values", {2}, {0, 1});
      model.node("OneHot", {"label", "depth", "values"}, {"y"});
    }
    const Graph graph = import(model);
    CHECK(graph.inputs[0].least == 0);
    CHECK(graph.inputs[0].greatest == 4);
    CHECK(run(graph, {{"label", {3}}}, 1).at("y") == std::vector<float>{0, 0, 0, 1, 0});
  }
}

TEST_CASE("the greater and the lesser of two tensors are one of them, however far apart they are") {
  const float infinite = std::numeric_limits<float>::infinity();
  OnnxBuilder model;
  model.input("a", {4});
  model.input("b", {4});
  model.output("most", {4});
  model.output("least", {4});
  model.node("Max", {"a", "b"}, {"most"});
  model.node("Min", {"a", "b"}, {"least"});
  const TensorMap y = run(import(model), {{"a", {-1e8F, -3e38F, -30, -infinite}}, {"b", {1, 2, 1e-4F, 5}}}, 1);
  CHECK(y.at("most") == std::vector<float>{1, 2, 1e-4F, 5});
  CHECK(y.at("least") == std::vector<float>{-1e8F, -3e38F, -30, -infinite});
}

TEST_CASE("powers of whole exponents have signs, and a power of 0 is 1 of anything") {
  const float infinite = std::numeric_limits<float>::infinity();
  for (const auto& [exponent, right] : std::vector<std::pair<float, std::vector<float>>>{
           {65, {-490.3707F, -1, infinite}}, {0, {1, 1, 1}}, {16777216, {infinite, 1, infinite}}}) {
    OnnxBuilder model;
    model.input("x", {3});
    model.output("y", {3});
    model.node("Pow", {"x", model.floats("exponent", {}, {exponent})}, {"y"});
    const std::vector<float> y = run(import(model), {{"x", {-1.1F, -1, infinite}}}, 1).at("y");
    for (size_t i = 0; i < 3; ++i) CHECK((y[i] == right[i] || std::fabs(y[i] / right[i] - 1) < 1e-4F));
  }
}

TEST_CASE("arcs near 1 lose no digits") {
  OnnxBuilder model;
  model.input("x", {4});
  model.output("cosine", {4});
  model.output("sine", {4});
  model.node("Acos", {"x"}, {"cosine"});
  model.node("Asin", {"x"}, {"sine"});
  const std::vector<float> x = {1 - 0x1p-24F, 1 - 1e-6F, -1, 0.3F};
  const TensorMap y = run(import(model), {{"x", x}}, 1);
  for (size_t i = 0; i < x.size(); ++i) {
    CHECK(y.at("cosine")[i] == doctest::Approx(std::acos(static_cast<double>(x[i]))).epsilon(1e-6));
    CHECK(y.at("sine")[i] == doctest::Approx(std::asin(static_cast<double>(x[i]))).epsilon(1e-6));
  }
}

TEST_CASE("factors of a normalization lie where broadcasting puts them") {
  OnnxBuilder model;
  model.input("x", {2, 2});
  model.output("y", {2, 2});
  model.node("LayerNormalization", {"x", model.floats("scale", {2, 1}, {1, 10})}, {"y"});
  const std::vector<float> y = run(import(model), {{"x", {0, 2, 0, 2}}}, 1).at("y");
  CHECK(y[1] == doctest::Approx(1).epsilon(1e-4));
  CHECK(y[3] == doctest::Approx(10).epsilon(1e-4));
}

TEST_CASE("integers of branches, loops and means are integers") {
  OnnxBuilder model;
  model.input("a", {});
  model.input("b", {});
  model.output("y", {});
  make_integer(&model, 0);
  make_integer(&model, 1);
  // Two branches that call what they compute the same.
  for (const char* name : {"a", "b"}) {
    onnx::NodeProto* branch =
        model.node("If", {model.integers(std::string("yes ") + name, {}, {1})}, {std::string("kept ") + name});
    for (const char* which : {"then_branch", "else_branch"}) {
      onnx::AttributeProto* attribute = branch->add_attribute();
      attribute->set_name(which);
      attribute->set_type(onnx::AttributeProto::GRAPH);
      onnx::NodeProto* copy = attribute->mutable_g()->add_node();
      copy->set_op_type("Identity");
      copy->add_input(name);
      copy->add_output("inner");
      attribute->mutable_g()->add_output()->set_name("inner");
    }
  }
  model.node("Div", {"kept a", "kept b"}, {"y"});
  CHECK(run(import(model), {{"a", {7, -7}}, {"b", {2, 2}}}, 2).at("y") == std::vector<float>{3, -3});

  OnnxBuilder mean;
  mean.input("x", {3});
  mean.output("y", {1});
  make_integer(&mean, 0);
  OnnxBuilder::attribute(mean.node("ReduceMean", {"x"}, {"y"}), "axes", std::vector<int64_t>{1});
  CHECK(run(import(mean), {{"x", {1, 2, 2, -1, -2, -2}}}, 2).at("y") == std::vector<float>{1, -1});
}

TEST_CASE("a power has the type of its base") {
  OnnxBuilder model;
  model.input("x", {3});
  model.output("y", {3});
  make_integer(&model, 0);
  model.node("Pow", {"x", model.floats("half", {}, {0.5F})}, {"y"});
  CHECK(run(import(model), {{"x", {3, 5, 9}}}, 1).at("y") == std::vector<float>{1, 2, 3});
}

TEST_CASE("volumes are resized to their nearest neighbors in all three dimensions") {
  OnnxBuilder model;
  model.input("x", {1, 2, 1, 2});
  model.output("y", {1, 4, 2, 2});
  model.node("Resize", {"x", "", model.floats("scales", {5}, {1, 1, 2, 2, 1})}, {"y"});
  CHECK(run(import(model), {{"x", {1, 2, 3, 4}}}, 1).at("y") ==
        std::vector<float>{1, 2, 1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4, 3, 4});
}

TEST_CASE("triangles of matrices that are computed are cut as constant ones") {
  for (const int64_t upper : {0, 1}) {
    OnnxBuilder model;
    model.input("x", {2, 3});
    model.output("y", {2, 3});
    OnnxBuilder::attribute(model.node("Trilu", {"x", model.integers("k", {}, {1})}, {"y"}), "upper", upper);
    const std::vector<float> y = run(import(model), {{"x", {1, 2, 3, 4, 5, 6}}}, 1).at("y");
    CHECK(y == (upper != 0 ? std::vector<float>{0, 2, 3, 0, 0, 6} : std::vector<float>{1, 2, 0, 4, 5, 6}));
  }
}
