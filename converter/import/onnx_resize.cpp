// ONNX's Resize. Nearest neighbors are an op; interpolation is linear in the input, and separable, so that each resized
// dimension is a product with a matrix that is known while converting.
#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <map>

#include "import/onnx_graph.h"
#include "ir/builder.h"

namespace figment::converter {

namespace {

// How one dimension is resized.
struct Axis {
  size_t axis = 0;
  uint32_t in = 1;
  uint32_t out = 1;
  float scale = 1;
  float roi_start = 0;  // tf_crop_and_resize, in [0, 1]
  float roi_end = 1;
};

class Resize {
 public:
  explicit Resize(const OnnxNode& node) : node_(node), upsample_(node.proto.op_type() == "Upsample") {
    mode_ = node.text("mode", "nearest");
    coordinates_ = upsample_ ? "asymmetric" : node.text("coordinate_transformation_mode", "half_pixel");
    rounding_ = upsample_ ? "floor" : node.text("nearest_mode", "round_prefer_floor");
    // Opset 10 has no modes: asymmetric, and floor.
    if (!upsample_ && node.opset < 11) coordinates_ = "asymmetric", rounding_ = "floor";
    if (mode_ != "nearest" && mode_ != "linear" && mode_ != "cubic" && mode_ != "bilinear")
      node.fail("mode " + mode_ + " is not supported");
    if (node.integer("antialias", 0) != 0) {
      node.fail("antialias is not supported: resize with antialias=False, or by an average pooling");
    }
    read_axes();
  }

  void import() {
    ValueId x = node_.tensor(0);
    if (mode_ == "nearest") return node_.bind(nearest(x));
    Builder build(&node_.graph, node_.name);
    for (const Axis& axis : axes_) {
      if (axis.in == axis.out && is_identity(axis)) continue;
      x = multiply(build, x, axis);
    }
    if (node_.holds_integers(0)) x = truncated(build, x);
    node_.bind(x);
  }

 private:
  void read_axes() {
    const Shape shape = node_.value(0).shape;
    std::vector<int64_t> named = node_.integer_list("axes", {});
    if (named.empty()) {
      for (size_t i = 0; i < shape.rank(); ++i) named.push_back(static_cast<int64_t>(i));
    }
    const size_t scales_input = upsample_ || node_.opset < 11 ? 1 : 2;
    const bool by_size = !upsample_ && node_.has_input(3);
    const std::vector<Number> sizes = by_size ? node_.integers(3).values : std::vector<Number>();
    std::vector<float> scales;
    if (!by_size && node_.has_input(scales_input)) {
      const std::span<const float> given = node_.graph[node_.constant(scales_input, "scales")].f32();
      scales.assign(given.begin(), given.end());
    } else if (!by_size) {
      const onnx::AttributeProto* given = node_.attribute("scales");
      if (given == nullptr) node_.fail("it has neither scales nor sizes");
      scales.assign(given->floats().begin(), given->floats().end());
    }
    if ((by_size ? sizes.size() : scales.size()) != named.size())
      node_.fail("scales and sizes must name as many dimensions as axes");
    std::vector<float> roi;
    if (coordinates_ == "tf_crop_and_resize") {
      const std::span<const float> given = node_.graph[node_.constant(1, "roi")].f32();
      if (given.size() != 2 * named.size()) node_.fail("roi needs two values for each of its axes");
      roi.assign(given.begin(), given.end());
    }
    for (size_t i = 0; i < named.size(); ++i) {
      Axis axis;
      axis.axis = node_.axis(named[i], shape.rank());
      const Dimension& dimension = shape[axis.axis];
      axis.in = axis.out = dimension.extent;
      if (!roi.empty()) axis.roi_start = roi[i], axis.roi_end = roi[named.size() + i];
      if (dimension.per_batch) {
        // A size of the batch, or the one that the exporter has fixed.
        const uint64_t fixed = uint64_t{node_.importer.reopened_batch()} * dimension.extent;
        const bool kept =
            by_size && sizes[i].value == static_cast<int64_t>(sizes[i].per_batch ? dimension.extent : fixed);
        const bool same = by_size ? kept : scales[i] == 1;
        if (!same) node_.fail("the batch cannot be resized");
        continue;
      }
      if (by_size) {
        if (sizes[i].per_batch || sizes[i].value < 1 || static_cast<uint64_t>(sizes[i].value) > kMaxExtent)
          node_.fail("sizes are out of range");
        axis.out = static_cast<uint32_t>(sizes[i].value);
        axis.scale = static_cast<float>(axis.out) / static_cast<float>(axis.in);
      } else {
        axis.scale = scales[i];
        const float extent = std::floor(static_cast<float>(axis.in) * axis.scale);
        if (!(extent >= 1 && extent <= static_cast<float>(kMaxExtent))) node_.fail("scales are out of range");
        axis.out = static_cast<uint32_t>(extent);
      }
      axes_.push_back(axis);
    }
    const std::string policy = node_.text("keep_aspect_ratio_policy", "stretch");
    if (policy != "stretch" && by_size) keep_aspect_ratio(policy == "not_larger");
  }

