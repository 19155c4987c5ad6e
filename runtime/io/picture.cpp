#include <fmt/format.h>
#include <png.h>
#include <turbojpeg.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <memory>

#include "io/pictures.h"

namespace figment::io {

namespace {

constexpr uint8_t kGapGray = 40;

// The luma of ITU-R BT.601, as JPEG has it.
uint8_t gray_of(uint32_t red, uint32_t green, uint32_t blue) {
  return static_cast<uint8_t>((299 * red + 587 * green + 114 * blue + 500) / 1000);
}

// The chunks of a PNG that hold pixels: the others, of gamma, color profiles, text and the like, are left out, so that
// values are taken as they stand.
std::vector<uint8_t> only_pixels(std::span<const uint8_t> png, const std::string& origin) {
  constexpr size_t kSignature = 8;
  std::vector<uint8_t> result(png.begin(), png.begin() + static_cast<std::ptrdiff_t>(std::min(kSignature, png.size())));
  bool ended = false;
  for (size_t place = kSignature; place < png.size() && !ended;) {
    const std::span<const uint8_t> rest = png.subspan(place);
    size_t chunk = rest.size();
    bool needed = true;
    if (rest.size() >= 12) {
      const uint64_t length = uint64_t{rest[0]} << 24 | uint64_t{rest[1]} << 16 | uint64_t{rest[2]} << 8 | rest[3];
      chunk = static_cast<size_t>(std::min<uint64_t>(length + 12, rest.size()));
      const bool ancillary = (rest[4] & 0x20) != 0;
      needed = !ancillary || std::memcmp(rest.data() + 4, "tRNS", 4) == 0;
      ended = std::memcmp(rest.data() + 4, "IEND", 4) == 0;
    }
    if (needed) result.insert(result.end(), rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(chunk));
    place += chunk;
  }
  // libpng itself reads no further than the pixels.
  if (!ended && png.size() >= kSignature) throw Error(origin + ": is truncated, or no PNG");
  return result;
}

}  // namespace

Color parse_color(const std::string& text) {
  if (text == "white") return {255, 255, 255};
  if (text == "black") return {0, 0, 0};
  if (text == "gray") return {128, 128, 128};
  uint32_t value = 0;
  const char* end = text.data() + text.size();
  if (text.size() != 7 || text[0] != '#' || std::from_chars(text.data() + 1, end, value, 16).ptr != end)
    throw Error("\"" + text + "\" is no color: give white, black, gray or #rrggbb");
  return {static_cast<uint8_t>(value >> 16), static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
}

Picture parse_png(std::span<const uint8_t> bytes, const std::string& origin, uint32_t channels, Color background) {
  const std::vector<uint8_t> pixels_only = only_pixels(bytes, origin);
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  const std::unique_ptr<png_image, decltype(&png_image_free)> release(&image, png_image_free);
  if (png_image_begin_read_from_memory(&image, pixels_only.data(), pixels_only.size()) == 0)
    throw Error(origin + ": " + image.message);
  const bool color = (image.format & PNG_FORMAT_FLAG_COLOR) != 0;
  // With alpha and without gamma, both of which libpng would mix in linear light.
  image.format = PNG_FORMAT_RGBA;
  image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  constexpr uint64_t kDecodedBytes = 4;  // a pixel
  const uint64_t area = uint64_t{image.width} * image.height;
  Budget(bytes.size())
      .check(area * (kDecodedBytes + channels),
             fmt::format("{}: its {} x {} pixels", origin, image.width, image.height));
  Picture picture{{}, image.width, image.height, channels, color};
  const uint8_t behind[] = {background.red, background.green, background.blue};
  std::vector<uint8_t> decoded(static_cast<size_t>(area * kDecodedBytes));
  if (png_image_finish_read(&image, nullptr, decoded.data(), 0, nullptr) == 0 || image.warning_or_error != 0)
    throw Error(origin + ": " + image.message);
  picture.pixels.resize(static_cast<size_t>(area) * channels);
  for (size_t i = 0; i < area; ++i) {
    const uint8_t* pixel = &decoded[i * kDecodedBytes];
    const auto opaque = [&](size_t c) {
      return (uint32_t{pixel[c]} * pixel[3] + uint32_t{behind[c]} * (255U - pixel[3]) + 127) / 255;
    };
    picture.transparent = picture.transparent || pixel[3] != 255;
    if (channels == 1) {
      picture.pixels[i] = gray_of(opaque(0), opaque(1), opaque(2));
    } else {
      for (size_t c = 0; c < 3; ++c) picture.pixels[i * 3 + c] = static_cast<uint8_t>(opaque(c));
    }
  }
  return picture;
}

namespace {

// The EXIF orientation of a JPEG (TIFF's tag 274), 1 to 8; 1, upright, if it has none.
int orientation_of(std::span<const uint8_t> jpeg) {
  for (size_t place = 2; place + 4 <= jpeg.size() && jpeg[place] == 0xFF;) {
    const uint8_t marker = jpeg[place + 1];
    const size_t length = size_t{jpeg[place + 2]} << 8 | jpeg[place + 3];
    if (marker == 0xDA || length < 2 || place + 2 + length > jpeg.size()) break;
    const std::span<const uint8_t> segment = jpeg.subspan(place + 4, length - 2);
    place += 2 + length;
    if (marker != 0xE1 || segment.size() < 14 || std::memcmp(segment.data(), "Exif\0\0", 6) != 0) continue;
    const std::span<const uint8_t> tiff = segment.subspan(6);
    const bool little = tiff[0] == 'I';
    const auto number = [&](size_t at, size_t size) -> size_t {
      if (at + size > tiff.size()) return 0;
      size_t value = 0;
      for (size_t i = 0; i < size; ++i) value = value << 8 | tiff[at + (little ? size - 1 - i : i)];
      return value;
    };
    const size_t directory = number(4, 4);
    if (directory > tiff.size()) continue;
    for (size_t i = 0; i < number(directory, 2); ++i) {
      const size_t entry = directory + 2 + 12 * i;
      if (number(entry, 2) != 274) continue;
      const auto orientation = static_cast<int>(number(entry + 8, 2));
      return orientation >= 1 && orientation <= 8 ? orientation : 1;
    }
  }
  return 1;
}

// The picture as it is to be seen.
Picture turned(const Picture& picture, int orientation) {
  if (orientation == 1) return picture;
  const uint32_t right = picture.width - 1;
  const uint32_t bottom = picture.height - 1;
  Picture result = picture;
  if (orientation >= 5) std::swap(result.width, result.height);
  for (uint32_t y = 0; y < result.height; ++y) {
    for (uint32_t x = 0; x < result.width; ++x) {
      std::pair<uint32_t, uint32_t> from;  // column and row
      switch (orientation) {
        case 2: from = {right - x, y}; break;
        case 3: from = {right - x, bottom - y}; break;
        case 4: from = {x, bottom - y}; break;
        case 5: from = {y, x}; break;
        case 6: from = {y, bottom - x}; break;
        case 7: from = {right - y, bottom - x}; break;
        default: from = {right - y, x}; break;
      }
      std::memcpy(&result.pixels[(size_t{y} * result.width + x) * picture.channels],
                  &picture.pixels[(size_t{from.second} * picture.width + from.first) * picture.channels],
                  picture.channels);
    }
  }
  return result;
}

}  // namespace

Picture parse_jpeg(std::span<const uint8_t> bytes, const std::string& origin, uint32_t channels) {
  const std::unique_ptr<void, decltype(&tjDestroy)> decoder(tjInitDecompress(), tjDestroy);
  if (decoder == nullptr) throw Error(origin + ": no memory to decode it");
  int width = 0;
  int height = 0;
  int subsampling = 0;
  int colors = 0;
  if (tjDecompressHeader3(decoder.get(), bytes.data(), bytes.size(), &width, &height, &subsampling, &colors) != 0)
    throw Error(origin + ": " + tjGetErrorStr2(decoder.get()));
  if (colors == TJCS_CMYK || colors == TJCS_YCCK) {
    throw Error(origin +
                ": is a CMYK JPEG, whose colors depend on a printer: convert it to RGB first, as with "
                "ImageMagick: convert -colorspace sRGB IN.jpg OUT.jpg");
  }
  // A progressive file is decoded by way of all its coefficients: 2 bytes for each of 3 components.
  const uint64_t area = static_cast<uint64_t>(width) * static_cast<uint64_t>(height);
  Budget(bytes.size()).check(area * (6 + channels), fmt::format("{}: its {} x {} pixels", origin, width, height));
  Picture picture{std::vector<uint8_t>(static_cast<size_t>(area) * channels), static_cast<uint32_t>(width),
                  static_cast<uint32_t>(height), channels, colors != TJCS_GRAY};
  if (tjDecompress2(decoder.get(), bytes.data(), bytes.size(), picture.pixels.data(), width, 0, height,
                    channels == 1 ? TJPF_GRAY : TJPF_RGB, TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS) != 0)
    throw Error(origin + ": " + tjGetErrorStr2(decoder.get()));
  return turned(picture, orientation_of(bytes));
}

namespace {

bool ends_in(const std::string& path, const std::string& ending) {
  return path.size() >= ending.size() &&
         std::equal(ending.begin(), ending.end(), path.end() - static_cast<std::ptrdiff_t>(ending.size()),
                    [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); });
}

}  // namespace

bool is_picture(const std::string& path) {
  return ends_in(path, ".png") || ends_in(path, ".jpg") || ends_in(path, ".jpeg");
}

bool is_other_picture(const std::string& path) {
  return std::ranges::any_of(std::array{".gif", ".webp", ".bmp", ".ico", ".tif", ".tiff", ".svg", ".heic", ".avif"},
                             [&](const char* ending) { return ends_in(path, ending); });
}

Picture read_picture(const std::string& path, uint32_t channels, Color background) {
  const std::vector<uint8_t> bytes = read_file(path);
  if (bytes.empty()) throw Error(path + ": is empty");
  // By what it is, whatever its name says.
  const bool png = bytes.size() > 1 && bytes[0] == 0x89 && bytes[1] == 'P';
  const bool jpeg = bytes.size() > 1 && bytes[0] == 0xFF && bytes[1] == 0xD8;
  return jpeg || (!png && !ends_in(path, ".png")) ? parse_jpeg(bytes, path, channels)
                                                  : parse_png(bytes, path, channels, background);
}

namespace {

// What a new pixel takes of the pixels from `first` on.
struct Share {
  uint32_t first = 0;
  std::vector<float> weights;
};

// Of `count` new pixels along an axis of `from`.
std::vector<Share> shares(uint32_t from, uint32_t count) {
  std::vector<Share> result(count);
  const double step = static_cast<double>(from) / count;
  for (uint32_t i = 0; i < count; ++i) {
    Share& share = result[i];
    if (step > 1) {
      const double begin = i * step;
      const double end = std::min((i + 1) * step, static_cast<double>(from));
      share.first = static_cast<uint32_t>(begin);
      for (uint32_t j = share.first; j < from && j < end; ++j)
        share.weights.push_back(static_cast<float>((std::min(end, j + 1.0) - std::max(begin, j * 1.0)) / step));
    } else {
      const double place = std::clamp((i + 0.5) * step - 0.5, 0.0, from - 1.0);
      share.first = static_cast<uint32_t>(place);
      const auto part = static_cast<float>(place - share.first);
      share.weights = {1 - part};
      if (part > 0) share.weights.push_back(part);
    }
  }
  return result;
}

}  // namespace

Picture resized(const Picture& picture, uint32_t width, uint32_t height) {
  if (picture.width == width && picture.height == height) return picture;
  Picture result{{}, width, height, picture.channels};
  result.pixels.resize(size_t{width} * height * picture.channels);
  const std::vector<Share> columns = shares(picture.width, width);
  const std::vector<Share> rows = shares(picture.height, height);
  const size_t stride = size_t{picture.width} * picture.channels;
  std::vector<float> line(stride);  // what a new row covers, in columns of the picture
  for (uint32_t y = 0; y < height; ++y) {
    std::fill(line.begin(), line.end(), 0.0F);
    for (size_t v = 0; v < rows[y].weights.size(); ++v) {
      const uint8_t* row = &picture.pixels[(rows[y].first + v) * stride];
      for (size_t u = 0; u < stride; ++u) line[u] += rows[y].weights[v] * static_cast<float>(row[u]);
    }
    for (uint32_t x = 0; x < width; ++x) {
      for (uint32_t c = 0; c < picture.channels; ++c) {
        float sum = 0;
        for (size_t u = 0; u < columns[x].weights.size(); ++u)
          sum += columns[x].weights[u] * line[(columns[x].first + u) * picture.channels + c];
        result.pixels[(size_t{y} * width + x) * picture.channels + c] =
            static_cast<uint8_t>(std::clamp(sum + 0.5F, 0.0F, 255.0F));
      }
    }
  }
  return result;
}

namespace {

// The middle of a picture.
Picture cropped(const Picture& picture, uint32_t width, uint32_t height) {
  Picture result = picture;
  result.width = width;
  result.height = height;
  result.pixels.resize(size_t{width} * height * picture.channels);
  const size_t left = (picture.width - width) / 2;
  const size_t top = (picture.height - height) / 2;
  const size_t row = size_t{width} * picture.channels;
  for (size_t y = 0; y < height; ++y)
    std::memcpy(&result.pixels[y * row], &picture.pixels[((top + y) * picture.width + left) * picture.channels], row);
  return result;
}

// A picture in the middle of a frame.
Picture framed(const Picture& picture, uint32_t width, uint32_t height, Color color) {
  Picture result{{}, width, height, picture.channels};
  const uint8_t rgb[] = {color.red, color.green, color.blue};
  const uint8_t gray = gray_of(color.red, color.green, color.blue);
  result.pixels.resize(size_t{width} * height * picture.channels);
  for (size_t i = 0; i < result.pixels.size(); ++i) result.pixels[i] = picture.channels == 1 ? gray : rgb[i % 3];
  const size_t left = (width - picture.width) / 2;
  const size_t top = (height - picture.height) / 2;
  const size_t row = size_t{picture.width} * picture.channels;
  for (size_t y = 0; y < picture.height; ++y)
    std::memcpy(&result.pixels[((top + y) * width + left) * picture.channels], &picture.pixels[y * row], row);
  return result;
}

// a * b / c, rounded, at least 1.
uint32_t scaled(uint32_t a, uint32_t b, uint32_t c) {
  return static_cast<uint32_t>(std::max<uint64_t>((uint64_t{a} * b + c / 2) / c, 1));
}

}  // namespace

Picture fitted(const Picture& picture, uint32_t width, uint32_t height, const PictureOptions& options) {
  const bool wide = uint64_t{picture.width} * height > uint64_t{picture.height} * width;
  switch (options.fit) {
    case Fit::kSqueeze: break;
    case Fit::kCrop: {
      const uint32_t part_width = wide ? std::min(scaled(picture.height, width, height), picture.width) : picture.width;
      const uint32_t part_height =
          wide ? picture.height : std::min(scaled(picture.width, height, width), picture.height);
      return resized(cropped(picture, part_width, part_height), width, height);
    }
    case Fit::kPad: {
      const uint32_t inner_width = wide ? width : std::min(scaled(picture.width, height, picture.height), width);
      const uint32_t inner_height = wide ? std::min(scaled(picture.height, width, picture.width), height) : height;
      return framed(resized(picture, inner_width, inner_height), width, height, options.background);
    }
  }
  return resized(picture, width, height);
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
  if (channels != 1 && channels != 3) throw Error(fmt::format("a picture needs 1 or 3 channels, not {}", channels));
  const size_t sample = size_t{channels} * height * width;
  const auto count = static_cast<uint32_t>(samples.size() / sample);
  columns = std::min(columns, count);
  const uint32_t rows = (count + columns - 1) / columns;
  const uint32_t cell_width = width * scale + 1;
  const uint32_t cell_height = height * scale + 1;
  Picture picture{{}, columns * cell_width + 1, rows * cell_height + 1, channels};
  const uint64_t bytes = uint64_t{picture.width} * picture.height * channels;
  if (bytes > (uint64_t{1} << 30)) throw Error("the picture would be too large; ask for fewer samples");
  picture.pixels.assign(static_cast<size_t>(bytes), kGapGray);
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
