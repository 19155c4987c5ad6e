// Files for the command-line programs: whole or not at all. Errors are exceptions whose text names the path.
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace figment::io {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Writes beside `path` and renames, so that after a failure (a full disk, no permission) `path` is as it was and
// nothing else is left behind.
void write_file(const std::string& path, std::span<const uint8_t> bytes);
void write_file(const std::string& path, const std::string& text);

std::vector<uint8_t> read_file(const std::string& path);

// A float32 array in NumPy's format.
struct Array {
  std::vector<size_t> shape;
  std::vector<float> values;
};

// Reads .npy files of version 1 to 3 with little-endian float32 or float64 values in C order.
Array read_npy(const std::string& path);
Array parse_npy(std::span<const uint8_t> bytes, const std::string& origin);
std::vector<uint8_t> format_npy(const Array& array);

// Bytes in the IDX format (LeCun's; magic 0x08), plain or gzipped.
struct ByteArray {
  std::vector<size_t> shape;
  std::vector<uint8_t> values;
};
ByteArray read_idx(const std::string& path);

// A table of numbers separated by commas, semicolons or tabs; a first line that is no numbers is taken for a header.
// [rows, columns].
Array read_csv(const std::string& path);

// Encodes 8-bit pixels, row by row, of 1 (grey) or 3 (RGB) channels.
std::vector<uint8_t> encode_png(std::span<const uint8_t> pixels, uint32_t width, uint32_t height, uint32_t channels);

// Samples [N, channels, height, width] (channels 1 or 3) as one picture, `columns` a row, with `scale` pixels a
// pixel and thin gaps. Values are mapped from [low, high] to black and white.
struct Picture {
  std::vector<uint8_t> pixels;
  uint32_t width = 0;
  uint32_t height = 0;
  uint32_t channels = 1;
};
Picture make_grid(std::span<const float> samples, uint32_t channels, uint32_t height, uint32_t width, float low,
                  float high, uint32_t columns, uint32_t scale);
// Whether the name of a file ends like a picture's that read_picture reads.
bool is_picture(const std::string& path);
// A PNG or JPEG file as grey (1 channel) or RGB (3).
Picture read_picture(const std::string& path, uint32_t channels);
// The mean over the pixels that lie under each new one, or their nearest where the picture grows.
Picture resized(const Picture& picture, uint32_t width, uint32_t height);
// Pictures of one height and channel count side by side.
Picture beside(const Picture& left, const Picture& right, uint32_t gap);

}  // namespace figment::io
