// ONNX's Fourier transforms and Col2Im: linear maps with known weights.
#include <fmt/format.h>
#include <cmath>
#include <numbers>

#include "import/onnx_graph.h"
#include "ir/builder.h"

namespace figment::converter {

namespace {

// A transform of `inputs` complex or real numbers to `outputs`, of length `length`.
struct Transform {
  uint32_t length = 0;
  uint32_t inputs = 0;
  uint32_t outputs = 0;
  uint32_t parts_in = 2;  // 1: real numbers
  uint32_t parts_out = 2;
  bool inverse = false;
  bool onesided = false;

  // Weights [outputs, parts_out, inputs, parts_in]: y_k = sum of e^(-2 pi j k n / length) x_n, or with a positive
  // exponent and over the length. What lies behind the length is left out. A one-sided inverse reads the first half of
  // a spectrum that is symmetric, but for the mirrored halves' sign of the imaginary part.
  std::vector<float> weights() const {
    std::vector<float> result(size_t{outputs} * parts_out * inputs * parts_in);
    const uint32_t used = inverse && onesided ? length / 2 + 1 : length;
    for (uint32_t k = 0; k < outputs; ++k) {
      for (uint32_t n = 0; n < std::min(inputs, used); ++n) {
        const double angle =
            (inverse ? 2 : -2) * std::numbers::pi * (static_cast<double>(uint64_t{k} * n % length)) / length;
        const bool mirrored = inverse && onesided && n != 0 && 2 * n != length;
        const double factor = (inverse ? 1.0 / length : 1.0) * (mirrored ? 2 : 1);
        const auto set = [&](uint32_t out, uint32_t in, double value) {
          if (out < parts_out && in < parts_in)
            result[((size_t{k} * parts_out + out) * inputs + n) * parts_in + in] = static_cast<float>(factor * value);
        };
        set(0, 0, std::cos(angle));
        set(0, 1, -std::sin(angle));
        set(1, 0, std::sin(angle));
        set(1, 1, std::cos(angle));
      }
    }
    return result;
  }
};

int64_t number_of(const OnnxNode& node, size_t input, int64_t fallback) {
  if (!node.has_input(input)) return fallback;
  const std::vector<int64_t> numbers = node.numbers(input);
  if (numbers.size() != 1) node.fail(fmt::format("input {} must be one number", input));
  return numbers[0];
}

constexpr int64_t kLongest = 1 << 16;

void import_dft(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  ValueId x = node.tensor(0);
  const Shape shape = build.shape(x);
  const size_t rank = shape.rank();
  if (rank < 2 || shape[rank - 1].extent > 2 || shape[rank - 1].per_batch)
    node.fail("its input must end in a dimension of 1 or 2, the real and imaginary parts");
  const int64_t given = node.opset < 20 ? node.integer("axis", 1) : number_of(node, 2, -2);
  const size_t axis = node.axis(given, rank);
  if (axis + 1 == rank || shape[axis].per_batch) node.fail("its axis is the batch, or that of the parts");
  Transform transform;
  transform.inverse = node.integer("inverse", 0) != 0;
  transform.onesided = node.integer("onesided", 0) != 0;
  transform.inputs = shape[axis].extent;
  transform.parts_in = shape[rank - 1].extent;
  const bool half = transform.inverse && transform.onesided;
  const int64_t length = number_of(node, 1, half ? 2 * (int64_t{transform.inputs} - 1) : int64_t{transform.inputs});
  if (length < 1 || length > kLongest) node.fail(fmt::format("its length of {} is out of range", length));
  transform.length = static_cast<uint32_t>(length);
  transform.outputs = transform.onesided && !transform.inverse ? transform.length / 2 + 1 : transform.length;
  transform.parts_out = half ? 1 : 2;
  const uint32_t columns = transform.inputs * transform.parts_in;
  const uint32_t rows = transform.outputs * transform.parts_out;
  node.expect_room(uint64_t{rows} * columns * sizeof(float));
  // The axis stands beside the parts.
  Permutation order;
  for (uint32_t i = 0; i < rank; ++i) {
    if (i != axis && i + 1 != rank) order.push_back(i);
  }
  order.push_back(static_cast<uint32_t>(axis));
  order.push_back(static_cast<uint32_t>(rank - 1));
  Permutation back;
  for (uint32_t i = 0; i < rank; ++i)
    back.push_back(i + 1 == rank ? i : i == axis ? static_cast<uint32_t>(rank - 2) : i < axis ? i : i - 1);
  const bool moves = axis + 2 != rank;
  if (moves) x = node.transpose(x, order);
  Shape flat;
  Shape result;
  for (size_t i = 0; i + 2 < rank; ++i) {
    flat.push_back(build.shape(x)[i]);
    result.push_back(build.shape(x)[i]);
  }
  flat.push_back({columns, false});
  result.push_back({transform.outputs, false});
  result.push_back({transform.parts_out, false});
  const ValueId weights = node.graph.add_constant(node.name + ".weights", {rows, columns}, transform.weights());
  const ValueId y = build.reshape(build.add(OpKind::kFullyConnected, {build.reshape(x, flat), weights}), result);
  node.bind(moves ? node.transpose(y, back) : y);
}

// A convolution over time with the windowed transform.
void import_stft(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.tensor(0);
  const Shape shape = build.shape(x);
  if (shape.rank() != 3 || shape[1].per_batch || shape[2].per_batch || shape[2].extent > 2)
    node.fail("its signal must be [N, length, 1] or [N, length, 2]");
  std::vector<float> window;
  if (node.has_input(2)) {
    const std::span<const float> given = node.graph[node.constant(2, "window")].f32();
    window.assign(given.begin(), given.end());
  }
  const int64_t step = number_of(node, 1, 0);
  const int64_t length = number_of(node, 3, window.empty() ? int64_t{shape[1].extent} : std::ssize(window));
  if (step < 1 || step > kLongest || length < 1 || length > kLongest || length > shape[1].extent)
    node.fail("its frames are empty, or longer than its signal");
  if (window.empty()) window.assign(static_cast<size_t>(length), 1);
  if (std::ssize(window) != length) node.fail("its window is not as long as its frames");
  Transform transform;
  transform.length = transform.inputs = static_cast<uint32_t>(length);
  transform.onesided = node.integer("onesided", 1) != 0;
  transform.outputs = transform.onesided ? transform.length / 2 + 1 : transform.length;
  transform.parts_in = shape[2].extent;
  const uint32_t rows = transform.outputs * 2;
  node.expect_room(uint64_t{rows} * transform.inputs * transform.parts_in * sizeof(float));
  std::vector<float> weights = transform.weights();
  for (size_t i = 0; i < weights.size(); ++i) weights[i] *= window[i / transform.parts_in % window.size()];
  Attributes attributes;
  attributes.window.kernel = {1, transform.length};
  attributes.window.stride = {1, static_cast<uint32_t>(step)};
  const ValueId frames = build.add(
      OpKind::kConv2d,
      {build.reshape(x, {shape[0], {}, shape[1], shape[2]}),
       node.graph.add_constant(node.name + ".weights", {rows, 1, transform.length, transform.parts_in}, weights)},
      attributes);
  node.bind(build.reshape(frames, {shape[0], build.shape(frames)[2], {transform.outputs, false}, {2, false}}));
}

// Blocks added up where they lie in the image: a transposed convolution of ones, each channel by itself.
void import_col2im(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId x = node.tensor(0);
  const Shape shape = build.shape(x);
  const std::vector<int64_t> image = node.numbers(1);
  const std::vector<int64_t> block = node.numbers(2);
  if (shape.rank() != 3 || image.size() != 2 || block.size() != 2 || shape[1].per_batch || shape[2].per_batch)
    node.fail("only images of two dimensions are supported");
  const std::vector<int64_t> strides = node.integer_list("strides", {1, 1});
  const std::vector<int64_t> dilations = node.integer_list("dilations", {1, 1});
  const std::vector<int64_t> pads = node.integer_list("pads", {0, 0, 0, 0});
  const auto in_range = [](const std::vector<int64_t>& values, size_t count, int64_t least) {
    return values.size() == count &&
           std::ranges::all_of(values, [&](int64_t value) { return value >= least && value <= UINT16_MAX; });
  };
  if (!in_range(image, 2, 1) || !in_range(block, 2, 1) || !in_range(strides, 2, 1) || !in_range(dilations, 2, 1) ||
      !in_range(pads, 4, 0))
    node.fail("its attributes are out of range");
  const auto taps = static_cast<uint32_t>(block[0] * block[1]);
  if (shape[1].extent % taps != 0) node.fail("its blocks do not divide its channels");
  const uint32_t channels = shape[1].extent / taps;
  Attributes attributes;
  Window& window = attributes.window;
  window.groups = channels;
  std::array<uint32_t, 2> places{};
  for (size_t axis = 0; axis < 2; ++axis) {
    window.kernel[axis] = static_cast<uint32_t>(block[axis]);
    window.stride[axis] = static_cast<uint32_t>(strides[axis]);
    window.dilation[axis] = static_cast<uint32_t>(dilations[axis]);
    window.padding[axis] = static_cast<uint32_t>(pads[axis]);
    window.padding[axis + 2] = static_cast<uint32_t>(pads[axis + 2]);
    const int64_t padded = image[axis] + pads[axis] + pads[axis + 2];
    const auto span = static_cast<int64_t>(window.span(axis));
    if (padded < span) node.fail("its blocks are larger than its image");
    places[axis] = static_cast<uint32_t>((padded - span) / strides[axis]) + 1;
    window.output_padding[axis] = static_cast<uint32_t>((padded - span) % strides[axis]);
  }
  if (uint64_t{places[0]} * places[1] != shape[2].extent) node.fail("its blocks do not fill its image");
  node.expect_room(uint64_t{channels} * taps * taps * sizeof(float));
  std::vector<float> ones(size_t{channels} * taps * taps);
  for (uint32_t c = 0; c < channels; ++c) {
    for (uint32_t tap = 0; tap < taps; ++tap) ones[(size_t{c} * taps + tap) * taps + tap] = 1;
  }
  const ValueId weights =
      node.graph.add_constant(node.name + ".ones", {channels, window.kernel[0], window.kernel[1], taps}, ones);
  const ValueId blocks = build.reshape(x, {shape[0], shape[1], {places[0], false}, {places[1], false}});
  const ValueId y = build.add(OpKind::kConvTranspose2d, {node.transpose(blocks, nchw_to_nhwc()), weights}, attributes);
  node.bind(node.transpose(y, nhwc_to_nchw()));
}

}  // namespace

const Importers& spectrum_importers() {
  static const Importers table = {
      {"Col2Im", {import_col2im, 18, {OpKind::kConvTranspose2d}, "2-D"}},
      {"DFT", {import_dft, 17, {OpKind::kFullyConnected}, "as a product of matrices"}},
      {"STFT", {import_stft, 17, {OpKind::kConv2d}, "a known window"}},
  };
  return table;
}

}  // namespace figment::converter
