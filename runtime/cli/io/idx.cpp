#include <zlib.h>

#include <algorithm>
#include <memory>

#include "io/files.h"

namespace figment::io {

namespace {

constexpr size_t kMostBytes = size_t{2} << 30;

struct Close {
  void operator()(gzFile_s* file) const { gzclose(file); }
};

void read_exactly(gzFile file, void* out, size_t bytes, const std::string& path) {
  auto* target = static_cast<uint8_t*>(out);
  while (bytes > 0) {
    const auto part = static_cast<unsigned>(std::min<size_t>(bytes, 1U << 30));
    const int count = gzread(file, target, part);
    if (count < 0) {
      int code = 0;
      throw Error(path + ": " + gzerror(file, &code));
    }
    if (count == 0) throw Error(path + " is truncated");
    target += count;
    bytes -= static_cast<size_t>(count);
  }
}

}  // namespace

ByteArray read_idx(const std::string& path) {
  const std::unique_ptr<gzFile_s, Close> file(gzopen(path.c_str(), "rb"));
  if (file == nullptr) throw Error("cannot read " + path);
  uint8_t magic[4];
  read_exactly(file.get(), magic, sizeof magic, path);
  if (magic[0] != 0 || magic[1] != 0 || magic[2] != 8 || magic[3] < 1 || magic[3] > 4) {
    throw Error(path + " is no IDX file of bytes with 1 to 4 dimensions");
  }
  ByteArray array;
  size_t count = 1;
  for (uint8_t i = 0; i < magic[3]; ++i) {
    uint8_t word[4];
    read_exactly(file.get(), word, sizeof word, path);
    const size_t extent = size_t{word[0]} << 24 | size_t{word[1]} << 16 | size_t{word[2]} << 8 | word[3];
    array.shape.push_back(extent);
    if (extent == 0 || __builtin_mul_overflow(count, extent, &count) || count > kMostBytes) {
      throw Error(path + ": its dimensions are empty or too large");
    }
  }
  // In pieces, so that a header that promises too much takes no more memory than there is data.
  constexpr size_t kPiece = size_t{16} << 20;
  while (array.values.size() < count) {
    const size_t have = array.values.size();
    array.values.resize(std::min(count, have + kPiece));
    read_exactly(file.get(), array.values.data() + have, array.values.size() - have, path);
  }
  return array;
}

}  // namespace figment::io
