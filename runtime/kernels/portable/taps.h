// Which taps of a window fall on the image that they read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>

#include "format/op.h"

namespace figment::kernels::portable {

// The taps of a window along one axis that fall on the input, for one output position: `tap`, tap + step, ... below
// `end`. The first reads position `source`, each next one `stride` further.
struct Taps {
  int32_t tap;
  int32_t end;
  int32_t step;
  int32_t source;
  int32_t stride;
};

class Axis {
 public:
  // Of a convolution that reads an image of extent `in`, or of a transposed one.
  Axis(const format::Window& window, size_t axis, size_t in, bool transposed)
      : transposed_(transposed),
        in_(static_cast<int32_t>(in)),
        kernel_(static_cast<int32_t>(window.kernel[axis])),
        stride_(static_cast<int32_t>(window.stride[axis])),
        dilation_(static_cast<int32_t>(window.dilation[axis])),
        padding_(static_cast<int32_t>(window.padding[axis])) {
    // A transposed convolution reads where position + padding - tap * dilation is a multiple of the stride.
    const auto divisor = static_cast<int32_t>(std::gcd(stride_, dilation_));
    step_ = stride_ / divisor;
    moved_ = dilation_ / divisor;
  }

  Taps at(int32_t position) const {
    Taps taps{0, 0, 1, 0, dilation_};
    if (!transposed_) {
      taps.source = position * stride_ - padding_;
    } else {
      int32_t scaled = position + padding_;
      if (dilation_ == 1) {
        taps.tap = scaled % stride_;
        scaled -= taps.tap;
      } else {
        // Those before the image's first pixel are no taps, which keeps `scaled` within 32 bits.
        for (; taps.tap < step_ && taps.tap < kernel_ && scaled >= 0 && scaled % stride_ != 0; ++taps.tap)
          scaled -= dilation_;
        if (scaled < 0 || scaled % stride_ != 0) return {0, 0, 1, 0, 0};
      }
      taps.step = step_;
      taps.source = scaled / stride_;
      taps.stride = -moved_;
    }
    // How many lie before the first that falls on the input, and up to the last.
    const int32_t distance = taps.stride < 0 ? -taps.stride : taps.stride;
    const int32_t before = taps.stride < 0 ? taps.source - in_ + 1 : -taps.source;
    const int32_t up_to = taps.stride < 0 ? taps.source + 1 : in_ - taps.source;
    const int32_t skipped = before > 0 ? (before + distance - 1) / distance : 0;
    const int32_t last = up_to > 0 ? (up_to + distance - 1) / distance : 0;
    taps.end = last > (kernel_ - taps.tap) / taps.step ? kernel_ : taps.tap + last * taps.step;
    taps.tap += skipped * taps.step;
    taps.source += skipped * taps.stride;
    return taps;
  }

 private:
  bool transposed_;
  int32_t in_;
  int32_t kernel_;
  int32_t stride_;
  int32_t dilation_;
  int32_t padding_;
  int32_t step_;   // from one tap that falls on a pixel to the next
  int32_t moved_;  // and from that pixel to the one before
};

}  // namespace figment::kernels::portable
