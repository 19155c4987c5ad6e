// Differentiable augmentation: what a discriminator sees of few samples, changed at random each time.
#pragma once

#include <string>
#include <vector>

#include "objectives/network.h"

namespace figment::converter {

enum class Augmentation : uint8_t { kBrightness, kContrast, kTranslation, kCutout };

// Applied to all samples that a discriminator sees, real and generated ones alike, in every sub-step (Zhao et
// al., "Differentiable Augmentation for Data-Efficient GAN Training", 2020): gradients reach the generator through it.
// With numbers u uniform on [-1, 1), drawn for each sample, and values of half the range r around the middle m:
//   brightness   x + u r / 2
//   contrast     (x - mean(x)) (1 + u / 2) + mean(x)
//   translation  x moved by u (s + 1/2) pixels, rounded, along height and width each, s being an eighth of the extent,
//                rounded; what comes in repeats the edge, where the paper's m would show how far x was moved
//   cutout       m in a box of half the height and width, whose center lies anywhere, with edges of one pixel
struct AugmentOptions {
  std::vector<Augmentation> what;  // in this order
  float low = -1;                  // the values' range
  float high = 1;
};

// `sample` changed; it has the layout and shape of `port`, an image [N, channels, height, width]. The program gets an
// input LABEL.augment [N, 6] of what is drawn, whose definition is appended to `drawn`. Throws Error for other shapes.
ValueId augmented(Composer* composer, ValueId sample, const PortDefinition& port, const std::string& label,
                  const AugmentOptions& options, std::vector<LatentDefinition>* drawn);

}  // namespace figment::converter
