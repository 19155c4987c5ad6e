#include "kernels/packed_weights.h"

#include <cstring>
#include <new>

namespace figment::kernels {

namespace {

void release_all(PackingEntry* first) {
  while (first != nullptr) {
    PackingEntry* next = first->next;
    if (!first->given) release_memory(first);
    first = next;
  }
}

PackingEntry* find_in(PackingEntry* first, const PackingKey& key) {
  for (PackingEntry* entry = first; entry != nullptr; entry = entry->next) {
    if (entry->key == key) return entry;
  }
  return nullptr;
}

}  // namespace

PackedWeights::~PackedWeights() { release_all(first_); }

size_t PackedWeights::bytes() {
  mutex_.lock();
  const size_t bytes = bytes_;
  mutex_.unlock();
  return bytes;
}

Packer::~Packer() { release_all(own_); }

PackingEntry* Packer::find(const PackingKey& key) const {
  PackingEntry* entry = find_in(owner_->first_, key);
  return entry == nullptr ? find_in(own_, key) : entry;
}

PackingEntry* Packer::add(const PackingKey& key, size_t bytes) {
  const CheckedSize padded = (CheckedSize(kTensorAlignment) + bytes + kReadablePadding).aligned(kTensorAlignment);
  if (!may_pack() || !padded.within(SIZE_MAX / 2) || !hold(padded.value())) return nullptr;
  const auto total = static_cast<size_t>(padded.value());
  void* place = nullptr;
  if (mode_ != Mode::kGiven) {
    place = allocate_memory(total);
  } else if (total <= bytes_ - taken_) {
    place = memory_ + taken_;
  }
  release_held(total);
  if (place == nullptr) return nullptr;
  taken_ += total;
  PackingEntry*& list = mode_ == Mode::kMeasure ? own_ : owner_->first_;
  list = new (place) PackingEntry{key, list, mode_ == Mode::kGiven};
  if (mode_ != Mode::kMeasure) owner_->bytes_ += total;
  return list;
}

bool PackingMemory::allocate(CheckedSize bytes, bool zeroed) {
  const CheckedSize rounded = bytes.aligned(kTensorAlignment);
  if (!rounded.within(SIZE_MAX / 2) || !packer_->hold(rounded.value())) return false;
  bytes_ = rounded.value();
  data_ = allocate_memory(static_cast<size_t>(bytes_));
  if (data_ == nullptr) packer_->release_held(bytes_);
  if (data_ != nullptr && zeroed) std::memset(data_, 0, static_cast<size_t>(bytes_));
  return data_ != nullptr;
}

}  // namespace figment::kernels
