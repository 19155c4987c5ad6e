#include "kernels/xnnpack/packing.h"

namespace figment::kernels {

Packing::Packing()
    : provider_{this, look_up, reserve_space, look_up_or_insert, is_finalized, offset_to_address, delete_cache} {}

Status Packing::begin(Packer* packer, PackingKey key) {
  packer_ = packer;
  key_ = key;
  packer_->lock();
  entry_ = packer_->find(key);
  if (entry_ != nullptr || packer_->may_pack()) return {};
  packer_->unlock();
  return Status::error(StatusCode::kInvalidArgument, "its weights are not packed: call fig_model_pack before");
}

void Packing::end() { packer_->unlock(); }

size_t Packing::look_up(void* context, const xnn_weights_cache_look_up_key* /*key*/) {
  return static_cast<Packing*>(context)->entry_ == nullptr ? SIZE_MAX : 0;
}

void* Packing::reserve_space(void* context, size_t bytes) {
  auto* packing = static_cast<Packing*>(context);
  packing->entry_ = packing->packer_->add(packing->key_, bytes);
  return packing->entry_ == nullptr ? nullptr : packing->entry_->weights();
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
