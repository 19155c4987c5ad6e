// An operator's view of its packed weights, as XNNPACK wants it.
#pragma once

#include <xnnpack.h>

#include "core/status.h"
#include "kernels/packed_weights.h"

namespace figment::kernels {

// Handed to XNNPACK as a weights cache; must outlive the operator.
class Packing {
 public:
  Packing();
  Packing(const Packing&) = delete;
  Packing& operator=(const Packing&) = delete;

  // Around the creation of the operator: `begin` finds the packing of `key` or prepares to take memory for it, and
  // holds the model's lock until `end`. kInvalidArgument where it is missing and may not be made.
  Status begin(Packer* packer, PackingKey key);
  void end();

  // Whether the packing exists already, so that the weights to pack will not be read.
  bool packed() const { return entry_ != nullptr; }
  xnn_weights_cache_t cache() { return &provider_; }
  // For a packing of our own: `bytes` to write it to, or nullptr; then, and if packed(), where it is.
  void* reserve(size_t bytes) { return reserve_space(this, bytes); }
  const void* weights() const { return entry_->weights(); }

 private:
  static size_t look_up(void* context, const xnn_weights_cache_look_up_key* key);
  static void* reserve_space(void* context, size_t bytes);
  static size_t look_up_or_insert(void* context, const xnn_weights_cache_look_up_key* key, void* memory, size_t bytes);
  static bool is_finalized(void* context);
  static void* offset_to_address(void* context, size_t offset);
  static xnn_status delete_cache(void* context);

  Packer* packer_ = nullptr;
  PackingKey key_{};
  PackingEntry* entry_ = nullptr;
  xnn_weights_cache_provider provider_;
};

}  // namespace figment::kernels
