// Each pass by itself: what it changes, what it leaves alone, and that results stay what they were.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "import/import_onnx.h"
#include "onnx_builder.h"
#include "passes/fold.h"
#include "passes/layout.h"
#include "passes/quantize_rewrite.h"
#include "passes/recompute.h"
#include "passes/simplify.h"
#include "program.h"
#include "support.h"
#include "write/runner.h"
#include "write/write_model.h"

using namespace figment;
using namespace figment::converter;
using figment::test::OnnxBuilder;
using figment::test::Program;

namespace {

constexpr size_t kBatch = 3;
const Dimension kN = {1, true};

size_t count_of(const Graph& graph, OpKind kind) {
  return static_cast<size_t>(
      std::count_if(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) { return node.kind == kind; }));
}

std::vector<float> drawn(size_t count, uint64_t seed) {
  test::Random random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = random.real();
  return values;
}

std::vector<float> run(const Graph& graph, const std::vector<float>& x) {
  ModelDefinition model;
  model.name = "passes";
  model.programs.push_back(graph);
  Runner runner(write_model(model), kBatch);
  return runner.run(graph.name, {{"x", x}}, kBatch).at("y");
}

// The pass changes what is computed by rounding at most.
void check_same(const Graph& before, const Graph& after) {
  const std::vector<float> x = drawn(kBatch * before[before.inputs[0].value].elements(), 5);
  const std::vector<float> expected = run(before, x);
  const std::vector<float> actual = run(after, x);
  REQUIRE(actual.size() == expected.size());
  for (size_t i = 0; i < actual.size(); ++i)
    CHECK(std::fabs(actual[i] - expected[i]) <= 1e-5F * (1 + std::fabs(expected[i])));
}

// x [N, 4] -> fully connected [N, 3].
ValueId dense(Program& p, ValueId x, uint32_t outputs = 3) {
  const uint32_t inputs = p.graph[x].shape[1].extent;
  const ValueId weights = p.graph.add_constant("weights", {outputs, inputs}, drawn(size_t{outputs} * inputs, 1));
  const ValueId bias = p.graph.add_constant("bias", {outputs}, drawn(outputs, 2));
  return p.build.add(OpKind::kFullyConnected, {x, weights, bias});
}

ValueId row(Program& p, const std::vector<float>& values) {
  return p.graph.add_constant("row", {1, static_cast<uint32_t>(values.size())}, values);
}

Attributes bounds(float low, float high) {
  Attributes attributes;
  attributes.clamp_min = low;
  attributes.clamp_max = high;
  return attributes;
}

}  // namespace

TEST_CASE("folding computes what depends on constants alone, and on no variable") {
  for (const bool variable : {false, true}) {
    INFO(variable);
    Program p({kN, {3, false}});
    const ValueId a = row(p, {1, 2, 3});
    if (variable) p.graph[a].constant->variable = true;
    const ValueId sum = p.build.add(OpKind::kAdd, {a, row(p, {10, 20, 30})});
    p.output(p.build.add(OpKind::kMultiply, {p.x(), sum}));
    const Graph before = p.graph;
    const std::vector<std::string> notes = fold_constants(&p.graph);
    CHECK(notes.empty() == variable);
    CHECK(count_of(p.graph, OpKind::kAdd) == (variable ? 1 : 0));
    CHECK(count_of(p.graph, OpKind::kMultiply) == 1);
    if (variable) continue;
    const Value& folded = p.graph[p.graph.nodes.back().inputs[1]];
    REQUIRE(folded.is_constant());
    CHECK(std::vector<float>(folded.f32().begin(), folded.f32().end()) == std::vector<float>{11, 22, 33});
    check_same(before, p.graph);
  }
}

TEST_CASE("a scale and a shift per channel fold into the linear op before them") {
  Program p({kN, {4, false}});
  ValueId y = dense(p, p.x());
  y = p.build.add(OpKind::kMultiply, {y, row(p, {2, -3, 0.5F})});
  y = p.build.add(OpKind::kAdd, {y, row(p, {1, 0, -1})});
  y = p.build.add(OpKind::kDivide, {y, row(p, {4, 5, 8})});
  p.output(p.build.add(OpKind::kSubtract, {y, row(p, {0.1F, 0.2F, 0.3F})}));
  const Graph before = p.graph;
  CHECK(!fold_affine(&p.graph).empty());
  remove_dead(&p.graph);
  CHECK(p.graph.nodes.size() == 1);
  check_same(before, p.graph);
}

