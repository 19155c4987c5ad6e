// A batch that an exporter has fixed.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "imported.h"
#include "support.h"

using namespace figment::converter;
using namespace figment::test;
using figment::Shape;

TEST_CASE("a batch that was fixed is opened, and all rows are computed as one was") {
  for (int64_t batch : {1, 3}) {
    OnnxBuilder model;
    model.input("x", {6});
    model.output("y", {4, 2});
    model.floats("w", {6, 8}, [] {
      std::vector<float> values(48);
      for (size_t i = 0; i < values.size(); ++i) values[i] = 0.1F * static_cast<float>(i % 7) - 0.3F;
      return values;
    }());
    // Shapes with the batch in them, as constants.
    model.integers("image", {4}, {batch, 2, 2, 2});
    model.integers("rows", {3}, {batch, -1, 2});
    model.integers("wide", {3}, {batch, 4, 2});
    model.node("MatMul", {"x", "w"}, {"a"});
    model.node("Reshape", {"a", "image"}, {"b"});
    model.node("Relu", {"b"}, {"c"});
    model.node("Reshape", {"c", "rows"}, {"d"});
    model.node("Expand", {"d", "wide"}, {"y"});
    fix_batch(&model, batch);
    const Graph graph = import(model, true);
    REQUIRE(graph.inputs[0].shape[0].per_batch);
    CHECK(has(graph.notes.at(0), "is open"));
    const std::vector<float> x = {0.5F, -1, 2, 0.25F, 1, -0.5F};
    const std::vector<float> one = run(graph, {{"x", x}}, 1).at("y");
    std::vector<float> five;
    for (int i = 0; i < 5; ++i) five.insert(five.end(), x.begin(), x.end());
    const std::vector<float> rows = run(graph, {{"x", five}}, 5).at("y");
    REQUIRE(rows.size() == 5 * one.size());
    for (size_t i = 0; i < rows.size(); ++i) CHECK(rows[i] == one[i % one.size()]);
    // As it was exported, it computes the same.
    const Graph kept = import(model);
    CHECK_FALSE(kept.inputs[0].shape[0].per_batch);
    std::vector<float> all;
    for (int64_t i = 0; i < batch; ++i) all.insert(all.end(), x.begin(), x.end());
    const std::vector<float> fixed = run(kept, {{"x", all}}, 1).at("y");
    for (size_t i = 0; i < fixed.size(); ++i) CHECK(fixed[i] == one[i % one.size()]);
  }
}

