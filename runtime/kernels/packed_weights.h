// The packed weights of a model: made before its first session, shared by all.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/checked.h"
#include "core/memory.h"
#include "platform/threading.h"

namespace figment::kernels {

// One op of a program may be run in several formulations, and one formulation may need several packings (`slot`).
struct PackingKey {
  uint32_t program;
  uint32_t op;
  uint32_t formulation;
  uint32_t slot;

  friend bool operator==(const PackingKey&, const PackingKey&) = default;
};

// A packing: this header, then its weights at the next multiple of kTensorAlignment.
struct PackingEntry {
  PackingKey key;
  PackingEntry* next;
  bool given;  // in the caller's memory

  void* weights() { return reinterpret_cast<unsigned char*>(this) + kTensorAlignment; }
};
static_assert(sizeof(PackingEntry) <= kTensorAlignment);

// Thread-safe: sessions may be created at the same time. Released with the model, after all its sessions.
class PackedWeights {
 public:
  PackedWeights() = default;
  ~PackedWeights();
  PackedWeights(const PackedWeights&) = delete;
  PackedWeights& operator=(const PackedWeights&) = delete;

  // Bytes of all packings so far.
  size_t bytes();

 private:
  friend class Packer;
  platform::Mutex mutex_;
  PackingEntry* first_ = nullptr;
  size_t bytes_ = 0;
};

// How packings that are missing come about while kernels are prepared.
class Packer {
 public:
  enum class Mode : uint8_t {
    kNever,    // they are not made: what is packed must do
    kSystem,   // in memory of the system's, which the model owns
    kMeasure,  // the same, but for this packer alone: to know their size
    kGiven     // in the caller's memory
  };
  Packer(PackedWeights* owner, Mode mode) : owner_(owner), mode_(mode) {}
  // kGiven.
  Packer(PackedWeights* owner, void* memory, size_t bytes)
      : owner_(owner), mode_(Mode::kGiven), memory_(static_cast<unsigned char*>(memory)), bytes_(bytes) {}
  ~Packer();
  Packer(const Packer&) = delete;
  Packer& operator=(const Packer&) = delete;

  // Nothing is taken beyond so many bytes, what is only needed while packing included; the default: no limit.
  void limit(uint64_t bytes) {
    limit_ = bytes;
    wanted_ = 0;
  }
  // Bytes that this packer has taken, and those of them that the model holds.
  size_t taken() const { return taken_; }
  size_t taken_by_model() const { return mode_ == Mode::kMeasure ? 0 : taken_; }
  // The most that was taken at a time.
  uint64_t peak() const { return peak_; }
  // Whether it has refused to take more, for the limit, and how much that would have been.
  bool refused() const { return wanted_ != 0; }
  uint64_t wanted() const { return wanted_; }

  // Around what follows: other sessions wait.
  void lock() { owner_->mutex_.lock(); }
  void unlock() { owner_->mutex_.unlock(); }
  // The packing of that key, or nullptr.
  PackingEntry* find(const PackingKey& key) const;
  // A new packing of so many bytes, to be written at once; nullptr if there is no memory for it or none may be made.
  PackingEntry* add(const PackingKey& key, size_t bytes);
  bool may_pack() const { return mode_ != Mode::kNever; }
  // Memory that is needed only while packing counts, too. False if it is too much.
  bool hold(uint64_t bytes) {
    if (bytes > limit_ || taken_ + held_ > limit_ - bytes) {
      wanted_ = taken_ + held_ + bytes;
      return false;
    }
    held_ += bytes;
    if (taken_ + held_ > peak_) peak_ = taken_ + held_;
    return true;
  }
  void release_held(uint64_t bytes) { held_ -= bytes; }

 private:
  PackedWeights* owner_;
  Mode mode_;
  unsigned char* memory_ = nullptr;
  size_t bytes_ = 0;
  size_t taken_ = 0;
  uint64_t limit_ = UINT64_MAX;
  uint64_t held_ = 0;
  uint64_t peak_ = 0;
  uint64_t wanted_ = 0;
  PackingEntry* own_ = nullptr;  // kMeasure
};

// Memory of the system's that is needed only while packing.
class PackingMemory {
 public:
  explicit PackingMemory(Packer* packer) : packer_(packer) {}
  ~PackingMemory() {
    release_memory(data_);
    if (data_ != nullptr) packer_->release_held(bytes_);
  }
  PackingMemory(const PackingMemory&) = delete;
  PackingMemory& operator=(const PackingMemory&) = delete;

  // Called once, of zeros if `zeroed`. False when there is none, or it would be too much.
  [[nodiscard]] bool allocate(CheckedSize bytes, bool zeroed = false);
  void* data() const { return data_; }

 private:
  Packer* packer_;
  void* data_ = nullptr;
  uint64_t bytes_ = 0;
};

}  // namespace figment::kernels