TEST_CASE("a scale and a shift per channel fold into the normalization before them") {
  for (const OpKind kind : {OpKind::kGroupNorm, OpKind::kLayerNorm}) {
    for (const uint32_t parameters : {1U, 4U}) {
      Program p({kN, {3, false}, {4, false}});
      Attributes attributes;
      attributes.alpha = 1e-3F;
      attributes.groups = 2;
      const ValueId gamma = p.graph.add_constant("gamma", {parameters}, drawn(parameters, 3));
      const ValueId beta = p.graph.add_constant("beta", {parameters}, drawn(parameters, 4));
      ValueId y = p.build.add(kind, {p.x(), gamma, beta}, attributes);
      const auto channels = [&](const std::vector<float>& values) {
        return p.graph.add_constant("channels", {1, 1, 4}, values);
      };
      y = p.build.add(OpKind::kMultiply, {y, channels({2, -3, 0.5F, 1})});
      p.output(p.build.add(OpKind::kAdd, {y, channels({1, 0, -1, 3})}));
      const Graph before = p.graph;
      CHECK(!fold_affine(&p.graph).empty());
      remove_dead(&p.graph);
      CHECK(p.graph.nodes.size() == 1);
      check_same(before, p.graph);
    }
  }
}

TEST_CASE("nothing folds into a linear op that is read elsewhere, or whose result is clamped first") {
  {
    Program p({kN, {4, false}});
    const ValueId y = dense(p, p.x());
    const ValueId scaled = p.build.add(OpKind::kMultiply, {y, row(p, {2, 3, 4})});
    p.output(p.build.add(OpKind::kAdd, {y, scaled}));
    const Graph before = p.graph;
    CHECK(fold_affine(&p.graph).empty());
    CHECK(p.graph.nodes.size() == before.nodes.size());
  }
  {
    Program p({kN, {4, false}});
    const ValueId clamped = p.build.add(OpKind::kClamp, {dense(p, p.x())}, bounds(0, 1));
    p.output(p.build.add(OpKind::kMultiply, {clamped, row(p, {2, 3, 4})}));
    const Graph before = p.graph;
    fuse_clamps(&p.graph);
    fold_affine(&p.graph);
    CHECK(count_of(p.graph, OpKind::kMultiply) == 1);
    check_same(before, p.graph);
  }
}

TEST_CASE("bounds fuse into the linear op before them, the narrower of two") {
  Program p({kN, {4, false}});
  ValueId y = p.build.add(OpKind::kClamp, {dense(p, p.x())}, bounds(-0.5F, 0.25F));
  y = p.build.add(OpKind::kClamp, {y}, bounds(-0.25F, 0.5F));
  p.output(y);
  const Graph before = p.graph;
  CHECK(!fuse_clamps(&p.graph).empty());
  remove_dead(&p.graph);
  REQUIRE(p.graph.nodes.size() == 1);
  CHECK(p.graph.nodes[0].attributes.clamp_min == -0.25F);
  CHECK(p.graph.nodes[0].attributes.clamp_max == 0.25F);
  check_same(before, p.graph);
}

TEST_CASE("bounds stay apart from a linear op that is read before them, too") {
  Program p({kN, {4, false}});
  const ValueId y = dense(p, p.x());
  const ValueId clamped = p.build.add(OpKind::kClamp, {y}, bounds(0, 1));
  p.output(p.build.add(OpKind::kAdd, {y, clamped}));
  const Graph before = p.graph;
  CHECK(fuse_clamps(&p.graph).empty());
  check_same(before, p.graph);
}

TEST_CASE("what nothing reads is removed, and reshapes are joined or dropped") {
  Program p({kN, {4, false}});
  dense(p, p.x());
  ValueId y = p.build.reshape(p.x(), {kN, {2, false}, {2, false}});
  y = p.build.reshape(y, {kN, {1, false}, {4, false}});
  y = p.build.add(OpKind::kNegate, {y});
  y = p.build.reshape(y, {kN, {2, false}, {2, false}});
  p.output(p.build.reshape(y, {kN, {1, false}, {4, false}}));
  const Graph before = p.graph;
  remove_dead(&p.graph);
  CHECK(count_of(p.graph, OpKind::kFullyConnected) == 0);
  CHECK(count_of(p.graph, OpKind::kReshape) == 1);
  check_same(before, p.graph);
}

TEST_CASE("layouts: convolutions, concatenation along channels and flattening into a layer need no transpose") {
  OnnxBuilder model;
  model.input("x", {2, 6, 6});
  model.output("y", {5});
  model.floats("w0", {3, 2, 3, 3}, drawn(54, 1));
  model.floats("w1", {5, 5 * 4 * 4}, drawn(400, 2));
  model.floats("w2", {2, 2, 3, 3}, drawn(36, 3));
  model.node("Conv", {"x", "w0"}, {"a"});
  model.node("Conv", {"x", "w2"}, {"b"});
  model.node("Relu", {"a"}, {"c"});
  OnnxBuilder::attribute(model.node("Concat", {"c", "b"}, {"d"}), "axis", 1);
  model.node("Flatten", {"d"}, {"e"});
  OnnxBuilder::attribute(model.node("Gemm", {"e", "w1"}, {"y"}), "transB", 1);
  Graph graph = import_onnx(model.model.SerializeAsString(), "model.onnx", "run");
  assign_layouts(&graph);
  CHECK(count_of(graph, OpKind::kTranspose) == 0);
  // The input is the exporter's [N, 2, 6, 6], which the port says, and ours [N, 6, 6, 2].
  CHECK(graph[graph.inputs[0].value].shape[3].extent == 2);
  CHECK(graph.inputs[0].shape[1].extent == 2);
}

