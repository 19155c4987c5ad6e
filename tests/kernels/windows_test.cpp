// Convolution, transposed convolution and pooling over all small geometries, between guard pages: the best kernels, and
// those for weights and batches that change, against the portable ones, and these against sums over positions.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "kernels/portable/taps.h"
#include "step_builder.h"

using namespace figment;
using namespace figment::kernels;
using namespace figment::test;

namespace {

constexpr uint32_t kChannels = 4;
constexpr uint32_t kOutputs = 6;  // more than those for which transposed convolutions take columns

// The output's shape, or nothing if it would be empty.
std::optional<Extents> output_shape(OpKind kind, const format::Attributes& attributes, const Extents& x,
                                    const Extents& weights) {
  const auto as_shape = [](const Extents& extents) {
    Shape shape;
    for (size_t extent : extents) shape.push_back({static_cast<uint32_t>(extent), false});
    return shape;
  };
  const format::TensorType types[] = {{DataType::kF32, as_shape(x), {}, false, false},
                                      {DataType::kF32, as_shape(weights), {}, true, false}};
  const bool pools = kind == OpKind::kAveragePool2d || kind == OpKind::kMaxPool2d;
  const Result<format::TensorType> output =
      format::infer_output(kind, attributes, std::span(types).first(pools ? 1 : 2), {});
  if (!output.ok()) return std::nullopt;
  return resolve_extents(output->shape, 1);
}

std::string describe(OpKind kind, const Window& window, const Extents& x) {
  std::string text = format::name_of(kind);
  const auto add = [&text](const char* name, const auto& values) {
    text += std::string(" ") + name;
    for (auto value : values) text += " " + std::to_string(value);
  };
  add("kernel", window.kernel);
  add("stride", window.stride);
  add("dilation", window.dilation);
  add("padding", window.padding);
  add("output padding", window.output_padding);
  add("of", x);
  return text + " groups " + std::to_string(window.groups);
}

// An element of an operand, without its scale.
double element(const Operand& operand, size_t i) {
  if (operand.type == DataType::kF32) return static_cast<double>(operand.f32()[i]);
  return operand.i8()[i] - operand.quantization.zero_point;
}

// The convolution, or transposed convolution, of a step at one place of the output, in double precision: of int8 the
// exact sum, in its output's steps.
double convolved(const StepBuilder& builder, size_t n, size_t oy, size_t ox, size_t o) {
  const Window& window = builder.step.attributes.window;
  const Operand& x = builder.operands[0];
  const Operand& weights = builder.operands[1];
  const bool transposed = builder.step.kind == OpKind::kConvTranspose2d;
  const size_t group_channels = weights.shape[3];
  const size_t group = o / (weights.shape[0] / window.groups);
  const bool i8 = x.type == DataType::kI8;
  double sum = 0;
  if (builder.operands.size() == 3) {
    const void* bias = builder.operands[2].data;
    sum = i8 ? static_cast<const int32_t*>(bias)[o] : static_cast<double>(static_cast<const float*>(bias)[o]);
  }
  for (size_t iy = 0; iy < x.shape[1]; ++iy) {
    for (size_t ix = 0; ix < x.shape[2]; ++ix) {
      for (size_t ky = 0; ky < window.kernel[0]; ++ky) {
        for (size_t kx = 0; kx < window.kernel[1]; ++kx) {
          // Where tap k of the smaller image's position lies in the larger one.
          const auto meets = [&](size_t axis, size_t in, size_t out, size_t k) {
            const size_t small = transposed ? in : out;
            const size_t large = transposed ? out : in;
            return small * window.stride[axis] + k * window.dilation[axis] == large + window.padding[axis];
          };
          if (!meets(0, iy, oy, ky) || !meets(1, ix, ox, kx)) continue;
          for (size_t i = 0; i < group_channels; ++i) {
            const size_t from = ((n * x.shape[1] + iy) * x.shape[2] + ix) * x.shape[3] + group * group_channels + i;
            const size_t tap = ((o * weights.shape[1] + ky) * weights.shape[2] + kx) * group_channels + i;
            sum += element(x, from) * element(weights, tap);
          }
        }
      }
    }
  }
  if (!i8) return sum;
  const Quantization& output = builder.step.output.quantization;
  const double scale = static_cast<double>(x.quantization.scale()) *
                       static_cast<double>(weights.quantization.scales[o]) / static_cast<double>(output.scale());
  return std::clamp(sum * scale + output.zero_point, -128.0, 127.0);
}

void check_convolution(OpKind kind, bool i8, const Window& window, const Extents& x, Random* random, int* met) {
  const size_t outputs = window.groups == 1 ? kOutputs : x[3];
  const Extents weights = {outputs, window.kernel[0], window.kernel[1], x[3] / window.groups};
  StepBuilder builder(kind);
  builder.step.attributes.window = window;
  const std::optional<Extents> output = output_shape(kind, builder.step.attributes, x, weights);
  if (!output) return;
  INFO(describe(kind, window, x), i8 ? " int8" : " f32");
  add_weights(builder, random, i8, x, weights, *output, random->integer(0, 1) == 1);
  check_equal(builder, describe(kind, window, x));
  ++*met;
  const std::vector<uint8_t> bytes = builder.run(KernelSet::kPortable);
  double worst = 0;
  for (size_t i = 0; i < output->elements(); ++i) {
    const double expected =
        convolved(builder, i / ((*output)[1] * (*output)[2] * outputs), i / ((*output)[2] * outputs) % (*output)[1],
                  i / outputs % (*output)[2], i % outputs);
    const double result = i8 ? static_cast<int8_t>(bytes[i]) : static_cast<double>(as_floats(bytes)[i]);
    worst = std::max(worst, std::fabs(expected - result));
  }
  CHECK(worst < (i8 ? 0.5 + 1e-4 : 1e-4));
  if (i8) return;
  // Training's kernels.
  builder.step.any_batch = true;
  check_equal(builder, "trained " + describe(kind, window, x));
}

void check_pooling(OpKind kind, bool i8, const Window& window, const Extents& x, Random* random, int* met) {
  StepBuilder builder(kind);
  builder.step.attributes.window = window;
  const std::optional<Extents> output = output_shape(kind, builder.step.attributes, x, {});
  if (!output) return;
  INFO(describe(kind, window, x), i8 ? " int8" : " f32");
  Operand& input = builder.add(i8 ? DataType::kI8 : DataType::kF32, x);
  builder.fill(input, random);
  if (i8) input.quantization = builder.quantization({0.05F}, -3);
  builder.step.output.type = input.type;
  builder.step.output.shape = *output;
  builder.step.output.quantization = input.quantization;
  check_equal(builder, describe(kind, window, x));
  ++*met;
  const std::vector<uint8_t> bytes = builder.run(KernelSet::kPortable);
  const Operand& in = builder.operands[0];
  size_t wrong = 0;
  for (size_t i = 0; i < output->elements(); ++i) {
    const size_t c = i % x[3];
    const size_t at[2] = {i / (x[3] * (*output)[2]) % (*output)[1], i / x[3] % (*output)[2]};
    const size_t n = i / (x[3] * (*output)[1] * (*output)[2]);
    double sum = 0;
    double largest = -std::numeric_limits<double>::infinity();
    int inside = 0;
    int padded = 0;
    for (int64_t ky = 0; ky < window.kernel[0]; ++ky) {
      for (int64_t kx = 0; kx < window.kernel[1]; ++kx) {
        const int64_t y = static_cast<int64_t>(at[0] * window.stride[0]) + ky * window.dilation[0] - window.padding[0];
        const int64_t z = static_cast<int64_t>(at[1] * window.stride[1]) + kx * window.dilation[1] - window.padding[1];
        const auto height = static_cast<int64_t>(x[1]);
        const auto width = static_cast<int64_t>(x[2]);
        if (y < height + window.padding[2] && z < width + window.padding[3]) ++padded;
        if (y < 0 || z < 0 || y >= height || z >= width) continue;
        ++inside;
        const size_t index = ((n * x[1] + static_cast<size_t>(y)) * x[2] + static_cast<size_t>(z)) * x[3] + c;
        const double value = i8 ? in.i8()[index] + 3 : static_cast<double>(in.f32()[index]);
        sum += value;
        largest = std::max(largest, value);
      }
    }
    const double value = i8 ? static_cast<int8_t>(bytes[i]) + 3 : static_cast<double>(as_floats(bytes)[i]);
    const int divisor = std::max(window.count_padding ? padded : inside, 1);
    const double expected = kind == OpKind::kAveragePool2d ? sum / divisor : largest;
    // A window of dilated taps may miss the image: then there is no largest value.
    if (kind == OpKind::kMaxPool2d && inside == 0) continue;
    const double allowed = i8 && kind == OpKind::kAveragePool2d ? 0.50001 : 1e-5;
    wrong += std::fabs(value - expected) > allowed ? 1 : 0;
  }
  CHECK(wrong == 0);
}

// All small geometries of one dimension (height 1), and as many of two, drawn.
template <typename Check>
int sweep(uint64_t seed, bool transposed, Check check) {
  Random random(seed);
  int met = 0;
  for (uint32_t kernel = 1; kernel <= 5; ++kernel) {
    for (uint32_t stride = 1; stride <= 4; ++stride) {
      for (uint32_t padding = 0; padding <= 2; ++padding) {
        for (uint32_t dilation = 1; dilation <= 2; ++dilation) {
          for (uint32_t groups : {1U, kChannels}) {
            for (uint32_t extent = 1; extent <= 9; ++extent) {
              Window window{{1, kernel}, {1, stride}, {1, dilation}, {0, padding, 0, padding}, {0, 0}, groups, false};
              window.count_padding = random.integer(0, 1) == 1;
              check(window, Extents{1 + extent % 2, 1, extent, kChannels}, &random, &met);
            }
          }
        }
      }
    }
  }
  for (int trial = 0; trial < 1500; ++trial) {
    Window window;
    for (size_t axis = 0; axis < 2; ++axis) {
      window.kernel[axis] = random.integer(1, 5);
      window.stride[axis] = random.integer(1, 4);
      window.dilation[axis] = random.integer(1, 2);
      window.padding[axis] = random.integer(0, 2);
      window.padding[axis + 2] = random.integer(0, 2);
      // An output padding may be smaller than the dilation alone.
      const uint32_t most = std::max(window.stride[axis], window.dilation[axis]) - 1;
      if (transposed) window.output_padding[axis] = random.integer(0, most);
    }
    window.groups = random.integer(0, 3) == 0 ? kChannels : 1;
    window.count_padding = random.integer(0, 1) == 1;
    const Extents x = {1 + static_cast<size_t>(trial) % 2, random.integer(1, 9), random.integer(1, 9), kChannels};
    check(window, x, &random, &met);
  }
  return met;
}

}  // namespace

