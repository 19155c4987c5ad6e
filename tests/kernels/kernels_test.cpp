// The best kernels against the portable ones on random shapes: f32 within rounding, int8 to the bit.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "functions.h"
#include "step_builder.h"

using namespace figment;
using namespace figment::kernels;
using namespace figment::test;

TEST_CASE("fully connected: best kernels equal the portable ones") {
  test::Random random(11);
  for (int trial = 0; trial < 60; ++trial) {
    const bool i8 = trial % 2 == 1;
    const size_t rows = random.integer(1, 24);
    const size_t inputs = random.integer(1, 70);
    const size_t outputs = random.integer(1, 70);
    StepBuilder builder(OpKind::kFullyConnected);
    add_weights(builder, &random, i8, {rows, inputs}, {outputs, inputs}, {rows, outputs}, random.integer(0, 1) == 1);
    if (trial % 3 == 0) builder.step.attributes.clamp_min = 0;
    check_equal(builder, "fully connected " + std::to_string(rows) + "x" + std::to_string(inputs) + "x" +
                             std::to_string(outputs));
  }
}

TEST_CASE("fully connected: every tile of rows and outputs, and rows beyond one block") {
  test::Random random(17);
  const size_t sizes[][3] = {{1, 9, 16},   {1, 33, 113}, {2, 20, 128},   {3, 7, 64},  {4, 5, 49},
                             {4, 12, 260}, {9, 30, 17},  {16, 100, 144}, {23, 8, 31}, {43, 3000, 65}};
  for (const auto& [rows, inputs, outputs] : sizes) {
    StepBuilder builder(OpKind::kFullyConnected);
    add_weights(builder, &random, false, {rows, inputs}, {outputs, inputs}, {rows, outputs}, rows != 4);
    check_equal(builder, "fully connected " + std::to_string(rows) + "x" + std::to_string(inputs) + "x" +
                             std::to_string(outputs));
  }
}

TEST_CASE("fully connected in our own product: a sample's result does not depend on the batch it is in") {
  test::Random random(18);
  StepBuilder all(OpKind::kFullyConnected);
  add_weights(all, &random, false, {13, 40}, {150, 40}, {13, 150}, true);
  std::string name;
  const std::vector<uint8_t> together = all.run(KernelSet::kBest, &name);
  if (name != "avx512 fully connected") {
    MESSAGE("skipped: only the AVX-512 kernel promises this, and here runs ", name);
    return;
  }
  StepBuilder one(OpKind::kFullyConnected);
  add_weights(one, &random, false, {1, 40}, {150, 40}, {1, 150}, true);
  for (size_t i = 1; i < 3; ++i) {
    std::memcpy(one.operands[i].data, all.operands[i].data, all.operands[i].elements() * sizeof(float));
  }
  for (size_t row = 0; row < 13; ++row) {
    std::memcpy(one.operands[0].data, all.operands[0].f32() + row * 40, 40 * sizeof(float));
    const std::vector<uint8_t> alone = one.run(KernelSet::kBest);
    CHECK(std::memcmp(alone.data(), together.data() + row * alone.size(), alone.size()) == 0);
  }
}