TEST_CASE("layouts: what reads the exporter's order gets it, by one transpose") {
  OnnxBuilder model;
  model.input("x", {2, 6, 6});
  model.output("y", {3, 16});
  model.floats("w0", {3, 2, 3, 3}, drawn(54, 1));
  model.integers("shape", {3}, {0, 3, 16});
  model.node("Conv", {"x", "w0"}, {"a"});
  model.node("Reshape", {"a", "shape"}, {"b"});
  OnnxBuilder::attribute(model.node("Softmax", {"b"}, {"y"}), "axis", 2);
  Graph graph = import_onnx(model.model.SerializeAsString(), "model.onnx", "run");
  assign_layouts(&graph);
  CHECK(count_of(graph, OpKind::kTranspose) <= 1);
  const std::vector<float> x = drawn(kBatch * 72, 9);
  const std::vector<float> y = run(graph, x);
  // Softmax over the pixels of a channel, from the definition.
  const std::vector<float> w = drawn(54, 1);
  for (size_t n = 0; n < kBatch; ++n) {
    for (size_t c = 0; c < 3; ++c) {
      std::vector<double> values;
      double sum = 0;
      for (size_t i = 0; i < 16; ++i) {
        double value = 0;
        for (size_t k = 0; k < 2; ++k) {
          for (size_t v = 0; v < 9; ++v) {
            const size_t pixel = (i / 4 + v / 3) * 6 + i % 4 + v % 3;
            value += static_cast<double>(w[(c * 2 + k) * 9 + v]) * static_cast<double>(x[(n * 2 + k) * 36 + pixel]);
          }
        }
        values.push_back(std::exp(value));
        sum += values.back();
      }
      for (size_t i = 0; i < 16; ++i)
        CHECK(static_cast<double>(y[(n * 3 + c) * 16 + i]) == doctest::Approx(values[i] / sum).epsilon(1e-5));
    }
  }
}

TEST_CASE("recomputation gives the same bits in a smaller arena, and nothing where nothing is gained") {
  // Activations that are read once more at the end, in reverse, as a backward pass does.
  Program p({kN, {64, false}});
  std::vector<ValueId> kept = {p.x()};
  for (int i = 0; i < 8; ++i) kept.push_back(p.build.add(OpKind::kSigmoid, {kept.back()}));
  ValueId y = kept.back();
  for (size_t i = kept.size() - 1; i-- > 0;) y = p.build.add(OpKind::kMultiply, {y, kept[i]});
  p.output(y);
  const std::optional<Graph> lean = with_recomputation(p.graph, Recompute::kCheap);
  REQUIRE(lean);
  CHECK(lean->nodes.size() > p.graph.nodes.size());
  const std::vector<float> x = drawn(kBatch * 64, 7);
  CHECK(run(*lean, x) == run(p.graph, x));
  const auto arena = [](const Graph& graph) {
    ModelDefinition model;
    model.name = "passes";
    model.programs.push_back(graph);
    Runner runner(write_model(model), 64);
    fig_memory_report report{};
    REQUIRE(fig_session_memory_used(runner.session(), &report) == FIG_OK);
    return report.arena;
  };
  CHECK(arena(*lean) < arena(p.graph));

  Program chain({kN, {64, false}});
  chain.output(chain.build.add(OpKind::kTanh, {chain.build.add(OpKind::kSigmoid, {chain.x()})}));
  CHECK(!with_recomputation(chain.graph, Recompute::kAny));
}

TEST_CASE("in int8, a clamp that its input's integers make leaves the slice before it as it grows") {
  Program program({kN, {8, false}});
  Attributes starts;
  starts.starts = {0, 2};
  starts.steps = {1, 1};
  Value part;
  part.shape = {kN, {4, false}};
  const ValueId sliced = program.graph.add_node(OpKind::kSlice, "slice", starts, {program.x()}, &part);
  program.graph.nodes.back().start_growth = {0, 1};
  Attributes bounds;
  bounds.clamp_min = -1.28F;
  bounds.clamp_max = 1.27F;
  const ValueId clamped = program.graph.add_node(OpKind::kClamp, "clamp", bounds, {sliced});
  program.output(clamped);
  const QuantAssignment assignment(program.graph.values.size(), QuantParameters{0.01F, 0});
  const Graph int8 = rewrite_in_int8(program.graph, assignment, {}).graph;
  CHECK(count_of(int8, OpKind::kLookup) == 0);  // the clamp is gone
  const auto slice = std::ranges::find_if(int8.nodes, [](const Node& node) { return node.kind == OpKind::kSlice; });
  REQUIRE(slice != int8.nodes.end());
  CHECK(slice->start_growth == Dimensions<uint32_t>{0, 1});
}
