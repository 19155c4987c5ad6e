// Which programs can compute the samples of a batch apart: told by the analysis, and held to by sessions.
#include <doctest/doctest.h>

#include <functional>

#include "convert.h"
#include "ir/batch.h"
#include "program.h"
#include "support.h"
#include "write/runner.h"
#include "write/write_model.h"

using namespace figment;
using namespace figment::converter;
using figment::test::Program;

namespace {

const Dimension kN = {1, true};

bool couples(const Shape& shape, const std::function<ValueId(Program&)>& make) {
  Program program(shape);
  program.output(make(program));
  return couples_batch(program.graph);
}

}  // namespace

TEST_CASE("programs whose samples depend on each other are told from those whose samples do not") {
  const Shape image = {kN, {4, false}, {3, false}};
  // Apart.
  CHECK(!couples(image, [](Program& p) { return p.build.mean(p.x(), {1, 2}); }));
  CHECK(!couples(image, [](Program& p) { return p.build.add(OpKind::kSubtract, {p.x(), p.build.mean(p.x(), {2})}); }));
  CHECK(!couples(image, [](Program& p) { return p.build.matmul(p.x(), true, p.x(), false); }));
  CHECK(!couples(image, [](Program& p) { return p.build.reshape(p.x(), {kN, {12, false}}); }));
  CHECK(!couples(image, [](Program& p) { return p.build.reshape(p.x(), {{4, true}, {3, false}}); }));
  CHECK(!couples(image, [](Program& p) {
    return p.build.reshape(p.build.reshape(p.x(), {{12, true}}), {kN, {3, false}, {4, false}});
  }));
  CHECK(!couples(image, [](Program& p) { return p.transpose(p.transpose(p.x(), {1, 0, 2}), {1, 0, 2}); }));
  // A number that no sample decides.
  CHECK(!couples(image, [](Program& p) {
    return p.build.add(OpKind::kMultiply, {p.x(), p.build.mean_all(p.build.scalar(2, 3))});
  }));
  // Ones for each sample, which no sample decides; their sum is the number of samples.
  const auto ones = [](Program& p, const Shape& shape) {
    return p.build.add_shaped(OpKind::kBroadcast, {p.build.scalar(1, shape.rank())}, shape);
  };
  CHECK(!couples(image, [&](Program& p) {
    return p.build.add(OpKind::kMultiply, {p.x(), p.build.sum(ones(p, {kN, {4, false}, {3, false}}), {1})});
  }));
  CHECK(!couples(image, [&](Program& p) {
    const ValueId column = p.build.reshape(ones(p, {kN, {1, false}}), {kN, {1, false}, {1, false}});
    return p.build.add(OpKind::kMultiply, {p.x(), column});
  }));
  CHECK(couples(image, [&](Program& p) {
    return p.build.add(OpKind::kDivide, {p.x(), p.build.sum(ones(p, {kN, {1, false}, {1, false}}), {0})});
  }));
  CHECK(couples({kN, {3, false}}, [&](Program& p) {
    const ValueId count = p.build.matmul(ones(p, {kN, {1, false}}), true, ones(p, {kN, {1, false}}), false);
    return p.build.add(OpKind::kDivide, {p.x(), count});
  }));
  // A pattern that is cut at other places for other numbers of samples.
  CHECK(couples({{3, false}, kN}, [&](Program& p) {
    return p.build.add(OpKind::kAdd, {p.x(), p.build.reshape(ones(p, {kN, {3, false}}), {{3, false}, kN})});
  }));
  // Mixed.
  CHECK(couples(image, [](Program& p) { return p.build.mean(p.x(), {0}); }));
  CHECK(couples(image, [](Program& p) { return p.build.add(OpKind::kSubtract, {p.x(), p.build.mean(p.x(), {0})}); }));
  CHECK(couples(image, [](Program& p) { return p.build.add(OpKind::kMultiply, {p.x(), p.build.mean_all(p.x())}); }));
  CHECK(couples({kN, {3, false}}, [](Program& p) { return p.build.matmul(p.x(), true, p.x(), false); }));
  CHECK(couples({kN, {3, false}}, [](Program& p) {
    const ValueId gram = p.build.matmul(p.x(), true, p.x(), false);
    return p.build.matmul(p.x(), false, gram, false);
  }));
  // In an order that cannot be cut into samples: rows t * N + n.
  CHECK(couples(image,
                [](Program& p) { return p.build.reshape(p.transpose(p.x(), {1, 0, 2}), {{4, true}, {3, false}}); }));
  CHECK(!couples(image, [](Program& p) {
    const ValueId rows = p.build.reshape(p.transpose(p.x(), {1, 0, 2}), {{4, true}, {3, false}});
    return p.transpose(p.build.reshape(rows, {{4, false}, kN, {3, false}}), {1, 0, 2});
  }));
  // Rows of a sample with those of another.
  CHECK(couples(image, [](Program& p) {
    const ValueId a = p.build.reshape(p.x(), {{4, true}, {3, false}});
    const ValueId b = p.build.reshape(p.transpose(p.x(), {1, 0, 2}), {{4, true}, {3, false}});
    return p.build.add(OpKind::kAdd, {a, b});
  }));
}

TEST_CASE("a program that couples the batch computes that batch, and no other") {
  ConvertOptions options;
  options.sources = {{"run", FIGMENT_TEST_SOURCE "/data/coupled/center.onnx"}};
  Runner runner(convert(options, {}).file, 4);
  fig_program_info info{};
  fig_port_info port{};
  REQUIRE(fig_model_program(runner.model(), 0, &info) == FIG_OK);
  CHECK(info.couples_batch);
  REQUIRE(fig_model_input(runner.model(), 0, 0, &port) == FIG_OK);
  const size_t size = port.shape.extents[1];
  test::Random random(3);
  std::vector<float> x(4 * size);
  for (float& value : x) value = random.real();
  const TensorMap outputs = runner.run("run", {{port.name, x}}, 4);
  const std::vector<float>& y = outputs.begin()->second;
  for (size_t c = 0; c < size; ++c) {
    double mean = 0;
    for (size_t n = 0; n < 4; ++n) mean += static_cast<double>(x[n * size + c]) / 4;
    for (size_t n = 0; n < 4; ++n)
      CHECK(std::fabs(static_cast<double>(x[n * size + c]) - mean - static_cast<double>(y[n * size + c])) < 1e-6);
  }
  for (const size_t count : {1U, 3U, 5U, 8U}) {
    std::vector<float> given(count * size, 0.5F);
    CHECK_THROWS_WITH_AS(runner.run("run", {{port.name, given}}, count),
                         doctest::Contains("takes the session's batch of 4"), Error);
  }
  options.int8 = true;
  options.calibration_data[port.name] = {{64, size}, std::vector<float>(64 * size, 0.5F)};
  CHECK_THROWS_WITH_AS(convert(options, {}), doctest::Contains("depend on each other"), Error);
}