  void keep_aspect_ratio(bool not_larger) {
    float scale = axes_.empty() ? 1 : axes_[0].scale;
    for (const Axis& axis : axes_) scale = not_larger ? std::min(scale, axis.scale) : std::max(scale, axis.scale);
    for (Axis& axis : axes_) {
      axis.scale = scale;
      axis.out = static_cast<uint32_t>(std::floor(static_cast<float>(axis.in) * scale + 0.5F));
    }
  }

  bool is_identity(const Axis& axis) const { return axis.scale == 1 && coordinates_ != "tf_crop_and_resize"; }

  // Where output position i lies in the input, in single precision: as scales are stored and other implementations
  // compute, which decides where a position falls on a border.
  float position(const Axis& axis, uint32_t i) const {
    const float x = raw_position(axis, i);
    if (!(std::fabs(x) < 1e9F)) node_.fail("its scales or its roi are out of range");
    return x;
  }
  float raw_position(const Axis& axis, uint32_t i) const {
    const auto at = static_cast<float>(i);
    const auto in = static_cast<float>(axis.in);
    const auto out = static_cast<float>(axis.out);
    if (coordinates_ == "asymmetric") return at / axis.scale;
    if (coordinates_ == "half_pixel") return (at + 0.5F) / axis.scale - 0.5F;
    if (coordinates_ == "half_pixel_symmetric") {
      // The scale asks for another size than a whole one: centered on the input.
      const float adjustment = out / (axis.scale * in);
      const float offset = in / 2 * (1 - adjustment);
      return offset + (at + 0.5F) / axis.scale - 0.5F;
    }
    if (coordinates_ == "pytorch_half_pixel") return axis.out > 1 ? (at + 0.5F) / axis.scale - 0.5F : 0;
    if (coordinates_ == "align_corners") return axis.out > 1 ? at * (in - 1) / (out - 1) : 0;
    if (coordinates_ == "tf_half_pixel_for_nn") return (at + 0.5F) / axis.scale;
    if (coordinates_ == "tf_crop_and_resize") {
      if (axis.out == 1) return (axis.roi_start + axis.roi_end) * (in - 1) / 2;
      return axis.roi_start * (in - 1) + at * (axis.roi_end - axis.roi_start) * (in - 1) / (out - 1);
    }
    node_.fail("coordinate_transformation_mode " + coordinates_ + " is not supported");
  }

  int32_t nearest_index(const Axis& axis, uint32_t i) const {
    const float x = position(axis, i);
    float nearest = 0;
    if (rounding_ == "floor") {
      nearest = std::floor(x);
    } else if (rounding_ == "ceil") {
      nearest = std::ceil(x);
    } else if (rounding_ == "round_prefer_floor") {
      nearest = std::ceil(x - 0.5F);
    } else if (rounding_ == "round_prefer_ceil") {
      nearest = std::floor(x + 0.5F);
    } else {
      node_.fail("nearest_mode " + rounding_ + " is not supported");
    }
    return static_cast<int32_t>(std::clamp(nearest, 0.0F, static_cast<float>(axis.in - 1)));
  }

