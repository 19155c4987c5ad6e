#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "io/arrays.h"

namespace figment::io {

namespace {

// Bytes as they are, or unpacked if they are gzipped.
class Source {
 public:
  Source(std::span<const uint8_t> bytes, std::string origin) : rest_(bytes), origin_(std::move(origin)) {
    packed_ = bytes.size() >= 2 && bytes[0] == 0x1F && bytes[1] == 0x8B;
    if (!packed_) return;
    constexpr int kGzip = 16 + MAX_WBITS;
    if (inflateInit2(&stream_, kGzip) != Z_OK) throw Error(origin_ + ": no memory to unpack it");
  }
  ~Source() {
    if (packed_) inflateEnd(&stream_);
  }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  void read(void* out, size_t bytes) {
    auto* target = static_cast<uint8_t*>(out);
    if (!packed_) {
      if (bytes > rest_.size()) throw Error(origin_ + " is truncated");
      std::copy_n(rest_.begin(), bytes, target);
      rest_ = rest_.subspan(bytes);
      return;
    }
    while (bytes > 0) {
      constexpr size_t kPiece = size_t{1} << 30;
      const size_t piece = std::min(bytes, kPiece);
      if (stream_.avail_in == 0) {
        stream_.next_in = const_cast<uint8_t*>(rest_.data());
        stream_.avail_in = static_cast<unsigned>(std::min(rest_.size(), kPiece));
        rest_ = rest_.subspan(stream_.avail_in);
      }
      stream_.next_out = target;
      stream_.avail_out = static_cast<unsigned>(piece);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      const size_t made = piece - stream_.avail_out;
      target += made;
      bytes -= made;
      if (status == Z_STREAM_END && bytes > 0 && stream_.avail_in + rest_.size() > 0) {
        // Files of several members, as `cat` makes them.
        if (inflateReset(&stream_) != Z_OK) throw Error(origin_ + ": cannot be unpacked");
      } else if (status != Z_OK && bytes > 0) {
        throw Error(origin_ +
                    (status == Z_STREAM_END || status == Z_BUF_ERROR ? " is truncated" : ": the gzip data is corrupt"));
      }
    }
  }

 private:
  std::span<const uint8_t> rest_;
  std::string origin_;
  bool packed_ = false;
  z_stream stream_{};
};

}  // namespace

ByteArray parse_idx(std::span<const uint8_t> bytes, const std::string& origin) {
  Source source(bytes, origin);
  uint8_t magic[4];
  source.read(magic, sizeof magic);
  if (magic[0] != 0 || magic[1] != 0 || magic[2] != 8 || magic[3] < 1 || magic[3] > 4) {
    throw Error(origin + " is no IDX file of bytes with 1 to 4 dimensions");
  }
  ByteArray array;
  size_t count = 1;
  for (uint8_t i = 0; i < magic[3]; ++i) {
    uint8_t word[4];
    source.read(word, sizeof word);
    const size_t extent = size_t{word[0]} << 24 | size_t{word[1]} << 16 | size_t{word[2]} << 8 | word[3];
    array.shape.push_back(extent);
    if (extent == 0 || __builtin_mul_overflow(count, extent, &count)) {
      throw Error(origin + ": its dimensions are empty or too large");
    }
  }
  // A sample costs its bytes and its place in the lists of what is chosen.
  constexpr uint64_t kSampleBytes = 32;
  Budget(bytes.size())
      .check(count + kSampleBytes * array.shape[0], origin + ": its " + to_string(array.shape) + " bytes");
  // In pieces, so that a header that promises too much takes no more memory than there is data.
  constexpr size_t kPiece = size_t{16} << 20;
  while (array.values.size() < count) {
    const size_t have = array.values.size();
    array.values.resize(std::min(count, have + kPiece));
    source.read(array.values.data() + have, array.values.size() - have);
  }
  return array;
}

ByteArray read_idx(const std::string& path) { return parse_idx(read_file(path), path); }

}  // namespace figment::io