TEST_CASE("convolution and transposed convolution: best kernels equal the portable ones") {
  test::Random random(12);
  std::map<std::string, int> met;
  for (int trial = 0; trial < 400; ++trial) {
    const bool i8 = trial % 2 == 1;
    const bool transposed = trial % 4 >= 2;
    format::Attributes attributes;
    format::Window& window = attributes.window;
    for (size_t axis = 0; axis < 2; ++axis) {
      window.kernel[axis] = random.integer(1, 5);
      window.stride[axis] = random.integer(1, 3);
      window.dilation[axis] = random.integer(0, 3) == 0 ? 2 : 1;
      window.padding[axis] = random.integer(0, 2);
      window.padding[axis + 2] = random.integer(0, 2);
      window.output_padding[axis] =
          transposed && window.stride[axis] > 1 ? random.integer(0, window.stride[axis] - 1) : 0;
    }
    // The usual geometry often enough.
    if (trial % 5 == 0) window = {{4, 4}, {2, 2}, {1, 1}, {1, 1, 1, 1}, {0, 0}, 1, false};
    window.groups = random.integer(0, 4) == 0 ? 2 : 1;
    const uint32_t group_channels = random.integer(1, 12);
    const uint32_t group_outputs = random.integer(1, 12);
    const Shape x = {{random.integer(1, 3), false},
                     {random.integer(1, 9), false},
                     {random.integer(1, 9), false},
                     {group_channels * window.groups, false}};
    const Shape weights = {{group_outputs * window.groups, false},
                           {window.kernel[0], false},
                           {window.kernel[1], false},
                           {group_channels, false}};
    const std::vector<float> scales(weights[0].extent, 1.0F);
    const float one = 1;
    const format::DataType type = i8 ? DataType::kI8 : DataType::kF32;
    const format::TensorType types[] = {{type, x, i8 ? Quantization{{&one, 1}, 0} : Quantization{}, false},
                                        {type, weights, i8 ? Quantization{scales, 0} : Quantization{}, true}};
    const OpKind kind = transposed ? OpKind::kConvTranspose2d : OpKind::kConv2d;
    format::TensorType declared;
    declared.quantization = types[0].quantization;
    const Result<format::TensorType> output = format::infer_output(kind, attributes, types, declared);
    if (!output.ok()) continue;  // an empty output, say
    StepBuilder builder(kind);
    builder.step.attributes = attributes;
    add_weights(builder, &random, i8, resolve_extents(x, 1), resolve_extents(weights, 1),
                resolve_extents(output->shape, 1), random.integer(0, 1) == 1);
    if (trial % 7 == 0) builder.step.attributes.clamp_min = 0;
    std::string name;
    builder.run(KernelSet::kBest, &name);
    ++met[name];
    check_equal(builder, "trial " + std::to_string(trial));
  }
#if FIGMENT_XNNPACK
  for (const char* formulation : {"xnnpack convolution per phase", "fully connected + col2im", "xnnpack deconvolution",
                                  "xnnpack convolution of all phases"})
    CHECK_MESSAGE(met[formulation] > 5, formulation);
#endif
}

// On a processor with AMX, XNNPACK's kernel for it gets some of these wrong.
TEST_CASE("int8 convolution: every number of pixels beside a full tile, with few and many channels") {
  test::Random random(21);
  for (uint32_t pixels = 1; pixels <= 33; ++pixels) {
    for (uint32_t channels : {16U, 63U, 64U, 68U, 130U}) {
      StepBuilder builder(OpKind::kConv2d);
      builder.step.attributes.window = {{1, 2}, {1, 1}, {1, 1}, {0, 1, 0, 0}, {0, 0}, 1, false};
      add_weights(builder, &random, true, {1, 1, pixels, channels}, {5, 1, 2, channels}, {1, 1, pixels, 5}, true);
      check_equal(builder, std::to_string(pixels) + " pixels of " + std::to_string(channels) + " channels");
    }
  }
}

TEST_CASE("elementwise functions: best kernels equal the portable ones") {
  test::Random random(13);
  for (const RightFunction& function : right_functions()) {
    const OpKind kind = function.kind;
    StepBuilder builder(kind);
    Operand& x = builder.add(DataType::kF32, {3, 37});
    builder.fill(x, &random);
    for (size_t i = 0; i < x.elements(); ++i) {
      float& value = static_cast<float*>(x.data)[i];
      value = function.positive ? std::fabs(value) + 0.01F : value * 8;
    }
    builder.step.output = x;
    builder.step.attributes.alpha = 0.2F;
    if (kind == OpKind::kClamp) builder.step.attributes.clamp_max = 1, builder.step.attributes.clamp_min = -1;
    check_equal(builder, format::name_of(kind));
  }
}