  // Whether each element of an axis comes as often as the others, in their order.
  bool repeats(const Axis& axis) const {
    if (axis.in == 0 || axis.out % axis.in != 0) return false;
    const uint32_t times = axis.out / axis.in;
    // Positions go on by one for each `times`, but where they depend on the extents. Ends are clamped: what holds of
    // the first two elements holds of all.
    const bool periodic = axis.scale == static_cast<float>(times) && coordinates_ != "align_corners";
    const uint32_t tried = periodic ? std::min(axis.out, 2 * times) : axis.out;
    for (uint32_t i = 0; i < tried; ++i) {
      if (nearest_index(axis, i) != static_cast<int32_t>(i / times)) return false;
    }
    return true;
  }

  // Each element of an axis of x [N, H, W, C] `times` times, by ops that hold no table of a size.
  ValueId repeated(ValueId x, size_t axis, uint32_t times) {
    if (times == 1) return x;
    const Shape shape = node_.graph[x].shape;
    Dimension inner;
    for (size_t d = axis + 1; d < shape.rank(); ++d) inner.extent *= shape[d].extent;
    Shape rows(shape);
    if (axis == 1) rows = {shape[0], shape[1], inner};
    const std::vector<ValueId> copies(times, node_.reshape(x, rows));
    Shape result = shape;
    result[axis].extent *= times;
    return node_.reshape(node_.concatenate(copies, static_cast<uint32_t>(rows.rank() - 1)), result);
  }

  // [N, C, W] as [N, C, 1, W]; the last two dimensions may be resized.
  // The last two dimensions of x [N, C, H, W]; those of volumes, and then their first, as rows of [N, C, D, H·W].
  ValueId nearest(ValueId x) {
    const Shape shape = node_.graph[x].shape;
    const size_t rank = shape.rank();
    if (coordinates_ == "tf_crop_and_resize") node_.fail("tf_crop_and_resize with mode nearest is not supported");
    if (rank < 3 || rank > 5)
      node_.fail("only inputs of one to three dimensions beside N and C are supported, this one has shape " +
                 to_string(shape));
    std::vector<Axis> along;  // of each dimension
    for (size_t d = 0; d < rank; ++d) along.push_back({d, shape[d].extent, shape[d].extent});
    for (const Axis& axis : axes_) {
      if (axis.axis < 2 && (axis.out != axis.in || axis.scale != 1))
        node_.fail("only dimensions behind N and C can be resized");
      along[axis.axis] = axis;
    }
    Shape result = shape;
    for (size_t d = 2; d < rank; ++d) result[d].extent = along[d].out;
    const Axis& width = along[rank - 1];
    const Axis one{0, 1, 1};
    if (rank == 3)
      return node_.reshape(nearest_image(node_.reshape(x, {shape[0], shape[1], {}, shape[2]}), one, width), result);
    if (rank == 4) return nearest_image(x, along[2], width);
    const ValueId slices = node_.reshape(x, {shape[0], {shape[1].extent * shape[2].extent, false}, shape[3], shape[4]});
    const ValueId resized = nearest_image(slices, along[3], width);
    const Dimension pixels = {along[3].out * width.out, false};
    const ValueId rows = node_.reshape(resized, {shape[0], shape[1], shape[2], pixels});
    return node_.reshape(nearest_image(rows, along[2], {0, pixels.extent, pixels.extent}), result);
  }

