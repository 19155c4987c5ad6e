#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "io/files.h"

namespace figment::io {

namespace {
constexpr uint8_t kGapGrey = 40;
}

std::vector<uint8_t> encode_png(std::span<const uint8_t> pixels, uint32_t width, uint32_t height, uint32_t channels) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::vector<uint8_t> bytes(size);
  if (png_image_write_to_memory(&image, bytes.data(), &size, 0, pixels.data(), 0, nullptr) == 0) {
    throw Error(std::string("cannot encode the picture: ") + image.message);
  }
  bytes.resize(size);
  return bytes;
}

Picture make_grid(std::span<const float> samples, uint32_t channels, uint32_t height, uint32_t width, float low,
                  float high, uint32_t columns, uint32_t scale) {
  if (channels != 1 && channels != 3) throw Error("a picture needs 1 or 3 channels, not " + std::to_string(channels));
  const size_t sample = size_t{channels} * height * width;
  const auto count = static_cast<uint32_t>(samples.size() / sample);
  columns = std::min(columns, count);
  const uint32_t rows = (count + columns - 1) / columns;
  const uint32_t cell_width = width * scale + 1;
  const uint32_t cell_height = height * scale + 1;
  Picture picture{{}, columns * cell_width + 1, rows * cell_height + 1, channels};
  const uint64_t bytes = uint64_t{picture.width} * picture.height * channels;
  if (bytes > (uint64_t{1} << 30)) throw Error("the picture would be too large; ask for fewer samples");
  picture.pixels.assign(static_cast<size_t>(bytes), kGapGrey);
  for (uint32_t n = 0; n < count; ++n) {
    const uint32_t left = n % columns * cell_width + 1;
    const uint32_t top = n / columns * cell_height + 1;
    for (uint32_t y = 0; y < height * scale; ++y) {
      for (uint32_t x = 0; x < width * scale; ++x) {
        for (uint32_t c = 0; c < channels; ++c) {
          const float value = samples[n * sample + (size_t{c} * height + y / scale) * width + x / scale];
          const float unit = (value - low) / (high - low);
          const float byte = std::isnan(unit) ? 0 : std::clamp(unit, 0.0F, 1.0F) * 255;
          picture.pixels[((size_t{top} + y) * picture.width + left + x) * channels + c] =
              static_cast<uint8_t>(std::lround(byte));
        }
      }
    }
  }
  return picture;
}

Picture beside(const Picture& left, const Picture& right, uint32_t gap) {
  if (left.height != right.height || left.channels != right.channels) throw Error("the pictures differ in height");
  Picture both{{}, left.width + gap + right.width, left.height, left.channels};
  both.pixels.assign(size_t{both.width} * both.height * both.channels, 255);
  for (uint32_t y = 0; y < both.height; ++y) {
    const size_t row = size_t{y} * both.width * both.channels;
    const size_t left_row = size_t{left.width} * left.channels;
    const size_t right_row = size_t{right.width} * right.channels;
    std::memcpy(&both.pixels[row], &left.pixels[y * left_row], left_row);
    std::memcpy(&both.pixels[row + left_row + size_t{gap} * both.channels], &right.pixels[y * right_row], right_row);
  }
  return both;
}

}  // namespace figment::io
