// Ops on sequences [T, N, ...].
#include <cstring>

#include "kernels/portable/portable.h"
#include "kernels/sequence_length.h"

namespace figment::kernels::portable {

void reverse(const Step& step) {
  const Extents& shape = step.output.shape;
  const size_t axis = step.attributes.axes[0];
  const size_t steps = shape[axis];
  // With lengths the axis is 0, and dimension 1 is that of the sequences.
  const size_t sequences = step.inputs.size() < 2 ? 1 : shape[1];
  const size_t inner = shape.product(axis + 1, shape.rank()) / sequences;
  const size_t outer = shape.product(0, axis);
  const size_t bytes = inner * format::element_size(step.output.type);
  const auto* x = static_cast<const unsigned char*>(step.inputs[0].data);
  auto* out = static_cast<unsigned char*>(step.output.data);
  for (size_t o = 0; o < outer; ++o) {
    for (size_t n = 0; n < sequences; ++n) {
      const size_t length = sequence_length(step, 1, n, steps);
      for (size_t t = 0; t < steps; ++t) {
        const size_t from = t < length ? length - 1 - t : t;
        std::memcpy(out + ((o * steps + t) * sequences + n) * bytes, x + ((o * steps + from) * sequences + n) * bytes,
                    bytes);
      }
    }
  }
}

void mask_sequence(const Step& step) {
  const Extents& shape = step.output.shape;
  const bool i8 = step.output.type == DataType::kI8;
  const size_t bytes = shape.product(2, shape.rank()) * format::element_size(step.output.type);
  const auto* x = static_cast<const unsigned char*>(step.inputs[0].data);
  auto* out = static_cast<unsigned char*>(step.output.data);
  for (size_t n = 0; n < shape[1]; ++n) {
    const size_t length = sequence_length(step, 1, n, shape[0]);
    for (size_t t = 0; t < shape[0]; ++t) {
      const size_t at = (t * shape[1] + n) * bytes;
      if (t < length) {
        std::memmove(out + at, x + at, bytes);
      } else {
        std::memset(out + at, i8 ? step.output.quantization.zero_point : 0, bytes);
      }
    }
  }
}

}  // namespace figment::kernels::portable