TEST_CASE("convolution: all small geometries") {
  for (const bool i8 : {false, true}) {
    const int met = sweep(31, false, [i8](const Window& window, const Extents& x, Random* random, int* count) {
      check_convolution(OpKind::kConv2d, i8, window, x, random, count);
    });
    CHECK(met > 2000);
  }
}

TEST_CASE("transposed convolution: all small geometries") {
  for (const bool i8 : {false, true}) {
    const int met = sweep(32, true, [i8](const Window& window, const Extents& x, Random* random, int* count) {
      check_convolution(OpKind::kConvTranspose2d, i8, window, x, random, count);
    });
    CHECK(met > 2000);
  }
}

TEST_CASE("transposed convolution: tall and narrow images, whose rows are mostly padding of tiles") {
  for (const bool i8 : {false, true}) {
    Random random(35);
    int met = 0;
    const Window window{{4, 4}, {3, 3}, {1, 1}, {0, 0, 0, 0}, {0, 0}, kChannels, false};
    check_convolution(OpKind::kConvTranspose2d, i8, window, {1, 500, 1, kChannels}, &random, &met);
    CHECK(met == 1);
  }
}

TEST_CASE("pooling: all small geometries") {
  for (const OpKind kind : {OpKind::kAveragePool2d, OpKind::kMaxPool2d}) {
    for (const bool i8 : {false, true}) {
      const int met = sweep(33, false, [=](const Window& window, const Extents& x, Random* random, int* count) {
        check_pooling(kind, i8, window, x, random, count);
      });
      CHECK(met > 1000);
    }
  }
}

