#include "platform/storage.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace figment::platform {

namespace {

constexpr size_t kMaxPath = 4096;
constexpr const char* kSlotNames[] = {"a", "b"};

// FOLDER/a.checkpoint or FOLDER/b.checkpoint.
struct SlotPath {
  Status set(const char* folder, size_t slot) {
    const int length = std::snprintf(text, sizeof text, "%s/%s.checkpoint", folder, kSlotNames[slot]);
    if (length >= 0 && static_cast<size_t>(length) < sizeof text) return {};
    return Status::error(StatusCode::kInvalidArgument, "the path %.60s... is too long", folder);
  }
  char text[kMaxPath];
};

}  // namespace

Status FolderStorage::open(size_t slot, bool* exists) {
  SlotPath path;
  FIGMENT_RETURN_IF_ERROR(path.set(folder_, slot));
  const Status status = files_[slot].open(path.text);
  *exists = status.ok() || status.code() == StatusCode::kBadFile;
  return status.code() == StatusCode::kNotFound || status.code() == StatusCode::kBadFile ? Status() : status;
}

Status FolderStorage::read(size_t slot, uint64_t offset, void* out, size_t bytes) {
  std::memcpy(out, static_cast<const uint8_t*>(files_[slot].data()) + offset, bytes);
  return {};
}

Status FolderStorage::begin(size_t slot, uint64_t /*bytes*/) {
  SlotPath path;
  FIGMENT_RETURN_IF_ERROR(path.set(folder_, 1 - slot));
  FIGMENT_RETURN_IF_ERROR(make_folder(folder_));
  FileReplacement::clean(path.text);
  FIGMENT_RETURN_IF_ERROR(path.set(folder_, slot));
  return written_.begin(path.text);
}

Status FolderStorage::append(const void* data, size_t bytes) {
  const uint64_t at = offset_;
  offset_ += bytes;
  return written_.write(at, data, bytes);
}

namespace {

Status refused(const char* what, size_t slot) {
  return Status::error(StatusCode::kIo, "the flash driver could not %s slot %zu", what, slot);
}

}  // namespace

// Whatever is in a slot that can be read may be a checkpoint; of one that cannot be read there is none.
Status FlashStorage::open(size_t slot, bool* exists) {
  uint8_t first[8];
  *exists = false;
  if (!driver_.read(driver_.context, static_cast<uint32_t>(slot), 0, first, sizeof first)) return {};
  *exists = std::any_of(first, first + sizeof first, [&](uint8_t byte) { return byte != first[0]; });
  return {};
}

Status FlashStorage::read(size_t slot, uint64_t offset, void* out, size_t bytes) {
  if (driver_.read(driver_.context, static_cast<uint32_t>(slot), static_cast<size_t>(offset), out, bytes)) return {};
  return refused("read", slot);
}

Status FlashStorage::begin(size_t slot, uint64_t bytes) {
  const uint64_t whole = (bytes + driver_.unit - 1) / driver_.unit * driver_.unit;
  if (whole > driver_.slot_bytes) {
    return Status::error(StatusCode::kInvalidArgument, "a checkpoint takes %llu bytes, a slot of the flash has %zu",
                         static_cast<unsigned long long>(whole), driver_.slot_bytes);
  }
  slot_ = slot;
  offset_ = 0;
  filled_ = 0;
  return driver_.erase(driver_.context, static_cast<uint32_t>(slot)) ? Status() : refused("erase", slot);
}

Status FlashStorage::append(const void* data, size_t bytes) {
  const auto* from = static_cast<const uint8_t*>(data);
  while (bytes > 0) {
    const size_t part = std::min(bytes, kMaxUnit - filled_);
    std::memcpy(buffer_ + filled_, from, part);
    filled_ += part;
    from += part;
    bytes -= part;
    if (filled_ == kMaxUnit) FIGMENT_RETURN_IF_ERROR(program_buffer());
  }
  return {};
}

Status FlashStorage::program_buffer() {
  const size_t bytes = (filled_ + driver_.unit - 1) / driver_.unit * driver_.unit;
  std::fill(buffer_ + filled_, buffer_ + bytes, uint8_t{0xFF});
  const auto slot = static_cast<uint32_t>(slot_);
  if (!driver_.program(driver_.context, slot, offset_, buffer_, bytes)) return refused("program", slot_);
  uint8_t back[32];
  for (size_t i = 0; i < bytes; i += sizeof back) {
    const size_t part = std::min(sizeof back, bytes - i);
    if (!driver_.read(driver_.context, slot, offset_ + i, back, part)) return refused("read", slot_);
    if (std::memcmp(back, buffer_ + i, part) == 0) continue;
    return Status::error(StatusCode::kIo, "slot %zu of the flash does not keep what is programmed: it is worn out",
                         slot_);
  }
  offset_ += bytes;
  filled_ = 0;
  return {};
}

Status FlashStorage::commit() { return filled_ == 0 ? Status() : program_buffer(); }

}  // namespace figment::platform
