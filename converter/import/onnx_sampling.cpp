// ONNX's GridSample and AffineGrid: images at places that are computed, as spatial transformers read them (Jaderberg et
// al. 2015).
#include <fmt/format.h>
#include <limits>
#include <map>

#include "import/onnx_graph.h"
#include "ir/builder.h"

namespace figment::converter {

namespace {

enum class Mode { kNearest, kLinear, kCubic };
enum class Outside { kZeros, kBorder, kReflection };

// x [N, C, H, W] at the places of grid [N, H', W', 2], in -1..1, (x, y) -> [N, C, H', W'], and volumes likewise.
class GridSample {
 public:
  explicit GridSample(const OnnxNode& node)
      : node_(node), build_(&node.graph, node.name), aligned_(node.integer("align_corners", 0) != 0) {
    const std::string mode = node.text("mode", "linear");
    if (mode == "nearest") {
      mode_ = Mode::kNearest;
    } else if (mode == "bicubic" || mode == "cubic") {
      mode_ = Mode::kCubic;
    } else if (mode != "bilinear" && mode != "linear") {
      node.fail("unknown mode " + mode);
    }
    const std::string outside = node.text("padding_mode", "zeros");
    if (outside == "border") {
      outside_ = Outside::kBorder;
    } else if (outside == "reflection") {
      outside_ = Outside::kReflection;
    } else if (outside != "zeros") {
      node.fail("unknown padding_mode " + outside);
    }
    if (mode_ == Mode::kCubic && outside_ != Outside::kZeros)
      node.fail("padding_mode " + outside + " is not supported with mode " + mode + ": sample with mode='bilinear'");
  }

  void import() {
    const ValueId x = node_.number(0);
    const ValueId grid = node_.number(1);
    const Shape image = build_.shape(x);
    const Shape places = build_.shape(grid);
    const size_t rank = image.rank();
    if (rank < 3 || rank > 5 || places.rank() != rank ||
        places[rank - 1] != Dimension{static_cast<uint32_t>(rank - 2), false})
      node_.fail("its grid has shape " + to_string(places) + ", which does not fit its input's, " + to_string(image));
    for (size_t d = 1; d < rank; ++d) {
      if (image[d].per_batch || places[d].per_batch) node_.fail("its batch must be dimension 0");
    }
    // The same places for every sample.
    const bool one_grid = node_.is_fixed(grid) && places[0] == Dimension{};
    if (!one_grid && places[0] != image[0])
      node_.fail("its grid has shape " + to_string(places) + ", of another batch than its input's, " +
                 to_string(image));
    Dimension count;
    uint64_t all = 1;
    Shape sampled = {image[0], image[1]};
    for (size_t d = 1; d + 1 < rank; ++d) {
      all *= places[d].extent;
      sampled.push_back(places[d]);
    }
    Dimension lines;
    for (size_t d = 1; d + 1 < rank; ++d) lines.extent *= image[d].extent;
    if (all > kMaxExtent) node_.fail(fmt::format("its grid has {} places, {} at most", all, kMaxExtent));
    count.extent = static_cast<uint32_t>(all);
    // Interpolation is separable at each place: along the last dimension by a product of matrices, which leaves
    // [N, C, .., places], then along one after the other.
    const ValueId across = weights(grid, 0, count, image[rank - 1].extent);
    const ValueId flat = build_.reshape(x, {image[0], lines, image[rank - 1]});
    ValueId y = one_grid ? build_.add(OpKind::kFullyConnected, {flat, build_.reshape(across, {count, image[rank - 1]})})
                         : build_.matmul(flat, false, across, true);
    Shape left;
    for (size_t d = 0; d + 1 < rank; ++d) left.push_back(image[d]);
    left.push_back(count);
    y = build_.reshape(y, left);
    for (size_t d = rank - 2; d >= 2; --d) {
      const auto coordinate = static_cast<uint32_t>(rank - 1 - d);
      const ValueId down = node_.transpose(weights(grid, coordinate, count, image[d].extent), {0, 2, 1});
      Shape broadcast = {places[0]};
      while (broadcast.rank() < d) broadcast.push_back({});
      broadcast.push_back(image[d]);
      broadcast.push_back(count);
      y = build_.sum(build_.add(OpKind::kMultiply, {y, build_.reshape(down, broadcast)}), {static_cast<uint32_t>(d)});
      Shape summed;
      for (size_t i = 0; i < d; ++i) summed.push_back(image[i]);
      summed.push_back(count);
      y = build_.reshape(y, summed);
    }
    node_.bind(build_.reshape(y, sampled));
  }

 private:
  ValueId by(OpKind kind, ValueId a, double b) { return build_.with_scalar(kind, a, static_cast<float>(b)); }

  // What each of `extent` pixels counts at a place: [N, places, extent].
  ValueId weights(ValueId grid, uint32_t coordinate, Dimension count, uint32_t extent) {
    const ValueId picked = build_.slice(grid, build_.shape(grid).rank() - 1, coordinate, 1);
    const ValueId at = position(build_.reshape(picked, {build_.shape(grid)[0], count, {}}), extent);
    const ValueId distance =
        build_.add(OpKind::kAbs, {build_.add(OpKind::kSubtract, {at, counted_along(node_, 2, 3, extent)})});
    if (mode_ == Mode::kCubic) return cubic(distance);
    const ValueId rest = build_.add(OpKind::kSubtract, {build_.scalar(1, 3), distance});
    return build_.clamp(rest, 0, std::numeric_limits<float>::infinity());
  }

