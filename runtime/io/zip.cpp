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
constexpr uint16_t kCountIn64Bits = 0xFFFF;
constexpr uint16_t kStored = 0;
constexpr uint16_t kDeflated = 8;
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

std::vector<uint8_t> inflated(const ZipEntry& entry, const std::string& origin) {
  // One byte more than is wanted: inflate needs room to see the end, and a larger entry shows itself.
  std::vector<uint8_t> result(static_cast<size_t>(entry.size) + 1);
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw Error(origin + ": cannot be unpacked: no memory");
  constexpr size_t kPiece = size_t{1} << 30;
  size_t taken = 0;
  size_t made = 0;
  int status = Z_OK;
  while (status == Z_OK) {
    stream.next_in = const_cast<uint8_t*>(entry.packed.data()) + taken;
    stream.avail_in = static_cast<unsigned>(std::min(kPiece, entry.packed.size() - taken));
    stream.next_out = result.data() + made;
    stream.avail_out = static_cast<unsigned>(std::min(kPiece, result.size() - made));
    const unsigned in = stream.avail_in;
    const unsigned out = stream.avail_out;
    status = inflate(&stream, Z_NO_FLUSH);  // Z_BUF_ERROR if it can do nothing
    taken += in - stream.avail_in;
    made += out - stream.avail_out;
  }
  inflateEnd(&stream);
  if (status != Z_STREAM_END || made != entry.size)
    throw Error(origin + ": the archive is corrupt: " + entry.name + " does not unpack to its size");
  result.resize(made);
  return result;
}

uint32_t crc_of(std::span<const uint8_t> bytes) {
  constexpr size_t kPiece = size_t{1} << 30;
  uLong crc = crc32(0, nullptr, 0);
  for (size_t done = 0; done < bytes.size(); done += kPiece)
    crc = crc32(crc, bytes.data() + done, static_cast<unsigned>(std::min(bytes.size() - done, kPiece)));
  return static_cast<uint32_t>(crc);
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
  if (count == kCountIn64Bits || place == kIn64Bits)
    reader.fail("has too many files or bytes; save fewer arrays in it");
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
    if (reader.number<uint32_t>(offset) != kLocalHeader) reader.fail("has a broken entry");
    const uint64_t data = offset + 30 + reader.number<uint16_t>(offset + 26) + reader.number<uint16_t>(offset + 28);
    entries.push_back({{name.begin(), name.end()}, reader.part(data, packed), size, crc, method});
  }
  return entries;
}

std::vector<uint8_t> unpack(const ZipEntry& entry, const std::string& origin, const Budget& budget) {
  if (entry.method != kDeflated && (entry.method != kStored || entry.packed.size() != entry.size)) {
    throw Error(origin + ": the archive packs " + entry.name +
                " in a way that is not supported; save it with numpy.savez");
  }
  budget.check(entry.size, origin + ": unpacking " + entry.name);
  std::vector<uint8_t> bytes = entry.method == kStored ? std::vector<uint8_t>(entry.packed.begin(), entry.packed.end())
                                                       : inflated(entry, origin);
  if (crc_of(bytes) != entry.crc)
    throw Error(origin + ": the archive is corrupt: " + entry.name + " has another checksum");
  return bytes;
}

namespace {

std::string array_name(const ZipEntry& entry) {
  return entry.name.ends_with(".npy") ? entry.name.substr(0, entry.name.size() - 4) : entry.name;
}

}  // namespace

std::map<std::string, Array> read_archive(const std::string& path) {
  const std::vector<uint8_t> bytes = read_file(path);
  const Budget budget(bytes.size());
  std::map<std::string, Array> result;
  uint64_t unpacked = 0;
  for (const ZipEntry& entry : parse_zip(bytes, path)) {
    unpacked += entry.size;
    budget.check(unpacked, path + ": unpacking it");
    result[array_name(entry)] = parse_npy(unpack(entry, path, budget), path + ":" + array_name(entry), budget);
  }
  return result;
}

Array read_npz(const std::string& path) {
  const size_t colon = path.rfind(".npz:");
  const std::string file = colon == std::string::npos ? path : path.substr(0, colon + 4);
  const std::string wanted = colon == std::string::npos ? "" : path.substr(colon + 5);
  std::string names;
  const std::vector<uint8_t> bytes = read_file(file);
  const std::vector<ZipEntry> entries = parse_zip(bytes, file);
  for (const ZipEntry& entry : entries) {
    const std::string name = array_name(entry);
    if (name == wanted || (wanted.empty() && entries.size() == 1))
      return parse_npy(unpack(entry, file, Budget(bytes.size())), file + ":" + name, Budget(bytes.size()));
    names += (names.empty() ? "" : ", ") + name;
  }
  if (!wanted.empty()) throw Error(file + ": has no array " + wanted + "; it has " + names);
  throw Error(file + (entries.empty()
                          ? ": holds no array"
                          : ": holds several arrays: choose one, as in " + file + ":" +
                                entries[0].name.substr(0, entries[0].name.rfind(".npy")) + "; it has " + names));
}

}  // namespace figment::io
