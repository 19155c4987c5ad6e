#include "format/work.h"

namespace figment::format {

namespace {

// Pairs of a position of the small image and a tap of the window that falls inside the large one, along an axis.
uint64_t pairs(const Window& window, size_t axis, uint64_t small, uint64_t large) {
  uint64_t count = 0;
  for (uint64_t p = 0; p < small; ++p) {
    for (uint64_t k = 0; k < window.kernel[axis]; ++k) {
      const uint64_t at = p * window.stride[axis] + k * window.dilation[axis];
      count += at >= window.padding[axis] && at - window.padding[axis] < large ? 1 : 0;
    }
  }
  return count;
}

// Of images of channels [N, H, W, C].
uint64_t window_products(const Window& window, const Extents& small, const Extents& large) {
  return small[0] * pairs(window, 0, small[1], large[1]) * pairs(window, 1, small[2], large[2]) * small[3] * large[3] /
         window.groups;
}

}  // namespace

uint64_t multiply_adds(const ProgramView& program, size_t index) {
  const OpView op = program.op(index);
  const auto extents = [&](uint32_t tensor) { return resolve_extents(program.tensor(tensor).type.shape, 1); };
  const Extents out = extents(op.outputs[0]);
  const Extents first = extents(op.inputs[0]);
  const Window& window = op.attributes.window;
  switch (op.kind) {
    case OpKind::kFullyConnected: return uint64_t{out.elements()} * extents(op.inputs[1])[1];
    case OpKind::kMatmul: return uint64_t{out.elements()} * first.from_end(op.attributes.transpose_a ? 1 : 0);
    case OpKind::kConv2d:
    case OpKind::kConvTranspose2dBackwardInput: return window_products(window, out, first);
    case OpKind::kConvTranspose2d:
    case OpKind::kConv2dBackwardInput: return window_products(window, first, out);
    case OpKind::kConv2dBackwardWeights: return window_products(window, extents(op.inputs[1]), first);
    case OpKind::kConvTranspose2dBackwardWeights: return window_products(window, first, extents(op.inputs[1]));
    case OpKind::kLstm:
    case OpKind::kGru:
    case OpKind::kLstmI8:
    case OpKind::kGruI8: return uint64_t{first.elements()} * extents(op.inputs[1])[1];
    case OpKind::kLstmBackward:
    case OpKind::kGruBackward: {
      const Extents weights = extents(op.inputs[1]);
      return uint64_t{first[1]} * first[2] * weights[0] * weights[1];
    }
    default: return 0;
  }
}

}  // namespace figment::format