TEST_CASE("broadcasting arithmetic: best kernels equal the portable ones, and the plain sum over positions") {
  test::Random random(14);
  for (OpKind kind :
       {OpKind::kAdd, OpKind::kSubtract, OpKind::kMultiply, OpKind::kDivide, OpKind::kGreater, OpKind::kEqual}) {
    for (const auto& [a_shape, b_shape] : {std::pair<Extents, Extents>{{2, 3, 5}, {2, 3, 5}},
                                           {{2, 3, 5}, {1, 1, 5}},
                                           {{2, 1, 5}, {2, 3, 1}},
                                           {{1, 3, 1}, {2, 3, 5}}}) {
      StepBuilder builder(kind);
      builder.operands.reserve(2);
      Operand& a = builder.add(DataType::kF32, a_shape);
      Operand& b = builder.add(DataType::kF32, b_shape);
      builder.fill(a, &random);
      builder.fill(b, &random);
      for (size_t i = 0; i < b.elements(); ++i) static_cast<float*>(b.data)[i] += 3;
      // Some that are equal, and some that are greater.
      for (size_t i = 0; i < a.elements(); i += 2) static_cast<float*>(a.data)[i] = b.f32()[i % b.elements()];
      for (size_t i = 1; i < a.elements(); i += 4) static_cast<float*>(a.data)[i] += 5;
      builder.step.output.shape = {2, 3, 5};
      check_equal(builder, format::name_of(kind));
      const std::vector<uint8_t> result = builder.run(KernelSet::kPortable);
      for (size_t i = 0; i < 30; ++i) {
        const size_t at[3] = {i / 15, i / 5 % 3, i % 5};
        const auto pick = [&](const Operand& operand) {
          size_t offset = 0;
          for (size_t d = 0; d < 3; ++d) offset = offset * operand.shape[d] + (operand.shape[d] == 1 ? 0 : at[d]);
          return operand.f32()[offset];
        };
        const float x = pick(builder.operands[0]);
        const float y = pick(builder.operands[1]);
        const float expected = kind == OpKind::kAdd        ? x + y
                               : kind == OpKind::kSubtract ? x - y
                               : kind == OpKind::kMultiply ? x * y
                               : kind == OpKind::kDivide   ? x / y
                               : kind == OpKind::kGreater  ? (x > y ? 1.0F : 0.0F)
                                                           : (x == y ? 1.0F : 0.0F);
        CHECK(as_floats(result)[i] == doctest::Approx(expected).epsilon(1e-6));
      }
    }
  }
}

TEST_CASE("a choice by a condition, with broadcasting, and the place of the first of the greatest") {
  StepBuilder builder(OpKind::kSelect);
  builder.operands.reserve(3);
  Operand& condition = builder.add(DataType::kF32, {2, 1, 3});
  Operand& a = builder.add(DataType::kF32, {1, 2, 3});
  Operand& b = builder.add(DataType::kF32, {1, 1, 1});
  const float conditions[] = {0, 1, -2, 0.5F, 0, 0};
  for (size_t i = 0; i < 6; ++i) {
    static_cast<float*>(condition.data)[i] = conditions[i];
    static_cast<float*>(a.data)[i] = static_cast<float>(i + 1);
  }
  static_cast<float*>(b.data)[0] = -INFINITY;
  builder.step.output.shape = {2, 2, 3};
  const std::vector<uint8_t> chosen = builder.run(KernelSet::kPortable);
  const float none = -INFINITY;
  const float expected[] = {none, 2, 3, none, 5, 6, 1, none, none, 4, none, none};
  for (size_t i = 0; i < 12; ++i) CHECK(as_floats(chosen)[i] == expected[i]);

  StepBuilder greatest(OpKind::kArgMax);
  Operand& x = greatest.add(DataType::kF32, {2, 3, 2});
  const float values[] = {1, 5, 3, 5, 2, 4, -1, -2, -1, -INFINITY, -3, -1};
  std::memcpy(x.data, values, sizeof(values));
  greatest.step.attributes.axes.push_back(1);
  greatest.step.output.shape = {2, 1, 2};
  const std::vector<uint8_t> places = greatest.run(KernelSet::kPortable);
  const float indices[] = {1, 0, 0, 2};
  for (size_t i = 0; i < 4; ++i) CHECK(as_floats(places)[i] == indices[i]);
}