TEST_CASE("a batch stays fixed where samples depend on each other, or where it disappears") {
  OnnxBuilder coupled;
  coupled.input("x", {4});
  coupled.output("y", {4});
  OnnxBuilder::attribute(coupled.node("ReduceMean", {"x"}, {"mean"}), "axes", std::vector<int64_t>{0});
  coupled.node("Sub", {"x", "mean"}, {"y"});
  fix_batch(&coupled, 2);
  const Graph graph = import(coupled, true);
  CHECK_FALSE(graph.inputs[0].shape[0].per_batch);
  REQUIRE(graph.notes.size() == 1);
  CHECK_MESSAGE(has(graph.notes[0], "stays fixed at 2"), graph.notes[0]);
  CHECK(run(graph, {{"x", {1, 2, 3, 4, 3, 2, 1, 0}}}, 1).at("y") == std::vector<float>{-1, 0, 1, 2, 1, 0, -1, -2});

  OnnxBuilder indexed;
  indexed.input("x", {4});
  indexed.output("y", {});
  indexed.graph()->mutable_output(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->clear_dim();
  indexed.graph()->mutable_output(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(
      4);
  indexed.integers("first", {}, {0});
  indexed.node("Gather", {"x", "first"}, {"y"});
  indexed.graph()
      ->mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(0)
      ->set_dim_value(1);
  CHECK_FALSE(import(indexed, true).inputs[0].shape[0].per_batch);
}

TEST_CASE("weights of an open batch are not those of each sample") {
  OnnxBuilder model;
  model.input("x", {1, 2, 2});
  model.input("w", {1, 1, 1});
  model.output("y", {1, 2, 2});
  model.node("Conv", {"x", "w"}, {"y"});
  CHECK_MESSAGE(has(error_of(model), "export with a batch of 1"), error_of(model));
}

TEST_CASE("what needs a batch of a known size says so, and takes one") {
  OnnxBuilder joined;
  joined.input("x", {2});
  joined.output("y", {4});
  joined.node("Reshape", {"x", joined.integers("two", {2}, {-1, 4})}, {"y"});
  CHECK_MESSAGE(has(error_of(joined), "node y (Reshape"), error_of(joined));
  CHECK_MESSAGE(has(error_of(joined), "makes one sample of 2"), error_of(joined));
  fix_batch(&joined, 2);
  CHECK(run(import(joined), {{"x", {1, 2, 3, 4}}}, 1).at("y") == std::vector<float>{1, 2, 3, 4});

  OnnxBuilder against;
  against.input("x", {1});
  against.output("y", {1});
  against.node("Transpose", {"x"}, {"turned"});
  against.node("Sub", {"x", "turned"}, {"differences"});
  OnnxBuilder::attribute(against.node("ReduceSum", {"differences", against.integers("last", {1}, {1})}, {"y"}),
                         "keepdims", 1);
  CHECK_MESSAGE(has(error_of(against), "node differences (Sub"), error_of(against));
  CHECK_MESSAGE(has(error_of(against), "each sample of the batch against each other"), error_of(against));
  fix_batch(&against, 3);
  CHECK(run(import(against), {{"x", {1, 2, 4}}}, 1).at("y") == std::vector<float>{-4, -1, 5});
}

TEST_CASE("a parameter that a network returns does not keep its batch fixed") {
  OnnxBuilder model;
  model.input("x", {1});
  model.output("y", {1});
  fix_batch(&model, 1);
  model.graph()->add_output()->set_name("deviation");
  model.node("Neg", {"x"}, {"y"});
  model.node("Identity", {model.floats("sigma", {2}, {3, 4})}, {"deviation"});
  const TensorMap y = run(import(model, true), {{"x", {1, 2}}}, 2);
  CHECK(y.at("y") == std::vector<float>{-1, -2});
  CHECK(y.at("deviation") == std::vector<float>{3, 4});
}

namespace {

// x [N, ...] of two samples beside each, of any layout that has the batch at `axis`.
void check_samples_apart(const Graph& graph, size_t axis) {
  const Shape& shape = graph.inputs[0].shape;
  size_t inner = 1;
  size_t outer = 1;
  for (size_t d = 0; d < shape.rank(); ++d) (d < axis ? outer : inner) *= shape[d].extent;
  const auto value = [&](size_t sample, size_t o, size_t i) {
    return std::sin(static_cast<float>(1 + 7 * sample + 3 * o + i));
  };
  std::vector<float> both;
  for (size_t o = 0; o < outer; ++o) {
    for (size_t sample = 0; sample < 2; ++sample) {
      for (size_t i = 0; i < inner; ++i) both.push_back(value(sample, o, i));
    }
  }
  const std::vector<float> y = run(graph, {{"x", both}}, 2).at("y");
  for (size_t sample = 0; sample < 2; ++sample) {
    std::vector<float> one;
    for (size_t o = 0; o < outer; ++o) {
      for (size_t i = 0; i < inner; ++i) one.push_back(value(sample, o, i));
    }
    const std::vector<float> alone = run(graph, {{"x", one}}, 1).at("y");
    REQUIRE(y.size() == 2 * alone.size());
    const size_t run_length = alone.size() / outer;
    for (size_t i = 0; i < alone.size(); ++i)
      CHECK(y[(i / run_length * 2 + sample) * run_length + i % run_length] == doctest::Approx(alone[i]));
  }
}

}  // namespace

TEST_CASE("a fixed batch in the middle of a shape is opened where it stands") {
  // As PyTorch writes a recurrent layer: time first, [time, batch, directions, values], and back.
  for (int64_t batch : {1, 2}) {
    OnnxBuilder model;
    model.input("x", {3, 2});
    model.output("y", {3, 2});
    model.integers("apart", {4}, {3, batch, 1, 2});
    model.integers("joined", {3}, {3, batch, 2});
    OnnxBuilder::attribute(model.node("Transpose", {"x"}, {"a"}), "perm", std::vector<int64_t>{1, 0, 2});
    model.node("Reshape", {"a", "apart"}, {"b"});
    model.node("Tanh", {"b"}, {"c"});
    model.node("Reshape", {"c", "joined"}, {"d"});
    OnnxBuilder::attribute(model.node("Transpose", {"d"}, {"y"}), "perm", std::vector<int64_t>{1, 0, 2});
    fix_batch(&model, batch);
    const Graph graph = import(model, true);
    REQUIRE_MESSAGE(graph.inputs[0].shape[0].per_batch, graph.notes.at(0));
    CHECK(graph.outputs[0].shape == Shape{{1, true}, {3, false}, {2, false}});
    check_samples_apart(graph, 0);
  }
}

TEST_CASE("a fixed batch behind time is opened, for recurrent layers that have it there") {
  OnnxBuilder model;
  model.input("x", {1, 2});
  model.output("y", {1, 2});
  fix_batch(&model, 3);
  const auto values = [](size_t count) {
    std::vector<float> result(count);
    for (size_t i = 0; i < count; ++i) result[i] = 0.1F * static_cast<float>(i % 9) - 0.4F;
    return result;
  };
  model.floats("w", {1, 6, 2}, values(12));
  model.floats("r", {1, 6, 2}, values(12));
  model.integers("joined", {3}, {3, 1, 2});
  OnnxBuilder::attribute(model.node("GRU", {"x", "w", "r"}, {"h"}), "hidden_size", int64_t{2});
  model.node("Reshape", {"h", "joined"}, {"y"});
  const Graph graph = import(model, true);
  REQUIRE_MESSAGE(graph.inputs[0].shape[1].per_batch, graph.notes.at(0));
  CHECK_FALSE(graph.inputs[0].shape[0].per_batch);
  CHECK(has(graph.notes.at(0), "fixed at 1, is open"));
  check_samples_apart(graph, 1);
}

TEST_CASE("rows of all samples become samples again, one behind the other or in turns") {
  // Of a batch of one, x [1, 12] and [1, 3, 4] say nothing of the place of the batch between.
  for (const bool turned : {false, true}) {
    OnnxBuilder model;
    model.input("x", {3, 4});
    model.output("y", {3, 4});
    std::string x = "x";
    if (turned) {
      OnnxBuilder::attribute(model.node("Transpose", {"x"}, {"steps"}), "perm", std::vector<int64_t>{1, 0, 2});
      x = "steps";
    }
    model.node("Reshape", {x, model.integers("rows", {2}, {-1, 4})}, {"flat"});
    model.node("Neg", {"flat"}, {"negative"});
    const std::vector<int64_t> apart = turned ? std::vector<int64_t>{3, 1, 4} : std::vector<int64_t>{1, 3, 4};
    model.node("Reshape", {"negative", model.integers("apart", {3}, apart)}, {turned ? "each" : "y"});
    if (turned) OnnxBuilder::attribute(model.node("Transpose", {"each"}, {"y"}), "perm", std::vector<int64_t>{1, 0, 2});
    fix_batch(&model, 1);
    const Graph graph = import(model, true);
    REQUIRE(graph.outputs[0].shape == Shape{{1, true}, {3, false}, {4, false}});
    std::vector<float> samples(24);
    for (size_t i = 0; i < samples.size(); ++i) samples[i] = static_cast<float>(i);
    const std::vector<float> y = run(graph, {{"x", samples}}, 2).at("y");
    for (size_t i = 0; i < samples.size(); ++i) CHECK(y[i] == -samples[i]);
  }
}

TEST_CASE("a constant that an exporter made for its batch of samples is joined to each") {
  for (const int64_t batch : {1, 2}) {
    for (const bool same : {true, false}) {
      OnnxBuilder model;
      model.input("x", {2});
      model.output("y", {4});
      std::vector<float> tokens = {7, 8};
      if (batch == 2) tokens.insert(tokens.end(), {7, same ? 8.0F : 9.0F});
      model.floats("tokens", {batch, 2}, tokens);
      OnnxBuilder::attribute(model.node("Concat", {"tokens", "x"}, {"y"}), "axis", 1);
      fix_batch(&model, batch);
      const Graph graph = import(model, true);
      if (batch == 2 && !same) {
        CHECK_FALSE(graph.inputs[0].shape[0].per_batch);
        continue;
      }
      REQUIRE(graph.inputs[0].shape[0].per_batch);
      const std::vector<float> y = run(graph, {{"x", {1, 2, 3, 4, 5, 6}}}, 3).at("y");
      CHECK(y == std::vector<float>{7, 8, 1, 2, 7, 8, 3, 4, 7, 8, 5, 6});
    }
  }
}

TEST_CASE("the number of samples is not the same for each") {
  OnnxBuilder model;
  model.input("x", {3});
  model.output("y", {3});
  fix_batch(&model, 4);
  model.node("Shape", {"x"}, {"shape"});
  model.node("Slice", {"shape", model.integers("from", {1}, {0}), model.integers("to", {1}, {1})}, {"count"});
  onnx::TensorProto one;
  one.set_data_type(onnx::TensorProto::FLOAT);
  one.add_dims(1);
  one.add_float_data(1);
  onnx::AttributeProto* value = model.node("ConstantOfShape", {"count"}, {"ones"})->add_attribute();
  value->set_name("value");
  value->set_type(onnx::AttributeProto::TENSOR);
  *value->mutable_t() = one;
  OnnxBuilder::attribute(model.node("ReduceSum", {"ones", model.integers("first", {1}, {0})}, {"samples"}), "keepdims",
                         1);
  model.node("Div", {"x", "samples"}, {"y"});
  const Graph graph = import(model, true);
  CHECK_FALSE(graph.inputs[0].shape[0].per_batch);
  CHECK_MESSAGE(has(graph.notes.at(0), "depends on other samples"), graph.notes.at(0));
}

TEST_CASE("a batch that is resized is no batch of samples") {
  OnnxBuilder model;
  model.input("x", {1, 2, 2});
  model.output("y", {1, 2, 2});
  fix_batch(&model, 2);
  OnnxBuilder::attribute(model.node("Resize", {"x", "", "", model.integers("sizes", {4}, {4, 1, 2, 2})}, {"y"}), "mode",
                         "linear");
  CHECK_FALSE(import(model, true).inputs[0].shape[0].per_batch);
}
