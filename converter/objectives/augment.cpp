#include "objectives/augment.h"

#include <numeric>

namespace figment::converter {

namespace {

// A place for each number that is drawn.
enum Drawn : uint32_t { kLevel, kGain, kRow, kColumn, kRowShift, kColumnShift, kDrawn };

// A line from 0 to 1 as steep as this is a step, but for a few in a million of the numbers that are drawn.
constexpr float kSteep = 1 << 20;

// The ops of one image's augmentation.
class Augmenter {
 public:
  Augmenter(Graph* program, const PortDefinition& port, const std::string& label)
      : build_(program, label + ".augment"), port_(port) {
    Value value;
    value.name = label + ".augment";
    value.shape = {{1, true}, {kDrawn, false}};
    input_ = {value.name, 0, value.shape, {0, 1}, 0};
    input_.value = program->add_value(std::move(value));
    program->inputs.push_back(input_);
  }

  const PortDefinition& input() const { return input_; }

  ValueId brightness(ValueId x, float half_range) {
    return build_.add(OpKind::kAdd, {x, build_.with_scalar(OpKind::kMultiply, drawn(kLevel), half_range / 2)});
  }

  ValueId contrast(ValueId x) {
    const ValueId mean = build_.mean(x, {1, 2, 3});
    const ValueId gain = build_.with_scalar(OpKind::kAdd, build_.with_scalar(OpKind::kMultiply, drawn(kGain), 0.5F), 1);
    return build_.add(OpKind::kAdd,
                      {build_.add(OpKind::kMultiply, {build_.add(OpKind::kSubtract, {x, mean}), gain}), mean});
  }

  ValueId translation(ValueId x) { return shifted(shifted(x, 2, kRowShift), 3, kColumnShift); }

  ValueId cutout(ValueId x, float middle) {
    const ValueId rows = outside(2, kRow);
    const ValueId columns = outside(3, kColumn);
    const ValueId both = build_.add(OpKind::kMultiply, {rows, columns});
    const ValueId kept = build_.add(OpKind::kSubtract, {build_.add(OpKind::kAdd, {rows, columns}), both});
    if (middle == 0) return build_.add(OpKind::kMultiply, {x, kept});
    const ValueId around = build_.add(OpKind::kMultiply, {build_.with_scalar(OpKind::kSubtract, x, middle), kept});
    return build_.with_scalar(OpKind::kAdd, around, middle);
  }

 private:
  // A drawn number of each sample, to broadcast against images.
  ValueId drawn(Drawn which) {
    return build_.reshape(build_.slice(input_.value, 1, which, 1), {{1, true}, {}, {}, {}});
  }

  // Where the exporter's dimension lies.
  uint32_t axis_of(uint32_t dimension) const {
    uint32_t axis = 0;
    while (port_.permutation[axis] != dimension) ++axis;
    return axis;
  }

  // x moved along the exporter's dimension: for each sample a product with the matrix whose element (i, j) is 1 where j
  // is less than half a pixel from i - shift, or from the edge that this is beyond, else 0.
  ValueId shifted(ValueId x, uint32_t dimension, Drawn which) {
    const uint32_t extent = port_.shape[dimension].extent;
    const uint32_t furthest = (extent + 4) / 8;
    if (furthest == 0) return x;
    std::vector<float> places(extent);
    std::iota(places.begin(), places.end(), 0.0F);
    const ValueId to = build_.graph().add_constant("places", {1, extent, 1}, places);
    const ValueId from = build_.graph().add_constant("places", {1, 1, extent}, places);
    const ValueId number = build_.reshape(drawn(which), {{1, true}, {}, {}});
    const ValueId shift = build_.with_scalar(OpKind::kMultiply, number, static_cast<float>(furthest) + 0.5F);
    Attributes edges;
    edges.clamp_min = 0;
    edges.clamp_max = static_cast<float>(extent - 1);
    const ValueId origin = build_.add(OpKind::kClamp, {build_.add(OpKind::kSubtract, {to, shift})}, edges);
    const ValueId distance = build_.add(OpKind::kAbs, {build_.add(OpKind::kSubtract, {origin, from})});
    const ValueId inside = build_.with_scalar(OpKind::kAdd, build_.add(OpKind::kNegate, {distance}), 0.5F);
    const ValueId matrix =
        build_.add(OpKind::kClamp, {build_.with_scalar(OpKind::kMultiply, inside, kSteep)}, between_0_and_1());

    const uint32_t axis = axis_of(dimension);
    Attributes exchange;  // of the dimension and the one after the batch
    for (uint32_t i = 0; i < 4; ++i) exchange.permutation.push_back(i == 1 ? axis : i == axis ? 1 : i);
    if (axis != 1) x = build_.add(OpKind::kTranspose, {x}, exchange);
    const Shape shape = build_.shape(x);
    x = build_.reshape(x, {shape[0], shape[1], {shape[2].extent * shape[3].extent, false}});
    x = build_.reshape(build_.matmul(matrix, false, x, false), shape);
    return axis != 1 ? build_.add(OpKind::kTranspose, {x}, exchange) : x;
  }

  // 1 for the places along the exporter's dimension that the box leaves, 0 for those it takes: |place - center| - a
  // quarter of the extent, between 0 and 1 over one pixel.
  ValueId outside(uint32_t dimension, Drawn which) {
    const uint32_t extent = port_.shape[dimension].extent;
    std::vector<float> places(extent);
    for (uint32_t i = 0; i < extent; ++i) places[i] = static_cast<float>(i) + 0.5F - static_cast<float>(extent) / 2;
    std::vector<uint32_t> shape(4, 1);
    shape[axis_of(dimension)] = extent;
    const ValueId grid = build_.graph().add_constant("places", shape, places);
    const ValueId center = build_.with_scalar(OpKind::kMultiply, drawn(which), static_cast<float>(extent) / 2);
    const ValueId distance = build_.add(OpKind::kAbs, {build_.add(OpKind::kSubtract, {grid, center})});
    const ValueId edge = build_.with_scalar(OpKind::kAdd, distance, 0.5F - static_cast<float>(extent) / 4);
    return build_.add(OpKind::kClamp, {edge}, between_0_and_1());
  }

  static Attributes between_0_and_1() {
    Attributes attributes;
    attributes.clamp_min = 0;
    attributes.clamp_max = 1;
    return attributes;
  }

  Builder build_;
  const PortDefinition& port_;
  PortDefinition input_;
};

}  // namespace

ValueId augmented(Composer* composer, ValueId sample, const PortDefinition& port, const std::string& label,
                  const AugmentOptions& options, std::vector<LatentDefinition>* drawn) {
  if (options.what.empty()) return sample;
  if (port.shape.rank() != 4) {
    throw Error("augmentation is for images [N, channels, height, width], " + port.name + " is " +
                to_string(port.shape));
  }
  Augmenter augmenter(&composer->program(), port, label);
  for (Augmentation what : options.what) {
    if (what == Augmentation::kBrightness) sample = augmenter.brightness(sample, (options.high - options.low) / 2);
    if (what == Augmentation::kContrast) sample = augmenter.contrast(sample);
    if (what == Augmentation::kTranslation) sample = augmenter.translation(sample);
    if (what == Augmentation::kCutout) sample = augmenter.cutout(sample, (options.high + options.low) / 2);
  }
  drawn->push_back({"", augmenter.input().name, kDrawn, Prior::kUniform, 0, 0, {}});
  return sample;
}

}  // namespace figment::converter
