// Storage with two slots, of which one is replaced at a time: two files of a folder, or two parts of flash. What was
// written last may be torn, so that readers check what they find.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/status.h"
#include "platform/file.h"

namespace figment::platform {

class Storage {
 public:
  static constexpr size_t kSlots = 2;

  // Before a slot is read; `exists`: something may be in it. kIo.
  virtual Status open(size_t slot, bool* exists) = 0;
  // Whether what lies in an open slot can be `bytes` long, or longer if there is `more`.
  virtual bool may_hold(size_t slot, uint64_t bytes, bool more) const = 0;
  // Of an open slot, which holds so many. kIo.
  virtual Status read(size_t slot, uint64_t offset, void* out, size_t bytes) = 0;

  // Replaces a slot by `bytes` that are appended piece by piece and count when they are committed; the other is not
  // touched. Each is called in turn, and none after a failure. kIo.
  virtual Status begin(size_t slot, uint64_t bytes) = 0;
  virtual Status append(const void* data, size_t bytes) = 0;
  virtual Status commit() = 0;

  // What messages call it.
  virtual const char* name() const = 0;

 protected:
  ~Storage() = default;
};

// The files a.checkpoint and b.checkpoint of a folder, which is made if it is not there. Replaces atomically. Allocates
// nothing.
class FolderStorage final : public Storage {
 public:
  explicit FolderStorage(const char* folder) : folder_(folder) {}

  Status open(size_t slot, bool* exists) override;
  bool may_hold(size_t slot, uint64_t bytes, bool more) const override {
    return files_[slot].size() == bytes || (more && files_[slot].size() > bytes);
  }
  Status read(size_t slot, uint64_t offset, void* out, size_t bytes) override;
  Status begin(size_t slot, uint64_t bytes) override;
  Status append(const void* data, size_t bytes) override;
  Status commit() override { return written_.commit(); }
  const char* name() const override { return folder_; }

 private:
  const char* folder_;
  MappedFile files_[kSlots];
  FileReplacement written_;
  uint64_t offset_ = 0;
};

// What a driver of flash does for a slot, with its own context; false if it failed.
struct FlashDriver {
  bool (*read)(void* context, uint32_t slot, size_t offset, void* bytes, size_t size) = nullptr;
  bool (*erase)(void* context, uint32_t slot) = nullptr;
  bool (*program)(void* context, uint32_t slot, size_t offset, const void* bytes, size_t size) = nullptr;
  void* context = nullptr;
  size_t slot_bytes = 0;
  size_t unit = 1;  // programmed at a time: every call is of a multiple of it, and no unit is programmed twice
};

// Two parts of flash, each erased as a whole and programmed from its beginning on. What was programmed is read back.
class FlashStorage final : public Storage {
 public:
  static constexpr size_t kMaxUnit = 256;

  explicit FlashStorage(const FlashDriver& driver) : driver_(driver) {}

  Status open(size_t slot, bool* exists) override;
  bool may_hold(size_t /*slot*/, uint64_t bytes, bool /*more*/) const override { return bytes <= driver_.slot_bytes; }
  Status read(size_t slot, uint64_t offset, void* out, size_t bytes) override;
  // Erases the slot. kInvalidArgument if it is too small.
  Status begin(size_t slot, uint64_t bytes) override;
  Status append(const void* data, size_t bytes) override;
  Status commit() override;
  const char* name() const override { return "flash"; }

 private:
  // The units that are full, or the last with what fills it.
  Status program_buffer();

  const FlashDriver& driver_;
  size_t slot_ = 0;
  size_t offset_ = 0;  // of the buffer
  size_t filled_ = 0;
  alignas(8) uint8_t buffer_[kMaxUnit];
};

}  // namespace figment::platform
