// Features of images that need no training: a convolutional network with random weights (Naeem et al. 2020 compare
// samples by one; Ulyanov et al. 2018 show why its architecture alone tells images apart).
#pragma once

#include <cstdint>
#include <vector>

#include "evaluation/scores.h"

namespace figment::evaluation {

// Three 3x3 convolutions, of stride 2 as long as more than 4 pixels are left, each with a ReLU behind, weights drawn
// from N(0, 2 / inputs) by a seed of its own, so that scores of all models compare. The last one's means over the four
// quarters of the image are the features.
class RandomFeatures {
 public:
  static constexpr size_t kFeatures = 128;

  // Of images [channels, height, width].
  RandomFeatures(size_t channels, size_t height, size_t width);

  // A row for each row of `images`, whose values lie in [-1, 1].
  Features of(const Features& images) const;

 private:
  struct Layer {
    size_t channels = 0;
    size_t height = 0;
    size_t width = 0;
    size_t stride = 1;
    Features weights;  // [9 * channels, outputs]
    size_t out_height() const { return (height + stride - 1) / stride; }
    size_t out_width() const { return (width + stride - 1) / stride; }
  };

  std::vector<Layer> layers_;
};

// Rows of many values as rows of `size`, whose distances are nearly the same: a product with a matrix drawn from
// N(0, 1 / size), always the same (Johnson and Lindenstrauss 1984).
Features projected(const Features& rows, size_t size);

}  // namespace figment::evaluation
