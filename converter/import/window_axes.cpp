#include "import/window_axes.h"

#include <fmt/format.h>
#include <algorithm>

namespace figment::converter {

std::vector<uint32_t> window_list(const OnnxNode& node, const char* attribute, size_t count, uint32_t fallback) {
  const std::vector<int64_t> values = node.integer_list(attribute, std::vector<int64_t>(count, fallback));
  if (values.size() != count) node.fail(fmt::format("{} must have {} values", attribute, count));
  std::vector<uint32_t> result;
  for (int64_t value : values) {
    if (value < 0 || value > UINT16_MAX)
      node.fail(fmt::format("{} holds {}, and may hold 0 to {}", attribute, value, UINT16_MAX));
    result.push_back(static_cast<uint32_t>(value));
  }
  return result;
}

std::vector<WindowAxis> window_axes(const OnnxNode& node, const std::vector<uint32_t>& kernel, const Shape& shape) {
  const size_t count = kernel.size();
  if (shape.rank() != count + 2) node.fail("its kernel does not have the dimensions of its input");
  const std::vector<uint32_t> strides = window_list(node, "strides", count, 1);
  const std::vector<uint32_t> dilations = window_list(node, "dilations", count, 1);
  const std::vector<uint32_t> pads = window_list(node, "pads", 2 * count, 0);
  const std::vector<uint32_t> output_padding = window_list(node, "output_padding", count, 0);
  const std::string mode = node.text("auto_pad", "NOTSET");
  const bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
  const bool given = mode == "NOTSET" || mode.empty();
  if (!same && !given && mode != "VALID") node.fail("unknown auto_pad " + mode);
  std::vector<WindowAxis> axes;
  for (size_t i = 0; i < count; ++i) {
    WindowAxis axis{kernel[i], strides[i], dilations[i], 0, 0, output_padding[i]};
    if (axis.kernel == 0 || axis.stride == 0 || axis.dilation == 0) node.fail("its kernel, stride or dilation is 0");
    if (axis.kernel > UINT16_MAX) node.fail(fmt::format("its kernel is longer than {}", UINT16_MAX));
    if (given) axis.before = pads[i], axis.after = pads[i + count];
    if (same) {
      const uint64_t extent = shape[i + 2].extent;
      const uint64_t needed = (extent + axis.stride - 1) / axis.stride * axis.stride - axis.stride + axis.span();
      const uint64_t total = needed > extent ? needed - extent : 0;
      axis.before = static_cast<uint32_t>(mode == "SAME_UPPER" ? total / 2 : total - total / 2);
      axis.after = static_cast<uint32_t>(total - axis.before);
    }
    axes.push_back(axis);
  }
  return axes;
}

Window window_of(const WindowAxis& rows, const WindowAxis& columns) {
  Window window;
  window.kernel = {rows.kernel, columns.kernel};
  window.stride = {rows.stride, columns.stride};
  window.dilation = {rows.dilation, columns.dilation};
  window.padding = {rows.before, columns.before, rows.after, columns.after};
  window.output_padding = {rows.output_padding, columns.output_padding};
  return window;
}

float reach_past_end(WindowAxis* axis, uint32_t extent) {
  const uint64_t padded = uint64_t{extent} + axis->before + axis->after;
  if (padded < axis->span()) return 1;
  const uint64_t rest = (padded - axis->span()) % axis->stride;
  const uint64_t next = padded - axis->span() - rest + axis->stride;
  // A last window that would begin in the padding behind the input is left out.
  if (rest == 0 || next >= uint64_t{extent} + axis->before) return 1;
  axis->after += static_cast<uint32_t>(axis->stride - rest);
  const uint64_t inside = (padded - next + axis->dilation - 1) / axis->dilation;
  return static_cast<float>(inside) / static_cast<float>(axis->kernel);
}

ValueId last_scaled(const OnnxNode& node, ValueId y, size_t axis, float factor) {
  if (factor == 1) return y;
  std::vector<uint32_t> broadcast(node.graph[y].shape.rank(), 1);
  broadcast[axis] = node.graph[y].shape[axis].extent;
  std::vector<float> factors(broadcast[axis], 1);
  factors.back() = factor;
  return node.add(OpKind::kMultiply, {}, {y, node.graph.add_constant(node.name + ".factor", broadcast, factors)});
}

}  // namespace figment::converter
