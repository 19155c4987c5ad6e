#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "core/checked.h"
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

  void read(uint8_t* out, size_t bytes) {
    if (take(out, bytes) != bytes) throw Error(origin_ + " is truncated");
  }

  // That nothing follows, and that the checksums of what was unpacked are right.
  void finish() {
    uint8_t more = 0;
    if (take(&more, 1) != 0) throw Error(origin_ + ": has more bytes than its dimensions say");
  }

 private:
  // The next `bytes` bytes; fewer only where the file ends. Returns how many.
  size_t take(uint8_t* out, size_t bytes) {
    if (!packed_) {
      const size_t count = std::min(bytes, rest_.size());
      std::copy_n(rest_.begin(), count, out);
      rest_ = rest_.subspan(count);
      return count;
    }
    constexpr size_t kPiece = size_t{1} << 30;
    size_t made = 0;
    while (made < bytes) {
      if (stream_.avail_in == 0) {
        stream_.next_in = const_cast<uint8_t*>(rest_.data());
        stream_.avail_in = static_cast<unsigned>(std::min(rest_.size(), kPiece));
        rest_ = rest_.subspan(stream_.avail_in);
      }
      if (member_ended_) {
        if (stream_.avail_in == 0) break;
        // Files of several members, as `cat` makes them.
        if (inflateReset(&stream_) != Z_OK) throw Error(origin_ + ": cannot be unpacked");
      }
      const size_t piece = std::min(bytes - made, kPiece);
      stream_.next_out = out + made;
      stream_.avail_out = static_cast<unsigned>(piece);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      made += piece - stream_.avail_out;
      if (status == Z_BUF_ERROR) throw Error(origin_ + " is truncated");
      if (status != Z_OK && status != Z_STREAM_END) throw Error(origin_ + ": the gzip data is corrupt");
      member_ended_ = status == Z_STREAM_END;
    }
    return made;
  }

  std::span<const uint8_t> rest_;
  std::string origin_;
  bool packed_ = false;
  bool member_ended_ = false;
  z_stream stream_{};
};

}  // namespace

ByteArray parse_idx(std::span<const uint8_t> bytes, const std::string& origin) {
  Source source(bytes, origin);
  uint8_t magic[4];
  source.read(magic, sizeof magic);
  if (magic[0] != 0 || magic[1] != 0 || magic[2] != 8 || magic[3] < 1 || magic[3] > 4) {
    throw Error(origin +
                " is no data that can be read: an IDX file of bytes with 1 to 4 dimensions, also gzipped, .npy, "
                ".npz, .csv, or a folder of .png and .jpg files");
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
  const CheckedSize cost = CheckedSize(count) + CheckedSize(kSampleBytes) * array.shape[0];
  Budget(bytes.size())
      .check(cost.valid() ? cost.value() : UINT64_MAX, origin + ": its " + to_string(array.shape) + " bytes");
  // In pieces, so that a header that promises too much takes no more memory than there is data.
  constexpr size_t kPiece = size_t{16} << 20;
  while (array.values.size() < count) {
    const size_t have = array.values.size();
    array.values.resize(std::min(count, have + kPiece));
    source.read(array.values.data() + have, array.values.size() - have);
  }
  source.finish();
  return array;
}

ByteArray read_idx(const std::string& path) { return parse_idx(read_file(path), path); }

}  // namespace figment::io