  ValueId nearest_image(ValueId x, const Axis& height, const Axis& width) {
    const auto table = [&](const Axis& axis, const char* name) {
      node_.expect_room(uint64_t{axis.out} * sizeof(int32_t));
      std::vector<int32_t> indices(axis.out);
      for (uint32_t i = 0; i < axis.out; ++i) indices[i] = nearest_index(axis, i);
      return node_.graph.add_constant_i32(node_.name + name, indices);
    };
    const ValueId image = node_.transpose(x, nchw_to_nhwc());
    const ValueId y =
        node_.importer.has_length() && repeats(height) && repeats(width)
            ? repeated(repeated(image, 1, height.out / height.in), 2, width.out / width.in)
            : node_.add(OpKind::kResizeNearest, {}, {image, table(height, ".rows"), table(width, ".columns")});
    return node_.transpose(y, nhwc_to_nchw());
  }

  // Weights of the neighbors of a position: of linear interpolation, or Keys' cubic convolution (1981).
  double kernel(double distance) const {
    const double x = std::fabs(distance);
    if (mode_ != "cubic") return std::max(0.0, 1 - x);
    const double a = static_cast<double>(node_.real("cubic_coeff_a", -0.75F));
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
    return 0;
  }

  // The matrix [out, in] of one dimension.
  std::vector<float> matrix(const Axis& axis) const {
    node_.expect_room(uint64_t{axis.out} * axis.in * sizeof(float));
    std::vector<float> result(size_t{axis.out} * axis.in);
    const bool exclude = node_.integer("exclude_outside", 0) != 0;
    const double support = mode_ == "cubic" ? 2 : 1;
    const float outside = node_.real("extrapolation_value", 0);
    for (uint32_t i = 0; i < axis.out; ++i) {
      const float at = position(axis, i);
      float* row = result.data() + size_t{i} * axis.in;
      if (coordinates_ == "tf_crop_and_resize" && (at < 0 || at > static_cast<float>(axis.in - 1))) {
        if (outside != 0) node_.fail("only an extrapolation_value of 0 is supported");
        continue;
      }
      const double x = static_cast<double>(at);
      double total = 0;
      std::vector<std::pair<int64_t, double>> taps;
      for (auto j = static_cast<int64_t>(std::floor(x - support)); j <= static_cast<int64_t>(std::ceil(x + support));
           ++j) {
        const double weight = kernel(static_cast<double>(j) - x);
        if (weight == 0 || (exclude && (j < 0 || j >= int64_t{axis.in}))) continue;
        taps.emplace_back(std::clamp<int64_t>(j, 0, int64_t{axis.in} - 1), weight);
        total += weight;
      }
      for (const auto& [j, weight] : taps) row[j] += static_cast<float>(weight / total);
    }
    return result;
  }

  ValueId multiply(Builder& build, ValueId x, const Axis& axis) const {
    const ValueId weights = node_.graph.add_constant(fmt::format("{}.interpolation{}", node_.name, axis.axis),
                                                     {axis.out, axis.in}, matrix(axis));
    const auto rank = static_cast<uint32_t>(build.shape(x).rank());
    Attributes order;
    for (uint32_t i = 0; i < rank; ++i) order.permutation.push_back(i);
    std::swap(order.permutation[axis.axis], order.permutation[rank - 1]);
    const bool last = axis.axis + 1 == rank;
    if (!last) x = build.add(OpKind::kTranspose, {x}, order);
    x = build.add(OpKind::kFullyConnected, {x, weights});
    return last ? x : build.add(OpKind::kTranspose, {x}, order);
  }

  const OnnxNode& node_;
  bool upsample_;
  std::string mode_;
  std::string coordinates_;
  std::string rounding_;
  std::vector<Axis> axes_;
};

}  // namespace

const Importers& resize_importers() {
  static const Importers table = {
      {"Resize",
       {[](const OnnxNode& node) { Resize(node).import(); },
        10,
        {OpKind::kFullyConnected, OpKind::kResizeNearest, OpKind::kConcat, OpKind::kSlice},
        "nearest, linear, cubic; no antialias"}},
      {"Upsample",
       {[](const OnnxNode& node) { Resize(node).import(); },
        6,
        {OpKind::kFullyConnected, OpKind::kResizeNearest, OpKind::kConcat, OpKind::kSlice},
        "nearest, linear"}},
  };
  return table;
}

}  // namespace figment::converter