TEST_CASE("int8 softmax is the real one within a step, along any axis, and survives any table") {
  test::Random random(19);
  for (uint32_t axis = 0; axis < 3; ++axis) {
    StepBuilder builder(OpKind::kSoftmax);
    builder.operands.reserve(2);
    Operand& x = builder.add(DataType::kI8, {3, 10, 4});
    builder.fill(x, &random);
    const float scale = 0.05F;
    x.quantization = builder.quantization({scale}, 7);
    Operand& table = builder.add(DataType::kI32, {256}, true);
    for (int i = 0; i < 256; ++i) {
      static_cast<int32_t*>(table.data)[i] =
          static_cast<int32_t>(std::lround(format::kSoftmaxOne * std::exp(-i * static_cast<double>(scale))));
    }
    builder.step.attributes.axes.push_back(axis);
    builder.step.output.type = DataType::kI8;
    builder.step.output.shape = {3, 10, 4};
    builder.step.output.quantization = builder.quantization({format::kSoftmaxScale}, format::kSoftmaxZeroPoint);
    check_equal(builder, "softmax");
    const std::vector<uint8_t> result = builder.run(KernelSet::kPortable);
    const size_t strides[] = {40, 4, 1};
    const size_t count = builder.step.output.shape[axis];
    for (size_t i = 0; i < 120; ++i) {
      const size_t first = i - i / strides[axis] % count * strides[axis];
      double sum = 0;
      for (size_t k = 0; k < count; ++k) sum += std::exp(scale * x.i8()[first + k * strides[axis]]);
      const double expected = std::exp(scale * x.i8()[i]) / sum;
      const double actual = (static_cast<int8_t>(result[i]) - format::kSoftmaxZeroPoint) / 256.0;
      CHECK(std::fabs(actual - expected) <= (expected > 255.0 / 256 ? 1.0 : 0.502) / 256);
    }
    std::memset(table.data, 0, 1024);
    builder.run(KernelSet::kPortable);
    std::memset(table.data, 0xFF, 1024);
    builder.run(KernelSet::kPortable);
  }
}

TEST_CASE("rounding is to nearest, ties to even, for every representable half") {
  for (int i = -300; i <= 300; ++i) {
    const float half = static_cast<float>(i) + 0.5F;
    CHECK(format::round_clamped(half, -1000, 1000) == static_cast<int32_t>(std::lrintf(half)));
    CHECK(format::round_clamped(static_cast<float>(i), -1000, 1000) == i);
  }
  CHECK(format::quantize(INFINITY, 0.1F, 3) == 127);
  CHECK(format::quantize(-INFINITY, 0.1F, 3) == -128);
  CHECK(format::quantize(NAN, 0.1F, 3) == -128);
  CHECK(format::requantize(INT32_MAX, 255.0F, 0, -128, 127) == 127);
  CHECK(format::requantize(INT32_MIN, 255.0F, 0, -128, 127) == -128);
}

TEST_CASE("every op has a portable kernel, a name and an attribute group") {
  for (size_t i = 0; i < format::kOpKindCount; ++i) {
    Step step;
    step.kind = static_cast<OpKind>(i);
    const fig_op* kernel = find_kernel(step, KernelSet::kPortable);
    REQUIRE(kernel != nullptr);
    CHECK(kernel->kind == step.kind);
    CHECK(std::strlen(format::name_of(step.kind)) > 2);
  }
}