TEST_CASE("the taps of large strides and dilations, against all taps") {
  struct Case {
    uint32_t kernel, stride, dilation;
    size_t in;
    int32_t position;
  };
  for (const Case& c : {Case{2, 65535, 65534, 2, 65535}, Case{2, 65535, 65534, 2, 65536}, Case{3, 6, 4, 9, 26},
                        Case{3, 6, 4, 9, 27}, Case{5, 320, 3, 21250, 6799999}, Case{65535, 65535, 65534, 3, 131070},
                        Case{65535, 65535, 65534, 3, 131071}, Case{65535, 65535, 65534, 65536, 2147000000}}) {
    CAPTURE(c.stride);
    CAPTURE(c.position);
    Window window;
    window.kernel = {c.kernel, c.kernel};
    window.stride = {c.stride, c.stride};
    window.dilation = {c.dilation, c.dilation};
    const portable::Taps taps = portable::Axis(window, 0, c.in, true).at(c.position);
    std::vector<std::pair<int64_t, int64_t>> found;
    for (int64_t tap = taps.tap, source = taps.source; tap < taps.end; tap += taps.step, source += taps.stride)
      found.emplace_back(tap, source);
    std::vector<std::pair<int64_t, int64_t>> expected;
    for (int64_t tap = 0; tap < c.kernel; ++tap) {
      const int64_t scaled = c.position - tap * c.dilation;
      if (scaled >= 0 && scaled % c.stride == 0 && scaled / c.stride < static_cast<int64_t>(c.in))
        expected.emplace_back(tap, scaled / c.stride);
    }
    CHECK(found == expected);
  }
}
