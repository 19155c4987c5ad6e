// Weights that are int8 alone, of f32 layers: what is computed is that of scale * q in f32.
#include <doctest/doctest.h>

#include "step_builder.h"

namespace figment::test {

namespace {

// A step on f32 and weights, int8 or the same numbers in f32.
struct Case {
  OpKind kind{};
  Extents x;
  Extents weights;
  Extents output;
  Attributes attributes;
  bool bias = false;
};

std::vector<float> run(const Case& c, bool i8, KernelSet set, std::string* name) {
  Random random(7);
  StepBuilder builder(c.kind);
  builder.operands.reserve(3);
  builder.step.attributes = c.attributes;
  builder.step.output.shape = c.output;
  builder.fill(builder.add(DataType::kF32, c.x), &random);
  Operand& weights = builder.add(i8 ? DataType::kI8 : DataType::kF32, c.weights, true);
  std::vector<float> scales(c.weights[0]);
  for (float& scale : scales) scale = 0.002F + 0.01F * std::fabs(random.real());
  const size_t row = weights.elements() / scales.size();
  for (size_t i = 0; i < weights.elements(); ++i) {
    const auto q = static_cast<int8_t>(static_cast<int>(random.integer(0, 254)) - 127);
    if (i8)
      static_cast<int8_t*>(weights.data)[i] = q;
    else
      static_cast<float*>(weights.data)[i] = scales[i / row] * static_cast<float>(q);
  }
  if (i8) weights.quantization = builder.quantization(scales, 0);
  if (c.bias) builder.fill(builder.add(DataType::kF32, {c.weights[0]}, true), &random);
  const std::vector<uint8_t> bytes = builder.run(set, name);
  const std::span<const float> floats = as_floats(bytes);
  return {floats.begin(), floats.end()};
}

void check(const Case& c, const std::string& what) {
  std::string name;
  const std::vector<float> expected = run(c, false, KernelSet::kPortable, nullptr);
  const std::vector<float> best = run(c, true, KernelSet::kBest, &name);
  CHECK_MESSAGE(relative_error(best, expected) < 2e-5, what, " on ", name);
  const std::vector<float> portable = run(c, true, KernelSet::kPortable, &name);
  CHECK_MESSAGE(relative_error(portable, expected) < 2e-5, what, " on ", name);
}

}  // namespace

TEST_CASE("int8 weights of f32 layers: fully connected, forth and back") {
  for (size_t inputs : {1, 3, 16, 45}) {
    for (size_t outputs : {1, 4, 33, 70}) {
      for (size_t rows : {1, 5}) {
        Case c{OpKind::kFullyConnected, {rows, inputs}, {outputs, inputs}, {rows, outputs}, {}, true};
        const std::string sizes =
            std::to_string(inputs) + " to " + std::to_string(outputs) + ", rows: " + std::to_string(rows);
        check(c, "fully connected " + sizes);
        c.bias = false;
        c.attributes.clamp_min = 0;
        check(c, "fully connected without bias, bounded " + sizes);
        check({OpKind::kMatmul, {rows, outputs}, {outputs, inputs}, {rows, inputs}, {}, false}, "matmul " + sizes);
        Attributes transposed;
        transposed.transpose_b = true;
        check({OpKind::kMatmul, {rows, inputs}, {outputs, inputs}, {rows, outputs}, transposed, false},
              "matmul, transposed " + sizes);
      }
    }
  }
}

TEST_CASE("int8 weights of f32 layers: convolutions, forth and back") {
  for (size_t in : {2, 6, 20}) {
    for (size_t out : {2, 8, 36}) {
      for (uint32_t stride : {1, 2}) {
        for (uint32_t groups : {1, 2}) {
          Attributes attributes;
          attributes.window.kernel = {3, 4};
          attributes.window.stride = {stride, stride};
          attributes.window.padding = {1, 1, 1, 2};
          attributes.window.groups = groups;
          // With 3 + 2 and 4 + 3 taken off: 6 and 8 at a stride of 1, 3 and 4 at 2.
          const Extents large{2, 6, 8, in};
          const Extents small{2, 6 / stride, 8 / stride, out};
          const Extents weights{out, 3, 4, in / groups};
          const std::string sizes = std::to_string(in) + " to " + std::to_string(out) +
                                    ", stride: " + std::to_string(stride) + ", groups: " + std::to_string(groups);
          check({OpKind::kConv2d, large, weights, small, attributes, true}, "convolution " + sizes);
          check({OpKind::kConv2dBackwardInput, small, weights, large, attributes, false}, "its gradient " + sizes);
          const Extents bigger{2, 6, 8, out};
          const Extents little{2, 6 / stride, 8 / stride, in};
          check({OpKind::kConvTranspose2d, little, weights, bigger, attributes, true}, "transposed " + sizes);
          check({OpKind::kConvTranspose2dBackwardInput, bigger, weights, little, attributes, false},
                "its gradient " + sizes);
        }
      }
    }
  }
}

TEST_CASE("int8 weights of f32 layers: depthwise convolutions") {
  for (size_t channels : {3, 8, 9}) {
    Attributes attributes;
    attributes.window.kernel = {3, 3};
    attributes.window.padding = {1, 1, 1, 1};
    attributes.window.groups = static_cast<uint32_t>(channels);
    const Extents image{2, 5, 6, channels};
    const Extents weights{channels, 3, 3, 1};
    for (OpKind kind : {OpKind::kConv2d, OpKind::kConvTranspose2d}) {
      check({kind, image, weights, image, attributes, true}, "depthwise, channels: " + std::to_string(channels));
    }
    for (OpKind kind : {OpKind::kConv2dBackwardInput, OpKind::kConvTranspose2dBackwardInput}) {
      check({kind, image, weights, image, attributes, false}, "its gradient, channels: " + std::to_string(channels));
    }
  }
}

}  // namespace figment::test
