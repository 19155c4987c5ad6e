#include "kernels/xnnpack/packed_weights.h"

namespace figment::kernels {

// A packing: this header, then `bytes` of weights at the next multiple of kTensorAlignment.
struct Entry {
  PackingKey key;
  Entry* next;
  size_t bytes;

  void* weights() { return reinterpret_cast<unsigned char*>(this) + kTensorAlignment; }
};
static_assert(sizeof(Entry) <= kTensorAlignment);

PackedWeights::~PackedWeights() {
  while (first_ != nullptr) {
    Entry* next = first_->next;
    release_memory(first_);
    first_ = next;
  }
}

size_t PackedWeights::bytes() const {
  pthread_mutex_lock(&mutex_);
  const size_t bytes = bytes_;
  pthread_mutex_unlock(&mutex_);
  return bytes;
}

Packing::Packing()
    : provider_{this, look_up, reserve_space, look_up_or_insert, is_finalized, offset_to_address, delete_cache} {}

void Packing::begin(PackedWeights* owner, PackingKey key) {
  owner_ = owner;
  key_ = key;
  pthread_mutex_lock(&owner_->mutex_);
  for (Entry* entry = owner_->first_; entry != nullptr; entry = entry->next) {
    if (entry->key == key) entry_ = entry;
  }
}

const void* Packing::weights() const { return entry_->weights(); }

void Packing::end() { pthread_mutex_unlock(&owner_->mutex_); }

size_t Packing::look_up(void* context, const xnn_weights_cache_look_up_key* /*key*/) {
  return static_cast<Packing*>(context)->entry_ == nullptr ? SIZE_MAX : 0;
}

void* Packing::reserve_space(void* context, size_t bytes) {
  auto* packing = static_cast<Packing*>(context);
  if (bytes > SIZE_MAX / 2) return nullptr;
  void* memory = allocate_memory(kTensorAlignment + bytes + kReadablePadding);
  if (memory == nullptr) return nullptr;
  auto* entry = new (memory) Entry{packing->key_, packing->owner_->first_, bytes};
  packing->owner_->first_ = entry;
  packing->owner_->bytes_ += bytes;
  packing->entry_ = entry;
  return entry->weights();
}

size_t Packing::look_up_or_insert(void* /*context*/, const xnn_weights_cache_look_up_key* /*key*/, void* /*memory*/,
                                  size_t /*bytes*/) {
  return 0;
}

// XNNPACK asks this before it uses the offset as an address.
bool Packing::is_finalized(void* /*context*/) { return true; }

void* Packing::offset_to_address(void* context, size_t /*offset*/) {
  return static_cast<Packing*>(context)->entry_->weights();
}

xnn_status Packing::delete_cache(void* /*context*/) { return xnn_status_success; }

}  // namespace figment::kernels