  // Keys' cubic convolution (1981) with a = -0.75: a polynomial up to a distance of 1, another up to 2, where both
  // end at 0.
  ValueId cubic(ValueId distance) {
    constexpr double a = -0.75;
    const auto polynomial = [&](ValueId d, double third, double second, double first, double constant) {
      ValueId y = by(OpKind::kAdd, by(OpKind::kMultiply, d, third), second);
      y = by(OpKind::kAdd, build_.add(OpKind::kMultiply, {y, d}), first);
      return by(OpKind::kAdd, build_.add(OpKind::kMultiply, {y, d}), constant);
    };
    const ValueId near = polynomial(build_.clamp(distance, 0, 1), a + 2, -(a + 3), 0, 1);
    const ValueId far = polynomial(build_.clamp(distance, 1, 2), a, -5 * a, 8 * a, -4 * a);
    return build_.add(OpKind::kAdd, {near, far});
  }

  // -1..1 in pixels, where pixel 0 is 0.
  ValueId position(ValueId at, uint32_t extent) {
    const auto size = static_cast<double>(extent);
    at = by(OpKind::kAdd, at, 1);
    at = aligned_ ? by(OpKind::kMultiply, at, (size - 1) / 2)
                  : by(OpKind::kMultiply, by(OpKind::kSubtract, by(OpKind::kMultiply, at, size), 1), 0.5);
    if (outside_ == Outside::kReflection) at = reflected(at, size);
    if (outside_ != Outside::kZeros) at = build_.clamp(at, 0, static_cast<float>(extent - 1));
    return mode_ == Mode::kNearest ? build_.add(OpKind::kRound, {at}) : at;
  }

  // A triangle wave between the outermost pixels' centers, or their outer borders.
  ValueId reflected(ValueId at, double size) {
    const double low = aligned_ ? 0 : -0.5;
    const double span = aligned_ ? size - 1 : size;
    if (span == 0) return by(OpKind::kMultiply, at, 0);
    const ValueId from_low = build_.add(OpKind::kAbs, {by(OpKind::kSubtract, at, low)});
    const ValueId periods = build_.add(OpKind::kFloor, {by(OpKind::kMultiply, from_low, 1 / (2 * span))});
    const ValueId rest = build_.add(OpKind::kSubtract, {from_low, by(OpKind::kMultiply, periods, 2 * span)});
    const ValueId from_turn = build_.add(OpKind::kAbs, {by(OpKind::kSubtract, rest, span)});
    return build_.add(OpKind::kSubtract, {build_.scalar(static_cast<float>(span + low), 3), from_turn});
  }

  const OnnxNode& node_;
  Builder build_;
  bool aligned_;
  Mode mode_ = Mode::kLinear;
  Outside outside_ = Outside::kZeros;
};

void import_grid_sample(const OnnxNode& node) { GridSample(node).import(); }

// theta [N, 2, 3] -> the places [N, H, W, 2] that it sends those of an image [N, C, H, W] to; [N, 3, 4] of volumes.
void import_affine_grid(const OnnxNode& node) {
  Builder build(&node.graph, node.name);
  const ValueId theta = node.number(0);
  const Shape shape = build.shape(theta);
  const Shape size = shape_of(node, node.integers(1));
  const size_t axes = size.rank() < 2 ? 0 : size.rank() - 2;
  if (axes < 2 || axes > 3 || shape.rank() != 3 || shape[1] != Dimension{static_cast<uint32_t>(axes), false} ||
      shape[2] != Dimension{static_cast<uint32_t>(axes) + 1, false})
    node.fail("theta has shape " + to_string(shape) + ", which does not fit an image of " + to_string(size));
  if (node.importer.reopened_batch() == 0 && size[0] != shape[0])
    node.fail("its size " + to_string(size) + " is of another batch than theta, " + to_string(shape));
  uint64_t count = 1;
  Shape result = {shape[0]};
  for (size_t d = 2; d < size.rank(); ++d) {
    if (size[d].per_batch) node.fail("its batch must be dimension 0");
    count *= size[d].extent;
    result.push_back(size[d]);
  }
  result.push_back(shape[1]);
  if (count > kMaxExtent) node.fail(fmt::format("its grid has {} places, {} at most", count, kMaxExtent));
  node.expect_room(count * (axes + 1) * sizeof(float));
  const bool aligned = node.integer("align_corners", 0) != 0;
  // The places (x, y, 1) or (x, y, z, 1), the last dimension's first.
  std::vector<float> places;
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t rest = i;
    for (size_t d = size.rank(); d > 2; --d) {
      const uint32_t extent = size[d - 1].extent;
      const auto at = static_cast<double>(rest % extent);
      rest /= extent;
      const double aligned_place = extent > 1 ? 2 * at / (extent - 1.0) - 1 : 0;
      places.push_back(static_cast<float>(aligned ? aligned_place : (2 * at + 1) / extent - 1));
    }
    places.push_back(1);
  }
  // theta times every place: [N, axes, places].
  const ValueId constant =
      node.graph.add_constant(node.name, {static_cast<uint32_t>(count), static_cast<uint32_t>(axes) + 1}, places);
  const ValueId moved = build.add(OpKind::kFullyConnected, {theta, constant});
  node.bind(build.reshape(node.transpose(moved, {0, 2, 1}), result));
}

}  // namespace

const Importers& sampling_importers() {
  static const Importers table = {
      {"AffineGrid", {import_affine_grid, 20, {OpKind::kFullyConnected}, ""}},
      {"GridSample",
       {import_grid_sample,
        16,
        {OpKind::kAdd, OpKind::kSubtract, OpKind::kMultiply, OpKind::kAbs, OpKind::kClamp, OpKind::kFloor,
         OpKind::kRound, OpKind::kSlice, OpKind::kSum, OpKind::kMatmul, OpKind::kFullyConnected},
        "cubic: with zeros outside"}},
  };
  return table;
}

}  // namespace figment::converter
