// Pictures in files, and pictures of samples.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/files.h"

namespace figment::io {

// 8-bit pixels, row by row.
struct Picture {
  std::vector<uint8_t> pixels;
  uint32_t width = 0;
  uint32_t height = 0;
  uint32_t channels = 1;  // 1: gray, 3: RGB
  // Of the file that it was read from.
  bool color = false;
  bool transparent = false;  // some pixels are not opaque
};

struct Color {
  uint8_t red = 255;
  uint8_t green = 255;
  uint8_t blue = 255;
};
// "white", "black", "gray" or "#rrggbb". Throws Error.
Color parse_color(const std::string& text);

// How a picture gets another shape: its middle, all of it within a frame, or all of it out of proportion.
enum class Fit : uint8_t { kCrop, kPad, kSqueeze };

// How pictures become samples.
struct PictureOptions {
  Color background;  // behind transparent pixels, and of frames
  Fit fit = Fit::kCrop;
};

// Encodes 8-bit pixels, row by row, of 1 (gray) or 3 (RGB) channels.
std::vector<uint8_t> encode_png(std::span<const uint8_t> pixels, uint32_t width, uint32_t height, uint32_t channels);

// Samples [N, channels, height, width] (channels 1 or 3) as one picture, `columns` a row, with `scale` pixels a
// pixel and thin gaps. Values are mapped from [low, high] to black and white.
Picture make_grid(std::span<const float> samples, uint32_t channels, uint32_t height, uint32_t width, float low,
                  float high, uint32_t columns, uint32_t scale);

// Whether the name of a file ends like a picture's that read_picture reads.
bool is_picture(const std::string& path);
// Or of another kind that people keep pictures in, which is not read.
bool is_other_picture(const std::string& path);
// A PNG or JPEG file as gray (1 channel: 0.299 R + 0.587 G + 0.114 B) or RGB (3). Values are taken as they stand,
// whatever a PNG says of its gamma; 16 bits are scaled to 8, transparent pixels have `background` behind; a JPEG is
// turned as its EXIF orientation says. What the decoders warn of, such as missing data, is an error. So is CMYK.
Picture read_picture(const std::string& path, uint32_t channels, Color background);
Picture parse_png(std::span<const uint8_t> bytes, const std::string& origin, uint32_t channels, Color background);
Picture parse_jpeg(std::span<const uint8_t> bytes, const std::string& origin, uint32_t channels);

// Along each axis: the mean over what a new pixel covers where the picture shrinks, and linear interpolation between
// the middles of pixels where it grows.
Picture resized(const Picture& picture, uint32_t width, uint32_t height);
// The same for any proportions, as `options` say.
Picture fitted(const Picture& picture, uint32_t width, uint32_t height, const PictureOptions& options);
// Pictures of one height and channel count side by side.
Picture beside(const Picture& left, const Picture& right, uint32_t gap);

}  // namespace figment::io
