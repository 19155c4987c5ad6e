// Zip archives (PKWARE's APPNOTE 6.3), as far as NumPy and Python's zipfile write them: the central directory at the
// end names the entries; they are stored or deflated.
#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "io/arrays.h"

namespace figment::io {

namespace {

constexpr uint32_t kLocalHeader = 0x04034B50;
constexpr uint32_t kDirectoryEntry = 0x02014B50;
constexpr uint32_t kDirectoryEnd = 0x06054B50;
constexpr size_t kDirectoryEndBytes = 22;
constexpr uint32_t kIn64Bits = 0xFFFFFFFF;  // the size stands in an extra field
constexpr uint16_t kExtra64 = 1;

class Reader {
 public:
  Reader(std::span<const uint8_t> bytes, const std::string& origin) : bytes_(bytes), origin_(origin) {}

  template <typename T>
  T number(uint64_t offset) const {
    T value = 0;
    for (size_t i = 0; i < sizeof(T); ++i)
      value = static_cast<T>(value | static_cast<T>(part(offset, sizeof(T))[i]) << (8 * i));
    return value;
  }
  std::span<const uint8_t> part(uint64_t offset, uint64_t size) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) fail("is truncated");
    return bytes_.subspan(static_cast<size_t>(offset), static_cast<size_t>(size));
  }
  uint64_t size() const { return bytes_.size(); }
  [[noreturn]] void fail(const std::string& what) const { throw Error(origin_ + ": the archive " + what); }

 private:
  std::span<const uint8_t> bytes_;
  const std::string& origin_;
};

std::vector<uint8_t> unpacked(const Reader& reader, std::span<const uint8_t> packed, uint64_t size) {
  std::vector<uint8_t> result(static_cast<size_t>(size));
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) reader.fail("cannot be unpacked: no memory");
  constexpr size_t kPiece = size_t{1} << 30;
  size_t taken = 0;
  size_t made = 0;
  int status = Z_OK;
  while (status == Z_OK) {
    stream.next_in = const_cast<uint8_t*>(packed.data()) + taken;
    stream.avail_in = static_cast<unsigned>(std::min(kPiece, packed.size() - taken));
    stream.next_out = result.data() + made;
    stream.avail_out = static_cast<unsigned>(std::min(kPiece, result.size() - made));
    const unsigned in = stream.avail_in;
    const unsigned out = stream.avail_out;
    status = inflate(&stream, Z_NO_FLUSH);
    taken += in - stream.avail_in;
    made += out - stream.avail_out;
    if (in == stream.avail_in && out == stream.avail_out && status == Z_OK) break;
  }
  inflateEnd(&stream);
  if (status != Z_STREAM_END || made != size) reader.fail("is corrupt: an entry does not unpack to its size");
  return result;
}

}  // namespace

std::vector<ZipEntry> parse_zip(std::span<const uint8_t> bytes, const std::string& origin) {
  const Reader reader(bytes, origin);
  // The end record stands last, before a comment of at most 65535 bytes.
  uint64_t end = UINT64_MAX;
  for (uint64_t back = kDirectoryEndBytes; back <= std::min<uint64_t>(bytes.size(), kDirectoryEndBytes + 65535);
       ++back) {
    if (reader.number<uint32_t>(bytes.size() - back) != kDirectoryEnd) continue;
    end = bytes.size() - back;
    break;
  }
  if (end == UINT64_MAX) throw Error(origin + ": not a zip archive, or a truncated one");
  const size_t count = reader.number<uint16_t>(end + 10);
  uint64_t place = reader.number<uint32_t>(end + 16);
  const Budget budget(bytes.size());
  uint64_t total = 0;
  std::vector<ZipEntry> entries;
  for (size_t i = 0; i < count; ++i) {
    if (reader.number<uint32_t>(place) != kDirectoryEntry) reader.fail("has a broken directory");
    const auto flags = reader.number<uint16_t>(place + 8);
    const auto method = reader.number<uint16_t>(place + 10);
    const auto crc = reader.number<uint32_t>(place + 16);
    uint64_t packed = reader.number<uint32_t>(place + 20);
    uint64_t size = reader.number<uint32_t>(place + 24);
    const auto name_size = reader.number<uint16_t>(place + 28);
    const auto extra_size = reader.number<uint16_t>(place + 30);
    const auto comment_size = reader.number<uint16_t>(place + 32);
    uint64_t offset = reader.number<uint32_t>(place + 42);
    const std::span<const uint8_t> name = reader.part(place + 46, name_size);
    // Sizes of 64 bits, in the order of the fields that are full.
    for (uint64_t extra = place + 46 + name_size, stop = extra + extra_size; extra + 4 <= stop;) {
      const auto id = reader.number<uint16_t>(extra);
      const auto length = reader.number<uint16_t>(extra + 2);
      uint64_t field = extra + 4;
      for (uint64_t* value : {&size, &packed, &offset}) {
        if (id != kExtra64 || *value != kIn64Bits) continue;
        *value = reader.number<uint64_t>(field);
        field += 8;
      }
      extra += 4 + length;
    }
    place += 46 + name_size + extra_size + comment_size;
    if ((flags & 1) != 0) reader.fail("is encrypted");
    ZipEntry entry{{name.begin(), name.end()}, {}};
    total += std::min(size, UINT64_MAX - total);
    budget.check(total, origin + ": unpacking " + entry.name);
    if (reader.number<uint32_t>(offset) != kLocalHeader) reader.fail("has a broken entry");
    const uint64_t data = offset + 30 + reader.number<uint16_t>(offset + 26) + reader.number<uint16_t>(offset + 28);
    const std::span<const uint8_t> stored = reader.part(data, packed);
    if (method == 0 && packed == size) {
      entry.bytes.assign(stored.begin(), stored.end());
    } else if (method == 8) {
      entry.bytes = unpacked(reader, stored, size);
    } else {
      reader.fail("packs " + entry.name + " in a way that is not supported; save it with numpy.savez");
    }
    uint32_t found = static_cast<uint32_t>(crc32(0, nullptr, 0));
    for (size_t done = 0; done < entry.bytes.size();) {
      const auto piece = static_cast<unsigned>(std::min<size_t>(entry.bytes.size() - done, 1U << 30));
      found = static_cast<uint32_t>(crc32(found, entry.bytes.data() + done, piece));
      done += piece;
    }
    if (found != crc) reader.fail("is corrupt: " + entry.name + " has another checksum");
    entries.push_back(std::move(entry));
  }
  return entries;
}

Array read_npz(const std::string& path) {
  const size_t colon = path.rfind(".npz:");
  const std::string file = colon == std::string::npos ? path : path.substr(0, colon + 4);
  const std::string wanted = colon == std::string::npos ? "" : path.substr(colon + 5);
  std::string names;
  const std::vector<ZipEntry> entries = parse_zip(read_file(file), file);
  for (const ZipEntry& entry : entries) {
    const std::string name = entry.name.ends_with(".npy") ? entry.name.substr(0, entry.name.size() - 4) : entry.name;
    if (name == wanted || (wanted.empty() && entries.size() == 1)) return parse_npy(entry.bytes, file + ":" + name);
    names += (names.empty() ? "" : ", ") + name;
  }
  if (!wanted.empty()) throw Error(file + ": has no array " + wanted + "; it has " + names);
  throw Error(file + (entries.empty()
                          ? ": holds no array"
                          : ": holds several arrays: choose one, as in " + file + ":" +
                                entries[0].name.substr(0, entries[0].name.rfind(".npy")) + "; it has " + names));
}

}  // namespace figment::io
